"""ROAD: pixel by pixel and score by score against pytorch-grad-cam's."""

import numpy as np
import pytest
import torch
from cam_networks import inputs, settled
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import Cancelled, OptionError
from HemoCAMLib.faithfulness.forward import Forward, random_maps
from HemoCAMLib.faithfulness.road import PERCENTILES, fill, road
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pytorch_grad_cam.metrics import road as library
from test_faithfulness import SIZE, SPOT, Spot


@pytest.mark.filterwarnings("ignore:__array_wrap__")  # the library's, with NumPy 2
@given(arrays(bool, st.tuples(st.integers(2, 9), st.integers(2, 9))), st.integers(0, 99))
def test_filling_is_the_librarys(keep, seed):
    rng = np.random.default_rng(seed)
    keep[rng.integers(keep.shape[0]), rng.integers(keep.shape[1])] = True
    image = rng.normal(size=(2, *keep.shape)).astype(np.float32)
    found = fill(image, keep)
    assert np.array_equal(found[:, keep], image[:, keep]) and found.dtype == np.float32
    if not keep.all():
        other = library.NoisyLinearImputer(noise=0)(
            torch.from_numpy(image), torch.from_numpy(np.float32(keep))
        )
        assert found == pytest.approx(other.numpy(), abs=1e-5)


def test_filling_worked_out_on_paper():
    """One pixel: the weighted mean of its neighbours; one value around: that value everywhere."""
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    keep = np.ones((3, 3), bool)
    keep[1, 1] = False
    assert fill(image, keep)[0, 1, 1] == pytest.approx((1 + 3 + 5 + 7) / 6 + (0 + 2 + 6 + 8) / 12)
    keep = np.ones((3, 3), bool)
    keep[0, 0] = False
    assert fill(image, keep)[0, 0, 0] == pytest.approx((1 / 6 + 3 / 6 + 4 / 12) / (1 / 6 + 1 / 6 + 1 / 12))
    hole = np.zeros((12, 12), bool)
    hole[0, 5] = True
    assert fill(np.full((1, 12, 12), 2.5, np.float32), hole) == pytest.approx(2.5)


def distinct(count, size, seed=0):
    """Maps without two equal values, in steps that 1 - map keeps exactly."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(size * size).reshape(size, size) / 2**14 for _ in range(count)]).astype(
        np.float32
    )


@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_scores_are_the_librarys():
    network, batch, maps = settled("test_efficientnet"), inputs(2, 48), distinct(2, 48)
    targets = [Target(0), Target(2)]
    found = road(Forward(network), batch, maps, targets, noise=0)
    imputer = library.NoisyLinearImputer(noise=0)
    most, least = [], []
    for q in PERCENTILES:
        for kind, into in (
            (library.RemoveMostRelevantFirst, most),
            (library.RemoveLeastRelevantFirst, least),
        ):
            metric = library.PerturbationConfidenceMetric(kind(q, imputer))
            into.append(metric(batch, maps, targets, network))
    assert found.most - found.original[:, None] == pytest.approx(np.array(most).T, abs=2e-4)
    assert found.least - found.original[:, None] == pytest.approx(np.array(least).T, abs=2e-4)
    combined = (np.mean(least, axis=0) - np.mean(most, axis=0)) / 2
    assert found.combined == pytest.approx(combined, abs=2e-4) and found.combined.std() > 1e-3
    # with the library's own noise, whose seed is the whole process's, as it is and near
    torch.manual_seed(0)
    noisy = library.ROADCombined()(batch, maps, targets, network)
    ours = road(Forward(network), batch, maps, targets, seed=1).combined
    assert ours == pytest.approx(noisy, abs=0.02)


def hill(count=1):
    """A bright spot on a dark ground: what removing it does, its surroundings tell."""
    return torch.from_numpy(SPOT)[None, None].repeat(count, 2, 1, 1)


def test_a_faithful_map_beats_random_ones():
    forward, batch = Forward(Spot()), hill(20)
    soft = SPOT[None].repeat(20, 0)
    faithful = road(forward, batch, soft, Target(0), (50, 70, 90))
    random = road(forward, batch, random_maps((20, SIZE, SIZE), 3), Target(0), (50, 70, 90))
    assert faithful.most == pytest.approx(0, abs=0.01) and faithful.least == pytest.approx(1, abs=0.01)
    assert faithful.combined == pytest.approx(0.5, abs=0.01)
    assert abs(random.combined.mean()) < 0.05 and random.combined.max() < 0.3
    chance = faithful.probabilities((8, -4))
    assert (chance.combined > 0.4).all() and chance.unit == "probability"
    backwards = road(forward, batch, -soft, Target(0), (50, 70, 90))
    assert backwards.combined == pytest.approx(-faithful.combined, abs=0.01)


def test_as_many_pixels_go_as_asked_even_of_a_flat_map():
    """The library takes all pixels that share a value; of a flat map that is every one, and nothing to fill from."""
    forward, seen = Forward(Spot()), []
    forward.chunk((2, SIZE, SIZE))  # is found on a copy, hooks and all
    forward._network.register_forward_pre_hook(lambda _, given_: seen.append(given_[0].clone()))
    batch = torch.rand(1, 2, SIZE, SIZE)
    road(forward, batch, np.zeros((1, SIZE, SIZE), np.float32), Target(0), (10, 50, 90), noise=1.0)
    pictures = torch.cat(seen).numpy()
    changed = (pictures != batch.numpy()).any(axis=1).sum(axis=(1, 2))
    assert list(changed) == [0, 360, 200, 40, 360, 200, 40]


def test_the_same_seed_gives_the_same_and_torchs_numbers_go_on():
    forward, batch = Forward(Spot()), torch.rand(2, 2, SIZE, SIZE)
    maps = random_maps((2, SIZE, SIZE), 1)
    state = torch.random.get_rng_state()
    one, same, other = (road(forward, batch, maps, Target(0), (50,), 0.5, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.most, same.most) and not np.allclose(one.most, other.most)
    assert torch.equal(state, torch.random.get_rng_state())
    alone = road(forward, batch[1:], maps[1:], Target(0), (50,), 0.5, 1)
    assert alone.most == pytest.approx(one.most[1:], abs=1e-6)


def test_what_is_no_road_is_refused_and_a_cancel_passes_through():
    forward = Forward(Spot())
    for percentiles in ((), (0,), (100,), (50, 120)):
        with pytest.raises(OptionError, match="between 0 and 100"):
            road(forward, hill(), SPOT[None], Target(0), percentiles)
    with pytest.raises(OptionError, match="do not fit"):
        road(forward, hill(), SPOT[None, :4], Target(0))

    def stop(phase, done, total):
        if done:
            assert phase == "Filling removed pixels" and done < total == 19
            raise Cancelled

    with pytest.raises(Cancelled):
        road(forward, hill(), SPOT[None], Target(0), progress=stop)
