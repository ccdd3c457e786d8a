"""Sheets of scans: a column a scan, the CT above, below it the map of each scale with the outlines of mask and truth.

No name stands in a picture; captions and tables of the report say which scan it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..evaluation.pictures import MASK, TRUTH
from .case_pictures import CasePicture
from .drawing import canvas, save

_INK, _DIM = "#e8e8e8", "#9a9a9a"


def draw_sheet(pictures: Sequence[CasePicture], heads: Sequence[str], folder: Path, name: str) -> bytes:
    """Write a sheet of one scan or more with a short line above each; return its PNG."""
    scales = list(pictures[0].heat)
    rows, columns, inches = 1 + len(scales), max(len(pictures), 2), 2.6
    with canvas(columns * inches, rows * inches + 0.75) as figure:
        figure.set_facecolor("black")
        figure.set_layout_engine("none")
        height = figure.get_figheight()
        for column, picture in enumerate(pictures):
            for row in range(rows):
                bottom = (height - 0.35 - (row + 1) * inches) / height
                axes = figure.add_axes((column / columns, bottom, 1 / columns, inches / height))
                scale = None if row == 0 else scales[row - 1]
                _tile(axes, picture, scale)
                if column == 0:
                    axes.text(
                        0.02,
                        0.02,
                        "CT" if scale is None else scale,
                        transform=axes.transAxes,
                        color=_DIM,
                        fontsize=9,
                    )
            figure.text(
                (column + 0.5) / columns, 1 - 0.1 / height, heads[column], color=_INK, ha="center", va="top"
            )
        foot = 0.14 / height
        figure.text(0.01, foot, "outline of the reference", color=TRUTH, fontsize=8.5)
        figure.text(0.01 + 1.65 / figure.get_figwidth(), foot, "of the mask", color=MASK, fontsize=8.5)
        figure.text(0.99, foot, "window 40/80 HU", color=_DIM, fontsize=8, ha="right")
        return save(figure, folder, name)


def _tile(axes: object, picture: CasePicture, scale: str | None) -> None:
    from matplotlib import colormaps

    axes.imshow(picture.gray, cmap="gray", vmin=0, vmax=1, aspect=picture.aspect, interpolation="bilinear")
    if scale is not None:
        heat = np.clip(picture.heat[scale], 0, 1)
        colours = colormaps["inferno"](heat)
        colours[..., 3] = np.clip(heat * 2.5, 0, 1) * 0.5  # zero is transparent
        axes.imshow(colours, aspect=picture.aspect, interpolation="bilinear")
        for mask, colour in ((picture.truth, TRUTH), (picture.mask[scale], MASK)):
            if mask.any() and not mask.all():
                axes.contour(mask.astype(float), [0.5], colors=[colour], linewidths=1.0)
    axes.set_axis_off()
