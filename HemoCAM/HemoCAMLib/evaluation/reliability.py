"""Whether probabilities mean what they say: reliability curve, expected calibration error, Brier score."""

from __future__ import annotations

import numpy as np

from .roc import check

BINS = 10


def bin_of(probability: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Bin 0..bins-1 of each probability 0..1; bins are of equal width, closed below, the last also above."""
    return np.minimum((np.asarray(probability, np.float64) * bins).astype(np.int64), bins - 1)


def reliability(
    probability: np.ndarray, truth: np.ndarray, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability, share of positives and number of cases a bin, each (bins,); NaN, NaN, 0 where empty."""
    probability, truth = check(probability, truth)
    own = bin_of(probability, bins)
    count = np.bincount(own, minlength=bins)
    with np.errstate(invalid="ignore"):
        said = np.bincount(own, probability, minlength=bins) / count
        true = np.bincount(own, truth, minlength=bins) / count
    return said, true, count


def calibration_error(probability: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of share and probability a bin, weighed by cases.

    Naeini, Cooper and Hauskrecht, AAAI 2015. 0 is perfect, 1 the worst; NaN of no cases. It depends on the bins,
    and is above 0 by chance, the more so the fewer the cases.
    """
    said, true, count = reliability(probability, truth, bins)
    filled = count > 0
    if not filled.any():
        return float("nan")
    return float((np.abs(said - true)[filled] * count[filled]).sum() / count.sum())


def brier(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared distance of probability and truth (Brier, Monthly Weather Review 78 (1950) 1); NaN of no cases.

    In the form for two classes: 0 is perfect, 0.25 is what 0.5 throughout gives, 1 the worst.
    """
    probability, truth = check(probability, truth)
    return float(((probability - truth) ** 2).mean()) if len(truth) else float("nan")
