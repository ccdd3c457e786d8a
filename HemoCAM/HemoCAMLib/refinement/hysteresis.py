"""Hysteresis: what is likely enough to start a region, and all that is less likely but connected to it.

J. Canny, IEEE TPAMI 8 (1986) 679. Connected means by a face in 3-D: the 6-neighbourhood, over the borders of slices.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..comparison.masks import bounding_box


def hysteresis(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Mask of the voxels of at least ``low`` in regions that hold a voxel of at least ``high``.

    Parameters
    ----------
    values:
        Any shape, a number a voxel.
    low, high:
        Thresholds, ``low <= high``; equal ones make a plain threshold.

    Returns
    -------
    np.ndarray
        Shape of ``values``, bool; empty where nothing reaches ``high``.

    Raises
    ------
    ValueError
        If ``low`` is above ``high`` or either is not a number.
    """
    if not low <= high:
        raise ValueError(f"the low threshold ({low:g}) is not above the high one ({high:g})")
    mask = values >= low
    box = bounding_box(mask) if mask.ndim == 3 else (slice(None),) * mask.ndim
    if box is None or low == high:
        return mask
    regions, count = ndimage.label(mask[box])
    kept = np.zeros(count + 1, bool)
    kept[regions[values[box] >= high]] = True
    mask[box] = kept[regions]
    return mask


def region_table(values: np.ndarray, low: float, truth: np.ndarray) -> np.ndarray:
    """Highest value, voxels and true voxels of each region of at least ``low``: float64, shape (regions, 3).

    What a sweep of ``high`` needs: at any of them the mask is the regions whose highest value reaches it.
    """
    mask = values >= low
    box = bounding_box(mask)
    if box is None:
        return np.zeros((0, 3))
    regions, count = ndimage.label(mask[box])
    own = regions > 0
    place, inside = regions[own] - 1, values[box][own]
    highest = np.full(count, -np.inf)
    np.maximum.at(highest, place, inside)
    return np.stack(
        [highest, np.bincount(place, minlength=count), np.bincount(place, truth[box][own], count)], axis=1
    )
