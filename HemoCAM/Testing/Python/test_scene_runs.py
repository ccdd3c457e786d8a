"""Results in a scene: found again, replaced in place, left alone where they are a user's; all or nothing."""

import numpy as np
import pytest
from HemoCAMLib import scene as scenes
from HemoCAMLib.errors import InputError
from HemoCAMLib.scene import runs
from HemoCAMLib.scene.changes import all_nodes
from HemoCAMLib.scene.record import all_records
from HemoCAMLib.scene.segmentations import add_segment
from scene_cases import (
    data_of,
    imported_twice,
    know_representations,
    reloaded,
    small,
    tiny_content,
)
from scene_runs_cases import RESULTS, assert_holds, ct_node, put, scene  # noqa: F401


@pytest.fixture(autouse=True)
def as_in_slicer():
    know_representations()


def ids(nodes, names=RESULTS):
    return {name: getattr(nodes, name).GetID() for name in names}


def test_a_second_run_takes_the_nodes_of_the_first(scene, ct_node):
    first = put(ct_node, 1, description={"method": "GradCAM", "gate": 0.25, "note": "old", "threshold": 0.5})
    scenes.show_results(scene, first)
    count = scene.GetNumberOfNodes()
    content = tiny_content(small(), 2)
    second = scenes.put_results(scene, content, ct_node)
    assert ids(first) == ids(second) and first.folder == second.folder
    assert scene.GetNumberOfNodes() == count
    assert_holds(second, content)
    for node in (second.heatmap, second.mask, second.slice_table, second.curve):
        assert node.GetAttribute("HemoCAM.method") == "HiResCAM" and node.GetAttribute("HemoCAM.note") is None
    assert second.gate_line.GetName() == "gate 0.5"
    assert second.gate_table.GetCellText(0, 1) == "0.5"
    assert second.mask.GetSegmentation().GetNumberOfSegments() == 1


def test_what_the_user_chose_to_see_stays(scene, ct_node):
    nodes = put(ct_node, 1)
    scenes.show_results(scene, nodes)
    gray = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "mine")
    nodes.heatmap.GetDisplayNode().SetAndObserveColorNodeID(gray.GetID())
    nodes.heatmap.GetDisplayNode().SetWindowLevel(0.4, 0.7)
    nodes.heatmap.SetName("my name")
    nodes.raw_map.GetDisplayNode().SetWindowLevel(3.0, 1.0)
    segment = nodes.mask.GetSegmentation().GetSegment(nodes.mask_segment)
    segment.SetName("bleed")
    segment.SetColor(0.1, 0.2, 0.3)
    nodes.mask.GetDisplayNode().SetSegmentOpacity2DFill(nodes.mask_segment, 0.3)
    nodes.chart.SetTitle("my chart")
    composite = scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    composite.SetForegroundOpacity(0.2)
    views = [scene.GetSingletonNode(name, "vtkMRMLSliceNode") for name in ("Red", "Yellow", "Green")]
    before = [view.GetSliceToRAS().GetElement(2, 3) for view in views]
    again = put(ct_node, 2)
    assert again.colors is gray and again.heatmap.GetName() == "my name"
    display = again.heatmap.GetScalarVolumeDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (0.4, 0.7)
    assert again.raw_map.GetScalarVolumeDisplayNode().GetWindow() == 3.0
    kept = again.mask.GetSegmentation().GetSegment(again.mask_segment)
    assert kept is segment and kept.GetName() == "bleed" and tuple(kept.GetColor()) == (0.1, 0.2, 0.3)
    assert again.mask.GetDisplayNode().GetSegmentOpacity2DFill(again.mask_segment) == 0.3
    assert again.chart.GetTitle() == "my chart"
    assert composite.GetForegroundOpacity() == 0.2
    assert composite.GetForegroundVolumeID() == again.heatmap.GetID()
    assert [view.GetSliceToRAS().GetElement(2, 3) for view in views] == before


def test_the_raw_maps_window_follows_until_somebody_chooses(ct_node):
    put(ct_node, 1)
    nodes = put(ct_node, 2)
    largest = np.abs(scenes.node_to_volume(nodes.raw_map).array).max()
    assert nodes.raw_map.GetScalarVolumeDisplayNode().GetWindow() == pytest.approx(2 * largest)


def test_two_volumes_of_one_name_keep_apart(scene, ct_node):
    other = scenes.volume_to_node(scene, small(ijk_to_ras=np.diag([1.0, 1.0, 3.0, 1.0])), "other")
    other.SetName("CT")
    first, theirs = put(ct_node, 1), put(other, 2)
    held = data_of(scene)
    assert not set(ids(first).values()) & set(ids(theirs).values()) and first.folder != theirs.folder
    put(ct_node, 3)
    after = data_of(scene)
    for node_id in (theirs.heatmap.GetID(), theirs.slice_table.GetID(), theirs.raw_map.GetID()):
        np.testing.assert_array_equal(held[node_id], after[node_id])
    assert ids(scenes.results_of(scene, other)) == ids(theirs)
    assert ids(scenes.results_of(scene, ct_node)) == ids(first)


