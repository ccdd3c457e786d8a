"""Boxes: against scikit-image's regions, torchvision's and MONAI's IoU, painted pixels, and brute-force pairing."""

from itertools import permutations

import numpy as np
import pytest
from HemoCAMLib.metrics.boxes import NOTHING, area, box_iou, boxes_of, compare_boxes, shared_area, union_area
from HemoCAMLib.metrics.pixels import count, dice, iou
from hypothesis import given
from hypothesis import strategies as st
from metrics_cases import SHAPE, hand_made, masks_2d, pairs, stacks

box_lists = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 9), st.integers(1, 8), st.integers(1, 8)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    max_size=5,
).map(lambda boxes: np.array(boxes, np.int64).reshape(-1, 4))


def painted(boxes, shape=(24, 20)):
    mask = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_boxes_of_hand_made_masks():
    found = {name: boxes_of(mask).tolist() for name, mask in hand_made().items()}
    assert found == {
        "empty": [],
        "pixel": [[7, 9, 8, 10]],
        "corner": [[23, 19, 24, 20]],
        "border": [[0, 12, 5, 20]],
        "two": [[2, 3, 6, 8], [15, 10, 20, 18]],
        "touching": [[4, 4, 11, 12]],
        "ring": [[5, 5, 15, 15]],
        "full": [[0, 0, *SHAPE]],
    }


@given(masks_2d, st.integers(1, 6))
def test_boxes_are_scikit_images(mask, smallest):
    measure = pytest.importorskip(
        "skimage.measure", reason="scikit-image is not installed: not compared with it"
    )
    regions = measure.regionprops(measure.label(mask, connectivity=2))
    expected = [r.bbox for r in regions if r.area >= smallest]
    assert sorted(map(tuple, boxes_of(mask, smallest).tolist())) == sorted(expected)


def test_boxes_of_random_blobs_are_scikit_images():
    measure = pytest.importorskip(
        "skimage.measure", reason="scikit-image is not installed: not compared with it"
    )
    for mask in np.concatenate(stacks()):
        expected = [r.bbox for r in measure.regionprops(measure.label(mask, connectivity=2))]
        assert sorted(map(tuple, boxes_of(mask).tolist())) == sorted(expected)


@given(box_lists, box_lists)
def test_iou_is_torchvisions(truth, test):
    import torch
    from torchvision.ops import box_iou as reference

    table = box_iou(truth, test)
    assert table.shape == (len(truth), len(test))
    tensors = [torch.from_numpy(boxes[:, [1, 0, 3, 2]]).double() for boxes in (truth, test)]
    assert np.allclose(table, reference(*tensors).numpy())


def test_iou_is_monais():
    box_utils = pytest.importorskip(
        "monai.data.box_utils", reason="MONAI is not installed: not compared with it"
    )
    rng = np.random.default_rng(2)
    low = rng.integers(0, 50, (2, 12, 2))
    truth, test = np.concatenate([low, low + rng.integers(1, 30, (2, 12, 2))], axis=2)
    expected = box_utils.box_iou(truth.astype(np.float64), test.astype(np.float64))
    assert np.allclose(box_iou(truth, test), expected)
    assert np.array_equal(area(truth), box_utils.box_area(truth.astype(np.float64)))


@given(box_lists, box_lists)
def test_sets_of_boxes_agree_as_their_painted_pixels_do(truth, test):
    found = compare_boxes(truth, test)
    counts = count(painted(truth)[None], painted(test)[None])
    assert found.dice == pytest.approx(dice(counts)[0])
    assert found.iou == pytest.approx(iou(counts)[0])
    assert union_area(truth) == painted(truth).sum()
    for a, row in zip(truth, shared_area(truth, test), strict=True):
        for b, shared in zip(test, row, strict=True):
            assert shared == (painted([a]) & painted([b])).sum()


@given(box_lists, box_lists)
def test_pairs_have_the_largest_sum_there_is(truth, test):
    found = compare_boxes(truth, test)
    table = box_iou(truth, test) if len(truth) <= len(test) else box_iou(test, truth)
    best, most = 0.0, 0
    for columns in permutations(range(table.shape[1]), table.shape[0]):
        values = table[range(len(table)), columns] if len(table) else np.zeros(0)
        if values.sum() > best + 1e-12:
            best, most = values.sum(), np.count_nonzero(values)
        elif values.sum() > best - 1e-12:
            most = max(most, np.count_nonzero(values))
    expected = best / (len(truth) + len(test) - most) if best else 0
    assert found.matched_iou == pytest.approx(expected)


