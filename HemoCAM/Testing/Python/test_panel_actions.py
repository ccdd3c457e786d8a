"""The panel's other buttons: model, card, curve, Segment Editor, export; and padding, keys, models as files."""

import csv
import json

import numpy as np
import pytest
from panel_cases import opened, slicer  # noqa: F401


def test_the_models_that_come_along_are_listed(opened):
    from HemoCAMLib.models.bundle import DEFAULT_MODEL

    ui = opened.ui
    opened.parameters.model = ""
    assert ui.modelSelector.itemText(0) == DEFAULT_MODEL and ui.modelSelector.currentIndex == 0
    assert not ui.folderPath.isVisibleTo(opened.parent)
    assert "EfficientNetV2-S" in ui.modelSelector.toolTip
    ui.modelSelector.currentIndex = ui.modelSelector.count - 1
    assert ui.folderPath.isVisibleTo(opened.parent)


def test_a_folder_of_ones_own(opened, tiny_bundle, tmp_path):
    ui = opened.ui
    opened.parameters.model = ""
    ui.modelSelector.currentIndex = ui.modelSelector.count - 1
    ui.folderPath.currentPath = str(tmp_path)
    assert not ui.applyButton.enabled and "model.json" in ui.applyButton.toolTip
    assert not ui.cardButton.enabled and ui.cardButton.toolTip == ui.applyButton.toolTip
    ui.folderPath.currentPath = str(tiny_bundle.folder)
    assert ui.applyButton.enabled and opened.parameters.model == str(tiny_bundle.folder)
    classes = [ui.targetSelector.itemData(i) for i in range(1, ui.targetSelector.count)]
    assert tuple(classes) == tiny_bundle.manifest.classes


def test_a_class_is_chosen(opened):
    opened.ui.targetSelector.currentIndex = 2
    chosen = opened.parameters.target
    assert chosen and chosen == opened.ui.targetSelector.currentText
    opened.apply()
    assert opened.panel.state.nodes.heatmap.GetAttribute("HemoCAM.target") == chosen
    assert chosen in opened.ui.slicesTable.horizontalHeaderItem(2).text()


def test_the_card_is_one_click_away(opened):
    opened.parameters.model = ""
    dialog = opened.panel.model.card_dialog()
    text = dialog.findChild(type(dialog), "nothing")
    assert text is None
    card = next(c for c in dialog.children() if c.name == "cardText")
    assert card.toPlainText().startswith("Trained on no patient; research only.")
    dialog.deleteLater()


def test_the_curve_is_a_plot(opened):
    opened.apply()
    opened.ui.curveButton.click()
    selection = opened.slicer.mrmlScene.GetSingletonNode("Singleton", "vtkMRMLSelectionNode")
    assert selection.GetActivePlotChartID() == opened.panel.state.nodes.chart.GetID()
    layout = opened.slicer.app.layoutManager().layout
    assert layout == opened.slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView


def test_the_mask_goes_to_segment_editor(opened):
    from slicer_app import application

    editor = application.start_segment_editor(opened.slicer)
    opened.apply()
    opened.ui.segmentEditorButton.click()
    assert opened.slicer.util.selectedModule() == "SegmentEditor"
    assert editor.segmentation is opened.panel.state.nodes.mask and editor.source is opened.ct


def test_export_writes_the_files_of_a_run(opened, tmp_path):
    import SimpleITK as sitk
    from HemoCAMLib.scene import node_to_volume

    opened.ui.referenceSelector.setCurrentNode(opened.labels)
    opened.apply()
    opened.panel.actions.export_to(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "heatmap.nrrd", "heatmap_raw.nrrd", "segmentation.seg.nrrd", "slices.csv", "comparison.csv",
        "summary.json", "review.png", "scene.mrb",
    }  # fmt: skip
    assert "8 files" in opened.ui.statusLabel.text
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "heatmap.nrrd")),
        node_to_volume(opened.panel.state.nodes.heatmap).array,
    )
    rows = list(csv.reader((tmp_path / "slices.csv").open(encoding="utf-8")))
    positions = [float(row[1]) for row in rows[1:]]
    assert len(rows) == opened.patient.ct.shape[0] + 1 and positions == sorted(positions)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["comparison"]["Dice coefficient"] is not None and "mine" not in json.dumps(summary)


def test_export_of_a_loaded_scene_writes_what_is_there(opened, tmp_path):
    opened.apply()
    opened.panel.work.forget()
    opened.panel.actions.export_to(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"heatmap.nrrd", "segmentation.seg.nrrd", "slices.csv"} <= names and "summary.json" not in names
    assert "no longer in memory" in opened.ui.statusLabel.text


def test_export_to_nowhere_says_so_and_leaves_nothing(opened, tmp_path):
    opened.apply()
    opened.panel.actions.export_to(tmp_path / "missing")
    assert "choose another folder" in opened.ui.statusLabel.text and not list(tmp_path.iterdir())


def test_padding_becomes_air_and_the_node_stays(slicer):
    from HemoCAMLib.panel.ct_node import ct_of
    from HemoCAMLib.scene import node_to_volume, volume_to_node
    from HemoCAMLib.volumes.volume import Volume

    array = np.full((3, 4, 5), 30, np.int16)
    array[0] = -3024
    node = volume_to_node(slicer.mrmlScene, Volume(array, np.eye(4)))
    assert ct_of(node).array[0].max() == -1024
    assert node_to_volume(node).array[0].max() == -3024


def test_another_place_or_other_voxels_are_another_key(slicer):
    from HemoCAMLib.panel.ct_node import key_of
    from HemoCAMLib.scene import volume_to_node
    from HemoCAMLib.volumes.volume import Volume

    node = volume_to_node(slicer.mrmlScene, Volume(np.zeros((3, 4, 5), np.int16), np.eye(4)))
    keys = [key_of(node)]
    assert key_of(node) == keys[0]
    node.SetName("another name")
    assert key_of(node) == keys[0]
    node.SetOrigin(1, 0, 0)
    keys.append(key_of(node))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformNodeID(transform.GetID())
    slicer.util.arrayFromVolume(node)[:] = 1
    slicer.util.arrayFromVolumeModified(node)
    keys.append(key_of(node))
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", r"is not valid JSON .*repair or replace it\.$"),
        ("[]", r"does not hold a JSON object; repair or replace it\.$"),
        ('{"name": "x"}', r"does not describe a model .*choose another folder\.$"),
    ],
)
def test_a_broken_model_is_one_sentence(tmp_path, content, sentence, slicer):
    from HemoCAMLib.errors import ModelError
    from HemoCAMLib.panel.models import ModelInfo

    (tmp_path / "model.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=sentence):
        ModelInfo.read(str(tmp_path))


def test_a_model_without_a_card_says_so(tiny_bundle, tmp_path, slicer):
    import shutil

    from HemoCAMLib.panel.models import ModelInfo

    shutil.copy(tiny_bundle.folder / "model.json", tmp_path)
    assert "without a card" in ModelInfo.read(str(tmp_path)).card()
