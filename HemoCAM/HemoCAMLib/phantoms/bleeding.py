"""A rendered head, and how blood is poured into it.

Every kind of hemorrhage is an order in which space fills up: a ``level`` in mm over a window of the head, lowest
first, and the share of each voxel where that blood can be at all. The wished volume then decides up to which
level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from .frame import Frame, Window
from .noise import SmoothField
from .shapes import at_least, blend, fill


@dataclass
class Head:
    """A rendered head on the grid of sub-slices, before the scanner; arrays (k, j, i), float32.

    ``hu`` is without blood. ``depth`` lies below the wall of the cavity, ``vault`` below that of the vault
    alone, in mm. ``cavity``, ``fluid`` (subarachnoid), ``ventricle`` and ``dura`` are shares (0..1), as is
    ``blood`` already poured; ``stain`` is the sum of its shares times their HU: blood stays where it is
    labelled, while later mass effect moves what is around it. ``parts`` sub-slices make a slice of voxels of
    ``voxel_ml``.
    """

    frame: Frame
    hu: Tensor
    depth: Tensor
    vault: Tensor
    cavity: Tensor
    fluid: Tensor
    ventricle: Tensor
    dura: Tensor
    blood: Tensor
    stain: Tensor
    parts: int
    voxel_ml: float

    def bled(self) -> Tensor:
        """HU with the blood in it, in the memory of ``hu``."""
        self.hu *= 1 - self.blood
        self.hu += self.stain
        return self.hu

    def averaged(self, array: Tensor) -> Tensor:
        """Average sub-slices to slices."""
        if self.parts == 1:
            return array
        return array.reshape(-1, self.parts, *array.shape[1:]).mean(1)

    def movable(self, window: Window) -> list[Tensor]:
        """Views of the layers that mass effect moves."""
        return [layer[window] for layer in (self.hu, self.fluid, self.ventricle, self.dura)]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing of the sub-slices' voxels along (k, j, i)."""
        return self.frame.step, self.frame.pixel, self.frame.pixel

    def around(self, centre: np.ndarray, reach: float | tuple[float, float, float]) -> Window | None:
        """Window of a box about ``centre`` (x, y, z) of the head, widened to whole slices."""
        window = self.frame.window(
            tuple((c - r, c + r) for c, r in zip(centre, np.broadcast_to(reach, 3), strict=True))
        )
        if window is None:
            return None
        k = window[0]
        first, last = k.start // self.parts * self.parts, -(-k.stop // self.parts) * self.parts
        return slice(first, last), *window[1:]

    def nearest(self, target: np.ndarray, where: Tensor) -> np.ndarray | None:
        """Head coordinates (x, y, z) of the voxel nearest to ``target`` of those where ``where`` is true.

        Unlike the choice of the n-th of such voxels, it survives a rounding that adds or drops one of them.
        """
        axes = self.frame.x, self.frame.y, self.frame.z
        square = sum((axis - float(t)) ** 2 for axis, t in zip(axes, target, strict=True))
        place = int(torch.where(where, square, 1e9).argmin())
        if not bool(where.view(-1)[place]):
            return None
        return np.array([float(axis.view(-1)[place]) for axis in axes])


@dataclass
class Story:
    """What bleeds in one patient.

    All its ``kinds``, the groups of features it is made ``without``, and the ``focus`` (x, y, z) of the first
    bleeding in the tissue.
    """

    kinds: tuple[str, ...]
    without: tuple[str, ...] = ()
    focus: np.ndarray | None = None


@dataclass
class Bleeding:
    """Where blood of one kind goes: the order in which a window of the head fills, and with what.

    Parameters
    ----------
    window:
        Of the head's arrays, (k, j, i).
    level:
        Order of filling, lowest first, in mm.
    room:
        Share (0..1) of each voxel where this blood can be.
    hu, mottle_hu, mottle_mm:
        Density of the blood, and the standard deviation and size of its variations.
    place:
        What to tell about it, JSON values.
    sharpness:
        How much a mm of level is in mm of space.
    halo_mm, halo_hu:
        Width of the edema around it and its loss of density.
    whole:
        Keep only the largest connected part.
    push:
        Called with the level reached: moves the brain aside.
    serum:
        Part (0..1) of the blood that is serum above sedimented cells, and its HU.
    swirl:
        Size in mm of clouds of unclotted or older blood in it, and the HU they have less.
    """

    window: Window
    level: Tensor
    room: Tensor
    hu: float
    mottle_hu: float
    place: dict
    sharpness: Tensor | float = 1.0
    mottle_mm: float = 4.0
    halo_mm: float = 0.0
    halo_hu: float = 0.0
    whole: bool = False
    push: Callable[[float], None] | None = None
    serum: tuple[float, float] | None = None
    swirl: tuple[float, float] | None = None

    def inside(self) -> dict:
        """What to tell about its texture, JSON values."""
        return {"serum": self.serum is not None, "swirl": self.swirl is not None}


