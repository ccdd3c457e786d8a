"""What a network sees beside a slab: its neighbors, and nothing outside the skull; and what both mean for results."""

import numpy as np
import pytest
import torch
from conftest import tiny_manifest
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.models.calibration import (
    head_logit,
    head_probability,
    probabilities,
    slab_probabilities,
    smoothed_logits,
)
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.models.preprocess import fill_outside, neighborhoods, network_input, window
from HemoCAMLib.phantoms.patient import KINDS
from HemoCAMLib.training.calibrate import calibrate_heads, choose_neighbor_weight
from HemoCAMLib.training.export import write_bundle
from HemoCAMLib.training.samples import Samples
from HemoCAMLib.training.trainee import Trainee
from HemoCAMLib.training.views import training_view
from hypothesis import given
from hypothesis import strategies as st
from training_cases import generator, heads


def context_manifest(**changes) -> Manifest:
    """Channels of the slab itself and of the slabs below and above it, filled with bone outside the skull."""
    content = tiny_manifest(**changes)
    content["input"] |= {
        "size": 64,
        "windows": [
            {"centre": 40, "width": 80},
            {"centre": 40, "width": 80, "slab": -1},
            {"centre": 80, "width": 200, "slab": 1},
        ],
        "mean": [0.1, 0.2, 0.3],
        "std": [1.0, 2.0, 0.5],
        "outside": {"hu": 1000, "margin_mm": 0},
    }
    return Manifest.of(content)


def stack(*patients) -> Samples:
    """Slabs of several patients, so many each; every pixel holds 10 x the slab's number."""
    count = sum(patients)
    hu = np.repeat(10 * np.arange(count, dtype=np.int16), 64 * 64).reshape(count, 64, 64)
    inside = np.zeros(hu.shape, bool)
    inside[:, 16:48, 16:48] = True
    return Samples(
        hu,
        np.zeros((count, len(KINDS)), np.float32),
        np.zeros(hu.shape, np.uint8),
        np.repeat(np.arange(len(patients)), patients),
        inside,
    )


def test_each_channel_shows_its_window_of_its_own_slab():
    manifest = context_manifest()
    assert manifest.neighborhood == (-1, 0, 1)
    hu = np.arange(5, dtype=np.float32)[:, None, None] * 20 + np.zeros((5, 64, 64), np.float32)
    x = network_input(neighborhoods(hu, manifest), manifest)
    assert x.shape == (5, 3, 64, 64) and x.dtype == np.float32
    for n in range(5):
        below, above = max(n - 1, 0), min(n + 1, 4)  # the last slab stands in for one that is missing
        wanted = (
            (window(hu[n], 40, 80) - 0.1) / 1.0,
            (window(hu[below], 40, 80) - 0.2) / 2.0,
            (window(hu[above], 80, 200) - 0.3) / 0.5,
        )
        for channel, values in enumerate(wanted):
            np.testing.assert_allclose(x[n, channel], values, atol=1e-6)
    some = network_input(neighborhoods(hu, manifest, slice(1, 3)), manifest)
    np.testing.assert_array_equal(some, x[1:3])


def test_a_slice_alone_is_its_own_neighbor():
    manifest = context_manifest()
    hu = np.full((2, 64, 64), 50.0, np.float32)
    alone = network_input(hu, manifest)
    np.testing.assert_array_equal(alone, network_input(hu[:, None], manifest))
    np.testing.assert_array_equal(alone, network_input(np.repeat(hu[:, None], 3, 1), manifest))


def test_training_and_use_make_the_same_input():
    from HemoCAMLib.models.bundle import build_network

    manifest = context_manifest()
    trainee = Trainee(build_network(manifest), manifest)
    for shape in ((4, 3, 64, 64), (4, 1, 64, 64), (4, 64, 64)):
        hu = np.random.default_rng(0).normal(40, 60, shape).astype(np.float32)
        own = trainee.channels(torch.from_numpy(hu)).numpy()
        np.testing.assert_allclose(own, network_input(hu, manifest), atol=1e-5)


def test_neighbors_come_from_the_same_head():
    samples = stack(3, 1, 2)
    drawn = samples.with_neighbors((-2, -1, 0, 1))
    found = drawn.hu[:, :, 0, 0] // 10
    assert found.tolist() == [
        [0, 0, 0, 1],
        [0, 0, 1, 2],
        [0, 1, 2, 2],
        [3, 3, 3, 3],
        [4, 4, 4, 5],
        [4, 4, 5, 5],
    ]
    assert samples.with_neighbors((0, 1), [4, 0]).hu[:, :, 0, 0].tolist() == [[40, 50], [0, 10]]


