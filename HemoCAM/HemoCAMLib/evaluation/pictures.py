"""Pictures of a measurement: ROC and reliability curves, and sheets of the cases that went wrong."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..phantoms.patient import KINDS
from .failures import Failure
from .patients import POSITIVE_MM2
from .reliability import reliability
from .roc import auc, curve
from .tables import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

    from .figures import Slices

# Of Okabe and Ito, "Color universal design", 2008: told apart with any colour vision.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
_INK, _DIM = "#e8e8e8", "#9a9a9a"
MASK, TRUTH = "#ff5a36", "#39d98a"


@dataclass(frozen=True)
class Tile:
    """A case on a sheet.

    Parameters
    ----------
    picture:
        Gray, uint8 or 0..1, shape (rows, columns).
    caption:
        One or two short lines.
    mask, truth:
        Outlined, bool, same shape; None for none.
    heat:
        Map 0..1, same shape, laid over the picture; None for none.
    """

    picture: np.ndarray
    caption: str
    mask: np.ndarray | None = None
    truth: np.ndarray | None = None
    heat: np.ndarray | None = None


def closer(failure: Failure) -> Failure:
    """Cut the air off: the middle 84% of the network's square."""
    rim = round(0.08 * len(failure.picture))
    middle = (slice(rim, -rim or None),) * 2
    cut = {name: getattr(failure, name)[middle] for name in ("picture", "heat", "mask", "truth")}
    return replace(failure, **cut)


