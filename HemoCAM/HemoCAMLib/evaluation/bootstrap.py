"""Intervals by bootstrap over patients: slices of one patient are alike, so patients are drawn, not slices.

Efron, Annals of Statistics 7 (1979) 1; of clusters: Field and Welsh, JRSS B 69 (2007) 369. A patient drawn k
times counts k-fold: every draw is a set of whole-number weights, and every statistic here is one of weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .reliability import BINS, bin_of, calibration_error
from .roc import auc, check

DRAWS = 2000
FEWEST = 5


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval, and the cases and patients that it comes from.

    ``value`` is NaN where it is not defined (no cases, or one side of a ROC curve), ``low`` and ``high`` where it
    rests on fewer than :data:`FEWEST` patients.
    """

    value: float
    low: float
    high: float
    cases: int
    patients: int

    def text(self, digits: int = 3) -> str:
        """``0.912 (0.887 to 0.934)``; the value alone where there is no interval, a dash where there is no value."""
        if math.isnan(self.value):
            return "-"
        if math.isnan(self.low):
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


UNDEFINED = Estimate(math.nan, math.nan, math.nan, 0, 0)


class Bootstrap:
    """Draws of patients, made once, so that all figures of a table rest on the same draws.

    Percentile intervals of 95%. A draw without any case (or without positives, or negatives, where both are
    needed) is left out. No interval is given of fewer than :data:`FEWEST` patients (with positives, and with
    negatives): draws of so few repeat each other. Of a share of 0 or 1 the interval has no width: the bootstrap
    does not know what has not occurred yet.

    Parameters
    ----------
    patient:
        Whose each case is, shape (n,), any values that can be compared.
    draws:
        How many.
    seed:
        Same seed, same intervals.
    """

    def __init__(self, patient: np.ndarray, draws: int = DRAWS, seed: int = 0) -> None:
        names, self.patient = np.unique(np.asarray(patient), return_inverse=True)
        count = len(names)
        rng = np.random.default_rng(seed)
        if count:
            self.weights = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
        else:
            self.weights = np.zeros((draws, 0))

    def auc(self, scores: np.ndarray, truth: np.ndarray, counted: np.ndarray | None = None) -> Estimate:
        """Area under the ROC curve of the cases in ``counted`` (bool, (n,); all by default)."""
        scores, truth = check(scores, truth)
        rows = self._rows(counted)
        scores, truth, own = scores[rows], truth[rows], self.patient[rows]
        pairs, positives, negatives = self._pairs(scores, truth, own)
        with np.errstate(invalid="ignore"):
            drawn = ((self.weights @ pairs) * self.weights).sum(1)
            drawn /= (self.weights @ positives) * (self.weights @ negatives)
        fewest = min(np.count_nonzero(positives), np.count_nonzero(negatives))
        return self._estimate(auc(scores, truth), drawn, rows, fewest)

    def _pairs(
        self, scores: np.ndarray, truth: np.ndarray, own: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs won by positives of patient p over negatives of patient q, (p, q); positives; negatives, (p,).

        The area of any draw is a quadratic form of it: patients are few where slices are many.
        """
        count = self.weights.shape[1]
        pairs = np.zeros((count, count))
        positive, whose = scores[truth], own[truth]
        for other in np.unique(own[~truth]):
            theirs = np.sort(scores[~truth & (own == other)])
            won = np.searchsorted(theirs, positive, "left") + np.searchsorted(theirs, positive, "right")
            pairs[:, other] = np.bincount(whose, won / 2, count)
        return pairs, np.bincount(whose, minlength=count), np.bincount(own[~truth], minlength=count)

    def mean(self, values: np.ndarray, counted: np.ndarray | None = None) -> Estimate:
        """Mean over the cases in ``counted``: of a Dice, a Brier score, or of 0 and 1 for a share."""
        rows = self._rows(counted)
        values = np.asarray(values, np.float64)[rows]
        if np.isnan(values).any():
            raise ValueError("a value that counts is not a number")
        own, count = self.patient[rows], self.weights.shape[1]
        total, cases = np.bincount(own, values, count), np.bincount(own, minlength=count)
        with np.errstate(invalid="ignore"):
            drawn = (self.weights @ total) / (self.weights @ cases)
        return self._estimate(float(values.mean()) if len(rows) else math.nan, drawn, rows)

    def calibration_error(
        self, probability: np.ndarray, truth: np.ndarray, counted: np.ndarray | None = None, bins: int = BINS
    ) -> Estimate:
        """Expected calibration error; see :func:`~.reliability.calibration_error`.

        It is above 0 by chance, in a draw more than in the sample: the interval leans upward.
        """
        probability, truth = check(probability, truth)
        rows = self._rows(counted)
        place = self.patient[rows] * bins + bin_of(probability[rows], bins)
        size = self.weights.shape[1] * bins
        gap = np.bincount(place, probability[rows] - truth[rows], size).reshape(-1, bins)
        cases = np.bincount(self.patient[rows], minlength=self.weights.shape[1])
        with np.errstate(invalid="ignore"):
            drawn = np.abs(self.weights @ gap).sum(1) / (self.weights @ cases)
        return self._estimate(calibration_error(probability[rows], truth[rows], bins), drawn, rows)

    def _rows(self, counted: np.ndarray | None) -> np.ndarray:
        return np.arange(len(self.patient)) if counted is None else np.flatnonzero(counted)

    def _estimate(
        self, value: float, drawn: np.ndarray, rows: np.ndarray, fewest: int | None = None
    ) -> Estimate:
        patients = len(np.unique(self.patient[rows]))
        drawn = drawn[np.isfinite(drawn)]
        low = high = math.nan
        if len(drawn) and (patients if fewest is None else fewest) >= FEWEST:
            low, high = (float(v) for v in np.percentile(drawn, (2.5, 97.5)))
        return Estimate(value, low, high, len(rows), patients)
