"""The node that holds the CT: whether it may be one, its voxels, and what tells them from others."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..scene import node_to_volume
from ..volumes.padding import PADDING_HU, padding_to_air
from ..volumes.volume import Volume

NOT_A_CT = "HemoCAM.target"  # an attribute of every map that HemoCAM made


def why_not(ct_node: slicer.vtkMRMLScalarVolumeNode | None) -> str:
    """Say in one sentence why a volume cannot be analysed, as far as a glance tells; "" if it may."""
    if ct_node is None:
        return _("Choose a head CT first.")
    if ct_node.GetAttribute(NOT_A_CT):
        return _("This volume is a map that HemoCAM made; choose the CT itself.")
    if ct_node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("This is a label map; choose the CT itself.")
    if ct_node.GetImageData() is None:
        return _("This volume is empty; choose one with voxels.")
    return ""


def ct_of(ct_node: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """Return a CT node as a volume with its padding made air; the node's own voxels stay as they are."""
    ct = node_to_volume(ct_node)
    if float(ct.array.min()) <= PADDING_HU:
        array = ct.array.copy()
        padding_to_air(array)
        ct = ct.like(array, ct.name)
    return ct


def key_of(ct_node: slicer.vtkMRMLScalarVolumeNode) -> Hashable:
    """Return what identifies a CT's voxels and place: other voxels or another place give another key."""
    ct = node_to_volume(ct_node)
    image = ct_node.GetImageData()
    scalars = image.GetPointData().GetScalars()
    place = np.round(ct.ijk_to_ras, 9).tobytes()
    return ct_node.GetID(), image.GetMTime(), scalars.GetMTime(), ct.shape, place
