"""``hemocam measure``: how good a model is, on exams with labels per slice or on new virtual patients."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Cancelled, OptionError
from ..progress import Progress, silent
from . import supervise

if TYPE_CHECKING:
    from ..evaluation.head_report import HeadReport

PATIENTS, SEED = 200, 4040
SLICES = "Slices are the labelled ones, each with the probability of its slab of about 5 mm."
SLABS = "Slices are slabs of about 5 mm: 30 mm² of blood and more is bleeding, none is clean, others are left out."


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "measure",
        help="measure a model on exams with labels per slice, or on new virtual patients",
        description="Measure a model on your exams: ROC AUC of slices overall and by kind, sensitivity and "
        "specificity, calibration, whole heads, and false alarms by level of the head, all with intervals; the worst "
        "slices as a picture. Without DATA, on virtual patients that it has not seen; then also by size of the "
        "hemorrhage, with overlap and peak of the map, and a run that was stopped resumes.",
    )
    command.add_argument(
        "data", type=Path, nargs="?", metavar="DATA",
        help="folder with a sub-folder of DICOM, or a NIfTI, NRRD or MetaImage file, for each exam",
    )  # fmt: skip
    command.add_argument(
        "--labels", type=Path, metavar="CSV",
        help="head (or patient, exam, case); file (name of the DICOM file) or slice (from 0, inferior to superior); "
        "any (0 or 1); kinds of hemorrhage if known (default: labels.csv of DATA)",
    )  # fmt: skip
    command.add_argument(
        "--patients", type=int, metavar="N", help=f"virtual patients, without DATA (default: {PATIENTS})"
    )
    command.add_argument(
        "--seed", type=int, help=f"of virtual patients, one not used in training (default: {SEED})"
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
    patients: int = PATIENTS,
    seed: int = SEED,
    model: str | None = None,
    device: str = "auto",
    enter: bool = False,
    progress: Progress = silent,
    refine: bool | None = None,
) -> dict:
    """Measure ``model`` on ``patients`` virtual patients of ``seed``, write the report to ``output``.

    With ``enter``, the bundle's manifest and card take it in; ``refine`` is as in :class:`~..pipeline.Options`.
    Returns the entry (see :func:`~..evaluation.phantom_report.write_report`).
    """
    from ..evaluation.head_report import HeadReport
    from ..evaluation.heads import of_patient
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
    command += _refining(refine)
    on = f"{patients} new virtual patients"
    entry = write_report(results, bundle, command, output, on, refined=options.refine)
    heads = [of_patient(n, result, bundle.manifest) for n, result in enumerate(results, 1)]
    HeadReport(heads, [], bundle, options, command, on, SLABS).write(output)
    if enter:
        pictures = {picture["file"]: output / picture["file"] for picture in entry.get("pictures", ())}
        record(bundle.folder, entry, pictures)
    return entry


def measure_data(
    data: Path,
    output: Path,
    labels: Path | None = None,
    model: str | None = None,
    device: str = "auto",
    refine: bool | None = None,
    progress: Progress = silent,
) -> HeadReport:
    """Measure ``model`` on the exams of ``data``; fill ``output``, which exists and is empty.

    Writes ``measures.json``, ``heads.csv``, ``slices.csv``, ``profile.csv``, ``report.md`` and, where something went
    wrong, ``worst.png``. Parameters as :func:`~..evaluation.exams.find_exams` and :class:`~..pipeline.Options` have
    them.

    Raises
    ------
    InputError
        If labels and exams do not fit, or every exam is refused.
    """
    from ..errors import InputError
    from ..evaluation.exams import find_exams
    from ..evaluation.head_report import SHEET, HeadReport, draw_worst, write_slices
    from ..evaluation.measure import measure_exams
    from ..models.bundle import DEFAULT_MODEL, Bundle
    from ..pipeline import Options

    bundle = Bundle.open(model or DEFAULT_MODEL)
    options = Options(device=device, refine=refine).resolved(bundle.manifest)
    progress("Reading labels and headers", 0, 1)
    exams = find_exams(data, labels)
    heads, refused = measure_exams(exams, bundle, options, progress)
    if not heads:
        raise InputError(f"None of {len(exams)} exams could be measured; the first: {refused[0].reason}")
    progress("Writing the report", 0, 1)
    write_slices(heads, bundle, output / "slices.csv")
    draw_worst(heads, bundle, output / SHEET)
    command = f"hemocam measure DATA --model {bundle.manifest.name} --output DIR{_refining(refine)}"
    on = f"{len(heads)} exams with labels per slice"
    report = HeadReport(heads, refused, bundle, options, command, on, SLICES)
    report.write(output)
    return report


def _refining(refine: bool | None) -> str:
    return "" if refine is None else " --refine" if refine else " --no-refine"


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.data is None:
        if options.labels is not None:
            raise OptionError("--labels are of exams; give their folder, or leave it out.")
        return _run_virtual(options)
    for name in ("patients", "seed", "record"):
        if getattr(options, name) not in (None, False):
            raise OptionError(f"--{name} is for virtual patients; leave it out, or DATA.")
    staging = supervise.in_child()
    if staging is None:
        return supervise.supervise(arguments, options.output, None)
    supervise.end_with_parent(staging)
    from ..evaluation.head_report import HEAD_LABELS
    from .terminal import TerminalProgress

    with TerminalProgress(options.quiet) as progress:
        report = measure_data(
            options.data, staging, options.labels, options.model, options.device, options.refine, progress
        )
    found, refused, count = report.found, report.refused, len(report.heads)
    for one in refused:
        print(f"Refused   head {one.number}: {one.reason}")
    print(f"{count} of {count + len(refused)} heads measured, {len(refused)} refused.")
    slices = found.slices
    for name in ("auc", "sensitivity", "specificity"):
        print(f"{'ROC AUC' if name == 'auc' else name} of slices: {getattr(slices, name).text()}")
    for name, label in HEAD_LABELS.items():
        print(f"{label}: {getattr(found.heads, name).text()}")
    print(f"Look at   {options.output / 'report.md'}")
    print("Research software, not for clinical use.")
    return 0


def _run_virtual(options: argparse.Namespace) -> int:
    from .terminal import TerminalProgress

    try:
        with TerminalProgress(options.quiet) as progress:
            entry = measure_model(
                options.output,
                PATIENTS if options.patients is None else options.patients,
                SEED if options.seed is None else options.seed,
                options.model,
                options.device,
                options.record,
                progress,
                options.refine,
            )
    except KeyboardInterrupt:
        raise Cancelled("Stopped; the same command resumes.") from None
    for name, value in entry["values"].items():
        print(f"{name}: {value}")
    print(f"Look at   {options.output / 'measurement.md'}")
    return 0
