"""Slabs that went wrong, drawn on the network's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..models.preprocess import window
from ..pipeline import Analysis
from ..volumes.headgrid import HeadGrid


@dataclass(frozen=True)
class Failure:
    """A slice that went wrong, on the network's own pixels.

    Parameters
    ----------
    picture:
        CT in the window 40/80, uint8, shape (size, size).
    heat:
        The shown map, uint8, 0..255 for 0..1; empty below the gate.
    mask:
        The default mask, bool.
    truth:
        The bleeding, bool; empty where only labels per slice are known.
    weight:
        How bad it is: mm2 of blood missed or pointed beside, probability of a false alarm; where only labels per
        slice are known, 1 - probability of a miss.
    """

    picture: np.ndarray
    heat: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    weight: float


def draw_failure(analysis: Analysis, slab: int, weight: float, blood: np.ndarray | None = None) -> Failure:
    """Draw a slab; ``blood`` is the bleeding in canonical order, bool (slices, rows, columns), if it is known."""
    sampled, stage = analysis.explained.sampled, analysis.options.stage
    manifest, grid = sampled.manifest, analysis.grid
    start, stop = analysis.slabs.edges[slab], analysis.slabs.edges[slab + 1]
    own = HeadGrid.alone(manifest.size, manifest.field_of_view_mm)

    def half(mask: np.ndarray) -> np.ndarray:
        return grid.sample_values(mask[start:stop].mean(axis=0, dtype=np.float32)[None])[0] >= 0.5

    mask = half(analysis.order.view(analysis.mask.array))
    return Failure(
        picture=np.round(255 * window(sampled.hu[slab], 40, 80)).astype(np.uint8),
        heat=np.round(
            255 * own.paint(analysis.scaled.maps[slab : slab + 1], analysis.explained.cells[stage])[0]
        ).astype(np.uint8),
        mask=mask,
        truth=np.zeros_like(mask) if blood is None else half(blood),
        weight=float(weight),
    )
