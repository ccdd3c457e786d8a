"""Canonical axial order: a permutation and flips of a volume's axes, undone on the way out.

Nothing is interpolated and nothing is copied: the canonical array is a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from .volume import Volume

# Columns of the canonical frame in RAS: along a row to the patient's left, down the rows to the back, slices
# from inferior to superior. It is DICOM's LPS frame, so an axial slice shows as on a radiologist's screen.
_CANONICAL = np.array([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])


@dataclass(frozen=True)
class AxialOrder:
    """How a volume's axes are permuted and flipped to run left, posterior, superior.

    ``axes[c]`` is the numpy axis (0 = K, 1 = J, 2 = I) of the original array that becomes canonical axis c
    (0 = slices from inferior to superior, 1 = rows from front to back, 2 = columns from the patient's right
    to left); ``flips[c]`` tells whether it runs backwards.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, ijk_to_ras: np.ndarray) -> AxialOrder:
        """Find the order whose axes lie closest to the patient's (largest sum of absolute cosines)."""
        columns = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
        cosines = _CANONICAL.T @ columns  # [canonical left, posterior, superior] x [I, J, K]
        best = max(permutations(range(3)), key=lambda p: sum(abs(cosines[c, p[c]]) for c in range(3)))
        axes = tuple(2 - best[c] for c in (2, 1, 0))
        flips = tuple(bool(cosines[c, best[c]] < 0) for c in (2, 1, 0))
        return cls(axes, flips)

    def view(self, array: np.ndarray) -> np.ndarray:
        """Return ``array`` (K, J, I) as (slices, rows, columns), without copying."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return array.transpose(self.axes)[steps]

    def restore(self, canonical: np.ndarray) -> np.ndarray:
        """Return a canonical array (slices, rows, columns) as (K, J, I), without copying."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return canonical[steps].transpose(np.argsort(self.axes))

    def original_slice(self, canonical_slice: int, shape: tuple[int, int, int]) -> int:
        """Index along the original slice axis of a canonical slice; ``shape`` is the original (K, J, I)."""
        count = shape[self.axes[0]]
        return count - 1 - canonical_slice if self.flips[0] else canonical_slice


def to_axial(volume: Volume) -> tuple[Volume, AxialOrder]:
    """Return ``volume`` in canonical axial order, as a view with its own affine, and the order used.

    Every voxel keeps its RAS position. ``acquired`` follows where the slice axis stays the slice axis; where
    a stack of sagittal or coronal slices is turned, it becomes None (each axial slice mixes all of them).
    """
    order = AxialOrder.of(volume.ijk_to_ras)
    matrix = np.eye(4)
    matrix[:3, 3] = volume.ijk_to_ras[:3, 3]
    for canonical, (axis, flip) in enumerate(zip(order.axes, order.flips, strict=True)):
        column = volume.ijk_to_ras[:3, 2 - axis]
        if flip:
            matrix[:3, 3] += column * (volume.shape[axis] - 1)
        matrix[:3, 2 - canonical] = -column if flip else column
    acquired = volume.acquired
    if acquired is not None:
        acquired = (acquired[::-1] if order.flips[0] else acquired) if order.axes[0] == 0 else None
    axial = Volume(order.view(volume.array), matrix, volume.name, acquired, volume.findings, volume.source)
    return axial, order


def slice_normal(axial: Volume) -> np.ndarray:
    """Unit normal of the slices in RAS, toward the head, shape (3,); ``axial`` is in canonical order."""
    normal = np.cross(axial.ijk_to_ras[:3, 0], axial.ijk_to_ras[:3, 1])
    normal /= np.linalg.norm(normal)
    return normal if normal @ axial.ijk_to_ras[:3, 2] > 0 else -normal


def slice_positions(axial: Volume) -> np.ndarray:
    """Position of each slice along the slice normal in mm, shape (S,), rising toward the head.

    For an axial series without obliquity it is the S coordinate that Slicer shows above a slice view.
    """
    first = slice_normal(axial) @ axial.ijk_to_ras[:3, 3]
    return first + np.arange(axial.shape[0]) * slice_gap(axial)


def slice_gap(axial: Volume) -> float:
    """Distance in mm between neighbouring slice planes (less than the spacing when the gantry is tilted)."""
    return float(slice_normal(axial) @ axial.ijk_to_ras[:3, 2])
