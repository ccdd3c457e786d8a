"""How far two masks lie apart: Hausdorff distances in mm, as Plastimatch defines them.

With the voxels a of mask A and the distance d(a, B) from the centre of a to the nearest voxel centre of B:

- directed maximum, mean and 95 % of A to B are the largest, the mean and the :func:`rank_95` of d(a, B);
- *maximum* is the larger of the two directed maxima (F. Hausdorff, Grundzüge der Mengenlehre, 1914);
- *average* is the mean of the two directed means, *95 %* the mean of the two directed 95 % values.

In the *volume* variant A and B are all voxels of the masks, so that d is 0 wherever they overlap. In the
*boundary* variant they are the :func:`boundary` voxels only, and d is also counted inside the other mask;
SlicerRT's table shows this one.

The distances are exact to 1e-6 of their size. Plastimatch's own come from Danielsson's propagation
(P.-E. Danielsson, Computer Graphics and Image Processing 14 (1980) 227), which sometimes misses the nearest
voxel: its values then lie above these, averages by up to 0.2 %, maximum and 95 % seldom but by up to 3 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from ..progress import Progress, silent
from .masks import Box, bounding_box, union_box

# Below this cosine between two axes a grid counts as orthogonal: an error of 5e-6 of a distance at most.
_ORTHOGONAL = 1e-5

# A distance map costs about as much for this many voxels of its box as a tree search for one point.
_MAP_VOXELS_PER_POINT = 40

_QUERY_POINTS = 20_000


@dataclass(frozen=True)
class Hausdorff:
    """Three distances between two masks in mm, 0 (identical) and above; all NaN if either mask is empty.

    An empty mask lies nowhere, so no distance to it exists. (Plastimatch prints 3.4e38, the largest float,
    for one empty mask, and stops with an error for two.)
    """

    maximum: float
    average: float
    percentile_95: float

    @classmethod
    def of(cls, forward: np.ndarray, backward: np.ndarray) -> Hausdorff:
        """Sum up the directed distances of all voxels, shapes (N,) and (M,), in mm."""
        if not forward.size or not backward.size:
            return cls(math.nan, math.nan, math.nan)
        return cls(
            float(max(forward.max(), backward.max())),
            float(forward.mean(dtype=np.float64) + backward.mean(dtype=np.float64)) / 2,
            float(rank_95(forward) + rank_95(backward)) / 2,
        )


def rank_95(distances: np.ndarray) -> float:
    """Return the floor(0.95 n)-th smallest of n >= 1 values, without interpolation, as Plastimatch does.

    For n = 1 that rank does not exist (Plastimatch reads an undefined value): the only value is returned.
    """
    rank = max(95 * distances.size // 100, 1) - 1
    return float(np.partition(distances, rank)[rank])


def boundary(mask: np.ndarray) -> np.ndarray:
    """Return the boundary voxels of a mask: those with one of their six face neighbours outside of it.

    Beyond the edge of the grid counts as outside, also across a grid of a single slice (SlicerRT's setting,
    Plastimatch's ZERO_PADDING; ``plastimatch dice`` itself takes a mask of one slice as a flat figure and
    only its outline as boundary). Shape (K, J, I), bool.
    """
    return mask & ~binary_erosion(mask)


def hausdorff(
    reference: np.ndarray,
    test: np.ndarray,
    ijk_to_ras: np.ndarray,
    box: Box | None = None,
    progress: Progress = silent,
) -> tuple[Hausdorff, Hausdorff]:
    """Measure the Hausdorff distances between two masks on one grid.

    Parameters
    ----------
    reference, test:
        Masks, shape (K, J, I), bool.
    ijk_to_ras:
        Affine of the grid, shape (4, 4), mm; oblique and sheared ones give true distances, too.
    box:
        A box outside which both masks are empty, if known.
    progress:
        Told before and after each of the two directions, and between chunks of the longer searches.

    Returns
    -------
    tuple
        The volume variant and the boundary variant.

    Raises
    ------
    ValueError
        If the masks differ in shape.
    """
    if reference.shape != test.shape:
        raise ValueError(f"masks have one shape, not {reference.shape} and {test.shape}")
    box = box or union_box(bounding_box(reference), bounding_box(test))
    if box is None:
        empty = np.empty(0)
        return Hausdorff.of(empty, empty), Hausdorff.of(empty, empty)
    # A margin of background: ITK's map of a mask that fills its image is undefined.
    masks = [np.pad(mask[box], 1) for mask in (reference, test)]
    shells = [boundary(mask) for mask in masks]
    if not all(shell.any() for shell in shells):
        empty = np.empty(0)
        return Hausdorff.of(empty, empty), Hausdorff.of(empty, empty)
    directed = []
    for done, (a, b) in enumerate([(0, 1), (1, 0)]):
        tick = partial(progress, "Measuring distances", done, 2)
        tick()
        directed.append(_directed(masks[a], masks[b], shells[a], shells[b], ijk_to_ras[:3, :3], tick))
    progress("Measuring distances", 2, 2)
    (volume_there, shell_there), (volume_back, shell_back) = directed
    return Hausdorff.of(volume_there, volume_back), Hausdorff.of(shell_there, shell_back)


def is_orthogonal(columns: np.ndarray) -> bool:
    """Tell whether a grid's axes, the columns of shape (3, 3), are perpendicular (not sheared)."""
    unit = columns / np.linalg.norm(columns, axis=0)
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() < _ORTHOGONAL)


