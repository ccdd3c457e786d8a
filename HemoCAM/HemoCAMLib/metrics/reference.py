"""The truth of one case, and what of it is the same for every map that is measured against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .boxes import STRICT_IOU, boxes_of
from .distances import Surface
from .kinds import kind_pixels


@dataclass(frozen=True)
class Settings:
    """What the measures leave open.

    Parameters
    ----------
    strict_iou:
        IoU from which a box is hit strictly.
    smallest_box:
        Components of fewer pixels have no box.
    tolerance_mm:
        How far beside the truth the peak of a map may lie to be near: by default half a cell of a map at 1/16
        of the input, whose cells are 15 mm.
    lesion_covered:
        Part of a lesion that must be covered to be found; 0: any overlap.
    smallest_lesion:
        Smaller components, in voxels, are no lesions.
    distances:
        Whether Hausdorff distances are measured, which take the longest; their column is NaN if not.
    """

    strict_iou: float = STRICT_IOU
    smallest_box: int = 1
    tolerance_mm: float = 7.5
    lesion_covered: float = 0.0
    smallest_lesion: int = 1
    distances: bool = True


@dataclass(frozen=True, eq=False)
class Reference:
    """The truth of a case, prepared once for all its maps: methods, stages, scales and rules.

    Parameters
    ----------
    labels:
        Shape (n, H, W): whole numbers, every value but 0 is hemorrhage; or bool.
    ijk_to_ras:
        Affine of the grid, shape (4, 4), mm, whose voxel (i, j, k) is ``labels[k, j, i]``; None where sizes are not
        known: whatever is in mm or ml is NaN then.
    kinds:
        Label of each kind of hemorrhage (:data:`~..datasets.layouts.LABELS`, say); empty where the labels tell none.
    settings:
        What the measures leave open.

    Raises
    ------
    ValueError
        If labels are neither whole numbers from 0 nor bool, or have another number of axes.
    """

    labels: np.ndarray
    ijk_to_ras: np.ndarray | None
    kinds: Mapping[str, int]
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        labels = self.labels
        if labels.ndim != 3 or labels.dtype.kind not in "bui" or (labels.size and labels.min() < 0):
            raise ValueError(
                f"labels are whole numbers from 0, of the shape (n, H, W), not {labels.dtype} of {labels.shape}"
            )

    @cached_property
    def mask(self) -> np.ndarray:
        """The hemorrhage of all kinds, bool, shape (n, H, W)."""
        return self.labels if self.labels.dtype == bool else self.labels != 0

    @cached_property
    def boxes(self) -> list[np.ndarray]:
        """Boxes of each slice, as :func:`~.boxes.boxes_of` gives them."""
        return [boxes_of(plane, self.settings.smallest_box) for plane in self.mask]

    @cached_property
    def kind_pixels(self) -> np.ndarray:
        """Pixels of each kind in each slice, shape (n, kinds)."""
        return kind_pixels(self.labels, self.mask, self.kinds)

    @cached_property
    def surface(self) -> Surface | None:
        """To measure distances from; None where sizes are not known or distances not wanted."""
        measured = self.settings.distances and self.ijk_to_ras is not None
        return Surface(self.mask, self.ijk_to_ras) if measured else None

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Distance in mm between rows and between columns, if it is known."""
        if self.ijk_to_ras is None:
            return None
        i, j = np.linalg.norm(self.ijk_to_ras[:3, :2], axis=0)
        return float(j), float(i)

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel in mm2; NaN where it is not known."""
        if self.ijk_to_ras is None:
            return np.nan
        return float(np.linalg.norm(np.cross(*self.ijk_to_ras[:3, :2].T)))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml (right for sheared grids, too); NaN where it is not known."""
        return (
            np.nan if self.ijk_to_ras is None else abs(float(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000
        )
