"""The panel and the scene: display at once, rows, scene close, removal, saving and loading, reload of the module."""

import numpy as np
import pytest
from panel_cases import Opened, add_ct, opened, slicer  # noqa: F401


def voxels(nodes):
    from HemoCAMLib.scene import segmentation_to_volume

    return int(segmentation_to_volume(nodes.mask).array.sum())


def test_threshold_acts_at_once_and_is_the_users_own(opened):
    opened.apply()
    nodes = opened.panel.state.nodes
    segment = nodes.mask.GetSegmentation().GetNthSegmentID(0)
    opened.ui.thresholdSlider.value = 0.2
    wide = voxels(nodes)
    opened.ui.thresholdSlider.value = 0.6
    assert 0 < voxels(nodes) < wide
    assert nodes.mask.GetSegmentation().GetNthSegmentID(0) == segment
    from HemoCAMLib.scene import node_to_volume

    assert voxels(nodes) == int((node_to_volume(nodes.heatmap).array >= 0.6).sum())
    assert not opened.parameters.recommended and not opened.ui.recommendedCheckBox.checked


def test_recommended_brings_gate_and_mask_back(opened):
    opened.parameters.recommended = True
    opened.apply()
    nodes, threshold, count = (
        opened.panel.state.nodes,
        opened.parameters.threshold,
        voxels(opened.panel.state.nodes),
    )
    opened.ui.thresholdSlider.value = 0.9
    assert not opened.parameters.recommended
    opened.ui.recommendedCheckBox.checked = True
    assert opened.parameters.threshold == pytest.approx(threshold) and voxels(nodes) == count


def test_gate_acts_without_a_run(opened):
    opened.apply()
    nodes = opened.panel.state.nodes
    from HemoCAMLib.scene import node_to_volume

    assert opened.ui.gateSlider.enabled
    assert node_to_volume(nodes.heatmap).array.any()
    opened.ui.gateSlider.value = 1.0
    opened.spin(seconds=0.4)
    assert opened.panel.state.nodes.heatmap is nodes.heatmap
    assert not node_to_volume(nodes.heatmap).array.any()
    assert "0 of" in opened.ui.findingLabel.text
    opened.ui.gateSlider.value = 0.0
    opened.spin(seconds=0.4)
    assert node_to_volume(nodes.heatmap).array.any()


def test_display_choices_act_at_once(opened):
    ui = opened.ui
    assert not ui.opacitySlider.enabled and "press Apply" in ui.opacitySlider.toolTip
    opened.apply()
    nodes = opened.panel.state.nodes
    assert ui.opacitySlider.enabled
    ui.opacitySlider.value = 0.25
    composite = opened.slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundOpacity() == 0.25
    before = nodes.heatmap.GetDisplayNode().GetColorNodeID()
    ui.colorsSelector.currentIndex = 3
    assert opened.parameters.colors.value == "viridis"
    assert nodes.heatmap.GetDisplayNode().GetColorNodeID() != before
    ui.showMaskCheckBox.checked = False
    segment = nodes.mask.GetSegmentation().GetNthSegmentID(0)
    assert not nodes.mask.GetDisplayNode().GetSegmentVisibility(segment)


def test_a_second_run_keeps_the_users_look(opened):
    opened.apply()
    opened.ui.opacitySlider.value = 0.25
    opened.ui.showMaskCheckBox.checked = False
    opened.apply()
    composite = opened.slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundOpacity() == 0.25
    nodes = opened.panel.state.nodes
    assert not nodes.mask.GetDisplayNode().GetSegmentVisibility(nodes.mask_segment)


def test_a_row_takes_the_views_to_its_slice(opened):
    opened.apply()
    red = opened.slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    for row in (0, opened.ui.slicesTable.rowCount - 1):
        opened.ui.slicesTable.selectRow(row)
        wanted = int(opened.ui.slicesTable.item(row, 0).text())
        matrix = red.GetSliceToRAS()
        at = np.array([matrix.GetElement(axis, 3) for axis in range(3)])
        assert round(float(opened.patient.ct.ijk(at)[2])) == wanted


