"""Every outcome of the packages' step: one sentence with a way out, and what was there is as it was."""

import json
import shutil
import types
from collections import namedtuple

import pytest
from HemoCAMLib.packages import ANALYSIS, LIBRARY, PackageError, Trouble, import_failure
from HemoCAMLib.packages.pending import KEY, MemorySettings
from HemoCAMLib.packages.troubles import explain
from hypothesis import given
from hypothesis import strategies as st
from package_cases import SLICERS, FakePip, FakeTorch, failure, one_sentence, packages, slicers_folder
from package_factory import put_installed


@pytest.fixture
def folder(tmp_path):
    return slicers_folder(tmp_path / "site")


def test_all_goes_well(folder):
    pip = FakePip(folder, "Collecting timm>=1.0.15\n  Downloading timm-1.0.31-py3-none-any.whl (2.8 MB)")
    step, seen = packages(folder, pip), []
    outcome = step.ensure(lambda plan: True, progress=lambda *s: seen.append(s))
    assert set(outcome.installed) == {"torch", "torchvision", "timm", "safetensors", "jsonschema"}
    assert not outcome.restart and "unchanged" in outcome.text
    (call,) = pip.calls
    assert (
        call[call.index("--only-binary") + 1] == ":all:" and call[call.index("--no-binary") + 1] == "grad-cam"
    )
    assert not any("torch" in word for word in call[call.index("-c") + 2 :])
    held = (folder.parent / "held.txt").read_text().split()
    assert "torch==2.6.0" in held and "simpleitk==2.4.0rc2.dev5+gabc" in held  # torch, too, once it is there
    assert [s[0] for s in seen if "timm" in s[0]] == ["Looking for timm>=1.0.15", "Downloading timm 1.0.31"]


def test_declined(folder):
    pip = FakePip(folder)
    step = packages(folder, pip)
    error = failure(step, ask=lambda plan: False)
    assert error.trouble is Trouble.DECLINED and "timm" in str(error) and not pip.calls
    assert step.pending() is None and len(step.missing()) == 5


def test_the_extension_is_missing_and_the_step_goes_on_after_the_restart(folder, tmp_path):
    class FileSettings(MemorySettings):
        """As on disk: only texts survive."""

        def set(self, key, value):
            (tmp_path / "settings.json").write_text(json.dumps({key: value}), encoding="utf-8")

        def get(self, key):
            path = tmp_path / "settings.json"
            return json.loads(path.read_text(encoding="utf-8")).get(key) if path.exists() else None

        def remove(self, key):
            (tmp_path / "settings.json").unlink(missing_ok=True)

    first = packages(folder, torch=None, settings=FileSettings())
    asked = []
    error = failure(first, (ANALYSIS, LIBRARY), asked.append)
    assert error.trouble is Trouble.EXTENSION and "Extensions Manager" in str(error) and not asked
    still = packages(folder, torch=None, settings=FileSettings())  # restarted, and forgot the extension
    assert still.pending().waits_for is Trouble.EXTENSION
    with pytest.raises(PackageError, match="PyTorch extension"):
        still.resume()
    again = packages(folder, settings=FileSettings())
    plan = again.resume()
    assert plan.features == (ANALYSIS, LIBRARY) and "grad-cam" in plan.names
    again.install(plan)
    assert again.pending() is None and again.resume() is None and not again.missing((ANALYSIS, LIBRARY))


def test_a_note_that_cannot_be_read_is_forgotten(folder):
    for note in ("{", "[]", '{"features": ["analysis"]}', '{"features": 3, "waits_for": "restart"}', ""):
        settings = MemorySettings()
        settings.set(KEY, note)
        step = packages(folder, settings=settings)
        assert step.pending() is None and step.resume() is None


def test_an_installation_that_the_application_did_not_survive_is_remembered(folder):
    settings, notes = MemorySettings(), []
    step = packages(folder, settings=settings)
    step.ensure(lambda plan: True, progress=lambda *s: notes.append(settings.get(KEY)))
    assert all(notes) and settings.get(KEY) is None
    settings.set(KEY, notes[0])
    assert packages(folder, settings=settings).resume() is None and settings.get(KEY) is None  # all is there


def test_a_restart_is_asked_for_when_a_loaded_module_is_new_on_disk(folder):
    step = packages(folder, modules={"timm": types.ModuleType("timm")})
    outcome = step.ensure(lambda plan: True)
    assert (
        outcome.restart and "Restart Slicer" in outcome.text and step.pending().waits_for is Trouble.RESTART
    )
    assert packages(folder, settings=step._settings).resume() is None  # after the restart all is ready


