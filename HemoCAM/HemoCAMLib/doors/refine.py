"""``hemocam refine``: fit the refinement of a model's masks on virtual patients, and see whether it wins."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..cams.methods import METHODS
from ..errors import Cancelled
from ..progress import Progress, silent

if TYPE_CHECKING:
    from ..evaluation.bootstrap import Estimate
    from ..pipeline import Options

SEED = 6060
WORK = ".work"


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "refine",
        help="fit the refinement of a model's masks",
        description="Fit what joins a model's maps with the HU under them to masks: on virtual patients, with "
        "thresholds chosen on others, and measured against the plain masks on others again. A run that was stopped "
        "goes on where it was.",
    )
    command.add_argument("--patients", type=int, default=80, metavar="N", help="to fit on (default: 80)")
    command.add_argument(
        "--validation", type=int, default=40, metavar="N", help="to choose thresholds on (default: 40)"
    )
    command.add_argument("--test", type=int, default=80, metavar="N", help="to measure on (default: 80)")
    command.add_argument(
        "--seed", type=int, default=SEED,
        help=f"of the first of these cohorts; the two next are the others', none used in training (default: {SEED})",
    )  # fmt: skip
    command.add_argument("--model", metavar="NAME_OR_FOLDER", help="model bundle (default: the one shipped)")
    command.add_argument("--method", choices=list(METHODS), help="CAM method (default: the bundle's)")
    command.add_argument("--stage", type=int, help="network stage, counted from 1 (default: the bundle's)")
    command.add_argument("--target", metavar="CLASS", help="class to explain (default: the bundle's)")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the report")
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument(
        "--record",
        action="store_true",
        help="enter the refinement and the figures into the model, if the refined masks are better",
    )
    command.set_defaults(run=_run)
    return command


def refine_model(
    output: Path,
    patients: int = 80,
    validation: int = 40,
    test: int = 80,
    seed: int = SEED,
    model: str | None = None,
    options: Options | None = None,
    enter: bool = False,
    progress: Progress = silent,
) -> tuple[dict, Estimate, bool]:
    """Fit, choose, measure; write the report to ``output``.

    Parameters
    ----------
    output:
        Made if it is not there; keeps the maps, so that a stopped run goes on.
    patients, validation, test:
        Of the three cohorts, 1 or more each.
    seed:
        See :func:`~..refinement.trial.run`.
    model:
        Name or folder of a bundle; the shipped one by default.
    options:
        Method, stage, target and device; the scale is ``gated``.
    enter:
        Whether the bundle's manifest and card take refinement and figures in. They do where the refined masks are
        better: where the interval of the gain in mean Dice lies above 0.
    progress:
        Called a patient.

    Returns
    -------
    tuple
        The measurement as the manifest holds it, the gain, and whether it was entered.

    Raises
    ------
    OptionError, InputError
        If a cohort is empty, took part in the training, or nobody in it bleeds.
    OutputError
        If ``output`` holds something else, or it or the bundle cannot be written.
    """
    from dataclasses import replace

    from ..errors import InputError, OptionError, OutputError
    from ..evaluation.claims import claim
    from ..evaluation.measure import KeptBundle, fingerprint
    from ..evaluation.record import record
    from ..models.bundle import DEFAULT_MODEL, Bundle
    from ..pipeline import Options
    from ..refinement.trial import Maps, run
    from ..refinement.trial_report import gain, write

    if min(patients, validation, test) < 1 or not 0 <= seed <= 8_999_998:
        raise OptionError("Give at least one patient of each cohort and a seed from 0 to 8,999,998.")
    bundle = Bundle.open(model or DEFAULT_MODEL)
    bundle = KeptBundle(bundle.folder, bundle.manifest, bundle.sha256)
    options = replace(options or Options(), scale="gated", refine=False)
    asked = options.resolved(bundle.manifest)
    claim(output / WORK, "refinement.txt", fingerprint(bundle, asked), "maps of another model or generator")
    refiner, rows = run(patients, validation, test, seed, Maps(bundle, options, output / WORK), progress)
    progress("Writing the report", 0, 1)
    words = f"--patients {patients} --validation {validation} --test {test} --seed {seed}"
    for name in ("method", "stage", "target"):
        words += "" if getattr(options, name) is None else f" --{name} {getattr(options, name)}"
    command = f"hemocam refine {words} --model {bundle.manifest.name} --output DIR"
    try:
        entry = write(output, refiner, rows, command)
    except OSError as error:
        raise OutputError(f"Cannot write to {output} ({error.strerror}); choose another --output.") from None
    found = gain(rows)
    if found is None:
        raise InputError(f"None of the {test} patients to measure on bleeds; give a larger --test.")
    won = found.low > 0  # not so where it is not known: NaN
    if enter and won:
        refinement = {
            "method": asked.method, "stage": asked.stage, "target": asked.target, "scale": asked.scale,
            "weights": bundle.sha256, "refiner": refiner.to_dict(),
        }  # fmt: skip
        record(bundle.folder, entry, refinement=refinement)
    return entry, found, enter and won


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    from ..pipeline import Options
    from .terminal import TerminalProgress

    asked = Options(method=options.method, stage=options.stage, target=options.target, device=options.device)
    try:
        with TerminalProgress(options.quiet) as progress:
            entry, _, entered = refine_model(
                options.output,
                options.patients,
                options.validation,
                options.test,
                options.seed,
                options.model,
                asked,
                options.record,
                progress,
            )
    except KeyboardInterrupt:
        raise Cancelled("Stopped; the same command goes on where it was.") from None
    for name, value in entry["values"].items():
        print(f"{name}: {value}")
    if options.record:
        print(
            "Entered into the model." if entered else "Not entered: the refined masks are not clearly better."
        )
    print(f"Look at   {options.output / 'refinement.md'}")
    return 0
