"""Results in a scene: found again, replaced in place, left alone where they are a user's; all or nothing."""

from dataclasses import replace

import numpy as np
import pytest
import slicer
from conftest import random_affine
from HemoCAMLib import scene as scenes
from HemoCAMLib.errors import InputError
from HemoCAMLib.scene import runs
from HemoCAMLib.scene.changes import all_nodes
from HemoCAMLib.scene.record import ROLES, all_records
from HemoCAMLib.scene.segmentations import add_segment
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_cases import (
    assert_same_data,
    data_of,
    imported_twice,
    know_representations,
    put_under,
    reloaded,
    small,
    tiny_content,
    xml_of,
)
from scipy.spatial.transform import Rotation

RESULTS = ("heatmap", "mask", "slice_table", "chart", "curve", "gate_line", "gate_table", "raw_map")


@pytest.fixture(autouse=True)
def as_in_slicer():
    know_representations()


@pytest.fixture
def scene():
    return scenes.new_scene()


@pytest.fixture
def ct_node(scene):
    return scenes.volume_to_node(scene, small(), "CT")


def put(node, seed=0, **more):
    return scenes.put_results(node.GetScene(), tiny_content(scenes.node_to_volume(node), seed, **more), node)


def ids(nodes, names=RESULTS):
    return {name: getattr(nodes, name).GetID() for name in names}


