"""The tables of a case: each column is what its own measure gives, whatever else is measured beside it."""

import math
import time
from itertools import product

import numpy as np
import pytest
from HemoCAMLib.comparison.table import compare
from HemoCAMLib.datasets.layouts import LABELS
from HemoCAMLib.errors import Cancelled, OptionError
from HemoCAMLib.evaluation.peak import peak_inside
from HemoCAMLib.metrics.boxes import boxes_of, compare_boxes
from HemoCAMLib.metrics.case import measure_case, measure_masks
from HemoCAMLib.metrics.lesions import compare_lesions
from HemoCAMLib.metrics.pixels import PIXEL_METRICS
from HemoCAMLib.metrics.pointing import points_inside
from HemoCAMLib.metrics.reference import Reference, Settings
from HemoCAMLib.metrics.rules import PAPER_THRESHOLDS, Fixed, Otsu, Percentile
from HemoCAMLib.metrics.sweep import sweep
from HemoCAMLib.volumes.volume import Volume
from metrics_cases import smooth_maps
from scipy.ndimage import binary_dilation, gaussian_filter

RULES = [Fixed(0.4), Percentile(90), Percentile(97, "volume"), Otsu()]
AFFINE = np.diag([0.5, 0.75, 4.0, 1.0])
AFFINE[1, 2] = 1.0  # gantry tilt
EPIDURAL, SUBDURAL = LABELS["epidural"], LABELS["subdural"]


def example(seed=0, count=7, shape=(40, 36)):
    """Labels of two kinds, none in slice 0; maps that lean towards them, peak of 1 beside, last one dark."""
    maps = smooth_maps(count, seed, shape)
    noise = gaussian_filter(np.random.default_rng(seed + 9).standard_normal((count, *shape)), (0.6, 2, 2))
    labels = np.where(noise > 0.19, EPIDURAL, np.where(noise < -0.2, SUBDURAL, 0)).astype(np.uint8)
    labels[0] = 0
    maps[:-1] += gaussian_filter((labels[:-1] > 0).astype(np.float32), (0, 1, 1))
    beside = binary_dilation(labels[1] > 0, iterations=3) & (labels[1] == 0)
    maps[1][tuple(np.argwhere(beside)[0])] = 2
    return maps / 2, labels


@pytest.fixture(scope="module")
def tables():
    maps, labels = example()
    return maps, labels, measure_case(Reference(labels, AFFINE, LABELS), maps, RULES)


def test_a_row_a_slice_and_rule_and_a_row_a_rule(tables):
    maps, _, found = tables
    assert found.slices["rule"].tolist() == [rule.name for rule in RULES for _ in maps]
    assert found.slices["slice"].tolist() == list(range(7)) * 4
    assert found.volumes["rule"].tolist() == [rule.name for rule in RULES]
    assert {len(column) for column in found.slices.values()} == {28}
    assert {len(column) for column in found.volumes.values()} == {4}
    for column in (*found.slices.values(), *found.volumes.values()):
        assert column.dtype in (np.int64, np.float64) or column.dtype.kind == "U"


def test_the_rows_of_slices_are_what_the_measures_give_one_by_one(tables):
    maps, labels, found = tables
    for row, (rule, k) in enumerate(product(RULES, range(len(maps)))):
        cell = {name: column[row] for name, column in found.slices.items()}
        mask, truth = rule.masks(maps)[k], labels[k] > 0
        assert cell["threshold"] == rule.thresholds(maps)[k]
        assert cell["tp"] == (mask & truth).sum() and cell["tn"] == (~mask & ~truth).sum()
        assert cell["fp"] == (mask & ~truth).sum() and cell["fn"] == (~mask & truth).sum()
        assert cell["truth_px"] == truth.sum() and cell["truth_mm2"] == pytest.approx(truth.sum() * 0.375)
        for kind, value in LABELS.items():
            assert cell[f"px_{kind}"] == (labels[k] == value).sum()
            assert cell[f"covered_{kind}"] == ((labels[k] == value) & mask).sum()
        agreement = compare_boxes(boxes_of(truth), boxes_of(mask))
        for name in (
            "dice",
            "iou",
            "matched_dice",
            "matched_iou",
            "truth_boxes",
            "test_strict",
            "truth_loose",
        ):
            assert cell[f"box_{name}"] == getattr(agreement, name)
        assert cell["peak"] == maps[k].max()
        assert cell["pointing"] == (truth.any() and peak_inside(maps[k], truth))
        assert cell["pointing_near"] == points_inside(maps[k : k + 1], truth[None], 7.5, (0.75, 0.5))[0]
        if maps[k].any():
            assert cell["energy_share"] == pytest.approx(
                maps[k][truth].sum(dtype=float) / maps[k].sum(dtype=float)
            )
        else:
            assert cell["energy_share"] == 0 and cell["pointing"] == 0 and cell["tp"] == cell["fp"] == 0
    assert found.slices["pointing_near"].sum() > found.slices["pointing"].sum() > 0, "the example is worth it"
    kinds = found.slices["kind"][:7]
    assert kinds[0] == "" and set(kinds[1:]) == {"epidural", "subdural"}


