"""The network's own grid in the slice plane: a square of fixed physical size, centred on the head.

The square keeps millimetres alike for every scanner and matrix size. Going in, the CT is resampled with a
triangle filter as wide as the coarser of the two grids (no aliasing, no half-pixel shift); coming out, maps
are interpolated linearly at the CT's voxel centres. Both are separable, so each is two small matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .volume import AIR_HU, Volume

_BODY_HU = -300  # between air or foam and fat
_HEAD_CM2 = (30.0, 450.0)  # area of a slice through a head; shoulders are larger, a headrest smaller


def _triangle(positions: np.ndarray, count: int, width: float) -> np.ndarray:
    """Weights (len(positions), count) of samples 0..count-1 under triangles of half-width ``width``."""
    return np.clip(1.0 - np.abs(positions[:, None] - np.arange(count)[None, :]) / width, 0.0, None)


@dataclass(frozen=True)
class Cells:
    """Where the cells of a map lie on the network's grid, in pixels along either axis.

    The centre of cell o lies at pixel index ``first + o * pitch`` (0 is the centre of the first pixel).
    """

    pitch: float
    first: float

    @classmethod
    def tiling(cls, size: int, count: int) -> Cells:
        """``count`` cells that tile ``size`` pixels."""
        return cls(size / count, (size / count - 1) / 2)


@dataclass(frozen=True)
class HeadGrid:
    """A square grid of ``size`` pixels over ``fov_mm``, centred at ``centre_mm`` (row, column).

    ``centre_mm`` counts from the centre of the slice's first voxel, along its rows' and columns' directions;
    ``ct_shape`` and ``ct_spacing_mm`` are the slice's (rows, columns).
    """

    size: int
    fov_mm: float
    centre_mm: tuple[float, float]
    ct_shape: tuple[int, int]
    ct_spacing_mm: tuple[float, float]

    @classmethod
    def of(cls, axial: Volume, slabs_hu: np.ndarray, size: int, fov_mm: float) -> HeadGrid:
        """Centre the square on the head: the median over the slabs of the body's bounding-box centre.

        ``slabs_hu``: (n_slabs, rows, columns) in HU. Where no slab shows a head, the image centre serves.
        """
        spacing = (float(axial.spacing[1]), float(axial.spacing[0]))
        centres = [c for hu in slabs_hu if (c := _body_centre(hu, spacing)) is not None]
        if centres:
            centre = tuple(float(v) for v in np.median(centres, axis=0))
        else:
            centre = tuple((n - 1) / 2 * s for n, s in zip(axial.shape[1:], spacing, strict=True))
        return cls(size, fov_mm, centre, axial.shape[1:], spacing)

    @classmethod
    def alone(cls, size: int, fov_mm: float) -> HeadGrid:
        """A grid whose CT is the grid itself: maps painted on it come out on the network's own pixels."""
        middle = (size - 1) / 2 * fov_mm / size
        return cls(size, fov_mm, (middle, middle), (size, size), (fov_mm / size, fov_mm / size))

    def pixel_mm(self) -> float:
        """Edge of a pixel in mm."""
        return self.fov_mm / self.size

    def centres_mm(self, axis: int) -> np.ndarray:
        """Centres of the pixels along rows (0) or columns (1), in mm from the slice's first voxel, (size,)."""
        return self.centre_mm[axis] + (np.arange(self.size) + 0.5 - self.size / 2) * self.pixel_mm()

    def sample(self, slabs_hu: np.ndarray) -> np.ndarray:
        """Resample (n, rows, columns) in HU onto the grid: float32 (n, size, size); outside the CT is air."""
        return self.sample_values(slabs_hu.astype(np.float32) - AIR_HU) + AIR_HU

    def sample_values(self, values: np.ndarray) -> np.ndarray:
        """Resample (n, rows, columns) of anything onto the grid: float32 (n, size, size); outside is 0."""
        weights = []
        for axis in (0, 1):
            spacing = self.ct_spacing_mm[axis]
            width = max(1.0, self.pixel_mm() / spacing)
            position = self.centres_mm(axis) / spacing
            inside = _triangle(position, self.ct_shape[axis], width)
            weights.append((inside / _full_weight(position, width)[:, None]).astype(np.float32))
        return weights[0] @ values.astype(np.float32) @ weights[1].T

    def paint(self, maps: np.ndarray, cells: Cells | None = None) -> np.ndarray:
        """Interpolate maps (n, h, w) at the CT's voxel centres: (n, rows, columns).

        ``cells`` says where the maps' cells lie; by default they tile the square. The outermost cells reach to
        the square's edge; beyond it the result is zero.
        """
        weights = []
        for axis in (0, 1):
            count = maps.shape[1 + axis]
            own = cells or Cells.tiling(self.size, count)
            position = np.arange(self.ct_shape[axis]) * self.ct_spacing_mm[axis] - self.centre_mm[axis]
            pixel = position / self.pixel_mm() + self.size / 2 - 0.5
            w = _triangle(np.clip((pixel - own.first) / own.pitch, 0, count - 1), count, 1.0)
            w[(pixel < -0.5) | (pixel > self.size - 0.5)] = 0
            weights.append(w.astype(np.float32))
        return weights[0] @ maps.astype(np.float32) @ weights[1].T

    def cells_volume(
        self, maps: np.ndarray, axial: Volume, edges: np.ndarray, name: str, cells: Cells | None = None
    ) -> Volume:
        """Place maps (n_slabs, h, w) in the patient as a volume of their own, one voxel a cell and slab.

        The slabs are of (nearly) equal thickness; where they differ by a slice, a centre may lie up to half
        a slice off.
        """
        origin = axial.ijk_to_ras
        steps, first = [], []
        for axis, count in enumerate(maps.shape[1:]):
            own = cells or Cells.tiling(self.size, count)
            steps.append(own.pitch * self.pixel_mm())
            first.append(self.centre_mm[axis] + (own.first + 0.5 - self.size / 2) * self.pixel_mm())
        per_slab = (edges[-1] - edges[0]) / (len(edges) - 1)
        matrix = np.eye(4)
        matrix[:3, 0] = origin[:3, 0] / axial.spacing[0] * steps[1]
        matrix[:3, 1] = origin[:3, 1] / axial.spacing[1] * steps[0]
        matrix[:3, 2] = origin[:3, 2] * per_slab
        corner = (first[1] / axial.spacing[0], first[0] / axial.spacing[1], (per_slab - 1) / 2)
        matrix[:3, 3] = axial.ras(np.array(corner))
        return Volume(np.ascontiguousarray(maps, dtype=np.float32), matrix, name)


def _full_weight(positions: np.ndarray, width: float) -> np.ndarray:
    """Sum of the triangle's weights had the image no edge: what is missing at the border is air."""
    reach = int(np.ceil(width)) + 1
    offsets = np.arange(-reach, reach + 1)
    return np.clip(
        1.0 - np.abs(positions[:, None] - np.round(positions)[:, None] - offsets) / width, 0, None
    ).sum(1)


def _body_centre(hu: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float] | None:
    """Centre (row, column) in mm of the body's bounding box in one slab; None where there is no head."""
    step = [max(1, int(2.5 / s)) for s in spacing]  # about 2.5 mm is enough to find a head
    body = ndimage.binary_opening(hu[:: step[0], :: step[1]] > _BODY_HU, iterations=2)
    labels, count = ndimage.label(body)
    if not count:
        return None
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    area = largest.sum() * step[0] * spacing[0] * step[1] * spacing[1] / 100
    if not _HEAD_CM2[0] <= area <= _HEAD_CM2[1]:
        return None
    box = ndimage.find_objects(largest.astype(int))[0]
    return tuple((b.start + b.stop - 1) / 2 * st * sp for b, st, sp in zip(box, step, spacing, strict=True))
