"""Results that users put into folders, changed by hand, or did anything else with."""

from dataclasses import replace

import numpy as np
import pytest
from HemoCAMLib import scene as scenes
from HemoCAMLib.scene import runs
from HemoCAMLib.scene.changes import all_nodes
from HemoCAMLib.scene.record import ROLES, all_records
from HemoCAMLib.scene.segmentations import add_segment
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_cases import (
    data_of,
    know_representations,
    put_under,
    reloaded,
    small,
    tiny_content,
)
from scene_runs_cases import RESULTS, assert_holds, ct_node, hierarchy_of, put, scene, shift  # noqa: F401


@pytest.fixture(autouse=True)
def as_in_slicer():
    know_representations()


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
