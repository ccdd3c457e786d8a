"""What a panel does to results that are in the scene already: at once, without a network or any other state."""

from __future__ import annotations

import json

import numpy as np
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..errors import InputError, OptionError
from ..volumes.axial import AxialOrder
from ..volumes.volume import Volume
from . import record as records
from .changes import Changes, all_nodes
from .colors import COLOR_MAPS, heat_colors
from .content import SceneContent, SliceRow
from .masks import VOXELS
from .nodes import from_image_data, from_vtk_matrix, node_to_volume
from .record import SceneNodes
from .runs import update_results
from .segmentations import replace_voxels, segmentation_to_volume, to_labelmap
from .tables import mark_outdated, rows_of_slices
from .views import jump

__all__ = [
    "COLOR_MAPS", "jump_to_slice", "mask_volume_ml", "set_colors", "set_mask_visible", "set_opacity",
    "set_threshold", "slice_rows", "update_maps",
]  # fmt: skip


def set_threshold(nodes: SceneNodes, threshold: float) -> None:
    """Make the mask anew: the heat map at or above ``threshold``, in (0, 1].

    The segment keeps its ID, name, colour and visibility; other segments are left alone. What a user changed in
    this segment by hand is lost (:func:`~.runs.mask_is_edited` tells beforehand). A comparison of the former
    mask is marked as outdated.

    Raises
    ------
    OptionError
        If the threshold is not in (0, 1].
    InputError
        If the heat map or the mask was deleted.
    """
    if not 0 < threshold <= 1:
        raise OptionError(f"The mask threshold lies above 0 and at most at 1, not at {threshold:g}.")
    heatmap, mask = _living(nodes.heatmap, "heat map"), _living(nodes.mask, "mask")
    if mask.GetSegmentation().GetSegment(nodes.mask_segment) is None:
        raise InputError("HemoCAM's segment of the mask was deleted; run HemoCAM again.")
    voxels = from_image_data(heatmap.GetImageData()) >= threshold
    changes = Changes()
    replace_voxels(changes, mask, nodes.mask_segment, to_labelmap(voxels, _matrix(heatmap)))
    mask.SetAttribute(VOXELS, str(int(np.count_nonzero(voxels))))
    words = {
        "HemoCAM.threshold": json.dumps(float(threshold)),
        "HemoCAM.mask": f"plain: the map at or above {threshold:g}",
    }
    for node in nodes.own:
        for key, text in words.items():
            if node.GetScene() is not None and (node is mask or node.GetAttribute(key) is not None):
                node.SetAttribute(key, text)
    if nodes.comparison_table is not None and nodes.comparison_table.GetScene() is not None:
        mark_outdated(changes, nodes.comparison_table)


def update_maps(nodes: SceneNodes, content: SceneContent) -> SceneNodes:
    """Put other maps of the same CT (another gate, say) into the nodes that are there, all or nothing.

    Nothing that a user deleted is added; display choices stay. See :func:`~.runs.update_results`.
    """
    return update_results(nodes, content)


def set_opacity(scene: slicer.vtkMRMLScene, opacity: float) -> None:
    """Set how much the heat map covers the CT, 0..1, in all slice views that show one as their foreground.

    Raises
    ------
    OptionError
        If the opacity is not within 0..1.
    """
    if not 0 <= opacity <= 1:
        raise OptionError(f"The opacity lies between 0 and 1, not at {opacity:g}.")
    maps = {record.GetNodeReferenceID(records.ROLES["heatmap"]) for record in records.all_records(scene)}
    for composite in all_nodes(scene, "vtkMRMLSliceCompositeNode"):
        shown = composite.GetForegroundVolumeID()
        if shown and shown in maps:
            composite.SetForegroundOpacity(opacity)


def set_colors(nodes: SceneNodes, name: str) -> None:
    """Show the heat map in the colours of one of :data:`COLOR_MAPS`; 0 stays invisible.

    Raises
    ------
    OptionError
        If there is no such colour map.
    InputError
        If the heat map was deleted.
    """
    if name not in COLOR_MAPS:
        raise OptionError(f"There is no colour map {name!r}; choose one of {', '.join(COLOR_MAPS)}.")
    heatmap = _living(nodes.heatmap, "heat map")
    if heatmap.GetDisplayNode() is None:
        heatmap.CreateDefaultDisplayNodes()
    heatmap.GetDisplayNode().SetAndObserveColorNodeID(heat_colors(heatmap.GetScene(), name).GetID())


