"""What tests of the panel share: the stand-in for Slicer's application, and a panel with a CT in an empty scene."""

import importlib.util
import sys
import time

import pytest
import slicer_app
from conftest import ROOT

HEMOCAM = ROOT / "HemoCAM" / "HemoCAM.py"
UI = ROOT / "HemoCAM" / "Resources" / "UI" / "HemoCAM.ui"


def need_qt():
    """Skip, visibly, where Qt cannot be loaded."""
    reason = slicer_app.why_not()
    if reason:
        pytest.skip(reason)


def load_module():
    """HemoCAM.py, imported as Slicer does."""
    if "HemoCAM" not in sys.modules:
        spec = importlib.util.spec_from_file_location("HemoCAM", HEMOCAM)
        module = importlib.util.module_from_spec(spec)
        sys.modules["HemoCAM"] = module
        spec.loader.exec_module(module)
    return sys.modules["HemoCAM"]


@pytest.fixture
def slicer():
    """Slicer with an empty scene; fails afterwards if a slot raised."""
    need_qt()
    stand_in = slicer_app.install()
    import slicer
    from HemoCAMLib.scene import new_scene
    from slicer_app.pythonqt import slot_errors

    slot_errors.clear()
    slicer.mrmlScene = new_scene()
    yield slicer
    for _ in range(3):
        stand_in.app.processEvents()
    assert not slot_errors, slot_errors
    assert stand_in.app.cursors == 0


def add_ct(slicer, name="mine", seed=2):
    """A small virtual patient in the scene: CT node, reference node, patient."""
    from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
    from HemoCAMLib.scene import volume_to_node
    from HemoCAMLib.scene.segmentations import REFERENCE_COLOR, add_segmentation

    patient = make_patient(
        PatientSpec(seed=seed, kinds=("intraparenchymal",), size=96, spacing_mm=2.4, slice_mm=10)
    )
    node = volume_to_node(slicer.mrmlScene, patient.ct, name)
    labels = add_segmentation(
        slicer.mrmlScene, patient.labels, f"{name} labels", "Blood", REFERENCE_COLOR, node
    )
    return node, labels, patient


class NothingMissing:
    """Packages that are all there."""

    def missing(self, features=()):
        return []

    def ensure(self, ask, features, progress):
        from HemoCAMLib.packages import Outcome

        return Outcome({}, {}, False, "All packages are there.")

    def pending(self):
        return None


class Opened:
    """A panel as the user sees it."""

    def __init__(self, slicer, packages=None):
        import qt

        module = load_module()
        self.slicer = slicer
        self.parent = slicer.qMRMLWidget()
        self.parent.setLayout(qt.QVBoxLayout())
        self.parent.setMRMLScene(slicer.mrmlScene)
        self.widget = module.HemoCAMWidget(self.parent)
        original = module.HemoCAMLogic.packages
        module.HemoCAMLogic.packages = property(lambda logic: packages or NothingMissing())
        try:
            self.widget.setup()
        finally:
            module.HemoCAMLogic.packages = original
        self.widget.enter()
        self.ui, self.panel, self.logic = self.widget.ui, self.widget.panel, self.widget.logic

    @property
    def parameters(self):
        return self.panel.state.parameters

    def spin(self, until=lambda: False, seconds=0.05):
        """Let events happen until something is true, or for a while."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            self.slicer.app.processEvents()
        return until()

    def apply(self, seconds=120):
        """Press Apply, and wait for the end."""
        self.ui.applyButton.click()
        assert self.spin(lambda: not self.panel.state.running, seconds)
        self.spin()

    def close(self):
        self.widget.cleanup()
        self.parent.deleteLater()
        self.spin()


@pytest.fixture
def opened(slicer, tiny_bundle):
    """The panel, with a CT and its labels in the scene, and a tiny model chosen."""
    node, labels, patient = add_ct(slicer)
    panel = Opened(slicer)
    panel.ct, panel.labels, panel.patient = node, labels, patient
    panel.parameters.model = str(tiny_bundle.folder)
    panel.parameters.gate = 0.0  # random weights: let every slice show its map
    yield panel
    panel.close()


def node_names(scene):
    """The names of all nodes that a user sees."""
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    return sorted(node.GetName() for node in nodes if not node.GetHideFromEditors() and node.GetName())
