"""The chapter on single scans: sheets of the best, the worst and the false alarms, and which scans they are."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from ..datasets.finding import DataSet
from ..evaluation.tables import write_bytes, write_text
from ..models.bundle import Bundle
from .blocks import Block, Cell, Code, Grid, Heading, Line, Paragraph, Picture, Pictures, number
from .case_pictures import case_pictures
from .case_sheet import draw_sheet
from .choosing import SORTS, Choice, Shown, choose_cases
from .figures import Figures
from .words import place_name

FILE = "cases.json"  # which scans the pictures show, so that they can be kept for a report drawn again
_WORDS = {"best": "best", "worst": "worst", "alarm": "false alarm"}


def case_chapter(
    figures: Figures, folder: Path, old: Path | None, data: DataSet | None, bundle: Bundle | None
) -> list[Block]:
    """Draw the sheets, or take them over from an earlier report of the same benchmark.

    Parameters
    ----------
    figures:
        Of the report.
    folder:
        Of the report; takes :data:`FILE`.
    old:
        An earlier report's folder, if there is one.
    data, bundle:
        What the benchmark was made of; without them nothing is drawn.

    Returns
    -------
    list of blocks
        Empty where nothing was ever measured; without pictures, the table alone.
    """
    choice = choose_cases(figures.found)
    if choice is None or not choice.shown:
        return []
    said = json.dumps({"of": figures.found.name, **asdict(choice)}, indent=1) + "\n"
    if data is not None and bundle is not None:
        _draw(figures, choice, data, bundle)
    elif old is not None:
        _take_over(figures, old, said)
    write_text(said, folder / FILE)
    return _blocks(choice, any(f"cases-{sort}" in figures.drawn for sort in SORTS))


def _draw(figures: Figures, choice: Choice, data: DataSet, bundle: Bundle) -> None:
    pictures = case_pictures(figures.found, choice, data, bundle, figures.progress)
    for sort in SORTS:
        own = [n for n, shown in enumerate(choice.shown) if shown.sort == sort]
        if own:
            heads = [_head(choice.shown[n], place) for place, n in enumerate(own, 1)]
            png = draw_sheet([pictures[n] for n in own], heads, figures.folder, f"cases-{sort}")
            figures.keep(f"cases-{sort}", png)


def _take_over(figures: Figures, old: Path, said: str) -> None:
    """Copy the pictures of an earlier report if they show the same scans of the same benchmark."""
    try:
        if (old / FILE).read_text(encoding="utf-8") != said:
            return
        for sort in SORTS:
            for kind in ("pdf", "png"):
                source = old / figures.folder.name / f"cases-{sort}.{kind}"
                if source.is_file():
                    content = source.read_bytes()
                    write_bytes(content, figures.folder / source.name)
                    if kind == "png":
                        figures.keep(f"cases-{sort}", content)
    except (OSError, UnicodeDecodeError):
        return


def _head(shown: Shown, place: int) -> str:
    if shown.dice is None:
        return f"{place}: no hemorrhage, p = {shown.probability:.2f}"
    return f"{place}: Dice {shown.dice:.2f}, p = {shown.probability:.2f}"


def _blocks(choice: Choice, pictured: bool) -> list[Block]:
    blocks: list[Block] = [
        Heading("Best and worst scans"),
        Paragraph(
            f"By the Dice of the whole scan, of {place_name(choice.place)} with {choice.scale} scaling; "
            "each scan at one slice. The same map is shown in every scaling, with the mask at the "
            "threshold chosen for it. p is the classifier's probability of the slab; the patient's right "
            "is on the left."
        ),
    ]
    if not pictured:
        words = "There are no pictures: the data set was not at hand when this report was drawn."
        blocks.append(Paragraph(words, quiet=True))
    lines, counts = [], dict.fromkeys(SORTS, 0)
    for sort, words in SORTS.items():
        if any(shown.sort == sort for shown in choice.shown):
            blocks.append(Pictures([Picture(f"cases-{sort}", f"{words}.", 0.75)]))
    for shown in choice.shown:
        counts[shown.sort] += 1
        cells = [
            Cell(str(shown.slice)), Cell(str(shown.slab)), Cell(number(shown.dice)), Cell(number(shown.truth_ml, 1)),
            Cell(number(shown.mask_ml, 1)), Cell(number(shown.probability, 2)),
        ]  # fmt: skip
        head = [f"{_WORDS[shown.sort]} {counts[shown.sort]}", Code(shown.case)]
        lines.append(Line([*head, *cells], counts[shown.sort] == 1))
    columns = [
        "scan",
        "case",
        "slice",
        "slab",
        "Dice of the scan",
        "reference, ml",
        "mask, ml",
        "p of the slab",
    ]
    note = "Slices as the data set numbers them; slabs are counted from 0 at the lower end."
    return [*blocks, Grid("Which scans they are", columns, lines, 2, note)]