@given(box_lists, box_lists, st.randoms(use_true_random=False), st.floats(0.05, 1))
def test_laws_of_boxes(truth, test, random, strict):
    found, swapped = compare_boxes(truth, test, strict), compare_boxes(test, truth, strict)
    assert (found.dice, found.iou) == (swapped.dice, swapped.iou)
    assert found.matched_iou == pytest.approx(swapped.matched_iou)
    assert found.matched_dice == pytest.approx(swapped.matched_dice)
    assert (found.truth_boxes, found.truth_loose, found.truth_strict) == (
        swapped.test_boxes, swapped.test_loose, swapped.test_strict,
    )  # fmt: skip
    assert 0 <= found.truth_strict <= found.truth_loose <= found.truth_boxes == len(truth)
    assert 0 <= found.test_strict <= found.test_loose <= found.test_boxes == len(test)
    assert (found.truth_loose == 0) == (found.test_loose == 0) == (found.iou == 0)
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))
    assert 0 <= found.matched_iou <= found.matched_dice <= 1
    order = random.sample(range(len(truth)), len(truth))
    assert compare_boxes(truth[order], test, strict).matched_iou == pytest.approx(found.matched_iou)
    moved = compare_boxes(
        truth[:, [1, 0, 3, 2]] + 3, test[:, [1, 0, 3, 2]] + 3, strict
    )  # transposed and shifted
    assert (moved.dice, moved.truth_strict, moved.test_loose) == (
        found.dice,
        found.truth_strict,
        found.test_loose,
    )


def test_hits_worked_out_on_paper():
    truth = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]])
    test = np.array([[0, 0, 10, 5], [20, 20, 30, 24], [29, 29, 33, 33], [60, 60, 61, 61]])
    found = compare_boxes(truth, test)
    assert (found.truth_boxes, found.truth_loose, found.truth_strict) == (
        3,
        2,
        1,
    )  # IoU 0.5 is strict, 0.4 is not
    assert (found.test_boxes, found.test_loose, found.test_strict) == (4, 3, 1)
    assert found.iou == pytest.approx((50 + 40 + 1) / (300 + 15 + 1))
    assert found.matched_iou == pytest.approx(
        (0.5 + 0.4) / 5
    )  # two pairs, one truth box and two others alone
    assert found.matched_dice == pytest.approx((2 / 3 + 0.8 / 1.4) / 5)
    assert compare_boxes(truth, test, strict=0.4).truth_strict == 2


def test_touching_boxes_do_not_overlap():
    found = compare_boxes(np.array([[0, 0, 5, 5]]), np.array([[0, 5, 5, 9]]))
    assert (found.iou, found.truth_loose, found.matched_iou) == (0, 0, 0)


def test_one_box_around_two_loses_as_pairs_and_not_as_pixels():
    truth = np.array([[0, 0, 10, 10], [0, 10, 10, 20]])
    found = compare_boxes(truth, np.array([[0, 0, 10, 20]]))
    assert found.iou == 1 and found.matched_iou == pytest.approx(0.5 / 2)


@pytest.mark.parametrize(("name", "one", "other"), pairs(), ids=[name for name, _, _ in pairs()])
def test_hand_made_masks(name, one, other):
    truth, test = boxes_of(one), boxes_of(other)
    found = compare_boxes(truth, test)
    if not one.any() or not other.any():
        assert (found.dice, found.iou, found.matched_dice, found.matched_iou) == (0, 0, 0, 0)
        assert found.truth_loose == found.test_loose == found.truth_strict == found.test_strict == 0
        assert (found.truth_boxes, found.test_boxes) == (len(truth), len(test))
    elif one is other or np.array_equal(one, other):
        assert found.dice == found.iou == found.matched_dice == found.matched_iou == 1
        assert found.truth_strict == found.test_strict == len(truth)


def test_nothing_is_what_two_empty_slices_give():
    none = np.empty((0, 4), np.int64)
    assert compare_boxes(none, none) == NOTHING
    assert union_area(none) == 0


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="bool"):
        boxes_of(np.ones((3, 3)))
    with pytest.raises(ValueError, match="shape"):
        boxes_of(np.ones((1, 3, 3), bool))
    for strict in (0, 1.5, np.nan):
        with pytest.raises(ValueError, match="strict"):
            compare_boxes(np.array([[0, 0, 1, 1]]), np.array([[0, 0, 1, 1]]), strict)