def _directed(
    a: np.ndarray,
    b: np.ndarray,
    shell_a: np.ndarray,
    shell_b: np.ndarray,
    columns: np.ndarray,
    tick: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of all voxels of mask a to b, and of a's boundary voxels to b's, both in mm, in any order."""
    outside = a & ~b
    points = np.count_nonzero(outside) + np.count_nonzero(shell_a)
    # Masks far apart span a box too large for a map of all its voxels.
    if is_orthogonal(columns) and a.size <= _MAP_VOXELS_PER_POINT * points:
        far, shell = _mapped([outside, shell_a], shell_b, np.linalg.norm(columns, axis=0))
    else:
        far = _nearest(outside, shell_b if _shell_is_nearest(columns) else b, columns, tick)
        shell = _nearest(shell_a, shell_b, columns, tick)
    volume = np.zeros(np.count_nonzero(a), dtype=far.dtype)
    volume[: far.size] = far
    return volume, shell


def _shell_is_nearest(columns: np.ndarray) -> bool:
    """Tell whether, from outside, a boundary voxel is always among the nearest voxels of a mask.

    Let d = sum of n_i a_i lead from the nearest voxel to one outside, the a_i being the grid's axes, and i the
    axis of the largest |n_i a_i|. If the cosines between a_i and the other axes add up to less than 1/2, then
    |d . a_i| > |a_i|^2 / 2, so that a step along a_i comes closer and must leave the mask: the nearest voxel
    has a face neighbour outside. Holds for a gantry tilt below 30 degrees, the most that scanners do.
    """
    unit = columns / np.linalg.norm(columns, axis=0)
    return bool((np.abs(unit.T @ unit).sum(axis=0) < 1.5 - 1e-9).all())


def _mapped(starts: list[np.ndarray], goal: np.ndarray, spacing: np.ndarray) -> list[np.ndarray]:
    """Distances from the voxels of each of ``starts`` to the nearest voxel of ``goal``, on orthogonal axes."""
    image = sitk.GetImageFromArray(goal.view(np.uint8))
    image.SetSpacing(spacing.tolist())
    # Maurer's map: exact, float32, and far leaner than SciPy's.
    image = sitk.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    distances = sitk.GetArrayViewFromImage(image)
    return [np.maximum(distances[start], 0) for start in starts]


def _nearest(
    start: np.ndarray, goal: np.ndarray, columns: np.ndarray, tick: Callable[[], None]
) -> np.ndarray:
    """Distance from each voxel of ``start`` to the nearest voxel of ``goal`` in mm, on any affine grid."""
    tree = cKDTree(_points(goal, columns), leafsize=64)
    points = _points(start, columns)
    distances = np.empty(len(points))
    for first in range(0, len(points), _QUERY_POINTS):
        chunk = slice(first, first + _QUERY_POINTS)
        distances[chunk] = tree.query(points[chunk], workers=-1)[0]
        tick()
    return distances


def _points(mask: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Positions of the voxels of ``mask`` in mm, shape (N, 3), from the first voxel of the grid."""
    return np.argwhere(mask)[:, ::-1] @ columns.T
