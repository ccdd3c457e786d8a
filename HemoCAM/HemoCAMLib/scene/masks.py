"""The mask and the reference of a CT as segmentations: added, and replaced where they are HemoCAM's."""

from __future__ import annotations

import numpy as np
import slicer

from ..volumes.volume import Volume
from .changes import Changes
from .nodes import local_affine
from .record import SceneNodes
from .segmentations import (
    MASK_COLOR,
    REFERENCE_COLOR,
    add_segment,
    add_segmentation,
    replace_voxels,
    segmentation_to_volume,
    to_labelmap,
)

MASK_NAME = "Hemorrhage (CAM)"
REFERENCE_NAME = "Hemorrhage (reference)"
# How many voxels HemoCAM put into the mask: another number means that a user has changed it by hand.
VOXELS = "HemoCAM.voxels"
EDITED = "HemoCAM.edited"


def mask_is_edited(nodes: SceneNodes) -> bool:
    """Tell whether a user has changed the mask by hand since HemoCAM made it."""
    segment = _segment_of(nodes)
    noted = None if segment is None else nodes.mask.GetAttribute(VOXELS)
    if noted is None:
        return False
    return int(np.count_nonzero(segmentation_to_volume(nodes.mask, nodes.mask_segment).array)) != int(noted)


def put_mask(
    changes: Changes,
    old: SceneNodes,
    mask: Volume,
    ct_node: slicer.vtkMRMLScalarVolumeNode,
    create: bool,
) -> tuple[slicer.vtkMRMLSegmentationNode, str]:
    """Let HemoCAM's segment hold a mask; return the segmentation and the segment's ID.

    With ``create``, a missing segmentation or segment is added, and one that was changed by hand is left to the
    user, so that another one is added.
    """
    node, segment_id = old.mask, old.mask_segment
    if create and mask_is_edited(old):
        changes.attribute(node, EDITED, "true")
        node = None
    if node is None:
        name = f"{ct_node.GetName()} CAM mask"
        node = add_segmentation(ct_node.GetScene(), mask, name, MASK_NAME, MASK_COLOR, ct_node)
        segment_id = node.GetSegmentation().GetNthSegmentID(0)
    else:
        _follow(changes, node, ct_node)
        if _segment_of(old) is not None:
            replace_voxels(changes, node, segment_id, to_labelmap(mask.array, local_affine(mask, ct_node)))
        elif create:
            segment_id = add_segment(node, mask, MASK_NAME, MASK_COLOR, ct_node)
            changes.later(node.GetSegmentation().RemoveSegment, segment_id)
    changes.attribute(node, VOXELS, str(int(np.count_nonzero(mask.array))))
    return node, segment_id


def put_reference(
    changes: Changes,
    node: slicer.vtkMRMLSegmentationNode | None,
    reference: Volume,
    ct_node: slicer.vtkMRMLScalarVolumeNode,
) -> slicer.vtkMRMLSegmentationNode:
    """Let the first segment of a segmentation hold the reference; add one where there is none."""
    if node is None:
        name = f"{ct_node.GetName()} reference"
        scene = ct_node.GetScene()
        return add_segmentation(scene, reference, name, REFERENCE_NAME, REFERENCE_COLOR, ct_node)
    _follow(changes, node, ct_node)
    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments():
        labelmap = to_labelmap(reference.array, local_affine(reference, ct_node))
        replace_voxels(changes, node, segmentation.GetNthSegmentID(0), labelmap)
    else:
        segment_id = add_segment(node, reference, REFERENCE_NAME, REFERENCE_COLOR, ct_node)
        changes.later(segmentation.RemoveSegment, segment_id)
    return node


def _follow(
    changes: Changes, node: slicer.vtkMRMLSegmentationNode, ct_node: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Put a segmentation under the CT's parent transform, and give it the CT's grid for its geometry."""
    segmentation = node.GetSegmentation()
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = segmentation.GetConversionParameter(parameter)
    changes.later(segmentation.SetConversionParameter, parameter, geometry)
    role = node.GetReferenceImageGeometryReferenceRole()
    changes.later(node.SetNodeReferenceID, role, node.GetNodeReferenceID(role))
    changes.do(node.SetAndObserveTransformNodeID, ct_node.GetTransformNodeID(), node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)


def _segment_of(nodes: SceneNodes) -> slicer.vtkSegment | None:
    if nodes.mask is None or not nodes.mask_segment:
        return None
    return nodes.mask.GetSegmentation().GetSegment(nodes.mask_segment)