def test_closing_the_scene_cancels_and_forgets(opened):
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.slicer.mrmlScene.Clear(0)
    assert not opened.panel.state.running
    opened.spin(seconds=0.2)
    assert opened.panel.state.ct is None and not opened.ui.applyButton.enabled
    assert opened.parameters is not None  # a new scene, new choices
    assert opened.ui.slicesTable.rowCount == 0
    node, _, _ = add_ct(opened.slicer, "next")
    opened.spin()
    assert opened.panel.state.ct is node


def test_removing_the_volume_cancels(opened):
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.slicer.mrmlScene.RemoveNode(opened.ct)
    assert not opened.panel.state.running and "removed" in opened.ui.statusLabel.text
    opened.spin()
    assert opened.panel.state.nodes is None


def test_deleted_results_are_missed_not_mourned(opened):
    opened.apply()
    scene, nodes = opened.slicer.mrmlScene, opened.panel.state.nodes
    scene.RemoveNode(nodes.mask)
    opened.spin()
    assert not opened.ui.thresholdSlider.enabled and "deleted" in opened.ui.thresholdSlider.toolTip
    assert not opened.ui.segmentEditorButton.enabled
    scene.RemoveNode(nodes.slice_table)
    opened.spin()
    assert opened.ui.slicesTable.rowCount == 0
    opened.apply()
    assert opened.panel.state.nodes.mask is not None and opened.ui.slicesTable.rowCount > 0


def test_several_volumes_have_their_own_results(opened):
    opened.apply()
    first = opened.ui.findingLabel.text
    other, _, _ = add_ct(opened.slicer, "other", seed=5)
    opened.ui.inputSelector.setCurrentNode(other)
    assert "No results" in opened.ui.findingLabel.text
    opened.apply()
    assert opened.panel.state.nodes.ct is other
    opened.ct.SetName("renamed")
    opened.ui.inputSelector.setCurrentNode(opened.ct)
    assert opened.ui.findingLabel.text == first


def test_a_saved_scene_comes_back_with_its_choices_and_results(opened, tmp_path):
    from HemoCAMLib.panel.parameters import Colors, Method
    from HemoCAMLib.scene import save_scene

    opened.parameters.method = Method.GRADCAM_PLUS_PLUS
    opened.parameters.colors = Colors.CIVIDIS
    opened.ui.referenceSelector.setCurrentNode(opened.labels)
    opened.apply()
    opened.ui.thresholdSlider.value = 0.625
    opened.panel.results.compare_now()
    finding = opened.ui.findingLabel.text
    rows = opened.ui.comparisonTable.rowCount
    save_scene(opened.slicer.mrmlScene, tmp_path / "saved.mrb")
    load(opened.slicer.mrmlScene, tmp_path / "saved.mrb", tmp_path)
    opened.spin()
    parameters = opened.parameters
    assert parameters.method is Method.GRADCAM_PLUS_PLUS and parameters.colors is Colors.CIVIDIS
    assert parameters.threshold == pytest.approx(0.625) and parameters.inputVolume.GetName() == "mine"
    assert parameters.reference.GetName() == "mine labels"
    assert opened.ui.findingLabel.text == finding and opened.ui.comparisonTable.rowCount == rows
    assert opened.ui.thresholdSlider.enabled and not opened.ui.gateSlider.enabled
    assert "no longer in memory" in opened.ui.gateSlider.toolTip
    opened.ui.thresholdSlider.value = 0.3
    assert voxels(opened.panel.state.nodes) > 0
    opened.apply()
    assert opened.ui.gateSlider.enabled


