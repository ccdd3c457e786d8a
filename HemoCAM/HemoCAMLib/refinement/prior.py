"""What the map and the distance to the skull say of a voxel before its HU is known.

log-odds of blood = base + a(map) + b(distance): ``a`` rises with the map by construction (broken line whose steps are
fitted at 0 or above), ``b`` is a broken line over the distance. Fitted by penalised maximum likelihood, a logistic
regression on the table of voxels by map and distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAP_KNOTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
DISTANCE_KNOTS_MM = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 18.0, 25.0)

# Cells of the table of voxels: map in steps of 1/64 (its zeros apart), distance in steps of 0.5 mm.
MAP_CENTRES = np.concatenate([[0.0], (np.arange(64) + 0.5) / 64])
DISTANCE_CENTRES_MM = np.arange(0.25, 30, 0.5)
TABLE_SHAPE = (len(MAP_CENTRES), len(DISTANCE_CENTRES_MM))

_PENALTY = 2e-3
_LARGEST = 12.0  # log-odds: separable data give finite numbers
_MOST_STORED = 1e3  # log-odds: a sum of all that the fit can give stays far below


def map_cell(maps: np.ndarray) -> np.ndarray:
    """Row of the table for map values 0..1, intp."""
    return np.where(maps > 0, np.minimum((maps * 64).astype(np.intp), 63) + 1, 0)


def distance_cell(distance_mm: np.ndarray) -> np.ndarray:
    """Column of the table for distances in mm, intp."""
    return np.minimum((distance_mm * 2).astype(np.intp), TABLE_SHAPE[1] - 1)


@dataclass(frozen=True)
class Prior:
    """Log-odds of blood at the knots: ``of_map`` (rising) at :data:`MAP_KNOTS`, ``of_distance`` at the others.

    Between knots linear, beyond them constant; their sum is the log-odds.
    """

    of_map: tuple[float, ...]
    of_distance: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.of_map) != len(MAP_KNOTS) or len(self.of_distance) != len(DISTANCE_KNOTS_MM):
            raise ValueError("a prior has a number a knot")
        if not (np.abs([*self.of_map, *self.of_distance]) <= _MOST_STORED).all():  # "not <=" catches NaN, too
            raise ValueError(f"a prior's log-odds are finite and lie within {_MOST_STORED:g}")
        if (np.diff(self.of_map) < 0).any():
            raise ValueError("a prior's log-odds rise with the map")

    def map_part(self, maps: np.ndarray) -> np.ndarray:
        """``a`` with the base, at map values 0..1, any shape."""
        return np.interp(maps, MAP_KNOTS, self.of_map)

    def distance_part(self, distance_mm: np.ndarray) -> np.ndarray:
        """``b`` at distances in mm, any shape."""
        return np.interp(distance_mm, DISTANCE_KNOTS_MM, self.of_distance)

    def to_dict(self) -> dict:
        """As JSON values."""
        return {"of_map": [*self.of_map], "of_distance": [*self.of_distance]}

    @classmethod
    def from_dict(cls, entry: dict) -> Prior:
        """Read what :meth:`to_dict` wrote; KeyError, TypeError or ValueError if it is something else."""
        return cls(*(tuple(float(v) for v in entry[key]) for key in ("of_map", "of_distance")))


def fit_prior(blood: np.ndarray, rest: np.ndarray) -> Prior:
    """Fit to weights of voxels with and without blood, both >= 0, shape :data:`TABLE_SHAPE`, neither all 0.

    Raises
    ------
    ValueError
        If a table has another shape or holds nothing.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    for table in (blood, rest):
        if table.shape != TABLE_SHAPE or not table.sum() > 0:
            raise ValueError("voxels with and without blood are needed, as a table of map by distance")
    total = blood.sum() + rest.sum()
    blood, rest = blood / total, rest / total
    rising = _ramps(MAP_CENTRES, MAP_KNOTS)
    near = np.stack([np.interp(DISTANCE_CENTRES_MM, DISTANCE_KNOTS_MM, row) for row in _UNITS], axis=1)
    steps, knots = rising.shape[1], near.shape[1]

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        z = p[0] + (rising @ p[1 : 1 + steps])[:, None] + (near @ p[1 + steps :])[None]
        slope = (blood + rest) * expit(z) - blood
        bent = np.diff(p[1 + steps :])
        value = np.sum(blood * np.logaddexp(0, -z) + rest * np.logaddexp(0, z))
        value += scale * (0.1 * p[1:] @ p[1:] + bent @ bent)
        gradient = np.concatenate([[slope.sum()], slope.sum(axis=1) @ rising, slope.sum(axis=0) @ near])
        gradient[1:] += scale * 0.2 * p[1:]
        gradient[2 + steps :] += 2 * scale * bent
        gradient[1 + steps : -1] -= 2 * scale * bent
        return float(value), gradient

    scale = _PENALTY * blood.sum()  # the rarer the blood, the less there is to learn from
    start = np.concatenate([[np.log(blood.sum() / rest.sum())], np.full(steps, 0.1), np.zeros(knots)])
    bounds = [(-30, 30)] + [(0, _LARGEST)] * steps + [(-_LARGEST, _LARGEST)] * knots
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 2000}).x
    of_map = found[0] + np.concatenate([[0], np.cumsum(found[1 : 1 + steps])])
    return Prior(tuple(of_map.tolist()), tuple(found[1 + steps :].tolist()))


_UNITS = np.eye(len(DISTANCE_KNOTS_MM))


def _ramps(values: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    """How much of each step between knots a value has climbed, 0..1, shape (len(values), len(knots) - 1)."""
    low, high = np.array(knots[:-1]), np.array(knots[1:])
    return np.clip((values[:, None] - low) / (high - low), 0, 1)
