"""Counts at many percentiles at once: what a percentile rule chosen on a split rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..metrics.pixels import PixelCounts
from ..metrics.rules import Percentile
from ..metrics.sweep import Sweep

# areas from a fifth of the slice down to 1/200: finer where areas are small, and half a percent is much of them
PERCENTILES = (*(float(p) for p in range(80, 95)), *(p / 2 for p in range(190, 200)))


def percentile_sweep(
    maps: np.ndarray, truth: np.ndarray, percentiles: Sequence[float], alike: np.ndarray | None = None
) -> Sweep:
    """Count the masks of :class:`~..metrics.rules.Percentile`, of each slice by itself, against the truth.

    Parameters
    ----------
    maps:
        Shape (n, H, W), float32, 0..1.
    truth:
        Masks of the same shape, bool.
    percentiles:
        Rising, as the rule takes them.
    alike:
        A number a slice, (n,): slices of one number show the same map (those of a slab), which is then sorted once.
        None: each its own.

    Returns
    -------
    Sweep
        Its ``thresholds`` are the percentiles; counts are exactly those of the rule's own masks, (n, T).
    """
    percentiles = np.asarray(percentiles, float)
    rules = [Percentile(float(p)) for p in percentiles]
    inside, passing = np.zeros((2, len(maps), len(rules)), np.int64)
    area = np.array([np.count_nonzero(plane) for plane in truth], np.int64)[:, None]
    alike = np.arange(len(maps)) if alike is None else alike
    for own in np.unique(alike):
        slices = np.flatnonzero(alike == own)
        plane = maps[slices[0]]
        if not plane.any():
            continue
        # a percentile does not ask where a pixel lies, and numpy finds it faster in order
        ordered = np.sort(plane, axis=None)
        steps = np.array([rule.thresholds(ordered[None, None])[0] for rule in rules])
        passing[slices] = ordered.size - np.searchsorted(ordered, steps)
        for n in slices:
            if area[n]:
                inside[n] = area[n] - np.searchsorted(np.sort(plane[truth[n]]), steps)
    pixels = maps[0].size if len(maps) else 0
    counts = PixelCounts(inside, passing - inside, area - inside, pixels - area - passing + inside)
    return Sweep(percentiles.astype(np.float32), counts)
