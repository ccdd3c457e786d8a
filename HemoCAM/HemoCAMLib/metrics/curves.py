"""Threshold curves of a whole split, added up case by case, and the fixed threshold that is best on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from ..errors import OptionError
from .pixels import PIXEL_METRICS, PixelCounts, ratio
from .rules import Fixed
from .sweep import Sweep

MEANS = ("slices", "pixels", "all pixels")


@dataclass(frozen=True)
class Curves:
    """Sums over slices at T thresholds, from which every curve follows; its size does not grow with the cases.

    Sums of floats depend on their order in the last digit: add cases in the order of the data set.

    Parameters
    ----------
    thresholds:
        Shape (T,), float32.
    slices, positive:
        How many slices, and how many of them have truth.
    every, bleeding:
        Counts of the pixels of all slices, and of the positive ones; shape (T,).
    sums, defined:
        Sum of each of :data:`~.pixels.PIXEL_METRICS` over the positive slices in which it is defined, and
        their number; shape (metrics, T), in that order.
    """

    thresholds: np.ndarray
    slices: int
    positive: int
    every: PixelCounts
    bleeding: PixelCounts
    sums: np.ndarray
    defined: np.ndarray

    @classmethod
    def of(cls, swept: Sweep) -> Curves:
        """Sum up the slices of a case."""
        chosen = swept.counts[swept.positive]
        values = np.stack([metric(chosen) for metric in PIXEL_METRICS.values()])
        return cls(
            thresholds=swept.thresholds,
            slices=len(swept.positive),
            positive=int(np.count_nonzero(swept.positive)),
            every=swept.pooled(),
            bleeding=chosen.pooled(),
            sums=np.nansum(values, axis=1),
            defined=np.count_nonzero(~np.isnan(values), axis=1),
        )

    @classmethod
    def total(cls, parts: list[Curves]) -> Curves:
        """Add up one case or more, in their order."""
        return reduce(cls.__add__, parts)

    def __add__(self, other: Curves) -> Curves:
        """Add another case.

        Raises
        ------
        ValueError
            If its thresholds are others.
        """
        if not np.array_equal(self.thresholds, other.thresholds):
            raise ValueError("curves of different thresholds cannot be added")
        return Curves(
            self.thresholds,
            self.slices + other.slices,
            self.positive + other.positive,
            self.every + other.every,
            self.bleeding + other.bleeding,
            self.sums + other.sums,
            self.defined + other.defined,
        )

    def curve(self, metric: str = "dice", over: str = "slices") -> np.ndarray:
        """Return a metric at each threshold.

        Parameters
        ----------
        metric:
            One of :data:`~.pixels.PIXEL_METRICS`.
        over:
            ``slices``: mean over positive slices, as the paper does; a precision without a mask is left out.
            ``pixels``: of the pixels of all positive slices together. ``all pixels``: of all slices', so that
            what is shown on clean slices counts as false.

        Returns
        -------
        np.ndarray
            Shape (T,), 0 to 1; NaN without a positive slice, or wherever the metric is undefined.

        Raises
        ------
        OptionError
            If there is no such metric or mean.
        """
        if metric not in PIXEL_METRICS:
            raise OptionError(
                f"There is no pixel metric {metric!r}; choose one of {', '.join(PIXEL_METRICS)}."
            )
        if over not in MEANS:
            raise OptionError(f"There is no mean over {over!r}; choose one of {', '.join(MEANS)}.")
        if not self.positive:
            return np.full(len(self.thresholds), np.nan)
        if over == "slices":
            row = list(PIXEL_METRICS).index(metric)
            return ratio(self.sums[row], self.defined[row], np.nan)
        return PIXEL_METRICS[metric](self.bleeding if over == "pixels" else self.every)


@dataclass(frozen=True)
class Choice:
    """The best fixed threshold of a split.

    Parameters
    ----------
    rule:
        With that threshold.
    value:
        What the metric is there.
    at_edge:
        Whether it is the first or the last of the thresholds: a better one may lie beyond.
    """

    rule: Fixed
    value: float
    at_edge: bool


def choose(curves: Curves, metric: str = "dice", over: str = "slices") -> Choice:
    """Pick the fixed threshold at which a metric is highest; the lowest of them where several are.

    Parameters
    ----------
    curves:
        Of the training or the validation split, never of the test split.
    metric, over:
        As for :meth:`Curves.curve`. Not recall, which the lowest threshold always wins.

    Raises
    ------
    OptionError
        If the metric or mean is unknown, or the split has no slice with truth.
    """
    values = curves.curve(metric, over)
    if np.isnan(values).all():
        raise OptionError(
            "No threshold can be chosen on a split without hemorrhage; choose a split with positive slices or give "
            "a fixed threshold."
        )
    best = int(np.nanargmax(values))
    threshold = float(curves.thresholds[best])
    return Choice(Fixed(threshold), float(values[best]), best in (0, len(values) - 1))
