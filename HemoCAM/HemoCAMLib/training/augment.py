"""Augmentation on a batch: how the head lies in the picture, and what differs between scanners, in HU.

HU and label map are moved by one and the same sampling grid, so that the labels stay on their voxels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..volumes.volume import AIR_HU

if TYPE_CHECKING:
    import torch

    from ..models.manifest import Outside

BONE_HU = 200.0  # above acute blood, below the vault after averaging over a slab
_BRAIN_HU, _BRAIN_SHARE = (0.0, 100.0), 0.04  # 23 cm2 of a square of 240 mm
_EDGE_PIXELS = 3  # a row or column belongs to the skull from so many bony pixels on


class Draw:
    """Random numbers for a batch of ``n``, on ``device``; the generator may live on the CPU or on the device."""

    def __init__(self, n: int, generator: torch.Generator, device: torch.device) -> None:
        self.n, self.generator, self.device = n, generator, device

    def uniform(self, low: float, high: float) -> torch.Tensor:
        """``n`` numbers between ``low`` and ``high``."""
        import torch

        numbers = torch.rand(self.n, generator=self.generator, device=self.generator.device)
        return (numbers * (high - low) + low).to(self.device)

    def chance(self, share: float) -> torch.Tensor:
        """``n`` bools, True with probability ``share``."""
        return self.uniform(0.0, 1.0) < share

    def log_normal(self, sigma: float) -> torch.Tensor:
        """``n`` factors around 1 whose logarithm has the standard deviation ``sigma``."""
        return self.normal((self.n,)).mul(sigma).exp()

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal numbers of any shape."""
        import torch

        return torch.randn(shape, generator=self.generator, device=self.generator.device).to(self.device)

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """``count`` integers from ``low`` up to, but without, ``high``."""
        import torch

        source = self.generator
        return torch.randint(low, high, (count,), generator=source, device=source.device).tolist()


@dataclass(frozen=True)
class Frames:
    """How slices are laid in the network's square.

    Two ways, chosen a slice. The CT way: the field of view is fixed in mm and the head lies near its middle, as
    :class:`~..volumes.headgrid.HeadGrid` places it. The picture way: the skull's bounding box is known, its scale
    in mm is not, and it fills the square, as a screen capture is laid.

    Parameters
    ----------
    turn:
        Largest angle in radians; pictures are turned by 0.7 of it.
    zoom:
        Range of the field of view relative to the network's, the CT way.
    shift, picture_shift:
        Largest shift, as a share of half the square, the CT way and the picture way.
    fill:
        Range of the share of the square that the longer side of the skull's box fills, the picture way.
    aspect:
        Standard deviation of the logarithm of the height's factor (the width gets its inverse).
    """

    turn: float = math.pi / 12
    zoom: tuple[float, float] = (0.9, 1.12)
    shift: float = 0.1
    picture_shift: float = 0.06
    fill: tuple[float, float] = (0.82, 1.02)
    aspect: float = 0.05

    def random(self, hu: torch.Tensor, picture: torch.Tensor, draw: Draw) -> torch.Tensor:
        """Affine matrices (n, 2, 3) as ``torch.nn.functional.affine_grid`` takes them, mirrored half the time.

        ``hu``: (n, size, size). ``picture``: (n,) bool, True for the picture way.
        """
        import torch

        centre, side = skull_box(hu)
        half = torch.where(picture, side / (2 * draw.uniform(*self.fill)), draw.uniform(*self.zoom))
        reach = torch.where(picture, self.picture_shift, self.shift)
        middle = torch.where(picture[:, None], centre, 0.0)
        x, y = (middle[:, k] + reach * draw.uniform(-1, 1) for k in (0, 1))
        angle = self.turn * draw.uniform(-1, 1) * torch.where(picture, 0.7, 1.0)
        cos, sin = torch.cos(angle) * half, torch.sin(angle) * half
        mirror = torch.where(draw.chance(0.5), -1.0, 1.0)
        aspect = draw.log_normal(self.aspect)
        rows = [cos * mirror * aspect, -sin / aspect, x, sin * mirror * aspect, cos / aspect, y]
        return torch.stack(rows, dim=1).view(-1, 2, 3)

    @staticmethod
    def upright(hu: torch.Tensor, picture: torch.Tensor, fill: float) -> torch.Tensor:
        """As :meth:`random`, without chance: the network's own field of view, or the box filling ``fill``."""
        import torch

        centre, side = skull_box(hu)
        half = torch.where(picture, side / (2 * fill), 1.0)
        x, y = torch.where(picture[:, None], centre, 0.0).unbind(1)
        zero = torch.zeros_like(half)
        return torch.stack([half, zero, x, zero, half, y], dim=1).view(-1, 2, 3)


