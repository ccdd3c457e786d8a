"""Deletion, insertion and their stand-ins, on networks whose logit depends on a known region."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from cam_networks import assert_same, inputs, settled, snapshot
from conftest import tiny_manifest
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import Cancelled, HemoCAMError, OptionError
from HemoCAMLib.faithfulness.baselines import BASELINES, baseline
from HemoCAMLib.faithfulness.curves import SHARES, curves
from HemoCAMLib.faithfulness.forward import (
    Forward,
    as_probability,
    random_maps,
    relevance_order,
    target_scores,
)
from HemoCAMLib.models.manifest import Manifest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

SIZE = 20
SPOT = np.zeros((SIZE, SIZE), np.float32)
SPOT[4:12, 6:11] = 1  # 40 of 400 pixels


class Spot(torch.nn.Module):
    """Two logits: the mean of the spot, and of what lies beside it."""

    def __init__(self):
        super().__init__()
        spot = torch.from_numpy(SPOT)
        self.weight = torch.nn.Parameter(torch.stack([spot / spot.sum(), (1 - spot) / (1 - spot).sum()]))

    def forward(self, x):
        return torch.einsum("nchw,khw->nk", x, self.weight) / x.shape[1]


def flat(count=1):
    return torch.ones(count, 2, SIZE, SIZE)


@pytest.fixture(scope="module")
def spot():
    return Forward(Spot())


def test_curves_worked_out_on_paper(spot):
    """All pixels are 1, the stand-in 0: the logit is the share of the spot that is there."""
    found = curves(
        spot, flat(), SPOT[None], Target(0), torch.zeros_like(flat()), tuple(np.linspace(0, 1, 21))
    )
    share = found.shares
    assert found.deletion[0] == pytest.approx(np.maximum(0, 1 - 10 * share), abs=1e-6)
    assert found.insertion[0] == pytest.approx(np.minimum(1, 10 * share), abs=1e-6)
    assert found.deletion_area[0] == pytest.approx(0.05, abs=1e-6)
    assert found.insertion_area[0] == pytest.approx(0.95, abs=1e-6)
    # the map of what lies beside the spot is the worst possible
    worst = curves(
        spot, flat(), -SPOT[None], Target(0), torch.zeros_like(flat()), tuple(np.linspace(0, 1, 21))
    )
    assert worst.deletion_area[0] == pytest.approx(0.95, abs=1e-6)
    # and against the class, the score has the other sign
    against = curves(
        spot, flat(), SPOT[None], Target(0, -1), torch.zeros_like(flat()), tuple(np.linspace(0, 1, 21))
    )
    assert (against.deletion == -found.deletion).all()


def test_a_faithful_map_beats_random_ones(spot):
    """Of random maps the areas lie around one half."""
    batch, empty = flat(30), torch.zeros(30, 2, SIZE, SIZE)
    random = curves(spot, batch, random_maps((30, SIZE, SIZE), 1), Target(0), empty)
    faithful = curves(spot, batch, np.repeat(SPOT[None], 30, 0), Target(0), empty)
    assert random.deletion_area.mean() == pytest.approx(0.5, abs=0.03)
    assert random.insertion_area.mean() == pytest.approx(0.5, abs=0.03)
    assert faithful.deletion_area.max() < random.deletion_area.min() - 0.2
    assert faithful.insertion_area.min() > random.insertion_area.max() + 0.2
    assert (faithful.probabilities((4, -2)).deletion_area < random.probabilities((4, -2)).deletion_area).all()


def test_either_way_joins_the_slice_and_the_stand_in(spot):
    batch, maps = torch.rand(3, 2, SIZE, SIZE), random_maps((3, SIZE, SIZE), [5, 6])
    empty, targets = baseline("mean", batch), [Target(0), Target(1), Target(0, -1)]
    found = curves(spot, batch, maps, targets, empty)
    whole, bare = (target_scores(Spot()(t).detach().numpy()[:, None], targets)[:, 0] for t in (batch, empty))
    for ends, first, last in ((found.deletion, whole, bare), (found.insertion, bare, whole)):
        assert ends[:, 0] == pytest.approx(first, abs=1e-6) and ends[:, -1] == pytest.approx(last, abs=1e-6)
    assert found.deletion.shape == found.insertion.shape == (3, len(SHARES)) and found.unit == "logit"
    chance = found.probabilities((2.0, 0.5))
    assert chance.unit == "probability" and chance.probabilities((9, 9)) is chance
    assert chance.deletion[2] == pytest.approx(1 / (1 + np.exp(2 * -found.deletion[2] + 0.5)))
    assert ((chance.insertion > 0) & (chance.insertion < 1)).all()


@given(st.floats(-5, 5), st.floats(0.1, 3), st.floats(-2, 2))
def test_for_and_against_add_up_to_one(logit, slope, intercept):
    scores = np.array([[logit], [-logit]])
    both = as_probability(scores, [Target(0), Target(0, -1)], (slope, intercept))
    assert both.sum() == pytest.approx(1) and both[0, 0] == pytest.approx(
        1 / (1 + math.exp(-slope * logit - intercept))
    )


@given(arrays(np.int8, (2, 4, 5), elements=st.integers(0, 3)), st.integers(0, 3))
def test_order_is_a_permutation_that_falls_with_the_map(maps, seed):
    places = relevance_order(maps.astype(np.float32), seed)
    for place, values in zip(places.reshape(2, -1), maps.reshape(2, -1), strict=True):
        assert sorted(place) == list(range(20))
        assert (np.diff(values[np.argsort(place)].astype(int)) <= 0).all()
    assert (places == relevance_order(maps.astype(np.float32) * 2 - 7, seed)).all()


def test_equal_pixels_have_no_order_of_their_own():
    """Half of a slice's equal pixels lie in its upper half, however few are taken."""
    upper = [
        (relevance_order(np.zeros((1, 64, 64), np.float32), seed)[0, :32] < 400).sum() for seed in range(20)
    ]
    assert np.mean(upper) == pytest.approx(200, abs=10) and len(set(upper)) > 5