def test_a_session_that_runs_another_version_than_the_disk_has(folder):
    put_installed(folder, "torch", "2.6.0+cu124")
    loaded = types.SimpleNamespace(__version__="2.5.1+cu124")
    step = packages(folder, modules={"torch": loaded})
    error = failure(step)
    assert (
        error.trouble is Trouble.RESTART
        and "2.5.1" in str(error)
        and step.pending().waits_for is Trouble.RESTART
    )
    loaded.__version__ = "2.6.0"
    assert "timm" in step.plan().names


def test_what_changed_is_told(folder):
    step = packages(folder, FakePip(folder, also=[("numpy", "2.0")]))
    outcome = step.ensure(lambda plan: True)
    assert outcome.changed == {"numpy": ("1.26.4", "2.0")} and "numpy from 1.26.4 to 2.0" in outcome.text
    assert outcome.restart


def test_what_changed_is_told_even_where_the_step_fails(folder):
    """Old and new: the first installer replaced something, the second failed."""

    class Careless(FakeTorch):
        def install(self, *arguments):
            super().install(*arguments)
            shutil.rmtree(self.folder / "numpy-1.26.4.dist-info")
            put_installed(self.folder, "numpy", "2.0")

    error = failure(packages(folder, FakePip(folder, MESSAGES[Trouble.SPACE], code=1), Careless(folder)))
    assert error.trouble is Trouble.SPACE and "changed numpy from 1.26.4 to 2.0" in str(error)


def test_installers_that_install_nothing_are_found_out(folder):
    error = failure(packages(folder, FakePip(folder, installs=False)))
    assert "timm" in str(error) and "still not there" in str(error)


@pytest.mark.parametrize(
    ("name", "version", "way_out"),
    [
        ("numpy", "1.20", "install the current Slicer"),
        ("torch", "2.1.0+cu121", "PyTorch Utils"),
        ("torch", "2.13.0", "PyTorch Utils"),
        ("timm", "0.9.2", "another extension"),
    ],
)
def test_too_old_and_never_replaced(folder, name, version, way_out):
    for old in folder.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    put_installed(folder, name, version)
    pip = FakePip(folder)
    error = failure(packages(folder, pip))
    assert error.trouble is Trouble.CONFLICT and f"{name} {version}" in str(error) and way_out in str(error)
    assert not pip.calls


@pytest.mark.parametrize(
    ("torch", "torchvision", "requires", "fits"),
    [
        ("2.6.0", "0.21.0", "torch (==2.6.0)", True),
        ("2.6.0+cu124", "0.21.0+cu124", "torch (==2.6.0)", True),
        ("2.7.0", "0.21.0", "torch (==2.6.0)", False),
        ("2.15.0", "0.29.2", "torch (>=2.14.0)", True),
        ("2.12.0", "0.29.2", "torch (>=2.14.0)", False),
        ("2.6.0+cpu", "0.21.0+cu124", "torch (==2.6.0)", False),
        ("2.6.0", "0.21.0", "numpy", True),
    ],
)
def test_torch_and_torchvision_match_or_not(folder, torch, torchvision, requires, fits):
    put_installed(folder, "torch", torch)
    put_installed(folder, "torchvision", torchvision, requires=[requires])
    if fits:
        assert packages(folder).plan().names == ("jsonschema", "safetensors", "timm")
    else:
        error = failure(packages(folder))
        assert (
            error.trouble is Trouble.MISMATCH and torchvision in str(error) and "PyTorch Utils" in str(error)
        )


def test_the_installed_pair_is_checked_too(folder):
    class Unfit(FakeTorch):
        def install(self, *arguments):
            super().install(*arguments)
            put_installed(self.folder, "torchvision", "0.20.0", requires=["torch (==2.5.0)"])
            shutil.rmtree(self.folder / "torchvision-0.21.0.dist-info")

    error = failure(packages(folder, torch=Unfit(folder)))
    assert error.trouble in (Trouble.MISMATCH, Trouble.CONFLICT) and "torchvision 0.20.0" in str(error)


def test_no_room_and_no_right_to_write_are_seen_before_anything_is_downloaded(folder, monkeypatch):
    pip = FakePip(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "total used free")(9, 9, 5e6))
    error = failure(packages(folder, pip))
    assert error.trouble is Trouble.SPACE and "5 MB are free" in str(error)

    def refuse(**options):
        raise PermissionError(13, "no")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    error = failure(packages(folder, pip))
    assert error.trouble is Trouble.PERMISSION and not pip.calls


