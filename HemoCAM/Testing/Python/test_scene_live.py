"""What a panel does to results at once: threshold, gate, colours, opacity, visibility, jumps, rows, volume."""

import time

import numpy as np
import pytest
import slicer
from conftest import random_affine
from HemoCAMLib import scene as scenes
from HemoCAMLib.errors import InputError, OptionError
from HemoCAMLib.scene import live, runs
from HemoCAMLib.scene.changes import all_nodes
from HemoCAMLib.scene.colors import color_map_of, heat_colors, heat_rgb
from HemoCAMLib.scene.nodes import from_vtk_matrix
from HemoCAMLib.scene.segmentations import add_segment
from HemoCAMLib.volumes.axial import slice_normal, slice_positions, to_axial
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_cases import know_representations, put_under, reloaded, small, tiny_content, xml_of

SCENES = []  # a node does not keep its scene alive


@pytest.fixture(autouse=True)
def as_in_slicer():
    know_representations()
    yield
    SCENES.clear()


def results(ct=None, seed=1, transform=None, **more):
    scene = scenes.new_scene()
    SCENES[:] = [scene]
    node = scenes.volume_to_node(scene, ct or small(), "CT")
    if transform is not None:
        put_under(scene, node, transform)
    return scenes.put_results(scene, tiny_content(scenes.node_to_volume(node), seed, **more), node)


def mask_of(nodes):
    return scenes.segmentation_to_volume(nodes.mask, nodes.mask_segment)


@settings(max_examples=40)
@given(st.integers(1, 1024), st.integers(0, 2**31))
def test_the_mask_is_the_map_at_or_above_any_threshold(step, seed):
    transform = random_affine(np.random.default_rng(seed), np.ones(3))
    nodes = results(seed=seed, transform=transform)
    segment = nodes.mask.GetSegmentation().GetSegment(nodes.mask_segment)
    threshold = step / 1024  # the map's own steps: equality counts
    live.set_threshold(nodes, threshold)
    heat = scenes.node_to_volume(nodes.heatmap)
    mask = mask_of(nodes)
    np.testing.assert_array_equal(mask.array, heat.array >= threshold)
    assert mask.same_grid(heat)
    assert nodes.mask.GetSegmentation().GetSegment(nodes.mask_segment) is segment
    assert live.mask_volume_ml(nodes) == pytest.approx((heat.array >= threshold).sum() * heat.voxel_ml)
    assert not runs.mask_is_edited(nodes)


def test_every_node_says_which_threshold_it_shows():
    nodes = results(comparison=[("Dice coefficient", 0.5)])
    live.set_threshold(nodes, 0.123456789)
    for node in (nodes.mask, nodes.heatmap, nodes.slice_table):
        assert float(node.GetAttribute("HemoCAM.threshold")) == 0.123456789
        assert node.GetAttribute("HemoCAM.mask") == "plain: the map at or above 0.123457"
    said = [nodes.comparison_table.GetCellText(row, 0) for row in range(2)]
    assert said == ["Dice coefficient", "HemoCAM: outdated"]
    live.set_threshold(nodes, 0.2)
    assert nodes.comparison_table.GetNumberOfRows() == 2


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_a_threshold_that_makes_no_sense_changes_nothing(threshold):
    nodes = results()
    before, mask = xml_of(nodes.ct.GetScene()), mask_of(nodes).array.copy()
    with pytest.raises(OptionError, match="above 0 and at most at 1"):
        live.set_threshold(nodes, threshold)
    assert xml_of(nodes.ct.GetScene()) == before
    np.testing.assert_array_equal(mask_of(nodes).array, mask)


def test_threshold_after_reload_with_the_users_segment_and_3d(tmp_path):
    nodes = results()
    own = np.zeros((3, 4, 5), np.uint8)
    own[0, 0] = 1
    mine = add_segment(nodes.mask, small().like(own, "mine"), "mine", (1, 1, 0), nodes.ct)
    scene = reloaded(nodes.ct.GetScene(), tmp_path)
    nodes = scenes.results_of(scene, scene.GetFirstNodeByName("CT"))
    segmentation = nodes.mask.GetSegmentation()
    assert segmentation.CreateRepresentation("Closed surface")
    nodes.mask.GetDisplayNode().SetSegmentVisibility(mine, False)
    live.set_threshold(nodes, 0.75)
    heat = scenes.node_to_volume(nodes.heatmap).array
    np.testing.assert_array_equal(mask_of(nodes).array, heat >= 0.75)
    kept = scenes.segmentation_to_volume(nodes.mask, mine)
    np.testing.assert_allclose(
        kept.ras(np.argwhere(kept.array)[:, ::-1]), small().ras(np.argwhere(own)[:, ::-1])
    )
    assert not nodes.mask.GetDisplayNode().GetSegmentVisibility(mine)
    assert segmentation.ContainsRepresentation("Closed surface")
    surface = segmentation.GetSegmentRepresentation(nodes.mask_segment, "Closed surface")
    live.set_threshold(nodes, 1.0)
    assert segmentation.GetSegmentRepresentation(nodes.mask_segment, "Closed surface") is not surface