def test_copies_are_the_users(scene, ct_node):
    nodes = put(ct_node, 1)
    copies = [scene.CopyNode(getattr(nodes, name)) for name in ("heatmap", "mask", "slice_table", "chart")]
    ct_copy = scene.CopyNode(ct_node)
    held = data_of(scene)
    assert scenes.results_of(scene, ct_copy) is None
    assert ids(scenes.results_of(scene, ct_node)) == ids(nodes)
    put(ct_node, 2)
    after = data_of(scene)
    assert all(copy.GetScene() is scene for copy in copies)
    for copy in (copies[0], copies[2]):
        np.testing.assert_array_equal(held[copy.GetID()], after[copy.GetID()])
    segment_id = copies[1].GetSegmentation().GetNthSegmentID(0)
    np.testing.assert_array_equal(held[copies[1].GetID(), segment_id], after[copies[1].GetID(), segment_id])
    theirs = put(ct_copy, 3)
    assert not set(ids(theirs).values()) & set(ids(nodes).values())
    scenes.remove_results(scene, scenes.results_of(scene, ct_node))
    assert all(copy.GetScene() is scene for copy in copies)


@pytest.mark.parametrize("gone", RESULTS)
def test_what_was_deleted_is_none_and_comes_back(scene, ct_node, gone):
    nodes = put(ct_node, 1)
    scene.RemoveNode(getattr(nodes, gone))
    left = scenes.results_of(scene, ct_node)
    assert getattr(left, gone) is None
    others = tuple(name for name in RESULTS if name != gone)
    assert ids(left, others) == ids(nodes, others)
    scenes.show_results(scene, left)
    content = tiny_content(small(), 2)
    held = scene.GetNumberOfNodes()
    runs.update_results(left, content)
    if gone != "gate_table":  # a hidden part of the gate's line, which is there
        assert scene.GetNumberOfNodes() == held and getattr(scenes.results_of(scene, ct_node), gone) is None
    again = scenes.put_results(scene, content, ct_node)
    assert ids(again, others) == ids(nodes, others)
    assert_holds(again, content)
    assert again.chart.HasPlotSeriesNodeID(again.curve.GetID())
    assert again.chart.HasPlotSeriesNodeID(again.gate_line.GetID())
    assert again.curve.GetTableNode() is again.slice_table
    assert again.gate_line.GetTableNode() is again.gate_table


def test_a_deleted_segment_comes_back_beside_the_users(scene, ct_node):
    nodes = put(ct_node, 1)
    segmentation = nodes.mask.GetSegmentation()
    mine = add_segment(
        nodes.mask, small().like(np.eye(3, 20).reshape(3, 4, 5), "m"), "mine", (1, 1, 0), ct_node
    )
    segmentation.RemoveSegment(nodes.mask_segment)
    content = tiny_content(small(), 2)
    again = scenes.put_results(scene, content, ct_node)
    assert again.mask is nodes.mask and again.mask_segment != mine
    assert_holds(again, content)
    assert scenes.segmentation_to_volume(again.mask, mine).array.sum() == 3


def test_results_of_a_deleted_ct_are_the_users(scene, ct_node):
    nodes = put(ct_node, 1)
    scene.RemoveNode(ct_node)
    assert scenes.results_of(scene, ct_node) is None
    new = scenes.volume_to_node(scene, small(), "CT")
    assert scenes.results_of(scene, new) is None
    theirs = put(new, 2)
    assert nodes.heatmap.GetScene() is scene and theirs.heatmap is not nodes.heatmap
    assert len(all_records(scene)) == 1
    with pytest.raises(InputError, match="not in the scene any more"):
        scenes.put_results(scene, tiny_content(small()), ct_node)
    with pytest.raises(InputError, match="CT of these results was removed"):
        runs.update_results(nodes, tiny_content(small()))


def test_nothing_left_is_no_result(scene, ct_node):
    nodes = put(ct_node, 1)
    for node in nodes.own:
        scene.RemoveNode(node)
    assert scenes.results_of(scene, ct_node) is None
    assert scenes.results_of(scene, None) is None
    assert_holds(put(ct_node, 2), tiny_content(small(), 2))
    assert len(all_records(scene)) == 1


def test_results_are_found_after_save_reload_and_import(ct_node, tmp_path):
    put(ct_node, 1)
    ct_node.SetName("renamed")
    loaded = imported_twice(ct_node.GetScene(), tmp_path)
    twins = [n for n in all_nodes(loaded, "vtkMRMLScalarVolumeNode") if n.GetName().startswith("renamed")]
    assert len(twins) == 2
    found = [scenes.results_of(loaded, twin) for twin in twins]
    assert not set(ids(found[0]).values()) & set(ids(found[1]).values())
    for twin, nodes in zip(twins, found, strict=True):
        assert nodes.folder and nodes.series == [nodes.curve, nodes.gate_line]
        content = tiny_content(small(), 7)
        again = scenes.put_results(loaded, content, twin)
        assert ids(again) == ids(nodes) and again.folder == nodes.folder
        assert_holds(again, content)


def test_the_commands_scene_is_known_to_the_panel(loaded, content, tmp_path):
    scene = reloaded(loaded, tmp_path)
    nodes = scenes.results_of(scene, scene.GetFirstNodeByName("CT"))
    assert nodes.reference.GetName() == "CT reference" and nodes.comparison_table is not None
    count = scene.GetNumberOfNodes()
    again = scenes.put_results(scene, content, nodes.ct)
    assert scene.GetNumberOfNodes() == count and again.folder == nodes.folder
    assert again.reference is nodes.reference
