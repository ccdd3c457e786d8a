"""The ablation's table: each trial beside the full generator, and what differences are more than noise."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..models.card import markdown_table
from ..phantoms.spec import GROUPS
from .ablation import Outcome
from .tables import write_rows, write_text


def columns(outcomes: list[Outcome]) -> list[str]:
    """Figures that every trial has, in the order of the first."""
    return [name for name in outcomes[0].figures if all(name in o.figures for o in outcomes)]


def lines(outcomes: list[Outcome]) -> list[str]:
    """The table in Markdown, and how to read it."""
    names = columns(outcomes)
    full = [o for o in outcomes if not o.trial.without]
    values = np.array([[o.figures[n][0] for n in names] for o in full])
    mean, low, high = values.mean(0), values.min(0), values.max(0)
    rows = [
        [f"full, mean of {len(full)} seeds", *(f"{v:.3f}" for v in mean)],
        ["full, lowest to highest", *(f"{a:.3f} to {b:.3f}" for a, b in zip(low, high, strict=True))],
        ["full, standard deviation of a training", *(f"{v:.3f}" for v in values.std(0, ddof=1))],
    ]
    for outcome in outcomes:
        if outcome.trial.without:
            cells = [
                _against(outcome.figures[n][0], *span)
                for n, span in zip(names, zip(mean, low, high, strict=True), strict=True)
            ]
            rows.append([f"without {', '.join(outcome.trial.without)}", *cells])
    return [
        *markdown_table(("generator", *names), rows),
        "",
        "In brackets: the difference from the full generator's mean; below 0, the group helps. \\*: outside of what "
        f"the {len(full)} trainings of the full generator span. One training each: smaller differences are noise.",
        "",
        *[f"- {group}: {GROUPS[group]}" for o in outcomes for group in o.trial.without],
        "",
    ]


def _against(value: float, mean: float, low: float, high: float) -> str:
    if math.isnan(value):
        return "-"
    mark = "" if low <= value <= high else "\\*"
    return f"{value:.3f} ({value - mean:+.3f}{mark})"


def write_table(outcomes: list[Outcome], command: str, folder: Path) -> list[str]:
    """Write ``ablation.md`` and ``ablation.csv`` (a row a trial and figure); return the table's lines."""
    found = lines(outcomes)
    write_text(
        "\n".join(["# Ablation of the generator", "", f"`{command}`", "", *found]), folder / "ablation.md"
    )
    rows: list[list] = [["trial", "without", "seed", "figure", "value", "low", "high"]]
    for outcome in outcomes:
        trial = outcome.trial
        for name, figure in outcome.figures.items():
            numbers = ["" if math.isnan(v) else f"{v:.6f}" for v in figure]
            rows.append([trial.name, " ".join(trial.without), trial.seed, name, *numbers])
    write_rows(rows, folder / "ablation.csv")
    return found
