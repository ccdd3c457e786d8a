"""Heat map of Dice: a row a method, a column a stage, the best map framed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .drawing import canvas, save
from .source import Benchmarked
from .words import method_name


def draw_heatmap(found: Benchmarked, scale: str, folder: Path, name: str) -> bytes | None:
    """Write the figure of one scale; return its PNG, None where there is no Dice at all."""
    rows = found.figures("pixels", "dice", scale)
    methods, stages = list(found.plan.methods), sorted(found.plan.stages)
    values = np.full((len(methods), len(stages)), np.nan)
    for (method, stage), row in rows.items():
        if row["value"] is not None:
            values[methods.index(method), stages.index(stage)] = row["value"]
    if np.isnan(values).all():
        return None
    width, height = 2.6 + 1.0 * len(stages), 1.0 + 0.36 * len(methods)
    with canvas(max(width, 4.2), height) as figure:
        axes = figure.add_subplot()
        top = max(float(np.nanmax(values)), 0.01)
        image = axes.imshow(values, cmap="cividis", vmin=0, vmax=top, aspect="auto")
        for (y, x), value in np.ndenumerate(values):
            if not np.isnan(value):
                row = rows[methods[y], stages[x]]
                ink = "black" if value > 0.55 * top else "white"
                axes.text(x, y, f"{value:.3f}", ha="center", va="center", color=ink, fontsize=9)
                if value == np.nanmax(values) and row is rows[found.best("pixels", "dice", scale)[0]]:
                    _frame(axes, x, y)
        axes.set_xticks(range(len(stages)), [f"stage {s}" for s in stages])
        axes.set_yticks(range(len(methods)), [method_name(m) for m in methods])
        axes.set_title(f"Dice of positive slices, {scale} scaling")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
        return save(figure, folder, name)


def _frame(axes: object, x: int, y: int) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, fill=False, edgecolor="#d55e00", linewidth=2))
