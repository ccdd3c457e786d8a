"""Where the voxels of a scan lie inside the head: pose, sub-slices, and the head's own coordinates.

The head's frame is anatomical and in mm: x to the patient's left, y to the back, z to the top; its origin is
the middle of the brain at the height of the commissures. The commissures lie at y = -17 (anterior) and
y = 8 (posterior). Structures are placed in this frame for an average adult; a head scales and warps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .noise import SmoothField

Window = tuple[slice, slice, slice]
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


@dataclass(frozen=True)
class Placement:
    """How the grid lies in the head: the head's ``pose``, its ``scale`` (x, y, z), its shape and a gantry's tilt.

    ``skew`` moves the head's sides against each other (x by ``skew * y``); ``drift`` moves slices to the back by
    ``drift * z``, as in a tilted gantry.
    """

    pose: Pose
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    warp: Warp | None = None
    skew: float = 0.0
    drift: float = 0.0

    @property
    def matrix(self) -> np.ndarray:
        """Linear map, shape (3, 3), from the grid's (x, y, z) to the head's, before offset and warp."""
        skew = np.array([[1, self.skew, 0], [0, 1, 0], [0, 0, 1]])
        drift = np.array([[1, 0, 0], [0, 1, self.drift], [0, 0, 1]])
        return skew @ np.diag(1 / np.asarray(self.scale)) @ self.pose.rotation @ drift


class Frame:
    """A block of sub-slices and the head coordinates of its voxels.

    Parameters
    ----------
    z_mm, y_mm, x_mm:
        Scanner positions of the voxel centres, in mm.
    place:
        Of the grid in the head.
    pixel_mm, step_mm:
        Distance of neighbouring voxels in the plane and between sub-slices; they set how soft edges are.
    device:
        Where all of it is computed.

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
        place: Placement,
        pixel_mm: float,
        step_mm: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self.z_mm, self.y_mm, self.x_mm = z_mm, y_mm, x_mm
        self.shape = (len(z_mm), len(y_mm), len(x_mm))
        self.edge = float(max(pixel_mm, 0.8))
        self.pixel, self.step = float(pixel_mm), float(step_mm)
        self.device = torch.device(device)
        self._cache: dict[tuple, object] = {}
        self._axes_mm = z_mm, y_mm, x_mm
        self._cut = (slice(None),) * 3
        warp = place.warp
        self._matrix = place.matrix
        self._inverse = np.linalg.inv(self._matrix).tolist()
        self._shift = (self._matrix @ np.asarray(place.pose.offset)).tolist()
        self._reach = 2.6 * warp.size_mm + 1.5 * self.edge if warp else 1.5 * self.edge
        axes = []
        for row, shift in zip(self._matrix, self._shift, strict=True):
            along = [
                torch.from_numpy((r * p - s).astype(np.float32)).to(self.device)
                for r, p, s in zip(row, (x_mm, y_mm, z_mm), (0, 0, shift), strict=True)
            ]
            axes.append(along[2][:, None, None] + (along[1][:, None] + along[0][None, :])[None])
        if warp:
            for axis, field in zip(axes, warp.fields, strict=True):
                axis.add_(self.field(field), alpha=warp.size_mm)
        self.x, self.y, self.z = axes

    def zeros(self) -> Tensor:
        """Return an empty layer."""
        return torch.zeros(self.shape, device=self.device)

    @cached_property
    def low(self) -> float:
        """Lowest z of the block."""
        return float(self.z.min())

    @cached_property
    def high(self) -> float:
        """Highest z of the block."""
        return float(self.z.max())

    def field(self, field: SmoothField, window: Window | None = None) -> Tensor:
        """Values of a random field on the block, or on a window of it."""
        k, j, i = window or (slice(None),) * 3
        key = "coefficients", id(field)
        if key not in self._cache:
            # the field is kept with its copy, or another field could get its id
            self._cache[key] = field, torch.from_numpy(field.coefficients).to(self.device)
        planes = field.planes(self.z_mm[k])
        weights = [self._weights(field, axis)[cut] for axis, cut in enumerate((k, j, i))]
        return field.through(weights[0][:, planes], *weights[1:], self._cache[key][1][planes])

    def _weights(self, field: SmoothField, axis: int) -> Tensor:
        """Spline weights of the block along ``axis``, computed once for all fields of a pitch."""
        key = axis, field.pitch[axis]
        if key not in self._cache:
            weights = field.weights(axis, self._axes_mm[axis])
            self._cache[key] = torch.from_numpy(weights).to(self.device)
        return self._cache[key][self._cut[axis]]

    def window(self, box: Box) -> Window | None:
        """Index window (k, j, i) that holds a box ((x0, x1), (y0, y1), (z0, z1)) of the head, or None."""
        middle = [(low + high) / 2 + shift for (low, high), shift in zip(box, self._shift, strict=True)]
        half = [(high - low) / 2 for low, high in box]
        window = []
        for row, positions in zip(self._inverse[::-1], (self.z_mm, self.y_mm, self.x_mm), strict=True):
            m = sum(r * c for r, c in zip(row, middle, strict=True))
            h = sum(abs(r) * c for r, c in zip(row, half, strict=True)) + self._reach
            first, last = np.searchsorted(positions, (m - h, m + h)).tolist()
            if first >= last:
                return None
            window.append(slice(first, last))
        return tuple(window)

    def at(self, window: Window) -> tuple[Tensor, Tensor, Tensor]:
        """Head coordinates (x, y, z) of a window."""
        return self.x[window], self.y[window], self.z[window]

    def part(self, window: Window) -> Frame:
        """Return a window (k, j, i) of the block as a frame of its own, sharing memory."""
        frame = object.__new__(Frame)
        frame.__dict__.update((k, v) for k, v in self.__dict__.items() if k not in ("low", "high"))
        k, j, i = window
        frame.z_mm, frame.y_mm, frame.x_mm = self.z_mm[k], self.y_mm[j], self.x_mm[i]
        # contiguous copies: most operations on them are faster, and there are many
        frame.x, frame.y, frame.z = (axis[window].contiguous() for axis in (self.x, self.y, self.z))
        frame.shape = frame.x.shape
        frame._cut = window
        return frame
