"""Smooth random fields in space: coarse white noise seen through cubic B-splines.

A field is defined in millimetres, not in voxels, so that the same patient can be rendered at any sampling.
Its spline weights are separable, which makes a plane of it two small matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .shapes import sample

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

    def planes(self, z_mm: np.ndarray) -> slice:
        """Return the planes of coefficients that positions ``z_mm`` see; all others have no weight there."""
        first = int(np.floor((z_mm.min() - BOX_LOW[0]) / self.pitch[0])) - 2
        last = int(np.ceil((z_mm.max() - BOX_LOW[0]) / self.pitch[0])) + 3
        return slice(max(first, 0), max(last, 1))

    def through(self, z: Tensor, y: Tensor, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        """Values on the grid whose spline weights along each axis are given, shape (len(z), len(y), len(x))."""
        table = torch.from_numpy(self.coefficients) if coefficients is None else coefficients
        planes = torch.tensordot(z, table, dims=1)
        return torch.matmul(torch.matmul(y, planes), x.T)

    def on(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> Tensor:
        """Values on the grid of the positions ``z``, ``y``, ``x`` (mm), shape (len(z), len(y), len(x))."""
        weights = (self.weights(axis, positions) for axis, positions in enumerate((z, y, x)))
        return self.through(*(torch.from_numpy(w) for w in weights))


@dataclass(frozen=True)
class SampledNoise:
    """A smooth field tabulated on a fine lattice, to be read at arbitrary points.

    ``coefficients`` has shape (m, m, m), ``weights`` (n, m) turns them along one axis into the table's entries,
    which cover the cube of half width ``reach`` mm.
    """

    coefficients: np.ndarray
    weights: np.ndarray
    reach: float
    tables: dict[torch.device, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def draw(
        cls, rng: np.random.Generator, pitch: float, reach: float = 105.0, step: float = 2.0
    ) -> SampledNoise:
        """Draw a field of ``pitch`` mm, tabulated every ``step`` mm."""
        lattice = np.arange(-reach, reach + step / 2, step)
        count = int(np.ceil(2 * reach / pitch)) + 3
        weights = spline_weights(lattice, -reach - pitch, pitch, count)
        return cls(rng.standard_normal((count,) * 3, dtype=np.float32) * np.float32(_GAIN), weights, reach)

    def at(self, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Values at the points (z, y, x) in mm, shape (n,); linear between the table's entries."""
        table = self.on_device(z.device)
        step = 2 * self.reach / (table.shape[0] - 1)
        points = tuple(((axis + self.reach) / step)[None, None] for axis in (z, y, x))
        return sample(table[None], points)[0, 0, 0]

    def on_device(self, device: torch.device) -> Tensor:
        """Return the table on ``device``, tabulated there from the coefficients once."""
        if device not in self.tables:
            table = torch.from_numpy(self.coefficients).to(device)
            weights = torch.from_numpy(self.weights).to(device)
            for _ in range(3):  # one axis at a time; tensordot moves the finished axis to the end
                table = torch.tensordot(table, weights, dims=([0], [1]))
            self.tables[device] = table.contiguous()
        return self.tables[device]