def test_what_lies_outside_the_skull_is_filled_and_a_margin_spared():
    samples = stack(2)
    manifest = context_manifest()
    seen = samples.seen(manifest)
    assert seen.hu.shape == (2, 3, 64, 64)
    outside = ~samples.inside[0]
    assert (seen.hu[:, :, outside] == 1000).all() and (seen.hu[:, 1, ~outside] == [[0], [10]]).all()
    filled = fill_outside(samples.hu.astype(np.float32), samples.inside, manifest)
    np.testing.assert_array_equal(filled, seen.hu[:, 1])
    content = manifest.raw | {"input": manifest.raw["input"] | {"outside": {"hu": -5, "margin_mm": 7.5}}}
    wide = Manifest.of(content)  # two pixels of 3.75 mm
    row = fill_outside(samples.hu.astype(np.float32), samples.inside, wide)[1, 32]
    assert np.flatnonzero(row != -5).tolist() == list(range(14, 50))


def test_a_training_view_is_filled_outside_the_skull_but_a_capture_is_whole():
    manifest = context_manifest()
    hu = heads(16)[:, None].expand(-1, 3, -1, -1).clone()
    labels, inside = torch.zeros(16, 64, 64, dtype=torch.uint8), (hu > 0) & (hu < 100)
    views, _ = training_view(hu, labels, inside, manifest, 64, 0.0, generator(1))
    assert ((views == 1000).float().mean((1, 2, 3)) > 0.3).all() and views.min() > -200  # no air is left
    brain = (views > 0) & (views < 100)
    assert 25 < float(views[brain].median()) < 45
    captures, _ = training_view(hu, labels, inside, manifest, 64, 1.0, generator(1))
    assert (
        captures.max() <= 80 and (captures == 0).float().mean() > 0.2
    )  # black ground, no bone beyond the skull
    assert torch.equal(captures[:, 0], captures[:, 1]) and torch.equal(captures[:, 1], captures[:, 2])


def test_neighbors_are_dropped_for_some():
    manifest = context_manifest()
    hu = torch.arange(3.0)[None, :, None, None] * 30 + torch.zeros(200, 1, 64, 64)
    inside = torch.ones(hu.shape, dtype=torch.bool)
    views, _ = training_view(
        hu, torch.zeros(200, 64, 64, dtype=torch.uint8), inside, manifest, 64, 0.0, generator(2)
    )
    middle = views[:, :, 28:36, 28:36].mean((2, 3))
    alone = (middle[:, 2] - middle[:, 0]).abs() < 5
    assert 0.03 < alone.float().mean() < 0.2


def test_smoothing_averages_with_the_neighbors_that_count():
    z = np.array([[0.0], [4.0], [8.0], [-4.0]])
    np.testing.assert_allclose(smoothed_logits(z, 0.25)[:, 0], [1, 4, 4, -1])
    counts = np.array([True, True, False, True])
    np.testing.assert_allclose(smoothed_logits(z, 0.25, counts)[:3, 0], [1, 3, 4])
    assert smoothed_logits(z, 0.0) is z


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=12), st.floats(0, 0.5))
def test_smoothing_stays_within_the_range_of_the_logits(values, weight):
    z = np.array(values)[:, None]
    smooth = smoothed_logits(z, weight)
    assert smooth.shape == z.shape
    assert z.min() - 1e-9 <= smooth.min() and smooth.max() <= z.max() + 1e-9
    np.testing.assert_allclose(
        smoothed_logits(z[::-1], weight), smooth[::-1], atol=1e-9
    )  # up and down are alike


def test_a_slab_without_intracranial_content_has_probability_0_and_does_not_count_for_the_head():
    calibration = {c: {"slope": 1.0, "intercept": 0.0, "threshold": 0.5} for c in tiny_manifest()["classes"]}
    manifest = context_manifest(
        calibration=calibration,
        neighbor_weight=0.25,
        head={"slope": 2.0, "intercept": -1.0, "threshold": 0.5},
    )
    z = np.repeat(np.array([[9.0], [1.0], [0.0]]), len(manifest.classes), 1)
    counts = np.array([False, True, True])
    said = slab_probabilities(z, manifest, counts)
    assert (said[0] == 0).all() and said[1, 0] == pytest.approx(1 / (1 + np.exp(-0.75)))
    assert head_logit(z, manifest, "any", counts) == pytest.approx(0.75)
    assert head_probability(z, manifest, counts) == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert head_probability(z, manifest, np.zeros(3, bool)) == 0.0
    plain = context_manifest()
    assert head_probability(z, plain) is None
    np.testing.assert_array_equal(slab_probabilities(z, plain), probabilities(z, plain))


