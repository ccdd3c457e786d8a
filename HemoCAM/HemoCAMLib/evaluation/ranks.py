"""Methods in order: mean ranks over patients, the Friedman test, and the Nemenyi critical difference.

After J. Demšar, JMLR 7 (2006) 1, with patients in the place of data sets. Friedman, JASA 32 (1937) 675; its F form:
R. L. Iman and J. M. Davenport, Comm. Statist. A 9 (1980) 571; P. B. Nemenyi, thesis, Princeton 1963.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .bootstrap import DRAWS, Bootstrap, Estimate
from .method_scores import Groups, Scores
from .significance import p_text, rounded

LEVEL = 0.05


@dataclass(frozen=True)
class Ranking:
    """Methods from the best mean rank to the worst.

    Parameters
    ----------
    methods:
        Names, best first.
    ranks:
        Mean rank over the patients, 1 (always best) to the number of methods; NaN of no patients.
    averages:
        Mean over the patients of the patient means, in the metric's unit, with intervals by patient.
    chi_square, f:
        Friedman's statistic, corrected for ties, and Iman and Davenport's F from it; ``f`` is infinite where all
        patients agree. 0 where all methods are equal in every patient, NaN below two patients.
    p_chi_square, p:
        Their p. The first is conservative, so the second decides.
    level:
        Of error.
    critical_difference:
        Nemenyi's: mean ranks that lie as far apart or farther differ. NaN of no patients.
    groups:
        The longest runs of methods that are not told apart, best first; a method may be in several, and each is
        in one at least. All methods are one group where ``p`` is above ``level``: then nobody is told apart.
    patients:
        How many the ranks come from.
    findings:
        Sentences on what was left out.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    averages: tuple[Estimate, ...]
    chi_square: float
    p_chi_square: float
    f: float
    p: float
    level: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    patients: int
    findings: tuple[str, ...]

    def cells(self, digits: int = 3) -> tuple[list[str], list[list[str]]]:
        """Column names and rows as text; methods that share a letter are not told apart."""
        rows = [
            [
                method,
                average.text(digits),
                "-" if math.isnan(rank) else f"{rank:.2f}",
                " ".join(_letter(n) for n, group in enumerate(self.groups) if method in group),
            ]
            for method, rank, average in zip(self.methods, self.ranks, self.averages, strict=True)
        ]
        return ["method", "mean over patients", "mean rank", "group"], rows

    def text(self) -> str:
        """One line below the table."""
        if math.isnan(self.p):
            return f"{self.patients} patients: too few to rank."
        return (
            f"Friedman: chi-square {self.chi_square:.2f} with {len(self.methods) - 1} degrees of freedom, "
            f"F {self.f:.2f}, p {p_text(self.p)}; Nemenyi critical difference {self.critical_difference:.2f} "
            f"at {self.level:g}; {self.patients} patients."
        )


