"""HemoCAM in 3D Slicer: a panel over the library. Choose a head CT, press Apply. Not for clinical use."""

from importlib.metadata import PackageNotFoundError, version

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

# Distribution names: their presence is checked without importing them, which takes seconds.
PACKAGES = ("torch", "torchvision", "timm", "grad-cam", "safetensors", "jsonschema")


class HemoCAM(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent) -> None:  # noqa: ANN001  (Slicer's own object)
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("HemoCAM")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = []
        self.parent.contributors = ["The HemoCAM developers"]
        self.parent.helpText = _(
            "Class activation maps of a hemorrhage classifier on head CT: where did the model look, and was it "
            "right? Research software, not for clinical use."
        )
        self.parent.acknowledgementText = _(
            "After Rafati et al., Benchmarking Class Activation Map Methods for Explainable Brain Hemorrhage "
            "Classification on Hemorica Dataset, 2025 (arXiv 2508.17699)."
        )


class HemoCAMWidget(ScriptedLoadableModuleWidget):
    """The panel: it reads its controls, calls the logic, and shows progress and errors."""

    def setup(self) -> None:
        """Load the panel and connect its button."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/HemoCAM.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = HemoCAMLogic()
        self.ui.applyButton.connect("clicked(bool)", self.on_apply)
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.on_input)
        self.on_input(self.ui.inputSelector.currentNode())

    def on_input(self, node: object) -> None:
        """Enable Apply where there is a volume to work on."""
        self.ui.applyButton.enabled = node is not None
        self.ui.applyButton.toolTip = _("Analyse this CT") if node else _("Choose a head CT first")

    def on_apply(self) -> None:
        """Run the analysis; errors are shown as one sentence."""
        from HemoCAMLib.errors import HemoCAMError

        self.ui.applyButton.enabled = False  # events are processed meanwhile: no second run inside the first
        with slicer.util.tryWithErrorDisplay(_("HemoCAM could not analyse this volume."), waitCursor=True):
            try:
                nodes, finding = self.logic.run(
                    self.ui.inputSelector.currentNode(), progress=self.show_progress
                )
            except HemoCAMError as error:
                slicer.util.errorDisplay(str(error), windowTitle="HemoCAM")
                return
            finally:
                self.ui.progressBar.setValue(0)
                self.on_input(self.ui.inputSelector.currentNode())
            self.ui.resultLabel.text = finding
            self.logic.show(nodes)

    def show_progress(self, phase: str, done: int, total: int) -> None:
        """Show where the work stands and keep the window alive."""
        self.ui.progressBar.maximum = max(total, 1)
        self.ui.progressBar.setValue(done)
        self.ui.progressBar.setFormat(f"{phase} (%p%)")
        slicer.app.processEvents()


class HemoCAMLogic(ScriptedLoadableModuleLogic):
    """The analysis of a volume of the scene, for the panel and for scripts; needs no screen."""

    @staticmethod
    def missing_packages() -> list[str]:
        """Names of the packages that are still to be installed."""

        def absent(name: str) -> bool:
            try:
                version(name)
            except PackageNotFoundError:
                return True
            return False

        return [name for name in PACKAGES if absent(name)]

    def run(self, ct_node, model=None, options=None, progress=None):  # noqa: ANN001, ANN201
        """Analyse a CT and add heat map, mask, table and plot to its scene.

        Parameters
        ----------
        ct_node:
            vtkMRMLScalarVolumeNode with a head CT in HU; it is not changed.
        model:
            Name or folder of a bundle; the shipped one by default.
        options:
            ``HemoCAMLib.pipeline.Options``; the bundle's defaults by default.
        progress:
            ``HemoCAMLib.progress.Progress``.

        Returns
        -------
        The nodes made (``HemoCAMLib.scene.SceneNodes``) and a sentence that says what was found.

        Raises
        ------
        HemoCAMError
            With one sentence: packages missing, not a head CT, no such model.
        """
        from HemoCAMLib.errors import HemoCAMError
        from HemoCAMLib.models.bundle import DEFAULT_MODEL, Bundle
        from HemoCAMLib.pipeline import analyse
        from HemoCAMLib.progress import silent
        from HemoCAMLib.scene import add_results, content_of, node_to_volume
        from HemoCAMLib.volumes.headct import check_head_ct

        missing = self.missing_packages()
        if missing:
            raise HemoCAMError(
                f"HemoCAM needs {', '.join(missing)}: install torch with the PyTorch extension and the others with "
                f"slicer.util.pip_install in the Python console, as its README describes."
            )
        ct = node_to_volume(ct_node)
        check_head_ct(ct)
        bundle = Bundle.open(model or DEFAULT_MODEL)
        analysis = analyse(ct, bundle, options, progress or silent)
        nodes = add_results(ct_node.GetScene(), content_of(analysis, bundle), ct_node)
        target = analysis.probabilities[:, analysis.target_index]
        count = int(analysis.gate[analysis.slabs.of_slice].sum())
        finding = _("{target}: highest probability {p:.2f}; {count} slices pass the gate.").format(
            target=analysis.options.target, p=float(target.max()), count=count
        )
        return nodes, finding

    def show(self, nodes) -> None:  # noqa: ANN001
        """Show a result in the slice views, at the peak of its heat map."""
        from HemoCAMLib.scene import show_results

        show_results(nodes.ct.GetScene(), nodes)


class HemoCAMTest(ScriptedLoadableModuleTest):
    """Self-test: a virtual patient through the logic."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:  # noqa: N802
        """Run all tests."""
        self.setUp()
        self.test_virtual_patient()

    def test_virtual_patient(self) -> None:
        """The known hemorrhage is found, and the results lie on the CT."""
        from HemoCAMLib.phantoms.patient import demo_spec, make_patient
        from HemoCAMLib.scene import node_to_volume, volume_to_node

        logic = HemoCAMLogic()
        if logic.missing_packages():
            self.delayDisplay(f"Skipped: {', '.join(logic.missing_packages())} not installed")
            return
        patient = make_patient(demo_spec())
        ct_node = volume_to_node(slicer.mrmlScene, patient.ct, "Virtual patient")
        nodes, finding = logic.run(ct_node)
        heat = node_to_volume(nodes.heatmap)
        assert heat.same_grid(patient.ct), "the heat map does not lie on the CT"
        lit = heat.array.reshape(len(heat.array), -1).max(axis=1) > 0
        bleeding = (patient.labels.array > 0).reshape(len(heat.array), -1).any(axis=1)
        assert (lit & bleeding).sum() >= 0.6 * bleeding.sum(), finding
        self.delayDisplay("Test passed")
