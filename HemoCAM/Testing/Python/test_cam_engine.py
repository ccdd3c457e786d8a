"""The engine gives pytorch-grad-cam's maps, from shared work, for every family, method and stage."""

import itertools

import numpy as np
import pytest
import torch
from cam_networks import FAMILIES, inputs, settled
from HemoCAMLib.cams.engine import Engine
from HemoCAMLib.cams.formulas import FORMULAS
from HemoCAMLib.cams.library import LibraryEngine
from HemoCAMLib.cams.methods import METHODS, NINE, SHARED
from HemoCAMLib.cams.scaling import library_maps
from HemoCAMLib.cams.stages import Chain, stage_module, stage_modules
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import OptionError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

# Largest difference of the library's final map, 0..1: what the numbers' order of summation may change. The drops
# of AblationCAM are small differences of large scores.
TOLERANCE = {"ablationcam": 3e-4, "ablationcam-library": 3e-4, "gradcam++": 2e-4, "xgradcam": 2e-4}


def finished(raw: np.ndarray, size: int = 96) -> np.ndarray:
    return library_maps(raw, (size, size))


def last_stages(network: torch.nn.Module) -> list[int]:
    count = len(stage_modules(network))
    return [count - 2, count - 1, count]


@pytest.mark.parametrize("name", FAMILIES)
def test_with_the_librarys_formulas_seven_methods_are_bit_identical(name):
    network, batch = settled(name), inputs()
    stages = last_stages(network)
    ours = Engine(network, formulas="library").explain(batch, Target(1), SHARED, stages)
    theirs = LibraryEngine(network).explain(batch, Target(1), SHARED, stages)
    assert np.array_equal(ours.logits, theirs.logits)
    assert list(ours.raw) == list(theirs.raw) and len(ours.raw) == 21
    for key, maps in theirs.raw.items():
        assert np.array_equal(ours.raw[key], maps), key


@pytest.mark.parametrize("name", FAMILIES)
def test_all_methods_agree_with_the_library(name):
    network, batch = settled(name), inputs()
    stages = last_stages(network)
    ours = Engine(network).explain(batch, Target(1), tuple(METHODS), stages)
    theirs = LibraryEngine(network).explain(batch, Target(1), tuple(METHODS), stages)
    for (method, stage), maps in theirs.raw.items():
        found = ours.raw[method, stage]
        assert found.shape == maps.shape and found.dtype == np.float32
        if method.startswith("eigen"):  # the library's sign is arbitrary
            found = found * np.sign((found * maps).sum((1, 2), keepdims=True))
        if (name, method) == ("test_convnext", "hirescam"):
            # a layer norm over the whole map follows: the sum of G * A is zero but for rounding, so the map is
            # a small difference of large numbers
            assert np.corrcoef(found.ravel(), maps.ravel())[0, 1] > 0.999
            continue
        worst = np.abs(finished(found) - finished(maps)).max()
        assert worst <= TOLERANCE.get(method, 1e-5), (method, stage, worst)


def test_the_shipped_model_agrees_to_what_is_promised():
    """Stage 5, one slice: 1e-5 of the final map, 2e-5 for zero ablation, whose weights are small differences."""
    from HemoCAMLib.models.bundle import Bundle

    network, batch = Bundle.open().network(), inputs(1, 256)
    promised = dict.fromkeys(["gradcam", "hirescam", "layercam", "ablationcam-library", "scorecam"], 1e-5) | {
        "ablationcam": 2e-5
    }
    ours = Engine(network).explain(batch, Target(0), tuple(promised), [5])
    theirs = LibraryEngine(network).explain(batch, Target(0), tuple(promised), [5])
    for (method, stage), maps in theirs.raw.items():
        worst = np.abs(finished(ours.raw[method, stage], 256) - finished(maps, 256)).max()
        assert worst <= promised[method], (method, worst)


