"""Augmentation in HU, on a batch, before any window: what differs between scanners and positions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def augment(hu: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a random variant of every slice.

    Mirrored (half of them), turned by up to 15 degrees, scaled by 0.9 to 1.12, shifted by up to 6 % of the
    field; HU stretched by up to 6 % and shifted by up to 4 HU (calibration, kVp); blurred and given noise of
    up to 6 HU (kernel, dose).

    Parameters
    ----------
    hu:
        float32, shape (n, size, size), HU.
    generator:
        Source of randomness, on the CPU.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    n, size = hu.shape[0], hu.shape[-1]

    def uniform(low: float, high: float) -> torch.Tensor:
        return (torch.rand(n, generator=generator) * (high - low) + low).to(hu.device)

    angle, scale = uniform(-math.pi / 12, math.pi / 12), uniform(0.9, 1.12)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack(
        [cos * mirror, -sin, uniform(-0.12, 0.12), sin * mirror, cos, uniform(-0.12, 0.12)], dim=1
    ).view(n, 2, 3)
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    moved = F.grid_sample(hu[:, None] + 1024, grid, align_corners=False) - 1024  # outside the field is air

    blurred = F.avg_pool2d(F.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = (uniform(-0.6, 0.8).clamp_min(0))[:, None, None, None]
    moved = moved + share * (blurred - moved)
    noise = torch.randn(moved.shape, generator=generator).to(hu.device)
    noise = noise + (uniform(0, 1).round()[:, None, None, None]) * (
        F.avg_pool2d(F.pad(noise, (1, 1, 1, 1), mode="replicate"), 3, stride=1) * 2 - noise
    )
    moved = moved + noise * (uniform(-3, 6).clamp_min(0))[:, None, None, None]
    gain, offset = uniform(0.94, 1.06)[:, None, None, None], uniform(-4, 4)[:, None, None, None]
    return (moved * gain + offset)[:, 0]