def skull_box(hu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the bounding box of what is as dense as bone.

    Parameters
    ----------
    hu:
        Shape (n, size, size).

    Returns
    -------
    centre, side
        Centre (x, y), shape (n, 2), and longer side, shape (n,), where the picture's edges lie at -1 and 1.
        Where there is (nearly) no bone: the whole picture, (0, 0) and 2.
    """
    import torch

    size = hu.shape[-1]
    bone = hu > BONE_HU
    starts, stops = [], []
    for across in (1, 2):  # columns' extent along x, rows' along y
        dense = bone.sum(across) >= _EDGE_PIXELS
        starts.append(dense.float().argmax(1))
        stops.append(size - dense.flip(1).float().argmax(1))
    start, stop = torch.stack(starts, 1).float(), torch.stack(stops, 1).float()
    side = (stop - start).amax(1)
    found = bone.flatten(1).sum(1) >= size // 4
    centre = torch.where(found[:, None], (start + stop) / size - 1, 0.0)
    return centre, torch.where(found, side * 2 / size, 2.0)


def shows_brain(hu: torch.Tensor) -> torch.Tensor:
    """Whether slices (n, size, size) show as much soft tissue as makes a picture worth taking, bool (n,)."""
    return ((hu > _BRAIN_HU[0]) & (hu < _BRAIN_HU[1])).float().mean((1, 2)) >= _BRAIN_SHARE


def warp(
    hu: torch.Tensor, labels: torch.Tensor, inside: torch.Tensor, theta: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Resample HU (linearly), labels (nearest) and a mask (at half) by one grid to ``size`` pixels.

    Beyond the picture is air, without a label, and outside the mask.

    ``hu``: float32 (n, slabs, h, w); ``labels``: integers (n, h, w); ``inside``: bool, of the shape of ``hu``;
    ``theta``: (n, 2, 3). All come back with ``size`` pixels along each edge, in their own types.
    """
    import torch.nn.functional as F  # noqa: N812

    grid = F.affine_grid(theta, [len(hu), 1, size, size], align_corners=False)
    moved = F.grid_sample(hu - AIR_HU, grid, align_corners=False) + AIR_HU
    kept = F.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)
    within = F.grid_sample(inside.float(), grid, align_corners=False) >= 0.5
    return moved, kept[:, 0].to(labels.dtype), within


def vary_hu(hu: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Return slabs (n, slabs, size, size) as other scanners might give them, those of a head alike.

    Blurred, or given noise of up to 6 HU, white or of a soft kernel's grain; stretched by up to 6 % and shifted
    by up to 4 HU (kVp, calibration).
    """
    import torch

    def each(values: torch.Tensor) -> torch.Tensor:
        return values[:, None, None, None]

    hu = hu + each(draw.uniform(-0.6, 0.8).clamp_min(0)) * (_blur(hu) - hu)
    noise = draw.normal(tuple(hu.shape))
    noise = torch.where(each(draw.chance(0.5)), noise, 2 * _blur(noise))
    hu = hu + noise * each(draw.uniform(-3, 6).clamp_min(0))
    return hu * each(draw.uniform(0.94, 1.06)) + each(draw.uniform(-4, 4))


def _blur(hu: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as F  # noqa: N812

    return F.avg_pool2d(F.pad(hu, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def fill_outside(
    hu: torch.Tensor, inside: torch.Tensor, outside: Outside, pixel_mm: float, draw: Draw
) -> torch.Tensor:
    """As :func:`~..models.preprocess.fill_outside`, the margin being a pixel more or less now and then.

    No two ways to find the inner table agree to the pixel; a network that has seen it moved does not mind.
    ``hu``, ``inside``: (n, slabs, size, size).
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    margin = round(outside.margin_mm / pixel_mm)
    reach = (margin + draw.uniform(-1.5, 1.5).round()).clamp_min(0).long()
    within = inside.float()
    result, grown = hu.clone(), within
    for step in range(int(reach.max()) + 1):
        if step:
            grown = F.max_pool2d(grown, 3, 1, 1)
        own = reach == step
        result[own] = torch.where(grown[own] > 0, hu[own], hu.new_tensor(outside.hu))
    return result
