"""The report of a finished benchmark: ``report.html``, ``report.md``, ``figures/`` as PDF and PNG.

FOLDER/report.html    one file, pictures in it
FOLDER/report.md      the same; it links ``figures/`` and the benchmark's ``tables/``
FOLDER/figures/       PDF and PNG
FOLDER/model.json     what the report says of the model, where it is known
FOLDER/cases.json     which scans are shown, unless none are
"""

from __future__ import annotations

from pathlib import Path

from ..benchmark.plan import PERCENTILE
from ..datasets.finding import DataSet
from ..errors import OutputError
from ..evaluation.tables import write_text
from ..models.bundle import Bundle
from ..progress import Progress, silent
from .blocks import Report
from .case_chapter import case_chapter
from .figures import Figures
from .findings import findings_chapter
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
from .run_facts import manifest_chapter, run_chapter, title
from .source import Benchmarked

FIGURES = "figures"


def write_report(
    found: Benchmarked,
    folder: Path,
    data: DataSet | None = None,
    bundle: Bundle | None = None,
    old: Path | None = None,
    cases: bool = True,
    progress: Progress = silent,
) -> None:
    """Write the report into an empty folder; the same benchmark gives the same bytes.

    Parameters
    ----------
    found:
        The benchmark.
    folder:
        Exists and is empty.
    data, bundle:
        What the benchmark was made of: needed to draw scans, and no number depends on them. Without them, pictures
        of scans are those of ``old``, and what is said of the model comes from there, or from the shipped bundles.
    old:
        Folder of an earlier report of the same benchmark, if there is one.
    cases:
        Whether single scans are shown and named at all.
    progress:
        Called between figures.

    Raises
    ------
    InputError, ModelError
        If ``data`` or ``bundle`` are not those of the benchmark.
    OutputError
        If the folder cannot be written.
    """
    try:
        (folder / FIGURES).mkdir()
        figures = Figures(found, folder / FIGURES, progress)
        facts = facts_of(found, old, bundle)
        notice = facts.notice if facts else UNKNOWN
        report = Report(title(found), f"{notice} Not for clinical use.")
        report.add(*run_chapter(found, facts), *findings_chapter(found), figures.heatmaps())
        report.add(*paper_chapter(found, facts))
        for scale in found.scales:
            report.add(*scale_chapter(found, scale, figures.distributions(scale)))
        percentiles = figures.curves(PERCENTILE) if PERCENTILE in found.plan.rules else None
        report.add(*threshold_chapter(found, figures.curves(), percentiles), *rule_chapter(found))
        report.add(*refinement_chapter(found), *group_chapter(found), *volume_chapter(found))
        if cases:
            report.add(*case_chapter(figures, folder, old, data, bundle))
        report.add(*statistics_chapter(found, figures.ranks()))
        report.add(*classification_chapter(found), *faithfulness_chapter(found), *manifest_chapter(found))
        write_text(page(report, figures.drawn), folder / "report.html")
        write_text(markdown(report, figures.drawn), folder / "report.md")
        if facts:
            write_text(facts.text(), folder / FILE)
    except OSError as error:
        raise OutputError(
            f"Cannot write to {folder} ({error.strerror}); make room, or choose another."
        ) from None
