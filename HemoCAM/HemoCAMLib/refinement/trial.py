"""Fit a refinement on virtual patients, choose its thresholds on others, and see on others again whether it wins.

The plain mask is given a threshold chosen on the same patients, too, so that it is not beaten for want of tuning; a
window of HU within the plain mask is the plainest way to join a map with HU.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from ..comparison.overlap import Counts, dice
from ..evaluation.claims import digest
from ..evaluation.measure import check_unseen
from ..evaluation.patients import of_target
from ..evaluation.tables import write_bytes
from ..models.bundle import Bundle
from ..phantoms.cohort import cohort
from ..phantoms.patient import KINDS, Patient, make_patient
from ..phantoms.spec import PatientSpec
from ..pipeline import SHADES, Options, analyse
from ..progress import Progress, silent
from .cases import RefinementCase
from .hysteresis import hysteresis
from .posterior import fit_posterior
from .refiner import Refiner
from .statistics import Statistics
from .synthetic import synthetic_map
from .thresholds import THRESHOLDS, Sweep
from .trial_report import Measured

WINDOW_HU = (50.0, 100.0)  # of fresh blood


@dataclass(frozen=True)
class TrialCase:
    """A case with the kinds of its blood and, of the model's own mask, the threshold."""

    case: RefinementCase
    kinds: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Maps:
    """Where maps come from: the model's pipeline, or, with ``bundle`` None, drawn from the truth.

    Parameters
    ----------
    bundle:
        The model, with a network that is built once (:class:`~..evaluation.measure.KeptBundle`).
    options:
        What its pipeline computes.
    kept:
        Folder that takes the map of each patient, a small file, so that none is computed twice; or None.
    """

    bundle: Bundle | None
    options: Options = field(default_factory=Options)
    kept: Path | None = None

    def cases(self, specs: list[PatientSpec], phase: str, progress: Progress) -> Iterator[TrialCase]:
        """Make patients and their maps, one at a time."""
        target, threshold = "any", 0.5
        if self.bundle:
            options = self.options.resolved(self.bundle.manifest)
            target, threshold = options.target, options.threshold
        for done, spec in enumerate(specs):
            progress(phase, done, len(specs))
            patient = make_patient(spec)
            labels = patient.labels.array
            kinds = tuple(kind for n, kind in enumerate(KINDS, 1) if (labels == n).any())
            blood = of_target(labels, target)
            if self.bundle:
                heat = self._shown(patient)
            else:
                rng = np.random.default_rng([spec.seed, 5])
                heat = synthetic_map(blood, tuple(patient.ct.spacing.tolist()), rng)
            yield TrialCase(RefinementCase(patient.ct, heat, blood), kinds, float(threshold))

    def _shown(self, patient: Patient) -> np.ndarray:
        path = self.kept and self.kept / f"map-{digest(asdict(patient.spec))[:16]}.npz"
        if path and path.exists():
            with np.load(path, allow_pickle=False) as stored:
                return stored["shades"].astype(np.float32) / SHADES
        heat = analyse(patient.ct, self.bundle, replace(self.options, refine=False)).heatmap.array
        if path:
            packed = io.BytesIO()
            np.savez_compressed(packed, shades=np.rint(heat * SHADES).astype(np.uint16))
            write_bytes(packed.getvalue(), path)
        return heat


@dataclass
class Tuning:
    """Thresholds on validation patients: of the refinement, of the plain map, of the map within a window of HU."""

    refined: Sweep
    flat: Sweep
    plain: np.ndarray
    window: np.ndarray


def run(
    patients: int, validation: int, test: int, seed: int, maps: Maps, progress: Progress = silent
) -> tuple[Refiner, list[Measured]]:
    """Fit on ``patients``, choose on ``validation``, measure on ``test`` others; return refiner and rows.

    Parameters
    ----------
    patients, validation, test:
        How many; about a third of them have no hemorrhage.
    seed:
        0 to 8,999,998; the three cohorts have the seeds ``seed`` to ``seed + 2``. The refiner's ``about`` names
        the first two.
    maps:
        Where the maps come from.
    progress:
        Called a patient.

    Raises
    ------
    OptionError
        If a cohort took part in the model's training, or cannot be drawn.
    InputError
        If a cohort is too small: nobody in it bleeds.
    """
    fit, choose, others = (cohort(n, seed + k) for k, n in enumerate((patients, validation, test)))
    if maps.bundle:
        check_unseen([*fit, *choose, *others], maps.bundle, refinements=False)
    counted = Statistics.of(t.case for t in maps.cases(fit, "Fitting", progress))
    refiner = Refiner.of(counted)
    refiner = replace(refiner, about={**refiner.about, "seeds": [seed, seed + 1]})
    flat = Refiner(fit_posterior(counted.without_distance()))
    tuning = Tuning(Sweep(), Sweep(), np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS)))
    for t in maps.cases(choose, "Choosing thresholds", progress):
        if t.case.blood.any():
            tuning.refined.add(refiner.posterior(t.case.ct, t.case.heatmap), t.case.blood)
            tuning.flat.add(flat.posterior(t.case.ct, t.case.heatmap), t.case.blood)
            tuning.plain += [_dice(t.case.heatmap >= level, t.case.blood) for level in THRESHOLDS]
            tuning.window += [_dice(_windowed(t.case, level), t.case.blood) for level in THRESHOLDS]
    plain, window = (float(THRESHOLDS[v.argmax()]) for v in (tuning.plain, tuning.window))
    single = tuning.refined.best(single=True)[0]
    refiner, flat = refiner.with_thresholds(tuning.refined), flat.with_thresholds(tuning.flat)
    rows = []
    for spec, t in zip(others, maps.cases(others, "Measuring", progress), strict=True):
        case, posterior = t.case, refiner.posterior(t.case.ct, t.case.heatmap)
        masks = {
            "plain": case.heatmap >= t.threshold,
            "plain, threshold chosen here": case.heatmap >= plain,
            "map and HU window": _windowed(case, window),
            "refined, distance unknown": flat.refine(case.ct, case.heatmap).mask,
            "refined, one threshold": posterior >= single,
            "refined": hysteresis(posterior, refiner.low, refiner.high),
        }
        ml = case.ct.voxel_ml
        rows.append(
            Measured(
                spec.seed,
                t.kinds,
                float(case.blood.sum() * ml),
                {name: _dice(mask, case.blood) for name, mask in masks.items()},
                {name: float((mask & ~case.blood).sum() * ml) for name, mask in masks.items()},
            )
        )
    return refiner, rows


def _windowed(case: RefinementCase, level: float) -> np.ndarray:
    return (case.heatmap >= level) & (case.ct.array >= WINDOW_HU[0]) & (case.ct.array <= WINDOW_HU[1])


def _dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return dice(Counts.of(truth, mask))