def test_eigen_methods_agree_with_numpys_svd_but_for_the_sign():
    random = np.random.default_rng(0)
    for channels in (5, 40):  # fewer and more channels than pixels
        a = random.normal(size=(4, channels, 4, 5)).astype(np.float32)
        found = FORMULAS["eigencam"](torch.from_numpy(a), torch.from_numpy(a)).numpy()
        for one, activations in zip(found, a, strict=True):
            pixels = activations.reshape(channels, -1).T
            pixels = pixels - pixels.mean(0)
            expected = (pixels @ np.linalg.svd(pixels)[2][0]).reshape(4, 5)
            assert np.allclose(np.abs(one), np.abs(expected), atol=1e-4)


def test_what_is_asked_for_is_what_comes_whatever_else_is_asked_for():
    """A method's map is the same alone and among others, first stage or not."""
    network, batch = settled("test_efficientnet"), inputs()
    engine = Engine(network)
    together = engine.explain(batch, Target(0), tuple(METHODS), [3, 4, 6])
    for method, stage in itertools.product(METHODS, [3, 4, 6]):
        alone = engine.explain(batch, Target(0), [method], [stage])
        assert np.allclose(alone.raw[method, stage], together.raw[method, stage], rtol=1e-4, atol=1e-7)


def test_small_chunks_and_large_give_the_same():
    network, batch = settled("test_efficientnet"), inputs(5)
    large = Engine(network).explain(batch, Target(0), NINE, [4, 5])
    small_engine = Engine(network, memory=1_500_000)
    assert small_engine._capture_size(batch, [4, 5], True) < 5
    small = small_engine.explain(batch, Target(0), NINE, [4, 5])
    assert np.allclose(small.logits, large.logits, atol=1e-6)
    for key, maps in large.raw.items():
        assert np.allclose(finished(small.raw[key]), finished(maps), atol=1e-4), key


def test_a_target_a_slice():
    network, batch = settled("test_efficientnet"), inputs()
    engine, targets = Engine(network), [Target(2), Target(0, -1), Target(1)]
    mixed = engine.explain(batch, targets, ["hirescam", "ablationcam", "scorecam"], [4, 6])
    for row, target in enumerate(targets):
        alone = engine.explain(batch[row : row + 1], target, ["hirescam", "ablationcam", "scorecam"], [4, 6])
        for key, maps in alone.raw.items():
            assert np.allclose(mixed.raw[key][row], maps[0], rtol=1e-3, atol=1e-6), key


@pytest.mark.parametrize("method", ["gradcam", "xgradcam", "hirescam", "eigengradcam", "ablationcam"])
def test_against_a_class_is_the_negative_of_for_it(method):
    network, batch = settled("test_efficientnet"), inputs()
    engine = Engine(network)
    pro = engine.explain(batch, Target(1), [method], [4, 6]).raw
    contra = engine.explain(batch, Target(1, -1), [method], [4, 6]).raw
    for key, maps in pro.items():
        assert np.allclose(contra[key], -maps, rtol=1e-4, atol=1e-6)
        assert np.abs(maps).max() > 1e-6


def test_zero_ablation_is_what_the_score_loses():
    """Against the definition: the network run with the channel set to zero by a hook."""
    network, batch = settled("test_resnet"), inputs(2)
    raw = Engine(network).explain(batch, Target(2), ["ablationcam"], [3]).raw["ablationcam", 3]
    layer, ablated, seen = stage_module(network, 3), [None], []

    def ablate(_module, _inputs, output):
        seen.append(output.detach().clone())
        return output if ablated[0] is None else output.index_fill(1, torch.tensor([ablated[0]]), 0)

    hook = layer.register_forward_hook(ablate)
    try:
        with torch.inference_mode():
            full = network(batch)[:, 2]
            activations = seen[0]
            expected = torch.zeros(2, *activations.shape[2:])
            for channel in range(activations.shape[1]):
                ablated[0] = channel
                drop = full - network(batch)[:, 2]
                expected += drop[:, None, None] * activations[:, channel]
    finally:
        hook.remove()
    assert np.allclose(raw, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))


