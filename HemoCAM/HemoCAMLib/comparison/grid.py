"""Bring a label volume onto the grid of a CT, so that voxels can be compared one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..volumes.volume import Volume

# Where a CT voxel lies halfway between two labels, rounding noise must not decide from voxel to voxel: this
# part of a voxel always tips the scale to the higher index.
_TIE = 1e-6


def on_grid_of(reference: Volume, ct: Volume) -> Volume:
    """Return a label volume on the grid of a CT, each CT voxel with the label whose voxel holds its centre.

    Parameters
    ----------
    reference:
        Labels, shape (K, J, I), any numeric dtype, on any grid: oblique, sheared, flipped, finer or coarser.
    ct:
        The volume whose grid is wanted; its voxels are not looked at.

    Returns
    -------
    Volume
        Labels of the same dtype on the grid of ``ct``, 0 outside the reference's own extent. If both grids
        are one (:meth:`Volume.same_grid`), these are the very voxels of the reference. Else ``findings``
        says that labels were resampled, and how many ml of them lie outside the CT, if any do.

    Raises
    ------
    InputError
        If the two volumes do not overlap anywhere.
    """
    if reference.same_grid(ct):
        return replace(ct.like(reference.array, reference.name), findings=reference.findings)
    if not extents_overlap(reference, ct):
        raise InputError(
            f"{reference.name} does not overlap the CT: they show different places; give the labels that were "
            "drawn on this CT."
        )
    stored = _storable(reference.array.dtype)
    labels = _image(reference, reference.array.astype(stored, copy=False), shift=-_TIE)
    lattice = _geometry(ct)
    moved = sitk.Resample(
        labels,
        ct.shape[::-1],
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkNearestNeighbor,
        lattice["origin"],
        lattice["spacing"],
        lattice["direction"],
        0.0,
        labels.GetPixelID(),
    )
    array = sitk.GetArrayFromImage(moved).astype(reference.array.dtype, copy=False)
    findings = (*reference.findings, f"{reference.name} was resampled to the CT's grid, nearest neighbour.")
    outside, total = _ml_outside(reference, ct)
    if outside:
        findings += (
            f"{outside:.2f} of {total:.2f} ml of {reference.name} lie outside the CT and do not count.",
        )
    return replace(ct.like(array, reference.name), findings=findings)


def extents_overlap(one: Volume, other: Volume) -> bool:
    """Tell whether two volumes, voxels taken as solid, have more than their surfaces in common.

    Each is a parallelepiped; two of them are apart if they are so along the normal of a face of either or
    the cross product of an edge of each (separating axis theorem).
    """
    edges = [v.ijk_to_ras[:3, :3] * np.array(v.shape[::-1]) for v in (one, other)]
    middles = [v.ras((np.array(v.shape[::-1]) - 1) / 2) for v in (one, other)]
    pairs = [(e, (a, b)) for e in edges for a, b in ((0, 1), (0, 2), (1, 2))]
    axes = [np.cross(e[:, a], e[:, b]) for e, (a, b) in pairs]
    axes += [np.cross(edges[0][:, a], edges[1][:, b]) for a, b in product(range(3), repeat=2)]
    for axis in axes:
        length = np.linalg.norm(axis)
        if length < 1e-9:  # parallel edges: no axis of their own
            continue
        reach = sum(np.abs(axis @ e).sum() / 2 for e in edges)
        if abs(axis @ (middles[0] - middles[1])) >= reach - 1e-6 * length:
            return False
    return True


def _ml_outside(reference: Volume, ct: Volume) -> tuple[float, float]:
    """Volume of the labels whose voxel centres lie outside the CT, and of all labels, in ml."""
    outside = total = 0
    for k, plane in enumerate(reference.array):
        ji = np.argwhere(plane != 0)
        if not len(ji):
            continue
        ijk = np.column_stack([ji[:, 1], ji[:, 0], np.full(len(ji), k)])
        there = ct.ijk(reference.ras(ijk))
        inside = ((there > -0.5 - 1e-6) & (there < np.array(ct.shape[::-1]) - 0.5 + 1e-6)).all(axis=1)
        outside += int(np.count_nonzero(~inside))
        total += len(ji)
    return outside * reference.voxel_ml, total * reference.voxel_ml


def _storable(dtype: np.dtype) -> np.dtype:
    """Return a dtype that SimpleITK knows and that holds all values of ``dtype``."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype == np.float16:
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")


def _geometry(volume: Volume, shift: float = 0.0) -> dict[str, list[float]]:
    """ITK's origin, spacing and direction, with voxel 0 moved by ``shift`` voxels along each axis.

    In RAS, not ITK's LPS: both images are described so, and nothing leaves this module.
    """
    columns = volume.ijk_to_ras[:3, :3]
    return {
        "origin": (volume.ijk_to_ras[:3, 3] + shift * columns.sum(axis=1)).tolist(),
        "spacing": volume.spacing.tolist(),
        "direction": (columns / volume.spacing).ravel().tolist(),
    }


def _image(volume: Volume, array: np.ndarray, shift: float) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    geometry = _geometry(volume, shift)
    image.SetOrigin(geometry["origin"])
    image.SetSpacing(geometry["spacing"])
    image.SetDirection(geometry["direction"])
    return image
