"""A rendered head, and how blood is poured into it.

Every kind of hemorrhage is an order in which space fills up: a ``level`` in mm over a window of the head, lowest
first, and the share of each voxel where that blood can be at all. The wished volume then decides up to which
level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .frame import Frame
from .noise import SmoothField
from .shapes import fill

Window = tuple[slice, slice, slice]


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
    hu: np.ndarray
    depth: np.ndarray
    vault: np.ndarray
    cavity: np.ndarray
    fluid: np.ndarray
    ventricle: np.ndarray
    dura: np.ndarray
    blood: np.ndarray
    stain: np.ndarray
    parts: int
    voxel_ml: float

    def bled(self) -> np.ndarray:
        """HU with the blood in it, in the memory of ``hu``."""
        self.hu *= 1 - self.blood
        self.hu += self.stain
        return self.hu

    def averaged(self, array: np.ndarray) -> np.ndarray:
        """Average sub-slices to slices."""
        if self.parts == 1:
            return array
        return array.reshape(-1, self.parts, *array.shape[1:]).mean(1)

    def movable(self, window: Window) -> list[np.ndarray]:
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

    def somewhere(self, pick: float, where: np.ndarray) -> np.ndarray | None:
        """Head coordinates (x, y, z) of the voxel a part ``pick`` (0..1) along those where ``where`` is true."""
        places = np.flatnonzero(where)
        if len(places) == 0:
            return None
        place = np.unravel_index(places[int(pick * len(places))], where.shape)
        return np.array([axis[place] for axis in (self.frame.x, self.frame.y, self.frame.z)], dtype=float)


@dataclass
class Story:
    """What bleeds in one patient: all ``kinds``, and the ``focus`` (x, y, z) of the bleeding in the tissue."""

    kinds: tuple[str, ...]
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
    """

    window: Window
    level: np.ndarray
    room: np.ndarray
    hu: float
    mottle_hu: float
    place: dict
    sharpness: np.ndarray | float = 1.0
    mottle_mm: float = 4.0
    halo_mm: float = 0.0
    halo_hu: float = 0.0
    whole: bool = False
    push: Callable[[float], None] | None = None


def pour(head: Head, bleeding: Bleeding, ml: float, rng: np.random.Generator) -> np.ndarray:
    """Fill ``bleeding`` with ``ml`` of blood, in place; return the share of each voxel of its window."""
    window, frame = bleeding.window, head.frame
    texture = SmoothField.draw(rng, bleeding.mottle_mm)
    room = bleeding.room * (1 - head.blood[window])
    hu = head.hu[window]
    # Where bone fills a part of the voxel, blood would be invisible: there is none there.
    clear = np.repeat(head.averaged(head.cavity[window]) > 0.85, head.parts, axis=0)
    room = room * (clear & (hu < 250) & (hu > -200))
    level = np.where(room > 0.02, bleeding.level, np.float32(1e6))
    share, reached = _fill_up(head, level, room, bleeding.sharpness, ml)
    if bleeding.whole:
        parts, count = ndimage.label(head.averaged(share) > 0.4)
        if count > 1:
            largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1
            keep = ndimage.binary_dilation(parts == largest, np.ones((1, 3, 3)))
            share = share * np.repeat(keep, head.parts, axis=0)
    if bleeding.push is not None:
        bleeding.push(reached)
    if bleeding.halo_mm:
        halo = (
            np.clip(1.5 - 1.5 * (level - reached) / np.float32(bleeding.halo_mm), 0, 1) * head.cavity[window]
        )
        drop = np.minimum(np.float32(bleeding.halo_hu), np.maximum(hu - 10, 0))
        hu -= drop * halo * (1 - np.maximum(head.fluid[window], head.ventricle[window])) * (hu < 48)
    density = np.float32(bleeding.hu) + frame.field(texture, window) * np.float32(bleeding.mottle_hu)
    head.stain[window] += share * density
    head.blood[window] += share
    return share


def _fill_up(
    head: Head, level: np.ndarray, room: np.ndarray, sharpness: np.ndarray | float, ml: float
) -> tuple[np.ndarray, float]:
    """Share of blood in each voxel when ``ml`` are labelled (or all that there is room for), and its level."""
    levels = np.sort(head.averaged(np.minimum(level, 1e4))[head.averaged(room) >= 0.5])
    wished = ml / head.voxel_ml
    guess = wished
    share, reached = np.zeros_like(room), 0.0
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
