"""Where a map is highest, and how much of it lies on the bleeding: measures without a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..evaluation.peak import peak_inside
from .pixels import ratio


def points_inside(
    maps: np.ndarray, truth: np.ndarray, tolerance: float = 0.0, spacing: Sequence[float] = (1.0, 1.0)
) -> np.ndarray:
    """Play the pointing game in each slice: does the maximum of the map lie in the truth, or near it?

    J. Zhang et al., International Journal of Computer Vision 126 (2018) 1084, who allow 15 pixels. The distance
    is that of pixel centres, from the maximum to the nearest pixel of the truth. Where several pixels share the
    maximum, half of them must be near enough: without a tolerance, :func:`~..evaluation.peak.peak_inside`.

    Parameters
    ----------
    maps:
        Shape (n, H, W), 0 and above.
    truth:
        Masks of the same shape, bool.
    tolerance:
        Largest distance of a hit, in the unit of ``spacing``; 0: inside.
    spacing:
        Distance between rows and between columns: in mm, or 1 and 1 for a tolerance in pixels.

    Returns
    -------
    np.ndarray
        Shape (n,), bool. False where the map is 0 throughout (it points nowhere) or the truth is empty.

    Raises
    ------
    ValueError
        If the shapes differ, or the tolerance is negative.
    """
    from scipy.spatial import cKDTree

    _check(maps, truth)
    if not tolerance >= 0:
        raise ValueError(f"a tolerance is 0 or more, not {tolerance}")
    hit = np.zeros(len(maps), bool)
    for k, (plane, mask) in enumerate(zip(maps, truth, strict=True)):
        if not mask.any():
            continue
        hit[k] = peak_inside(plane, mask)
        if tolerance > 0 and not hit[k] and plane.any():
            tree = cKDTree(np.argwhere(mask) * spacing)
            away, _ = tree.query(np.argwhere(plane == plane.max()) * spacing)
            near = away <= tolerance * (1 + 1e-9)  # a tolerance of 3 x 0.1 mm reaches the third pixel
            hit[k] = near.mean() >= 0.5
    return hit


def energy(maps: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum up each slice's map inside the truth, and all of it.

    Parameters
    ----------
    maps:
        Shape (n, H, W), 0 and above.
    truth:
        Masks of the same shape, bool.

    Returns
    -------
    tuple
        Inside and total, float64, shape (n,); their sums over slices give the share of a volume, too.
    """
    _check(maps, truth)
    inside, total = np.zeros((2, len(maps)))
    for k, (plane, mask) in enumerate(zip(maps, truth, strict=True)):
        total[k] = plane.sum(dtype=np.float64)
        inside[k] = plane[mask].sum(dtype=np.float64)
    return inside, total


def energy_share(inside: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Share of the map's energy that lies in the truth: the energy-based pointing game.

    H. Wang et al., "Score-CAM", CVPR Workshops 2020, equation 6, with the mask in the place of their bounding box.

    Returns
    -------
    np.ndarray
        0 to 1 (nothing outside); 0 where the map is 0 throughout, and where the truth is empty. Of a map that is
        even everywhere, it is the truth's share of the slice.
    """
    return ratio(inside, total, 0.0)


def _check(maps: np.ndarray, truth: np.ndarray) -> None:
    if maps.ndim != 3 or maps.shape != truth.shape or truth.dtype != bool:
        raise ValueError(
            f"maps and bool masks have one shape (n, H, W), not {maps.shape} and {truth.dtype} of {truth.shape}"
        )
