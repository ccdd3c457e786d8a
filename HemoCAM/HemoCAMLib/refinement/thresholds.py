"""Hysteresis thresholds chosen on validation patients: the pair of the largest mean Dice."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .hysteresis import region_table

LOWS = np.round(np.arange(0.05, 0.96, 0.05), 2)
HIGHS = np.round(np.append(LOWS[1:], [0.97, 0.98, 0.99, 0.995]), 3)


class Sweep:
    """Dice of every pair of thresholds (``LOWS`` by ``HIGHS``, low at most high), summed over patients."""

    def __init__(self) -> None:
        self.total = np.zeros((len(LOWS), len(HIGHS)))
        self.cases = 0

    def add(self, posterior: np.ndarray, truth: np.ndarray) -> None:
        """Count a patient with blood: P(blood) and its reference, bool, not empty, same shape."""
        self.total += hysteresis_dice(posterior, truth)
        self.cases += 1

    def best(self) -> tuple[float, float, float]:
        """Low, high and their mean Dice; of equal ones the first. :class:`InputError` if nothing was counted."""
        if not self.cases:
            raise InputError(
                "Thresholds cannot be chosen: none of the validation cases bleeds; add some that do."
            )
        allowed = np.where(LOWS[:, None] <= HIGHS, self.total, -1.0)
        low, high = np.unravel_index(int(allowed.argmax()), allowed.shape)
        return float(LOWS[low]), float(HIGHS[high]), float(allowed.max() / self.cases)


def hysteresis_dice(posterior: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice at every pair of thresholds, shape (LOWS, HIGHS); regions are found once a low threshold."""
    voxels = int(np.count_nonzero(truth))
    out = np.zeros((len(LOWS), len(HIGHS)))
    for row, low in zip(out, LOWS, strict=True):
        regions = region_table(posterior, low, truth)
        order = np.argsort(-regions[:, 0], kind="stable")
        kept = np.searchsorted(-regions[order, 0], -HIGHS, side="right")
        size, hit = np.concatenate([np.zeros((1, 2)), regions[order, 1:].cumsum(axis=0)])[kept].T
        row[:] = 2 * hit / (size + voxels)
    return out
