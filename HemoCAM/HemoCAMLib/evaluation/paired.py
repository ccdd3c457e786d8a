"""Methods against each other on the same patients: paired tests, effect sizes, correction for many comparisons.

The unit is the patient: slices of one patient are alike, so a metric is averaged over a patient's cases first,
and methods are compared on these means. What a test asks is whether the differences lie around 0.

The tests and their sources are in :mod:`.significance`; effect sizes are the median difference, in the metric's unit,
and the rank-biserial correlation (D. S. Kerby, Comprehensive Psychology 3 (2014) 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ..errors import OptionError
from ..progress import Progress, silent
from .bootstrap import DRAWS, FEWEST, Bootstrap, Estimate
from .method_scores import Groups, PatientMeans, Scores
from .significance import difference, holm, p_text, sign_flip, signed_rank

TESTS = ("wilcoxon", "permutation")


@dataclass(frozen=True)
class Pair:
    """Two methods compared on the patients that both have values of.

    Parameters
    ----------
    group:
        Which cases; empty for all of them.
    first, second:
        Names.
    median:
        Median over the patients of the difference first - second, in the metric's unit, with its interval by patient.
    rank_biserial:
        -1 to 1: share of the rank sum in favour of a larger ``first`` less the share against it; 0 where all
        patients are equal, NaN of no patients.
    larger, equal, smaller:
        In how many patients ``first`` is.
    p:
        Two-sided; 1 where all patients are equal, NaN of no patients.
    adjusted:
        The same after Holm over all pairs and groups of the call.
    left_out_cases, left_out_patients:
        See :class:`~.method_scores.PatientMeans`.
    """

    group: str
    first: str
    second: str
    median: Estimate
    rank_biserial: float
    larger: int
    equal: int
    smaller: int
    p: float
    adjusted: float
    left_out_cases: int
    left_out_patients: int


@dataclass(frozen=True)
class Comparisons:
    """All pairs of one metric; ``findings`` are sentences on what was left out, and ``test`` is of :data:`TESTS`."""

    pairs: tuple[Pair, ...]
    test: str
    findings: tuple[str, ...]

    def cells(self, digits: int = 3) -> tuple[list[str], list[list[str]]]:
        """Column names and rows as text; groups only where there are any."""
        grouped = any(pair.group for pair in self.pairs)
        names = [*(("group",) if grouped else ()), "first", "second", "patients", "median difference"]
        names += ["larger / equal / smaller", "rank-biserial", f"p ({self.test})", "p (Holm)"]
        rows = [
            [
                *((pair.group,) if grouped else ()), pair.first, pair.second, str(pair.median.patients),
                pair.median.text(digits), f"{pair.larger} / {pair.equal} / {pair.smaller}",
                "-" if math.isnan(pair.rank_biserial) else f"{pair.rank_biserial:.2f}",
                p_text(pair.p), p_text(pair.adjusted),
            ]
            for pair in self.pairs
        ]  # fmt: skip
        return names, rows


def compare(
    scores: Scores,
    pairs: Sequence[tuple[str, str]] | None = None,
    groups: Groups | None = None,
    test: str = "wilcoxon",
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparisons:
    """Compare methods two by two, on patient means.

    Each pair rests on the cases that have a value of both its methods, whatever a third one lacks. Holm's family is
    all that the call tests: every pair in every group.

    Parameters
    ----------
    scores:
        A metric of all methods.
    pairs:
        Which; every pair of ``scores.methods``, in their order, by default.
    groups:
        (label, bool mask of the cases) each, as :func:`~.method_scores.by_label` and :func:`~.figures.classes` make
        them: kinds or sizes, which may overlap. Without them, all cases.
    test:
        ``wilcoxon``: :func:`~.significance.signed_rank`. ``permutation``: :func:`~.significance.sign_flip`, of means.
    draws:
        Of the bootstrap of the medians.
    seed:
        Same seed, same intervals and same p.
    progress:
        Called a pair.

    Raises
    ------
    OptionError
        For another test, or a method that is not there.
    """
    if test not in TESTS:
        raise OptionError(f"There is no paired test {test!r}; choose one of {', '.join(TESTS)}.")
    pairs = list(combinations(scores.methods, 2)) if pairs is None else list(pairs)
    for method in (m for pair in pairs for m in pair):
        if method not in scores.methods:
            raise OptionError(f"There are no values of {method}; choose one of {', '.join(scores.methods)}.")
    parts = [("", scores)] if groups is None else [(name, scores.within(mask)) for name, mask in groups]
    weights: dict[int, np.ndarray] = {}
    found, findings = [], []
    for group, part in parts:
        for first, second in pairs:
            progress("Comparing methods", len(found), len(parts) * len(pairs))
            means = part.means((first, second))
            count = len(means.patients)
            if count not in weights:
                weights[count] = Bootstrap(np.arange(count), draws, seed).weights
            found.append(_pair(group, first, second, means, weights[count], test, seed))
            findings += means.finding(f"{first} and {second}, {group}" if group else f"{first} and {second}")
    adjusted = holm([pair.p for pair in found])
    return Comparisons(
        tuple(replace(pair, adjusted=float(p)) for pair, p in zip(found, adjusted, strict=True)),
        test,
        tuple(findings),
    )


def _pair(
    group: str, first: str, second: str, means: PatientMeans, weights: np.ndarray, test: str, seed: int
) -> Pair:
    differences = difference(*means.values.T)
    plus, minus, p = signed_rank(differences)
    if test == "permutation":
        p = sign_flip(differences, seed=seed)
    return Pair(
        group=group,
        first=first,
        second=second,
        median=_median(differences, weights, means.cases),
        rank_biserial=(plus - minus) / (plus + minus)
        if plus + minus
        else (0.0 if len(differences) else math.nan),
        larger=int((differences > 0).sum()),
        equal=int((differences == 0).sum()),
        smaller=int((differences < 0).sum()),
        p=p,
        adjusted=math.nan,
        left_out_cases=means.left_out_cases,
        left_out_patients=means.left_out_patients,
    )


def _median(differences: np.ndarray, weights: np.ndarray, cases: int) -> Estimate:
    """Median with its percentile interval over the draws of patients, weights (draws, p)."""
    count = len(differences)
    if not count:
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    low = high = math.nan
    if count >= FEWEST:
        order = np.argsort(differences)
        below = weights[:, order].cumsum(axis=1)
        # the two middle ones of each draw's ``count`` patients; the same one where the count is odd
        middle = [differences[order][(below < k).sum(axis=1)] for k in ((count + 1) // 2, count // 2 + 1)]
        low, high = (float(v) for v in np.percentile(np.mean(middle, axis=0), (2.5, 97.5)))
    return Estimate(float(np.median(differences)), low, high, cases, count)
