"""Threshold rules and the choice of a threshold: Otsu against scikit-image, percentiles by area, curves by hand."""

import numpy as np
import pytest
from HemoCAMLib.errors import OptionError
from HemoCAMLib.metrics.curves import Curves, choose
from HemoCAMLib.metrics.pixels import PIXEL_METRICS, count
from HemoCAMLib.metrics.rules import PAPER_THRESHOLDS, Fixed, Otsu, Percentile, otsu, rule_named
from HemoCAMLib.metrics.sweep import sweep
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metrics_cases import maps_3d, masks_3d, smooth_maps

RULES = [
    Fixed(0.35), Percentile(95), Percentile(0), Percentile(99, "volume"), Otsu(), Otsu("volume"),
]  # fmt: skip


def test_the_papers_thresholds():
    assert len(PAPER_THRESHOLDS) == 50
    assert PAPER_THRESHOLDS[0] == 0.1 and PAPER_THRESHOLDS[-1] == 0.9
    assert np.allclose(np.diff(PAPER_THRESHOLDS), 0.8 / 49)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_comes_back_from_its_name(rule):
    assert rule_named(rule.name) == rule
    assert " " not in rule.name


@given(st.floats(2**-30, 1, width=32))
def test_names_of_fixed_thresholds_tell_float32_values_apart(value):
    assert np.float32(rule_named(Fixed(value).name).value) == np.float32(value)


def test_names():
    assert [rule.name for rule in RULES] == [
        "fixed:0.35", "percentile:95", "percentile:0", "percentile:99:volume", "otsu", "otsu:volume",
    ]  # fmt: skip
    assert rule_named("otsu:slice") == Otsu() and rule_named("percentile:97.5:slice") == Percentile(97.5)


@pytest.mark.parametrize(
    "name",
    ["", "fixed", "fixed:", "fixed:x", "fixed:0.5:volume", "percentile:100", "percentile:-1", "otsu:head", "Otsu",
     "fixed:0", "fixed:1.5", "fixed:1.2.3", "fixed:nan", "mean", "otsu:0.5"],
)  # fmt: skip
def test_unknown_rules_are_refused(name):
    with pytest.raises(OptionError):
        rule_named(name)
    with pytest.raises(OptionError):
        Otsu("head")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(maps=maps_3d)
def test_every_rule_keeps_its_promises(rule, maps):
    thresholds, masks = rule.thresholds(maps), rule.masks(maps)
    assert thresholds.shape == (4,) and thresholds.dtype == np.float32 and (thresholds > 0).all()
    assert masks.shape == maps.shape and masks.dtype == bool
    assert not masks[maps == 0].any(), "where nothing was shown there is no mask"
    for plane, mask, t in zip(maps, masks, thresholds, strict=True):
        assert np.array_equal(mask, plane >= t)
    mirrored = rule.masks(maps[:, ::-1])
    assert np.array_equal(mirrored[:, ::-1], masks)
    if rule.name.endswith("volume"):
        assert len(set(thresholds.tolist())) == 1
    elif not isinstance(rule, Fixed):  # a slice's mask is its own, and does not depend on the map's scale
        assert np.array_equal(rule.masks(maps[2:3]), masks[2:3])
        assert (
            np.array_equal(rule.masks(maps * np.float32(0.5)), masks) or np.isclose(maps, 0, atol=1e-30).any()
        )


def test_a_percentile_is_an_area():
    maps = smooth_maps(3, shape=(50, 40))
    for percent in (50, 90, 95, 99.5):
        areas = Percentile(percent).masks(maps).sum(axis=(1, 2))
        assert areas.tolist() == [round(2000 * (1 - percent / 100))] * 2 + [0]
    taken = Percentile(90, "volume").masks(np.stack([maps[0], maps[1] * 0.1]))
    assert taken[0].sum() == 400 and not taken[1].any(), "the volume's: low slices have none"


@pytest.mark.parametrize("seed", range(12))
def test_otsu_is_scikit_images(seed):
    filters = pytest.importorskip(
        "skimage.filters", reason="scikit-image is not installed: not compared with it"
    )
    rng = np.random.default_rng(seed)
    plane = smooth_maps(2, seed, (60, 50))[0] ** rng.uniform(0.3, 4)
    if seed % 3 == 0:
        plane[plane < 0.3] = 0  # as clipped maps are
    assert otsu(plane) == pytest.approx(filters.threshold_otsu(plane), abs=1e-6)
    assert np.array_equal(Otsu().masks(plane[None])[0], plane > filters.threshold_otsu(plane))


