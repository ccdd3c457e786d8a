"""Pixel metrics and the sweep over thresholds: against other implementations, comparisons one by one, and laws."""

import numpy as np
import pytest
import SimpleITK as sitk
from HemoCAMLib.comparison import overlap as single
from HemoCAMLib.metrics.pixels import (
    PIXEL_METRICS,
    PixelCounts,
    count,
    dice,
    iou,
    overlap,
    precision,
    recall,
)
from HemoCAMLib.metrics.sweep import sweep
from hypothesis import given
from hypothesis import strategies as st
from metrics_cases import maps_3d, masks_3d, smooth_maps, stacks, threshold_lists
from sklearn import metrics as sk

GRID = np.linspace(0.1, 0.9, 50)


def test_worked_out_on_paper():
    counts = PixelCounts(*(np.array([n]) for n in (18, 82, 42, 290)))
    assert dice(counts) == pytest.approx(36 / 160)
    assert iou(counts) == pytest.approx(18 / 142)
    assert precision(counts) == pytest.approx(0.18)
    assert recall(counts) == pytest.approx(0.3)
    assert overlap(counts) == pytest.approx(0.3)


def test_agree_with_the_comparison_of_two_masks_on_hand_made_and_random_masks():
    """Plastimatch's values, then, on empty masks, too: the comparison is held to it."""
    truth, test = stacks()
    counts = count(truth, test)
    for k in range(len(truth)):
        one = single.Counts.of(truth[k : k + 1], test[k : k + 1])
        four = (one.true_positives, one.false_positives, one.false_negatives, one.true_negatives)
        assert tuple(getattr(counts, name)[k] for name in ("tp", "fp", "fn", "tn")) == four
        for metric, other in (
            (dice, single.dice), (iou, single.iou), (precision, single.precision), (recall, single.sensitivity)
        ):  # fmt: skip
            assert metric(counts)[k] == pytest.approx(other(one), nan_ok=True)


def test_agree_with_scikit_learn_and_itk():
    truth, test = stacks()
    counts = count(truth, test)
    for k, (a, b) in enumerate(zip(truth, test, strict=True)):
        flat = (a.ravel(), b.ravel())
        assert dice(counts)[k] == pytest.approx(sk.f1_score(*flat, zero_division=0))
        assert iou(counts)[k] == pytest.approx(sk.jaccard_score(*flat, zero_division=0))
        assert precision(counts)[k] == pytest.approx(
            sk.precision_score(*flat, zero_division=np.nan), nan_ok=True
        )
        assert recall(counts)[k] == pytest.approx(sk.recall_score(*flat, zero_division=np.nan), nan_ok=True)
        if a.any() and b.any():
            itk = sitk.LabelOverlapMeasuresImageFilter()
            itk.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (b, a)))
            assert dice(counts)[k] == pytest.approx(itk.GetDiceCoefficient())
            assert overlap(counts)[k] == pytest.approx(
                max(1 - itk.GetFalseDiscoveryRate(), 1 - itk.GetFalseNegativeError())
            )


def test_agree_with_monai():
    monai = pytest.importorskip("monai.metrics", reason="MONAI is not installed: not compared with it")
    import torch

    truth, test = (torch.from_numpy(masks[:, None].astype(np.float32)) for masks in stacks())
    counts = count(*stacks())
    settings = {"include_background": True, "ignore_empty": False}
    there = counts.truth + counts.test > 0  # MONAI has 1 where both are empty
    assert np.allclose(monai.compute_iou(test, truth, **settings).numpy()[there, 0], iou(counts)[there])
    assert np.allclose(monai.compute_dice(test, truth, **settings).numpy()[there, 0], dice(counts)[there])
    table = monai.get_confusion_matrix(test, truth).numpy()[:, 0]  # TP, FP, TN, FN
    assert (table == np.stack([counts.tp, counts.fp, counts.tn, counts.fn], axis=1)).all()


@pytest.mark.parametrize(
    ("truth", "test", "expected"),
    [
        (False, False, {"dice": 0, "iou": 0, "precision": np.nan, "recall": np.nan, "overlap": 0}),
        (True, False, {"dice": 0, "iou": 0, "precision": np.nan, "recall": 0, "overlap": 0}),
        (False, True, {"dice": 0, "iou": 0, "precision": 0, "recall": np.nan, "overlap": 0}),
        (True, True, {"dice": 1, "iou": 1, "precision": 1, "recall": 1, "overlap": 1}),
    ],
)
def test_values_on_empty_and_full_masks(truth, test, expected):
    counts = count(np.full((1, 3, 4), truth), np.full((1, 3, 4), test))
    for name, value in expected.items():
        assert PIXEL_METRICS[name](counts)[0] == pytest.approx(value, nan_ok=True), name


@given(masks_3d, masks_3d)
def test_laws_of_the_ratios(truth, test):
    counts, swapped = count(truth, test), count(test, truth)
    assert np.allclose(dice(counts), 2 * iou(counts) / (1 + iou(counts)))
    assert np.array_equal(precision(counts), recall(swapped), equal_nan=True)
    for metric in (dice, iou, overlap):
        assert np.array_equal(metric(counts), metric(swapped))
    for metric in PIXEL_METRICS.values():
        value = metric(counts)
        assert ((value >= 0) & (value <= 1) | np.isnan(value)).all()
    assert (iou(counts) <= dice(counts)).all() and (dice(counts) <= overlap(counts) + 1e-15).all()
    assert (counts.tp + counts.fp + counts.fn + counts.tn == truth[0].size).all()


