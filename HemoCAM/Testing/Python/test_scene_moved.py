"""Results whose CT lies oblique, is moved or bent; failures and undo."""

import numpy as np
import pytest
import slicer
from conftest import random_affine
from HemoCAMLib import scene as scenes
from HemoCAMLib.errors import InputError
from HemoCAMLib.scene import runs
from HemoCAMLib.scene.changes import all_nodes
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_cases import (
    assert_same_data,
    data_of,
    know_representations,
    put_under,
    small,
    tiny_content,
    xml_of,
)
from scene_runs_cases import assert_holds, ct_node, hierarchy_of, put, scene, shift  # noqa: F401
from scipy.spatial.transform import Rotation


@pytest.fixture(autouse=True)
def as_in_slicer():
    know_representations()


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
