"""Levels of the head by the distance below the top of the cranial cavity, from the vertex to the posterior fossa."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Level:
    """A range of distances below the top of the cranial cavity: ``top_mm <= distance < bottom_mm``."""

    name: str
    top_mm: float
    bottom_mm: float


# Looked up in scans of adults, whose cavity is 125 to 150 mm high: the bodies of the lateral ventricles begin at
# 45 mm, the basal ganglia end at 65 mm; orbital roofs and the middle fossa follow, and at 85 to 100 mm the petrous
# bone. Scans are tilted differently, so that what lies in front may be 15 mm off.
LEVELS = (
    Level("above the cavity", -np.inf, 0.0),
    Level("vertex", 0.0, 25.0),
    Level("convexity", 25.0, 45.0),
    Level("ventricles and basal ganglia", 45.0, 65.0),
    Level("skull base (orbital roofs to petrous bone)", 65.0, 100.0),
    Level("posterior fossa and below", 100.0, np.inf),
    Level("no cavity found", np.nan, np.nan),
)


def below_top_mm(shows: np.ndarray, edges_mm: np.ndarray) -> np.ndarray:
    """Distance of each slab's middle below the upper face of the topmost slab that shows the cranial cavity, in mm.

    Parameters
    ----------
    shows:
        Slabs that show the cavity, bool, canonical order (inferior to superior), shape (n,).
    edges_mm:
        Faces of the slabs along the slice normal, rising, shape (n + 1,).

    Returns
    -------
    numpy.ndarray
        Shape (n,); negative above the cavity, NaN throughout where no slab shows one.
    """
    if not shows.any():
        return np.full(len(shows), np.nan)
    top = edges_mm[np.flatnonzero(shows)[-1] + 1]
    return top - (edges_mm[:-1] + edges_mm[1:]) / 2


def level_of(distance_mm: np.ndarray) -> np.ndarray:
    """Index into :data:`LEVELS` of each distance of :func:`below_top_mm`; NaN gives the last one."""
    distance = np.asarray(distance_mm, np.float64)
    found = np.full(distance.shape, len(LEVELS) - 1)
    for index, level in enumerate(LEVELS[:-1]):
        found[(distance >= level.top_mm) & (distance < level.bottom_mm)] = index
    return found