def test_views_are_told_of_a_new_threshold():
    nodes = results()
    told = []
    segmentation = nodes.mask.GetSegmentation()
    segmentation.AddObserver(segmentation.SourceRepresentationModified, lambda *_: told.append(1))
    for threshold in (0.75, 0.25):
        told.clear()
        live.set_threshold(nodes, threshold)
        assert told


def test_threshold_takes_less_than_a_moment_on_a_whole_head():
    shape = (40, 512, 512)
    ct = Volume(np.zeros(shape, np.int16), np.diag([-0.45, -0.45, 4.0, 1.0]), "CT")
    heat = np.random.default_rng(0).random(shape, np.float32)
    nodes = results(ct, heatmap=ct.like(heat, "heat"), mask=ct.like(heat > 0.5, "mask"))
    seconds = []
    for threshold in (0.3, 0.4, 0.5, 0.6, 0.7):
        start = time.perf_counter()
        live.set_threshold(nodes, threshold)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.15
    assert mask_of(nodes).array.sum() == (heat >= 0.7).sum()


def test_another_gate_goes_into_the_same_nodes():
    nodes = results()
    scenes.show_results(nodes.ct.GetScene(), nodes)
    composite = nodes.ct.GetScene().GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    content = tiny_content(small(), 5, gate=0.75)
    again = live.update_maps(nodes, content)
    assert again.heatmap is nodes.heatmap and composite.GetForegroundVolumeID() == nodes.heatmap.GetID()
    np.testing.assert_array_equal(scenes.node_to_volume(nodes.heatmap).array, content.heatmap.array)
    np.testing.assert_array_equal(mask_of(nodes).array, content.mask.array)
    assert nodes.gate_line.GetName() == "gate 0.75"
    assert [row.gated for row in sorted(live.slice_rows(nodes), key=lambda row: row.index)] == [
        row.gated for row in content.slices
    ]


def test_opacity_reaches_all_views_of_heat_maps_and_no_other():
    nodes = results()
    scene = nodes.ct.GetScene()
    scenes.show_results(scene, nodes)
    extra = slicer.vtkMRMLSliceCompositeNode()
    extra.SetSingletonTag("Compare1")
    extra = scene.AddNode(extra)
    extra.SetForegroundVolumeID(nodes.heatmap.GetID())
    theirs = scene.GetSingletonNode("Green", "vtkMRMLSliceCompositeNode")
    theirs.SetForegroundVolumeID(nodes.ct.GetID())
    live.set_opacity(scene, 0.25)
    red = scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert (red.GetForegroundOpacity(), extra.GetForegroundOpacity(), theirs.GetForegroundOpacity()) == (
        0.25,
        0.25,
        0.5,
    )
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="between 0 and 1"):
            live.set_opacity(scene, wrong)


@pytest.mark.parametrize("name", live.COLOR_MAPS)
def test_colours_are_made_once_and_grow_lighter_evenly(name, tmp_path):
    nodes = results()
    live.set_colors(nodes, name)
    live.set_colors(nodes, name)
    scene = nodes.ct.GetScene()
    assert color_map_of(nodes.colors) == name and nodes.colors is heat_colors(scene, name)
    rgb = heat_rgb(name=name)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert steps.min() > 0 and steps.max() < 3 * steps.mean()
    display = nodes.heatmap.GetScalarVolumeDisplayNode()
    assert display.GetApplyThreshold() and display.GetLowerThreshold() > 0  # 0 is no colour
    back = reloaded(scene, tmp_path)
    assert color_map_of(scenes.results_of(back, back.GetFirstNodeByName("CT")).colors) == name


def test_an_unknown_colour_map_is_named():
    with pytest.raises(OptionError, match="no colour map 'jet'; choose one of inferno"):
        live.set_colors(results(), "jet")
    assert color_map_of(None) is None


def test_hiding_the_mask_leaves_the_users_segments():
    nodes = results()
    mine = add_segment(nodes.mask, small().like(np.ones((3, 4, 5)), "m"), "mine", (1, 1, 0), nodes.ct)
    display = nodes.mask.GetDisplayNode()
    live.set_mask_visible(nodes, False)
    assert not display.GetSegmentVisibility(nodes.mask_segment) and display.GetSegmentVisibility(mine)
    assert display.GetVisibility()
    display.SetVisibility(False)
    live.set_mask_visible(nodes, True)
    assert display.GetSegmentVisibility(nodes.mask_segment) and display.GetVisibility()


