"""HemoCAM.py: what its import loads, its logic in one call, and its own self-tests, on slicer-core."""

import subprocess
import sys
import unittest

import numpy as np
import pytest
from conftest import ROOT
from panel_cases import NothingMissing, add_ct, load_module, slicer  # noqa: F401

HEAVY = ("torch", "torchvision", "timm", "pytorch_grad_cam", "safetensors", "jsonschema", "matplotlib", "cv2")

# In a process of its own: a finder that refuses what Slicer lacks, then the import that Slicer does at start.
START = f"""
import importlib.abc, importlib.util, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Refuse())
sys.path[:0] = [{str(ROOT / "HemoCAM" / "Testing" / "Python")!r}, {str(ROOT / "HemoCAM")!r}]
import slicer_app
slicer_app.install()
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("HemoCAM", {str(ROOT / "HemoCAM" / "HemoCAM.py")!r})
module = sys.modules["HemoCAM"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import slicer, types
module.HemoCAM(types.SimpleNamespace(path=spec.origin))
print("at start:", sorted({{name.split(".")[0] for name in set(sys.modules) - before}}))
"""
OPEN = """
import qt
parent = slicer.qMRMLWidget(); parent.setLayout(qt.QVBoxLayout()); parent.setMRMLScene(slicer.mrmlScene)
widget = module.HemoCAMWidget(parent); widget.setup(); widget.enter()
print("opened:", widget.ui.modelSelector.count > 1, widget.ui.applyButton.text)
try:
    widget.logic.run(None)
except Exception as error:
    print("run:", type(error).__name__, error)
"""


def run(code):
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_starting_slicer_loads_nothing_but_the_module(slicer):
    assert "at start: ['HemoCAM']" in run(START)


def test_the_panel_opens_without_torch(slicer):
    """Nothing of what Slicer lacks is needed before Apply: model, card and classes are shown."""
    assert "opened: True Apply" in run(START + OPEN)


@pytest.fixture
def logic(slicer):
    found = load_module().HemoCAMLogic()
    found._packages = NothingMissing()
    return found


def test_one_call_does_what_the_panel_does(slicer, logic, tiny_bundle):
    from HemoCAMLib.pipeline import Options
    from HemoCAMLib.scene import node_to_volume

    node, labels, patient = add_ct(slicer)
    display, steps = node.GetDisplayNode(), []
    results = logic.run(
        node, tiny_bundle.folder, Options(gate=0.0), labels, progress=lambda *step: steps.append(step)
    )
    assert results.nodes.ct is node and node.GetDisplayNode() is display and node.GetName() == "mine"
    assert np.array_equal(node_to_volume(node).array, patient.ct.array)
    assert node_to_volume(results.nodes.heatmap).same_grid(patient.ct)
    assert "highest probability" in results.finding
    assert results.slices[0].probabilities["any"] >= results.slices[-1].probabilities["any"]
    assert results.mask_ml >= 0 and "Dice coefficient" in results.comparison
    assert results.analysis.options.gate == 0.0
    assert all(0 <= done <= total for _, done, total in steps) and len({phase for phase, *_ in steps}) > 1
    logic.show(results)
    composite = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == results.nodes.heatmap.GetID()


def test_missing_packages_are_named_before_any_work(slicer, logic):
    from HemoCAMLib.errors import HemoCAMError
    from HemoCAMLib.packages import Need

    class Missing(NothingMissing):
        def missing(self, features=()):
            return [Need("torch>=2.6", "analysis"), Need("timm>=1.0.15", "analysis")]

    logic._packages = Missing()
    with pytest.raises(HemoCAMError, match="needs torch, timm: Apply in its panel installs"):
        logic.run(None)


def test_without_a_volume_one_sentence(logic):
    from HemoCAMLib.errors import InputError

    with pytest.raises(InputError, match="Choose a head CT first"):
        logic.run(None)


def cases():
    """Names of the self-tests."""
    if __import__("slicer_app").why_not():
        return []
    import slicer_app

    slicer_app.install()
    return [name for name in dir(load_module().HemoCAMTest) if name.startswith("test_")]


QUICK = ("test_choices_are_kept", "test_no_volume")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in cases()],
)
def test_self_test(slicer, name):
    """Each as ctest runs it in Slicer: by unittest, from an empty scene."""
    result = unittest.TestResult()
    load_module().HemoCAMTest(name).run(result)
    assert result.testsRun == 1 and not result.errors and not result.failures, result.errors + result.failures
    assert not result.skipped, result.skipped


def test_self_tests_say_what_they_skip(slicer, monkeypatch, caplog):
    import logging

    from HemoCAMLib.packages import Need

    class Missing(NothingMissing):
        def missing(self, features=()):
            return [Need("torch>=2.6", "analysis")]

    module = load_module()
    monkeypatch.setattr(module.HemoCAMLogic, "packages", property(lambda self: Missing()))
    with caplog.at_level(logging.INFO):
        module.HemoCAMTest().runTest()
    text = caplog.text
    assert "test_virtual_patient skipped: not installed: torch" in text
    assert "test_choices_are_kept passed" in text
