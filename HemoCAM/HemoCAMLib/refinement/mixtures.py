"""Gaussian mixtures of HU, fitted to histograms: expectation-maximisation in closed form, components by BIC.

Dempster, Laird and Rubin, JRSS B 39 (1977) 1; Schwarz, Annals of Statistics 6 (1978) 461. A histogram is all that a
mixture of one variable needs, so that any number of voxels costs the same memory, and nothing is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# HU that a mixture describes: below is fat and air, above is bone without question.
LOW_HU, HIGH_HU = -50.0, 200.0
BIN_HU = 1.0
CENTRES_HU = np.arange(LOW_HU + BIN_HU / 2, HIGH_HU, BIN_HU)

# A mixture has a uniform part, so that a value which none of the components expects decides nothing.
UNIFORM = 1e-3
MOST_COMPONENTS = 4
# What a stored mixture may hold: more is no fit of ours, and could overflow.
_MOST_STORED, _FARTHEST_HU, _DEVIATIONS_HU = 16, 1e4, (0.1, 1e4)
_NARROWEST_HU = 1.5
_STEPS = 500
_SETTLED = 1e-7  # change of the log-likelihood a voxel


@dataclass(frozen=True)
class Mixture:
    """Density of HU: Gaussian components, plus a share :data:`UNIFORM` spread evenly over the HU described.

    ``weights`` (sum 1), ``means`` and ``deviations`` (HU), one a component, by rising mean.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = {len(self.weights), len(self.means), len(self.deviations)}
        if len(counts) != 1 or not 1 <= min(counts) <= _MOST_STORED:
            raise ValueError(f"a mixture has 1 to {_MOST_STORED} components of three numbers each")
        numbers = np.array([self.weights, self.means, self.deviations], np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("a mixture's numbers are finite")
        if numbers[0].min() < 0 or abs(numbers[0].sum() - 1) > 1e-6:
            raise ValueError("a mixture's weights are 0 or above and add up to 1")
        low, high = _DEVIATIONS_HU
        if np.abs(numbers[1]).max() > _FARTHEST_HU or not ((numbers[2] >= low) & (numbers[2] <= high)).all():
            raise ValueError(
                f"a mixture's deviations lie between {low:g} and {high:g} HU, its means within {_FARTHEST_HU:g}"
            )

    def density(self, hu: np.ndarray) -> np.ndarray:
        """Density per HU at ``hu``, any shape, float64, above 0."""
        hu = np.asarray(hu, np.float64)
        total = np.full(hu.shape, UNIFORM / (HIGH_HU - LOW_HU))
        for weight, mean, deviation in zip(self.weights, self.means, self.deviations, strict=True):
            total += (1 - UNIFORM) * weight * _normal(hu, mean, deviation)
        return total

    def to_dict(self) -> dict:
        """As JSON values."""
        return {"weights": [*self.weights], "means": [*self.means], "deviations": [*self.deviations]}

    @classmethod
    def from_dict(cls, entry: dict) -> Mixture:
        """Read what :meth:`to_dict` wrote; KeyError, TypeError or ValueError if it is something else."""
        return cls(*(tuple(float(v) for v in entry[key]) for key in ("weights", "means", "deviations")))


def fit_mixture(histogram: np.ndarray, observations: float, most: int = MOST_COMPONENTS) -> Mixture:
    """Fit a mixture to a histogram of HU; the number of components has the smallest BIC.

    Parameters
    ----------
    histogram:
        Weight of each bin around :data:`CENTRES_HU`, >= 0, not all 0.
    observations:
        How many independent values the histogram stands for, > 0: neighbouring voxels are alike, so fewer than
        its voxels. BIC = (3 k - 1) log(observations) - 2 observations * mean log-likelihood.
    most:
        Most components tried, >= 1.

    Raises
    ------
    ValueError
        If the histogram is empty, negative or of another length.
    """
    share = np.asarray(histogram, np.float64)
    if share.shape != CENTRES_HU.shape or not np.isfinite(share).all() or share.min() < 0 or share.sum() <= 0:
        raise ValueError("a histogram of HU has a weight >= 0 for each bin, and some above 0")
    share = share / share.sum()
    fits = [_fit(share, count) for count in range(1, most + 1)]
    bic = [
        (3 * (n + 1) - 1) * np.log(observations) - 2 * observations * likelihood
        for n, (_, likelihood) in enumerate(fits)
    ]
    return fits[int(np.argmin(bic))][0]


def _fit(share: np.ndarray, count: int) -> tuple[Mixture, float]:
    """Mixture of ``count`` components from its quantiles on, and its mean log-likelihood."""
    rising = np.cumsum(share)
    means = np.interp((np.arange(count) + 0.5) / count, rising, CENTRES_HU)
    spread = np.sqrt(share @ (CENTRES_HU - share @ CENTRES_HU) ** 2)
    deviations = np.full(count, max(spread / count, _NARROWEST_HU))
    weights = np.full(count, 1 / count)
    before = -np.inf
    for _ in range(_STEPS):
        parts = weights[:, None] * _normal(CENTRES_HU, means[:, None], deviations[:, None]) + 1e-300
        total = parts.sum(axis=0)
        likelihood = float(share @ np.log(total))
        if likelihood - before < _SETTLED:
            break
        before = likelihood
        owned = share * parts / total
        mass = owned.sum(axis=1) + 1e-12
        means = owned @ CENTRES_HU / mass
        variance = (owned * (CENTRES_HU - means[:, None]) ** 2).sum(axis=1) / mass
        deviations = np.sqrt(np.maximum(variance, _NARROWEST_HU**2))
        weights = mass / mass.sum()
    order = np.argsort(means, kind="stable")
    return Mixture(*(tuple(v[order].tolist()) for v in (weights, means, deviations))), likelihood


def _normal(x: np.ndarray, mean: np.ndarray | float, deviation: np.ndarray | float) -> np.ndarray:
    return np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
