"""Demsar's critical-difference picture: methods on a line of mean ranks, bars over those not told apart.

After J. Demsar, JMLR 7 (2006) 1, figure 1. All places are in inches, so that names never run into each other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .drawing import COLOURS, DIM, canvas, save
from .source import Benchmarked, Row
from .words import named_pair

_WIDTH, _MARGIN = 8.0, 2.0  # the margins hold the names
_TOP, _LINE, _BAR = 1.0, 0.27, 0.13  # above the line of ranks; a name; a bar


def draw_ranks(found: Benchmarked, scale: str, stage: int, folder: Path, name: str) -> bytes | None:
    """Write the figure of the methods at one stage; return its PNG, None where they were not ranked."""
    rows = list(found.rows("ranks", scale=scale, metric="dice", family=f"methods at stage {stage}"))
    rows = [row for row in rows if row["mean_rank"] is not None]
    if len(rows) < 2 or rows[0]["p"] is None:
        return None
    rows.sort(key=lambda row: row["mean_rank"])
    runs, count = _runs(rows), len(rows)
    left = (count + 1) // 2
    height = _TOP + 0.25 + _BAR * len(runs) + _LINE * left + 0.1

    def across(rank: float) -> float:
        return _MARGIN + (rank - 1) / (count - 1) * (_WIDTH - 2 * _MARGIN)

    with canvas(_WIDTH, height) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, _WIDTH), ylim=(height - _TOP, -_TOP))  # 0 is the line of ranks, names lie below
        axes.set_axis_off()
        first = 0.25 + _BAR * len(runs)
        for n, row in enumerate(rows):
            on_left = n < left
            y = first + _LINE * ((n if on_left else count - 1 - n) + 0.5)
            x, end = across(row["mean_rank"]), _MARGIN - 0.25 if on_left else _WIDTH - _MARGIN + 0.25
            axes.plot([x, x, end], [0, y, y], color="black", linewidth=0.9, solid_joinstyle="miter")
            words, side = f"{named_pair(row['name'])}  {row['mean_rank']:.2f}", "right" if on_left else "left"
            axes.text(end + (-0.07 if on_left else 0.07), y, words, ha=side, va="center")
        for n, (low, high) in enumerate(runs):
            y = 0.12 + _BAR * n
            axes.plot(
                [across(low) - 0.05, across(high) + 0.05],
                [y, y],
                color=COLOURS[1],
                linewidth=3,
                solid_capstyle="butt",
            )
        _scale(axes, count, across)
        _critical(axes, rows[0]["critical_difference"], count, across)
        title = f"Mean ranks by Dice at stage {stage}, {scale} scaling ({rows[0]['patients']} patients)"
        axes.text(_WIDTH / 2, -_TOP + 0.12, title, ha="center", va="top", fontsize=10)
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


def _scale(axes: object, count: int, across: Callable[[float], float]) -> None:
    axes.plot([across(1), across(count)], [0, 0], color="black", linewidth=1.1)
    for rank in range(1, count + 1):
        axes.plot([across(rank)] * 2, [0, -0.07], color="black", linewidth=0.9)
        axes.text(across(rank), -0.1, str(rank), ha="center", va="bottom", fontsize=8)
    axes.text(across(1) - 0.15, 0, "best", ha="right", va="center", color=DIM, fontsize=8)


def _critical(axes: object, difference: float | None, count: int, across: Callable[[float], float]) -> None:
    if difference is None:
        return
    words = f"critical difference {difference:.2f}"
    if difference > count - 1:  # wider than the line: nothing can be told apart
        axes.text(across(1), -0.4, words, va="center", color=DIM, fontsize=8)
        return
    start, end = across(1), across(1 + difference)
    axes.plot([start, end], [-0.4, -0.4], color=DIM, linewidth=1.3)
    for x in (start, end):
        axes.plot([x, x], [-0.44, -0.36], color=DIM, linewidth=1.3)
    axes.text(end + 0.08, -0.4, words, va="center", color=DIM, fontsize=8)
