"""Packages against a real pip in a real virtual environment: what was there is never changed."""

import os
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest
from conftest import ROOT
from HemoCAMLib.errors import Cancelled
from HemoCAMLib.packages import ANALYSIS, LIBRARY, PackageError, Packages, Trouble
from HemoCAMLib.packages.child import ChildFailed, Watch
from HemoCAMLib.packages.constraints import write_constraints
from HemoCAMLib.packages.pending import MemorySettings
from HemoCAMLib.packages.pip import ChildPip
from HemoCAMLib.packages.site import Site
from HemoCAMLib.packages.slicer_app import SlicerPip, SlicerTorch, constrained
from package_factory import Environment, contents, make_pip_home, put_source, put_wheel

SLICERS = {
    "numpy": "1.26.4",
    "pillow": "11.0",
    "scipy": "1.12",
    "simpleitk": "2.4.0rc2",
    "requests": "2.32.3",
}

pytestmark = pytest.mark.usefixtures("no_application")


@pytest.fixture(scope="module")
def pip_home(tmp_path_factory):
    return make_pip_home(tmp_path_factory.mktemp("pip"))


@pytest.fixture
def bare(tmp_path, pip_home):
    """What a Slicer has, with an index that has newer versions of it and all that HemoCAM needs."""
    environment = Environment(tmp_path, pip_home)
    for name, version in SLICERS.items():
        environment.have(name, version)
        put_wheel(environment.index, name, "99.0")
    for name in ("safetensors", "jsonschema", "matplotlib", "scikit-learn", "tqdm", "ttach"):
        put_wheel(environment.index, name, "99.0", requires=["numpy"])
    put_wheel(environment.index, "opencv-python-headless", "99.0", module="cv2")
    put_wheel(environment.index, "timm", "1.0.31", requires=["torch", "torchvision", "safetensors"])
    for name, version, requires in (
        ("torch", "2.6.0", []),
        ("torchvision", "0.21.0", ["torch (==2.6.0)", "numpy"]),
    ):
        put_wheel(environment.index, name, version, requires)
    return environment


@pytest.fixture
def slicer(bare):
    """The same with torch and torchvision there."""
    bare.have("torch", "2.6.0")
    bare.have("torchvision", "0.21.0", requires=["torch (==2.6.0)", "numpy"])
    return bare


def packages(environment, pip=None, torch=None, **variables):
    pip = pip or ChildPip(environment.python, {**environment.variables, **variables})
    return Packages(pip, torch, MemorySettings(), site=Site([str(environment.site)]), modules={})


def refused(step, features=(ANALYSIS,)):
    with pytest.raises(PackageError) as caught:
        step.ensure(lambda plan: True, features)
    return caught.value


def unchanged(before, environment):
    after = contents(environment.site)
    return {path: after.get(path) for path in before} == before


def test_what_is_missing_is_installed_and_all_else_stays(slicer):
    step, asked, steps = packages(slicer), [], []
    before = contents(slicer.site)
    outcome = step.ensure(lambda plan: asked.append(plan.text) or True, progress=lambda *s: steps.append(s))
    assert set(outcome.installed) == {"timm", "safetensors", "jsonschema"} and len(asked) == 1
    assert unchanged(before, slicer) and not outcome.changed and not outcome.restart
    assert not step.missing() and step.pending() is None
    done = [(d, t) for _, d, t in steps]
    assert done == sorted(done) and done[-1][0] == done[-1][1] and any("timm" in s[0] for s in steps)
    assert step.ensure(lambda plan: pytest.fail("asked again")).installed == {}


def test_pip_refuses_a_package_that_wants_another_numpy(slicer):
    """And installs nothing at all: neither it nor what would have gone well."""
    for wheel in slicer.index.glob("timm*"):
        wheel.unlink()
    put_wheel(slicer.index, "timm", "1.0.40", requires=["numpy>=2", "safetensors"])
    before = contents(slicer.site)
    error = refused(packages(slicer))
    assert error.trouble is Trouble.CONFLICT and "timm 1.0.40 needs numpy>=2" in str(error)
    assert "numpy 1.26.4" in str(error) and "ResolutionImpossible" in error.log
    assert contents(slicer.site) == before


def test_pip_takes_an_older_version_that_goes_with_what_is_there(slicer):
    put_wheel(slicer.index, "timm", "1.0.40", requires=["numpy>=2", "safetensors"])
    before = contents(slicer.site)
    outcome = packages(slicer).ensure(lambda plan: True)
    assert outcome.installed["timm"] == "1.0.31" and unchanged(before, slicer)


