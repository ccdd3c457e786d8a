"""What is missing, and the plan with its dialog: by metadata alone."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import types

import pytest
from conftest import ROOT
from HemoCAMLib.packages import ANALYSIS, LIBRARY, features_of
from HemoCAMLib.packages.constraints import pins
from HemoCAMLib.packages.requirements import SLICER, SOURCE_ONLY, TORCH, read_needs
from HemoCAMLib.packages.site import Site, changes
from HemoCAMLib.packages.sizes import SIZES, total
from HemoCAMLib.packages.versions import canonical, requirement, satisfies
from hypothesis import given, settings
from hypothesis import strategies as st
from package_cases import packages, slicers_folder
from package_factory import put_installed


@pytest.fixture
def folder(tmp_path):
    return slicers_folder(tmp_path / "site")


def test_requirements_agree_with_the_distribution():
    """What Slicer gets is what pip would install: the same versions, nothing that the panel does without."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonical(requirement(text).name): requirement(text) for text in project["dependencies"]}
    needs = read_needs()
    assert tuple(need.text for need in needs[:2]) == TORCH
    of_grad_cam = {canonical(requirement(text).name) for text in importlib.metadata.requires("grad-cam")}
    for need in needs:
        if need.name in declared:
            assert need.wanted.specifier == declared[need.name].specifier, need.name
        else:
            assert need.feature == LIBRARY and need.name in of_grad_cam, need.name
    assert of_grad_cam <= {need.name for need in needs}  # it may be installed without its dependencies
    assert {need.feature for need in needs} == {SLICER, ANALYSIS, LIBRARY}
    assert not {"lightning-fabric", "distributed", "pyarrow", "rich"} & {need.name for need in needs}


def closure(names):
    """All that these distributions bring along here."""
    site, found, waiting = Site(), set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += site.requires(name)
    return found


ANALYSE = """
import sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from HemoCAMLib.packages.versions import canonical
brought = {{module: {{canonical(name) for name in names}} for module, names in packages_distributions().items()}}

def owners(module):
    return brought.get(module.split('.')[0], set())

class Listed:  # finds nothing that is not listed or brought along
    allowed = {allowed!r}
    def find_spec(self, name, path=None, target=None):
        if not owners(name) or owners(name) & self.allowed:
            return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Listed()
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.scene import add_results, content_of, new_scene, node_to_volume, volume_to_node

bundle, scene = Bundle.open({bundle!r}), new_scene()
patient = make_patient(PatientSpec(seed=2, kinds=(), size=64, spacing_mm=3.6, slice_mm=20))
node = volume_to_node(scene, patient.ct, 'CT')
ct = node_to_volume(node)
for engine in ('hemocam', 'library'):
    analysis = analyse(ct, bundle, Options(method='hirescam', gate=0.0, scale='library', engine=engine))
    add_results(scene, content_of(analysis, bundle), node)
    print('used:', *set().union(*map(owners, list(sys.modules))))
    Listed.allowed = {more!r}
"""


