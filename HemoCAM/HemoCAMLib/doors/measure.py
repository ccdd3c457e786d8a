"""``hemocam measure``: how good a model is on new virtual patients."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import Cancelled
from ..progress import Progress, silent

SEED = 4040


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "measure",
        help="measure a model on new virtual patients",
        description="Measure a model on virtual patients that it has not seen: ROC AUC of slices overall, by kind "
        "and by size of the hemorrhage, sensitivity and specificity, calibration, overlap and peak of the map, "
        "all with intervals. A run that was stopped goes on where it was.",
    )
    command.add_argument("--patients", type=int, default=200, metavar="N")
    command.add_argument(
        "--seed", type=int, default=SEED, help=f"of the patients, one not used in training (default: {SEED})"
    )
    command.add_argument("--model", metavar="NAME_OR_FOLDER", help="model bundle (default: the one shipped)")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the report")
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument(
        "--refine", action=argparse.BooleanOptionalAction,
        help="measure refined masks, or plain ones (default: refined where the model holds a refinement)",
    )  # fmt: skip
    command.add_argument(
        "--record", action="store_true", help="enter the figures and the failures into the model's card"
    )
    command.set_defaults(run=_run)
    return command


def measure_model(
    output: Path,
    patients: int = 200,
    seed: int = SEED,
    model: str | None = None,
    device: str = "auto",
    enter: bool = False,
    progress: Progress = silent,
    refine: bool | None = None,
) -> dict:
    """Measure ``model`` on ``patients`` virtual patients of ``seed``, write the report to ``output``.

    With ``enter``, the bundle's manifest and card take it in; ``refine`` is as in :class:`~..pipeline.Options`.
    Returns the entry (see
    :func:`~..evaluation.phantom_report.write_report`).
    """
    from ..errors import OptionError
    from ..evaluation.measure import measure
    from ..evaluation.phantom_report import write_report
    from ..evaluation.record import record
    from ..models.bundle import DEFAULT_MODEL, Bundle
    from ..phantoms.cohort import cohort
    from ..pipeline import Options

    if patients < 1:
        raise OptionError(f"{patients} patients cannot be measured on; give --patients 1 or more.")
    bundle = Bundle.open(model or DEFAULT_MODEL)
    options = Options(device=device, refine=refine).resolved(bundle.manifest)
    results = measure(cohort(patients, seed), bundle, output, options, progress)
    progress("Writing the report", 0, 1)
    command = (
        f"hemocam measure --patients {patients} --seed {seed} --model {bundle.manifest.name} --output DIR"
    )
    if refine is not None:
        command += " --refine" if refine else " --no-refine"
    on = f"{patients} new virtual patients"
    entry = write_report(results, bundle, command, output, on, refined=options.refine)
    if enter:
        pictures = {picture["file"]: output / picture["file"] for picture in entry.get("pictures", ())}
        record(bundle.folder, entry, pictures)
    return entry


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    from .terminal import TerminalProgress

    try:
        with TerminalProgress(options.quiet) as progress:
            entry = measure_model(
                options.output,
                options.patients,
                options.seed,
                options.model,
                options.device,
                options.record,
                progress,
                options.refine,
            )
    except KeyboardInterrupt:
        raise Cancelled("Stopped; the same command goes on where it was.") from None
    for name, value in entry["values"].items():
        print(f"{name}: {value}")
    print(f"Look at   {options.output / 'measurement.md'}")
    return 0
