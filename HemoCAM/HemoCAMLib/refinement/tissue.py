"""What the refinement looks at in a CT: soft tissue inside the skull, its smoothed HU, the distance to bone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..volumes.axial import slice_gap
from ..volumes.volume import AIR_HU, Volume
from .mixtures import HIGH_HU, LOW_HU

# From here on a voxel is bone (or metal, or contrast medium): what blood never reaches.
BONE_HU = HIGH_HU
# Values that are averaged to lessen noise; beyond, partial volume and fat keep their own.
_SMOOTHED_HU = (-30.0, 130.0)
# Deviation of the Gaussian in the slice, and thickness that thinner slices are averaged to across slices.
_SMOOTHING_MM = 0.7
_THICKNESS_MM = 5.0
_FARTHEST_MM = 40.0

# "Inside the skull" is seen on a coarse copy: bone in most of 16 directions of the slice; a craniectomy may open
# a quarter of the skull.
_PITCH_MM = 2.5
_SKULL_HU = 130.0
_REACH_MM = 130.0
_SEEN = 12
_IN_SLICE = np.ones((1, 3, 3), bool)
_DIRECTIONS = ((0, 1), (1, 2), (1, 1), (2, 1), (1, 0), (2, -1), (1, -1), (1, -2))  # and their opposites
_INSIDE = 0.1  # of the coarse cells around, by linear interpolation: reaches the inner table itself

_BLOCK = 16  # slices at a time: memory does not grow with the volume


@dataclass(frozen=True)
class Tissue:
    """A block of canonical slices, cut to the box in which there is soft tissue inside the skull.

    Parameters
    ----------
    box:
        Where in the canonical volume, (slices, rows, columns).
    inside:
        Soft tissue inside the skull, bool, shape of the box.
    hu:
        Smoothed HU, float32, same shape; meaningful where ``inside``.
    distance_mm:
        In the slice, to the nearest bone, float32, same shape, 0 to 40 mm.
    """

    box: tuple[slice, slice, slice]
    inside: np.ndarray
    hu: np.ndarray
    distance_mm: np.ndarray


def tissue_blocks(axial: Volume, wanted: np.ndarray) -> Iterator[Tissue]:
    """Yield the tissue of the ``wanted`` slices (bool, shape (S,)) of a volume in canonical axial order.

    Blocks of up to 16 slices, from inferior to superior; every wanted slice with tissue is in exactly one, and
    unwanted slices have none. Smoothing looks at the slices beside a block, too: blocks leave no seams.
    """
    return (tissue for tissue in tissue_parts(axial, wanted) if tissue is not None)


def tissue_parts(axial: Volume, wanted: np.ndarray) -> Iterator[Tissue | None]:
    """As :func:`tissue_blocks`, and None before each part of a block that takes a while: to look up and breathe."""
    gap = abs(slice_gap(axial))
    across = (
        np.sqrt(max(0.0, _THICKNESS_MM**2 - gap**2) / 12) / gap
    )  # a box's variance is its width squared / 12
    halo = int(np.ceil(3 * across)) if across > 0.2 else 0
    count = axial.shape[0]
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        chosen = np.flatnonzero(wanted[start:stop]) + start
        if not len(chosen):
            continue
        first, last = int(chosen[0]), int(chosen[-1]) + 1
        own = axial.array[first:last]
        yield None
        spacing = (float(axial.spacing[1]), float(axial.spacing[0]))
        inside = _inside(own, spacing) & (own >= LOW_HU) & (own < BONE_HU)
        inside[~wanted[first:last]] = False
        rows, columns = np.flatnonzero(inside.any(axis=(0, 2))), np.flatnonzero(inside.any(axis=(0, 1)))
        if not len(rows):
            continue
        inner = _grown(rows, spacing[0], own.shape[1]), _grown(columns, spacing[1], own.shape[2])
        low, high = max(0, first - halo), min(count, last + halo)
        yield None
        hu = axial.array[(slice(low, high), *inner)].astype(np.float32)
        smooth = _smoothed(hu, spacing, across if halo else 0.0)[first - low : last - low]
        yield None
        distance = _to_bone(hu[first - low : last - low] >= BONE_HU, spacing)
        inside = np.ascontiguousarray(inside[(slice(None), *inner)])
        yield Tissue((slice(first, last), *inner), inside, smooth, distance)


def _grown(found: np.ndarray, spacing: float, count: int) -> slice:
    """From the first to the last of ``found``, and 10 mm more: the skull around the tissue."""
    margin = int(np.ceil(10 / spacing))
    return slice(max(0, int(found[0]) - margin), min(count, int(found[-1]) + 1 + margin))


def _smoothed(hu: np.ndarray, spacing: tuple[float, float], across: float) -> np.ndarray:
    """Mean of the soft tissue around each voxel of it (normalised convolution, Knutsson and Westin 1993)."""
    soft = (hu >= _SMOOTHED_HU[0]) & (hu <= _SMOOTHED_HU[1])
    weight, value = soft.astype(np.float32), np.where(soft, hu, 0)
    for axis, width in enumerate((across, _SMOOTHING_MM / spacing[0], _SMOOTHING_MM / spacing[1])):
        if width > 0.2:
            for array in (weight, value):
                ndimage.gaussian_filter1d(array, width, axis, output=array, mode="nearest", truncate=3)
    return np.where(soft, value / np.maximum(weight, 1e-6), hu)


def _to_bone(bone: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Distance in the slice to the nearest bone in mm, float32, at most 40."""
    out = np.full(bone.shape, _FARTHEST_MM, np.float32)
    for plane, own in zip(out, bone, strict=True):
        if own.any():
            np.minimum(ndimage.distance_transform_edt(~own, sampling=spacing), _FARTHEST_MM, out=plane)
    return out


