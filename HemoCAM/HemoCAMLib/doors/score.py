"""``hemocam score``: what ``hemocam classify`` wrote, against reference labels and masks."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import OutputError
from ..progress import Progress, silent


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "score",
        help="compare the scores and maps of `hemocam classify` with reference labels and masks",
        description="Compare what `hemocam classify` wrote with reference labels (CSV: file,hemorrhage and, if "
        "wanted, patient) and, with --maps and --masks, maps with reference masks.",
    )
    command.add_argument("scores", type=Path, metavar="SCORES.csv", help="what `hemocam classify` wrote")
    command.add_argument("labels", type=Path, metavar="LABELS.csv", help="columns file, hemorrhage (0 or 1)")
    command.add_argument("--maps", type=Path, metavar="DIR", help="what `hemocam classify --maps` wrote")
    command.add_argument("--masks", type=Path, metavar="DIR", help="reference masks, PNG with 0 and 255")
    command.add_argument(
        "--slices", type=Path, metavar="DIR", help="the slices themselves (default: beside LABELS.csv)"
    )
    command.add_argument("--target", default="any", metavar="CLASS", help="class to judge by (default: any)")
    command.add_argument(
        "--output", type=Path, metavar="DIR",
        help="folder for the figures and a contact sheet of what went wrong (it shows the slices)",
    )  # fmt: skip
    command.add_argument(
        "--record", metavar="NAME_OR_FOLDER", help="model bundle into whose card the figures are entered"
    )
    command.add_argument("--on", metavar="WORDS", help="what the slices are, for --record")
    command.set_defaults(run=_run)
    return command


def score_slices(
    scores: Path,
    labels: Path,
    maps: Path | None = None,
    masks: Path | None = None,
    slices: Path | None = None,
    target: str = "any",
    output: Path | None = None,
    progress: Progress = silent,
) -> tuple[list[str], dict]:
    """Compute the figures; with ``output`` write ``score.md``, ``score.csv``, ``slices.csv`` and ``misses.png``.

    Returns the report's lines in Markdown, and the figures as the manifest's ``measured`` holds them.
    """
    from ..evaluation.labelled import Labelled
    from ..evaluation.scoring import NOTES, draw_misses, read_gray, score, table
    from ..evaluation.tables import write_csv, write_rows, write_text

    scored = score(Labelled.read(scores, labels, target), maps, masks, progress)
    found = table(scored)
    joined = scored.slices
    given = "".join(f" --{n} {p.name}" for n, p in (("maps", maps), ("masks", masks)) if p is not None)
    command = f"hemocam score {scores.name} {labels.name}{given}"
    truth = int(joined.truth.sum())
    lines = [
        f"# {len(joined)} slices, {truth} with hemorrhage", "", f"`{command}`", "", *found.markdown(), NOTES, "",
    ]  # fmt: skip
    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
            write_csv([found], output / "score.csv")
            write_rows(_rows(scored), output / "slices.csv")
            place = slices or labels.parent
            if draw_misses(scored, output / "misses.png", lambda file: read_gray(place / file), progress):
                lines += ["![What went wrong](misses.png)", ""]
            write_text("\n".join(lines), output / "score.md")
        except OSError as error:
            raise OutputError(
                f"Cannot write to {output} ({error.strerror}); choose another --output."
            ) from None
    values = {f"{row.label}, {row.cases} slices": row.estimates[0].text() for row in found.rows}
    return lines, {"command": command, "values": values, "notes": NOTES}


def _rows(scored: object) -> list[list]:
    rows = [["file", "hemorrhage", "probability", "positive", "dice", "iou", "peak_inside"]]
    joined = scored.slices
    for n, file in enumerate(joined.files):
        known = scored.masked[n]
        own = (
            (f"{scored.dice[n]:.4f}", f"{scored.iou[n]:.4f}", int(scored.peak[n])) if known else ("", "", "")
        )
        rows.append([file, int(joined.truth[n]), f"{joined.score[n]:.6g}", int(joined.positive[n]), *own])
    return rows


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    from ..errors import OptionError
    from .terminal import TerminalProgress

    if (options.record is None) != (options.on is None):
        raise OptionError("--record needs --on, which says what the slices are, and the other way round.")
    with TerminalProgress(options.quiet) as progress:
        lines, entry = score_slices(
            options.scores,
            options.labels,
            options.maps,
            options.masks,
            options.slices,
            options.target,
            options.output,
            progress,
        )
    if options.record is not None:
        from ..evaluation.record import record
        from ..models.bundle import find_bundle

        folder = find_bundle(options.record)
        maps = f" --maps {options.maps.name}" if options.maps else ""
        first = f"hemocam classify DIR --model {folder.name} --output {options.scores.name}{maps}"
        record(folder, {"on": options.on, **entry, "command": f"{first}; {entry['command']}"})
    print("\n".join(lines))
    return 0
