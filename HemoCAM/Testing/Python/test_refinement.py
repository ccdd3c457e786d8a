"""Mask refinement from end to end: a coarse map finds its bleed, and nothing else; stored, turned, wrong input."""

import json
from functools import cache

import numpy as np
import pytest
from conftest import random_affine
from HemoCAMLib.errors import Cancelled, InputError, ModelError
from HemoCAMLib.refinement.cases import RefinementCase
from HemoCAMLib.refinement.refiner import Refiner
from HemoCAMLib.refinement.statistics import Statistics
from HemoCAMLib.refinement.thresholds import THRESHOLDS, Sweep, hysteresis_dice
from HemoCAMLib.refinement.tissue import tissue_blocks
from HemoCAMLib.volumes.axial import AxialOrder
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from refinement_heads import SHAPE, SPACING, axial, by_hand, case, coarse, head


@cache
def fitted():
    """A refiner fitted on a dozen synthetic heads, thresholds chosen on four others."""
    return Refiner.fit(case(n) for n in range(12)).tuned(case(n) for n in range(20, 24))


def overlap(mask, truth):
    return 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))


def test_a_bleed_is_recovered_from_a_coarse_map_and_bone_and_calcium_beside_it_are_not():
    hu, blood, calcium, bone = head(99)
    heat = coarse(blood, shift=(3, -3))
    plain = max(overlap(heat >= t, blood) for t in THRESHOLDS)
    found = fitted().refine(axial(hu), heat)
    assert plain < 0.85  # the map alone cannot, at any threshold
    assert overlap(found.mask, blood) > 0.93
    assert (
        heat[calcium & heat.astype(bool)] > 0.1
    ).any()  # the map covers some of the calcium, and of the skull
    assert (heat[bone] > 0.3).any()
    assert not found.mask[calcium].any()
    assert not found.mask[bone].any()


def test_thick_slices_contrast_medium_and_metal_do_no_harm():
    hu, blood, _, _ = head(98, shape=(3, 150, 130), spacing=(1.2, 1.2, 10.0))
    vessel = np.zeros_like(blood)
    vessel[:, 60:64, 60:64] = True
    hu[vessel] = 180
    hu[:, 90:92, 60:62] = 3071
    hu[:, 93:95, 62:70] = -900  # a streak beside it
    found = fitted().refine(axial(hu, (1.2, 1.2, 10.0)), np.maximum(coarse(blood), 0.3 * vessel))
    assert overlap(found.mask, blood) > 0.9
    assert not found.mask[vessel].any()


def test_thin_and_noisy_slices_are_averaged_to_what_the_mixtures_know():
    shape, spacing = (40, 150, 130), (1.2, 1.2, 0.625)
    hu, blood, _, _ = head(97, shape=shape, spacing=spacing, noise=12)
    found = fitted().refine(axial(hu, spacing), coarse(blood))
    assert overlap(found.mask, blood) > 0.85


def test_blocks_of_slices_leave_no_seams(monkeypatch):
    shape, spacing = (21, 150, 130), (1.2, 1.2, 1.25)
    hu, blood, _, _ = head(96, shape=shape, spacing=spacing)
    heat = coarse(blood)
    whole = fitted().posterior(axial(hu, spacing), heat)
    monkeypatch.setattr("HemoCAMLib.refinement.tissue._BLOCK", 4)
    np.testing.assert_allclose(fitted().posterior(axial(hu, spacing), heat), whole, atol=1e-5)