@given(masks_3d, masks_3d, st.permutations(range(4)))
def test_flips_and_orders_change_nothing(truth, test, order):
    counts = count(truth, test)
    turned = count(truth[order, ::-1].transpose(0, 2, 1), test[order, ::-1].transpose(0, 2, 1))
    for name, metric in PIXEL_METRICS.items():
        assert np.array_equal(metric(counts)[order], metric(turned), equal_nan=True), name
    whole = single.Counts.of(truth, test)
    assert int(counts.pooled().tp) == whole.true_positives and int(counts.pooled().tn) == whole.true_negatives


@given(maps_3d, masks_3d, threshold_lists)
def test_a_sweep_counts_what_comparing_counts(maps, truth, thresholds):
    swept = sweep(maps, truth, thresholds)
    for j, t in enumerate(thresholds):
        one = count(truth, maps >= t)
        for name in ("tp", "fp", "fn", "tn"):
            assert np.array_equal(getattr(swept.counts, name)[:, j], getattr(one, name))
    assert np.array_equal(swept.positive, truth.any(axis=(1, 2)))


@pytest.mark.parametrize("power", [1, 8, 30])
def test_a_sweep_counts_exactly_however_close_thresholds_lie(power):
    maps = smooth_maps(4, shape=(40, 50)) ** power
    thresholds = np.unique(np.float32(maps.ravel()[maps.ravel() > 0][::37]))[:60]  # the very values of pixels
    truth = np.random.default_rng(1).random(maps.shape) < 0.2
    swept = sweep(maps, truth, thresholds)
    assert len(thresholds) == 60 and swept.counts.tp.shape == (4, 60)
    for j, t in enumerate(thresholds):
        assert np.array_equal(swept.counts.test[:, j], np.count_nonzero(maps >= t, axis=(1, 2)))
        assert np.array_equal(swept.counts.tp[:, j], np.count_nonzero((maps >= t) & truth, axis=(1, 2)))


@given(maps_3d, masks_3d)
def test_laws_of_the_sweep(maps, truth):
    swept = sweep(maps, truth, GRID)
    shown = recall(swept.counts)[swept.positive]
    assert (np.diff(shown, axis=1) <= 0).all(), "a higher threshold covers no more"
    assert (np.diff(swept.counts.test, axis=1) <= 0).all()
    pooled = swept.pooled()
    assert np.array_equal(pooled.tp, swept.counts.tp.sum(axis=0))
    whole = sweep(maps.reshape(1, -1, 5), truth.reshape(1, -1, 5), GRID)
    for name, metric in PIXEL_METRICS.items():
        assert np.array_equal(metric(pooled), metric(whole.counts)[0], equal_nan=True), name
    mirrored = sweep(maps[::-1, :, ::-1], truth[::-1, :, ::-1], GRID)
    assert np.array_equal(mirrored.counts.tp[::-1], swept.counts.tp)


def test_the_paper_s_grid_meets_pixels_of_the_same_value():
    """0.1 as float32 is a little more than 0.1: map and threshold must be rounded alike."""
    maps = np.float32(GRID)[None, :, None].repeat(2, axis=2)
    swept = sweep(maps, np.ones(maps.shape, bool), GRID)
    assert swept.counts.tp[0].tolist() == list(range(100, 0, -2))
    assert np.array_equal(sweep(maps.astype(np.float64), maps > 0, GRID).counts.tp, swept.counts.tp)


def test_sweeps_without_slices_pixels_or_truth():
    none = sweep(np.zeros((0, 4, 4), np.float32), np.zeros((0, 4, 4), bool), GRID)
    assert none.counts.tp.shape == (0, 50) and none.pooled().tn.tolist() == [0] * 50
    dark = sweep(np.zeros((2, 3, 3), np.float32), np.ones((2, 3, 3), bool), [0.5])
    assert (dark.counts.fn == 9).all() and not dark.counts.test.any()


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_a_sweep_refuses_maps_outside_0_to_1(value):
    maps = np.full((1, 2, 2), 0.5, np.float32)
    maps[0, 0, 1] = value
    with pytest.raises(ValueError, match=r"0\.\.1"):
        sweep(maps, np.ones((1, 2, 2), bool), [0.5])


@pytest.mark.parametrize("thresholds", [[], [0.5, 0.4], [0.5, 0.5], [0.0], [1.1], [np.nan], [[0.5]]])
def test_a_sweep_refuses_thresholds_that_make_no_sense(thresholds):
    with pytest.raises(ValueError, match="thresholds"):
        sweep(np.zeros((1, 2, 2), np.float32), np.ones((1, 2, 2), bool), thresholds)


def test_shapes_and_types_are_checked():
    masks = np.ones((1, 2, 2), bool)
    with pytest.raises(ValueError, match="bool"):
        count(masks, masks.astype(np.uint8))
    with pytest.raises(ValueError, match="shape"):
        count(masks, np.ones((1, 2, 3), bool))
    with pytest.raises(ValueError, match="truth is bool"):
        sweep(masks.astype(np.float32), masks.astype(int), [0.5])
    with pytest.raises(ValueError, match="shape"):
        sweep(np.zeros((2, 2), np.float32), np.zeros((2, 2), bool), [0.5])
