"""Pixels that a mask and the truth have in common, for many slices or thresholds at once.

The definitions, and the values on empty masks, are those of :mod:`~..comparison.overlap`, on arrays. Sources:
L. R. Dice, Ecology 26 (1945) 297; P. Jaccard, New Phytologist 11 (1912) 37; D. Szymkiewicz, Acta Societatis
Botanicorum Poloniae 11 (1934) 249, for the overlap coefficient; A. A. Taha and A. Hanbury, BMC Medical Imaging
15 (2015) 29, for all of them on masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class PixelCounts:
    """Pixels by agreement; four arrays of whole numbers, int64, of one shape: slices, thresholds, or both.

    Parameters
    ----------
    tp, fp, fn, tn:
        Pixels in mask and truth, in the mask only, in the truth only, in neither.
    """

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """Pixels of the truth."""
        return self.tp + self.fn

    @property
    def test(self) -> np.ndarray:
        """Pixels of the mask."""
        return self.tp + self.fp

    def __getitem__(self, which: object) -> PixelCounts:
        """Return the counts of some: ``which`` is an index of the arrays."""
        return PixelCounts(*(np.asarray(getattr(self, f.name)[which]) for f in fields(self)))

    def __add__(self, other: PixelCounts) -> PixelCounts:
        """Add up the counts of other pixels."""
        return PixelCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def pooled(self, axis: int = 0) -> PixelCounts:
        """Return the counts of all pixels of all slices together; zeros of no slices."""
        return PixelCounts(*(getattr(self, f.name).sum(axis=axis, dtype=np.int64) for f in fields(self)))


def count(truth: np.ndarray, test: np.ndarray) -> PixelCounts:
    """Count two masks slice by slice.

    Parameters
    ----------
    truth, test:
        Masks, shape (n, H, W), bool.

    Returns
    -------
    PixelCounts
        Of shape (n,).

    Raises
    ------
    ValueError
        If the arrays are not boolean, not three-dimensional or differ in shape.
    """
    check_masks(truth, test)
    both, here, there = np.zeros((3, len(truth)), np.int64)
    for k, (a, b) in enumerate(zip(truth, test, strict=True)):
        here[k], there[k] = np.count_nonzero(a), np.count_nonzero(b)
        if here[k] and there[k]:
            both[k] = np.count_nonzero(a & b)
    pixels = truth.shape[1] * truth.shape[2]
    return PixelCounts(both, there - both, here - both, pixels - here - there + both)


def check_masks(*masks: np.ndarray) -> None:
    """Raise :class:`ValueError` if masks are not bool, not (n, H, W) or differ in shape."""
    for mask in masks:
        if mask.dtype != bool or mask.ndim != 3:
            raise ValueError(f"masks are bool of shape (n, H, W), not {mask.dtype} of {mask.shape}")
        if mask.shape != masks[0].shape:
            raise ValueError(f"masks have one shape, not {masks[0].shape} and {mask.shape}")


def ratio(part: np.ndarray, whole: np.ndarray, undefined: float) -> np.ndarray:
    """Return ``part / whole`` as float64, ``undefined`` where ``whole`` is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.full(part.shape, undefined), where=whole != 0)


def dice(counts: PixelCounts) -> np.ndarray:
    """Dice coefficient, 2 TP / (2 TP + FP + FN), 0 to 1 (identical); 0 when both masks are empty.

    Of a slice without truth it is 0 whatever the mask: means of it are taken over positive slices.
    """
    return ratio(2 * counts.tp, counts.truth + counts.test, 0.0)


def iou(counts: PixelCounts) -> np.ndarray:
    """Intersection over union (Jaccard), TP / (TP + FP + FN), 0 to 1 (identical); 0 when both masks are empty.

    Always Dice / (2 - Dice) of the same pixels; of their means over slices this does not hold.
    """
    return ratio(counts.tp, counts.truth + counts.fp, 0.0)


def precision(counts: PixelCounts) -> np.ndarray:
    """Part of the mask that is right, TP / (TP + FP), 0 to 1; NaN when the mask is empty.

    A mean leaves the NaN out, and so flatters a map that shows something on few slices only.
    """
    return ratio(counts.tp, counts.test, np.nan)


def recall(counts: PixelCounts) -> np.ndarray:
    """Part of the truth that is covered (sensitivity), TP / (TP + FN), 0 to 1; NaN when the truth is empty."""
    return ratio(counts.tp, counts.truth, np.nan)


def overlap(counts: PixelCounts) -> np.ndarray:
    """Pixel-wise overlap: the overlap coefficient, TP / min(TP + FN, TP + FP), 0 to 1; 0 when either is empty.

    The abstract of Rafati et al. 2025 (arXiv 2508.17699) names a "pixel-wise overlap" beside Dice and IoU and
    gives no formula. Read as the part of the bleeding that is covered, it is :func:`recall` and listed under
    that name; this is the symmetric reading. It is the larger of precision and recall: 1 as soon as one mask
    lies within the other, so that a mask of one pixel, or of the whole slice, can have it. Never judge by it
    alone.
    """
    return ratio(counts.tp, np.minimum(counts.truth, counts.test), 0.0)


# What is computed of counts, by its column's name.
PIXEL_METRICS: dict[str, Callable[[PixelCounts], np.ndarray]] = {
    "dice": dice,
    "iou": iou,
    "precision": precision,
    "recall": recall,
    "overlap": overlap,
}
