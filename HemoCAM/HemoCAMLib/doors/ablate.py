"""``hemocam ablate``: what each group of the generator's random features, and of the training, brings."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ..errors import Cancelled

_EPOCHS = 4  # a checkpoint each


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "ablate",
        help="train without parts of the generator, to see what each brings",
        description="Train short runs with the full generator of virtual patients, of several seeds, and one without "
        "each group of its random features, all else equal; measure them on virtual patients and, with --slices, "
        "on labelled slices. A run that was stopped goes on where it was; groups can be added later.",
    )
    command.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for trials and table"
    )
    command.add_argument(
        "--groups",
        nargs="+",
        metavar="GROUP",
        help="groups to leave out, one after the other; A+B leaves out both at once (default: each)",
    )
    command.add_argument("--steps", type=int, default=1200, metavar="N", help="steps of a training (1200)")
    command.add_argument("--batch", type=int, default=32, metavar="N", help="slices a step (32)")
    command.add_argument(
        "--sizes", metavar="PX:SHARE,...", help="picture sizes in turn, as in `hemocam train`"
    )
    command.add_argument("--seeds", type=int, default=3, metavar="N", help="full trainings (3)")
    command.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="trainings without each group (1)"
    )
    command.add_argument(
        "--seed", type=int, default=1, help="of the first training; the others' follow it (1)"
    )
    command.add_argument("--patients", type=int, default=400, metavar="N", help="of each training (400)")
    command.add_argument("--validation-patients", type=int, default=60, metavar="N", help="(60)")
    command.add_argument("--test-patients", type=int, default=100, metavar="N", help="(100)")
    command.add_argument(
        "--slices",
        type=Path,
        metavar="DIR",
        help="labels.csv, the slices that it names, and masks if there are any",
    )
    command.add_argument(
        "--size", type=int, metavar="PX", help="edge of the networks' input (the blueprint's)"
    )
    command.add_argument("--blueprint", type=Path, metavar="FILE", help="model.json, as in `hemocam train`")
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument("--precision", default="bf16-mixed", help="as in `hemocam train` (bf16-mixed)")
    command.add_argument("--workers", type=int, metavar="N", help="processes that make patients")
    command.set_defaults(run=_run)
    return command


def command_line(options: argparse.Namespace) -> str:
    """The command as it enters the table: what decides the result, no path."""
    words = ["hemocam", "ablate"]
    for name in ("groups", "steps", "batch", "size", "sizes", "seeds", "repeats", "seed", "patients",
                 "validation_patients", "test_patients"):  # fmt: skip
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words) + (" --slices DIR" if options.slices else "")


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    from ..errors import InputError, OptionError
    from ..evaluation.ablation import Plan, ablate
    from ..evaluation.ablation_table import write_table
    from ..evaluation.ingredients import PARTS
    from ..training.devices import launch
    from ..training.recipe import Recipe
    from ..training.run import BLUEPRINT, default_workers
    from .terminal import TerminalProgress
    from .train import parse_sizes

    if options.steps < _EPOCHS:
        raise OptionError(f"{options.steps} steps train nothing; give --steps {_EPOCHS} or more.")
    if options.slices is not None and not (options.slices / "labels.csv").is_file():
        raise InputError(
            f"There is no {options.slices / 'labels.csv'}; --slices needs slices and their labels."
        )
    plan = Plan(
        groups=tuple(options.groups or PARTS),
        recipe=Recipe(
            epochs=_EPOCHS,
            steps_per_epoch=options.steps // _EPOCHS,
            batch=options.batch,
            sizes=parse_sizes(options.sizes),
            seed=options.seed,
        ),
        seeds=options.seeds,
        repeats=options.repeats,
        patients=options.patients,
        validation_patients=options.validation_patients,
        test_patients=options.test_patients,
        blueprint=options.blueprint or BLUEPRINT,
        size=options.size,
    )
    workers = default_workers() if options.workers is None else options.workers
    fabric = launch(options.device, precision=options.precision)
    try:
        with TerminalProgress(options.quiet) as progress:
            found = ablate(
                plan, options.output, options.slices, fabric=fabric, workers=workers, progress=progress
            )
    except KeyboardInterrupt:
        raise Cancelled("Stopped; the same command goes on where it was.") from None
    print("\n".join(write_table(found, command_line(options), options.output)))
    return 0
