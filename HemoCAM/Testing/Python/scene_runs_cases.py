"""What tests of results in a scene share."""

import numpy as np
import pytest
import slicer
from HemoCAMLib import scene as scenes
from scene_cases import (
    small,
    tiny_content,
)

RESULTS = ("heatmap", "mask", "slice_table", "chart", "curve", "gate_line", "gate_table", "raw_map")


@pytest.fixture
def scene():
    return scenes.new_scene()


@pytest.fixture
def ct_node(scene):
    return scenes.volume_to_node(scene, small(), "CT")


def put(node, seed=0, **more):
    return scenes.put_results(node.GetScene(), tiny_content(scenes.node_to_volume(node), seed, **more), node)


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
