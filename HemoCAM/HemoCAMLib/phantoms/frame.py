"""Where the voxels of a scan lie inside the head: pose, sub-slices, and the head's own coordinates.

The head's frame is anatomical and in mm: x to the patient's left, y to the back, z to the top; its origin is
the middle of the brain at the height of the commissures. The commissures lie at y = -17 (anterior) and
y = 8 (posterior). Structures are placed in this frame for an average adult; a head scales and warps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import SmoothField

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Pose:
    """How the head lies in the scanner: rotations in radians and the offset of its origin in mm (x, y, z)."""

    pitch: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def rotation(self) -> np.ndarray:
        """Matrix, shape (3, 3), from the scanner's (x, y, z) to the head's."""
        cp, sp, cr, sr, cy, sy = (
            f(angle) for angle in (self.pitch, self.roll, self.yaw) for f in (np.cos, np.sin)
        )
        about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
        about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        return about_x @ about_y @ about_z


@dataclass(frozen=True)
class Warp:
    """A smooth deformation that makes every head a little different: three fields of ``size_mm`` mm."""

    fields: tuple[SmoothField, SmoothField, SmoothField]
    size_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, pitch: float, size_mm: float) -> Warp:
        """Draw a warp with features of about ``pitch`` mm."""
        return cls(tuple(SmoothField.draw(rng, pitch) for _ in range(3)), size_mm)


class Frame:
    """A block of sub-slices and the head coordinates of its voxels.

    Parameters
    ----------
    z_mm, y_mm, x_mm:
        Scanner positions of the voxel centres, in mm.
    pose:
        Of the head in the scanner.
    scale:
        Size of the head relative to the average, along (x, y, z).
    warp:
        Deformation of the head, or None.
    pixel_mm, step_mm:
        Distance of neighbouring voxels in the plane and between sub-slices; they set how soft edges are.

    Attributes
    ----------
    x, y, z:
        Head coordinates of the voxels in mm of the average head, each of ``shape`` (k, j, i), float32.
    """

    def __init__(
        self,
        z_mm: np.ndarray,
        y_mm: np.ndarray,
        x_mm: np.ndarray,
        pose: Pose,
        scale: tuple[float, float, float],
        warp: Warp | None,
        pixel_mm: float,
        step_mm: float,
    ) -> None:
        self.z_mm, self.y_mm, self.x_mm = z_mm, y_mm, x_mm
        self.shape = (len(z_mm), len(y_mm), len(x_mm))
        self.edge = float(max(pixel_mm, 0.8))
        self.pixel, self.step = float(pixel_mm), float(step_mm)
        self._cache: dict[tuple[int, float], np.ndarray] = {}
        self._matrix = np.diag(1 / np.asarray(scale)) @ pose.rotation
        self._inverse = np.linalg.inv(self._matrix)
        self._shift = self._matrix @ np.asarray(pose.offset)
        self._reach = 2.6 * warp.size_mm + 1.5 * self.edge if warp else 1.5 * self.edge
        axes = []
        for row, shift in zip(self._matrix, self._shift, strict=True):
            along = [(r * p).astype(np.float32) for r, p in zip(row, (x_mm, y_mm, z_mm), strict=True)]
            along[2] = along[2] - np.float32(shift)
            axes.append(along[2][:, None, None] + (along[1][:, None] + along[0][None, :])[None])
        if warp:
            for axis, field in zip(axes, warp.fields, strict=True):
                axis += self.field(field) * np.float32(warp.size_mm)
        self.x, self.y, self.z = axes

    def field(self, field: SmoothField, window: tuple[slice, slice, slice] | None = None) -> np.ndarray:
        """Values of a random field on the block, or on a window of it."""
        k, j, i = window or (slice(None),) * 3
        z = field.weights(0, self.z_mm[k])
        return field.through(z, self._weights(field, 1)[j], self._weights(field, 2)[i])

    def _weights(self, field: SmoothField, axis: int) -> np.ndarray:
        """Spline weights of all rows (axis 1) or columns (axis 2), computed once for all fields of a pitch."""
        key = axis, field.pitch[axis]
        if key not in self._cache:
            self._cache[key] = field.weights(axis, self.y_mm if axis == 1 else self.x_mm)
        return self._cache[key]

    def window(self, box: Box) -> tuple[slice, slice, slice] | None:
        """Index window (k, j, i) that holds a box ((x0, x1), (y0, y1), (z0, z1)) of the head, or None."""
        low, high = np.array(box).T
        middle = self._inverse @ ((low + high) / 2 + self._shift)
        half = np.abs(self._inverse) @ ((high - low) / 2) + self._reach
        window = []
        for positions, m, h in zip((self.z_mm, self.y_mm, self.x_mm), middle[::-1], half[::-1], strict=True):
            first = int(np.searchsorted(positions, m - h))
            last = int(np.searchsorted(positions, m + h, side="right"))
            if first >= last:
                return None
            window.append(slice(first, last))
        return tuple(window)

    def at(self, window: tuple[slice, slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Head coordinates (x, y, z) of a window."""
        return self.x[window], self.y[window], self.z[window]

    def part(self, block: slice) -> Frame:
        """Return the sub-slices ``block`` as a frame of their own, sharing memory."""
        frame = object.__new__(Frame)
        frame.__dict__.update(self.__dict__)
        frame.z_mm = self.z_mm[block]
        frame.x, frame.y, frame.z = self.x[block], self.y[block], self.z[block]
        frame.shape = frame.x.shape
        return frame
