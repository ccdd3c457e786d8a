"""``hemocam benchmark``: the paper's study on anyone's data and model."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ..cams.backends import BACKENDS
from ..cams.methods import METHODS
from ..errors import Cancelled
from .check import add_reading_options, reading_of
from .report import add_case_option, make_report

if TYPE_CHECKING:
    from ..benchmark.run import Finished
    from ..datasets.finding import DataSet
    from ..datasets.splits import Splits
    from ..progress import Progress

SEED = 0
# nobody trains here: most patients are tested, and the refinement is fitted on as many as thresholds are chosen on
FRACTIONS = (0.2, 0.2, 0.6)
_SCALES = ("library", "gated", "volume")


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "benchmark",
        help="compare CAM methods and stages on a data set with masks",
        description="Compare CAM methods at several stages on a data set with pixel masks: thresholds are chosen on "
        "one split, every measure is taken on the test split, and written as tables with intervals by patient and "
        "tests; a report with figures ends it. The same command goes on where it was stopped, and gives the same "
        "bytes on any number of workers.",
    )
    command.add_argument("data", type=Path, metavar="DATA", help="folder of the data set")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the tables")
    add_reading_options(command)
    splits = command.add_mutually_exclusive_group()
    splits.add_argument(
        "--splits", type=Path, metavar="FILE", help="CSV of patient and split (train, validation, test)"
    )
    splits.add_argument(
        "--seed", type=int, default=SEED, metavar="N",
        help="draw the splits: a fifth of the patients for training, a fifth for validation, the rest for the test; "
        f"also of all else that is drawn (default: {SEED})",
    )  # fmt: skip
    command.add_argument("--model", metavar="NAME_OR_FOLDER", help="model bundle (default: the one shipped)")
    command.add_argument("--methods", nargs="+", choices=list(METHODS), metavar="METHOD",
                         help="CAM methods (default: the paper's nine)")  # fmt: skip
    command.add_argument(
        "--stages", nargs="+", type=int, metavar="N",
        help="network stages, counted from 1 (default: 4, 5 and 6, as far as there are, and the bundle's own)",
    )  # fmt: skip
    command.add_argument(
        "--scales", nargs="+", choices=_SCALES, metavar="SCALE",
        help="library: each slice stretched to 0..1, as in the paper; gated: what HemoCAM shows; volume "
        "(default: library gated)",
    )  # fmt: skip
    command.add_argument(
        "--rules", nargs="*", metavar="RULE", default=["percentile", "otsu"],
        help="threshold rules beside the chosen fixed one: percentile (the best on the validation split), "
        "percentile:95, percentile:99:volume, otsu, otsu:volume, fixed:0.35 (default: percentile otsu)",
    )  # fmt: skip
    command.add_argument("--target", metavar="CLASS", help="class to explain (default: the bundle's)")
    command.add_argument("--gate", type=float, help="probability from which a slice is shown")
    command.add_argument(
        "--faithfulness", type=int, default=0, metavar="N",
        help="also test whether maps are faithful to the model, on N bleeding slices of each test case (default: 0)",
    )  # fmt: skip
    command.add_argument(
        "--faithfulness-cases", type=int, default=0, metavar="N",
        help="test it on N of the bleeding test cases at most: it takes longer than all else (default: 0, on all)",
    )  # fmt: skip
    command.add_argument(
        "--refine", action="store_true",
        help="also refine the masks of the best gated map by the HU under them; fitted on the training split",
    )  # fmt: skip
    command.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes on this machine (default: 0, this one)"
    )
    command.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, instead of --workers")
    command.add_argument(
        "--threads", type=int, default=1, metavar="N",
        help="threads of each process; another number may change last digits, and needs another DIR (default: 1)",
    )  # fmt: skip
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument("--engine", choices=list(BACKENDS), default=BACKENDS[0], help="what computes maps")
    command.add_argument(
        "--allow-failures", action="store_true", help="make the tables without the cases that fail"
    )
    command.add_argument(
        "--no-report", action="store_true", help="tables alone; `hemocam report` draws the report later"
    )
    add_case_option(command)
    command.set_defaults(run=_run)
    return command


def run_benchmark(options: argparse.Namespace, progress: Progress) -> Finished:
    """Do what the parsed options say; errors are those of :func:`~..benchmark.run.benchmark`."""
    from ..benchmark.plan import Plan
    from ..benchmark.run import Machine, benchmark
    from ..datasets.finding import open_data_set
    from ..models.bundle import DEFAULT_MODEL, Bundle
    from ..pipeline import pick_device

    bundle = Bundle.open(options.model or DEFAULT_MODEL)

    def some(values: list | None) -> tuple | None:
        return None if values is None else tuple(values)

    plan = Plan.of(
        bundle,
        some(options.methods),
        some(options.stages),
        some(options.scales),
        options.target,
        options.gate,
        rules=tuple(options.rules),
        refine=options.refine,
        faithfulness=options.faithfulness,
        faithfulness_cases=options.faithfulness_cases,
        seed=options.seed,
        engine=options.engine,
        # a cluster's workers may have what this machine lacks
        device=options.device if options.dask else pick_device(options.device),
    )
    data = open_data_set(options.data, reading_of(options))
    return benchmark(
        data,
        _splits(options, data, progress),
        plan,
        bundle,
        options.output,
        command_of(options, plan.model),
        Machine(options.workers, options.dask, options.threads),
        options.allow_failures,
        progress,
    )


def command_of(options: argparse.Namespace, model: str) -> str:
    """The command that gives the same tables: without the folders, and what changes no result."""
    words = ["hemocam", "benchmark", "DATA", "--output", "DIR"]
    words += ["--splits", "FILE"] if options.splits else ["--seed", str(options.seed)]
    words += ["--model", model]
    for name in ("layout", "pixel_mm", "slice_mm", "target", "gate"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name in ("methods", "stages", "scales", "rules"):
        values = getattr(options, name)
        if values is not None:
            words += [f"--{name}", *map(str, values)]
    words += ["--threads", str(options.threads), "--device", options.device, "--engine", options.engine]
    for name in ("faithfulness", "faithfulness_cases"):
        if getattr(options, name):
            words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    words += [
        f"--{n.replace('_', '-')}" for n in ("file_order", "refine", "allow_failures") if getattr(options, n)
    ]
    return shlex.join(words)


def _splits(options: argparse.Namespace, data: DataSet, progress: Progress) -> Splits:
    from ..datasets.splits import Splits, bleeding_patients

    if options.splits:
        return Splits.read(options.splits, data.patients)
    return Splits.drawn(bleeding_patients(data, progress), options.seed, FRACTIONS)


def _run(options: argparse.Namespace, _: list[str]) -> int:
    from ..benchmark.plan import CHOSEN
    from ..benchmark.summary import pivot
    from ..models.card import markdown_table
    from .terminal import TerminalProgress

    try:
        with TerminalProgress(options.quiet) as progress:
            found = run_benchmark(options, progress)
            page = None if options.no_report else _report(options, found, progress)
    except KeyboardInterrupt:
        raise Cancelled("Stopped; the same command goes on where it was.") from None
    pixels = found.tables["pixels"]
    for scale in dict.fromkeys(pixels["scale"].to_pylist()):
        print(f"Pixel Dice over positive slices, scale {scale}, thresholds chosen on another split:")
        print("\n".join(markdown_table(*pivot(pixels, "dice", scale, CHOSEN))), end="\n\n")
    for name, sentence in found.failed.items():
        print(f"Left out: {name}: {sentence}")
    print(f"Look at   {page or found.output / 'tables'}")
    return 0


def _report(options: argparse.Namespace, found: Finished, progress: Progress) -> Path:
    from ..datasets.finding import open_data_set
    from ..models.bundle import DEFAULT_MODEL, Bundle

    bundle = Bundle.open(options.model or DEFAULT_MODEL)
    data = None if options.no_cases else open_data_set(options.data, reading_of(options))
    return make_report(found.output, data, bundle, not options.no_cases, progress)