def test_what_was_deleted_gets_a_sentence():
    nodes = results()
    scene = nodes.ct.GetScene()
    nodes.mask.GetSegmentation().RemoveSegment(nodes.mask_segment)
    with pytest.raises(InputError, match="segment of the mask was deleted"):
        live.set_threshold(nodes, 0.5)
    with pytest.raises(InputError, match="segment"):
        live.mask_volume_ml(nodes)
    for node in nodes.own:
        scene.RemoveNode(node)
    for act in (
        lambda: live.set_threshold(nodes, 0.5),
        lambda: live.set_colors(nodes, "viridis"),
        lambda: live.set_mask_visible(nodes, True),
        lambda: live.mask_volume_ml(nodes),
        lambda: live.slice_rows(nodes),
    ):
        with pytest.raises(InputError, match="was deleted from the scene; run HemoCAM again"):
            act()
    with pytest.raises(InputError, match="has no slice 3; it has the slices 0 to 2"):
        live.jump_to_slice(scene, nodes.ct, 3)
    live.jump_to_slice(scene, nodes.ct, 2)


def test_rows_come_sorted_and_from_a_file_too(tmp_path):
    nodes = results()
    rows = live.slice_rows(nodes)
    wanted = tiny_content(small(), 1).slices
    assert rows == sorted(wanted, key=lambda row: -row.probabilities["any"])
    scene = reloaded(nodes.ct.GetScene(), tmp_path)
    back = live.slice_rows(scenes.results_of(scene, scene.GetFirstNodeByName("CT")))
    assert [(row.index, row.gated, row.acquired) for row in back] == [
        (row.index, row.gated, row.acquired) for row in rows
    ]
    np.testing.assert_allclose(
        [row.probabilities["any"] for row in back], [row.probabilities["any"] for row in rows], atol=1e-6
    )
    nodes.slice_table.RemoveColumn(1)
    with pytest.raises(InputError, match="lost columns"):
        live.slice_rows(nodes)


def slice_to_ras(scene, name):
    return from_vtk_matrix(scene.GetSingletonNode(name, "vtkMRMLSliceNode").GetSliceToRAS())


@settings(max_examples=40)
@given(st.integers(0, 2**31))
def test_all_views_jump_into_the_plane_of_any_volume(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 7, 3))
    ct = Volume(rng.integers(0, 9, shape).astype(np.int16), random_affine(rng, rng.uniform(0.5, 5, 3)), "CT")
    nodes = results(ct, seed)
    scene = nodes.ct.GetScene()
    axial, order = to_axial(ct)
    canonical = int(rng.integers(axial.shape[0]))
    index = order.original_slice(canonical, ct.shape)
    fields = [view.GetFieldOfView() for view in all_nodes(scene, "vtkMRMLSliceNode")]
    live.jump_to_slice(scene, nodes.ct, index)
    heat = order.view(scenes.node_to_volume(nodes.heatmap).array)[canonical]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    peak = axial.ras(np.array([column, row, canonical]))
    red = slice_to_ras(scene, "Red")
    np.testing.assert_allclose(red[:3, 2], slice_normal(axial), atol=1e-6)
    assert red[:3, 2] @ red[:3, 3] == pytest.approx(slice_positions(axial)[canonical], abs=1e-4)
    assert np.linalg.det(red[:3, :3]) < 0 or np.linalg.det(red[:3, :3]) == pytest.approx(1, abs=1e-6)
    for name in ("Yellow", "Green"):
        view = slice_to_ras(scene, name)
        assert view[:3, 2] @ (view[:3, 3] - peak) == pytest.approx(0, abs=1e-4)
    assert [view.GetFieldOfView() for view in all_nodes(scene, "vtkMRMLSliceNode")] == fields


def test_a_straight_volume_after_an_oblique_one_is_seen_straight():
    nodes = results(small(ijk_to_ras=random_affine(np.random.default_rng(3), np.ones(3))))
    scene = nodes.ct.GetScene()
    straight = scenes.volume_to_node(scene, small(), "straight")
    axial = slice_to_ras(scene, "Red")[:3, :3]
    live.jump_to_slice(scene, nodes.ct, 0)
    assert not np.allclose(slice_to_ras(scene, "Red")[:3, :3], axial)
    live.jump_to_slice(scene, straight, 1)
    np.testing.assert_allclose(slice_to_ras(scene, "Red")[:3, :3], axial)
    assert slice_to_ras(scene, "Red")[2, 3] == pytest.approx(2.0)


def test_a_view_that_the_user_turned_keeps_its_orientation():
    nodes = results(small(ijk_to_ras=random_affine(np.random.default_rng(3), np.ones(3))))
    scene = nodes.ct.GetScene()
    red = scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    red.SetOrientationToCoronal()
    live.jump_to_slice(scene, nodes.ct, 0)
    assert red.GetOrientation() == "Coronal"


def test_the_slice_axis_is_that_of_the_run_even_if_the_ct_was_turned():
    nodes = results()
    scene = nodes.ct.GetScene()
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # the slices are coronal now
    put_under(scene, nodes.ct, turn)
    live.jump_to_slice(scene, nodes.ct, 2)
    ct = scenes.node_to_volume(nodes.ct)
    red = slice_to_ras(scene, "Red")
    for corner in ([0, 0, 2], [4, 3, 2]):
        assert red[:3, 2] @ (ct.ras(np.array(corner)) - red[:3, 3]) == pytest.approx(0, abs=1e-6)
