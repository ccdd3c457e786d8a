"""The heat map and the raw map as volume nodes, and how they look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..volumes.volume import Volume
from .changes import Changes
from .colors import heat_colors
from .nodes import from_image_data, local_affine, to_image_data, to_vtk_matrix, volume_to_node

# The least value of the heat map that is drawn; what the gate closed is exactly 0.
VISIBLE_FROM = 0.02


def put_heatmap(
    changes: Changes,
    node: slicer.vtkMRMLScalarVolumeNode | None,
    heatmap: Volume,
    name: str,
    ct_node: slicer.vtkMRMLScalarVolumeNode,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Let a node hold a map of values 0..1; a new one shows 0 as nothing and 0..1 in the heat colours."""
    shown = node is not None and node.GetScalarVolumeDisplayNode() is not None
    node = _put_volume(changes, node, heatmap, name, ct_node)
    display = node.GetScalarVolumeDisplayNode()
    if not shown:
        display.SetAndObserveColorNodeID(heat_colors(node.GetScene()).GetID())
        set_window(node, 1.0, 0.5)
        display.SetAutoThreshold(False)
        display.SetThreshold(VISIBLE_FROM, 1.0)
        display.SetApplyThreshold(True)
        display.SetInterpolate(True)
    return node


def put_raw_map(
    changes: Changes,
    node: slicer.vtkMRMLScalarVolumeNode | None,
    raw_map: Volume,
    name: str,
    ct_node: slicer.vtkMRMLScalarVolumeNode,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Let a node hold a signed map for reference; a new one is in no view, gray, 0 in the middle of its window.

    The window follows the values as long as nobody chose another one.
    """
    new = node is None or node.GetImageData() is None
    before = None if new else _symmetric_window(from_image_data(node.GetImageData()))
    node = _put_volume(changes, node, raw_map, name, ct_node)
    display = node.GetScalarVolumeDisplayNode()
    if new:
        set_window(node, _symmetric_window(raw_map.array), 0.0)
        node.SetDisplayVisibility(0)
    elif display.GetLevel() == 0.0 and np.isclose(display.GetWindow(), before, rtol=1e-5):
        changes.do(display.SetWindow, _symmetric_window(raw_map.array), display.GetWindow())
    return node


def set_window(node: slicer.vtkMRMLScalarVolumeNode, window: float, level: float) -> None:
    """Fix the display of a volume to a window (width and centre, in the volume's unit)."""
    display = node.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(window, level)


def _symmetric_window(array: np.ndarray) -> float:
    largest = float(np.abs(array).max(initial=0.0))
    return 2.0 * largest if largest > 0 else 1.0


def _put_volume(
    changes: Changes,
    node: slicer.vtkMRMLScalarVolumeNode | None,
    volume: Volume,
    name: str,
    ct_node: slicer.vtkMRMLScalarVolumeNode,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Let a node hold a volume of world RAS under the parent transform of the CT; add one where there is none."""
    affine = local_affine(volume, ct_node)
    if node is None:
        node = volume_to_node(ct_node.GetScene(), replace(volume, ijk_to_ras=affine), name)
        node.SetAndObserveTransformNodeID(ct_node.GetTransformNodeID())
        return node
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    changes.do(node.SetIJKToRASMatrix, to_vtk_matrix(affine), matrix)
    changes.do(node.SetAndObserveImageData, to_image_data(volume.array), node.GetImageData())
    changes.do(node.SetAndObserveTransformNodeID, ct_node.GetTransformNodeID(), node.GetTransformNodeID())
    if node.GetScalarVolumeDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    return node
