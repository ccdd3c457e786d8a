"""Child processes, and the side of the packages that knows Slicer: followed, stopped, found by version."""

import subprocess
import sys
import types

import pytest
from HemoCAMLib.errors import Cancelled
from HemoCAMLib.packages import ANALYSIS, LIBRARY, PackageError, Trouble
from HemoCAMLib.packages import slicer_app as app
from HemoCAMLib.packages.child import ChildFailed, Watch
from HemoCAMLib.packages.pending import MemorySettings
from package_cases import one_sentence

pytestmark = pytest.mark.usefixtures("no_application")


def follow(code, heard):
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    watch = Watch(heard)
    with process:
        return watch.follow(process), watch


def test_a_cancel_waits_for_what_is_being_written(tmp_path):
    """pip says that it writes; from then on it is let finish, and the cancel comes after."""
    whole = tmp_path / "whole.txt"
    code = f"""
import time
print('Installing collected packages: timm')
time.sleep(0.4)
open({str(whole)!r}, 'w').write('all of it')
print('Successfully installed timm-1.0.31')
time.sleep(30)
"""

    def heard(line):
        raise Cancelled

    def heard_late(line):
        if heard_late.armed or (line and "Installing" in line):
            heard_late.armed = True
            raise Cancelled

    heard_late.armed = False
    with pytest.raises(Cancelled):
        follow(code, heard_late)
    assert whole.read_text() == "all of it"
    whole.unlink()
    with pytest.raises(Cancelled):
        follow("import time; time.sleep(0.3)\n" + code, heard)
    assert not whole.exists()


def test_a_child_is_heard_between_its_lines():
    beats = []
    code, watch = follow(
        "import time; print('one'); time.sleep(0.5); print('two'); raise SystemExit(3)", beats.append
    )
    assert code == 3 and watch.lines == ["one", "two"] and beats.count(None) >= 3


# Slicer's side


class Settings(dict):
    """The calls of QSettings that are made, as PythonQt has them."""

    value = dict.get
    synced = 0

    def setValue(self, key, value):
        self[key] = value

    def remove(self, key):
        self.pop(key, None)

    def sync(self):
        self.synced += 1


def test_settings_are_those_of_this_installation(monkeypatch):
    import slicer

    kept = Settings()
    monkeypatch.setattr(
        slicer, "app", types.SimpleNamespace(revisionUserSettings=lambda: kept), raising=False
    )
    settings = app.find_settings()
    assert settings.get("a") is None
    settings.set("a", "text")
    assert settings.get("a") == "text" and kept == {"a": "text"} and kept.synced == 1
    settings.remove("a")
    assert kept == {}
    monkeypatch.setattr(slicer, "app", types.SimpleNamespace())
    assert isinstance(app.find_settings(), MemorySettings)


def test_the_extension_is_found_where_it_is(monkeypatch, tmp_path):
    assert app.SlicerTorch.find() is None
    (tmp_path / "PyTorchUtils.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert app.SlicerTorch.find() is not None


def test_an_early_extension_is_called_without_what_it_does_not_know(monkeypatch, tmp_path):
    pytest.importorskip("slicer.util")
    called = {}

    class PyTorchUtilsLogic:
        def installTorch(
            self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None
        ):
            called.update(ask=askConfirmation, torch=torchVersionRequirement)
            print("Collecting torch")
            raise subprocess.CalledProcessError(2, "pip")

    monkeypatch.setitem(
        sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic)
    )
    (tmp_path / "constraints.txt").write_text("numpy==1\n")
    with pytest.raises(ChildFailed) as caught:
        app.SlicerTorch.find().install(
            ">=2.6", ">=0.21", tmp_path / "constraints.txt", Watch(lambda line: None)
        )
    assert called == {"ask": False, "torch": ">=2.6"} and caught.value.output == "Collecting torch"


def test_two_installations_at_once_are_refused(monkeypatch):
    busy = types.SimpleNamespace(isPipInstallInProgress=lambda: True)
    monkeypatch.setitem(sys.modules, "slicer.packaging", busy)
    with pytest.raises(PackageError) as caught:
        app.SlicerPip(lambda arguments: pytest.fail("ran")).install(["timm"], Watch(lambda line: None))
    assert caught.value.trouble is Trouble.BUSY and one_sentence(caught.value)


def test_slicers_pip_is_found_by_version(monkeypatch):
    import slicer

    calls = []
    new = types.ModuleType("slicer.packaging")
    new.pip_install = lambda *args, **options: calls.append((args, options))
    monkeypatch.setitem(sys.modules, "slicer.packaging", new)
    app.find_pip()._install(["timm"])
    assert calls == [((["timm"],), {"blocking": True, "show_progress": False})]  # no dialog of its own
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    assert isinstance(app.find_pip(), app.ChildPip)
    monkeypatch.setattr(slicer, "app", types.SimpleNamespace(), raising=False)
    assert app.find_pip()._install is slicer.util.pip_install


def test_the_whole_is_made_for_a_python_that_has_all():
    assert not app.slicer_packages().missing((ANALYSIS, LIBRARY))