def _inside(hu: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Where there is skull in most directions of the slice, bool, shape of ``hu``; the skull itself is not."""
    weights = [_resampling(n, s) for n, s in zip(hu.shape[1:], spacing, strict=True)]
    coarse = np.stack(
        [weights[0][0] @ np.maximum(p, AIR_HU).astype(np.float32) @ weights[1][0].T for p in hu]
    )
    bone = np.round(coarse, 2) >= _SKULL_HU  # rounded: the same whichever way the sums ran
    wide = ndimage.binary_dilation(bone, _IN_SLICE)
    seen = np.zeros(bone.shape, np.uint8)
    for rows, columns in _DIRECTIONS:
        steps = max(1, round(_REACH_MM / (_PITCH_MM * float(np.hypot(rows, columns)))))
        seen += _met(wide, rows, columns, steps)
        seen += _met(wide, -rows, -columns, steps)
    # what touches the skull sees it everywhere, the scalp too: grow from the middle, and never across bone
    middle = (seen >= _SEEN) & ~wide
    enclosed = ndimage.binary_dilation(middle, _IN_SLICE, iterations=2, mask=~bone).astype(np.float32)
    return np.stack([np.round(weights[0][1] @ p @ weights[1][1].T, 4) >= _INSIDE for p in enclosed])


def _resampling(count: int, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of ``count`` samples in the coarse cells (cells, count), and of cells in the samples (count, cells)."""
    cells = max(1, int(np.ceil(round(count * spacing / _PITCH_MM, 6))))
    fine = (np.arange(count) - (count - 1) / 2) * spacing
    coarse = (np.arange(cells) - (cells - 1) / 2) * _PITCH_MM
    apart = np.abs(coarse[:, None] - fine)
    down = np.clip(1 - apart / max(_PITCH_MM, spacing), 0, None)
    up = np.clip(1 - apart.T / _PITCH_MM, 0, None)
    down, up = (w / np.maximum(w.sum(axis=1, keepdims=True), 1e-6) for w in (down, up))
    return down.astype(np.float32), up.astype(np.float32)


def _met(mask: np.ndarray, rows: int, columns: int, steps: int) -> np.ndarray:
    """True where ``mask`` is met within ``steps`` steps along (rows, columns), by doubling."""
    reached, done = mask, 1
    while done < steps:
        hop = min(done, steps - done)
        reached = reached | _moved(reached, rows * hop, columns * hop)
        done += hop
    return reached


def _moved(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Bring what lies at (r + rows, c + columns) to (r, c); nothing comes in from outside."""
    out = np.zeros_like(mask)
    height, width = mask.shape[1:]
    if abs(rows) < height and abs(columns) < width:
        out[:, max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)] = mask[
            :, max(0, rows) : height - max(0, -rows), max(0, columns) : width - max(0, -columns)
        ]
    return out