def test_the_closed_form_is_the_ablation_run():
    from HemoCAMLib.cams.ablation import ClosedForm, zero_drops
    from HemoCAMLib.cams.capture import capture
    from HemoCAMLib.cams.copies import folded_copy, frozen_copy
    from HemoCAMLib.cams.way import Way
    from HemoCAMLib.steps import follow

    network = settled("tf_efficientnetv2_s", channel_multiplier=0.25, depth_multiplier=0.2)
    frozen = frozen_copy(network)
    folded = folded_copy(frozen)
    closed, stages = ClosedForm(folded), len(stage_modules(network))
    captured = capture(Chain.of(frozen), inputs(2), [Target(0), Target(1, -1)], [stages - 1, stages])
    assert closed.covers(stages) and closed.covers(stages - 1) and not closed.covers(stages - 2)
    for stage in (stages - 1, stages):
        run = follow(zero_drops(Way.of(Chain.of(folded), stage, 8), captured, stage))
        assert torch.allclose(follow(closed.zero_drops(captured, stage)), run, atol=2e-6)
    assert not ClosedForm(folded_copy(frozen_copy(settled("test_convnext")))).covers(4)
    assert ClosedForm(folded_copy(frozen_copy(settled("test_resnet")))).covers(4)


def test_hirescam_of_the_last_stage_is_the_logit_cell_by_cell():
    """Draelos and Carin 2020: with average pooling and one linear layer the map's sum is the logit less bias."""
    network, batch = settled("test_efficientnet"), inputs()
    last = len(stage_modules(network))
    found = Engine(network).explain(batch, Target(1), ["hirescam"], [last])
    with torch.inference_mode():
        bias = float(network.classifier.bias[1])
    assert found.raw["hirescam", last].sum(axis=(1, 2)) == pytest.approx(found.logits[:, 1] - bias, abs=1e-5)


@settings(max_examples=30)
@given(arrays(np.float32, (2, 3, 4, 4, 4), elements=st.floats(-8, 8, width=32)))
def test_formulas_keep_the_librarys_meaning_for_any_numbers(values):
    """On whatever activations and gradients: torch's way and the library's code agree (but for Eigen*: see above)."""
    from HemoCAMLib.cams.formulas import library_formula

    activations, gradients = np.round(values, 2)
    for method in ("gradcam", "hirescam", "layercam"):
        ours = FORMULAS[method](torch.from_numpy(activations), torch.from_numpy(gradients)).numpy()
        assert np.allclose(ours, library_formula(method)(activations, gradients), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "count"),
    list(zip(FAMILIES, [6, 4, 4, 6, 4], strict=True)),
)
def test_stages_of_the_families(name, count):
    assert len(stage_modules(settled(name))) == count


def test_stage_five_of_efficientnetv2_s_is_the_papers():
    """Rafati et al. 2025: stage 4 has 128 channels, stage 5 160, stage 6 256."""
    import timm

    chain = Chain.of(timm.create_model("tf_efficientnetv2_s", num_classes=1).eval())
    with torch.inference_mode():
        x = torch.zeros(1, 3, 64, 64)
        shapes = [tuple(chain.advance(x, 0, stage).shape[1:]) for stage in (4, 5, 6)]
    assert shapes == [(128, 4, 4), (160, 4, 4), (256, 2, 2)]


def test_a_network_without_known_stages_is_refused():
    with pytest.raises(OptionError, match="stages of a Linear"):
        stage_modules(torch.nn.Linear(2, 2))


def test_a_network_that_is_no_chain_is_refused():
    """One that looks like a ResNet, but lets a side branch into its logits."""

    class Odd(type(settled("test_resnet"))):
        def forward(self, x):
            return super().forward(x) + self.conv1(x).mean((1, 2, 3))[:, None]

    import copy

    odd = copy.deepcopy(settled("test_resnet"))
    odd.__class__ = Odd
    with pytest.raises(OptionError, match="no plain chain"):
        Engine(odd)
