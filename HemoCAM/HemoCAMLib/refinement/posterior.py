"""The closed form: how likely a voxel is blood, from its HU, the shown map there and its distance to the skull.

    P(blood | x, m, d) = p q(x|blood) / (p q(x|blood) + (1 - p) (w q(x|bone) + (1 - w) q(x|background)))

with p = sigmoid(a(m) + b(d)), the prior; w = w(d), the share of bone (its partial volume with brain and fluid, and
the dura on it) among the voxels without blood at that distance; q, mixtures of HU. Blood, bone and background are the
three classes of "Probabilistic Fusion of Global Spatial Attention and Local Multi-Component Intensity Statistics for
Hemorrhage Detection"; there the skull's prior is exp(-d / sigma), here it is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .mixtures import CENTRES_HU, HIGH_HU, LOW_HU, Mixture, fit_mixture
from .prior import DISTANCE_CENTRES_MM, DISTANCE_KNOTS_MM, Prior, fit_prior
from .statistics import Statistics

# Steps of the tables that stand for the closed form where a volume is refined.
_HU_STEP, _DISTANCE_STEP_MM, _MAP_STEP = 0.125, 0.1, 1 / 1024

# Beyond this distance tissue without blood is no partial volume: its histogram is the background's.
_FAR_MM = 10.0
# Neighbouring voxels are alike, and so are a patient's: he brings this many independent values.
_VALUES_A_CASE = 200
_SHARE_KNOTS = np.array(DISTANCE_KNOTS_MM)
_ROUNDS = 200


@dataclass(frozen=True)
class Posterior:
    """Everything in the closed form.

    ``bone_share``: w at :data:`~.prior.DISTANCE_KNOTS_MM`, 0..1, linear between, constant beyond.
    """

    blood: Mixture
    bone: Mixture
    background: Mixture
    bone_share: tuple[float, ...]
    prior: Prior

    def __post_init__(self) -> None:
        share = np.array(self.bone_share, np.float64)
        if share.shape != _SHARE_KNOTS.shape or not ((share >= 0) & (share <= 1)).all():
            raise ValueError("the share of bone is a number from 0 to 1 at each distance")

    def evidence(self, hu: np.ndarray, distance_mm: np.ndarray) -> np.ndarray:
        """Log-odds of blood but for the map's part: b(d) + log q(x|blood) - log q(x|no blood, d); broadcast."""
        share = np.interp(distance_mm, _SHARE_KNOTS, self.bone_share)
        rest = share * self.bone.density(hu) + (1 - share) * self.background.density(hu)
        return self.prior.distance_part(distance_mm) + np.log(self.blood.density(hu)) - np.log(rest)

    def probability(self, hu: np.ndarray, maps: np.ndarray, distance_mm: np.ndarray) -> np.ndarray:
        """P(blood), float64, 0..1, of smoothed HU, map values 0..1 and distances in mm; shapes broadcast."""
        from scipy.special import expit

        return expit(self.prior.map_part(maps) + self.evidence(hu, distance_mm))

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        hu = np.arange(LOW_HU, HIGH_HU + _HU_STEP / 2, _HU_STEP)
        away = np.arange(0, _SHARE_KNOTS[-1] + _DISTANCE_STEP_MM / 2, _DISTANCE_STEP_MM)
        maps = np.arange(0, 1 + _MAP_STEP / 2, _MAP_STEP)
        evidence = self.evidence(hu[None], away[:, None]).astype(np.float32)
        return evidence, self.prior.map_part(maps).astype(np.float32)

    def quick(self, hu: np.ndarray, maps: np.ndarray, distance_mm: np.ndarray) -> np.ndarray:
        """:meth:`probability`, float32, of values rounded to 1/8 HU, 0.1 mm and 1/1024: a table look-up a voxel."""
        from scipy.special import expit

        evidence, of_map = self._tables
        column = np.clip(np.rint((hu - LOW_HU) * (1 / _HU_STEP)), 0, evidence.shape[1] - 1).astype(np.int32)
        row = np.minimum(np.rint(distance_mm * (1 / _DISTANCE_STEP_MM)), evidence.shape[0] - 1).astype(
            np.int32
        )
        place = np.rint(maps * (1 / _MAP_STEP)).astype(np.int32)
        return expit(evidence.ravel().take(row * evidence.shape[1] + column) + of_map.take(place))

    def to_dict(self) -> dict:
        """As JSON values."""
        mixtures = {name: getattr(self, name).to_dict() for name in ("blood", "bone", "background")}
        return {**mixtures, "bone_share": [*self.bone_share], "prior": self.prior.to_dict()}

    @classmethod
    def from_dict(cls, entry: dict) -> Posterior:
        """Read what :meth:`to_dict` wrote; KeyError, TypeError or ValueError if it is something else."""
        mixtures = [Mixture.from_dict(entry[name]) for name in ("blood", "bone", "background")]
        share = tuple(float(v) for v in entry["bone_share"])
        return cls(*mixtures, share, Prior.from_dict(entry["prior"]))


def fit_posterior(counted: Statistics) -> Posterior:
    """Fit everything to counted cases; the same counts give the same numbers."""
    background = counted.rest[DISTANCE_CENTRES_MM >= _FAR_MM].sum(axis=0)
    if not background.any():  # a head without anything far from bone: all of it serves
        background = counted.rest.sum(axis=0)
    values = _VALUES_A_CASE * max(counted.cases, 1)
    blood = fit_mixture(counted.blood, _VALUES_A_CASE * max(counted.bleeding, 1))
    own = fit_mixture(background, values)
    bone, share = _split_bone(counted.rest, own, values)
    return Posterior(blood, bone, own, share, fit_prior(counted.blood_prior, counted.rest_prior))


def _split_bone(rest: np.ndarray, background: Mixture, values: float) -> tuple[Mixture, tuple[float, ...]]:
    """Split what is not blood at each distance into background, which is known, and bone with its partial volume.

    Expectation-maximisation with the bone's histogram free; its share falls with the distance (isotonic).
    """
    from scipy.optimize import isotonic_regression

    known = background.density(CENTRES_HU)
    known /= known.sum()
    mass = rest.sum(axis=1)
    near = np.exp(-DISTANCE_CENTRES_MM / 2)
    bone = near @ rest + 1e-9
    bone /= bone.sum()
    share = np.clip(near, 1e-3, 0.9)
    for _ in range(_ROUNDS):
        parts = share[:, None] * bone
        owned = rest * parts / (parts + (1 - share[:, None]) * known + 1e-300)
        bone = owned.sum(axis=0) + 1e-12
        bone /= bone.sum()
        raw = np.divide(owned.sum(axis=1), mass, out=np.zeros_like(mass), where=mass > 0)
        share = isotonic_regression(raw, weights=mass + 1e-9, increasing=False).x
    # shares of background could be called bone at every distance alike, with the same sum: call none of it so
    common = float((bone / known)[known > 0.1 * known.max()].min())
    bone, share = np.maximum(bone - common * known, 1e-12), share * (1 - common)
    at_knots = np.clip(np.interp(_SHARE_KNOTS, DISTANCE_CENTRES_MM, share), 0, 1)
    return fit_mixture(bone, values), tuple(at_knots.tolist())
