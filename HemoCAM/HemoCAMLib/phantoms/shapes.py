"""Signed distances of simple solids, and their soft edges.

A distance is positive inside and in mm. It is exact on the surface and to first order near it, which is
where it decides how much of a voxel the solid fills.
"""

from __future__ import annotations

import itertools

import numpy as np

Point = tuple[float, float, float]


def fill(distance: np.ndarray, edge_mm: float | np.ndarray) -> np.ndarray:
    """Fraction (0..1) of a voxel that a solid fills whose surface is ``distance`` mm away."""
    return np.clip(distance / edge_mm + 0.5, 0, 1)


def sheet(gap: np.ndarray, half_mm: float | np.ndarray, edge_mm: float) -> np.ndarray:
    """Fraction (0..1) of a voxel that a sheet fills, ``half_mm`` thick to each side, ``gap`` mm (>= 0) away.

    Unlike :func:`fill` it is right for sheets thinner than a voxel: their contrast fades with their thickness.
    """
    reach = 0.5 * edge_mm
    overlap = np.minimum(half_mm, gap + reach) + np.minimum(half_mm, reach - gap)
    return np.clip(overlap / edge_mm, 0, 1)


def blend(base: np.ndarray, over: np.ndarray | float, share: np.ndarray) -> None:
    """Mix ``over`` into ``base`` in place: ``base * (1 - share) + over * share``."""
    base += (over - base) * share


def ellipsoid(x, y, z, centre: Point, radii: Point, turn: float = 0.0) -> np.ndarray:  # noqa: ANN001
    """Signed distance to an ellipsoid, turned by ``turn`` radians about the z axis.

    First-order distance of the implicit surface, ``(1 - rho) * rho / |grad rho^2 / 2|`` (Taubin, "Estimation
    of planar curves, surfaces and nonplanar space curves", IEEE PAMI 1991).
    """
    u, v, w = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
    if turn:
        c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        u, v = u * c + v * s, v * c - u * s
    u, v, w = (t * np.float32(1 / r) for t, r in zip((u, v, w), radii, strict=True))
    square, slope = np.float32(1e-6), np.float32(1e-9)
    for t, r in zip((u, v, w), radii, strict=True):
        t = t * t
        square = square + t
        slope = slope + t * np.float32(1 / r**2)
    rho = np.sqrt(square)
    return (1 - rho) * rho / np.sqrt(slope)


def chain(x, y, z, points: list[tuple[float, float, float, float]]) -> np.ndarray:  # noqa: ANN001
    """Signed distance to a chain of tapered tubes through ``points``, each (x, y, z, radius) in mm."""
    best = None
    for a, b in itertools.pairwise(points):
        d = np.subtract(b[:3], a[:3]).astype(np.float32)
        u, v, w = x - np.float32(a[0]), y - np.float32(a[1]), z - np.float32(a[2])
        t = np.clip((u * d[0] + v * d[1] + w * d[2]) / np.float32(d @ d), 0, 1)
        gap = np.sqrt((u - t * d[0]) ** 2 + (v - t * d[1]) ** 2 + (w - t * d[2]) ** 2)
        inside = np.float32(a[3]) + np.float32(b[3] - a[3]) * t - gap
        best = inside if best is None else np.maximum(best, inside)
    return best


def within(value: np.ndarray, low: float, high: float, edge_mm: float) -> np.ndarray:
    """Share of ``value`` between two limits, with soft edges."""
    return fill(value - np.float32(low), edge_mm) * fill(np.float32(high) - value, edge_mm)
