"""The panel and the scene: display at once, rows, scene close, removal, saving and loading, reload of the module."""

import numpy as np
import pytest
from panel_cases import Opened, add_ct, opened, slicer  # noqa: F401


def voxels(nodes):
    from HemoCAMLib.scene import segmentation_to_volume

    return int(segmentation_to_volume(nodes.mask).array.sum())


def test_threshold_acts_at_once_and_is_the_users_own(opened):  # noqa: F811
    opened.apply()
    nodes = opened.panel.state.nodes
    segment = nodes.mask.GetSegmentation().GetNthSegmentID(0)
    opened.ui.thresholdSlider.value = 0.2
    wide = voxels(nodes)
    opened.ui.thresholdSlider.value = 0.8
    assert 0 < voxels(nodes) < wide
    assert nodes.mask.GetSegmentation().GetNthSegmentID(0) == segment
    from HemoCAMLib.scene import node_to_volume

    assert voxels(nodes) == int((node_to_volume(nodes.heatmap).array >= 0.8).sum())
    assert not opened.parameters.recommended and not opened.ui.recommendedCheckBox.checked


def test_recommended_brings_gate_and_mask_back(opened):  # noqa: F811
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


def test_gate_acts_without_a_run(opened):  # noqa: F811
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


def test_display_choices_act_at_once(opened):  # noqa: F811
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


def test_a_second_run_keeps_the_users_look(opened):  # noqa: F811
    opened.apply()
    opened.ui.opacitySlider.value = 0.25
    opened.ui.showMaskCheckBox.checked = False
    opened.apply()
    composite = opened.slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundOpacity() == 0.25
    nodes = opened.panel.state.nodes
    assert not nodes.mask.GetDisplayNode().GetSegmentVisibility(nodes.mask_segment)


def test_a_row_takes_the_views_to_its_slice(opened):  # noqa: F811
    opened.apply()
    red = opened.slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    for row in (0, opened.ui.slicesTable.rowCount - 1):
        opened.ui.slicesTable.selectRow(row)
        wanted = int(opened.ui.slicesTable.item(row, 0).text())
        matrix = red.GetSliceToRAS()
        at = np.array([matrix.GetElement(axis, 3) for axis in range(3)])
        assert round(float(opened.patient.ct.ijk(at)[2])) == wanted


def test_closing_the_scene_cancels_and_forgets(opened):  # noqa: F811
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


def test_removing_the_volume_cancels(opened):  # noqa: F811
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.slicer.mrmlScene.RemoveNode(opened.ct)
    assert not opened.panel.state.running and "removed" in opened.ui.statusLabel.text
    opened.spin()
    assert opened.panel.state.nodes is None


def test_deleted_results_are_missed_not_mourned(opened):  # noqa: F811
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


def test_several_volumes_have_their_own_results(opened):  # noqa: F811
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


def test_a_saved_scene_comes_back_with_its_choices_and_results(opened, tmp_path):  # noqa: F811
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


def test_leaving_and_coming_back(opened):  # noqa: F811
    opened.apply()
    opened.widget.exit()
    opened.slicer.mrmlScene.RemoveNode(opened.panel.state.nodes.heatmap)
    opened.spin()
    opened.widget.enter()
    assert not opened.ui.opacitySlider.enabled and opened.ui.slicesTable.rowCount > 0


def test_a_run_goes_on_while_another_module_is_open(opened):  # noqa: F811
    opened.ui.applyButton.click()
    opened.widget.exit()
    assert opened.spin(lambda: not opened.panel.state.running, 60)
    opened.widget.enter()
    assert opened.panel.state.nodes.heatmap is not None and opened.ui.slicesTable.rowCount > 0


def test_reload_of_the_module_in_the_middle_of_a_run(opened):  # noqa: F811
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.slicer.app.moduleManager().unload("HemoCAM")
    assert not opened.panel.applying.runner.running
    again = Opened(opened.slicer)
    assert again.parameters.model == opened.parameters.model and again.ui.applyButton.enabled
    again.apply()
    assert again.panel.state.nodes is not None
    again.close()


def test_the_volume_changed_during_the_run(opened):  # noqa: F811
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.ct.GetImageData().GetPointData().GetScalars().Modified()
    assert opened.spin(lambda: not opened.panel.state.running, 60)
    assert "changed" in opened.ui.statusLabel.text and opened.panel.state.nodes is None