def test_an_analysis_needs_all_that_is_listed_and_nothing_else(tiny_bundle):
    """In a fresh process, through the scene, where all that is not listed or brought along is absent."""
    listed, allowed = [], []
    for engine in ("hemocam", "library"):
        listed.append({need.name for need in read_needs() if need.feature in (SLICER, *features_of(engine))})
        allowed.append(closure(listed[-1]) | {"slicer-core", "vtk", "hemocam"})
    code = ANALYSE.format(allowed=allowed[0], more=allowed[1], bundle=str(tiny_bundle.folder))
    there = {**os.environ, "PYTHONPATH": str(ROOT / "HemoCAM")}
    ran = subprocess.run([sys.executable, "-c", code], env=there, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    hemocam, library = (set(line.split()) for line in ran.stdout.splitlines() if line.startswith("used:"))
    assert listed[0] <= hemocam and listed[1] <= library, "listed, and not imported"


def test_sizes_know_what_each_package_brings_along():
    """The data follow the metadata of the versions that HemoCAM is tested with."""
    site = Site()
    for name, size in SIZES.items():
        assert size.download <= size.disk
        if site.version(name) is not None and name not in SOURCE_ONLY:
            cuda = {n for n in site.requires(name) if n.startswith(("cuda-", "nvidia-")) or n == "triton"}
            assert set(site.requires(name)) - cuda == set(size.needs), name
            assert set(size.needs) <= set(SIZES), name


def test_looking_imports_nothing(tmp_path):
    """As at Slicer's start: torch is absent, and any attempt to import something heavy fails."""
    code = f"""
import sys, types
sys.path.insert(0, {str(ROOT / "HemoCAM")!r})
class Refuse:
    def find_spec(self, name, path=None, target=None):
        heavy = {{'torch', 'torchvision', 'timm', 'numpy', 'scipy', 'qt', 'vtk', 'slicer'}}
        assert name.split('.')[0] not in heavy, name
sys.meta_path.insert(0, Refuse())
import HemoCAMLib.packages, HemoCAMLib.packages.slicer_app
from HemoCAMLib.packages.pending import MemorySettings
step = HemoCAMLib.packages.Packages(None, None, MemorySettings())
step.missing(), step.pending(), step.resume()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


# The plan


def test_the_dialog_says_what_how_large_why_and_what_stays(folder):
    plan = packages(folder).plan()
    text = plan.text
    for name in ("torch", "torchvision", "timm", "safetensors", "jsonschema"):
        assert f"\u2022 {name}: " in text
    assert "through the PyTorch extension" in text and "smaller packages" in text and "grad-cam" not in text
    assert (
        re.search(r"About \d+ MB to download and \d+ MB on disk", text) and "NVIDIA" in text and "GB" in text
    )
    assert "numpy 1.26.4" in text and "nothing is replaced" in text and text.endswith("Install now?")
    assert plan.torch == TORCH and plan.alone == ()
    more = packages(folder).plan((ANALYSIS, LIBRARY))
    assert (
        "grad-cam" in more.text and more.size.download > plan.size.download + 60
    )  # OpenCV alone is that large


def test_what_is_there_is_not_counted(folder):
    assert total(["timm"], SIZES).count == 0
    for name, version in (("torch", "2.6.0+cu124"), ("torchvision", "0.21.0+cu124"), ("timm", "1.0.27")):
        put_installed(folder, name, version)
    put_installed(folder, "safetensors", "0.5")
    plan = packages(folder, torch=None).plan()
    assert plan.names == ("jsonschema",) and plan.torch == () and "NVIDIA" not in plan.text
    assert (
        plan.size.count == 1 + 5
    )  # attrs, jsonschema-specifications, referencing, rpds-py, typing-extensions


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True)
VERSIONS = st.sampled_from(
    ["1", "1.26.4", "2.6.0+cu124", "2.4.0rc2.dev5+gabc", "2011k", "", "unknown", "1.0-beta-x"]
)


@settings(max_examples=50)
@given(st.lists(st.tuples(NAMES, VERSIONS), max_size=8))
def test_pins_hold_every_distribution_at_its_version(found):
    """One valid line a name, whatever is installed, and the installed version fulfils it."""
    site = Site([])
    site._distributions = lambda **where: iter(
        types.SimpleNamespace(metadata={"Name": name}, version=version, files=[]) for name, version in found
    )
    there, held = site.snapshot(), {}
    for line in pins(site):
        wanted = requirement(line)
        assert canonical(wanted.name) not in held
        held[canonical(wanted.name)] = wanted
        assert satisfies(there[canonical(wanted.name)], wanted)
    unusable = {name for name, version in there.items() if version in ("", "2011k", "unknown", "1.0-beta-x")}
    assert set(held) == set(there) - unusable


def test_the_first_on_the_path_counts_and_leftovers_do_not(tmp_path):
    for place, version in (("a", "2.0"), ("b", "1.0")):
        put_installed(tmp_path / place, "numpy", version)
    put_installed(tmp_path / "a", "scipy", "1.0")
    (tmp_path / "a" / "scipy-1.0.dist-info").rename(tmp_path / "a" / "~cipy-1.0.dist-info")
    site = Site([str(tmp_path / "a"), str(tmp_path / "b")])
    assert site.snapshot() == {"numpy": "2.0"} and site.version("scipy") is None
    assert changes({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}) == {
        "b": ("1", "2"),
        "c": ("1", None),
    }
