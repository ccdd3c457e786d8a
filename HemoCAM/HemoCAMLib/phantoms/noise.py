"""Smooth random fields in space: coarse white noise seen through cubic B-splines.

A field is defined in millimetres, not in voxels, so that the same patient can be rendered at any sampling.
Its spline weights are separable, which makes a plane of it two small matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# The box, in mm from the scanner's centre, that every field covers: (z, y, x).
BOX_LOW = np.array([-150.0, -150.0, -150.0])
BOX_HIGH = np.array([150.0, 150.0, 150.0])

# White noise of variance 1 seen through cubic B-splines has variance (151/315) per axis, averaged over
# positions (Unser, "Splines: a perfect fit for signal and image processing", IEEE SPM 1999, for the kernel).
_GAIN = float((315 / 151) ** 1.5)


def spline_weights(positions: np.ndarray, origin: float, pitch: float, count: int) -> np.ndarray:
    """Cubic B-spline weights that turn ``count`` coefficients into values at ``positions``.

    Parameters
    ----------
    positions:
        Where to evaluate, in mm, shape (n,).
    origin, pitch:
        Coefficient c lies at ``origin + c * pitch`` mm.
    count:
        Number of coefficients; positions beyond them see the nearest ones only.

    Returns
    -------
    numpy.ndarray
        Shape (n, count), float32.
    """
    distance = np.abs((np.asarray(positions)[:, None] - origin) / pitch - np.arange(count)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - np.minimum(distance, 2)) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


@dataclass(frozen=True)
class SmoothField:
    """A random field of mean 0 and standard deviation 1, smooth over about ``1.2 * pitch`` mm.

    ``coefficients`` has shape (nz, ny, nx); ``pitch`` is their distance in mm along (z, y, x).
    """

    coefficients: np.ndarray
    pitch: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, pitch: float | tuple[float, float, float]) -> SmoothField:
        """Draw a field; three pitches (z, y, x) make it stretched."""
        pitches = (pitch,) * 3 if np.isscalar(pitch) else tuple(pitch)
        shape = [int(np.ceil((h - lo) / p)) + 2 for lo, h, p in zip(BOX_LOW, BOX_HIGH, pitches, strict=True)]
        return cls(rng.standard_normal(shape, dtype=np.float32) * np.float32(_GAIN), pitches)

    def weights(self, axis: int, positions: np.ndarray) -> np.ndarray:
        """Spline weights of ``positions`` (mm) along ``axis`` (0 = z, 1 = y, 2 = x)."""
        return spline_weights(positions, BOX_LOW[axis], self.pitch[axis], self.coefficients.shape[axis])

    def through(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values on the grid whose spline weights along each axis are given, shape (len(z), len(y), len(x))."""
        planes = np.tensordot(z, self.coefficients, axes=(1, 0))
        return np.matmul(np.matmul(y, planes), x.T)

    def on(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values on the grid of the positions ``z``, ``y``, ``x`` (mm), shape (len(z), len(y), len(x))."""
        return self.through(*(self.weights(axis, positions) for axis, positions in enumerate((z, y, x))))


@dataclass(frozen=True)
class SampledNoise:
    """A smooth field tabulated on a fine lattice, to be read at arbitrary points.

    ``table`` has shape (n, n, n) and covers the cube of half width ``reach`` mm.
    """

    table: np.ndarray
    reach: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, pitch: float, reach: float = 105.0, step: float = 2.0
    ) -> SampledNoise:
        """Draw a field of ``pitch`` mm and tabulate it every ``step`` mm."""
        lattice = np.arange(-reach, reach + step / 2, step)
        count = int(np.ceil(2 * reach / pitch)) + 3
        weights = spline_weights(lattice, -reach - pitch, pitch, count)
        table = rng.standard_normal((count,) * 3, dtype=np.float32) * np.float32(_GAIN)
        for _ in range(3):  # one axis at a time; tensordot moves the finished axis to the end
            table = np.tensordot(table, weights, axes=(0, 1))
        return cls(np.ascontiguousarray(table, dtype=np.float32), reach)

    def at(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values at the points (z, y, x) in mm, any common shape; linear between the table's entries."""
        step = 2 * self.reach / (self.table.shape[0] - 1)
        points = np.stack([z, y, x])
        points += self.reach
        points /= step
        return ndimage.map_coordinates(self.table, points, order=1, mode="nearest")