@given(arrays(np.float32, 40, elements=st.sampled_from([0, 0.125, 0.25, 0.5, 0.75, 1])))
def test_otsu_parts_with_the_largest_variance_between_the_classes(values):
    """Of all ways to part the values there are: brute force, on values that the bins tell apart."""
    if values.min() == values.max():
        assert otsu(values) == np.inf
        return

    def between(t):
        low, high = values[values < t].astype(float), values[values >= t].astype(float)
        return low.size * high.size * (low.mean() - high.mean()) ** 2

    best = max(between(t) for t in np.unique(values)[1:])
    assert between(otsu(values)) == pytest.approx(best, rel=0.03)  # values stand for the middle of their bin


def test_no_slices_no_thresholds():
    for rule in RULES:
        assert rule.masks(np.zeros((0, 5, 5), np.float32)).shape == (0, 5, 5)


def example(seed=0):
    maps = smooth_maps(6, seed)
    truth = maps >= 0.8
    truth[3:] = False
    truth[0, :2] = True
    return maps, truth


@pytest.mark.parametrize("metric", PIXEL_METRICS)
def test_curves_are_means_over_positive_slices_and_pools(metric):
    maps, truth = example()
    curves = Curves.of(sweep(maps, truth, PAPER_THRESHOLDS))
    assert (curves.slices, curves.positive) == (6, 3)
    for j, t in enumerate(np.float32(PAPER_THRESHOLDS)):
        some, every = count(truth[:3], maps[:3] >= t), count(truth, maps >= t)
        mean = np.nanmean(PIXEL_METRICS[metric](some))
        assert curves.curve(metric)[j] == pytest.approx(mean)
        assert curves.curve(metric, "pixels")[j] == pytest.approx(PIXEL_METRICS[metric](some.pooled()))
        assert curves.curve(metric, "all pixels")[j] == pytest.approx(PIXEL_METRICS[metric](every.pooled()))


@given(maps_3d, masks_3d, st.integers(0, 4))
def test_cases_add_up(maps, truth, cut):
    whole = Curves.of(sweep(maps, truth, PAPER_THRESHOLDS))
    parts = [Curves.of(sweep(maps[s], truth[s], PAPER_THRESHOLDS)) for s in (slice(0, cut), slice(cut, None))]
    total = Curves.total(parts)
    assert (total.slices, total.positive) == (whole.slices, whole.positive)
    for metric in PIXEL_METRICS:
        for over in ("slices", "pixels", "all pixels"):
            assert np.allclose(total.curve(metric, over), whole.curve(metric, over), equal_nan=True)


def test_a_threshold_is_chosen_where_the_curve_is_highest():
    maps, truth = example()
    swept = sweep(maps, truth, PAPER_THRESHOLDS)
    for over in ("slices", "pixels", "all pixels"):
        choice = choose(Curves.of(swept), "dice", over)
        curve = Curves.of(swept).curve("dice", over)
        assert choice.value == curve.max() == curve[np.argmin(abs(PAPER_THRESHOLDS - choice.rule.value))]
    # the rule is applied with the very threshold that was counted
    chosen = choose(Curves.of(swept), "dice", "pixels")
    pooled = count(truth[:3], chosen.rule.masks(maps[:3])).pooled()
    assert PIXEL_METRICS["dice"](pooled) == chosen.value
    again = count(truth[:3], rule_named(chosen.rule.name).masks(maps[:3])).pooled()
    assert PIXEL_METRICS["dice"](again) == chosen.value


def test_the_lowest_of_equal_thresholds_is_chosen_and_an_edge_is_told():
    maps = np.zeros((1, 4, 4), np.float32)
    maps[0, :2] = 0.55
    assert choose(Curves.of(sweep(maps, maps > 0, [0.1, 0.2, 0.5, 0.9]))).rule == Fixed(
        float(np.float32(0.1))
    )
    assert choose(Curves.of(sweep(maps, maps > 0, [0.1, 0.2, 0.5]))).at_edge
    top = maps + (maps > 0) * np.float32(0.4)
    top[0, 2:] = 0.8
    assert choose(Curves.of(sweep(top, top > 0.9, [0.1, 0.2, 0.9]))).at_edge, "at the upper end"
    maps[0, 2:] = 0.15
    inner = choose(Curves.of(sweep(maps, maps > 0.5, [0.1, 0.2, 0.5, 0.9])))
    assert inner.rule == Fixed(float(np.float32(0.2))) and not inner.at_edge and inner.value == 1


def test_nothing_is_chosen_without_truth():
    healthy = Curves.of(sweep(smooth_maps(3), np.zeros((3, 24, 20), bool), PAPER_THRESHOLDS))
    assert np.isnan(healthy.curve()).all()
    with pytest.raises(OptionError, match="without hemorrhage"):
        choose(healthy)
    with pytest.raises(OptionError, match="choose one of dice"):
        healthy.curve("accuracy")
    with pytest.raises(OptionError, match="choose one of slices"):
        healthy.curve("dice", "patients")
    with pytest.raises(ValueError, match="different thresholds"):
        healthy + Curves.of(sweep(smooth_maps(3), np.zeros((3, 24, 20), bool), [0.5]))
