"""Mass effect: a bleeding pushes the brain aside, shifts the midline and closes the sulci around it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .skull import DOWN, HALF_LENGTH, HALF_WIDTH, UP


def _pull(layers: list[np.ndarray], shift_mm: list[np.ndarray], spacing_mm: tuple[float, ...]) -> None:
    """Replace each layer, in place, by itself ``shift_mm`` (z, y, x) further back, linearly interpolated."""
    grid = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in layers[0].shape), indexing="ij", sparse=True)
    sources = np.stack(
        [g - s / np.float32(mm) for g, s, mm in zip(grid, shift_mm, spacing_mm, strict=True)],
        dtype=np.float32,
    )
    for layer in layers:
        layer[...] = ndimage.map_coordinates(layer, sources, order=1, mode="nearest")


def push_from_point(
    layers: list[np.ndarray],
    offset: tuple[np.ndarray, np.ndarray, np.ndarray],
    radius: float,
    strength: float,
    depth: np.ndarray,
    spacing_mm: tuple[float, ...],
) -> None:
    """Push ``layers`` away from a ball that grew at a point, in place.

    Parameters
    ----------
    layers:
        Arrays of the same window, shape (k, j, i).
    offset:
        Vector (x, y, z) in mm from the point to each voxel.
    radius, strength:
        Of the ball in mm, and the part of it (0..1) that pushes rather than replaces tissue.
    depth:
        Distance in mm below the inner table: the skull gives no way.
    spacing_mm:
        Of the voxels along (k, j, i).

    Notes
    -----
    What was at radius s lies at ``sqrt(s^2 + strength * radius^2)``, the displacement of an incompressible
    plane. It decays like 1 / r, slower than in an infinite space (1 / r^2), as the skull closes the far side.
    """
    square = sum(o * o for o in offset)
    rho = np.sqrt(square) + np.float32(1e-3)
    back = rho - np.sqrt(np.maximum(square - np.float32(strength * radius**2), 0))
    fade = np.clip(1 - square * np.float32(1 / (3.2 * radius) ** 2), 0, 1) ** 2
    back *= fade * np.clip(depth * np.float32(1 / 14), 0, 1) / rho
    x, y, z = offset
    _pull(layers, [z * back, y * back, x * back], spacing_mm)


def push_from_skull(
    layers: list[np.ndarray],
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    depth: np.ndarray,
    thickness: np.ndarray,
    reach: float,
    spacing_mm: tuple[float, ...],
) -> None:
    """Push ``layers`` inward from a collection of ``thickness`` mm under the inner table, in place.

    ``place`` holds head coordinates (x, y, z); what was at depth d lies at ``thickness + d * (1 - thickness /
    reach)``, so that nothing moves ``reach`` mm below the table.
    """
    thickness = np.minimum(thickness, 0.7 * reach)
    was = np.maximum((depth - thickness) * reach / (reach - thickness), np.float32(1.5 * spacing_mm[2]))
    shift = np.where((depth > 0) & (depth < reach), np.maximum(depth - was, 0), 0)
    x, y, z = place
    u, v, w = x * np.float32(HALF_WIDTH**-2), y * np.float32(HALF_LENGTH**-2), z.copy()
    w *= np.where(w > 0, np.float32(UP**-2), np.float32(DOWN**-2))
    shift /= np.sqrt(u * u + v * v + w * w) + np.float32(1e-6)
    _pull(layers, [-w * shift, -v * shift, -u * shift], spacing_mm)