def hierarchy_of(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def shift(x, y, z):
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def assert_holds(nodes, content):
    """The nodes show this content, where the CT lies."""
    ct = scenes.node_to_volume(nodes.ct)
    heat = scenes.node_to_volume(nodes.heatmap)
    np.testing.assert_array_equal(heat.array, content.heatmap.array)
    np.testing.assert_allclose(heat.ijk_to_ras, ct.ijk_to_ras, atol=1e-9)
    mask = scenes.segmentation_to_volume(nodes.mask, nodes.mask_segment)
    np.testing.assert_array_equal(mask.array, content.mask.array != 0)
    np.testing.assert_allclose(mask.ijk_to_ras, ct.ijk_to_ras, atol=1e-9)
    column = nodes.slice_table.GetTable().GetColumnByName("any")
    values = [column.GetValue(row) for row in range(column.GetNumberOfValues())]
    np.testing.assert_allclose(values, [row.probabilities["any"] for row in content.slices])
    if content.raw_map is not None:
        np.testing.assert_array_equal(scenes.node_to_volume(nodes.raw_map).array, content.raw_map.array)


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


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_results_lie_on_the_ct_and_move_with_it(seed):
    rng = np.random.default_rng(seed)
    ct = small(ijk_to_ras=random_affine(rng, rng.uniform(0.5, 5, 3)))
    scene = scenes.new_scene()
    node = scenes.volume_to_node(scene, ct, "CT")
    outer, inner = np.eye(4), np.eye(4)
    outer[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    outer[:3, 3], inner[:3, 3] = rng.uniform(-50, 50, (2, 3))
    transform = put_under(scene, node, inner)
    put_under(scene, transform, outer)
    content = tiny_content(scenes.node_to_volume(node), seed)
    nodes = scenes.put_results(scene, content, node)
    assert_holds(nodes, content)
    np.testing.assert_array_equal(matrix_of(nodes.heatmap), matrix_of(node))  # to the last bit
    raw = scenes.node_to_volume(nodes.raw_map).ijk_to_ras
    np.testing.assert_allclose(raw, content.raw_map.ijk_to_ras, atol=1e-6)
    transform.SetMatrixTransformToParent(slicer_matrix(shift(1, 2, 3)))
    assert_holds(nodes, content)
    second = scenes.put_results(scene, tiny_content(scenes.node_to_volume(node), seed), node)
    assert_holds(second, content)


def matrix_of(node):
    from HemoCAMLib.scene.nodes import from_vtk_matrix, to_vtk_matrix

    matrix = to_vtk_matrix(np.eye(4))
    node.GetIJKToRASMatrix(matrix)
    return from_vtk_matrix(matrix)


def slicer_matrix(array):
    from HemoCAMLib.scene.nodes import to_vtk_matrix

    return to_vtk_matrix(array)


def test_results_follow_a_ct_that_was_moved_later(scene, ct_node):
    content = tiny_content(small(), 1)
    nodes = scenes.put_results(scene, content, ct_node)
    put_under(scene, ct_node, shift(5, 6, 7))
    assert runs.follow_ct(nodes)
    assert_holds(nodes, content)
    moved = tiny_content(scenes.node_to_volume(ct_node), 2)
    assert_holds(scenes.put_results(scene, moved, ct_node), moved)
    ct_node.HardenTransform()
    assert ct_node.GetParentTransformNode() is None
    assert not runs.follow_ct(nodes)  # the CT's own matrix is another one now
    hardened = tiny_content(scenes.node_to_volume(ct_node), 3)
    again = scenes.put_results(scene, hardened, ct_node)
    assert again.heatmap is nodes.heatmap
    assert_holds(again, hardened)


def test_bent_and_moved_cts_are_refused(scene, ct_node):
    nodes = put(ct_node, 1)
    content = tiny_content(small(), 2)
    grid = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    grid.SetAndObserveTransformFromParent(slicer.vtkOrientedGridTransform())
    ct_node.SetAndObserveTransformNodeID(grid.GetID())
    before, held = xml_of(scene), data_of_tables(scene)
    with pytest.raises(InputError, match="non-linear transform 'warp'"):
        scenes.put_results(scene, content, ct_node)
    assert xml_of(scene) == before and data_of_tables(scene) == held
    assert not runs.follow_ct(nodes)
    ct_node.SetAndObserveTransformNodeID(None)
    put_under(scene, ct_node, shift(1, 0, 0))
    before = xml_of(scene)
    with pytest.raises(InputError, match="'CT' has been moved or changed"):
        scenes.put_results(scene, content, ct_node)
    assert xml_of(scene) == before


def data_of_tables(scene):
    return {n.GetID(): n.GetTable().GetNumberOfRows() for n in all_nodes(scene, "vtkMRMLTableNode")}


STEPS = [
    "put_heatmap", "put_mask", "put_table", "put_curve", "put_gate_line", "put_chart", "put_raw_map", "_describe",
    "put_in_folder", "_forget_orphans",
]  # fmt: skip


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("run", ["first", "second"])
def test_a_failure_leaves_the_scene_as_it_was(scene, ct_node, monkeypatch, step, run):
    hierarchy_of(scene)
    compared = [("Dice coefficient", 0.5)]
    if run == "second":
        put(ct_node, 1, comparison=compared)
    before, held = xml_of(scene), data_of(scene)
    works = getattr(runs, step)

    def breaks(*arguments, **more):
        works(*arguments, **more)
        raise BrokenError

    with monkeypatch.context() as patch:
        patch.setattr(runs, step, breaks)
        with pytest.raises(BrokenError):
            put(ct_node, 2, target="SDH", gate=0.75)
    assert xml_of(scene) == before
    assert_same_data(data_of(scene), held)
    assert not scene.IsBatchProcessing()
    assert_holds(put(ct_node, 3), tiny_content(small(), 3))


@pytest.mark.parametrize("runs_before", [0, 1])
def test_undo_and_redo(runs_before):
    scene = scenes.new_scene()
    scene.SetUndoOn()
    for name in ("ScalarVolume", "Segmentation", "Table", "PlotChart", "PlotSeries", "ScriptedModule"):
        default = getattr(slicer, f"vtkMRML{name}Node")()
        default.SetUndoEnabled(True)
        scene.AddDefaultNode(default)
    ct_node = scenes.volume_to_node(scene, small(), "CT")
    for seed in range(runs_before):
        put(ct_node, seed)
    before = {key: np.copy(value) for key, value in data_of(scene).items()}
    content = tiny_content(small(), 9)
    scenes.put_results(scene, content, ct_node)
    after = data_of(scene)
    scene.Undo()
    assert_same_data(data_of(scene), before)
    ct_node = scene.GetFirstNodeByName("CT")
    found = scenes.results_of(scene, ct_node)
    assert found is None if runs_before == 0 else found.heatmap is not None
    scene.Redo()
    assert_same_data(data_of(scene), after)
    again = scenes.results_of(scene, scene.GetFirstNodeByName("CT"))
    assert again is not None
    assert_holds(again, content)


def test_the_folder_lies_beside_the_ct_under_its_study(scene, ct_node):
    hierarchy = hierarchy_of(scene)
    subject = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(subject, "study")
    hierarchy.CreateItem(study, ct_node)
    nodes = put(ct_node, 1)
    assert hierarchy.GetItemParent(nodes.folder) == study
    assert hierarchy.GetItemName(nodes.folder) == "HemoCAM CT"
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(ct_node)) == study
    for node in (nodes.heatmap, nodes.mask, nodes.chart, nodes.curve, nodes.slice_table, nodes.raw_map):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == nodes.folder
    hierarchy.SetItemName(nodes.folder, "my folder")
    elsewhere = hierarchy.CreateFolderItem(study, "elsewhere")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(nodes.heatmap), elsewhere)
    again = put(ct_node, 2)
    assert again.folder == nodes.folder
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(again.heatmap)) == elsewhere
    scenes.remove_results(scene, again)
    assert not hierarchy.GetItemByName("my folder")
    third = put(ct_node, 3)
    assert hierarchy.GetItemParent(third.folder) == study


