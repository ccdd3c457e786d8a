"""Masks from label volumes, and the box they lie in."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..volumes.volume import Volume

Box = tuple[slice, slice, slice]


def foreground(volume: Volume) -> np.ndarray:
    """Return the mask of a label volume: True where its value is not 0.

    Parameters
    ----------
    volume:
        Labels: whole numbers of 0 and above, in any numeric dtype. 0 is background, every other value
        (whichever the kind of bleeding) is foreground.

    Returns
    -------
    np.ndarray
        Shape (K, J, I), bool. Not copied if the volume holds bool already.

    Raises
    ------
    InputError
        If the volume holds negative values, fractions or NaN, and so is an image or a map, not labels.
    """
    array = volume.array
    if array.dtype == bool:
        return array
    mask = np.empty(array.shape, dtype=bool)
    signed = not np.issubdtype(array.dtype, np.unsignedinteger)
    fractional = np.issubdtype(array.dtype, np.inexact)
    for k, plane in enumerate(array):  # slice by slice: no second copy of the volume in memory
        if signed and plane.size and not (plane.min() >= 0):  # "not >=" catches NaN, too
            raise InputError(
                f"{volume.name} is not a label map, it holds negative or undefined values: give a volume of "
                "whole numbers with 0 as background."
            )
        if fractional and not (plane == np.rint(plane)).all():
            raise InputError(
                f"{volume.name} is not a label map, it holds fractions: give a volume of whole numbers with 0 "
                "as background (threshold a map first)."
            )
        np.not_equal(plane, 0, out=mask[k])
    return mask


def bounding_box(mask: np.ndarray) -> Box | None:
    """Return the smallest box, one slice per axis (K, J, I), that holds all True voxels; None if none is."""
    box = [slice(None)] * 3
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hits = np.flatnonzero(mask[tuple(box)].any(axis=others))
        if not hits.size:
            return None
        box[axis] = slice(int(hits[0]), int(hits[-1]) + 1)
    return tuple(box)


def union_box(one: Box | None, other: Box | None) -> Box | None:
    """Return the smallest box that holds both; None stands for an empty one."""
    if one is None or other is None:
        return one or other
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
