"""HemoCAM in 3D Slicer: a panel over the library. Choose a head CT, press Apply. Not for clinical use."""

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


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
        slicer.app.connect("startupCompleted()", self.register_samples)

    def register_samples(self) -> None:
        """Offer virtual patients in Slicer's Sample Data module."""
        from pathlib import Path

        from HemoCAMLib.panel.sample_data import register_samples

        def prepare() -> bool:
            from HemoCAMLib.panel.packages_dialog import PackagesDialog, make_packages

            return PackagesDialog(make_packages()).ready()

        register_samples(Path(self.resourcePath("Icons")), prepare)


class HemoCAMWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Wires Slicer's events to the panel; what they mean is decided in ``HemoCAMLib.panel``."""

    def __init__(self, parent=None) -> None:  # noqa: ANN001
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self.panel = self._parameters = self._connection = None
        self._entered = False

    def setup(self) -> None:
        """Load the panel and connect it to the scene."""
        from HemoCAMLib.panel.packages_dialog import PackagesDialog
        from HemoCAMLib.panel.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/HemoCAM.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = HemoCAMLogic()
        self.panel = Panel(self.ui, self.logic.work, PackagesDialog(self.logic.packages))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.on_scene_start_close)
        self.addObserver(scene, scene.EndCloseEvent, self.on_scene_end_close)
        self.addObserver(scene, scene.EndImportEvent, self.on_scene_end_import)
        self.addObserver(scene, scene.NodeAddedEvent, self.on_nodes)
        self.addObserver(scene, scene.NodeRemovedEvent, self.on_nodes)
        self.attach()

    def cleanup(self) -> None:
        """Stop all work before the module is reloaded or Slicer closes."""
        if self.panel is not None:
            self.panel.close()
        self.detach()
        self.removeObservers()

    def enter(self) -> None:
        """Show the scene as it is now; it may have changed while another module was open."""
        self._entered = True
        self.attach()
        self.panel.packages.resume()

    def exit(self) -> None:
        """Leave everything connected: a run goes on, and scripts may change choices meanwhile."""
        self._entered = False

    def attach(self) -> None:
        """Connect the panel to the scene's parameter node, and to no node twice: each connection stays in Slicer."""
        found = self.logic.getParameterNode()
        if self._parameters is None or self._parameters.parameterNode is not found.parameterNode:
            self.detach()
            self._parameters = found
        if self._connection is None:
            widgets = {w.property("SlicerParameterName"): w for w in vars(self.ui).values()}
            named = {name: widget for name, widget in widgets.items() if name}
            self._connection = self._parameters.connectParametersToGui(named)  # connectGui gives no tag
            self.addObserver(self._parameters, vtk.vtkCommand.ModifiedEvent, self.on_parameters)
        else:
            with self.panel.state.setting():
                self._parameters.Modified()  # an import may have changed references without a word
        self.panel.attach(self._parameters)

    def detach(self) -> None:
        """Disconnect the panel from the parameter node."""
        if self._connection is None:
            return
        self._parameters.disconnectGui(self._connection)
        self.removeObserver(self._parameters, vtk.vtkCommand.ModifiedEvent, self.on_parameters)
        self._connection = None

    def on_parameters(self, caller=None, event=None) -> None:  # noqa: ANN001
        """Let the panel answer to a choice."""
        self.panel.on_parameters()

    def on_nodes(self, caller=None, event=None) -> None:  # noqa: ANN001
        """Let the panel answer to nodes that came or went."""
        if not slicer.mrmlScene.IsBatchProcessing():
            self.panel.on_nodes_soon()

    def on_scene_start_close(self, caller=None, event=None) -> None:  # noqa: ANN001
        """Stop the run: its volume goes away."""
        self.detach()
        self.panel.on_scene_closing()

    def on_scene_end_close(self, caller=None, event=None) -> None:  # noqa: ANN001
        """Begin anew in the empty scene."""
        if self._entered:
            self.attach()

    def on_scene_end_import(self, caller=None, event=None) -> None:  # noqa: ANN001
        """Show what was saved with the scene."""
        if self._entered:
            self.attach()