def test_the_source_package_that_wants_another_numpy_is_refused(slicer):
    put_source(slicer.index, "grad-cam", "1.5.7", requires=["numpy>=2"], module="pytorch_grad_cam")
    before = contents(slicer.site)
    error = refused(packages(slicer), (ANALYSIS, LIBRARY))
    assert error.trouble is Trouble.CONFLICT and "grad-cam 1.5.7 needs numpy>=2" in str(error)
    assert contents(slicer.site) == before


def test_a_machine_without_a_compiler_is_fine(slicer, tmp_path):
    """The pure-Python source is built; a package that has sources only is not even tried."""
    put_source(slicer.index, "grad-cam", "1.5.7", requires=["numpy", "ttach"], module="pytorch_grad_cam")
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = {"PATH": str(empty), "CC": "false", "CXX": "false"}
    outcome = packages(slicer, **nothing).ensure(lambda plan: True, (ANALYSIS, LIBRARY))
    assert outcome.installed["grad-cam"] == "1.5.7" and (slicer.site / "pytorch_grad_cam.py").is_file()


def test_a_package_that_would_have_to_be_compiled_is_not_tried(slicer):
    for wheel in slicer.index.glob("safetensors*"):
        wheel.unlink()
    put_source(slicer.index, "safetensors", "99.0")
    before = contents(slicer.site)
    error = refused(packages(slicer))
    assert error.trouble is Trouble.UNAVAILABLE and "no safetensors>=0.4.3" in str(error)
    assert contents(slicer.site) == before


def test_another_opencv_is_not_written_over(slicer):
    """grad-cam goes without its dependencies then, and is checked for them afterwards and ever after."""
    slicer.have("opencv-python", "4.8.0", module="cv2")
    put_source(slicer.index, "grad-cam", "1.5.7", requires=["numpy>=2", "opencv-python-headless"])
    before = contents(slicer.site)
    step = packages(slicer)
    error = refused(step, (ANALYSIS, LIBRARY))
    assert unchanged(before, slicer) and "opencv-python" in (slicer.site / "cv2.py").read_text()
    assert Site([str(slicer.site)]).version("opencv-python-headless") is None
    assert (
        error.trouble is Trouble.CONFLICT
        and "needs numpy>=2" in str(error)
        and "engine hemocam" in str(error)
    )
    assert refused(step, (ANALYSIS, LIBRARY)).trouble is Trouble.CONFLICT
    assert step.ensure(lambda plan: True).installed == {}  # without the library, all is well


def test_modules_without_metadata_are_not_installed_over(slicer):
    """Slicer builds some modules itself; pip does not see them."""
    (slicer.site / "vtk.py").write_text("made_by = 'Slicer'\n")
    put_wheel(slicer.index, "vtk", "9.6")
    put_wheel(slicer.index, "timm", "1.0.40", requires=["vtk"])
    outcome = packages(slicer).ensure(lambda plan: True)
    assert outcome.installed["timm"] == "1.0.31" and "Slicer" in (slicer.site / "vtk.py").read_text()


def test_without_a_network(slicer):
    before = contents(slicer.site)
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        online = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": ""}
        index = {**online, "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"}
        assert refused(packages(slicer, **index)).trouble is Trouble.OFFLINE
        proxy = {
            **online,
            "PIP_PROXY": f"http://127.0.0.1:{port}",
            "PIP_INDEX_URL": "https://index.example/simple",
        }
        error = refused(packages(slicer, **proxy))
        assert error.trouble is Trouble.PROXY and "HTTPS_PROXY" in str(error)
    assert contents(slicer.site) == before


def test_cancel_stops_a_pip_that_waits(slicer):
    """A server that takes the connection and says nothing: no line comes, and Cancel works all the same."""
    before = contents(slicer.site)
    reached = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take():
            server.accept()[0].recv(1)
            reached.set()
            threading.Event().wait(20)

        threading.Thread(target=take, daemon=True).start()

        def progress(phase, done, total):
            if reached.is_set():
                raise Cancelled

        index = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        step = packages(slicer, PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL=index)
        with pytest.raises(Cancelled):
            step.ensure(lambda plan: True, progress=progress)
    assert contents(slicer.site) == before and step.pending() is None


