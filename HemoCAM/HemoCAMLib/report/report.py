"""The report of a finished benchmark: ``report.html``, ``report.md``, ``figures/`` as PDF and PNG.

FOLDER/report.html    one file, pictures in it
FOLDER/report.md      the same; it links ``figures/`` and the benchmark's ``tables/``
FOLDER/figures/       PDF and PNG
FOLDER/model.json     what the report says of the model
FOLDER/cases.json     which scans are shown; not with ``cases=False``
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..datasets.finding import DataSet
from ..errors import OutputError
from ..evaluation.tables import write_bytes, write_text
from ..models.bundle import Bundle
from ..progress import Progress, silent
from .blocks import Block, Cell, Code, Grid, Heading, Line, Paragraph, Picture, Pictures, Report, number
from .case_pictures import case_pictures
from .case_sheet import draw_sheet
from .choosing import SORTS, Choice, Shown, choose_cases
from .distributions import slice_dice
from .findings import findings_chapter
from .heatmap import draw_heatmap
from .markdown import markdown
from .measure_tables import group_chapter, refinement_chapter, rule_chapter, scale_chapter, volume_chapter
from .model_facts import FILE, UNKNOWN, facts_of
from .other_tables import (
    classification_chapter,
    faithfulness_chapter,
    statistics_chapter,
    threshold_chapter,
)
from .page import page
from .paper import paper_chapter
from .rank_picture import draw_ranks
from .run_facts import manifest_chapter, run_chapter, title
from .source import Benchmarked
from .threshold_curves import draw_curves
from .violins import draw_violins
from .words import place_name

FIGURES = "figures"
CASES = "cases.json"


def write_report(
    found: Benchmarked,
    folder: Path,
    data: DataSet | None = None,
    bundle: Bundle | None = None,
    old: Path | None = None,
    cases: bool = True,
    progress: Progress = silent,
) -> list[str]:
    """Write the report into an empty folder; the same benchmark gives the same bytes.

    Parameters
    ----------
    found:
        The benchmark.
    folder:
        Exists and is empty.
    data, bundle:
        What the benchmark was made of: needed to draw scans, and no number depends on them. Without them, pictures
        of scans are those of ``old``, and what is said of the model comes from there.
    old:
        Folder of an earlier report of the same benchmark, if there is one.
    cases:
        Whether scans are shown and named at all.
    progress:
        Called between figures.

    Returns
    -------
    list of str
        Sentences on what is left out, for the user.

    Raises
    ------
    InputError, ModelError
        If ``data`` or ``bundle`` are not those of the benchmark.
    OutputError
        If the folder cannot be written.
    """
    try:
        return _Writer(found, folder, old or folder, cases, progress).write(data, bundle)
    except OSError as error:
        raise OutputError(
            f"Cannot write to {folder} ({error.strerror}); make room, or choose another."
        ) from None


@dataclass
class _Writer:
    """One report: figures are drawn first, then the words put around them."""

    found: Benchmarked
    folder: Path
    old: Path
    cases: bool
    progress: Progress
    drawn: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def write(self, data: DataSet | None, bundle: Bundle | None) -> list[str]:
        found = self.found
        facts = facts_of(found, self.old, bundle)
        (self.folder / FIGURES).mkdir()
        heatmaps, violins, curves, ranks = self._figures()
        shown = self._cases(data, bundle) if self.cases else []
        report = Report(title(found), f"{facts.notice if facts else UNKNOWN} Not for clinical use.")
        report.add(*run_chapter(found, facts), *findings_chapter(found))
        report.add(self._beside(heatmaps))
        report.add(*paper_chapter(found, facts))
        for scale in found.scales:
            report.add(*scale_chapter(found, scale, [self._beside(violins[scale])]))
        report.add(*threshold_chapter(found, [self._beside(curves)]), *rule_chapter(found))
        report.add(*refinement_chapter(found), *group_chapter(found), *volume_chapter(found), *shown)
        report.add(*statistics_chapter(found, [self._beside(ranks)]))
        report.add(*classification_chapter(found), *faithfulness_chapter(found), *manifest_chapter(found))
        self.progress("Writing the report", 0, 1)
        write_text(page(report, self.drawn), self.folder / "report.html")
        write_text(markdown(report, self.drawn), self.folder / "report.md")
        if facts:
            write_text(facts.text(), self.folder / FILE)
        return self.notes

    def _keep(self, name: str, png: bytes | None) -> None:
        if png is not None:
            self.drawn[name] = png

    @staticmethod
    def _beside(pictures: list[Picture]) -> Pictures:
        return Pictures(pictures)

    def _figures(self) -> tuple[list[Picture], dict[str, list[Picture]], list[Picture], list[Picture]]:
        found, folder = self.found, self.folder / FIGURES
        heatmaps, violins, curves, ranks = [], {}, [], []
        for n, scale in enumerate(found.scales):
            self.progress("Drawing figures", n, len(found.scales))
            name = f"dice-{scale}"
            self._keep(name, draw_heatmap(found, scale, folder, name))
            heatmaps.append(
                Picture(
                    name,
                    f"Mean Dice of positive slices by method and stage, {scale} scaling; the best is framed.",
                    0.5,
                )
            )
            violins[scale] = []
            best = found.best("pixels", "dice", scale)
            if best:
                self.progress("Drawing figures", n, len(found.scales))
                stage, name = best[0][1], f"slices-{scale}"
                shapes = slice_dice(
                    found.folder / "slices.parquet", scale, stage, found.plan.methods, self.progress
                )
                self._keep(name, draw_violins(found, scale, stage, shapes, folder, name))
                violins[scale].append(
                    Picture(
                        name,
                        f"Dice of the positive slices of the test split at stage {stage}, {scale} scaling: "
                        "density, middle half (gray bar), median (line), mean (diamond).",
                        0.8,
                    )
                )
                self.progress("Drawing figures", n, len(found.scales))
                name = f"ranks-{scale}"
                self._keep(name, draw_ranks(found, scale, stage, folder, name))
                ranks.append(
                    Picture(
                        name,
                        f"Mean ranks of the methods at stage {stage}, {scale} scaling, the best on the "
                        "left; bars join those that are not told apart.",
                        0.75,
                    )
                )
            self.progress("Drawing figures", n, len(found.scales))
            name = f"thresholds-{scale}"
            self._keep(name, draw_curves(found, scale, folder, name))
            curves.append(
                Picture(
                    name, f"Dice against the threshold, {scale} scaling, with the thresholds chosen.", 0.85
                )
            )
        return heatmaps, violins, curves, ranks

    def _cases(self, data: DataSet | None, bundle: Bundle | None) -> list[Block]:
        choice = choose_cases(self.found)
        if choice is None or not choice.shown:
            return []
        said = json.dumps({"of": self.found.name, **asdict(choice)}, indent=1)
        if data is not None and bundle is not None:
            pictures = case_pictures(self.found, choice, data, bundle, self.progress)
            for sort in SORTS:
                own = [n for n, shown in enumerate(choice.shown) if shown.sort == sort]
                if own:
                    heads = [_head(choice.shown[n], place + 1) for place, n in enumerate(own)]
                    png = draw_sheet(
                        [pictures[n] for n in own], heads, self.folder / FIGURES, f"cases-{sort}"
                    )
                    self._keep(f"cases-{sort}", png)
        elif not self._carried(said):
            self.notes.append(
                "No scan is shown, for neither the data set nor an earlier report's pictures are here."
            )
        write_text(said + "\n", self.folder / CASES)
        return _case_chapter(choice)

    def _carried(self, said: str) -> bool:
        """Take over the pictures of an earlier report of the same choice; tell whether there are any."""
        try:
            if json.loads((self.old / CASES).read_text(encoding="utf-8")) != json.loads(said):
                return False
            for sort in SORTS:
                for kind in ("pdf", "png"):
                    source = self.old / FIGURES / f"cases-{sort}.{kind}"
                    if source.is_file():
                        write_bytes(source.read_bytes(), self.folder / FIGURES / source.name)
                        if kind == "png":
                            self._keep(f"cases-{sort}", source.read_bytes())
        except (OSError, ValueError):
            return False
        return any(name.startswith("cases-") for name in self.drawn)


def _head(shown: Shown, place: int) -> str:
    if shown.dice is None:
        return f"{place}: nothing there, p = {shown.probability:.2f}"
    return f"{place}: Dice {shown.dice:.2f}, p = {shown.probability:.2f}"


def _case_chapter(choice: Choice) -> list[Block]:
    """Sheets, and a table that says which scans they show."""
    blocks: list[Block] = [
        Heading("Best and worst scans"),
        Paragraph(
            f"By the Dice of the whole scan, of {place_name(choice.place)} with {choice.scale} scaling; "
            "each scan at one slice. The same map is shown in every scaling, with the mask at the "
            "threshold chosen for it. p is the classifier's probability of the slab."
        ),
    ]
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
    return [*blocks, Grid("The scans above", columns, lines, 2, note)]


_WORDS = {"best": "best", "worst": "worst", "alarm": "false alarm"}
