"""``hemocam classify``: single slices in, a table of probabilities and, if wanted, maps and masks out."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, OutputError
from ..progress import Progress, silent
from . import supervise
from .inputs import Source, find_slices

if TYPE_CHECKING:
    from ..models.bundle import Bundle
    from ..slices import Finding

MAP, MASK = "_map.png", "_mask.png"
_TABLE, _MAPS = "scores.csv", "maps"


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "classify",
        help="classify single slices: pictures or DICOM files",
        description="Classify single axial head CT slices: screen captures (PNG, JPEG) of any window, or DICOM "
        "files. Writes a row a slice: the probability of each class, and whether the slice is positive.",
    )
    command.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help="file, folder (without its subfolders), or @FILE with one a line",
    )
    command.add_argument("--output", type=Path, required=True, metavar="CSV", help="table to write")
    command.add_argument("--maps", type=Path, metavar="DIR", help="folder for a map and a mask a slice")
    command.add_argument("--model", metavar="NAME_OR_FOLDER", help="model bundle (default: the one shipped)")
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument("--force", action="store_true", help="replace an existing result")
    command.add_argument(
        "--keep-going", action="store_true", help="leave out slices that cannot be read, and list them"
    )
    command.set_defaults(run=_run)
    return command


def classify_files(
    sources: Sequence[Source],
    bundle: Bundle,
    folder: Path,
    maps: bool = False,
    device: str = "auto",
    keep_going: bool = False,
    progress: Progress = silent,
) -> tuple[int, int, list[str]]:
    """Classify slices and fill ``folder``, which exists and is empty.

    Writes ``scores.csv`` (``file``, a column a class, ``positive``; rows in the order of ``sources``) and, with
    ``maps``, ``maps/<name>_map.png`` (16 bit, 0..65535 for 0..1) and ``maps/<name>_mask.png`` (0 and 255), each
    of the slice's own size.

    Returns
    -------
    tuple
        How many slices were classified, how many of them are positive, and a sentence for each left out.

    Raises
    ------
    HemoCAMError
        With one sentence: a slice cannot be read (without ``keep_going``), two would share the name of their
        maps, or the model does not take pictures.
    """
    from ..slices import Slice, SliceClassifier

    if maps:
        _check_stems(sources)
        (folder / _MAPS).mkdir()
    classifier = SliceClassifier(bundle, maps, device)
    positives = classified = 0
    failures: list[str] = []
    with (folder / _TABLE).open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["file", *bundle.manifest.classes, "positive"])
        for start in range(0, len(sources), classifier.batch):
            readable, slices = [], []
            for done, source in enumerate(sources[start : start + classifier.batch], start=start):
                progress("Classifying slices", done, len(sources))
                try:
                    slices.append(Slice.read(source.path, bundle.manifest))
                except InputError as error:
                    if not keep_going:
                        raise
                    failures.append(f"{source.name} was left out: {error}")
                else:
                    readable.append(source)
            for source, found in zip(readable, classifier(slices) if slices else [], strict=True):
                scores = [f"{p:.6g}" for p in found.probabilities]
                rows.writerow([source.name, *scores, int(found.positive)])
                positives += found.positive
                if maps:
                    _write_maps(found, folder / _MAPS, source.path.stem)
            classified += len(readable)
    progress("Classifying slices", len(sources), len(sources))
    if not classified:
        raise InputError(f"None of the {len(sources)} slices can be read; the first: {failures[0]}")
    return classified, positives, failures


def _write_maps(found: Finding, folder: Path, stem: str) -> None:
    import numpy as np
    from PIL import Image

    from ..slices import LEVELS

    heatmap = np.rint(found.heatmap * LEVELS).astype(np.uint16)
    Image.fromarray(heatmap).save(folder / f"{stem}{MAP}")
    Image.fromarray(found.mask.astype(np.uint8) * 255).save(folder / f"{stem}{MASK}")


def _check_stems(sources: Sequence[Source]) -> None:
    seen: dict[str, str] = {}
    for source in sources:
        other = seen.setdefault(source.path.stem.casefold(), source.name)
        if other != source.name:
            raise InputError(
                f"The maps of {other} and {source.name} would have the same name, {source.path.stem}{MAP}; "
                "classify them one after the other, into two folders."
            )


def check_targets(output: Path, maps: Path | None, force: bool) -> None:
    """Raise :class:`OutputError` if the table or the folder of maps may not be written."""
    if output.is_dir() or output.is_symlink():
        raise OutputError(f"{output} is no file; name the table, such as scores.csv, with --output.")
    if output.exists():
        if not force:
            raise OutputError(f"{output} exists; choose another --output, or replace it with --force.")
        with output.open("rb") as stream:
            head = stream.readline(4096)
        if not head.startswith(b"file,") or not head.rstrip().endswith(b",positive"):
            raise OutputError(f"{output} is no table of scores, so --force will not replace it.")
    if maps is None:
        return
    if maps in (output, *output.parents):
        raise OutputError(f"The table would lie in the folder of maps, {maps}; choose another --maps.")
    if maps.is_symlink() or (maps.exists() and not maps.is_dir()):
        raise OutputError(f"{maps} is not a folder; choose another --maps.")
    if maps.exists() and any(maps.iterdir()):
        if not force:
            raise OutputError(f"{maps} is not empty; choose another --maps, or replace it with --force.")
        strange = sorted(p.name for p in maps.iterdir() if not p.name.endswith((MAP, MASK)))
        if strange:
            raise OutputError(f"{maps} holds {strange[0]}, which is no map, so --force will not replace it.")


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    staging = supervise.in_child()
    if staging is None:
        return _supervise(options, arguments)
    supervise.end_with_parent(staging)
    from ..models.bundle import DEFAULT_MODEL, Bundle
    from .terminal import TerminalProgress

    sources, notes = find_slices(options.input)
    bundle = Bundle.open(options.model or DEFAULT_MODEL)
    with TerminalProgress(options.quiet) as progress:
        count, positives, failures = classify_files(
            sources, bundle, staging, bool(options.maps), options.device, options.keep_going, progress
        )
    target = bundle.manifest.target
    lines = [f"Note: {note}" for note in [*notes, *failures]]
    lines.append(f"{target}: {positives} of {count} slices are positive.")
    lines.append(
        f"Wrote {options.output}" + (f" and {2 * count} pictures in {options.maps}" if options.maps else "")
    )
    lines.append("Research software, not for clinical use.")
    print("\n".join(lines))
    return 0


def _supervise(options: argparse.Namespace, arguments: list[str]) -> int:
    output = options.output.absolute()
    maps = options.maps and options.maps.absolute()
    check_targets(output, maps, options.force)

    def deliver(staging: Path) -> None:
        check_targets(output, maps, options.force)
        pairs = [(staging / _TABLE, output)]
        beside = None
        try:
            if maps is not None:
                beside = supervise.bring_beside(staging / _MAPS, maps)
                pairs.insert(0, (beside, maps))
            supervise.give_names(pairs)
        finally:
            if beside is not None:
                supervise.remove(beside)

    return supervise.run_staged(arguments, output, deliver)
