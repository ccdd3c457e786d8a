"""What a model says of one head, whatever is known of its blood: what virtual patients and real exams share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..explained import LEAST_INTRACRANIAL_MM2
from ..pipeline import Analysis
from ..volumes.axial import slice_gap
from ..volumes.intracranial import intracranial_mask
from ..volumes.levels import below_top_mm


@dataclass(frozen=True)
class Findings:
    """What was found in a head of n slabs, inferior to superior.

    Parameters
    ----------
    probability:
        Calibrated, float32, shape (n, classes).
    gate:
        Slabs whose target probability passes, bool (n,).
    below_mm:
        Distance of each slab below the top of the cranial cavity (:func:`~..volumes.levels.below_top_mm`), (n,).
    mask_ml:
        Volume of the default mask.
    score:
        How suspicious the head is, 0..1: the model's calibrated probability of the head if it has one
        (:func:`~..models.calibration.head_probability`), else the highest probability of the target over its slabs.
    """

    probability: np.ndarray
    gate: np.ndarray
    below_mm: np.ndarray
    mask_ml: float
    score: float


def findings_of(analysis: Analysis) -> Findings:
    """Take what the measurement needs from an analysis."""
    explained = analysis.explained
    calibrated = explained.head_probability
    highest = analysis.probabilities[:, analysis.target_index].max()
    return Findings(
        probability=analysis.probabilities.astype(np.float32),
        gate=analysis.gate,
        below_mm=_below_mm(analysis),
        mask_ml=float(np.count_nonzero(analysis.mask.array) * analysis.ct.voxel_ml),
        score=float(highest if calibrated is None else calibrated),
    )


def _below_mm(analysis: Analysis) -> np.ndarray:
    sampled = analysis.explained.sampled
    edges = analysis.slabs.edges * slice_gap(sampled.axial)
    shows = sampled.intracranial
    if shows is None:  # the model sees the whole slice; the level is asked for all the same
        pixel, slab = sampled.grid.pixel_mm(), float(np.diff(edges).mean())
        inside = intracranial_mask(sampled.hu, pixel, slab)
        shows = inside.sum(axis=(1, 2)) * pixel**2 >= LEAST_INTRACRANIAL_MM2
    return below_top_mm(shows, edges)