def test_the_gate_leaves_nine_of_ten_clean_heads_silent():
    rng = np.random.default_rng(0)
    samples = stack(*[4] * 60)
    samples.truth[:] = 0
    bleeding = np.zeros(240, bool)
    bleeding[1:80:4] = True  # one slab of each of twenty heads
    samples.truth[bleeding] = 1
    logits = np.repeat(rng.normal(0, 1, (240, 1)) + 4 * bleeding[:, None], 6, 1).astype(np.float32)
    content = context_manifest().raw | {}
    content["calibration"] = {
        c: {"slope": 1.5, "intercept": -1.0, "threshold": 0.5} for c in content["classes"]
    }
    calibrate_heads(content, logits, samples, None)
    manifest = Manifest.of(content)
    passes = probabilities(logits, manifest)[:, 0] >= manifest.calibration["any"][2]
    silent = ~passes.reshape(60, 4)[20:].any(axis=1)
    assert silent.mean() >= 0.9
    # the lowest such gate, rounded up to a thousandth
    lower = probabilities(logits, manifest)[:, 0] >= manifest.calibration["any"][2] - 0.002
    assert (~lower.reshape(60, 4)[20:].any(axis=1)).mean() < 0.925
    slope, _, threshold = manifest.head
    assert slope > 0
    # a head passes its threshold where a slab of it passes the gate
    said = np.array([head_probability(z, manifest) for z in logits.reshape(60, 4, 6)])
    assert ((said >= threshold) == passes.reshape(60, 4).any(axis=1)).mean() > 0.98


def test_neighbors_weigh_as_much_as_they_help():
    """Noise that is independent between slabs of heads that bleed all over, or nowhere, is worth averaging."""
    rng = np.random.default_rng(1)
    samples = stack(*[8] * 40)
    truth = np.repeat(np.arange(40) % 2, 8)
    samples.truth[:] = truth[:, None]
    noisy = (truth[:, None] * 2 - 1 + rng.normal(0, 3, (320, 1))).astype(np.float32)
    classes = ("any",)
    assert choose_neighbor_weight(noisy, samples, classes, 0, None) >= 0.25
    alternating = stack(*[8] * 40)
    alternating.truth[:] = (np.arange(320) % 2)[:, None]
    sharp = ((np.arange(320) % 2)[:, None] * 2 - 1 + rng.normal(0, 1, (320, 1))).astype(np.float32)
    assert choose_neighbor_weight(sharp, alternating, classes, 0, None) == 0.0


def test_training_starts_from_another_model(tmp_path, tiny_bundle):
    """Channels that both have keep their weights; new ones start at zero, so that the answer is at first the same."""
    from HemoCAMLib.models.bundle import build_network

    content = tiny_manifest()
    content["input"]["windows"].append({"centre": 60, "width": 120, "slab": 1})
    content["input"]["mean"].append(0.5)
    content["input"]["std"].append(0.5)
    manifest = Manifest.of(content)
    trainee = Trainee(build_network(manifest), manifest)
    trainee.start_from(tiny_bundle, manifest)
    hu = np.random.default_rng(0).normal(40, 30, (2, 2, 128, 128)).astype(np.float32)
    with torch.inference_mode():
        new = trainee.network.eval()(torch.from_numpy(network_input(hu, manifest)))
        old = tiny_bundle.network()(torch.from_numpy(network_input(hu[:, 0], tiny_bundle.manifest)))
    torch.testing.assert_close(new, old, atol=2e-3, rtol=2e-3)  # the bundle's are rounded to float16 on disk


@pytest.fixture(scope="module")
def context_bundle(tmp_path_factory) -> Bundle:
    """A tiny model that sees neighbors, and nothing outside the skull."""
    from HemoCAMLib.models.bundle import build_network

    torch.manual_seed(5)
    manifest = context_manifest(neighbor_weight=0.2, head={"slope": 1.0, "intercept": 0.0, "threshold": 0.5})
    network = build_network(manifest)
    with torch.no_grad():
        network.train()
        for _ in range(8):
            network(torch.randn(8, 3, 64, 64))
    return write_bundle(network.eval(), manifest.raw | {}, tmp_path_factory.mktemp("models") / "tiny")


def test_the_pipeline_calls_no_slab_without_a_brain(context_bundle):
    from drawn_heads import virtual_scan
    from HemoCAMLib.pipeline import Options, analyse

    ct = virtual_scan()
    found = analyse(ct, context_bundle, Options(gate=0.0, method="hirescam", stage=2))
    sampled = found.explained.sampled
    assert sampled.intracranial.any() and not sampled.intracranial.all()
    assert (found.probabilities[~sampled.intracranial] == 0).all()
    assert (found.probabilities[sampled.intracranial] > 0).all()
    head = found.explained.head_probability
    assert 0 < head < 1


def test_the_summary_names_the_head(context_bundle):
    from drawn_heads import virtual_scan
    from HemoCAMLib.doors.tables import summary
    from HemoCAMLib.pipeline import Options, analyse

    found = analyse(virtual_scan(), context_bundle, Options(method="hirescam", stage=2))
    result = summary(found, context_bundle, None, None, {})["result"]
    assert result["head_probability"] == pytest.approx(found.explained.head_probability, abs=1e-6)
    empty = ~found.explained.sampled.intracranial
    assert result["slabs_without_intracranial_content"] == empty.sum() > 0
