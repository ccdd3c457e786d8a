"""In how many directions of the slice plane a pixel sees something: bone all around means within the skull."""

from __future__ import annotations

import numpy as np

# (rows, columns); their opposites count, too
_DIRECTIONS = ((0, 1), (1, 2), (1, 1), (2, 1), (1, 0), (2, -1), (1, -1), (1, -2))
DIRECTIONS = 2 * len(_DIRECTIONS)


def directions_met(mask: np.ndarray, pixel_mm: tuple[float, float], reach_mm: float) -> np.ndarray:
    """Count the directions of each slice in which ``mask`` is met from each pixel, of :data:`DIRECTIONS`.

    Parameters
    ----------
    mask:
        Bool, shape (slices, rows, columns).
    pixel_mm:
        Pitch of rows and of columns.
    reach_mm:
        How far a pixel sees.

    Returns
    -------
    numpy.ndarray
        uint8, same shape.
    """
    seen = np.zeros(mask.shape, dtype=np.uint8)
    for direction in _DIRECTIONS:
        step_mm = np.hypot(direction[0] * pixel_mm[0], direction[1] * pixel_mm[1])
        steps = max(1, round(reach_mm / step_mm))
        seen += _spread(mask, direction, steps)
        seen += _spread(mask, (-direction[0], -direction[1]), steps)
    return seen


def _spread(mask: np.ndarray, direction: tuple[int, int], steps: int) -> np.ndarray:
    """True where ``mask`` is met within ``steps`` steps along ``direction`` (rows, columns), by doubling."""
    reached, done = mask, 1
    while done < steps:
        hop = min(done, steps - done)
        reached = reached | _shifted(reached, direction[0] * hop, direction[1] * hop)
        done += hop
    return reached


def _shifted(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Move what lies at (r + rows, c + columns) to (r, c); nothing comes in from outside."""
    out = np.zeros_like(mask)
    if abs(rows) < mask.shape[1] and abs(columns) < mask.shape[2]:
        to = tuple(
            slice(max(0, -d), n - max(0, d)) for d, n in zip((rows, columns), mask.shape[1:], strict=True)
        )
        of = tuple(
            slice(max(0, d), n - max(0, -d)) for d, n in zip((rows, columns), mask.shape[1:], strict=True)
        )
        out[:, to[0], to[1]] = mask[:, of[0], of[1]]
    return out
