"""``review.png``: what a radiologist would want to see at a glance.

The slabs with the highest probability, CT above CT with heat map and outlines, on black as in a reading room,
and the probability along the head. Drawn with matplotlib from the arrays that enter the scene.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..pipeline import Analysis
from ..volumes.axial import slice_gap, to_axial
from ..volumes.volume import Volume
from .tables import NOT_CLINICAL

WINDOW = (40.0, 80.0)  # centre, width: the brain window of the scene
_INK, _DIM, _MASK, _REFERENCE = "#e8e8e8", "#9a9a9a", "#ff5a36", "#39d98a"


def draw_review(analysis: Analysis, path: Path, reference: Volume | None = None, slabs: int = 4) -> None:
    """Write the picture.

    Parameters
    ----------
    analysis:
        What the pipeline found.
    path:
        Where the PNG goes.
    reference:
        Labels on the CT's grid (0 is background), outlined if given.
    slabs:
        How many slabs to show, at most.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axial, order = to_axial(analysis.ct)
    heat, mask = order.view(analysis.heatmap.array), order.view(analysis.mask.array)
    truth = None if reference is None else order.view(reference.array)
    probability = analysis.probabilities[:, analysis.target_index]
    chosen = np.argsort(-probability, kind="stable")[:slabs]

    places = max(len(chosen), 3)  # the captions need their width
    figure = Figure(figsize=(3.3 * places + 0.2, 9.4), facecolor="black", dpi=110)
    FigureCanvasAgg(figure)
    layout = figure.add_gridspec(
        3, places, height_ratios=[1, 1, 0.62], left=0.045, right=0.985, top=0.9, bottom=0.075,
        wspace=0.03, hspace=0.05,
    )  # fmt: skip
    rows, columns = _crop(analysis)
    for column, slab in enumerate(chosen):
        start, stop = analysis.slabs.edges[slab], analysis.slabs.edges[slab + 1]
        middle = (start + stop - 1) // 2
        # the slab's mean is what the classifier saw, and what a radiologist reads: about 5 mm
        hu = axial.array[start:stop, rows, columns].mean(axis=0, dtype=np.float32)
        upper, lower = figure.add_subplot(layout[0, column]), figure.add_subplot(layout[1, column])
        for axes in (upper, lower):
            _show(axes, hu, axial)
        _overlay(
            lower,
            heat[middle, rows, columns],
            mask[middle, rows, columns],
            None if truth is None else truth[middle, rows, columns] > 0,
        )
        passed = "" if analysis.gate[slab] else "  (below the gate)"
        upper.set_title(
            f"{_slices(analysis, start, stop)}   {analysis.positions_mm[middle]:.1f} mm\n"
            f"p = {probability[slab]:.2f}{passed}",
            color=_INK, fontsize=9.5, pad=5,
        )  # fmt: skip
        if column == 0:
            for axes in (upper, lower):
                axes.text(0.02, 0.5, "R", color=_DIM, transform=axes.transAxes, fontsize=9, va="center")
    _curve(figure.add_subplot(layout[2, :]), analysis, truth, chosen)
    _captions(figure, analysis, reference is not None)
    figure.savefig(path, facecolor="black")


def _crop(analysis: Analysis) -> tuple[slice, slice]:
    """The square that the network saw, in rows and columns of the CT."""
    grid, found = analysis.grid, []
    for axis in (0, 1):
        low = (grid.centre_mm[axis] - grid.fov_mm / 2) / grid.ct_spacing_mm[axis]
        high = (grid.centre_mm[axis] + grid.fov_mm / 2) / grid.ct_spacing_mm[axis]
        found.append(slice(max(0, int(low)), min(grid.ct_shape[axis], int(np.ceil(high)) + 1)))
    return found[0], found[1]


def _slices(analysis: Analysis, start: int, stop: int) -> str:
    first, last = sorted(int(analysis.slice_indices()[s]) for s in (start, stop - 1))
    return f"slice {first}" if first == last else f"slices {first} to {last}"