def test_the_row_of_a_volume_is_the_comparison_of_the_volume(tables):
    """Dice, Hausdorff distance and volumes as in SlicerRT's table, on a grid with gantry tilt."""
    maps, labels, found = tables
    for row, rule in enumerate(RULES):
        cell = {name: column[row] for name, column in found.volumes.items()}
        mask, truth = rule.masks(maps), labels > 0
        whole = compare(Volume(truth, AFFINE), Volume(mask, AFFINE))
        assert cell["dice"] == pytest.approx(whole.dice) and cell["iou"] == pytest.approx(whole.iou)
        assert cell["precision"] == pytest.approx(whole.precision)
        assert cell["recall"] == pytest.approx(whole.sensitivity)
        assert cell["hd95_mm"] == pytest.approx(whole.boundary.percentile_95)
        assert cell["truth_ml"] == pytest.approx(whole.reference_ml)
        assert cell["error_ml"] == pytest.approx(whole.test_ml - whole.reference_ml)
        assert cell["absolute_error_ml"] == abs(cell["error_ml"])
        assert cell["relative_error"] == pytest.approx(cell["error_ml"] / whole.reference_ml)
        lesions = compare_lesions(truth, mask)
        assert cell["truth_lesions"] == lesions.truth_lesions and cell["lesions_found"] == lesions.found
        assert cell["lesion_f1"] == lesions.f1 and cell["false_positive_lesions"] == lesions.false_positives
        assert (cell["slices"], cell["positive_slices"]) == (7, 6)
        assert cell["ml_epidural"] == pytest.approx((labels == EPIDURAL).sum() * 0.0015)
        assert cell["pointing"] == peak_inside(maps, truth)
        assert cell["kind"] == ("epidural" if cell["ml_epidural"] >= cell["ml_subdural"] else "subdural")


def test_volumes_pool_their_slices(tables):
    _, _, found = tables
    for row, rule in enumerate(RULES):
        own = found.slices["rule"] == rule.name
        for name in ("tp", "fp", "fn", "tn", "truth_px", "px_epidural", "covered_subdural", "box_truth_boxes",
                     "box_test_loose", "box_truth_strict"):  # fmt: skip
            assert found.volumes[name][row] == found.slices[name][own].sum(), name
        inside, total = (found.slices[f"energy_{part}"][own].sum() for part in ("inside", "total"))
        assert found.volumes["energy_share"][row] == pytest.approx(inside / total)


def test_fixed_rules_give_the_points_of_the_sweep():
    maps, labels = example(1)
    swept = sweep(maps, labels > 0, PAPER_THRESHOLDS)
    rules = [Fixed(t) for t in PAPER_THRESHOLDS]
    found = measure_case(Reference(labels, AFFINE, LABELS, Settings(distances=False)), maps, rules)
    for name, metric in PIXEL_METRICS.items():
        assert np.array_equal(found.slices[name].reshape(50, 7).T, metric(swept.counts), equal_nan=True)
        assert np.array_equal(found.volumes[name], metric(swept.pooled()), equal_nan=True)
    assert np.isnan(found.volumes["hd95_mm"]).all()