# What pip prints, as it was seen; the names of servers and folders are made up.
WARNING = "WARNING: Retrying (Retry(total=0)) after connection broken by"
NONE = (
    "ERROR: Could not find a version that satisfies the requirement timm>=1.0.15 (from versions: none)\n"
    "ERROR: No matching distribution found for timm>=1.0.15"
)
OS_ERROR = "ERROR: Could not install packages due to an OSError:"
MESSAGES = {
    Trouble.OFFLINE: f"""{WARNING} 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection>: Failed
 to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/timm/
{NONE}""",
    Trouble.PROXY: f"""{WARNING} 'ProxyError('Cannot connect to proxy.',
 OSError('Tunnel connection failed: 407 Proxy Authentication Required'))': /simple/timm/
{NONE}""",
    Trouble.CERTIFICATE: f"""{WARNING} 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]
 certificate verify failed: self-signed certificate in certificate chain'))': /simple/timm/
Could not fetch URL https://index.example/simple/timm/: There was a problem confirming the ssl certificate
{NONE}""",
    Trouble.CONFLICT: """ERROR: Cannot install grad-cam==1.5.7 and jsonschema because these package versions have
 conflicting dependencies.

The conflict is caused by:
    jsonschema 4.26.0 depends on numpy
    grad-cam 1.5.7 depends on numpy>=2
    The user requested (constraint) numpy==1.26.4

ERROR: ResolutionImpossible: for help visit the user guide""",
    Trouble.SPACE: f"{OS_ERROR} [Errno 28] No space left on device",
    Trouble.PERMISSION: f"""{OS_ERROR} [Errno 13] Permission denied: '/opt/Slicer/lib'
Consider using the `--user` option or check the permissions.""",
    Trouble.RESTART: f"""{OS_ERROR} [WinError 32] The process cannot access the file because it is being used by
 another process: 'cv2.pyd'""",
    Trouble.UNAVAILABLE: NONE.replace("none", "0.1, 0.2"),
    Trouble.BUILD: """  error: subprocess-exited-with-error
  ERROR: Failed building wheel for grad-cam
ERROR: Could not build wheels for grad-cam, which is required to install pyproject.toml-based projects""",
    Trouble.UNKNOWN: "ERROR: Exception:\nERROR: something that nobody has seen before.",
}
NAMED = {
    Trouble.CONFLICT: "grad-cam 1.5.7 needs numpy>=2",
    Trouble.UNAVAILABLE: "timm>=1.0.15",
    Trouble.BUILD: "grad-cam",
    Trouble.UNKNOWN: "nobody has seen",
    Trouble.PROXY: "HTTPS_PROXY",
    Trouble.CERTIFICATE: "PIP_CERT",
}


@pytest.mark.parametrize("trouble", MESSAGES)
def test_pips_messages_become_one_sentence_with_a_way_out(folder, trouble):
    step = packages(folder, FakePip(folder, MESSAGES[trouble], code=1))
    error = failure(step)
    assert (
        error.trouble is trouble and NAMED.get(trouble, "") in str(error) and error.log == MESSAGES[trouble]
    )
    assert {name: step._site.version(name) for name in SLICERS} == SLICERS
    assert (step.pending() is not None) == (trouble is Trouble.RESTART)


def test_an_installer_that_wants_another_pip_has_a_way_out():
    """light-the-torch, with which the PyTorch extension installs, states an upper bound for pip."""
    wish = "light-the-torch 0.8.1 depends on pip<26.1"
    output = MESSAGES[Trouble.CONFLICT].replace("grad-cam 1.5.7 depends on numpy>=2", wish)
    error = explain(output.replace("numpy==1.26.4", "pip==26.2"), 1)
    assert "light-the-torch 0.8.1 needs pip<26.1" in str(error) and "PyTorch Utils" in str(error)


@given(st.text(max_size=200), st.integers(1, 255))
def test_whatever_pip_prints_becomes_a_sentence(output, code):
    error = explain(output, code)
    assert str(error) and error.log == output and isinstance(error.trouble, Trouble)


def test_a_package_that_does_not_load_is_explained():
    torn = import_failure(RuntimeError("operator torchvision::nms does not exist"))
    assert torn.trouble is Trouble.MISMATCH and one_sentence(torn)
    broken = import_failure(OSError("[WinError 126] The specified module could not be found\nand so on"))
    assert broken.trouble is Trouble.BROKEN and "WinError 126" in str(broken) and "and so on" in broken.log


def test_torch_that_is_installed_and_does_not_load(folder):
    error = failure(packages(folder, torch=FakeTorch(folder, error=ImportError("DLL load failed"))))
    assert error.trouble is Trouble.BROKEN and "DLL load failed" in str(error)