def draw_curves(slices: Slices, target: str, path: Path) -> None:
    """Write a PNG with the ROC curves, overall and by kind, and the reliability curve with its histogram."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.4, 5.4), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=[4, 1])
    _roc(figure.add_subplot(grid[:, 0]), slices, target)
    upper = figure.add_subplot(grid[0, 1])
    _reliability(upper, figure.add_subplot(grid[1, 1], sharex=upper), slices, target)
    save(figure, path)


def _roc(axes: object, slices: Slices, target: str) -> None:
    groups = {f"{target}, all": (slices.bleeding, "black", 2.2)}
    for column, kind in enumerate(KINDS):
        own = slices.bleeding & (slices.area_mm2[:, column] >= POSITIVE_MM2)
        groups[f"slices with {kind}"] = (own, _COLOURS[column], 1.3)
    for label, (positive, colour, width) in groups.items():
        counted = positive | slices.clean
        truth, score = positive[counted], slices.score[counted]
        if truth.any() and not truth.all():
            axes.plot(
                *curve(score, truth), color=colour, linewidth=width, label=f"{label}: {auc(score, truth):.3f}"
            )
    if slices.clean.any() and slices.bleeding.any():
        point = (slices.gate[slices.clean].mean(), slices.gate[slices.bleeding].mean())
        axes.plot(*point, "o", color="black", markersize=7, label="shipped threshold")
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8, linestyle=":")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal", title=f"ROC of {target}, slices (area)")
    axes.set(
        xlabel="1 - specificity (clean slices)",
        ylabel=f"sensitivity (slices of {POSITIVE_MM2:g} mm² and more)",
    )
    axes.legend(loc="lower right", fontsize=8.5, frameon=False)
    axes.grid(color="#eeeeee")


def _reliability(axes: object, below: object, slices: Slices, target: str) -> None:
    counted = slices.bleeding | slices.clean
    said, true, count = reliability(slices.score[counted], slices.bleeding[counted])
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8, linestyle=":", label="perfect")
    filled = count > 0
    axes.plot(said[filled], true[filled], "o-", color=_COLOURS[0], linewidth=1.4, label=target)
    axes.set(ylim=(-0.02, 1.02), ylabel="share that bleeds", title="Do the probabilities mean what they say?")
    axes.legend(loc="upper left", fontsize=8.5, frameon=False)
    axes.grid(color="#eeeeee")
    axes.tick_params(labelbottom=False)
    middles = (np.arange(len(count)) + 0.5) / len(count)
    below.bar(middles, count, width=0.9 / len(count), color=_COLOURS[0])
    below.set(xlim=(0, 1), xlabel="probability", ylabel="slices", yscale="log", ylim=(0.8, None))
    below.grid(axis="y", color="#eeeeee")


def draw_sheet(
    sections: list[tuple[str, list[Tile]]],
    path: Path,
    columns: int = 6,
    inches: float = 1.65,
    shades: int | None = None,
) -> None:
    """Write a PNG of tiles on black, a heading and then rows of ``columns`` tiles a section; empty ones are left out.

    Outlines are of the mask (orange) and of the truth (green). ``shades`` cuts the palette, for files to be kept.

    Raises
    ------
    ValueError
        If there is no tile at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sections = [(heading, tiles) for heading, tiles in sections if tiles]
    if not sections:
        raise ValueError("a sheet needs a tile")
    head, caption = 0.32, 0.34  # inches
    rows = [-(-len(tiles) // columns) for _, tiles in sections]
    height = sum(head + n * (inches + caption) for n in rows) + head
    figure = Figure(figsize=(columns * inches, height), dpi=100, facecolor="black")
    FigureCanvasAgg(figure)
    top = height
    for (heading, tiles), count in zip(sections, rows, strict=True):
        figure.text(0.008, (top - 0.22) / height, heading, color=_INK, fontsize=9.5)
        top -= head
        for n, tile in enumerate(tiles):
            row, column = divmod(n, columns)
            bottom = top - (row + 1) * (inches + caption) + caption
            place = (column / columns, bottom / height, 1 / columns, inches / height)
            _tile(figure.add_axes(place), tile)
            figure.text(
                (column + 0.5) / columns, (bottom - 0.03) / height, tile.caption, color=_DIM, fontsize=7,
                ha="center", va="top",
            )  # fmt: skip
        top -= count * (inches + caption)
    every = [tile for _, tiles in sections for tile in tiles]
    left = 0.008
    for name, words, color in (
        ("truth", "outline of the bleeding", TRUTH),
        ("mask", "outline of the mask", MASK),
    ):
        if any(getattr(tile, name) is not None for tile in every):
            figure.text(left, 0.1 / height, words, color=color, fontsize=8)
            left += 1.6 / (columns * inches)
    save(figure, path, shades)


def _tile(axes: object, tile: Tile) -> None:
    from matplotlib import colormaps

    top = 255 if tile.picture.dtype == np.uint8 else 1
    axes.imshow(tile.picture, cmap="gray", vmin=0, vmax=top, interpolation="bilinear")
    if tile.heat is not None:
        colours = colormaps["inferno"](np.clip(tile.heat, 0, 1))
        colours[..., 3] = np.clip(tile.heat * 2.5, 0, 1) * 0.5  # zero is transparent
        axes.imshow(colours, interpolation="bilinear")
    for mask, colour in ((tile.truth, TRUTH), (tile.mask, MASK)):
        if mask is not None and mask.any() and not mask.all():
            axes.contour(mask.astype(float), [0.5], colors=[colour], linewidths=0.9)
    axes.set_axis_off()


def save(figure: object, path: Path, shades: int | None = None) -> None:
    """Write a figure as PNG, whole or not at all; ``shades`` cuts it to so many colours."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", facecolor=figure.get_facecolor())
    if shades:
        with Image.open(drawn) as picture:
            few = _with_fewer_colours(picture.convert("RGB"), shades)
        drawn = io.BytesIO()
        few.save(drawn, format="png", optimize=True)
    write_bytes(drawn.getvalue(), path)


def _with_fewer_colours(picture: Image, shades: int) -> Image:
    """Half of the palette is gray, so that tissue stays so; the other half comes from what is coloured."""
    from PIL import Image

    pixels = np.asarray(picture)
    palette = np.linspace(0, 255, shades // 2).round().astype(int).repeat(3).tolist()
    coloured = pixels[np.ptp(pixels, axis=-1) > 30]
    if len(coloured):
        palette += Image.fromarray(coloured[None]).quantize(shades - shades // 2).getpalette()
    chart = Image.new("P", (1, 1))
    chart.putpalette(palette)
    return picture.quantize(palette=chart, dither=Image.Dither.NONE)
