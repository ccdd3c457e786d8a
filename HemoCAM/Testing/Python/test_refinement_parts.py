"""The parts of the refinement against other ways to the same numbers: Bayes by hand, scikit-learn, scikit-image."""

import numpy as np
import pytest
from HemoCAMLib.refinement.hysteresis import hysteresis, region_table
from HemoCAMLib.refinement.mixtures import (
    CENTRES_HU,
    HIGH_HU,
    LOW_HU,
    UNIFORM,
    Mixture,
    fit_mixture,
)
from HemoCAMLib.refinement.posterior import _split_bone
from HemoCAMLib.refinement.prior import (
    DISTANCE_CENTRES_MM,
    DISTANCE_KNOTS_MM,
    MAP_CENTRES,
    TABLE_SHAPE,
    distance_cell,
    fit_prior,
    map_cell,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from refinement_heads import by_hand
from scipy import stats


def histogram(values):
    return np.histogram(values, np.append(CENTRES_HU - 0.5, HIGH_HU))[0].astype(float)


def density_by_scipy(mixture, x):
    parts = zip(mixture.weights, mixture.means, mixture.deviations, strict=True)
    total = sum(w * stats.norm(m, s).pdf(x) for w, m, s in parts)
    return (1 - UNIFORM) * total + UNIFORM * stats.uniform(LOW_HU, HIGH_HU - LOW_HU).pdf(x)


@given(st.floats(-49, 199), st.floats(0, 1), st.floats(0, 60))
def test_the_closed_form_is_bayes_rule(hu, shown, distance):
    model = by_hand()
    logit = np.interp(shown, *_line(model.prior.of_map, "map"))
    logit += np.interp(distance, *_line(model.prior.of_distance, "distance"))
    p = 1 / (1 + np.exp(-logit))
    w = np.interp(distance, DISTANCE_KNOTS_MM, model.bone_share)
    joint = {
        "blood": p * density_by_scipy(model.blood, hu),
        "bone": (1 - p) * w * density_by_scipy(model.bone, hu),
        "background": (1 - p) * (1 - w) * density_by_scipy(model.background, hu),
    }
    expected = joint["blood"] / sum(joint.values())
    assert model.probability(hu, shown, distance) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def _line(values, which):
    from HemoCAMLib.refinement.prior import MAP_KNOTS

    return (MAP_KNOTS if which == "map" else DISTANCE_KNOTS_MM), values


def test_the_closed_form_is_what_many_draws_give():
    """Voxels drawn by the model's own story: among those of one HU, map and distance, the share of blood."""
    rng, model, count = np.random.default_rng(1), by_hand(), 400_000
    shown, distance = 0.8, 2.0
    p = 1 / (1 + np.exp(-(model.prior.map_part(shown) + model.prior.distance_part(distance))))
    w = np.interp(distance, DISTANCE_KNOTS_MM, model.bone_share)
    who = rng.choice(3, count, p=[p, (1 - p) * w, (1 - p) * (1 - w)])
    hu = np.empty(count)
    for k, mixture in enumerate((model.blood, model.bone, model.background)):
        own = who == k
        part = rng.choice(len(mixture.weights), own.sum(), p=mixture.weights)
        hu[own] = rng.normal(np.array(mixture.means)[part], np.array(mixture.deviations)[part])
    for x in (30, 45, 60, 80, 120):
        near = np.abs(hu - x) < 1
        error = 4 * np.sqrt(0.25 / near.sum()) + 0.03
        assert abs((who[near] == 0).mean() - model.probability(x, shown, distance)) < error


@given(
    hnp.arrays(float, 20, elements=st.floats(LOW_HU, HIGH_HU)),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 40),
)
def test_it_rises_with_the_map(hu, one, other, distance):
    model = by_hand()
    low, high = sorted((one, other))
    assert (model.probability(hu, high, distance) >= model.probability(hu, low, distance)).all()
    assert (model.quick(hu, np.full(20, high), distance) >= model.quick(hu, np.full(20, low), distance)).all()


def test_bone_is_near_the_skull_only():
    model = by_hand()
    near, far = model.probability(62.0, 0.5, np.array([0.5, 25.0]))
    assert near < 0.5 * far
    assert model.probability(62.0, 1.0, 0.5) > near  # unless the map says so


