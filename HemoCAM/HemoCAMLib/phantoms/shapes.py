"""Signed distances of simple solids, and their soft edges.

A distance is positive inside and in mm. It is exact on the surface and to first order near it, which is
where it decides how much of a voxel the solid fills. All arrays are torch tensors, float32, on any device.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

Point = tuple[float, float, float]


def at_least(value: Tensor, low: Tensor | float) -> Tensor:
    """Return the larger of a tensor and a tensor or number."""
    return torch.clamp(value, min=low)


def at_most(value: Tensor, high: Tensor | float) -> Tensor:
    """Return the smaller of a tensor and a tensor or number."""
    return torch.clamp(value, max=high)


def exp(value: Tensor) -> Tensor:
    """Exponential; on the CPU numpy's, which takes a sixth of torch's time."""
    return torch.from_numpy(np.exp(value.numpy())) if value.device.type == "cpu" else torch.exp(value)


def bell(value: Tensor) -> Tensor:
    """``exp(-value^2)``."""
    return exp(-(value * value))


def sigmoid(value: Tensor) -> Tensor:
    """A smooth step from 0 to 1."""
    half = value * 0.5
    step = torch.from_numpy(np.tanh(half.numpy())) if half.device.type == "cpu" else torch.tanh(half)
    return step.mul_(0.5).add_(0.5)


def fill(distance: Tensor, edge_mm: float | Tensor) -> Tensor:
    """Fraction (0..1) of a voxel that a solid fills whose surface is ``distance`` mm away."""
    return (distance / edge_mm).add_(0.5).clamp_(0, 1)


def sheet(gap: Tensor, half_mm: float | Tensor, edge_mm: float) -> Tensor:
    """Fraction (0..1) of a voxel that a sheet fills, ``half_mm`` thick to each side, ``gap`` mm (>= 0) away.

    Unlike :func:`fill` it is right for sheets thinner than a voxel: their contrast fades with their thickness.
    """
    reach = 0.5 * edge_mm
    overlap = at_most(gap + reach, half_mm) + at_most(reach - gap, half_mm)
    return overlap.mul_(1 / edge_mm).clamp_(0, 1)


def blend(base: Tensor, over: Tensor | float, share: Tensor) -> None:
    """Mix ``over`` into ``base`` in place: ``base * (1 - share) + over * share``."""
    base += (over - base).mul_(share)


def ellipsoid(x: Tensor, y: Tensor, z: Tensor, centre: Point, radii: Point, turn: float = 0.0) -> Tensor:
    """Signed distance to an ellipsoid, turned by ``turn`` radians about the z axis.

    First-order distance of the implicit surface, ``(1 - rho) * rho / |grad rho^2 / 2|`` (Taubin, "Estimation
    of planar curves, surfaces and nonplanar space curves", IEEE PAMI 1991).
    """
    u, v, w = x - float(centre[0]), y - float(centre[1]), z - float(centre[2])
    if turn:
        c, s = math.cos(turn), math.sin(turn)
        u, v = u * c + v * s, v * c - u * s
    square, slope = 1e-6, 1e-9
    for t, r in zip((u, v, w), radii, strict=True):
        t = (t * (1 / float(r))).square_()
        square = square + t
        slope = slope + t.mul_(1 / float(r) ** 2)
    rho = square.sqrt_()
    return (1 - rho).mul_(rho).div_(slope.sqrt_())


def chain(x: Tensor, y: Tensor, z: Tensor, points: list[tuple[float, float, float, float]]) -> Tensor:
    """Signed distance to a chain of tapered tubes through ``points``, each (x, y, z, radius) in mm."""
    best = None
    for a, b in itertools.pairwise(points):
        d = [float(q - p) for p, q in zip(a[:3], b[:3], strict=True)]
        u, v, w = x - float(a[0]), y - float(a[1]), z - float(a[2])
        t = (u * d[0]).add_(v, alpha=d[1]).add_(w, alpha=d[2])
        t = t.div_(sum(c * c for c in d)).clamp_(0, 1)
        for axis, c in zip((u, v, w), d, strict=True):
            axis.sub_(t, alpha=c).square_()
        gap = u.add_(v).add_(w).sqrt_()
        inside = t.mul_(float(b[3] - a[3])).add_(float(a[3])).sub_(gap)
        best = inside if best is None else torch.maximum(best, inside)
    return best


def within(value: Tensor, low: float, high: float, edge_mm: float) -> Tensor:
    """Share of ``value`` between two limits, with soft edges."""
    return fill(value - low, edge_mm) * fill(high - value, edge_mm)


def blur(array: Tensor, sigma: float, reach: float = 3.0) -> Tensor:
    """Gaussian blur of the rows and columns of ``array`` (K, J, I), ``sigma`` in pixels, cut at ``reach`` sigma.

    A sum of shifted copies: a tenth of the time of a convolution with a single channel.
    """
    radius = int(reach * sigma + 0.5)
    taps = [math.exp(-0.5 * (n / max(sigma, 1e-3)) ** 2) for n in range(-radius, radius + 1)]
    total = sum(taps)
    for axis, pad in ((1, (0, 0, radius, radius)), (2, (radius, radius, 0, 0))):
        padded = torch.nn.functional.pad(array, pad, mode="replicate")
        blurred = torch.zeros_like(array)
        for n, tap in enumerate(taps):
            blurred.add_(padded.narrow(axis, n, array.shape[axis]), alpha=tap / total)
        array = blurred
    return array


def mean_filter(array: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Mean of the box of ``size`` voxels (k, j, i), all odd, around each voxel, of those that exist."""
    pool = torch.nn.functional.avg_pool3d
    mean = array[None, None]
    for axis, n in enumerate(size):
        line = [1, 1, 1]
        line[axis] = n
        mean = pool(mean, line, 1, [m // 2 for m in line], count_include_pad=False) if n > 1 else mean
    return mean[0, 0]


def sample(layers: Tensor, points: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Values of ``layers`` (c, k, j, i) at voxel indices ``points`` (z, y, x), linear, the edge beyond.

    The points share any shape of three axes; the result has one more axis, the layers, in front.
    """
    limits = [max(n - 1, 1) for n in layers.shape[1:]]
    where = torch.stack([p * (2 / n) - 1 for p, n in zip(points[::-1], limits[::-1], strict=True)], dim=-1)
    return torch.nn.functional.grid_sample(
        layers[None], where[None], mode="bilinear", padding_mode="border", align_corners=True
    )[0]