def test_each_rule_is_measured_alone(tables):
    maps, labels, found = tables
    for row, rule in enumerate(RULES):
        alone = measure_case(Reference(labels, AFFINE, LABELS), maps, [rule])
        for name, column in alone.volumes.items():
            assert np.array_equal(
                column, found.volumes[name][row : row + 1], equal_nan=column.dtype == float
            ), name
        for name, column in alone.slices.items():
            part = found.slices[name][7 * row : 7 * row + 7]
            assert np.array_equal(column, part, equal_nan=column.dtype == float), name


def test_one_reference_serves_many_maps(tables):
    maps, labels, found = tables
    reference = Reference(labels, AFFINE, LABELS)
    measure_case(reference, 1 - maps, RULES[1:2])
    again = measure_case(reference, maps, RULES)
    for name, column in found.volumes.items():
        assert np.array_equal(column, again.volumes[name], equal_nan=column.dtype == float), name


def test_masks_of_another_origin_are_measured_alike(tables):
    maps, labels, found = tables
    masks = {f"refined {rule.name}": rule.masks(maps) for rule in RULES}
    given = measure_masks(Reference(labels, AFFINE, LABELS), maps, masks)
    for whole, part in ((found.slices, given.slices), (found.volumes, given.volumes)):
        for name, column in part.items():
            if name == "rule":
                assert column.tolist() == [f"refined {own}" for own in whole[name]]
            elif name == "threshold":
                assert np.isnan(column).all()
            else:
                assert np.array_equal(column, whole[name], equal_nan=column.dtype == float), name
    for bad in ({}, {"float": maps}, {"short": maps[1:] > 0}):
        with pytest.raises(ValueError, match="mask"):
            measure_masks(Reference(labels, AFFINE, LABELS), maps, bad)


def test_mirrored_cases_have_the_same_figures(tables):
    maps, labels, found = tables
    # along all three axes: with gantry tilt, only that leaves all distances what they are
    turned = measure_case(Reference(labels[::-1, ::-1, ::-1], AFFINE, LABELS), maps[::-1, ::-1, ::-1], RULES)
    for name, column in found.volumes.items():
        same = turned.volumes[name]
        assert (
            (column == same).all() if column.dtype.kind == "U" else np.allclose(column, same, equal_nan=True)
        ), name


@pytest.mark.parametrize(("bleeding", "shown"), [(False, False), (False, True), (True, False), (True, True)])
def test_empty_and_full_cases(bleeding, shown):
    maps = np.full((3, 8, 8), 0.8 * shown, np.float32)
    labels = np.full((3, 8, 8), SUBDURAL * bleeding, np.uint8)
    found = measure_case(Reference(labels, np.eye(4), LABELS), maps, [Fixed(0.5)])
    cell = {name: column[0] for name, column in found.volumes.items()}
    both = bleeding and shown
    assert cell["dice"] == cell["iou"] == cell["overlap"] == cell["energy_share"] == cell["pointing"] == both
    assert cell["precision"] == pytest.approx(float(both) if shown else math.nan, nan_ok=True)
    assert cell["recall"] == pytest.approx(float(both) if bleeding else math.nan, nan_ok=True)
    assert cell["hd95_mm"] == pytest.approx(0 if both else math.nan, nan_ok=True)
    assert cell["relative_error"] == pytest.approx((both - 1) if bleeding else math.nan, nan_ok=True)
    assert cell["lesion_sensitivity"] == pytest.approx(float(both) if bleeding else math.nan, nan_ok=True)
    assert cell["lesion_f1"] == pytest.approx(float(both) if bleeding or shown else math.nan, nan_ok=True)
    assert cell["kind"] == ("subdural" if bleeding else "")
    assert found.slices["box_iou"].tolist() == [both] * 3
    assert found.slices["threshold"].tolist() == [0.5] * 3


def test_the_tolerance_is_in_mm_along_rows_and_columns():
    """A peak 12 columns (6 mm) beside the truth is near, one 12 rows (9 mm) below is not."""
    maps, labels = np.zeros((2, 20, 20), np.float32), np.zeros((2, 20, 20), np.uint8)
    labels[:, 2, 2] = SUBDURAL
    maps[0, 2, 14] = maps[1, 14, 2] = 1
    found = measure_case(Reference(labels, AFFINE, LABELS), maps, [Fixed(0.5)])
    assert found.slices["pointing_near"].tolist() == [1, 0]


