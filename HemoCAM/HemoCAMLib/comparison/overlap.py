"""How much two masks have in common: counts of voxels, the ratios made of them, volumes and centres.

Sources: L. R. Dice, Ecology 26 (1945) 297; P. Jaccard, New Phytologist 11 (1912) 37; A. A. Taha and
A. Hanbury, BMC Medical Imaging 15 (2015) 29, for all of them on masks of voxels. The values on empty masks
of Dice, sensitivity and specificity are Plastimatch's (``plastimatch dice``), which SlicerRT runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .masks import Box, bounding_box, union_box


@dataclass(frozen=True)
class Counts:
    """Voxels by agreement, counted over all voxels of the common grid.

    Parameters
    ----------
    true_positives:
        Voxels in both masks.
    false_positives:
        Voxels in the test mask only.
    false_negatives:
        Voxels in the reference only.
    true_negatives:
        Voxels in neither.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def of(cls, reference: np.ndarray, test: np.ndarray) -> Counts:
        """Count two masks, bool, of the same shape.

        Raises
        ------
        ValueError
            If the arrays are not boolean or differ in shape.
        """
        return count(reference, test, union_box(bounding_box(reference), bounding_box(test)))

    @property
    def reference(self) -> int:
        """Voxels of the reference."""
        return self.true_positives + self.false_negatives

    @property
    def test(self) -> int:
        """Voxels of the test mask."""
        return self.true_positives + self.false_positives

    @property
    def all(self) -> int:
        """Voxels of the grid."""
        return self.reference + self.false_positives + self.true_negatives


def count(reference: np.ndarray, test: np.ndarray, box: Box | None) -> Counts:
    """Count two masks, bool, that are False outside ``box`` (None: both are empty); see :class:`Counts`."""
    if reference.dtype != bool or test.dtype != bool:
        raise ValueError(f"masks are bool, not {reference.dtype} and {test.dtype}")
    if reference.shape != test.shape:
        raise ValueError(f"masks have one shape, not {reference.shape} and {test.shape}")
    if box is None:
        return Counts(0, 0, 0, reference.size)
    here, there = reference[box], test[box]
    both = int(np.count_nonzero(here & there))
    missed = int(np.count_nonzero(here)) - both
    extra = int(np.count_nonzero(there)) - both
    return Counts(both, extra, missed, reference.size - both - extra - missed)


def _ratio(part: int, whole: int, undefined: float) -> float:
    return part / whole if whole else undefined


def dice(counts: Counts) -> float:
    """Dice coefficient, 2 TP / (2 TP + FP + FN), 0 to 1 (identical); 0 when both masks are empty.

    The 0 on two empty masks is Plastimatch's convention: it found nothing in common.
    """
    return _ratio(2 * counts.true_positives, counts.reference + counts.test, 0.0)


def iou(counts: Counts) -> float:
    """Intersection over union (Jaccard), TP / (TP + FP + FN), 0 to 1; 0 when both masks are empty.

    Always Dice / (2 - Dice), on empty masks too.
    """
    return _ratio(counts.true_positives, counts.reference + counts.false_positives, 0.0)


def sensitivity(counts: Counts) -> float:
    """Part of the reference that was found, TP / (TP + FN), 0 to 1; NaN when the reference is empty."""
    return _ratio(counts.true_positives, counts.reference, math.nan)


def precision(counts: Counts) -> float:
    """Part of the test mask that is right, TP / (TP + FP), 0 to 1; NaN when the test mask is empty."""
    return _ratio(counts.true_positives, counts.test, math.nan)


def specificity(counts: Counts) -> float:
    """Part of the background left alone, TN / (TN + FP), 0 to 1; NaN when the reference fills the grid.

    Background is all of the grid, air around the head included: near 1 whatever the mask, and not to be
    compared between grids.
    """
    return _ratio(counts.true_negatives, counts.true_negatives + counts.false_positives, math.nan)


def percent(part: int, counts: Counts) -> float:
    """Return ``part`` (one of the four counts) in percent of all voxels of the grid, 0 to 100.

    As in SlicerRT, the whole is the grid and not one of the masks: true positives of a small lesion are far
    below 1 %. The four add up to 100, on empty masks too (100 % true negatives).
    """
    return 100.0 * part / counts.all


def centre(mask: np.ndarray, ijk_to_ras: np.ndarray, box: Box | None = None) -> np.ndarray:
    """Centre of a mask: the mean position of its voxel centres.

    Parameters
    ----------
    mask:
        Shape (K, J, I), bool.
    ijk_to_ras:
        Affine of the grid, shape (4, 4), mm.
    box:
        Where to look, if the mask is known to be empty elsewhere; else all of it.

    Returns
    -------
    np.ndarray
        Shape (3,), RAS, mm; NaN for an empty mask. (Plastimatch prints 0 for an empty reference, which is
        a point in the patient, and NaN for an empty test mask.)
    """
    box = box or (slice(None),) * 3
    part = mask[box]
    total = np.count_nonzero(part)
    if not total:
        return np.full(3, np.nan)
    ijk = np.empty(3)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        weights = np.count_nonzero(part, axis=others)
        ijk[2 - axis] = weights @ np.arange(len(weights)) / total + (box[axis].start or 0)
    return ijk_to_ras[:3, :3] @ ijk + ijk_to_ras[:3, 3]