def test_the_scalp_is_outside_and_the_inner_table_is_at_distance_0():
    hu, _, _, bone = head(95)
    (tissue,) = tissue_blocks(axial(hu), np.ones(len(hu), bool))
    inside = np.zeros(hu.shape, bool)
    inside[tissue.box] = tissue.inside
    y, x = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE[1:], SPACING[1::-1], strict=True))
    r = np.hypot(x[None] / 62, y[:, None] / 76)
    assert not inside[:, r > 1.1].any()
    brain = (r < 0.99) & (np.abs(hu - 30) < 60)
    assert inside[brain].mean() > 0.995
    nearest = tissue.distance_mm[bone[tissue.box]]
    assert nearest.max() == 0
    centre = tissue.distance_mm[2, tissue.inside.shape[1] // 2, tissue.inside.shape[2] // 2]
    assert centre == pytest.approx(40)  # farther than it is counted


def test_an_opened_skull_is_still_inside():
    hu, blood, _, _ = head(94)
    x = (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING[0]
    y = (np.arange(SHAPE[1]) - (SHAPE[1] - 1) / 2) * SPACING[1]
    gone = (hu > 500) & (x[None, None] < -40) & (np.abs(y[None, :, None]) < 25)
    hu[gone] = 35
    assert gone.any()
    assert overlap(fitted().refine(axial(hu), coarse(blood)).mask, blood) > 0.9


def test_slices_that_the_gate_holds_back_stay_empty():
    hu, blood, _, _ = head(93)
    heat = coarse(blood)
    heat[2] = 0
    found = fitted().refine(axial(hu), heat)
    assert found.mask[1].any()
    assert found.mask[3].any()
    assert not found.posterior[2].any()
    assert not found.mask[2].any()


def test_an_empty_map_gives_an_empty_mask_whatever_the_ct():
    hu, _, _, _ = head(92)
    found = fitted().refine(axial(hu), np.zeros(hu.shape, np.float32))
    assert not found.posterior.any()
    assert not found.mask.any()
    assert found.posterior.dtype == np.float32
    assert found.mask.dtype == bool


def test_nothing_but_air_gives_an_empty_mask():
    air = np.full(SHAPE, -1000, np.int16)
    assert not fitted().refine(axial(air), np.ones(SHAPE, np.float32)).mask.any()


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_any_order_and_flip_of_the_axes_gives_the_same_voxels(seed):
    rng = np.random.default_rng(seed)
    hu, blood, _, _ = head(91)
    heat = coarse(blood)
    expected = fitted().refine(axial(hu), heat)
    turned = random_affine(rng, np.array([1.0, 1.0, 1.0]))
    order = AxialOrder.of(turned)
    matrix = turned.copy()
    axes = [2 - a for a in order.axes[::-1]]  # I, J, K of the canonical volume in the turned one
    for canonical, own in enumerate(axes):
        matrix[:3, own] = turned[:3, own] / np.linalg.norm(turned[:3, own]) * SPACING[canonical]
    ct = Volume(np.ascontiguousarray(order.restore(hu)), matrix)
    found = fitted().refine(ct, np.ascontiguousarray(order.restore(heat)))
    assert AxialOrder.of(matrix) == order
    np.testing.assert_allclose(order.view(found.posterior), expected.posterior, atol=1e-4)
    np.testing.assert_array_equal(order.view(found.mask), expected.mask)


@pytest.mark.parametrize("flips", [(1, -1, 1), (1, 1, -1), (-1, 1, 1), (-1, -1, -1)])
def test_a_mirrored_array_gives_the_mirrored_result(flips):
    steps = tuple(slice(None, None, f) for f in flips)
    hu, blood, _, _ = head(90)
    heat = coarse(blood)
    expected = fitted().refine(hu, heat, SPACING)
    found = fitted().refine(hu[steps], heat[steps], SPACING)
    np.testing.assert_allclose(found.posterior[steps], expected.posterior, atol=0.02)
    np.testing.assert_array_equal(found.mask[steps], expected.mask)


def test_an_array_with_spacing_is_the_volume():
    hu, blood, _, _ = head(89)
    heat = coarse(blood)
    np.testing.assert_array_equal(
        fitted().refine(hu, heat, SPACING).posterior, fitted().refine(axial(hu), heat).posterior
    )


def test_a_volume_serves_as_map():
    hu, blood, _, _ = head(89)
    ct, heat = axial(hu), coarse(blood)
    shown = fitted().refine(ct, ct.like(heat, "Heat map"))
    np.testing.assert_array_equal(shown.mask, fitted().refine(ct, heat).mask)


def test_more_map_is_never_less_blood():
    hu, blood, _, _ = head(88)
    low = coarse(blood) * 0.7
    high = np.minimum(low + 0.2 * (low > 0), 1).astype(np.float32)
    a, b = (fitted().posterior(axial(hu), m) for m in (low, high))
    assert (b >= a).all()
    assert (b > a).any()


def test_json_gives_back_the_same_refiner_to_the_last_bit():
    text = fitted().to_json()
    again = Refiner.from_json(text)
    assert again == fitted()
    assert again.to_json() == text
    hu, blood, _, _ = head(87)
    heat = coarse(blood)
    np.testing.assert_array_equal(again.posterior(axial(hu), heat), fitted().posterior(axial(hu), heat))
    assert again.about["fitted on"] == 12
    assert again.about["thresholds chosen on"] == 4


def test_the_same_cases_give_the_same_refiner_and_each_is_taken_once():
    taken = []

    def cases():
        for n in range(3):
            taken.append(n)
            yield case(n)

    one, other = Refiner.fit(cases()), Refiner.fit(case(n) for n in range(3))
    assert taken == [0, 1, 2]
    assert one == other
    assert Refiner.fit([case(5)]) != one


def test_what_is_kept_does_not_grow_with_the_cases():
    found, sizes = Statistics(), []
    for n in range(3):
        found.add(case(n))
        sizes.append(
            sum(getattr(found, name).nbytes for name in ("blood", "rest", "blood_prior", "rest_prior"))
        )
    assert len(set(sizes)) == 1
    assert sizes[0] < 1 << 20
    assert found.blood.sum() == pytest.approx(3)  # every patient counts as one
    assert (found.cases, found.bleeding) == (3, 3)


def test_chosen_thresholds_are_the_best_of_all_pairs():
    sweep, posteriors = Sweep(), []
    for n in (30, 31, 32):
        one = case(n)
        posterior = fitted().posterior(one.ct, one.heatmap)
        posteriors.append((posterior, one.blood))
        sweep.add(posterior, one.blood)
    low, high, score = sweep.best()
    from HemoCAMLib.refinement.hysteresis import hysteresis

    def mean(a, b):
        return np.mean([overlap(hysteresis(p, a, b), t) for p, t in posteriors])

    assert score == pytest.approx(mean(low, high))
    others = [mean(a, b) for a in THRESHOLDS[::3] for b in THRESHOLDS[::3] if a <= b]
    assert score >= max(others) - 1e-12
    single = sweep.best(single=True)
    assert single[0] == single[1]
    assert single[2] <= score


def test_a_sweep_is_the_dice_of_hysteresis_at_every_pair():
    from HemoCAMLib.refinement.hysteresis import hysteresis

    rng = np.random.default_rng(0)
    values = rng.random((3, 12, 11)).astype(np.float32)
    truth = rng.random(values.shape) < 0.4
    found = hysteresis_dice(values, truth)
    for i, low in enumerate(THRESHOLDS):
        for j, high in enumerate(THRESHOLDS):
            mask = hysteresis(values, low, high) if low <= high else None
            assert found[i, j] == pytest.approx(overlap(mask, truth) if mask is not None else 0)


def test_a_cancel_passes_through():
    def stop(*_):
        raise Cancelled

    hu, blood, _, _ = head(86)
    with pytest.raises(Cancelled):
        fitted().refine(axial(hu), coarse(blood), progress=stop)
    with pytest.raises(Cancelled):
        Refiner.fit([case(0)], progress=stop)


def bad_inputs():
    hu, blood, _, _ = head(85)
    heat = coarse(blood)
    holes = hu.copy()
    holes[0, 0, 0] = np.nan
    nan = heat.copy()
    nan[1, 2, 3] = np.nan
    yield "shape", lambda: fitted().refine(axial(hu), heat[:-1])
    yield "outside 0 to 1, or NaN", lambda: fitted().refine(axial(hu), nan)
    yield "outside 0 to 1, or NaN", lambda: fitted().refine(axial(hu), heat * 2)
    yield "outside 0 to 1, or NaN", lambda: fitted().refine(axial(hu), heat - 0.5)
    yield "not numbers", lambda: fitted().refine(axial(holes), heat)
    yield "3 spacings", lambda: fitted().refine(hu, heat)
    yield "3 spacings", lambda: fitted().refine(hu, heat, (1, 0, 5))
    yield "3 axes", lambda: fitted().refine(hu[0], heat[0], SPACING)
    yield "shape", lambda: Refiner.fit([RefinementCase(axial(hu), heat, blood[:, 1:])])
    yield "is bool", lambda: Refiner.fit([RefinementCase(axial(hu), heat, blood.astype(np.uint8))])
    yield "none of its 0 cases has any blood", lambda: Refiner.fit([])
    yield "has any blood", lambda: Refiner.fit([RefinementCase(axial(hu), heat, np.zeros_like(blood))])
    yield "a map that shows", lambda: Refiner.fit([RefinementCase(axial(hu), heat * 0, blood)])
    yield "none of the validation cases bleeds", lambda: fitted().tuned([])


@pytest.mark.parametrize("which", range(14))
def test_wrong_input_is_one_clear_sentence(which):
    sentence, call = list(bad_inputs())[which]
    with pytest.raises(InputError, match=sentence) as caught:
        call()
    text = str(caught.value)
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda e: e.pop("model"), "lacks 'model'"),
        (lambda e: e.update(format=2), "format is 2"),
        (lambda e: e.update(low=0.9, high=0.2), "low <= high"),
        (lambda e: e.update(high=None), "cannot be used"),
        (lambda e: e["model"]["blood"].update(deviations=[0.0]), "cannot be used"),
        (
            lambda e: e["model"]["prior"].update(of_map=e["model"]["prior"]["of_map"][::-1]),
            "rise with the map",
        ),
        (lambda e: e["model"]["bone_share"].append(0.5), "share of bone"),
    ],
)
def test_a_damaged_refinement_is_refused(change, sentence):
    entry = json.loads(Refiner(by_hand()).to_json())
    change(entry)
    with pytest.raises(ModelError, match=sentence):
        Refiner.from_dict(entry)


def test_what_is_no_json_is_refused():
    with pytest.raises(ModelError, match="not valid JSON"):
        Refiner.from_json("{")
    with pytest.raises(ModelError, match="cannot be used"):
        Refiner.from_json("[1]")