def test_without_sizes_what_is_in_mm_is_undefined_and_the_rest_the_same(tables):
    maps, labels, found = tables
    bare = measure_case(Reference(labels, None, LABELS), maps, RULES)
    missing = {"truth_mm2", "pointing_near", "truth_ml", "mask_ml", "error_ml", "absolute_error_ml", "relative_error",
               "hd95_mm", *(f"ml_{kind}" for kind in LABELS)}  # fmt: skip
    for whole, part in ((found.slices, bare.slices), (found.volumes, bare.volumes)):
        assert list(whole) == list(part)
        for name, column in part.items():
            if name in missing:
                assert np.isnan(column).all(), name
            else:
                assert np.array_equal(column, whole[name], equal_nan=column.dtype == float), name


def test_labels_without_kinds_are_bool_or_whole_numbers():
    maps, labels = example()
    found = measure_case(Reference(labels > 0, AFFINE, {}), maps, RULES[:1])
    assert not [name for name in found.slices if name.startswith(("px_", "covered_"))]
    assert set(found.slices["kind"]) == set(found.volumes["kind"]) == {""}
    again = measure_case(Reference(labels.astype(np.int16) * 7, AFFINE, LABELS), maps, RULES[:1])
    assert again.volumes["dice"] == found.volumes["dice"] and again.volumes["px_epidural"] == 0


def test_no_slices():
    found = measure_case(
        Reference(np.zeros((0, 4, 4), np.uint8), AFFINE, LABELS), np.zeros((0, 4, 4), np.float32), RULES
    )
    assert len(found.slices["dice"]) == 0 and found.slices["dice"].dtype == np.float64
    assert found.volumes["dice"].tolist() == [0] * 4


def test_settings_do_what_they_say():
    maps, labels = example()
    plain = measure_case(Reference(labels, AFFINE, LABELS), maps, RULES[:2])
    strict = measure_case(Reference(labels, AFFINE, LABELS, Settings(strict_iou=0.1)), maps, RULES[:2])
    assert (strict.volumes["box_truth_strict"] > plain.volumes["box_truth_strict"]).all()
    fewer = measure_case(
        Reference(labels, AFFINE, LABELS, Settings(smallest_box=30, smallest_lesion=60)), maps, RULES[:2]
    )
    assert (fewer.volumes["box_truth_boxes"] < plain.volumes["box_truth_boxes"]).all()
    assert (fewer.volumes["box_test_boxes"] < plain.volumes["box_test_boxes"]).all()
    assert (fewer.volumes["truth_lesions"] < plain.volumes["truth_lesions"]).all()
    exact = measure_case(
        Reference(labels, AFFINE, LABELS, Settings(tolerance_mm=0, lesion_covered=1)), maps, RULES[:2]
    )
    assert np.array_equal(exact.slices["pointing_near"], exact.slices["pointing"])
    assert (exact.volumes["lesions_found"] < plain.volumes["lesions_found"]).all()


def test_what_cannot_be_measured_is_refused():
    maps, labels = example()
    with pytest.raises(ValueError, match="shape"):
        measure_case(Reference(labels[:, 1:], AFFINE, LABELS), maps, RULES)
    for bad in (labels[0], labels.astype(np.float32), labels.astype(np.int16) - 1):
        with pytest.raises(ValueError, match="labels"):
            measure_case(Reference(bad, AFFINE, LABELS), maps, RULES)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        measure_case(Reference(labels, AFFINE, LABELS), maps * 2, RULES)
    for rules in ([], [Otsu(), Otsu()]):
        with pytest.raises(OptionError, match="different names"):
            measure_case(Reference(labels, AFFINE, LABELS), maps, rules)


def test_it_can_be_stopped_between_rules():
    seen = []
    maps, labels = example()

    def progress(phase, done, total):
        seen.append((done, total))
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure_case(Reference(labels, AFFINE, LABELS), maps, RULES, progress)
    assert seen == [(0, 4), (1, 4), (2, 4)]


def test_a_case_of_32_slices_is_swept_in_well_under_a_tenth_of_a_second():
    maps = smooth_maps(32, shape=(256, 256))
    truth = maps > 0.9
    seconds = []
    for _ in range(5):
        start = time.process_time()
        sweep(maps, truth, PAPER_THRESHOLDS)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1  # 0.01 to 0.02 where it was written
