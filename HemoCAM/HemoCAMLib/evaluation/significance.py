"""Tests of paired differences, and what many tests at once need.

F. Wilcoxon, Biometrics Bulletin 1 (1945) 80, with zeros after J. W. Pratt, JASA 54 (1959) 655; sign flips: R. A.
Fisher, The Design of Experiments (1935), chapter 3, counted after B. Phipson and G. K. Smyth, Stat. Appl. Genet.
Mol. Biol. 9 (2010) 39; S. Holm, Scand. J. Statist. 6 (1979) 65.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

FLIPS = 20_000
_EXACT = 200  # patients up to which the signed-rank distribution is counted out
_SAME = 12  # digits, of the largest value, to which two values are one: rounding noise has no rank


def rounded(values: np.ndarray, scale: float | None = None) -> np.ndarray:
    """``values`` to 12 digits of ``scale``, by default the largest of them, so that noise is no difference."""
    values = np.asarray(values, np.float64)
    scale = float(np.abs(values).max(initial=0)) if scale is None else scale
    return np.round(values / scale, _SAME) * scale if scale else values


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``first - second``, (n,), free of rounding noise: what is equal to 12 digits of the largest value is equal."""
    both = np.stack([first, second]).astype(np.float64)
    return rounded(both[0] - both[1], float(np.abs(both).max(initial=0)))


def signed_rank(differences: np.ndarray) -> tuple[float, float, float]:
    """Wilcoxon's signed-rank test, two-sided, zeros after Pratt: they are ranked and then dropped.

    Up to 200 differences other than 0 the distribution of the ranks at hand, ties included, is counted out; beyond,
    it is taken for normal with its own variance, without correction for continuity.

    Parameters
    ----------
    differences:
        One a patient, shape (n,), no NaN; see :func:`difference`.

    Returns
    -------
    tuple
        Sum of the ranks of the positive ones, of the negative ones, and p. p is 1 where all are 0; NaN of none.
    """
    from scipy.special import ndtr
    from scipy.stats import rankdata

    differences = np.asarray(differences, np.float64)
    if not len(differences):
        return 0.0, 0.0, math.nan
    ranks = rankdata(np.abs(differences))
    plus, minus = float(ranks[differences > 0].sum()), float(ranks[differences < 0].sum())
    ranks = ranks[differences != 0]
    if not len(ranks):
        return plus, minus, 1.0
    if len(ranks) > _EXACT:
        return plus, minus, float(2 * ndtr(-abs(plus - minus) / math.sqrt((ranks**2).sum())))
    steps = np.round(2 * ranks).astype(np.int64)  # midranks are halves
    chance = np.zeros(steps.sum() + 1)  # of each sum of the positive ones
    chance[0] = 1
    for step in steps:
        chance[step:] = (chance[step:] + chance[: len(chance) - step]) / 2
        chance[:step] /= 2
    return plus, minus, float(min(1.0, 2 * chance[round(2 * max(plus, minus)) :].sum()))


def sign_flip(differences: np.ndarray, flips: int = FLIPS, seed: int = 0) -> float:
    """Permutation test of the mean difference, two-sided: a patient's two methods are exchanged or not.

    All 2^n exchanges where there are no more than ``flips`` of them; else as many random ones, of which and the
    one at hand p is the share that is at least as far from 0 (never 0; Phipson and Smyth 2010).

    Parameters
    ----------
    differences:
        One a patient, shape (n,), no NaN.
    flips:
        How many at most.
    seed:
        Same seed, same p.

    Returns
    -------
    float
        p; 1 where all differences are 0, NaN of none.
    """
    differences = np.asarray(differences, np.float64)
    if not len(differences):
        return math.nan
    differences = differences[differences != 0]
    count = len(differences)
    reach = abs(differences.sum()) * (1 - 1e-9)  # sums in another order differ by rounding
    if 2**count <= flips:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((np.abs(signs @ differences) >= reach).mean())
    rng, beyond = np.random.default_rng(seed), 0
    for start in range(0, flips, 1000):
        signs = 1 - 2 * rng.integers(0, 2, (min(1000, flips - start), count))
        beyond += int((np.abs(signs @ differences) >= reach).sum())
    return (beyond + 1) / (flips + 1)


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's step-down adjustment: reject where the result is at most the level, and the family's error is kept.

    The i-th smallest of m becomes the largest of (m - j + 1) p_j, j up to i, cut at 1. It holds whatever the tests'
    dependence. NaN (nothing was tested) stays NaN and does not count among the m.
    """
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, math.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    raised = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(raised, 1)
    return adjusted


def p_text(p: float) -> str:
    """``0.012``, ``<0.001``, or a dash for NaN."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
