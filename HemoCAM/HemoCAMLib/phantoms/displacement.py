"""Mass effect: a bleeding pushes the brain aside, shifts the midline and closes the sulci around it."""

from __future__ import annotations

import torch
from torch import Tensor

from .shapes import at_least, sample
from .skull import DOWN, HALF_LENGTH, HALF_WIDTH, UP


def _pull(layers: list[Tensor], shift_mm: list[Tensor], spacing_mm: tuple[float, ...]) -> None:
    """Replace each layer, in place, by itself ``shift_mm`` (z, y, x) further back, linearly interpolated."""
    sources = []
    for axis, (shift, mm) in enumerate(zip(shift_mm, spacing_mm, strict=True)):
        index = torch.arange(shift.shape[axis], dtype=torch.float32, device=shift.device)
        shape = [1, 1, 1]
        shape[axis] = -1
        sources.append(index.view(shape) - shift / mm)
    for layer, moved in zip(layers, sample(torch.stack(layers), tuple(sources)), strict=True):
        layer.copy_(moved)


def push_from_point(
    layers: list[Tensor],
    offset: tuple[Tensor, Tensor, Tensor],
    radius: float,
    strength: float,
    depth: Tensor,
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
    rho = torch.sqrt(square) + 1e-3
    back = rho - torch.sqrt(at_least(square - strength * radius**2, 0))
    fade = torch.clip(1 - square * (1 / (3.2 * radius) ** 2), 0, 1) ** 2
    back *= fade * torch.clip(depth * (1 / 14), 0, 1) / rho
    x, y, z = offset
    _pull(layers, [z * back, y * back, x * back], spacing_mm)


def push_from_skull(
    layers: list[Tensor],
    place: tuple[Tensor, Tensor, Tensor],
    depth: Tensor,
    thickness: Tensor,
    reach: float,
    spacing_mm: tuple[float, ...],
) -> None:
    """Push ``layers`` inward from a collection of ``thickness`` mm under the inner table, in place.

    ``place`` holds head coordinates (x, y, z); what was at depth d lies at ``thickness + d * (1 - thickness /
    reach)``, so that nothing moves ``reach`` mm below the table.
    """
    thickness = thickness.clamp(max=0.7 * reach)
    x, y, z = place
    u, v = x * HALF_WIDTH**-2, y * HALF_LENGTH**-2
    w = z * torch.where(z > 0, UP**-2, DOWN**-2)
    steep = torch.sqrt(u * u + v * v + w * w) + 1e-6
    # nothing comes from where the bone's soft edge reaches, which is thicker where slices cut it obliquely
    wall = 1.5 * spacing_mm[2] + 1.5 * spacing_mm[0] * w.abs() / steep
    was = at_least((depth - thickness) * reach / (reach - thickness), wall)
    shift = torch.where((depth > 0) & (depth < reach), at_least(depth - was, 0), 0) / steep
    _pull(layers, [-w * shift, -v * shift, -u * shift], spacing_mm)
