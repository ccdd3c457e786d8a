"""Lesions of a volume: which were found, what was found that is none, and how far its size is off.

A lesion is a connected component of a mask of a volume (three dimensions, 26-connectivity: voxels that touch at
a corner belong together). Lesion-wise F1 as in the ISLES challenge: M. R. Hernandez Petzsche et al., Scientific
Data 9 (2022) 762.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..comparison.masks import bounding_box
from .pixels import check_masks

_TWENTY_SIX = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class LesionAgreement:
    """How many lesions there are, and how many agree.

    Parameters
    ----------
    truth_lesions, test_lesions:
        Lesions of the truth, and of the mask.
    found:
        Lesions of the truth that the mask covers as far as is asked.
    right:
        Lesions of the mask that the truth covers as far.
    """

    truth_lesions: int
    test_lesions: int
    found: int
    right: int

    @property
    def false_positives(self) -> int:
        """Lesions of the mask that are none, in this scan; 0 for an empty mask."""
        return self.test_lesions - self.right

    @property
    def sensitivity(self) -> float:
        """Share of the truth's lesions that were found, 0 to 1; NaN without any."""
        return self.found / self.truth_lesions if self.truth_lesions else math.nan

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN) with TP the lesions found, FN those missed, 0 to 1; NaN without any lesion.

        Several lesions of the mask in one of the truth count once, and none of them as false.
        """
        whole = self.truth_lesions + self.found + self.false_positives
        return 2 * self.found / whole if whole else math.nan


def compare_lesions(
    truth: np.ndarray, test: np.ndarray, covered: float = 0.0, smallest: int = 1
) -> LesionAgreement:
    """Detect lesions.

    Parameters
    ----------
    truth, test:
        Masks of one volume, shape (n, H, W), bool.
    covered:
        Part of a lesion's voxels that must lie in the other mask, 0 to 1; at least one voxel, so that 0 means any
        overlap.
    smallest:
        Smaller components, in voxels, are no lesions of either mask; as a part of the mask that others are
        held against they still count, so that what lies on a small bleed is not false.

    Raises
    ------
    ValueError
        If masks are not bool or differ in shape, or ``covered`` is out of range.
    """
    check_masks(truth, test)
    if not 0 <= covered <= 1:
        raise ValueError(f"the part of a lesion to be covered is 0 to 1, not {covered}")
    truth_lesions, found = _hits(truth, test, covered, smallest)
    test_lesions, right = _hits(test, truth, covered, smallest)
    return LesionAgreement(truth_lesions, test_lesions, found, right)


def _hits(mask: np.ndarray, other: np.ndarray, covered: float, smallest: int) -> tuple[int, int]:
    """Number of lesions of ``mask``, and of those that ``other`` covers."""
    from scipy.ndimage import label

    box = bounding_box(mask)
    if box is None:
        return 0, 0
    labels, number = label(mask[box], _TWENTY_SIX)
    size = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    shared = np.bincount(labels[other[box]], minlength=number + 1)[1:]
    lesion = size >= smallest
    hit = (shared > 0) & (shared >= covered * size * (1 - 1e-12))  # 0.07 * 100 is more than 7 in floats
    return int(np.count_nonzero(lesion)), int(np.count_nonzero(lesion & hit))


@dataclass(frozen=True)
class VolumeAgreement:
    """Volumes of truth and mask in ml.

    Parameters
    ----------
    truth_ml, test_ml:
        0 and above; NaN where the size of a voxel is not known.
    """

    truth_ml: float
    test_ml: float

    @property
    def error_ml(self) -> float:
        """Mask minus truth, ml: above 0 where too much is shown."""
        return self.test_ml - self.truth_ml

    @property
    def absolute_error_ml(self) -> float:
        """Size of the error, ml, 0 and above."""
        return abs(self.error_ml)

    @property
    def relative_error(self) -> float:
        """Error over the truth's volume, -1 (nothing shown) and above; NaN when the truth is empty."""
        return self.error_ml / self.truth_ml if self.truth_ml else math.nan
