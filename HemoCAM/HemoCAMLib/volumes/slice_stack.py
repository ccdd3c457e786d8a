"""From slice positions as they were measured to the even grid that a volume needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError

_EVEN_MM = 0.05  # positions in headers are often rounded to 0.1 mm
_EVEN_SHARE = 0.05
_UNEVEN_SHARE = 0.25
_HOLE_MM = 20.0
_HOLE_GAPS = 5.0
_SIDEWAYS_MM = 5.0


@dataclass(frozen=True)
class Stack:
    """An even grid fitted to slices: place k lies at ``first + k * step`` (the frame of the positions, mm).

    ``index``, shape (n,), rising, is the place of each slice; ``count`` the places in all. ``deviation`` is
    the largest distance in mm between a slice and its place, ``sideways`` the largest distance of a slice
    from the straight line through all of them.
    """

    index: np.ndarray
    count: int
    first: np.ndarray
    step: np.ndarray
    deviation: float
    sideways: float

    @property
    def missing(self) -> np.ndarray:
        """Places without a slice, rising."""
        return np.setdiff1d(np.arange(self.count), self.index)


def fit_stack(positions: np.ndarray, normal: np.ndarray) -> Stack:
    """Place slices on an even grid, with empty places where slices are missing.

    The grid with the fewest places is taken that brings every slice within 5% of a gap (or 0.05 mm) of a
    place; failing that, within a quarter of a gap; failing that, the one with the smallest deviation. Fewer
    places stay empty than are filled. The step may lean against the normal (gantry tilt).

    Parameters
    ----------
    positions:
        Positions in mm, shape (n, 3), n >= 2, strictly rising along ``normal``.
    normal:
        Unit normal of the slices, shape (3,).

    Raises
    ------
    InputError
        If the slices do not lie along one line.
    """
    along = positions @ normal
    sideways = _sideways(positions, along)
    if sideways > _SIDEWAYS_MM:
        raise InputError(
            f"The slices of this series do not lie behind one another but up to {sideways:.0f} mm aside; "
            "choose another series."
        )
    index = _places(along)
    design = np.stack([np.ones(len(index)), index], axis=1)
    relative = positions - positions[0]  # so that axes without a step stay exactly zero
    (first, step), *_ = np.linalg.lstsq(design, relative, rcond=None)
    deviation = np.linalg.norm(design @ np.stack([first, step]) - relative, axis=1).max()
    return Stack(index, int(index[-1]) + 1, first + positions[0], step, float(deviation), sideways)


def largest_run(along: np.ndarray) -> slice:
    """Return the longest run of slices without a hole (over 20 mm and over five median gaps).

    ``along`` holds rising positions in mm, shape (n,). Slices beyond a hole are strays (a reference image,
    another body part) that would tear the grid apart.
    """
    gaps = np.diff(along)
    if len(gaps) == 0:
        return slice(0, len(along))
    holes = np.flatnonzero(gaps > max(_HOLE_MM, _HOLE_GAPS * float(np.median(gaps)))) + 1
    starts, stops = [0, *holes.tolist()], [*holes.tolist(), len(along)]
    start, stop = max(zip(starts, stops, strict=True), key=lambda run: run[1] - run[0])
    return slice(start, stop)


def _sideways(positions: np.ndarray, along: np.ndarray) -> float:
    design = np.stack([np.ones(len(along)), along], axis=1)
    line, *_ = np.linalg.lstsq(design, positions, rcond=None)
    return float(np.linalg.norm(design @ line - positions, axis=1).max())


def _places(along: np.ndarray) -> np.ndarray:
    n = len(along)
    fits: list[tuple[float, float, np.ndarray]] = []
    for count in range(n, 2 * n):
        gap = (along[-1] - along[0]) / (count - 1)
        index = np.arange(n) if count == n else np.rint((along - along[0]) / gap).astype(int)
        if count > n and (np.diff(index) < 1).any():
            continue
        slope, offset = np.polyfit(index, along, 1)
        deviation = float(np.abs(offset + slope * index - along).max())
        if deviation <= max(_EVEN_SHARE * slope, _EVEN_MM):
            return index
        fits.append((deviation, slope, index))
    for deviation, slope, index in fits:
        if deviation <= _UNEVEN_SHARE * slope:
            return index
    return min(fits, key=lambda fit: fit[0])[2]