def load(scene, path, folder):
    """Close the scene and read an .mrb into it, as the application does."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    file = next(folder.rglob("*.mrml"))
    scene.SetURL(str(file))
    assert scene.Connect()


def test_leaving_and_coming_back(opened):
    opened.apply()
    opened.widget.exit()
    opened.slicer.mrmlScene.RemoveNode(opened.panel.state.nodes.heatmap)
    opened.spin()
    opened.widget.enter()
    assert not opened.ui.opacitySlider.enabled and opened.ui.slicesTable.rowCount > 0


def test_a_run_goes_on_while_another_module_is_open(opened):
    opened.ui.applyButton.click()
    opened.widget.exit()
    assert opened.spin(lambda: not opened.panel.state.running, 60)
    opened.widget.enter()
    assert opened.panel.state.nodes.heatmap is not None and opened.ui.slicesTable.rowCount > 0


def test_reload_of_the_module_in_the_middle_of_a_run(opened):
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.slicer.app.moduleManager().unload("HemoCAM")
    assert not opened.panel.applying.runner.running
    again = Opened(opened.slicer)
    assert again.parameters.model == opened.parameters.model and again.ui.applyButton.enabled
    again.apply()
    assert again.panel.state.nodes is not None
    again.close()


def test_the_volume_changed_during_the_run(opened):
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.ct.GetImageData().GetPointData().GetScalars().Modified()
    assert opened.spin(lambda: not opened.panel.state.running, 60)
    assert "changed" in opened.ui.statusLabel.text and opened.panel.state.nodes is None


def test_results_move_with_their_volume(opened):
    import vtk

    opened.apply()
    scene, nodes = opened.slicer.mrmlScene, opened.panel.state.nodes
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 30.0)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(matrix)
    opened.ct.SetAndObserveTransformNodeID(transform.GetID())
    for node in (nodes.heatmap, nodes.mask):
        assert node.GetTransformNodeID() == transform.GetID()
    assert not opened.ui.statusLabel.text
    opened.ct.HardenTransform()
    assert "lie where it was" in opened.ui.statusLabel.text
    opened.apply()
    heat = opened.panel.state.nodes.heatmap
    assert heat.GetOrigin() == pytest.approx(opened.ct.GetOrigin()) and heat.GetTransformNodeID() is None


def test_undo_brings_volume_and_results_back(opened):
    """Slicer's modules leave undo off; an application that is built on it may turn it on."""
    scene = opened.slicer.mrmlScene
    opened.apply()
    finding, heat = opened.ui.findingLabel.text, opened.panel.state.nodes.heatmap
    scene.SetUndoOn()
    for index in range(scene.GetNumberOfNodes()):
        scene.GetNthNode(index).SetUndoEnabled(True)
    scene.SaveStateForUndo()
    scene.RemoveNode(heat)
    opened.spin()
    assert not opened.ui.opacitySlider.enabled
    scene.Undo()
    opened.spin()
    assert opened.panel.state.nodes.heatmap.GetID() == heat.GetID() and opened.ui.opacitySlider.enabled
    assert opened.ui.findingLabel.text == finding
    opened.apply()
    assert opened.panel.state.nodes.heatmap is not None


def test_a_duplicated_scene_stands_on_its_own(opened, tmp_path):
    """The saved scene added to itself: two volumes, each with results of its own; a run replaces only its own."""
    import zipfile

    from HemoCAMLib.scene import save_scene

    opened.apply()
    scene = opened.slicer.mrmlScene
    save_scene(scene, tmp_path / "saved.mrb")
    with zipfile.ZipFile(tmp_path / "saved.mrb") as archive:
        archive.extractall(tmp_path)
    scene.SetURL(str(next(tmp_path.rglob("*.mrml"))))
    assert scene.Import()
    opened.spin()
    opened.ui.inputSelector.setCurrentNode(opened.ct)
    first = opened.panel.state.nodes
    twin = next(
        node
        for node in opened.slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node is not opened.ct and not node.GetAttribute("HemoCAM.target")
    )
    opened.ui.inputSelector.setCurrentNode(twin)
    second = opened.panel.state.nodes
    assert second.ct is twin and second.heatmap is not first.heatmap and second.mask is not first.mask
    kept = first.heatmap.GetImageData().GetMTime()
    opened.parameters.stage = 2
    opened.apply()
    assert first.heatmap.GetImageData().GetMTime() == kept
    assert opened.panel.state.nodes.heatmap.GetAttribute("HemoCAM.stage") == "2"


def test_going_to_and_fro_connects_nothing_twice(opened):
    """Slicer's parameter nodes keep an observer of every connection for as long as they live."""
    connected = []
    original = type(opened.parameters).connectParametersToGui
    type(opened.parameters).connectParametersToGui = lambda self, found: (
        connected.append(1) or original(self, found)
    )
    try:
        for _ in range(3):
            opened.widget.exit()
            opened.widget.enter()
    finally:
        type(opened.parameters).connectParametersToGui = original
    assert not connected
    opened.ui.thresholdSlider.value = 0.4
    assert opened.parameters.threshold == pytest.approx(0.4)
