"""A segment of whatever segmentation a user chose, as a mask on the CT's grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..comparison.grid import on_grid_of
from ..errors import InputError
from ..volumes.volume import Volume
from .nodes import to_vtk_matrix, world_matrix
from .segmentations import binary_labelmap_name, closed_surface_name, labelmap_to_volume

_FROM_SURFACE = "vtkClosedSurfaceToBinaryLabelmapConversionRule"


def segment_on_grid(node: slicer.vtkMRMLSegmentationNode, segment_id: str, ct: Volume) -> Volume:
    """Return a segment as a mask on the grid of a CT; the segmentation is not changed.

    Parameters
    ----------
    node:
        The segmentation, on any grid, under any linear transform.
    segment_id:
        The segment. Of its representations the first of these is taken: a binary labelmap; a fractional one,
        cut at its own threshold (one half, as Slicer makes it); a closed surface, filled on the CT's grid.
    ct:
        The CT in world RAS.

    Returns
    -------
    The mask, uint8, 0 and 1, under the segment's name, with ``findings`` if it was resampled or converted; all 0
    where the segment is empty.

    Raises
    ------
    InputError
        If there is no such segment, if it has none of these representations, or lies elsewhere than the CT.
    """
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise InputError(
            f"The segmentation '{node.GetName()}' has no segment '{segment_id}'; choose one of its segments."
        )
    to_world = world_matrix(node)
    finding = None
    labelmap = segment.GetRepresentation(binary_labelmap_name())
    fractional = segment.GetRepresentation(_fractional_name())
    surface = segment.GetRepresentation(closed_surface_name())
    name, label = segment.GetName(), segment.GetLabelValue()
    if labelmap is not None:
        mask = labelmap_to_volume(labelmap, to_world, name, lambda voxels: voxels == label)
    elif fractional is not None:
        cut = _cut(fractional)
        mask = labelmap_to_volume(fractional, to_world, name, lambda voxels: voxels >= cut)
        finding = f"{segment.GetName()} is a fractional labelmap; it was cut at its threshold."
    elif surface is not None:
        mask = _filled(surface, to_world, segment.GetName(), ct)
        finding = f"{segment.GetName()} is a closed surface; it was filled on the CT's grid."
    else:
        raise InputError(
            f"The segment '{segment.GetName()}' of '{node.GetName()}' has neither a labelmap nor a closed surface; "
            "create a binary labelmap in the Segmentations module."
        )
    if not mask.array.any():  # an empty segment lies nowhere, and so not elsewhere
        mask = ct.like(np.zeros(ct.shape, np.uint8), segment.GetName())
    mask = on_grid_of(mask, ct)
    return replace(mask, findings=(*mask.findings, finding)) if finding else mask


def _fractional_name() -> str:
    return slicer.vtkSegmentationConverter.GetSegmentationFractionalLabelmapRepresentationName()


def _cut(labelmap: slicer.vtkOrientedImageData) -> float:
    """Return the value from which a fractional labelmap is inside, as Slicer notes it in the labelmap."""
    noted = labelmap.GetFieldData().GetAbstractArray(
        slicer.vtkSegmentationConverter.GetThresholdValueFieldName()
    )
    return 0.5 if noted is None or not noted.GetNumberOfValues() else float(noted.GetValue(0))


def _filled(surface: vtkPolyData, to_world: np.ndarray, name: str, ct: Volume) -> Volume:
    """Fill a closed surface on the CT's grid by Slicer's own conversion, in a segmentation of its own."""
    if surface.GetNumberOfPoints() == 0:
        return ct.like(np.zeros(ct.shape, np.uint8), name)
    _know_surfaces()
    grid = slicer.vtkOrientedImageData()
    grid.SetExtent(*(bound for count in ct.shape[::-1] for bound in (0, count - 1)))
    grid.SetGeometryFromImageToWorldMatrix(to_vtk_matrix(np.linalg.inv(to_world) @ ct.ijk_to_ras))
    segmentation, segment = slicer.vtkSegmentation(), slicer.vtkSegment()
    segment.SetName(name)
    segment.AddRepresentation(closed_surface_name(), surface)
    segmentation.SetSourceRepresentationName(closed_surface_name())
    segmentation.SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
        slicer.vtkSegmentationConverter.SerializeImageGeometry(grid),
    )
    segmentation.AddSegment(segment, "surface")
    if not segmentation.CreateRepresentation(binary_labelmap_name()):
        raise InputError(
            f"The closed surface '{name}' could not be made a labelmap; create a binary labelmap of it in the "
            "Segmentations module."
        )
    labelmap = segmentation.GetSegment("surface").GetRepresentation(binary_labelmap_name())
    return labelmap_to_volume(labelmap, to_world, name, lambda voxels: voxels == 1)


def _know_surfaces() -> None:
    """Register Slicer's conversion of surfaces where no application has done it."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    if _FROM_SURFACE not in {rule.GetClassName() for rule in factory.GetConverterRules()}:
        factory.RegisterConverterRule(getattr(slicer, _FROM_SURFACE)())
