"""``hemocam check``: everything that is wrong with a data set, before hours are spent on it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..datasets.folders import Reading

_LAYOUTS = ("volumes", "hemorica", "ct-ich")


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "check",
        help="check a data set with masks",
        description="List everything that is wrong with a data set, a sentence each: missing masks and scans, "
        "shapes and positions that differ, unknown labels, slice labels that contradict the masks, files that are "
        "damaged or not in HU, scans that are there twice, patients in two splits. The exit code is 0 if nothing "
        "is, else 2.",
    )
    command.add_argument("data", type=Path, metavar="DATA", help="folder of the data set")
    add_reading_options(command)
    command.add_argument(
        "--splits", type=Path, metavar="FILE", help="CSV of patient and split (train, validation, test)"
    )
    command.set_defaults(run=_run)
    return command


def add_reading_options(command: argparse.ArgumentParser) -> None:
    """Add the options that say how a data set is read: to every command that reads one."""
    command.add_argument(
        "--layout", choices=_LAYOUTS,
        help="volumes: images/ and masks/ as NIfTI, NRRD or MetaImage; hemorica: slices as .npy in HU; ct-ich: as "
        "PhysioNet's CT-ICH (default: recognised from the folder)",
    )  # fmt: skip
    command.add_argument("--images", type=Path, metavar="DIR", help="folder of the scans (default: images)")
    command.add_argument("--masks", type=Path, metavar="DIR", help="folder of the masks (default: masks)")
    command.add_argument(
        "--tables", type=Path, nargs="+", default=[], metavar="CSV",
        help="tables of slice labels (default: slices.csv)",
    )  # fmt: skip
    command.add_argument(
        "--labels", type=Path, metavar="JSON", help="what the masks' values mean (default: labels.json)"
    )
    command.add_argument("--pixel-mm", type=float, metavar="MM", help="pixel size of .npy slices")
    command.add_argument("--slice-mm", type=float, metavar="MM", help="slice thickness of .npy slices")
    command.add_argument(
        "--file-order", action="store_true",
        help="slice numbers of volumes count as the file stores the slices, not from inferior to superior",
    )  # fmt: skip


def reading_of(options: argparse.Namespace) -> Reading:
    """Return what :func:`add_reading_options` understood."""
    from ..datasets.folders import Reading

    return Reading(
        options.layout,
        options.images,
        options.masks,
        tuple(options.tables),
        options.labels,
        options.pixel_mm,
        options.slice_mm,
        options.file_order,
    )


def _run(options: argparse.Namespace, _: list[str]) -> int:
    from ..datasets.check import inspect_files, inspect_voxels
    from .terminal import TerminalProgress

    with TerminalProgress(options.quiet) as progress:
        inspection = inspect_files(options.data, reading_of(options), options.splits, progress)
    told = _tell(inspection.faults)  # what takes seconds is told before what takes an hour
    with TerminalProgress(options.quiet) as progress:
        inspect_voxels(inspection, progress)
    told += _tell(inspection.faults[told:])
    for note in inspection.notes:
        print(f"Note: {note}")
    print("\n".join(inspection.summary()))
    print(f"{told} fault{'s' if told > 1 else ''} found." if told else "No fault found.")
    return 2 if told else 0


def _tell(faults: list[str]) -> int:
    for fault in faults:
        print(fault, flush=True)
    return len(faults)
