"""One virtual patient through the pipeline: everything that the measurement keeps of it, in one small file."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..comparison.overlap import Counts, dice, iou
from ..models.bundle import Bundle
from ..phantoms.patient import KINDS, Patient, PatientSpec, make_patient
from ..pipeline import Analysis, Options, analyse
from ..progress import Progress, silent
from .failures import Failure, draw_failure
from .findings import findings_of
from .peak import peak_inside

# A slice counts as bleeding from this area on (30 mm2: a spot of 6 mm), and as clean without any.
POSITIVE_MM2 = 30.0
# What can go wrong in a slice; of each, the worst slice of a patient is kept as a picture.
FAILURES = ("missed", "false alarm", "beside")


def of_target(labels: np.ndarray, target: str) -> np.ndarray:
    """Mask of the blood that a class stands for: its kind, or all of it (``any``, or a class of another name)."""
    return labels == KINDS.index(target) + 1 if target in KINDS else labels > 0


def target_area(area_mm2: np.ndarray, target: str) -> np.ndarray:
    """Area in mm2 of the blood that a class stands for, from the kinds' areas (n, 5): shape (n,)."""
    return area_mm2[:, KINDS.index(target)] if target in KINDS else area_mm2.sum(axis=1)


@dataclass(frozen=True)
class PatientResult:
    """What was found in one patient; n slabs ("slices": about 5 mm, what the classifier sees).

    Parameters
    ----------
    seed:
        Of the patient.
    probability:
        Calibrated, shape (n, classes).
    gate:
        Whether the target's probability passes the shipped threshold, bool (n,).
    area_mm2:
        Area of each of ``KINDS`` in each slab, mean over its slices, shape (n, 5).
    dice, peak:
        Of the default mask and the shown map in each slab with blood of the target, shape (n,); NaN without.
        Below the gate both are 0.
    ml:
        Volume of each of ``KINDS``, shape (5,).
    volume_dice, volume_iou, volume_peak:
        Of the whole volume; NaN in patients without blood of the target.
    below_mm, mask_ml, score:
        As in :class:`~.findings.Findings`.
    failures:
        The worst slab of each of :data:`FAILURES`, where there is one.
    """

    seed: int
    probability: np.ndarray
    gate: np.ndarray
    area_mm2: np.ndarray
    dice: np.ndarray
    peak: np.ndarray
    ml: np.ndarray
    volume_dice: float
    volume_iou: float
    volume_peak: float
    below_mm: np.ndarray
    mask_ml: float
    score: float
    failures: dict[str, Failure] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write an ``.npz``, whole or not at all."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name != "failures"}
        for name, failure in self.failures.items():
            arrays |= {f"{name}/{f.name}": np.asarray(getattr(failure, f.name)) for f in fields(failure)}
        handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            np.savez_compressed(stream, **arrays)
        Path(part).replace(path)

    @classmethod
    def load(cls, path: Path) -> PatientResult:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            own = {f.name: stored[f.name] for f in fields(cls) if f.name != "failures"}
            failures = {
                name: Failure(
                    **{f.name: stored[f"{name}/{f.name}"] for f in fields(Failure) if f.name != "weight"},
                    weight=float(stored[f"{name}/weight"]),
                )
                for name in FAILURES
                if f"{name}/weight" in stored
            }
        scalars = {k: v.item() for k, v in own.items() if not v.ndim}
        return cls(**{**own, **scalars}, failures=failures)


def examine(
    spec: PatientSpec, bundle: Bundle, options: Options | None = None, progress: Progress = silent
) -> PatientResult:
    """Make a patient, analyse it as any CT is, and compare with its labels.

    Parameters
    ----------
    spec:
        The patient.
    bundle:
        The model.
    options:
        As for :func:`~..pipeline.analyse`; the bundle's defaults where silent.
    progress:
        Called between batches of slices.
    """
    patient = make_patient(spec)
    return judge(patient, analyse(patient.ct, bundle, options, progress))


def judge(patient: Patient, analysis: Analysis) -> PatientResult:
    """Compare an analysis of a virtual patient with its labels, slab by slab and as a whole."""
    order, edges = analysis.order, analysis.slabs.edges
    labels = order.view(patient.labels.array)
    heat, mask = order.view(analysis.heatmap.array), order.view(analysis.mask.array) > 0
    blood = of_target(labels, analysis.options.target)
    spacing = patient.ct.spacing
    count = len(analysis.slabs)
    areas = np.zeros((count, len(KINDS)))
    overlap, peak = np.full((2, count), np.nan)
    for slab, (start, stop) in enumerate(pairwise(edges)):
        voxels = np.bincount(labels[start:stop].ravel(), minlength=len(KINDS) + 1)[1:]
        areas[slab] = voxels * spacing[0] * spacing[1] / (stop - start)
        if blood[start:stop].any():
            overlap[slab] = dice(Counts.of(blood[start:stop], mask[start:stop]))
            # a slab has one map: its slices agree on where the peak is, and half of them on what is there
            peak[slab] = peak_inside(heat[start], blood[start:stop].mean(axis=0) >= 0.5)
    whole = Counts.of(blood, mask)
    some = whole.reference > 0
    own = findings_of(analysis)
    return PatientResult(
        seed=patient.spec.seed,
        probability=own.probability,
        gate=own.gate,
        area_mm2=areas.astype(np.float32),
        dice=overlap.astype(np.float32),
        peak=peak.astype(np.float32),
        ml=np.bincount(labels.ravel(), minlength=len(KINDS) + 1)[1:] * patient.ct.voxel_ml,
        volume_dice=dice(whole) if some else np.nan,
        volume_iou=iou(whole) if some else np.nan,
        volume_peak=float(peak_inside(heat, blood)) if some else np.nan,
        below_mm=own.below_mm,
        mask_ml=own.mask_ml,
        score=own.score,
        failures=_failures(blood, analysis, target_area(areas, analysis.options.target), peak),
    )


def _failures(
    blood: np.ndarray, analysis: Analysis, area: np.ndarray, peak: np.ndarray
) -> dict[str, Failure]:
    """Pick the worst slab of each kind of failure and draw it."""
    bleeding, clean = area >= POSITIVE_MM2, area == 0
    weights = {
        "missed": np.where(bleeding & ~analysis.gate, area, 0),
        "false alarm": np.where(clean & analysis.gate, analysis.probabilities[:, analysis.target_index], 0),
        "beside": np.where(bleeding & analysis.gate & (peak == 0), area, 0),
    }
    return {
        name: draw_failure(analysis, int(weight.argmax()), weight.max(), blood)
        for name, weight in weights.items()
        if weight.any()
    }