def test_the_module_looks_without_packaging_and_without_torch(slicer):
    """In a Python that has nothing but pip: PyPA's code comes from pip, and nothing heavy is imported."""
    code = (
        "import sys; from HemoCAMLib.packages import Packages;"
        "from HemoCAMLib.packages.pending import MemorySettings;"
        "step = Packages(None, None, MemorySettings()); print(*step.missing()); print(step.plan().text);"
        "print(sorted({'torch', 'numpy', 'timm', 'slicer', 'qt', 'packaging'} & set(sys.modules)))"
    )
    variables = {**slicer.variables, "PYTHONPATH": str(ROOT / "HemoCAM"), "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run([slicer.python, "-c", code], env=variables, capture_output=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "jsonschema safetensors timm" and lines[-1] == "[]" and "Install now?" in lines


# Through Slicer's own functions


@pytest.fixture
def util(slicer_util, bare, monkeypatch):
    """Slicer's own ``slicer.util``, whose PythonSlicer is the environment's Python."""
    python_slicer = bare.scripts / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    try:
        python_slicer.symlink_to(bare.python)
    except OSError:
        pytest.skip("no symbolic links here")
    monkeypatch.setattr(sys, "executable", str(bare.python))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in bare.variables.items():
        monkeypatch.setenv(name, value)
    return slicer_util


@pytest.fixture
def slicer_util():
    return pytest.importorskip("slicer.util")


def pytorch_extension(util, monkeypatch, environment=None):
    """A stand-in for the extension's module: it runs pip in a child, as the extension does with light-the-torch."""

    class PyTorchUtilsLogic:
        def installTorch(
            self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ):  # fmt: skip
            assert not askConfirmation
            wanted = ["torch" + torchVersionRequirement, "torchvision" + torchvisionVersionRequirement]
            with monkeypatch.context() as context:
                if environment is not None:
                    context.delenv("PIP_CONSTRAINT")
                util.executePythonModule("pip", ["install", *wanted])

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    return SlicerTorch.find()


def slicer_pip(util):
    return SlicerPip(lambda arguments: util.executePythonModule("pip", ["install", *arguments]))


def test_slicers_pip_and_the_pytorch_extension_install_the_whole(util, bare, monkeypatch):
    own, environment = util.logProcessOutput, dict(os.environ)
    step = packages(bare, slicer_pip(util), pytorch_extension(util, monkeypatch))
    before, steps = contents(bare.site), []
    outcome = step.ensure(lambda plan: True, progress=lambda *s: steps.append(s))
    assert set(outcome.installed) == {"torch", "torchvision", "timm", "safetensors", "jsonschema"}
    assert unchanged(before, bare) and not outcome.changed
    assert util.logProcessOutput is own and dict(os.environ) == environment
    assert any("torchvision" in phase for phase, *_ in steps) and any("timm" in phase for phase, *_ in steps)


def test_the_extension_cannot_replace_numpy(util, bare, monkeypatch):
    """It takes no constraints, so they are in force in its children's environment."""
    for wheel in bare.index.glob("torch-*"):
        wheel.unlink()
    put_wheel(bare.index, "torch", "2.6.0", requires=["numpy>=2"])
    before = contents(bare.site)
    error = refused(packages(bare, slicer_pip(util), pytorch_extension(util, monkeypatch)))
    assert error.trouble is Trouble.CONFLICT and "torch 2.6.0 needs numpy>=2" in str(error)
    assert contents(bare.site) == before


def test_an_installer_that_goes_around_the_constraints_is_reported(util, bare, monkeypatch):
    for wheel in bare.index.glob("torch-*"):
        wheel.unlink()
    put_wheel(bare.index, "torch", "2.6.0", requires=["numpy>=2"])
    step = packages(bare, slicer_pip(util), pytorch_extension(util, monkeypatch, environment="cleared"))
    outcome = step.ensure(lambda plan: True)
    assert outcome.changed == {"numpy": ("1.26.4", "99.0")} and outcome.restart
    assert "numpy from 1.26.4 to 99.0" in outcome.text and step.pending().waits_for is Trouble.RESTART


def test_cancel_reaches_a_child_of_slicers(util, bare, monkeypatch):
    own, before = util.logProcessOutput, contents(bare.site)

    def progress(phase, done, total):
        if "torch" in phase:
            raise Cancelled

    step = packages(bare, slicer_pip(util), pytorch_extension(util, monkeypatch))
    with pytest.raises(Cancelled):
        step.ensure(lambda plan: True, progress=progress)
    assert (
        contents(bare.site) == before and util.logProcessOutput is own and "PIP_CONSTRAINT" not in os.environ
    )


def test_constraints_hold_from_a_folder_with_blanks(slicer, tmp_path, monkeypatch):
    folder = tmp_path / "Jane Doe's files"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONSTRAINT", "")
    with constrained(write_constraints(Site([str(slicer.site)]), folder)):
        variables = {**slicer.variables, "PIP_CONSTRAINT": os.environ["PIP_CONSTRAINT"]}
    with pytest.raises(ChildFailed) as caught:
        ChildPip(slicer.python, variables).install(["numpy>=2"], Watch(lambda line: None))
    assert "numpy==1.26.4" in caught.value.output
    ChildPip(slicer.python, variables).install(["numpy", "ttach"], Watch(lambda line: None))
    assert Path(slicer.site / "ttach.py").is_file()
