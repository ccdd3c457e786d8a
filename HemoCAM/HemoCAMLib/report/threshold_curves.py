"""Threshold curves: Dice against the threshold on both splits, the chosen threshold marked; a panel a method."""

from __future__ import annotations

import math
from pathlib import Path

from .drawing import COLOURS, DIM, GRID, canvas, plain_axes, save
from .source import Benchmarked, Row
from .words import label, method_name

_ENDINGS = {"slices": "", "pixels": "_pixels", "all pixels": "_all_pixels"}  # columns of the table of curves


def draw_curves(found: Benchmarked, scale: str, folder: Path, name: str) -> bytes | None:
    """Write the figure of one scale; return its PNG, None without any curve."""
    plan = found.plan
    curves = _curves(found, scale)
    if not curves:
        return None
    columns = min(3, len(plan.methods))
    rows = math.ceil(len(plan.methods) / columns)
    colours = dict(zip(sorted(plan.stages), COLOURS * len(plan.stages), strict=False))
    marks = {(r["method"], r["stage"]): r for r in found.rows("thresholds", scale=scale)}
    top = max((y for points in curves.values() for _, y in points if y is not None), default=1.0)
    with canvas(max(2.9 * columns, 4.4), 2.2 * rows + 0.9) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for n, axes in enumerate(grid.flat):
            if n >= len(plan.methods):
                axes.set_axis_off()
                continue
            method = plan.methods[n]
            for stage, colour in colours.items():
                for split, style in (("test", "-"), (_tuning(found), "--")):
                    points = [
                        (x, math.nan if y is None else y) for x, y in curves.get((split, method, stage), ())
                    ]
                    axes.plot(
                        *zip(*points, strict=True),
                        style,
                        color=colour,
                        linewidth=1.4 if style == "-" else 0.9,
                    )
                _mark(axes, marks.get((method, stage)), colour)
            axes.set_title(method_name(method))
            axes.set(ylim=(0, min(1.0, 1.08 * top) or 1.0), xlim=(min(plan.thresholds), max(plan.thresholds)))
            axes.grid(color=GRID, linewidth=0.6)
            plain_axes(axes)
        for axes in grid[:, 0]:
            axes.set_ylabel(label(plan.metric))
        for column in range(columns):
            last = max(r for r in range(rows) if r * columns + column < len(plan.methods))
            grid[last, column].set_xlabel("threshold")
            grid[last, column].tick_params(labelbottom=True)
        _legend(figure, colours, _tuning(found))
        return save(figure, folder, name)


def _tuning(found: Benchmarked) -> str:
    return str(found.manifest["splits"].get("thresholds chosen on", "validation"))


def _curves(found: Benchmarked, scale: str) -> dict[tuple[str, str, int], list[tuple[float, float | None]]]:
    column = found.plan.metric + _ENDINGS.get(found.plan.over, "")
    curves: dict[tuple[str, str, int], list[tuple[float, float | None]]] = {}
    for row in found.rows("curves", scale=scale):
        key = (row["split"], row["method"], row["stage"])
        curves.setdefault(key, []).append((row["threshold"], row[column]))
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
        handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=8
    )