def test_the_same_seed_gives_the_same_and_a_slice_does_not_depend_on_others():
    forward, batch = Forward(settled("test_efficientnet")), inputs(3, 64)
    maps = np.maximum(random_maps((3, 64, 64), 2) - 0.5, 0)  # many ties
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    found = curves(forward, batch, maps, Target(1), baseline("zero", batch), seed=3)
    again = curves(forward, batch, maps, Target(1), baseline("zero", batch), seed=3)
    assert np.array_equal(found.deletion, again.deletion) and np.array_equal(found.insertion, again.insertion)
    alone = curves(forward, batch[1:2], maps[1:2], Target(1), baseline("zero", batch[1:2]), seed=3)
    assert alone.deletion == pytest.approx(found.deletion[1:2], abs=1e-4)
    assert torch.equal(state, torch.random.get_rng_state())
    other = curves(forward, batch, maps, Target(1), baseline("zero", batch), seed=4)
    assert not np.allclose(other.deletion, found.deletion, atol=1e-4)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_convnext"])
def test_logits_are_the_networks_own_and_it_is_untouched(name):
    network = copy.deepcopy(settled(name)).train()
    batch, before = inputs(5, 64), snapshot(network)
    forward = Forward(network)
    one = forward.chunk((3, 64, 64)), forward._bytes[3, 64, 64][0]
    whole = forward.logits(5, (3, 64, 64), lambda a, b: batch[a:b])
    assert_same(before, snapshot(network))
    with torch.no_grad():
        assert whole == pytest.approx(settled(name)(batch).numpy(), abs=2e-4)
    sizes = []
    small = Forward(network, memory=2 * one[1])

    def make(start, stop):
        sizes.append(stop - start)
        return batch[start:stop]

    assert small.logits(5, (3, 64, 64), make) == pytest.approx(whole, abs=2e-4) and sizes == [2, 2, 1]
    with pytest.raises(OptionError, match="raise the bound"):
        Forward(network, memory=one[1] - 1).chunk((3, 64, 64))


def test_memory_stays_bounded_however_many_pictures():
    """No layer's input and output together take more than the bound says, and it is made use of."""
    network = settled("test_efficientnet")
    forward = Forward(network, memory=16 * 2**20)
    forward.chunk((3, 96, 96))  # is found on a copy, hooks and all
    largest = []

    def note(_, given, output):
        largest.append(output.nbytes + sum(t.nbytes for t in given))

    for module in forward._network.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    batch = inputs(1, 96)
    forward.logits(200, (3, 96, 96), lambda a, b: batch.expand(b - a, -1, -1, -1))
    assert 2**20 < max(largest) <= 16 * 2**20


