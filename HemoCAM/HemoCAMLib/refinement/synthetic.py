"""Maps such as a classifier would give, made of the truth: coarse, shifted, spread, with false spots and misses.

For tests and for trials without a network. No figure obtained with them says anything about a model.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..volumes.headgrid import Cells, HeadGrid

CELL_MM = 15.0  # stages 4 to 7 of the shipped network: 16 pixels of 0.94 mm
_POSITIVE_MM2 = 30.0


def synthetic_map(
    blood: np.ndarray,
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
    cell_mm: float = CELL_MM,
) -> np.ndarray:
    """Draw a map for axial slices in canonical order.

    Parameters
    ----------
    blood:
        The truth, bool, shape (n, rows, columns).
    spacing_mm:
        Along columns, rows, slices.
    rng:
        Draws offset and shift of the cells, which slices pass the gate (nine in ten with blood, one in thirty
        without), false spots (on a third of the slices that pass) and the noise of the cells.
    cell_mm:
        Pitch of the map's cells.

    Returns
    -------
    np.ndarray
        Float32, 0..1 with 1 at its peak, shape of ``blood``; 0 on slices that do not pass; all 0 if none does.
    """
    count, rows, columns = blood.shape
    width, height = columns * spacing_mm[0], rows * spacing_mm[1]
    cells = int(np.ceil(max(width, height) / cell_mm)) + 1
    middle = ((rows - 1) / 2 * spacing_mm[1], (columns - 1) / 2 * spacing_mm[0])
    seen = rng.uniform(-0.5, 0.5, 2) * cell_mm + middle
    shift = rng.normal(0, 0.35, 2) * cell_mm
    spacing = (spacing_mm[1], spacing_mm[0])
    look = HeadGrid(cells, cells * cell_mm, tuple(seen.tolist()), (rows, columns), spacing)
    lay = HeadGrid(cells, cells * cell_mm, tuple((seen + shift).tolist()), (rows, columns), spacing)
    share = look.sample_values(blood)
    value = ndimage.gaussian_filter(share, (0, 0.6, 0.6)) ** 0.6 * rng.lognormal(0, 0.3, share.shape)
    area = blood.sum(axis=(1, 2)) * spacing[0] * spacing[1]
    shown = rng.random(count) < np.where(area >= _POSITIVE_MM2, 0.9, 1 / 30)
    typical = float(np.median(value[shown].max(axis=(1, 2)))) if shown.any() else 0.0
    inner = slice(cells // 4, cells - cells // 4)
    for k in np.flatnonzero(shown):
        if typical <= 0 or area[k] == 0 or rng.random() < 1 / 3:
            spot = np.zeros(share.shape[1:])
            spot[rng.integers(inner.start, inner.stop), rng.integers(inner.start, inner.stop)] = 1
            height = (typical or 1.0) * rng.uniform(0.3, 1.0)
            value[k] += ndimage.gaussian_filter(spot, 0.6) / 0.44 * height
    value = np.where(shown[:, None, None], np.maximum(value - 0.05 * value.max(), 0), 0)
    out = lay.paint(value.astype(np.float32), Cells.tiling(cells, cells))
    peak = float(out.max())
    return np.round(out / peak * 1024).astype(np.float32) / 1024 if peak > 0 else np.zeros_like(out)