@given(st.integers(0, 2**32 - 1))
def test_the_tables_are_the_closed_form(seed):
    rng, model = np.random.default_rng(seed), by_hand()
    hu, shown = rng.uniform(LOW_HU, HIGH_HU, 500), np.round(rng.random(500) * 1024) / 1024
    distance = rng.uniform(0, 45, 500)
    quick = model.quick(hu.astype(np.float32), shown.astype(np.float32), distance.astype(np.float32))
    assert quick.dtype == np.float32
    np.testing.assert_allclose(quick, model.probability(hu, shown, distance), atol=0.03)
    exact = np.round(hu * 8) / 8, shown, np.minimum(np.round(distance, 1), 25)
    np.testing.assert_allclose(model.quick(*exact), model.probability(*exact), atol=1e-4)


def test_a_mixture_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.mixture", reason="scikit-learn is not here")
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(30, 5, 30_000), rng.normal(66, 9, 15_000)])
    found = fit_mixture(histogram(values), 45_000, most=2)
    other = sklearn.GaussianMixture(2, random_state=0, tol=1e-7, max_iter=500).fit(values[:, None])
    order = other.means_.ravel().argsort()
    np.testing.assert_allclose(found.means, other.means_.ravel()[order], atol=0.1)
    np.testing.assert_allclose(found.deviations, np.sqrt(other.covariances_.ravel()[order]), atol=0.1)
    np.testing.assert_allclose(found.weights, other.weights_[order], atol=0.005)


@pytest.mark.parametrize("parts", [((40, 6),), ((25, 4), (70, 7)), ((0, 5), (40, 5), (90, 8))])
def test_bic_finds_how_many_components_there_are(parts):
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(m, s, 20_000) for m, s in parts])
    found = fit_mixture(histogram(values), 2000)
    np.testing.assert_allclose(found.means, [m for m, _ in parts], atol=1)
    assert len(fit_mixture(histogram(values), 2000, most=1).weights) == 1  # the bound holds


def test_few_observations_make_few_components():
    rng = np.random.default_rng(4)
    shape = histogram(np.concatenate([rng.normal(40, 6, 20_000), rng.normal(52, 6, 8000)]))
    assert len(fit_mixture(shape, 20).weights) < len(fit_mixture(shape, 20_000).weights)


def test_a_mixture_is_a_density_and_has_no_gaps():
    mixture = by_hand().blood
    x = np.linspace(LOW_HU, HIGH_HU, 20_001)
    assert np.trapezoid(mixture.density(x), x) == pytest.approx(1, abs=1e-3)
    assert mixture.density(np.array([-40.0])) > 0
    np.testing.assert_allclose(mixture.density(x), density_by_scipy(mixture, x))


@pytest.mark.parametrize(
    "numbers", [((), (), ()), ((0.5,), (1.0,), (1.0,)), ((1.0,), (1.0,), (0.0,)), ((1.0,), (np.nan,), (1.0,))]
)
def test_no_mixture_without_sense(numbers):
    with pytest.raises(ValueError, match=r"mixture|weights"):
        Mixture(*numbers)


@pytest.mark.parametrize("wrong", [np.zeros(len(CENTRES_HU)), np.ones(3), -np.ones(len(CENTRES_HU))])
def test_no_mixture_of_an_empty_histogram(wrong):
    with pytest.raises(ValueError, match="histogram"):
        fit_mixture(wrong, 100)


def test_bone_is_told_from_background_where_it_is():
    """Known shares and densities at each distance are found again."""
    background, bone = Mixture((1.0,), (31.0,), (5.0,)), Mixture((1.0,), (110.0,), (30.0,))
    share = np.exp(-DISTANCE_CENTRES_MM / 1.5)
    parts = [m.density(CENTRES_HU) for m in (bone, background)]
    rest = share[:, None] * parts[0] + (1 - share[:, None]) * parts[1]
    found, at_knots = _split_bone(rest, background, 5000)
    np.testing.assert_allclose(np.dot(found.means, found.weights), 110, atol=3)
    np.testing.assert_allclose(at_knots, np.interp(DISTANCE_KNOTS_MM, DISTANCE_CENTRES_MM, share), atol=0.05)
    assert (np.diff(at_knots) <= 0).all()