def test_a_mask_changed_by_hand_becomes_the_users(scene, ct_node):
    given = tiny_content(small(), 1)
    numbers = given.mask.array.copy()
    nodes = scenes.put_results(scene, given, ct_node)
    assert not runs.mask_is_edited(nodes)
    segment = nodes.mask.GetSegmentation().GetSegment(nodes.mask_segment)
    labelmap = segment.GetRepresentation("Binary labelmap")
    labelmap.SetScalarComponentFromDouble(0, 0, 0, 0, 1 - labelmap.GetScalarComponentAsDouble(0, 0, 0, 0))
    labelmap.Modified()
    mine = scenes.segmentation_to_volume(nodes.mask).array.copy()
    assert runs.mask_is_edited(nodes)
    np.testing.assert_array_equal(given.mask.array, numbers)  # the analysis is not painted in
    content = tiny_content(small(), 2)
    again = scenes.put_results(scene, content, ct_node)
    assert again.mask is not nodes.mask and nodes.mask.GetScene() is scene
    np.testing.assert_array_equal(scenes.segmentation_to_volume(nodes.mask).array, mine)
    assert_holds(again, content)
    scenes.remove_results(scene, again)
    assert nodes.mask.GetScene() is scene


def test_an_unchanged_mask_is_not_taken_for_edited_after_a_file(ct_node, tmp_path):
    array = np.zeros((3, 4, 5), np.uint8)
    array[1, 2, 3] = 1  # Slicer crops the labelmap to it
    put(ct_node, 1, mask=small().like(array, "mask"))
    scene = reloaded(ct_node.GetScene(), tmp_path)
    nodes = scenes.results_of(scene, scene.GetFirstNodeByName("CT"))
    assert not runs.mask_is_edited(nodes)
    content = tiny_content(small(), 2)
    again = scenes.put_results(scene, content, nodes.ct)
    assert again.mask is nodes.mask
    assert_holds(again, content)


def test_segments_of_the_users_stay_even_in_a_shared_labelmap(scene, ct_node):
    array = np.zeros((3, 4, 5), np.uint8)
    array[0] = 1
    nodes = put(ct_node, 1, mask=small().like(array, "mask"))
    theirs = np.zeros((3, 4, 5), np.uint8)
    theirs[2] = 1
    mine = add_segment(nodes.mask, small().like(theirs, "t"), "mine", (1, 1, 0), ct_node)
    segmentation = nodes.mask.GetSegmentation()
    segmentation.CollapseBinaryLabelmaps(False)
    name = "Binary labelmap"
    shared = segmentation.GetSegmentRepresentation(mine, name)
    assert shared is segmentation.GetSegmentRepresentation(nodes.mask_segment, name)
    content = tiny_content(small(), 2)
    again = scenes.put_results(scene, content, ct_node)
    assert again.mask is nodes.mask and segmentation.GetNumberOfSegments() == 2
    assert_holds(again, content)
    kept = scenes.segmentation_to_volume(again.mask, mine)
    np.testing.assert_allclose(
        kept.ras(np.argwhere(kept.array)[:, ::-1]), small().ras(np.argwhere(theirs)[:, ::-1])
    )


def test_parts_that_the_new_run_lacks_go(scene, ct_node):
    first = put(ct_node, 1, comparison=[("Dice coefficient", 0.5)])
    again = put(ct_node, 2, raw_map=None, description={"method": "GradCAM"})
    assert again.raw_map is None and first.raw_map.GetScene() is None
    assert (
        again.gate_line is None and first.gate_line.GetScene() is None and first.gate_table.GetScene() is None
    )
    assert again.chart.GetNumberOfPlotSeriesNodes() == 1
    assert again.comparison_table is first.comparison_table
    said = [again.comparison_table.GetCellText(row, 0) for row in range(2)]
    assert said == ["Dice coefficient", "HemoCAM: outdated"]
    assert again.comparison_table.GetAttribute("HemoCAM.outdated") == "true"
    third = put(ct_node, 3, comparison=[("Dice coefficient", 0.75)])
    assert third.comparison_table is first.comparison_table
    assert third.comparison_table.GetNumberOfRows() == 1
    assert third.comparison_table.GetAttribute("HemoCAM.outdated") is None
    hierarchy = hierarchy_of(scene)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(third.raw_map)) == third.folder


