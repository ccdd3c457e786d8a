"""Maps of networks that lose their weights from the head down."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from cam_networks import FAMILIES, assert_same, inputs, settled, snapshot
from HemoCAMLib.cams.engine import Engine, Explanation
from HemoCAMLib.cams.library import LibraryEngine
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import Cancelled, OptionError
from HemoCAMLib.faithfulness.randomisation import cascade, correlation, depths_of, rank_correlation
from scipy import stats

STAGES = {
    "test_efficientnet": 6,
    "test_resnet": 4,
    "test_convnext": 4,
    "mobilenetv3_small_050": 6,
    "regnetx_002": 4,
}


class Edges:
    """A "method" that shows the picture's edges, whatever the network is."""

    def __init__(self, network):
        self.network = network

    def explain(self, batch, targets, methods, stages, progress):
        maps = batch.diff(dim=2)[..., :-1].abs().mean(1) + batch.diff(dim=3)[:, :, :-1].abs().mean(1)
        with torch.no_grad():
            return Explanation(self.network(batch).numpy(), {(methods[0], stages[0]): maps.numpy()})


def test_edges_stay_and_maps_of_the_network_change():
    network, batch = settled("test_efficientnet"), inputs(4)
    last = STAGES["test_efficientnet"]
    edges = cascade(network, batch, Target(0), ["hirescam"], [last], make_engine=Edges)
    assert (edges.spearman["hirescam", last] == 1).all() and edges.depths == depths_of(network)
    found = cascade(network, batch, Target(0), ["hirescam", "layercam"], [2, last], ["head", "stem"], 3)
    for key, alike in found.spearman.items():
        assert alike.shape == (3, 2, 4)
        # without any of its weights: correlated by no more than chance and the picture's own structure
        assert abs(alike[:, -1].mean()) < 0.5, key
    assert found.spearman["hirescam", last][:, 0].mean() < 0.9  # the head alone does it


@pytest.mark.parametrize("stage", [2, 4])
def test_what_lies_below_the_lost_layers_is_as_it_was(stage):
    """EigenCAM sees activations only: its map cannot change before its own stage has lost its weights."""
    found = cascade(settled("test_efficientnet"), inputs(3), Target(0), ["eigencam"], [stage])
    alike = np.abs(found.spearman["eigencam", stage][0]).min(axis=1)
    kept = [i for i, d in enumerate(found.depths) if d == "head" or (d != "stem" and int(d[-1]) > stage)]
    assert len(kept) == 7 - stage and alike[kept] == pytest.approx(1, abs=1e-3)
    assert alike[len(kept) :].max() < 0.99


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_are_lost_depth_by_depth_and_only_in_copies(name):
    network = copy.deepcopy(settled(name)).train()
    before, seen = snapshot(network), []

    def look(lost):
        seen.append({n: t.clone() for n, t in lost.named_parameters()})
        assert not lost.training and not any(m.training for m in lost.modules())
        with torch.no_grad():
            logits = lost(inputs(4))
        assert torch.isfinite(logits).all() and 1e-3 < logits.std() < 1e3  # neither faded nor exploded
        return Edges(lost)

    found = cascade(network, inputs(4), Target(0), ["hirescam"], [1], make_engine=look)
    assert_same(before, snapshot(network))
    assert found.depths == ("head", *(f"stage {n}" for n in range(STAGES[name], 0, -1)), "stem")
    weights = [n for n, p in network.named_parameters() if p.ndim > 1]
    lost = [{n for n in weights if not torch.equal(now[n], seen[0][n])} for now in seen[1:]]
    assert lost[-1] == set(weights) and lost[0]
    for earlier, later in pairwise(lost):
        assert earlier < later
    for n in lost[0]:  # what was lost first stays as it then was
        assert torch.equal(seen[1][n], seen[-1][n])


def test_the_same_seed_gives_the_same_whichever_depths_are_looked_at():
    network, batch = settled("test_resnet"), inputs(2)
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    whole = cascade(network, batch, Target(1), ["gradcam"], [3], repeats=2, seed=5)
    some = cascade(network, batch, Target(1), ["gradcam"], [3], ["stem", "stage 4"], repeats=2, seed=5)
    assert torch.equal(state, torch.random.get_rng_state())
    assert some.depths == ("stage 4", "stem")
    assert np.array_equal(some.spearman["gradcam", 3], whole.spearman["gradcam", 3][:, [1, -1]])
    other = cascade(network, batch, Target(1), ["gradcam"], [3], ["stem"], seed=6)
    assert not np.allclose(other.pearson["gradcam", 3], whole.pearson["gradcam", 3][0, -1])
    first, second = whole.pearson["gradcam", 3]
    assert not np.allclose(first, second)


def test_the_library_says_the_same():
    network, batch = settled("test_efficientnet"), inputs(2)
    ours, theirs = (
        cascade(
            network, batch, Target(0), ["hirescam", "gradcam"], [4], ["head", "stage 3"], make_engine=make
        )
        for make in (Engine, LibraryEngine)
    )
    for key, alike in ours.pearson.items():
        assert alike == pytest.approx(theirs.pearson[key], abs=1e-3)


def test_one_slice_suffices():
    """Batch norms learn their statistics from it and its mirror image, even where it has shrunk to one cell."""
    found = cascade(settled("test_resnet"), inputs(1, 32), Target(0), ["hirescam"], [2], ["stem"])
    assert np.isfinite(found.spearman["hirescam", 2]).all()


def test_correlations_are_scipys():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, (2, 5, 6, 7)).astype(np.float32)
    for n in range(5):
        a, b = first[n].ravel(), second[n].ravel()
        assert correlation(first, second)[n] == pytest.approx(stats.pearsonr(a, b).statistic)
        assert rank_correlation(first, second)[n] == pytest.approx(stats.spearmanr(a, b).statistic)
    assert correlation(first, 3 - 2 * first) == pytest.approx(-1)
    assert rank_correlation(first, np.exp(first)) == pytest.approx(1)
    assert np.isnan(correlation(first, np.full_like(first, 0.1))).all()
    assert np.isnan(rank_correlation(np.zeros_like(first), second)).all()


def test_what_is_no_depth_is_refused_and_a_cancel_passes_through():
    network = settled("test_resnet")
    for wrong in (["tail"], [], ["head", "stage 9"]):
        with pytest.raises(OptionError, match="in the order head, stage 4, stage 3, stage 2, stage 1, stem"):
            cascade(network, inputs(1), Target(0), ["gradcam"], [3], wrong)
    with pytest.raises(OptionError, match="one repeat"):
        cascade(network, inputs(1), Target(0), ["gradcam"], [3], repeats=0)
    with pytest.raises(OptionError, match="does not know the stages"):
        cascade(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)), inputs(1), Target(0), ["gradcam"], [1])
    told = []

    def stop(phase, done, total):
        told.append((done, total))
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        cascade(network, inputs(1), Target(0), ["gradcam"], [3], progress=stop)
    assert told[0] == (0, 7) and told == sorted(told)
