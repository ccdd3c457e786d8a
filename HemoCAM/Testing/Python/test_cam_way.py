"""Passes without gradients: how many samples go together, and in what form the network is, changes rounding only."""

import contextlib
import copy

import numpy as np
import pytest
import torch
from cam_networks import FAMILIES, assert_same, inputs, settled, snapshot
from HemoCAMLib.cams import packed as packing
from HemoCAMLib.cams.copies import folded_copy, frozen_copy
from HemoCAMLib.cams.engine import Engine
from HemoCAMLib.cams.memory import Meter
from HemoCAMLib.cams.stages import Chain
from HemoCAMLib.cams.target import Target
from HemoCAMLib.cams.way import Leg, Way
from HemoCAMLib.steps import Step, follow
from hypothesis import given, settings
from hypothesis import strategies as st

CACHE = 8 << 20


@contextlib.contextmanager
def layers_of(network: torch.nn.Module):
    """Bytes of each layer's inputs and output as it really runs."""
    sizes = []
    leaves = [m for m in network.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(lambda _, i, o: sizes.extend(t.nbytes for t in (*i, o))) for m in leaves]
    yield sizes
    for hook in hooks:
        hook.remove()


def tell(start: int) -> Step:
    return Step("Going", start, 1)


@given(layers=st.lists(st.integers(1, 1 << 26), min_size=1, max_size=12), most=st.integers(1, 40))
def test_each_block_takes_what_stays_in_the_cache(layers, most):
    chain = Chain((), tuple((torch.nn.Identity(),) for _ in layers[1:]), (), lambda x: x)
    way = Way.of(chain, 0, most, layers)
    assert [b for leg in way.legs for b in leg.blocks] == chain.path(0)
    sizes = [leg.size for leg in way.legs for _ in leg.blocks]
    assert way.chunk == max(sizes) and max(sizes) <= most
    for size, layer in zip(sizes, layers, strict=True):
        assert size == 1 or size * layer <= CACHE
        assert size == most or 2 * size > most or 2 * size * layer > CACHE  # and no less than that
    assert all(a.size != b.size for a, b in zip(way.legs, way.legs[1:], strict=False))


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=9, max_size=9), count=st.integers(1, 11))
def test_scores_do_not_depend_on_how_many_go_together(sizes, count):
    network, batch = settled("test_efficientnet"), inputs(11, 48)
    path = Chain.of(network).path(0)
    blocks = [path[i : i + 1] if i < 8 else path[8:] for i in range(9)]
    way = Way(tuple(Leg(tuple(b), s) for b, s in zip(blocks, sizes, strict=True)), max(sizes))
    made = []

    def make(start: int, stop: int) -> torch.Tensor:
        made.append((start, stop))
        return batch[start:stop]

    found = follow(way.scores(count, make, Target(1, -1), tell))
    with torch.inference_mode():
        assert torch.allclose(found, -network(batch[:count])[:, 1], atol=1e-5)
    assert [start for start, _ in made] == [0, *(stop for _, stop in made[:-1])] and made[-1][1] == count


@pytest.mark.parametrize("name", FAMILIES)
def test_the_meter_knows_the_largest_layer_of_each_block(name):
    network = settled(name)
    meter, path = Meter(frozen_copy(network)), Chain.of(network).path(2)
    x = Chain.of(network).advance(inputs(1), 0, 2)
    found = meter.layers((3, 96, 96), 2)
    assert len(found) == len(path)
    for block, expected in zip(path, found, strict=True):
        with layers_of(network) as sizes, torch.inference_mode():
            x = block(x)
        assert expected == max([*sizes, x.nbytes])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_packed_network_gives_what_the_folded_one_gives(name):
    folded = folded_copy(frozen_copy(settled(name)))
    before = snapshot(folded)
    packed = packing.packed_copy(folded, torch.float32)
    rough = packing.packed_copy(folded, torch.bfloat16)
    for count, size in ((3, 96), (1, 96), (2, 64), (3, 96)):  # weights are packed anew for each shape
        batch = inputs(count, size).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            expected = folded(batch)
            assert torch.allclose(packed(batch), expected, atol=1e-5)
            off = (rough(batch.bfloat16()).float() - expected).abs().max()
        assert 0 < off < 0.1 * expected.abs().max()
    assert_same(before, snapshot(folded))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
@pytest.mark.parametrize("name", FAMILIES)
def test_convolutions_are_packed_where_torch_can(name):
    folded = folded_copy(frozen_copy(settled(name)))
    kinds = [type(m) for m in packing.packed_copy(folded, torch.float32).modules()]
    assert kinds.count(packing.Packed) > 5
    assert not set(kinds) & {torch.nn.Conv2d, packing.Conv2dSame}


def _without_operator(monkeypatch):
    monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")


def _with_wrong_numbers(monkeypatch):
    monkeypatch.setattr(packing, "_ACTIVATIONS", {torch.nn.SiLU: "relu", torch.nn.ReLU: "swish"})


def _without_onednn(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)


@pytest.mark.parametrize("harm", [_without_operator, _with_wrong_numbers, _without_onednn])
def test_where_torch_cannot_pack_the_folded_network_is_used(monkeypatch, harm):
    network, batch = settled("test_efficientnet"), inputs()
    folded = folded_copy(frozen_copy(network))
    expected = Engine(network).explain(batch, Target(0), ["ablationcam", "scorecam"], [4]).raw
    harm(monkeypatch)
    assert packing.packed_copy(folded, torch.float32) is folded
    rough = packing.packed_copy(folded, torch.bfloat16)
    assert packing.Packed not in {type(m) for m in rough.modules()}
    assert next(rough.parameters()).dtype == torch.bfloat16 != next(folded.parameters()).dtype
    found = Engine(network).explain(batch, Target(0), ["ablationcam", "scorecam"], [4]).raw
    for key, maps in expected.items():
        assert np.allclose(found[key], maps, rtol=1e-3, atol=1e-5 * np.abs(maps).max()), key


def test_a_packed_network_can_be_copied():
    batch = inputs().contiguous(memory_format=torch.channels_last)
    packed = packing.packed_copy(folded_copy(frozen_copy(settled("test_efficientnet"))), torch.float32)
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(packed)(batch), packed(batch))
