"""``hemocam train``: a new model bundle, from virtual patients, a data set on disk, or both."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ..errors import Cancelled
from ..training.devices import PRECISIONS, STRATEGIES
from ..training.recipe import SCHEDULES, Recipe

# Where things lie and how fast they go; all else decides what comes out and enters the manifest.
_NOT_IN_THE_COMMAND = {
    "output", "work", "blueprint", "workers", "device", "devices", "nodes", "strategy", "render", "quiet", "debug",
    "command", "run",
}  # fmt: skip


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "train",
        help="train a model bundle",
        description="Train a model bundle: on virtual patients made on the fly, on a data set on disk, or on both. "
        "A run that was stopped or killed goes on after its last whole epoch when the same command is given again.",
    )
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the new bundle")
    command.add_argument(
        "--work",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for patients, checkpoint, log and curves",
    )
    command.add_argument(
        "--blueprint",
        type=Path,
        metavar="FILE",
        help="model.json to take architecture, input and classes from",
    )
    command.add_argument(
        "--initial", metavar="MODEL", help="model, by name or folder, whose weights to start from"
    )
    cases = command.add_argument_group("what to train on")
    cases.add_argument(
        "--patients", type=int, default=900, metavar="N", help="virtual patients (900); 0: --data alone"
    )
    cases.add_argument(
        "--fresh", action="store_true", help="never the same virtual patient twice, --patients aside"
    )
    cases.add_argument(
        "--validation-patients", type=int, default=100, metavar="N",
        help="virtual patients for calibration and thresholds (100); as many again measure",
    )  # fmt: skip
    cases.add_argument(
        "--data", type=Path, metavar="DIR",
        help="data set with slice labels: images/ with <patient_name>_<slice_number>.npy in HU or with "
        "<patient_name>.nii.gz, and slices.csv with patient_name, slice_number, hemorrhage_binary and, if known, "
        "the kinds",
    )  # fmt: skip
    cases.add_argument("--labels", type=Path, metavar="FILE", help="table of slice labels, if not in --data")
    cases.add_argument(
        "--pixel-mm", type=float, metavar="MM", help="of .npy slices (they span the network's field of view)"
    )
    cases.add_argument(
        "--data-share", type=float, default=0.5, metavar="X",
        help="share of --data in a batch beside virtual patients (0.5)",
    )  # fmt: skip
    _recipe(command.add_argument_group("how to train"))
    where = command.add_argument_group("what to train with")
    where.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    where.add_argument("--devices", type=int, default=1, metavar="N", help="devices a machine (1)")
    where.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="machines, each given this command (1)"
    )
    where.add_argument("--strategy", choices=STRATEGIES, default="auto")
    where.add_argument("--precision", choices=PRECISIONS, default="bf16-mixed", help="(bf16-mixed)")
    where.add_argument(
        "--render", choices=["cpu", "cuda"], default="cpu", help="where virtual patients are rendered (cpu)"
    )
    where.add_argument(
        "--workers", type=int, metavar="N",
        help="processes that make patients in the background; 0: none (all cores but one)",
    )  # fmt: skip
    command.set_defaults(run=_run)
    return command


def _recipe(group: argparse._ArgumentGroup) -> None:
    def number(name: str, field: str, meaning: str, metavar: str = "N") -> None:
        default = getattr(Recipe, field)
        group.add_argument(
            name, type=type(default), default=default, metavar=metavar, help=f"{meaning} ({default:g})"
        )

    number("--epochs", "epochs", "epochs; each ends with a checkpoint")
    number("--steps", "steps_per_epoch", "steps an epoch")
    number("--batch", "batch", "slices a step and device")
    group.add_argument(
        "--sizes", metavar="PX:SHARE,...",
        help="picture sizes in turn and their share of the steps (half at 0.75 of the network's, half at that)",
    )  # fmt: skip
    number("--learning-rate", "learning_rate", "the highest", "X")
    group.add_argument("--schedule", choices=SCHEDULES, default=Recipe.schedule, help=f"({Recipe.schedule})")
    number("--captures", "captures", "share of screen captures in a batch", "X")
    number("--evidence", "evidence", "weight of the loss that asks for maps on the blood", "X")
    number("--overlap", "overlap", "weight of the loss that asks for their overlap with it", "X")
    number("--patience", "patience", "epochs without a better score after which to stop; 0: never")
    number("--pool", "pool", "patients in memory, 6 MB each")
    number("--seed", "seed", "of patients, weights, order and augmentation")


def parse_sizes(text: str | None) -> tuple[tuple[int, float], ...] | None:
    """Turn ``192:0.5,256:0.5`` into numbers; raise :class:`OptionError` if it is anything else."""
    from ..errors import OptionError

    if text is None:
        return None
    try:
        return tuple((int(px), float(share)) for px, share in (part.split(":") for part in text.split(",")))
    except ValueError:
        raise OptionError(f"--sizes {text} is no list of sizes; write it as in 192:0.5,256:0.5.") from None


def command_line(options: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """The command as it enters the card: what decides the result and is not the default, no path."""
    words = ["hemocam", "train"]
    for name, value in vars(options).items():
        if name in _NOT_IN_THE_COMMAND or value == parser.get_default(name):
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append("..." if isinstance(value, Path) else str(value))
    return shlex.join(words)


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    from ..models.bundle import Bundle
    from ..training.devices import launch
    from ..training.run import BLUEPRINT, Cases, default_workers, train_bundle
    from .terminal import TerminalProgress

    recipe = Recipe(
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        batch=options.batch,
        sizes=parse_sizes(options.sizes),
        learning_rate=options.learning_rate,
        schedule=options.schedule,
        captures=options.captures,
        evidence=options.evidence,
        overlap=options.overlap,
        patience=options.patience,
        pool=options.pool,
        seed=options.seed,
    )
    cases = Cases(
        options.patients,
        options.fresh,
        options.validation_patients,
        options.render,
        options.data,
        options.labels,
        options.pixel_mm,
        options.data_share,
    )
    workers = default_workers() if options.workers is None else options.workers
    parser = add_to(argparse.ArgumentParser().add_subparsers())
    fabric = launch(options.device, options.devices, options.nodes, options.strategy, options.precision)
    with TerminalProgress(options.quiet or not fabric.is_global_zero) as progress:
        try:
            bundle = train_bundle(
                options.output,
                options.work,
                recipe,
                cases,
                options.blueprint or BLUEPRINT,
                initial=Bundle.open(options.initial) if options.initial else None,
                fabric=fabric,
                workers=workers,
                command=command_line(options, parser),
                progress=progress,
            )
        except KeyboardInterrupt:
            raise Cancelled("Stopped; the same command goes on where it was.") from None
    if bundle is not None:
        for entry in bundle.manifest.raw["measured"]:
            for name, value in entry["values"].items():
                print(f"{name}: {value}")
        print(f"Wrote {bundle.folder}")
    return 0