def pour(head: Head, bleeding: Bleeding, ml: float, rng: np.random.Generator) -> Tensor:
    """Fill ``bleeding`` with ``ml`` of blood, in place; return the share of each voxel of its window."""
    window, frame = bleeding.window, head.frame
    texture = SmoothField.draw(rng, bleeding.mottle_mm)
    hu = head.hu[window]
    # Where bone fills a part of the voxel, blood would be invisible: there is none there.
    clear = (head.averaged(head.cavity[window]) > 0.85).repeat_interleave(head.parts, dim=0)
    room = bleeding.room * (1 - head.blood[window]) * (clear & (hu < 250) & (hu > -200))
    level = torch.where(room > 0.02, bleeding.level, 1e6)
    share, reached = _fill_up(head, level, room, bleeding.sharpness, ml)
    if bleeding.whole:
        share = share * _largest(head, share)
    if bleeding.push is not None:
        bleeding.push(reached)
    if bleeding.halo_mm:
        halo = torch.clip(1.5 - (level - reached) * (1.5 / bleeding.halo_mm), 0, 1) * head.cavity[window]
        drop = (hu - 10).clamp(0, bleeding.halo_hu)
        hu -= drop * halo * (1 - at_least(head.fluid[window], head.ventricle[window])) * (hu < 48)
    density = bleeding.hu + frame.field(texture, window) * bleeding.mottle_hu
    if bleeding.swirl:
        clouds = frame.field(SmoothField.draw(rng, bleeding.swirl[0]), window)
        density -= bleeding.swirl[1] * fill(clouds - 0.4, 0.8)
    if bleeding.serum:
        _settle(density, share, frame.y[window], *bleeding.serum)
    head.stain[window] += share * density
    head.blood[window] += share
    return share


def _settle(density: Tensor, share: Tensor, y: Tensor, part: float, hu: float) -> None:
    """Let the cells sink to the back of a lying patient, in place: ``part`` of the blood stays serum of ``hu``."""
    heights = np.sort(y[share > 0.5].cpu().numpy())
    if len(heights):
        level = float(heights[int(part * (len(heights) - 1))])
        blend(density, hu, fill(level - y, 1.5))


def _largest(head: Head, share: Tensor) -> Tensor:
    """Where the largest connected part of ``share`` lies, and one voxel around it in the slice."""
    parts, count = ndimage.label((head.averaged(share) > 0.4).cpu().numpy())
    keep = np.ones(parts.shape, bool)
    if count > 1:
        largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1
        keep = ndimage.binary_dilation(parts == largest, np.ones((1, 3, 3)))
    return torch.from_numpy(keep).to(share.device).repeat_interleave(head.parts, dim=0)


def _fill_up(
    head: Head, level: Tensor, room: Tensor, sharpness: Tensor | float, ml: float
) -> tuple[Tensor, float]:
    """Share of blood in each voxel when ``ml`` are labelled (or all that there is room for), and its level."""
    levels = head.averaged(level.clamp(max=1e4))[head.averaged(room) >= 0.5]
    levels = np.sort(levels.cpu().numpy())  # numpy sorts thirty times faster than torch on the CPU
    wished = ml / head.voxel_ml
    guess = wished
    share, reached = torch.zeros_like(room), 0.0
    for _ in range(4):  # soft edges and partial volume make the first guess wrong by some percent
        if len(levels) == 0:
            break
        reached = float(levels[min(int(guess), len(levels) - 1)])
        share = fill((reached - level) * sharpness, head.frame.edge) * room
        got = int((head.averaged(share) >= 0.5).sum())
        if abs(got - wished) <= 0.03 * wished + 1 or (guess >= len(levels) and got <= wished):
            break
        guess = np.clip(guess * np.clip(wished / max(got, 1), 0.4, 2.5), 1, len(levels))
    return share, reached