def set_mask_visible(nodes: SceneNodes, visible: bool) -> None:
    """Show or hide HemoCAM's segment in all views; segments that a user added stay as they are.

    Raises
    ------
    InputError
        If the mask was deleted.
    """
    mask = _living(nodes.mask, "mask")
    if mask.GetDisplayNode() is None:
        mask.CreateDefaultDisplayNodes()
    display = mask.GetDisplayNode()
    display.SetSegmentVisibility(nodes.mask_segment, visible)
    if visible:
        display.SetVisibility(True)


def jump_to_slice(
    scene: slicer.vtkMRMLScene, ct_node: slicer.vtkMRMLScalarVolumeNode, slice_index: int
) -> None:
    """Let all slice views jump to a slice of the CT, at its hottest voxel, else in its middle.

    Axial views are turned into the plane of the CT's slices where these are oblique; zoom and pan stay.

    Parameters
    ----------
    scene:
        The scene of the views.
    ct_node:
        The CT.
    slice_index:
        :attr:`~.content.SliceRow.index`: the CT's own index along its slice axis, from 0.

    Raises
    ------
    InputError
        If the CT has no such slice.
    """
    ct = node_to_volume(ct_node)
    record = records.find_record(scene, ct_node)
    noted = None if record is None else record.GetAttribute(records.SLICE_AXIS)
    axis = AxialOrder.of(ct.ijk_to_ras).axes[0] if noted is None else int(noted)
    count = ct.shape[axis]
    if not 0 <= slice_index < count:
        raise InputError(f"'{ct.name}' has no slice {slice_index}; it has the slices 0 to {count - 1}.")
    voxel = (np.array(ct.shape) - 1) / 2.0
    nodes = records.results_of(scene, ct_node)
    heat = None if nodes is None or nodes.heatmap is None else node_to_volume(nodes.heatmap)
    if heat is not None and heat.shape == ct.shape:
        plane = heat.array.take(slice_index, axis)
        if plane.max() > 0:
            voxel = np.insert(np.unravel_index(int(plane.argmax()), plane.shape), axis, 0).astype(float)
    voxel[axis] = slice_index
    jump(scene, ct.ras(voxel[::-1]), _normal(ct, axis))


def slice_rows(nodes: SceneNodes) -> list[SliceRow]:
    """Return the slices by falling probability of the target, as the table in the scene holds them.

    Equal ones keep the table's order, from inferior to superior. From a loaded scene, too, with the six digits that
    Slicer writes.

    Raises
    ------
    InputError
        If the table was deleted, or lost columns.
    """
    table = _living(nodes.slice_table, "table of slices")
    rows, target = rows_of_slices(table), table.GetAttribute("HemoCAM.target")
    if rows and target not in rows[0].probabilities:
        raise InputError(f"The table '{table.GetName()}' lost columns of HemoCAM's; run HemoCAM again.")
    return sorted(rows, key=lambda row: -row.probabilities[target])


def mask_volume_ml(nodes: SceneNodes) -> float:
    """Return the volume of HemoCAM's segment in ml as it is now, changes by hand included; 0 if it is empty.

    Raises
    ------
    InputError
        If the mask was deleted.
    """
    mask = segmentation_to_volume(_living(nodes.mask, "mask"), nodes.mask_segment)
    return int(np.count_nonzero(mask.array)) * mask.voxel_ml


def _living(node: slicer.vtkMRMLNode | None, what: str) -> slicer.vtkMRMLNode:
    if node is None or node.GetScene() is None:
        raise InputError(f"The {what} was deleted from the scene; run HemoCAM again.")
    return node


def _matrix(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return from_vtk_matrix(matrix)


def _normal(volume: Volume, axis: int) -> np.ndarray:
    """Unit normal of the slices along a numpy axis, toward the head as far as that can be told."""
    normal = np.cross(*(volume.ijk_to_ras[:3, 2 - other] for other in range(3) if other != axis))
    normal /= np.linalg.norm(normal)
    return -normal if normal[2] < 0 else normal
