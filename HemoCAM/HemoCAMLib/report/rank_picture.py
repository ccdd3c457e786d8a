"""Demsar's critical-difference picture: methods on a line of mean ranks, bars over those not told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .drawing import COLOURS, DIM, canvas, save
from .source import Benchmarked, Row
from .words import named_pair


def draw_ranks(found: Benchmarked, scale: str, stage: int, folder: Path, name: str) -> bytes | None:
    """Write the figure of the methods at one stage; return its PNG, None where they were not ranked."""
    rows = list(found.rows("ranks", scale=scale, metric="dice", family=f"methods at stage {stage}"))
    rows = [row for row in rows if row["mean_rank"] is not None]
    if len(rows) < 2 or rows[0]["p"] is None:
        return None
    rows.sort(key=lambda row: row["mean_rank"])
    runs = _runs(rows)
    left = (len(rows) + 1) // 2
    depth = 0.35 + 0.17 * len(runs)  # of the bars, in the unit of a name's line
    with canvas(8.0, 1.3 + 0.28 * left + 0.16 * len(runs)) as figure:
        axes = figure.add_subplot()
        count = len(rows)
        for n, row in enumerate(rows):
            on_left = n < left
            y = -(depth + 0.45 * ((n if on_left else count - 1 - n) + 1))
            x, end = row["mean_rank"], 0.7 if on_left else count + 0.3
            axes.plot([x, x, end], [0, y, y], color="black", linewidth=0.9, solid_joinstyle="miter")
            words = f"{named_pair(row['name'])}  {x:.2f}"
            axes.text(
                end,
                y,
                f"{words} " if on_left else f" {words}",
                ha="right" if on_left else "left",
                va="center",
            )
        for n, (first, last) in enumerate(runs):
            y = -(0.2 + 0.17 * n)
            axes.plot(
                [first - 0.04, last + 0.04], [y, y], color=COLOURS[1], linewidth=3.2, solid_capstyle="butt"
            )
        _scale(axes, count)
        _critical(axes, rows[0]["critical_difference"])
        axes.set(xlim=(-1.5, count + 2.5), ylim=(-(depth + 0.45 * (left + 0.6)), 1.35))
        axes.set_axis_off()
        axes.set_title(
            f"Mean ranks by Dice at stage {stage}, {scale} scaling ({rows[0]['patients']} patients)"
        )
        return save(figure, folder, name)


def _runs(rows: list[Row]) -> list[tuple[float, float]]:
    """First and last rank of each group of two and more that are not told apart."""
    letters = sorted({letter for row in rows for letter in row["groups"].split()}, key=lambda s: (len(s), s))
    runs = []
    for letter in letters:
        ranks = [row["mean_rank"] for row in rows if letter in row["groups"].split()]
        if len(ranks) > 1:
            runs.append((min(ranks), max(ranks)))
    return runs


def _scale(axes: object, count: int) -> None:
    axes.plot([1, count], [0, 0], color="black", linewidth=1.1)
    for rank in np.arange(1, count + 1):
        axes.plot([rank, rank], [0, 0.12], color="black", linewidth=0.9)
        axes.text(rank, 0.2, str(rank), ha="center", va="bottom", fontsize=8)
    axes.text(0.75, 0.05, "best", ha="right", va="center", color=DIM, fontsize=8)


def _critical(axes: object, difference: float | None) -> None:
    if difference is None:
        return
    axes.plot([1, 1 + difference], [0.85, 0.85], color=DIM, linewidth=1.3)
    for end in (1, 1 + difference):
        axes.plot([end, end], [0.77, 0.93], color=DIM, linewidth=1.3)
    axes.text(
        1 + difference + 0.1,
        0.85,
        f"critical difference {difference:.2f}",
        va="center",
        color=DIM,
        fontsize=8,
    )