def _show(axes: object, hu: np.ndarray, axial: Volume) -> None:
    low = WINDOW[0] - WINDOW[1] / 2
    aspect = axial.spacing[1] / axial.spacing[0]
    axes.imshow(hu, cmap="gray", vmin=low, vmax=low + WINDOW[1], aspect=aspect, interpolation="bilinear")
    axes.set_axis_off()


def _overlay(axes: object, heat: np.ndarray, mask: np.ndarray, truth: np.ndarray | None) -> None:
    from matplotlib import colormaps

    colours = colormaps["inferno"](np.clip(heat, 0, 1))
    colours[..., 3] = np.clip(heat * 2.5, 0, 1) * 0.55  # zero is transparent
    axes.imshow(colours, aspect=axes.get_aspect(), interpolation="bilinear")
    if truth is not None and truth.any():
        axes.contour(truth.astype(float), [0.5], colors=[_REFERENCE], linewidths=1.1)
    if mask.any():
        axes.contour(mask.astype(float), [0.5], colors=[_MASK], linewidths=1.1)


def _curve(axes: object, analysis: Analysis, truth: np.ndarray | None, chosen: np.ndarray) -> None:
    """Probability of the target along the head; the reference's slices are shaded."""
    options, probability = analysis.options, analysis.probabilities[:, analysis.target_index]
    positions, of_slice = analysis.positions_mm, analysis.slabs.of_slice
    half = slice_gap(to_axial(analysis.ct)[0]) / 2
    if truth is not None:
        bleeding = (truth > 0).any(axis=(1, 2)).astype(float)
        axes.fill_between(
            positions, bleeding, step="mid", color=_REFERENCE, alpha=0.18, linewidth=0, label="reference"
        )
    axes.step(
        positions, probability[of_slice], where="mid", color="#ffb454", linewidth=1.6,
        label=f"probability of {options.target}",
    )  # fmt: skip
    axes.axhline(options.gate, color=_DIM, linewidth=0.9, linestyle="--", label=f"gate {options.gate:.2f}")
    for slab in chosen:
        start, stop = analysis.slabs.edges[slab], analysis.slabs.edges[slab + 1]
        axes.axvspan(
            positions[start] - half, positions[stop - 1] + half, color="white", alpha=0.1, linewidth=0
        )
    axes.set(xlim=(positions[0] - half, positions[-1] + half), ylim=(-0.02, 1.02), facecolor="#0c0c0c")
    axes.set_xlabel("position along the slice normal in mm (feet to head); bright bands: the slabs above",
                    color=_INK, fontsize=9)  # fmt: skip
    axes.tick_params(colors=_DIM, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color("#444444")
    axes.legend(loc="upper right", fontsize=8, facecolor="#1a1a1a", edgecolor="#444444", labelcolor=_INK)


def _captions(figure: object, analysis: Analysis, with_reference: bool) -> None:
    options = analysis.options
    count = int(analysis.gate[analysis.slabs.of_slice].sum())
    figure.text(
        0.015, 0.975,
        f"HemoCAM   {options.method}, stage {options.stage}, class {analysis.target_words}: "
        f"{count} of {analysis.ct.shape[analysis.order.axes[0]]} slices pass the gate",
        color=_INK, fontsize=12, va="top",
    )  # fmt: skip
    figure.text(0.985, 0.975, NOT_CLINICAL, color=_DIM, fontsize=9, va="top", ha="right")
    figure.text(
        0.015,
        0.018,
        "outline of the refined mask"
        if analysis.refined
        else f"outline of the mask (map \N{GREATER-THAN OR EQUAL TO} {options.threshold:g})",
        color=_MASK,
        fontsize=9,
    )
    if with_reference:
        figure.text(0.26, 0.018, "outline of the reference", color=_REFERENCE, fontsize=9)
    figure.text(
        0.985, 0.018, f"brain window {WINDOW[0]:g}/{WINDOW[1]:g} HU; map: {options.scale} scale",
        color=_DIM, fontsize=9, ha="right",
    )  # fmt: skip
