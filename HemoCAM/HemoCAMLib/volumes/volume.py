"""A volume in memory: voxels and the affine that places them in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

# LPS (DICOM, ITK) to RAS (Slicer, NIfTI) and back: the same matrix.
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

AIR_HU = -1024


@dataclass(frozen=True)
class Volume:
    """Voxels on a regular grid that may be oblique (rotated) or sheared (gantry tilt).

    Parameters
    ----------
    array:
        Voxels, shape (K, J, I), any numeric dtype; HU for a CT. Numpy's order: the last axis is I.
    ijk_to_ras:
        Affine, shape (4, 4): the centre of voxel (i, j, k) lies at ``ijk_to_ras @ (i, j, k, 1)``, in mm, in
        Slicer's frame (+R to the patient's right, +A to the front, +S to the head).
    name:
        What the volume is called in scenes and reports. Never a patient's name or ID.
    acquired:
        Shape (K,), bool, or None for "all": False where a slice was missing from a DICOM series and stands
        here as the linear interpolation of its neighbours, so that all others keep their true positions.
    findings:
        Sentences about the input that its user should read (a missing slice, a series left aside).
    source:
        What the volume was read from, for the run's summary: JSON values only, no patient data.

    Raises
    ------
    ValueError
        If the shapes do not fit or the affine is singular.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    name: str = "CT"
    acquired: np.ndarray | None = None
    findings: tuple[str, ...] = ()
    source: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        matrix = np.asarray(self.ijk_to_ras, dtype=np.float64)
        if self.array.ndim != 3 or matrix.shape != (4, 4):
            raise ValueError(
                f"a volume has 3 axes and a 4 x 4 affine, not {self.array.shape}, {matrix.shape}"
            )
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
            raise ValueError("the IJK-to-RAS matrix is singular")
        if self.acquired is not None and self.acquired.shape != self.array.shape[:1]:
            raise ValueError("`acquired` has one entry a slice")
        object.__setattr__(self, "ijk_to_ras", matrix)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (K, J, I)."""
        return self.array.shape

    @cached_property
    def spacing(self) -> np.ndarray:
        """Distance in mm between neighbouring voxel centres along I, J, K: the affine's column lengths."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml (right for sheared grids, too)."""
        return abs(np.linalg.det(self.ijk_to_ras[:3, :3])) / 1000.0

    def ras(self, ijk: np.ndarray) -> np.ndarray:
        """RAS positions in mm, shape (..., 3), of continuous voxel indices ``ijk``, shape (..., 3)."""
        return np.asarray(ijk) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def ijk(self, ras: np.ndarray) -> np.ndarray:
        """Continuous voxel indices (i, j, k), shape (..., 3), of RAS positions in mm, shape (..., 3)."""
        inverse = np.linalg.inv(self.ijk_to_ras)
        return np.asarray(ras) @ inverse[:3, :3].T + inverse[:3, 3]

    def like(self, array: np.ndarray, name: str) -> Volume:
        """Return another quantity on this volume's grid: ``array`` of shape (K, J, I)."""
        if array.shape != self.array.shape:
            raise ValueError(f"{name}: shape {array.shape} is not the grid's {self.array.shape}")
        return replace(self, array=array, name=name, findings=(), source={})

    def same_grid(self, other: Volume, tolerance_mm: float = 1e-3) -> bool:
        """Tell whether all voxel centres coincide within ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape[::-1]])).reshape(3, -1).T
        return bool(np.abs(self.ras(corners) - other.ras(corners)).max() <= tolerance_mm)
