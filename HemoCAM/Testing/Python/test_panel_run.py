"""The panel as its user drives it: choose, Apply, progress, Cancel, errors, another method."""

import pytest
from panel_cases import NothingMissing, Opened, add_ct, node_names, opened, slicer  # noqa: F401


def test_a_volume_and_apply_is_enough(slicer, tiny_bundle, monkeypatch):
    from HemoCAMLib.panel import run

    monkeypatch.setattr(run, "DEFAULT_MODEL", str(tiny_bundle.folder))
    node, _, _ = add_ct(slicer)
    panel = Opened(slicer)
    assert panel.parameters.inputVolume is node and panel.ui.applyButton.enabled
    panel.apply()
    assert panel.panel.state.nodes.heatmap is not None
    assert "highest probability" in panel.ui.findingLabel.text
    panel.close()


def test_without_a_volume_apply_says_why_not(slicer):
    panel = Opened(slicer)
    assert not panel.ui.applyButton.enabled and "Choose a head CT" in panel.ui.applyButton.toolTip
    node, _, _ = add_ct(slicer)
    panel.spin()
    assert panel.parameters.inputVolume is node and panel.ui.applyButton.enabled
    assert "Analyse this CT" in panel.ui.applyButton.toolTip
    panel.close()


def test_apply_becomes_cancel_and_the_bar_moves_forward(opened):
    ui, bar, texts = opened.ui, [], set()
    assert not ui.progressBar.isVisibleTo(opened.parent)
    ui.applyButton.click()
    assert ui.applyButton.text == "Cancel" and "scene stays" in ui.applyButton.toolTip
    assert ui.progressBar.isVisibleTo(opened.parent)
    assert not ui.inputSelector.enabled and "running" in ui.inputSelector.toolTip

    def look():
        bar.append(ui.progressBar.value)
        texts.add(ui.progressBar.format)
        return not opened.panel.state.running

    assert opened.spin(look, 60)
    opened.spin()
    assert bar == sorted(bar) and len(set(bar)) > 2
    assert any("%p%" in text for text in texts)
    assert ui.applyButton.text == "Apply" and not ui.progressBar.isVisibleTo(opened.parent)
    assert ui.inputSelector.enabled


def test_the_results_are_shown(opened):
    ui = opened.ui
    opened.apply()
    nodes = opened.panel.state.nodes
    rows = [float(ui.slicesTable.item(row, 2).text()) for row in range(ui.slicesTable.rowCount)]
    assert len(rows) == opened.patient.ct.shape[0] and rows == sorted(rows, reverse=True)
    composite = opened.slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == nodes.heatmap.GetID()
    assert composite.GetBackgroundVolumeID() == opened.ct.GetID()
    assert "ml" in ui.findingLabel.text and ui.exportButton.enabled and ui.segmentEditorButton.enabled


def test_the_numbers_are_those_of_the_pipeline(opened, tiny_bundle):
    import numpy as np
    from HemoCAMLib.panel.parameters import options_of
    from HemoCAMLib.pipeline import analyse
    from HemoCAMLib.scene import node_to_volume

    opened.apply()
    expected = analyse(opened.patient.ct, tiny_bundle, options_of(opened.parameters))
    found = node_to_volume(opened.panel.state.nodes.heatmap)
    np.testing.assert_array_equal(found.array, expected.heatmap.array)


def test_cancel_leaves_the_scene_as_it_was(opened):
    before = node_names(opened.slicer.mrmlScene)
    opened.ui.applyButton.click()
    opened.spin(lambda: opened.ui.progressBar.value > 0, 30)
    opened.ui.applyButton.click()
    assert not opened.panel.state.running and opened.ui.applyButton.text == "Apply"
    assert "Cancelled" in opened.ui.statusLabel.text
    opened.spin(seconds=0.3)
    assert node_names(opened.slicer.mrmlScene) == before and opened.panel.state.nodes is None
    opened.apply()
    assert opened.panel.state.nodes is not None


def test_an_error_is_one_sentence_and_leaves_the_scene(opened, caplog):
    import numpy as np
    from HemoCAMLib.scene import volume_to_node

    ct = opened.patient.ct
    flat = volume_to_node(opened.slicer.mrmlScene, ct.like(np.zeros(ct.shape, np.int16), "flat"))
    before = node_names(opened.slicer.mrmlScene)
    opened.ui.inputSelector.setCurrentNode(flat)
    opened.apply()
    text = opened.ui.statusLabel.text
    assert text and text in caplog.text and text.endswith(".") and "Traceback" not in text
    assert node_names(opened.slicer.mrmlScene) == before
    opened.ui.inputSelector.setCurrentNode(opened.ct)
    assert opened.ui.statusLabel.text == ""


