"""Hysteresis thresholds chosen on validation patients: the pair of the largest mean Dice."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .hysteresis import region_table

# Up to 0.8: in a pale or thin bleeding no voxel may be surer than that, and a higher seed loses such a patient whole,
# while it gains little in the others. A dozen validation patients often hold none to tell.
THRESHOLDS = np.round(np.arange(0.05, 0.81, 0.05), 2)
_ALLOWED = THRESHOLDS[:, None] <= THRESHOLDS


class Sweep:
    """Dice of every pair of :data:`THRESHOLDS` (low in rows, high in columns), summed over patients."""

    def __init__(self) -> None:
        self.total = np.zeros(_ALLOWED.shape)
        self.cases = 0

    def add(self, posterior: np.ndarray, truth: np.ndarray) -> None:
        """Count a patient with blood: P(blood) and its reference, bool, not empty, same shape."""
        self.total += hysteresis_dice(posterior, truth)
        self.cases += 1

    def best(self, *, single: bool = False) -> tuple[float, float, float]:
        """Low, high and their mean Dice; of equal ones the first. ``single``: of plain thresholds only, low = high.

        Raises
        ------
        InputError
            If nothing was counted.
        """
        if not self.cases:
            raise InputError(
                "Thresholds cannot be chosen: none of the validation cases bleeds; add some that do."
            )
        allowed = np.eye(len(THRESHOLDS), dtype=bool) if single else _ALLOWED
        score = np.where(allowed, self.total, -1.0)
        low, high = np.unravel_index(int(score.argmax()), score.shape)
        return float(THRESHOLDS[low]), float(THRESHOLDS[high]), float(score[low, high] / self.cases)


def hysteresis_dice(posterior: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice at every pair of thresholds, 0 where low is above high; regions are found once a low threshold."""
    voxels = int(np.count_nonzero(truth))
    out = np.zeros(_ALLOWED.shape)
    for place, low in enumerate(THRESHOLDS):
        regions = region_table(posterior, low, truth)
        order = np.argsort(-regions[:, 0], kind="stable")
        highs = THRESHOLDS[place:].astype(posterior.dtype)  # compared as `hysteresis` compares
        kept = np.searchsorted(-regions[order, 0], -highs.astype(np.float64), side="right")
        size, hit = np.concatenate([np.zeros((1, 2)), regions[order, 1:].cumsum(axis=0)])[kept].T
        out[place, place:] = 2 * hit / (size + voxels)
    return out
