"""Threshold curves: Dice against the threshold on both splits, the chosen threshold marked; a panel a method."""

from __future__ import annotations

import math
from pathlib import Path

from ..benchmark.plan import PERCENTILE
from .drawing import COLOURS, DIM, GRID, canvas, plain_axes, save
from .source import Benchmarked, Row
from .words import label, method_name

_ENDINGS = {"slices": "", "pixels": "_pixels", "all pixels": "_all_pixels"}  # columns of the table of curves


def draw_curves(found: Benchmarked, scale: str, rule: str, folder: Path, name: str) -> bytes | None:
    """Write the figure of one scale and rule, ``chosen`` or ``percentile``; return its PNG, None without curves."""
    plan, curves = found.plan, _curves(found, scale, rule)
    if not curves:
        return None
    columns = min(3, len(plan.methods))
    rows = math.ceil(len(plan.methods) / columns)
    colours = dict(zip(sorted(plan.stages), COLOURS * len(plan.stages), strict=False))
    marks = {(r["method"], r["stage"]): r for r in found.rows("thresholds", scale=scale, rule=rule)}
    across = [x for points in curves.values() for x, _ in points]
    top = max((y for points in curves.values() for _, y in points if not math.isnan(y)), default=0.0)
    with canvas(max(2.9 * columns, 4.4), 2.2 * rows + 0.9) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for n, axes in enumerate(grid.flat):
            if n >= len(plan.methods):
                axes.set_axis_off()
                continue
            method = plan.methods[n]
            for stage, colour in colours.items():
                for split, style, width in (("test", "-", 1.4), (found.tuning, "--", 0.9)):
                    points = curves.get((split, method, stage), [])
                    axes.plot(
                        [x for x, _ in points], [y for _, y in points], style, color=colour, linewidth=width
                    )
                _mark(axes, marks.get((method, stage)), colour)
            axes.set_title(method_name(method))
            axes.grid(color=GRID, linewidth=0.6)
            plain_axes(axes)
        axes.set(ylim=(0, min(1.0, 1.08 * top) or 1.0))
        if min(across) < max(across):
            axes.set(xlim=(min(across), max(across)))
        for axes in grid[:, 0]:
            axes.set_ylabel(label(plan.metric))
        for column in range(columns):
            last = max(r for r in range(rows) if r * columns + column < len(plan.methods))
            grid[last, column].set_xlabel("percentile" if rule == PERCENTILE else "threshold")
            grid[last, column].tick_params(labelbottom=True)
        _legend(figure, colours, found.tuning)
        return save(figure, folder, name)


def _curves(
    found: Benchmarked, scale: str, rule: str
) -> dict[tuple[str, str, int], list[tuple[float, float]]]:
    """Points of each curve by split, method and stage; NaN where the metric is not defined."""
    column = found.plan.metric + _ENDINGS[found.plan.over]
    curves: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for row in found.rows("curves", scale=scale, rule=rule):
        value = math.nan if row[column] is None else row[column]
        curves.setdefault((row["split"], row["method"], row["stage"]), []).append((row["threshold"], value))
    return curves


def _mark(axes: object, row: Row | None, colour: str) -> None:
    """The chosen threshold on the test split's curve."""
    if row is None or row["test"] is None:
        return
    axes.axvline(row["threshold"], color=colour, linewidth=0.7, linestyle=":", alpha=0.8)
    axes.plot(
        [row["threshold"]], [row["test"]], "o", color=colour, markersize=5, markeredgecolor="white", clip_on=False,
        zorder=3,
    )  # fmt: skip


def _legend(figure: object, colours: dict[int, str], tuning: str) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, label=f"stage {stage}") for stage, colour in colours.items()]
    handles += [
        Line2D([], [], color=DIM, label="test split"),
        Line2D([], [], color=DIM, linestyle="--", linewidth=0.9, label=f"{tuning} split"),
        Line2D([], [], color=DIM, marker="o", linestyle=":", linewidth=0.7, label="chosen threshold"),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=int(figure.get_figwidth() / 1.45),
        frameon=False,
        fontsize=8,
    )
