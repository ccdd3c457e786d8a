"""Every threshold at once: what ``map >= t`` has in common with the truth, from one histogram a slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .pixels import PixelCounts

# Finest table of cells that finds a pixel's threshold; closer thresholds are searched for, more slowly.
_MOST_CELLS = 1 << 14


@dataclass(frozen=True)
class Sweep:
    """Pixel counts of n slices at T thresholds.

    Parameters
    ----------
    thresholds:
        Rising, shape (T,), float32: with these very numbers a pixel is compared.
    counts:
        Of ``map >= threshold`` against the truth, shape (n, T).
    """

    thresholds: np.ndarray
    counts: PixelCounts

    @property
    def positive(self) -> np.ndarray:
        """Which slices have truth, bool, shape (n,)."""
        return self.counts.truth[:, 0] > 0

    def pooled(self) -> PixelCounts:
        """Return the counts over the pixels of all slices together, shape (T,)."""
        return self.counts.pooled()


def check_thresholds(thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return thresholds as float32, shape (T,).

    Raises
    ------
    ValueError
        If there is none, one is not above 0 and up to 1, or they do not rise (as float32).
    """
    steps = np.asarray(thresholds, np.float32)
    if steps.ndim != 1 or not steps.size:
        raise ValueError(f"thresholds are a list of numbers, not of shape {steps.shape}")
    if not ((steps > 0) & (steps <= 1)).all() or not (np.diff(steps) > 0).all():
        raise ValueError("thresholds rise, and lie above 0 and up to 1")
    return steps


def check_maps(maps: np.ndarray) -> np.ndarray:
    """Return maps (n, H, W) as float32 without a copy where they are.

    Raises
    ------
    ValueError
        If they have another number of axes, or a value is not in 0..1.
    """
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3:
        raise ValueError(f"maps have the shape (n, H, W), not {maps.shape}")
    if maps.size and not (maps.min() >= 0 and maps.max() <= 1):  # "not >=" catches NaN, too
        raise ValueError("maps lie in 0..1")
    return maps


def sweep(maps: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> Sweep:
    """Count ``maps >= t`` against the truth for all thresholds.

    Parameters
    ----------
    maps:
        Shape (n, H, W), 0..1. Other dtypes are rounded to float32, as thresholds are.
    truth:
        Masks of the same shape, bool.
    thresholds:
        Rising, above 0 (where every pixel would pass) and up to 1.

    Returns
    -------
    Sweep
        Exactly what comparing pixel by pixel with each threshold gives. Empty masks and truths have their
        zeros.

    Raises
    ------
    ValueError
        If shapes, types or values are others.
    """
    maps, steps = check_maps(maps), check_thresholds(thresholds)
    if truth.dtype != bool or truth.shape != maps.shape:
        raise ValueError(f"truth is bool of the maps' shape {maps.shape}, not {truth.dtype} of {truth.shape}")
    levels = _Levels(steps)
    inside, passing = np.zeros((2, len(maps), len(steps)), np.int64)
    area = np.array([np.count_nonzero(plane) for plane in truth], np.int64)[:, None]
    for k, (plane, mask) in enumerate(zip(maps, truth, strict=True)):
        if not plane.any():
            continue
        level = levels.of(plane)
        passing[k] = _at_or_above(level, len(steps))
        if area[k]:
            inside[k] = _at_or_above(level[mask], len(steps))
    pixels = maps.shape[1] * maps.shape[2]
    return Sweep(
        steps, PixelCounts(inside, passing - inside, area - inside, pixels - area - passing + inside)
    )


def _at_or_above(level: np.ndarray, count: int) -> np.ndarray:
    """How many pixels reach each of ``count`` thresholds, from the number of thresholds that each reaches."""
    histogram = np.bincount(level.ravel(), minlength=count + 1)
    return histogram[:0:-1].cumsum()[::-1]


class _Levels:
    """Tell how many thresholds each pixel reaches.

    0..1 is cut into 2^k cells, so narrow that none holds two thresholds. A pixel's cell is exact (in float32,
    times a power of two is), and says which thresholds it reaches but for the cell's own, with which it is compared.
    """

    def __init__(self, steps: np.ndarray) -> None:
        self.steps = steps
        cells = 64
        while cells <= _MOST_CELLS and (np.diff((steps * np.float32(cells)).astype(np.int32)) == 0).any():
            cells *= 2
        self.scale = np.float32(cells) if cells <= _MOST_CELLS else None
        if self.scale is not None:
            own = (steps * self.scale).astype(np.int64)
            number = np.zeros(cells + 1, np.int64)
            number[own] = 1
            self.below = np.cumsum(number) - number  # thresholds in lower cells
            self.edge = np.full(cells + 1, np.inf, np.float32)
            self.edge[own] = steps

    def of(self, plane: np.ndarray) -> np.ndarray:
        """Return the number of thresholds at or below each pixel, whole numbers of the same shape."""
        if self.scale is None:
            return np.searchsorted(self.steps, plane, side="right")
        cell = (plane * self.scale).astype(np.int32)
        return self.below.take(cell) + (plane >= self.edge.take(cell))
