"""How much there is of each kind of hemorrhage, and which is the largest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def kind_pixels(labels: np.ndarray, where: np.ndarray, kinds: Mapping[str, int]) -> np.ndarray:
    """Count the pixels of each kind in each slice where a mask is True.

    Parameters
    ----------
    labels:
        Whole numbers from 0, shape (n, H, W).
    where:
        Mask of the same shape, bool.
    kinds:
        Label of each kind; other labels are of no kind.

    Returns
    -------
    np.ndarray
        Shape (n, kinds), int64, in the order of ``kinds``.
    """
    values = list(kinds.values())
    result = np.zeros((len(labels), len(values)), np.int64)
    if values:
        for k, (plane, mask) in enumerate(zip(labels, where, strict=True)):
            if mask.any():
                result[k] = np.bincount(plane[mask], minlength=max(values) + 1)[values]
    return result


def largest_kind(pixels: np.ndarray, kinds: Mapping[str, int]) -> np.ndarray:
    """Name the kind with most pixels, the first of equals.

    Parameters
    ----------
    pixels:
        As :func:`kind_pixels` returns them, shape (n, kinds).
    kinds:
        The same kinds.

    Returns
    -------
    np.ndarray
        Text, shape (n,); empty where no kind has any.
    """
    if not kinds:
        return np.full(len(pixels), "", "U1")
    return np.where(pixels.any(axis=1), np.array(list(kinds))[pixels.argmax(axis=1)], "")