class HemoCAMLogic(ScriptedLoadableModuleLogic):
    """The analysis of volumes of the scene, for the panel and for scripts; needs no screen."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._work = self._packages = None

    @property
    def work(self):  # noqa: ANN201
        """What analyses, and keeps what another look at the same CT can use."""
        from HemoCAMLib.panel.work import Work

        self._work = self._work or Work()
        return self._work

    @property
    def packages(self):  # noqa: ANN201
        """What has to be installed, and how."""
        from HemoCAMLib.panel.packages_dialog import make_packages

        self._packages = self._packages or make_packages()
        return self._packages

    def getParameterNode(self):  # noqa: ANN201, N802
        """Return the choices of the panel, as they stand in the scene."""
        from HemoCAMLib.panel.parameters import Parameters

        return Parameters(super().getParameterNode())

    def missing_packages(self, engine: str = "hemocam") -> list[str]:
        """Names of the packages that are still to be installed for an analysis with this engine."""
        from HemoCAMLib.packages import features_of

        return [need.name for need in self.packages.missing(features_of(engine))]

    def install_packages(self, engine: str = "hemocam") -> bool:
        """Ask the user once, install what is missing for this engine; return whether all is there now."""
        from HemoCAMLib.packages import features_of
        from HemoCAMLib.panel.packages_dialog import PackagesDialog

        return PackagesDialog(self.packages).ready(features_of(engine))

    def run(self, ct_node, model=None, options=None, reference=None, segment=None, progress=None):  # noqa: ANN001, ANN201
        """Analyse a CT and add heat map, mask, tables and plot to its scene: what Apply does, in one call.

        Parameters
        ----------
        ct_node:
            vtkMRMLScalarVolumeNode with a head CT in HU; it is not changed.
        model:
            Name or folder of a bundle; the shipped one by default.
        options:
            ``HemoCAMLib.pipeline.Options``; the bundle's defaults by default.
        reference, segment:
            vtkMRMLSegmentationNode to compare with, and the ID of its segment (by default the first).
        progress:
            ``progress(phase, done, total)``, called between steps; raise ``HemoCAMLib.errors.Cancelled`` to stop.

        Returns
        -------
        ``HemoCAMLib.panel.run.Results``: ``nodes`` in the scene, ``finding`` (one sentence), ``slices`` (the most
        probable first), ``mask_ml``, ``comparison`` (by the names of the measures), ``analysis`` (all numbers).
        A second call for the same CT replaces its results, and computes only what the first has not.

        Raises
        ------
        HemoCAMError
            With one sentence: packages missing, not a head CT, no such model. The scene is then as it was.
        """
        from HemoCAMLib.errors import HemoCAMError
        from HemoCAMLib.panel.run import Request
        from HemoCAMLib.pipeline import Options
        from HemoCAMLib.progress import silent

        options = options or Options()
        missing = self.missing_packages(options.engine)
        if missing:
            raise HemoCAMError(
                f"HemoCAM needs {', '.join(missing)}: Apply in its panel installs what it needs, and so does "
                f"install_packages('{options.engine}') of this logic."
            )
        request = Request(ct_node, str(model or ""), options, reference, segment or "")
        return self.work.start(request).run(progress or silent)

    def show(self, results) -> None:  # noqa: ANN001
        """Show results in the slice views, at the peak of the heat map."""
        from HemoCAMLib.scene import show_results

        show_results(results.nodes.ct.GetScene(), results.nodes)


class HemoCAMTest(ScriptedLoadableModuleTest):
    """Self-tests on a virtual patient, made here without a download. What needs torch says so where it is absent."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear(0)
        self.logic = HemoCAMLogic()

    def runTest(self) -> None:  # noqa: N802
        """Run every ``test_*`` method, each in an empty scene; skipped ones are shown as such."""
        import unittest

        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            try:
                getattr(self, name)()
            except unittest.SkipTest as reason:
                self.delayDisplay(f"{name} skipped: {reason}")
            else:
                self.delayDisplay(f"{name} passed")

    def patient(self):  # noqa: ANN201
        """Add the virtual patient: its CT, labels, and CT node; skip where the packages are missing."""
        from HemoCAMLib.phantoms.patient import demo_spec, make_patient
        from HemoCAMLib.scene import volume_to_node

        missing = self.logic.missing_packages()
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}; press Apply in the panel to install them")
        patient = make_patient(demo_spec())
        return patient, volume_to_node(slicer.mrmlScene, patient.ct, "Virtual patient")

    def test_choices_are_kept(self) -> None:
        """The choices of the panel stand in the scene."""
        from HemoCAMLib.panel.parameters import Method

        parameters = self.logic.getParameterNode()
        parameters.method, parameters.stage, parameters.gate = Method.LAYERCAM, 4, 0.25
        again = HemoCAMLogic().getParameterNode()
        self.assertEqual((again.method, again.stage, again.gate), (Method.LAYERCAM, 4, 0.25))

    def test_virtual_patient(self) -> None:
        """The known hemorrhage is found, the results lie on the CT, and the comparison is tabled."""
        from HemoCAMLib.scene import node_to_volume
        from HemoCAMLib.scene.segmentations import REFERENCE_COLOR, add_segmentation

        patient, node = self.patient()
        reference = add_segmentation(
            slicer.mrmlScene, patient.labels, "Labels", "Hemorrhage", REFERENCE_COLOR, node
        )
        results = self.logic.run(node, reference=reference)
        heat = node_to_volume(results.nodes.heatmap)
        self.assertTrue(heat.same_grid(patient.ct), "the heat map does not lie on the CT")
        lit = heat.array.reshape(len(heat.array), -1).max(axis=1) > 0
        bleeding = (patient.labels.array > 0).reshape(len(heat.array), -1).any(axis=1)
        self.assertGreaterEqual((lit & bleeding).sum(), 0.6 * bleeding.sum(), results.finding)
        self.assertGreater(float(results.comparison["Dice coefficient"]), 0.3)
        self.assertGreater(results.mask_ml, 1.0)

    def test_second_run_replaces(self) -> None:
        """Another method replaces the results of the first, from what the first run has captured."""
        from HemoCAMLib.pipeline import Options

        _patient, node = self.patient()
        self.logic.run(node)
        before = slicer.mrmlScene.GetNumberOfNodes()
        results = self.logic.run(node, options=Options(method="layercam"))
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.assertEqual(results.nodes.heatmap.GetAttribute("HemoCAM.method"), "layercam")

    def test_threshold_is_live(self) -> None:
        """The mask follows the threshold, and the same segment stays."""
        from HemoCAMLib.scene.live import set_threshold

        _patient, node = self.patient()
        results = self.logic.run(node)
        segment = results.nodes.mask.GetSegmentation().GetNthSegmentID(0)
        set_threshold(results.nodes, 0.3)
        wide = results.mask_ml
        set_threshold(results.nodes, 0.7)
        self.assertLess(results.mask_ml, wide)
        self.assertEqual(results.nodes.mask.GetSegmentation().GetNthSegmentID(0), segment)

    def test_cancel_leaves_the_scene(self) -> None:
        """A run that is stopped leaves the scene as it was."""
        from HemoCAMLib.errors import Cancelled

        def stop(phase: str, done: int, total: int) -> None:
            if done > 0:
                raise Cancelled

        _patient, node = self.patient()
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(Cancelled):
            self.logic.run(node, progress=stop)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_saved_results_come_back(self) -> None:
        """Results are found again in a scene that was saved and loaded."""
        import tempfile
        from pathlib import Path

        from HemoCAMLib.scene import load_scene, save_scene
        from HemoCAMLib.scene.runs import results_of

        _patient, node = self.patient()
        results = self.logic.run(node)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "saved.mrb"
            save_scene(slicer.mrmlScene, path)
            scene = load_scene(path)
        found = results_of(scene, scene.GetFirstNodeByName("Virtual patient"))
        self.assertEqual(found.heatmap.GetName(), results.nodes.heatmap.GetName())

    def test_no_volume(self) -> None:
        """Without a CT, one sentence says what to do, and nothing is added."""
        from HemoCAMLib.errors import HemoCAMError

        with self.assertRaises(HemoCAMError) as caught:
            self.logic.run(None)
        self.assertRegex(str(caught.exception), "Choose a head CT first|needs ")
