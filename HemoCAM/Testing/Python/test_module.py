"""The Slicer module's logic and self-test on slicer-core, with stand-ins for what only the desktop has."""

import importlib.util
import sys
import types

import pytest
from conftest import ROOT

DESKTOP = {
    "slicer.ScriptedLoadableModule": (
        "ScriptedLoadableModule",
        "ScriptedLoadableModuleWidget",
        "ScriptedLoadableModuleLogic",
        "ScriptedLoadableModuleTest",
    ),
    "slicer.i18n": (),
}


@pytest.fixture
def module(monkeypatch):
    """HemoCAM.py, imported as Slicer does."""
    for name, classes in DESKTOP.items():
        stand_in = types.ModuleType(name)
        for cls in classes:
            setattr(stand_in, cls, type(cls, (), {"delayDisplay": lambda self, text: None}))
        stand_in.tr = lambda text: text
        stand_in.translate = lambda context, text: text
        monkeypatch.setitem(sys.modules, name, stand_in)
    spec = importlib.util.spec_from_file_location("HemoCAM", ROOT / "HemoCAM" / "HemoCAM.py")
    loaded = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    spec.loader.exec_module(loaded)
    loaded.new_imports = set(sys.modules) - before
    return loaded


def test_importing_the_module_loads_nothing_heavy(module):
    heavy = {"torch", "timm", "pytorch_grad_cam", "scipy", "SimpleITK", "matplotlib"}
    assert not heavy & {name.split(".")[0] for name in module.new_imports}


def test_the_logic_adds_its_results_to_the_scene_and_leaves_the_ct_alone(module, tiny_bundle):
    import numpy as np
    from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
    from HemoCAMLib.pipeline import Options
    from HemoCAMLib.scene import new_scene, node_to_volume, volume_to_node

    patient = make_patient(PatientSpec(seed=2, kinds=(), size=96, spacing_mm=2.4, slice_mm=10))
    scene = new_scene()
    ct_node = volume_to_node(scene, patient.ct, "mine")
    display = ct_node.GetDisplayNode()
    steps = []
    nodes, finding = module.HemoCAMLogic().run(
        ct_node, tiny_bundle.folder, Options(gate=0.0), lambda *step: steps.append(step)
    )
    assert nodes.ct is ct_node and ct_node.GetDisplayNode() is display and ct_node.GetName() == "mine"
    assert np.array_equal(node_to_volume(ct_node).array, patient.ct.array)
    assert node_to_volume(nodes.heatmap).same_grid(patient.ct) and "highest probability" in finding
    assert any(phase.startswith("Classifying") for phase, *_ in steps)


def test_missing_packages_are_named_before_any_work(module, monkeypatch):
    from HemoCAMLib.errors import HemoCAMError

    monkeypatch.setattr(module, "PACKAGES", ("torch", "no-such-distribution"))
    with pytest.raises(HemoCAMError, match="needs no-such-distribution"):
        module.HemoCAMLogic().run(None)


@pytest.mark.slow
def test_the_modules_own_self_test_passes(module, monkeypatch):
    import slicer
    from HemoCAMLib.scene import new_scene

    monkeypatch.setattr(slicer, "mrmlScene", new_scene(), raising=False)
    module.HemoCAMTest().runTest()
