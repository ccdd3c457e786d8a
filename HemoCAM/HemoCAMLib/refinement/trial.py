"""Does the refinement win? Virtual patients with known labels, plain masks against refined ones.

    python -m HemoCAMLib.refinement.trial --patients 24 --output DIR

Three cohorts that share nobody: the first fits the refinement, the second chooses thresholds (of the plain mask, too,
so that it is not beaten for want of tuning), the third is measured. Written: ``refiner.json``, tables as Markdown and
CSV, a row a test patient.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..comparison.overlap import Counts, dice
from ..errors import HemoCAMError, OptionError, OutputError
from ..evaluation.measure import KeptBundle, check_unseen
from ..evaluation.tables import write_csv, write_rows, write_text
from ..models.bundle import DEFAULT_MODEL, Bundle
from ..phantoms.cohort import cohort
from ..phantoms.patient import KINDS, make_patient
from ..phantoms.spec import PatientSpec
from ..progress import Progress, silent
from .cases import RefinementCase
from .hysteresis import hysteresis
from .posterior import fit_posterior
from .refiner import Refiner
from .statistics import Statistics
from .synthetic import synthetic_map
from .thresholds import THRESHOLDS, Sweep
from .trial_report import Measured, tables

MAPS = ("model", "synthetic")
WINDOW_HU = (50.0, 100.0)  # of fresh blood: the plainest way to join a map with HU


@dataclass(frozen=True)
class TrialCase:
    """A case with the kinds of its blood and, of the model's own mask, the threshold."""

    case: RefinementCase
    kinds: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Maps:
    """Where maps come from: the model's pipeline, or, with ``bundle`` None, drawn from the truth."""

    bundle: Bundle | None

    def cases(self, specs: list[PatientSpec], phase: str, progress: Progress) -> Iterator[TrialCase]:
        """Make patients and their maps, one at a time."""
        from ..pipeline import analyse

        for done, spec in enumerate(specs):
            progress(phase, done, len(specs))
            patient = make_patient(spec)
            labels = patient.labels.array
            kinds = tuple(kind for n, kind in enumerate(KINDS, 1) if (labels == n).any())
            if self.bundle is None:
                rng = np.random.default_rng([spec.seed, 5])
                heat = synthetic_map(labels > 0, tuple(patient.ct.spacing.tolist()), rng)
                threshold = 0.5
            else:
                analysis = analyse(patient.ct, self.bundle)
                heat, threshold = analysis.heatmap.array, analysis.options.threshold
            yield TrialCase(RefinementCase(patient.ct, heat, labels > 0), kinds, float(threshold))


@dataclass
class Tuning:
    """Thresholds on validation patients: of the refinement, of the plain map, of the map within a window of HU."""

    refined: Sweep
    flat: Sweep
    plain: np.ndarray
    window: np.ndarray


def run(
    patients: int, validation: int, seed: int, maps: Maps, progress: Progress = silent
) -> tuple[Refiner, list[Measured]]:
    """Fit on ``patients``, choose on ``validation``, measure on ``patients`` others; return refiner and rows.

    Parameters
    ----------
    patients, validation:
        How many; about a third of them have no hemorrhage.
    seed:
        0 to 2,000,000; the cohorts have the seeds 4 * seed to 4 * seed + 2.
    maps:
        Where the maps come from.

    Raises
    ------
    OptionError
        If a cohort took part in the model's training.
    InputError
        If a cohort is too small: nobody in it bleeds.
    """
    fit, choose, test = (cohort(n, 4 * seed + k) for k, n in enumerate((patients, validation, patients)))
    if maps.bundle:
        check_unseen([*fit, *choose, *test], maps.bundle)
    counted = Statistics.of(t.case for t in maps.cases(fit, "Fitting", progress))
    refiner = Refiner.of(counted)
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
    for spec, t in zip(test, maps.cases(test, "Measuring", progress), strict=True):
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


def write(folder: Path, refiner: Refiner, rows: list[Measured]) -> None:
    """Write ``refiner.json``, ``trial.md``, ``trial.csv`` and ``patients.csv`` into an existing folder."""
    found = tables(rows)
    lines = [
        "# Refined masks against plain ones, on virtual patients",
        "",
        f"Fitted on {refiner.about['fitted on']} virtual patients, thresholds chosen on "
        f"{refiner.about['thresholds chosen on']} bleeding others (low {refiner.low:g}, high {refiner.high:g}), "
        f"measured on {len(rows)} others. Intervals: 95%, bootstrap by patient, of differences paired.",
        "",
        *(line for table in found for line in table.markdown()),
    ]
    names = list(rows[0].dice)
    listed = [
        [
            r.seed,
            " ".join(r.kinds),
            f"{r.ml:.3f}",
            *(f"{v[n]:.4f}" for v in (r.dice, r.false_ml) for n in names),
        ]
        for r in rows
    ]
    head = ["seed", "kinds", "ml", *(f"Dice: {n}" for n in names), *(f"false ml: {n}" for n in names)]
    try:
        write_text(refiner.to_json() + "\n", folder / "refiner.json")
        write_text("\n".join(lines), folder / "trial.md")
        write_csv(found, folder / "trial.csv")
        write_rows([head, *listed], folder / "patients.csv")
    except OSError as error:
        raise OutputError(f"Cannot write to {folder} ({error.strerror}); choose another --output.") from None


def main(arguments: list[str] | None = None) -> int:
    """Run the trial from the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m HemoCAMLib.refinement.trial", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--patients", type=int, default=24, help="to fit on, and as many to measure (24)")
    parser.add_argument("--validation", type=int, help="to choose thresholds on (half as many)")
    parser.add_argument("--seed", type=int, default=1280, help="of the cohorts (1280)")
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="name or folder of a model bundle (the shipped one)"
    )
    parser.add_argument("--maps", choices=MAPS, default="model", help="of the model, or drawn from the truth")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    options = parser.parse_args(arguments)
    try:
        validation = max(options.patients // 2, 1) if options.validation is None else options.validation
        if options.patients < 1 or validation < 1 or not 0 <= options.seed <= 2_000_000:
            raise OptionError("Give at least one patient of each cohort and a seed from 0 to 2,000,000.")
        _claim(options.output)
        bundle = None
        if options.maps == "model":
            found = Bundle.open(options.model)
            bundle = KeptBundle(found.folder, found.manifest, found.sha256)
        refiner, rows = run(options.patients, validation, options.seed, Maps(bundle), _say)
        write(options.output, refiner, rows)
    except HemoCAMError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print((options.output / "trial.md").read_text(encoding="utf-8"))
    return 0


def _claim(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty; choose another --output.")
    except OSError as error:
        raise OutputError(f"Cannot write to {folder} ({error.strerror}); choose another --output.") from None


def _say(phase: str, done: int, total: int) -> None:
    print(f"{phase}: {done + 1} of {total}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