def test_another_target_renames_its_curve(ct_node):
    put(ct_node, 1)
    nodes = put(ct_node, 2, target="SDH")
    assert nodes.curve.GetYColumnName() == "SDH" and nodes.curve.GetName() == "SDH probability"
    assert "SDH" in nodes.chart.GetTitle() and nodes.heatmap.GetAttribute("HemoCAM.target") == "SDH"


def test_removed_results_leave_nothing(scene, ct_node):
    hierarchy_of(scene)
    reference = small().like(np.ones((3, 4, 5), np.uint8), "reference")
    colors = scenes.put_results(scene, tiny_content(small(), 1), ct_node)
    scenes.remove_results(scene, colors)
    before = {node.GetID() for node in all_nodes(scene)}
    nodes = put(ct_node, 2, reference=reference, comparison=[("Dice coefficient", 0.5)])
    scenes.remove_results(scene, nodes)
    left = {node.GetID() for node in all_nodes(scene)} - before
    kept = nodes.reference.GetID()
    assert kept in left and all("Segmentation" in node_id for node_id in left)
    assert scenes.results_of(scene, ct_node) is None and ct_node.GetScene() is scene
    scenes.remove_results(scene, nodes)  # a second time is no error


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 1), st.integers(0, 99)),
        st.tuples(st.just("delete"), st.integers(0, 1), st.sampled_from(RESULTS)),
        st.tuples(st.just("copy"), st.integers(0, 1), st.sampled_from(("heatmap", "mask", "slice_table"))),
        st.tuples(st.just("rename"), st.integers(0, 1), st.sampled_from(RESULTS)),
        st.tuples(st.just("move"), st.integers(0, 1), st.integers(-20, 20)),
        st.tuples(st.just("remove"), st.integers(0, 1), st.none()),
    ),
    max_size=12,
)


@settings(max_examples=30)
@given(OPERATIONS)
def test_whatever_users_do_each_ct_has_its_own_results_once(operations):
    scene = scenes.new_scene()
    cts = [scenes.volume_to_node(scene, small(), "CT") for _ in range(2)]
    held, users = {}, {}
    for kind, which, what in operations:
        node = cts[which]
        nodes = scenes.results_of(scene, node)
        if kind == "put":
            held[which] = tiny_content(scenes.node_to_volume(node), what)
            assert_holds(scenes.put_results(scene, held[which], node), held[which])
        elif kind == "move":
            put_under(scene, node, shift(what, 0, 1))
            if nodes is not None:
                assert runs.follow_ct(nodes)
        elif nodes is None:
            continue
        elif kind == "remove":
            scenes.remove_results(scene, nodes)
            del held[which]
        elif getattr(nodes, what) is not None:
            if kind == "delete":
                scene.RemoveNode(getattr(nodes, what))
                held[which] = None
            elif kind == "rename":
                getattr(nodes, what).SetName("theirs")
            else:
                copy = scene.CopyNode(getattr(nodes, what))
                users[copy.GetID()] = data_of(scene).get(copy.GetID())
    now = data_of(scene)
    for node_id, value in users.items():
        assert scene.GetNodeByID(node_id) is not None
        if value is not None:
            np.testing.assert_array_equal(now[node_id], value)
    found = [scenes.results_of(scene, node) for node in cts]
    for which, nodes in enumerate(found):
        if held.get(which) is not None:
            moved = scenes.node_to_volume(cts[which])
            assert scenes.node_to_volume(nodes.heatmap).same_grid(moved)
            np.testing.assert_array_equal(
                scenes.node_to_volume(nodes.heatmap).array, held[which].heatmap.array
            )
    if all(found):
        assert not {n.GetID() for n in found[0].own} & {n.GetID() for n in found[1].own}
    assert len(all_records(scene)) <= 2


def test_every_role_has_a_field():
    assert set(ROLES) <= set(scenes.SceneNodes.__dataclass_fields__)
    assert isinstance(replace(small(), name="x"), Volume)