def test_the_prior_finds_a_known_relation():
    truth = -4 + 5 * np.minimum(MAP_CENTRES / 0.6, 1)[:, None] - 1.0 * (DISTANCE_CENTRES_MM < 3)[None]
    share = 1 / (1 + np.exp(-truth))
    found = fit_prior(share, 1 - share)
    logit = found.map_part(MAP_CENTRES)[:, None] + found.distance_part(DISTANCE_CENTRES_MM)[None]
    inner = np.abs(DISTANCE_CENTRES_MM - 3) > 1.5  # a broken line cannot jump
    assert np.abs(1 / (1 + np.exp(-logit)) - share)[:, inner].max() < 0.06


@given(st.integers(0, 2**32 - 1))
def test_the_prior_rises_with_the_map_whatever_the_data(seed):
    rng = np.random.default_rng(seed)
    blood, rest = rng.random((2, *TABLE_SHAPE)) ** 4
    blood *= np.linspace(1, 0, TABLE_SHAPE[0])[:, None]  # a map that is wrong: less blood where it is high
    found = fit_prior(blood, rest)
    assert (np.diff(found.of_map) >= 0).all()
    assert np.isfinite(found.of_distance).all()


def test_the_prior_of_one_side_only_is_refused():
    with pytest.raises(ValueError, match="with and without blood"):
        fit_prior(np.zeros(TABLE_SHAPE), np.ones(TABLE_SHAPE))


def test_cells_of_the_table():
    np.testing.assert_array_equal(map_cell(np.array([0, 1e-4, 0.5, 1.0])), [0, 1, 33, 64])
    np.testing.assert_array_equal(distance_cell(np.array([0, 0.49, 0.5, 100])), [0, 0, 1, TABLE_SHAPE[1] - 1])


@given(
    hnp.arrays(np.float32, (4, 7, 6), elements=st.floats(0, 1, width=16)),
    st.sampled_from([(0.2, 0.7), (0.5, 0.5), (0.3, 0.95), (0.05, 0.1)]),
)
def test_hysteresis_is_scikit_images(values, pair):
    filters = pytest.importorskip("skimage.filters", reason="scikit-image is not here")
    low, high = (
        np.nextafter(np.float32(t), np.float32(0)) for t in pair
    )  # theirs is "above", ours "at least"
    expected = filters.apply_hysteresis_threshold(values, low, high)
    np.testing.assert_array_equal(hysteresis(values, *(float(np.float32(t)) for t in pair)), expected)


def test_hysteresis_by_hand():
    values = np.zeros((3, 3, 7))
    values[0, 1] = [0.4, 0.4, 0.9, 0, 0.4, 0.4, 0]  # a seed with a tail, and a tail without a seed
    values[1, 1, 1] = 0.4  # connected through the slices
    values[2, 2, 1] = 0.4  # touches it by an edge only
    expected = np.zeros(values.shape, bool)
    expected[0, 1, :3] = True
    expected[1, 1, 1] = True
    np.testing.assert_array_equal(hysteresis(values, 0.4, 0.9), expected)
    assert not hysteresis(values, 0.4, 0.95).any()
    assert hysteresis(values, 0.4, 0.4).sum() == 7
    with pytest.raises(ValueError, match="low threshold"):
        hysteresis(values, 0.5, 0.4)


@given(hnp.arrays(np.float32, (3, 5, 5), elements=st.floats(0, 1, width=16)))
def test_hysteresis_lies_between_its_two_thresholds(values):
    found = hysteresis(values, 0.3, 0.6)
    assert (found >= (values >= 0.6)).all()
    assert (found <= (values >= 0.3)).all()


def test_regions_and_what_is_in_them():
    values = np.zeros((1, 2, 5))
    values[0, 0] = [0.5, 0.7, 0, 0.6, 0]
    truth = np.zeros(values.shape, bool)
    truth[0, 0, 1] = True
    np.testing.assert_allclose(region_table(values, 0.4, truth), [[0.7, 2, 1], [0.6, 1, 0]])
    assert region_table(values, 0.9, truth).shape == (0, 3)
