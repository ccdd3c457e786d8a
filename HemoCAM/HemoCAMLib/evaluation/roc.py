"""The ROC curve: its area, the area's standard error after DeLong, and the curve itself."""

from __future__ import annotations

import math

import numpy as np


def check(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``scores`` as float64 and ``truth`` as bool, both (n,).

    Raises
    ------
    ValueError
        If their shapes differ, a score is not a number, or a truth is neither 0 nor 1.
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth)
    if scores.ndim != 1 or scores.shape != truth.shape:
        raise ValueError(
            f"scores and truth are of one length, not of shapes {scores.shape} and {truth.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("truth is 0 or 1")
    return scores, truth.astype(bool)


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half.

    The Mann-Whitney statistic over the number of pairs (Hanley and McNeil, Radiology 143 (1982) 29).

    Parameters
    ----------
    scores:
        Higher is more suspicious, shape (n,).
    truth:
        0 or 1, shape (n,).

    Returns
    -------
    float
        0 to 1; NaN where there are no positives or no negatives.
    """
    return delong(scores, truth)[0]


def delong(scores: np.ndarray, truth: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Area under the ROC curve with its interval after DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837.

    The structural components come from midranks (Sun and Xu, IEEE Signal Processing Letters 21 (2014) 1389).
    As in R's pROC, the interval is normal and cut at 0 and 1; it takes every case for independent of every
    other, which slices of one patient are not.

    Parameters
    ----------
    scores, truth:
        As for :func:`auc`.
    level:
        Of confidence, in (0, 1).

    Returns
    -------
    tuple
        (area, low, high), each 0 to 1. All NaN where there are no positives or no negatives; an interval of
        NaN where either has one case only.
    """
    from scipy.stats import norm, rankdata

    scores, truth = check(scores, truth)
    positive, negative = scores[truth], scores[~truth]
    m, n = len(positive), len(negative)
    if not m or not n:
        return (math.nan,) * 3
    everything = rankdata(np.concatenate([positive, negative]))
    # of each positive: the share of negatives below it; of each negative: the share of positives above it
    over = (everything[:m] - rankdata(positive)) / n
    under = 1 - (everything[m:] - rankdata(negative)) / m
    area = float(over.mean())
    if m < 2 or n < 2:
        return area, math.nan, math.nan
    reach = float(norm.ppf((1 + level) / 2)) * math.sqrt(over.var(ddof=1) / m + under.var(ddof=1) / n)
    return area, max(0.0, area - reach), min(1.0, area + reach)


def curve(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the ROC curve: (1 - specificity, sensitivity), each rising from 0 to 1.

    A case is called positive from a score on; cases of one score move together, so the trapezoids below the
    line add up to :func:`auc`.

    Raises
    ------
    ValueError
        If there are no positives or no negatives.
    """
    scores, truth = check(scores, truth)
    if truth.all() or not truth.any():
        raise ValueError("a ROC curve needs positives and negatives")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of each run of equal scores
    hits = truth[order].cumsum()[last]
    alarms = last + 1 - hits
    return np.append(0, alarms / (~truth).sum()), np.append(0, hits / truth.sum())


def wilson(successes: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share after Wilson, JASA 22 (1927) 209; (NaN, NaN) of no cases."""
    from scipy.stats import norm

    if not count:
        return math.nan, math.nan
    z = float(norm.ppf((1 + level) / 2))
    share, spread = successes / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    reach = z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / 4 / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)
