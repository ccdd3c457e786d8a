"""``hemocam phantom``: a data set of virtual patients."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..errors import Cancelled

_LAYOUTS = ("volumes", "hemorica", "ct-ich")
_FORMATS = ("nii.gz", "nii", "nrrd", "mha")


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "phantom",
        help="make a data set of virtual patients",
        description="Make a data set of virtual patients with known hemorrhages. The same options give the same "
        "files; a run that was stopped goes on where it was.",
    )
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the data set")
    command.add_argument("--count", type=int, default=40, metavar="N", help="patients (default: 40)")
    command.add_argument(
        "--seed", type=int, default=1, metavar="S", help="of all that is random (default: 1)"
    )
    command.add_argument(
        "--layout", choices=_LAYOUTS, default="volumes",
        help="volumes: images/ and masks/ as NIfTI, labels by kind (default); hemorica: slices as .npy in HU; "
        "ct-ich: as PhysioNet's CT-ICH",
    )  # fmt: skip
    command.add_argument(
        "--slice-mm", type=float, nargs="+", metavar="MM", help="slice thickness, or several to draw from"
    )
    command.add_argument("--size", type=int, default=256, metavar="N", help="rows and columns (default: 256)")
    command.add_argument(
        "--healthy",
        type=float,
        metavar="FRACTION",
        help="part of patients without a hemorrhage (default: 0.5)",
    )
    command.add_argument(
        "--kinds", nargs="+", metavar="KIND", help="hemorrhages that may occur (default: all)"
    )
    command.add_argument("--format", choices=_FORMATS, help="files of the layout volumes (default: nii.gz)")
    command.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a CPU)"
    )
    command.set_defaults(run=_run)
    return command


def _run(options: argparse.Namespace, _: list[str]) -> int:
    if options.workers > 1:  # a thread each: the workers inherit it
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    from ..datasets.layouts import layout
    from ..datasets.phantoms import PhantomSet, specify
    from ..phantoms.population import HEALTHY
    from .terminal import TerminalProgress

    wanted = layout(options.layout, options.format)
    specs = specify(
        options.count,
        options.seed,
        slice_mm=options.slice_mm,
        size=options.size,
        healthy=HEALTHY if options.healthy is None else options.healthy,
        kinds=options.kinds,
        tilted=wanted.holds_shear,
    )
    phantoms = PhantomSet(specs, wanted, _command(options))
    with TerminalProgress(options.quiet) as progress:
        try:
            made = phantoms.write(options.output, options.workers, progress)
        except KeyboardInterrupt:
            raise Cancelled("Stopped; the same command goes on where it was.") from None
    print(f"Wrote {options.output}" if made else f"{options.output} is complete; nothing was to be done.")
    return 0


def _command(options: argparse.Namespace) -> str:
    """The command that makes the same data set, whatever the folder and the machine."""
    words = [
        "hemocam phantom",
        f"--count {options.count}",
        f"--seed {options.seed}",
        f"--layout {options.layout}",
    ]
    words += [f"--size {options.size}"]
    for name in ("slice_mm", "kinds"):
        if getattr(options, name) is not None:
            words.append(f"--{name.replace('_', '-')} {' '.join(map(str, getattr(options, name)))}")
    for name in ("healthy", "format"):
        if getattr(options, name) is not None:
            words.append(f"--{name} {getattr(options, name)}")
    return " ".join(words)
