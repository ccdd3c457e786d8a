"""Violins of slice Dice by method at the best stage, with quartiles and mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .distributions import BINS, Distribution
from .drawing import COLOURS, DIM, GRID, canvas, plain_axes, save
from .source import Benchmarked
from .words import method_name


def draw_violins(
    found: Benchmarked, scale: str, stage: int, shapes: Mapping[str, Distribution], folder: Path, name: str
) -> bytes | None:
    """Write the figure of one scale and stage; return its PNG, None where no slice counts."""
    methods = [method for method, shape in shapes.items() if shape.cases]
    if not methods:
        return None
    means = found.figures("pixels", "dice", scale)
    with canvas(max(1.0 * len(methods) + 1.2, 4.6), 3.6) as figure:
        axes = figure.add_subplot()
        for n, method in enumerate(methods):
            _violin(axes, n, shapes[method])
            row = means.get((method, stage))
            if row is not None and row["value"] is not None:
                axes.plot(
                    [n], [row["value"]], "D", color="white", markeredgecolor="black", markersize=5, zorder=4
                )
        axes.set_xticks(range(len(methods)), [method_name(m) for m in methods], rotation=25, ha="right")
        axes.set(xlim=(-0.6, len(methods) - 0.4), ylim=(0, _top(shapes)), ylabel="Dice of a positive slice")
        axes.set_title(f"Stage {stage}, {scale} scaling, {shapes[methods[0]].cases} positive slices")
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        plain_axes(axes)
        return save(figure, folder, name)


def _top(shapes: Mapping[str, Distribution]) -> float:
    """End of the axis: a little above the largest value there is."""
    return min(1.0, 1.1 * max(shape.quantile(1) for shape in shapes.values() if shape.cases) + 0.02)


def _violin(axes: object, place: int, shape: Distribution) -> None:
    """A mirrored density, the middle half as a bar, the median as a line."""
    density = shape.density()
    half = 0.42 * density / density.max()
    heights = np.arange(BINS + 1) / BINS
    seen = half > 0.004
    axes.fill_betweenx(
        heights[seen], place - half[seen], place + half[seen], color=COLOURS[4], alpha=0.75, linewidth=0
    )
    low, middle, high = (shape.quantile(q) for q in (0.25, 0.5, 0.75))
    axes.plot([place, place], [low, high], color=DIM, linewidth=5, solid_capstyle="butt", zorder=2)
    axes.plot([place - 0.13, place + 0.13], [middle, middle], color="black", linewidth=2, zorder=3)