def rank(scores: Scores, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> Ranking:
    """Rank the methods within each patient, on patient means, and test whether their mean ranks differ.

    Cases that lack a value of any method are left out, for ranks of different methods would not be comparable;
    ``findings`` says how many. Equal means share the mean of their ranks.

    Parameters
    ----------
    scores:
        Of two methods at least.
    level:
        Of error, in (0, 1).
    draws, seed:
        Of the bootstrap of the averages.

    Raises
    ------
    ValueError
        Below two methods.
    """
    from scipy.stats import rankdata

    count = len(scores.methods)
    if count < 2:
        raise ValueError("ranks need two methods at least")
    means = scores.means()
    patients = len(means.patients)
    values = rounded(means.values)
    ranks = rankdata(-values if scores.larger_is_better else values, axis=1)
    chi_square, p_chi_square, f, p = friedman(ranks)
    mean_ranks = ranks.mean(axis=0) if patients else np.full(count, math.nan)
    order = np.argsort(mean_ranks, kind="stable")
    names = tuple(scores.methods[i] for i in order)
    people = Bootstrap(np.arange(patients), draws, seed)
    averages = tuple(people.mean(means.values[:, i]) for i in order)
    critical = critical_difference(count, patients, level)
    groups = _groups(mean_ranks[order], critical) if p <= level else [range(count)]
    return Ranking(
        methods=names,
        ranks=tuple(float(mean_ranks[i]) for i in order),
        averages=averages,
        chi_square=chi_square,
        p_chi_square=p_chi_square,
        f=f,
        p=p,
        level=level,
        critical_difference=critical,
        groups=tuple(tuple(names[i] for i in group) for group in groups),
        patients=patients,
        findings=means.finding("Ranks"),
    )


def rank_groups(
    scores: Scores, groups: Groups, level: float = LEVEL, draws: int = DRAWS, seed: int = 0
) -> list[tuple[str, Ranking]]:
    """Rank within each group of cases, (label, bool mask) each: kinds or sizes; see :func:`rank`."""
    return [(label, rank(scores.within(mask), level, draws, seed)) for label, mask in groups]


def friedman(ranks: np.ndarray) -> tuple[float, float, float, float]:
    """Friedman's test of ranks (patients, methods), each row the ranks 1..k with ties at their mean.

    chi-square = 12 N / (k (k + 1)) sum (R_j - (k + 1) / 2)^2 / C, with C = 1 - sum (t^3 - t) / (N k (k^2 - 1)) over
    all ties of t; F = (N - 1) chi-square / (N (k - 1) - chi-square) with k - 1 and (k - 1)(N - 1) degrees.

    Returns
    -------
    tuple
        (chi-square, its p, F, its p). (0, 1, 0, 1) where all are tied; NaN below two patients.
    """
    from scipy.special import chdtrc, fdtrc

    patients, count = ranks.shape
    if patients < 2:
        return (math.nan,) * 4
    # variance of the ranks within the rows: what is left of (k^2 - 1) / 12 after ties
    spread = ((ranks - (count + 1) / 2) ** 2).sum() / (patients * (count - 1))
    if spread == 0:
        return 0.0, 1.0, 0.0, 1.0
    chi_square = float(patients * ((ranks.mean(axis=0) - (count + 1) / 2) ** 2).sum() / spread)
    rest = patients * (count - 1) - chi_square
    p_chi_square = float(chdtrc(count - 1, chi_square))
    if rest <= 1e-9 * patients:
        return chi_square, p_chi_square, math.inf, 0.0
    f = (patients - 1) * chi_square / rest
    return chi_square, p_chi_square, float(f), float(fdtrc(count - 1, (count - 1) * (patients - 1), f))


def critical_difference(methods: int, patients: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks, q sqrt(k (k + 1) / (6 N)); NaN of no patients.

    q is the studentised range of ``methods`` groups and infinite degrees, over the root of 2 (Demšar, table 5a).
    """
    from scipy.stats import studentized_range

    if not patients:
        return math.nan
    q = studentized_range.ppf(1 - level, methods, math.inf) / math.sqrt(2)
    return float(q * math.sqrt(methods * (methods + 1) / (6 * patients)))


def nemenyi(ranking: Ranking, first: str, second: str) -> float:
    """Nemenyi's p of two methods of a ranking: at most ``level`` where they lie a critical difference apart."""
    from scipy.stats import studentized_range

    place = dict(zip(ranking.methods, ranking.ranks, strict=True))
    count = len(place)
    error = math.sqrt(count * (count + 1) / (12 * ranking.patients)) if ranking.patients else math.nan
    return float(studentized_range.sf(abs(place[first] - place[second]) / error, count, math.inf))


def _groups(ranks: np.ndarray, critical: float) -> list[range]:
    """Runs of sorted mean ranks that span less than the critical difference, none inside another."""
    found: list[range] = []
    for start in range(len(ranks)):
        stop = start + int((ranks[start:] - ranks[start] < critical).sum())
        if not found or stop > found[-1].stop:
            found.append(range(start, stop))
    return found


def _letter(n: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    return (_letter(n // 26 - 1) if n >= 26 else "") + chr(ord("A") + n % 26)