def test_an_unexpected_error_ends_the_run(opened, monkeypatch, caplog):
    from HemoCAMLib.panel import work

    before = node_names(opened.slicer.mrmlScene)

    def broken(*_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(work, "put_results", broken)
    opened.apply()
    assert "out of luck" in opened.ui.statusLabel.text and "Traceback" in caplog.text
    assert node_names(opened.slicer.mrmlScene) == before
    monkeypatch.undo()
    opened.apply()
    assert opened.panel.state.nodes is not None


def test_another_method_replaces_the_results_and_says_so_before(opened):
    from HemoCAMLib.panel.parameters import Method

    opened.apply()
    names = node_names(opened.slicer.mrmlScene)
    assert "computes only what is missing" in opened.ui.applyButton.toolTip
    opened.parameters.method = Method.LAYERCAM
    assert opened.ui.methodSelector.currentText == "LayerCAM"
    opened.apply()
    assert node_names(opened.slicer.mrmlScene) == names
    assert opened.panel.state.nodes.heatmap.GetAttribute("HemoCAM.method") == "layercam"


def test_a_stage_that_does_not_exist_is_refused(opened):
    opened.ui.stageSpinBox.value = 9
    assert opened.parameters.stage == 9
    opened.apply()
    assert "stage" in opened.ui.statusLabel.text and opened.panel.state.nodes is None


def test_a_map_is_no_input(opened):
    opened.apply()
    opened.ui.inputSelector.setCurrentNode(opened.panel.state.nodes.heatmap)
    assert not opened.ui.applyButton.enabled and "map that HemoCAM made" in opened.ui.applyButton.toolTip


def test_the_comparison_says_who_measured(opened):
    opened.ui.referenceSelector.setCurrentNode(opened.labels)
    assert opened.ui.segmentSelector.count == 1 and opened.ui.segmentSelector.enabled
    opened.apply()
    assert opened.ui.comparisonTable.rowCount > 10
    assert "by HemoCAM" in opened.ui.comparisonLabel.text
    names = [opened.ui.comparisonTable.item(r, 0).text() for r in range(opened.ui.comparisonTable.rowCount)]
    assert "Dice coefficient" in names


def test_a_reference_chosen_later_is_compared_at_once(opened):
    opened.apply()
    assert opened.ui.comparisonTable.rowCount == 0 and "Choose a reference" in opened.ui.comparisonLabel.text
    opened.ui.referenceSelector.setCurrentNode(opened.labels)
    assert opened.ui.comparisonTable.rowCount > 10


def test_a_reference_without_a_segment_says_so(opened):
    empty = opened.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    opened.apply()
    opened.ui.referenceSelector.setCurrentNode(empty)
    assert "no segment" in opened.ui.segmentSelector.toolTip and not opened.ui.segmentSelector.enabled
    assert "no segment" in opened.ui.comparisonLabel.text


@pytest.mark.parametrize("agree", [True, False])
def test_packages_are_asked_for_once(slicer, tiny_bundle, agree):
    """The dialog's own logic is tested with the packages; here: a refusal ends Apply, an agreement goes on."""
    from HemoCAMLib.packages import Outcome, PackageError, Trouble

    class Fake(NothingMissing):
        asked = 0
        there = False

        def missing(self, features=()):
            return [] if self.there else ["torch"]

        def ensure(self, ask, features, progress):
            self.asked += 1
            progress("Downloading torch", 1, 3)
            if not agree:
                raise PackageError(Trouble.DECLINED, "HemoCAM cannot analyse without torch.")
            self.there = True
            return Outcome({"torch": "2"}, {}, False, "Installed torch.")

    add_ct(slicer)
    fake = Fake()
    panel = Opened(slicer, fake)
    panel.parameters.model = str(tiny_bundle.folder)
    panel.apply()
    assert fake.asked == 1
    if agree:
        assert panel.panel.state.nodes is not None
    else:
        assert panel.panel.state.nodes is None and "without torch" in panel.ui.statusLabel.text
        assert panel.ui.applyButton.enabled
    panel.close()