def test_every_stand_in():
    manifest = Manifest.of(tiny_manifest())
    batch = inputs(2, 64)
    tissue = baseline("tissue", batch, manifest)
    for channel, ((centre, width), mean, std) in enumerate(
        zip(manifest.windows, manifest.mean, manifest.std, strict=True)
    ):
        share = min(max((32 - centre + width / 2) / width, 0), 1)
        assert tissue[:, channel].numpy() == pytest.approx((share - mean) / std, abs=1e-5)
    assert not baseline("zero", batch).any()
    assert torch.allclose(baseline("mean", batch)[1, 2, 5, 5], batch[1, 2].mean())
    blurred = baseline("blur", batch)
    assert float(blurred.mean()) == pytest.approx(float(batch.mean()), abs=0.01)
    assert blurred.std() < 0.4 * batch.std()
    assert torch.allclose(baseline("blur", torch.ones_like(batch)), torch.ones_like(batch), atol=1e-5)
    assert baseline("blur", torch.rand(1, 1, 3, 9)).shape == (1, 1, 3, 9)
    for name in BASELINES:
        assert baseline(name, batch, manifest).shape == batch.shape
    with pytest.raises(OptionError, match=r"no baseline 'air'; choose one of tissue"):
        baseline("air", batch)
    for wrong in (None, manifest):
        with pytest.raises(OptionError, match="needs a manifest with a window for each of the 5 channels"):
            baseline("tissue", torch.zeros(1, 5, 8, 8), wrong)
    json.dumps(BASELINES)  # names, for the command's choices


def test_blood_stays_blood_when_blurred_and_goes_with_tissue():
    """Why tissue is the default: a bright area of 4 cm on a slice of 22 cm."""
    manifest = Manifest.of(tiny_manifest())
    from HemoCAMLib.models.preprocess import network_input

    hu = np.full((1, 128, 128), 32.0, np.float32)
    hu[0, 50:74, 50:74] = 70
    batch = torch.from_numpy(network_input(hu, manifest))
    inside = (0, 0, slice(56, 68), slice(56, 68))
    contrast = batch[inside].mean() - batch[0, 0, 0, 0]
    blurred, tissue = baseline("blur", batch), baseline("tissue", batch, manifest)
    assert blurred[inside].mean() - blurred[0, 0, 0, 0] > 0.9 * contrast
    assert float(tissue.std(dim=(2, 3)).max()) < 1e-6


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"maps": SPOT}, OptionError, "do not fit an input"),
        ({"maps": SPOT[None, :5]}, OptionError, "do not fit an input"),
        ({"maps": SPOT[None] * np.nan}, HemoCAMError, "not finite"),
        ({"batch": flat() * np.inf}, HemoCAMError, "not finite"),
        ({"targets": [Target(0)] * 2}, OptionError, "2 targets for 1 slices"),
        ({"targets": Target(2)}, OptionError, "no output 2"),
        ({"baseline": torch.zeros(1, 2, 3, 3)}, OptionError, "baseline of the shape"),
        ({"shares": (0.0, 0.5)}, OptionError, "rise from 0 to 1"),
        ({"shares": (0.0, 0.5, 0.5, 1.0)}, OptionError, "rise from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(spot, change, error, sentence):
    given_ = {"batch": flat(), "maps": SPOT[None], "targets": Target(0), "baseline": flat() * 0} | change
    with pytest.raises(error, match=sentence):
        curves(spot, **given_)


def test_a_network_that_breaks_is_said_and_a_cancel_passes_through(spot):
    broken = Spot()
    broken.weight.data[:] = math.nan
    with pytest.raises(HemoCAMError, match="logits that are not finite"):
        curves(Forward(broken), flat(), SPOT[None], Target(0), flat() * 0)

    def stop(phase, done, total):
        assert phase == "Deleting and inserting pixels" and 0 <= done <= total == 40
        raise Cancelled

    with pytest.raises(Cancelled):
        curves(spot, flat(), SPOT[None], Target(0), flat() * 0, progress=stop)
