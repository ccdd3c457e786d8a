"""The ablation's tables: trainings without a group beside full ones, and what is more than noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..models.card import markdown_table
from .ablation import Outcome
from .ingredients import PARTS
from .tables import write_rows, write_text

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """Mean of a figure without a group, its distance from the full generator's, and how far chance reaches."""

    value: float
    difference: float
    noise: float

    def text(self) -> str:
        """``0.912 (-0.034*)``: the star says that the difference is beyond :attr:`noise`."""
        if math.isnan(self.value):
            return "-"
        star = "\\*" if abs(self.difference) > self.noise else ""
        return f"{self.value:.3f} ({self.difference:+.3f}{star})"


def noise(full: np.ndarray, repeats: int) -> float:
    """How far the mean of ``repeats`` further trainings may lie from that of ``full`` by chance, in 95 of 100 cases.

    Student's prediction interval, t(0.975, n - 1) s sqrt(1 / n + 1 / repeats), from the n trainings with the full
    generator; without a group the spread is taken to be the same.
    """
    from scipy.stats import t

    count = len(full)
    reach = t.ppf((1 + LEVEL) / 2, count - 1) * full.std(ddof=1)
    return float(reach * math.sqrt(1 / count + 1 / repeats))


def compare(outcomes: list[Outcome], figure: str) -> dict[str, Difference]:
    """Each group's difference in a figure; NaN where a training lacks a value."""
    full = np.array([o.figures[figure][0] for o in outcomes if not o.trial.without])
    found = {}
    for group in groups(outcomes):
        own = np.array([o.figures[figure][0] for o in outcomes if o.trial.group == group])
        found[group] = Difference(own.mean(), own.mean() - full.mean(), noise(full, len(own)))
    return found


def groups(outcomes: list[Outcome]) -> list[str]:
    """Groups that were left out, in order."""
    return list(dict.fromkeys(o.trial.group for o in outcomes if o.trial.without))


def lines(outcomes: list[Outcome]) -> list[str]:
    """Markdown: a table for each set of test cases, how to read them, and what the groups are."""
    names = [n for n in outcomes[0].figures if all(n in o.figures for o in outcomes)]
    full = [o for o in outcomes if not o.trial.without]
    text = []
    for cases in dict.fromkeys(name.partition(": ")[0] for name in names):
        own = [name for name in names if name.partition(": ")[0] == cases]
        values = np.array([[o.figures[n][0] for n in own] for o in full])
        repeats = len([o for o in outcomes if o.trial.without]) // max(1, len(groups(outcomes)))
        rows = [
            [f"full, mean of {len(full)}", *(f"{v:.3f}" for v in values.mean(0))],
            ["full, standard deviation", *(f"{v:.3f}" for v in values.std(0, ddof=1))],
            ["noise of a difference", *(f"± {noise(v, max(1, repeats)):.3f}" for v in values.T)],
        ]
        found = [compare(outcomes, n) for n in own]
        rows += [[f"without {group}", *(f[group].text() for f in found)] for group in groups(outcomes)]
        columns = [name.partition(": ")[2] for name in own]
        text += [f"## On {cases}", "", *markdown_table(("generator", *columns), rows), ""]
    return [
        *text,
        "In brackets: the difference from the full generator's mean; below 0, the group helps. \\*: beyond what "
        f"trainings that differ by their seeds alone differ by in {LEVEL:.0%} of cases; of twenty comparisons one "
        "has a star by chance.",
        "",
        *[f"- {part}: {PARTS[part]}" for group in groups(outcomes) for part in group.split("+")],
        "",
    ]


def write_table(outcomes: list[Outcome], command: str, folder: Path) -> list[str]:
    """Write ``ablation.md`` and ``ablation.csv`` (a row a trial and figure); return the tables' lines."""
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
