"""Bounding boxes of what a mask shows, and how well they agree with those of the truth.

A box is the smallest upright rectangle of whole pixels around a connected component of a slice (two
dimensions, 8-connectivity: pixels that touch at a corner belong together).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Pixels at a corner belong together.
_EIGHT = np.ones((3, 3), bool)
STRICT_IOU = 0.5


def boxes_of(mask: np.ndarray, smallest: int = 1) -> np.ndarray:
    """Return the boxes of a mask's components.

    Parameters
    ----------
    mask:
        One slice, shape (H, W), bool.
    smallest:
        Components of fewer pixels are left out.

    Returns
    -------
    np.ndarray
        Shape (m, 4), int64: first row, first column, last row + 1, last column + 1; in the order of the components'
        first pixels. (0, 4) for an empty mask.

    Raises
    ------
    ValueError
        If the mask is not bool or not of two dimensions.
    """
    from scipy.ndimage import find_objects, label

    if mask.dtype != bool or mask.ndim != 2:
        raise ValueError(f"a slice's mask is bool of shape (H, W), not {mask.dtype} of {mask.shape}")
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return np.empty((0, 4), np.int64)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    labels, number = label(part, _EIGHT)
    found = [(r.start, c.start, r.stop, c.stop) for r, c in find_objects(labels)]
    boxes = np.array(found, np.int64) + np.tile([rows[0], columns[0]], 2)
    if smallest > 1:
        boxes = boxes[np.bincount(labels.ravel(), minlength=number + 1)[1:] >= smallest]
    return boxes


def area(boxes: np.ndarray) -> np.ndarray:
    """Area of each box in pixels, shape (m,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def shared_area(truth: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Area in pixels that each truth box shares with each test box, shape (m, n), int64."""
    low = np.maximum(truth[:, None, :2], test[None, :, :2])
    high = np.minimum(truth[:, None, 2:], test[None, :, 2:])
    return np.maximum(high - low, 0).prod(axis=2)


def box_iou(truth: np.ndarray, test: np.ndarray) -> np.ndarray:
    """IoU of each truth box with each test box, shape (m, n), 0 to 1; boxes are never empty."""
    shared = shared_area(truth, test)
    return shared / (area(truth)[:, None] + area(test)[None] - shared)


def union_area(boxes: np.ndarray) -> int:
    """Number of pixels that lie in any of the boxes; 0 for none."""
    return int(_coverage(boxes, boxes)[0])


@dataclass(frozen=True)
class BoxAgreement:
    """What the boxes of one slice have in common; numbers of boxes, from which rates over slices follow.

    Parameters
    ----------
    dice, iou:
        Of two sets of pixels, those in any truth box and those in any test box: 2 |A and B| / (|A| + |B|) and
        |A and B| / |A or B|, 0 to 1 (identical sets); 0 when both are empty. With one box on each side they
        are what the paper calls box Dice and box IoU (Rafati et al. 2025 have 0.572 and 0.401).
    matched_dice, matched_iou:
        Boxes in pairs, each box in one pair at most, so that the sum of their IoU is largest (H. W. Kuhn,
        Naval Research Logistics Quarterly 2 (1955) 83); pairs without a common pixel are none. The sum of the
        pairs' Dice or IoU over the number of pairs and of unpaired boxes of either side: 0 to 1
        (identical boxes), 0 without boxes. One box around two lesions loses here, and not above.
    truth_boxes, test_boxes:
        How many there are.
    truth_loose, truth_strict:
        Truth boxes that share a pixel with any test box; whose IoU with a test box is at least the strict value.
        Over ``truth_boxes`` it is the hit rate (the paper's loose one is 0.975), undefined without boxes.
    test_loose, test_strict:
        Test boxes that so hit a truth box, over ``test_boxes``.
    """

    dice: float
    iou: float
    matched_dice: float
    matched_iou: float
    truth_boxes: int
    test_boxes: int
    truth_loose: int
    truth_strict: int
    test_loose: int
    test_strict: int


NOTHING = BoxAgreement(0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0)


def compare_boxes(truth: np.ndarray, test: np.ndarray, strict: float = STRICT_IOU) -> BoxAgreement:
    """Compare the boxes of one slice.

    Parameters
    ----------
    truth, test:
        Boxes, shapes (m, 4) and (n, 4), as :func:`boxes_of` returns them.
    strict:
        IoU from which a box is hit strictly, above 0 and up to 1.

    Raises
    ------
    ValueError
        If ``strict`` is another.
    """
    if not 0 < strict <= 1:
        raise ValueError(f"a strict hit is one of an IoU above 0 and up to 1, not {strict}")
    counts = {"truth_boxes": len(truth), "test_boxes": len(test)}
    if not len(truth) or not len(test):
        return BoxAgreement(
            0.0, 0.0, 0.0, 0.0, **counts, truth_loose=0, truth_strict=0, test_loose=0, test_strict=0
        )
    here, there, both = _coverage(truth, test)
    table = box_iou(truth, test)
    rows, columns = _pairs(table)
    singles = len(truth) + len(test) - len(rows)
    paired = table[rows, columns]
    return BoxAgreement(
        dice=2 * both / (here + there),
        iou=both / (here + there - both),
        matched_dice=float((2 * paired / (1 + paired)).sum()) / singles,
        matched_iou=float(paired.sum()) / singles,
        **counts,
        truth_loose=int(np.count_nonzero(table.any(axis=1))),
        truth_strict=int(np.count_nonzero(table.max(axis=1) >= strict)),
        test_loose=int(np.count_nonzero(table.any(axis=0))),
        test_strict=int(np.count_nonzero(table.max(axis=0) >= strict)),
    )


def _pairs(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pairs of the largest sum, those of 0 left out."""
    from scipy.optimize import linear_sum_assignment

    if 1 in table.shape:  # most slices: one box on a side, no search
        best = np.unravel_index(int(table.argmax()), table.shape)
        rows, columns = (np.array([int(i)]) for i in best)
    else:
        rows, columns = linear_sum_assignment(table, maximize=True)
    counted = table[rows, columns] > 0
    return rows[counted], columns[counted]


def _coverage(truth: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Pixels in any truth box, in any test box, and in both; on the grid of the boxes' own edges."""
    rows = np.unique(np.concatenate([truth[:, [0, 2]].ravel(), test[:, [0, 2]].ravel()]))
    columns = np.unique(np.concatenate([truth[:, [1, 3]].ravel(), test[:, [1, 3]].ravel()]))
    if not rows.size:
        return np.zeros(3, np.int64)
    painted = np.zeros((2, len(rows) - 1, len(columns) - 1), bool)
    for layer, boxes in zip(painted, (truth, test), strict=True):
        first_row, last_row = np.searchsorted(rows, boxes[:, [0, 2]].T)
        first_column, last_column = np.searchsorted(columns, boxes[:, [1, 3]].T)
        for top, left, bottom, right in zip(first_row, first_column, last_row, last_column, strict=True):
            layer[top:bottom, left:right] = True
    cells = np.outer(np.diff(rows), np.diff(columns))
    return np.array([cells[painted[0]].sum(), cells[painted[1]].sum(), cells[painted.all(axis=0)].sum()])
