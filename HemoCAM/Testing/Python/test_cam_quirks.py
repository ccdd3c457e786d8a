"""Where pytorch-grad-cam 1.5 surprises, and what the engine does instead. One test a quirk."""

import copy

import numpy as np
import pytest
import torch
from cam_networks import assert_same, inputs, settled, snapshot
from HemoCAMLib.cams.engine import Engine
from HemoCAMLib.cams.formulas import FORMULAS, library_formula
from HemoCAMLib.cams.library import LibraryEngine
from HemoCAMLib.cams.methods import METHODS
from HemoCAMLib.cams.scaling import library_maps, scale_maps
from HemoCAMLib.cams.stages import stage_module
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import OptionError
from pytorch_grad_cam import AblationCAM, EigenCAM, GradCAM
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

STAGE = 4
ANY = Target(0)


def network(**changes):
    found = copy.deepcopy(settled("test_efficientnet"))
    for name, value in changes.items():
        with torch.no_grad():
            getattr(found.classifier, name).copy_(value(getattr(found.classifier, name)))
    return found


def theirs(net, batch, method, target=ANY):
    return LibraryEngine(net).explain(batch, target, [method], [STAGE]).raw[method, STAGE]


def ours(net, batch, method, target=ANY):
    return Engine(net).explain(batch, target, [method], [STAGE]).raw[method, STAGE]


def alike(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def test_its_ablation_is_no_ablation_where_activations_have_both_signs():
    """It sets channels to about -1e7: weights of any size, a map unlike that of zero ablation."""
    net, batch = network(), inputs()
    zero, odd = ours(net, batch, "ablationcam"), ours(net, batch, "ablationcam-library")
    assert np.abs(odd).max() > 1e4 * np.abs(zero).max()
    assert abs(alike(odd, zero)) < 0.9
    assert np.allclose(odd, theirs(net, batch, "ablationcam-library"), rtol=1e-3)


def test_its_ablation_depends_on_its_batch_size_and_ours_does_not():
    net, batch = network(), inputs(1)
    found = []
    for size in (32, 7):
        cam = AblationCAM(net, [stage_module(net, STAGE)], ablation_layer=AblationLayer(), batch_size=size)
        found.append(cam(batch, [ClassifierOutputTarget(0)]))
        cam.activations_and_grads.release()
    assert np.abs(found[0] - found[1]).max() > 1e-3
    whole = ours(net, batch, "ablationcam")
    engine = Engine(net)
    engine.memory = engine._meter.footprint((3, 96, 96), 0).passing * 7
    chunked = engine.explain(batch, Target(0), ["ablationcam"], [STAGE]).raw["ablationcam", STAGE]
    assert np.allclose(whole, chunked, rtol=1e-3, atol=1e-3 * np.abs(whole).max())


def test_it_divides_the_drop_by_the_score_so_a_negative_logit_turns_the_map_over():
    """The same network with another bias explains the same evidence; only the library's map changes its sign."""
    batch = inputs(1)
    high, low = network(bias=lambda b: b + 5), network(bias=lambda b: b - 5)
    assert alike(ours(high, batch, "ablationcam"), ours(low, batch, "ablationcam")) > 0.999
    cams = []
    for net in (high, low):
        maps = ours(net, batch, "ablationcam-library")
        assert np.allclose(maps, theirs(net, batch, "ablationcam-library"), rtol=1e-3)
        cams.append(maps)
    assert alike(*cams) < -0.999


def test_it_stretches_every_slice_and_the_raw_map_does_not():
    net = network()
    batch = torch.cat([inputs(1), inputs(1) * 0.05])
    raw = ours(net, batch, "hirescam")
    peaks = raw.max((1, 2))
    assert peaks[0] > 2 * peaks[1]
    assert library_maps(raw, (96, 96)).max((1, 2)) == pytest.approx([1, 1], abs=1e-5)
    shown = scale_maps(raw, "volume", np.ones(2, bool)).maps.max((1, 2))
    assert shown[1] / shown[0] == pytest.approx(peaks[1] / peaks[0], rel=1e-4)


def test_the_sign_of_its_eigencam_is_arbitrary_and_ours_is_not():
    """A mirrored picture: with random ones the library flips some and leaves others."""
    random = np.random.default_rng(0)
    a = random.normal(size=(24, 6, 5, 5)).astype(np.float32)
    mirrored = np.ascontiguousarray(a[..., ::-1])
    for method in ("eigencam", "eigengradcam"):
        g = random.normal(size=a.shape).astype(np.float32)
        pair = [(a, g), (mirrored, np.ascontiguousarray(g[..., ::-1]))]
        straight, turned = (library_formula(method)(x, y) for x, y in pair)
        agree = (straight * turned[..., ::-1]).sum((1, 2)) > 0
        assert 0 < agree.sum() < len(a)
        straight, turned = (
            FORMULAS[method](torch.from_numpy(x), torch.from_numpy(y)).numpy() for x, y in pair
        )
        assert ((straight * turned[..., ::-1]).sum((1, 2)) > 0).all()


def test_our_signs_are_the_documented_ones():
    a = torch.from_numpy(np.random.default_rng(1).normal(size=(16, 6, 5, 5)).astype(np.float32))
    g = torch.from_numpy(np.random.default_rng(2).normal(size=(16, 6, 5, 5)).astype(np.float32))
    strength = a.abs().sum(1)
    assert ((FORMULAS["eigencam"](a, g) * strength).sum((1, 2)) >= 0).all()
    evidence = FORMULAS["hirescam"](a, g)
    assert ((FORMULAS["eigengradcam"](a, g) * evidence).sum((1, 2)) >= -1e-4).all()
    assert torch.allclose(FORMULAS["eigengradcam"](a, -g), -FORMULAS["eigengradcam"](a, g), atol=1e-4)


def test_gradcam_plus_plus_depends_on_the_logits_scale_and_says_so():
    """Twice the weights of the linear layer double all evidence: HiResCAM doubles, GradCAM++ becomes another map.

    The formula is the library's, on purpose; its docstring warns.
    """
    batch = inputs(1)
    small, large = network(weight=lambda w: w * 0.01), network(weight=lambda w: w * 100)
    assert alike(ours(small, batch, "hirescam"), ours(large, batch, "hirescam")) > 0.9999
    assert alike(ours(small, batch, "gradcam++"), ours(large, batch, "gradcam++")) < 0.99
    assert "depends on the scale of the logit" in FORMULAS["gradcam++"].__doc__


def test_xgradcam_divides_by_sums_near_zero_and_says_so():
    a = torch.tensor([[[[1.0, -1.0 + 1e-4]], [[1.0, 1.0]]]])
    g = torch.tensor([[[[1.0, 0.5]], [[1.0, 1.0]]]])
    found = FORMULAS["xgradcam"](a, g)
    assert np.allclose(found, library_formula("xgradcam")(a.numpy(), g.numpy()), rtol=1e-3)
    assert found.abs().max() > 1000 and "near zero and the weight huge" in FORMULAS["xgradcam"].__doc__


def test_a_wrong_class_gives_it_no_map_and_no_error(capfd):
    net, happened = network(), []
    with GradCAM(net, [stage_module(net, STAGE)]) as cam:
        cam(inputs(1), [ClassifierOutputTarget(17)])
        happened.append("a map")
    assert not happened and "IndexError" in capfd.readouterr().out
    with pytest.raises(OptionError, match="no output 17"):
        ours(net, inputs(1), "gradcam", Target(17))


def test_too_few_targets_give_it_maps_of_zero():
    net = network()
    cam = GradCAM(net, [stage_module(net, STAGE)])
    maps = cam(inputs(3), [ClassifierOutputTarget(0)] * 2)
    cam.activations_and_grads.release()
    assert maps[0].any() and not maps[2].any()
    with pytest.raises(OptionError, match="2 targets for 3 slices"):
        ours(net, inputs(3), "gradcam", [Target(0)] * 2)


def test_frozen_parameters_stop_it():
    net = network().requires_grad_(False)
    cam = GradCAM(net, [stage_module(net, STAGE)])
    with pytest.raises((RuntimeError, AttributeError)):
        cam(inputs(1), [ClassifierOutputTarget(0)])
    cam.activations_and_grads.release()
    assert ours(net, inputs(1), "gradcam").any()


def test_an_interrupted_ablation_leaves_it_without_its_layer():
    net = network()
    layer = stage_module(net, STAGE)

    class Stop(ClassifierOutputTarget):
        calls = 0

        def __call__(self, output):
            Stop.calls += 1
            if Stop.calls > 5:
                raise KeyboardInterrupt
            return super().__call__(output)

    cam = AblationCAM(net, [layer], ablation_layer=AblationLayer())
    with pytest.raises(KeyboardInterrupt):
        cam(inputs(1), [Stop(0)])
    cam.activations_and_grads.release()
    assert stage_module(net, STAGE) is not layer


def test_it_fills_gradients_leaves_the_mode_and_prints(capfd):
    net = network().train()
    before = snapshot(net)
    cam = EigenCAM(net, [stage_module(net, STAGE)])
    cam(inputs(1), [ClassifierOutputTarget(0)])
    cam.activations_and_grads.release()
    assert not net.training  # it put the caller's network into evaluation mode
    cam = GradCAM(net, [stage_module(net, STAGE)])
    cam(inputs(1), [ClassifierOutputTarget(0)])
    cam.activations_and_grads.release()
    assert all(p.grad is not None for p in net.parameters())
    cam = AblationCAM(net, [stage_module(net, STAGE)], ablation_layer=AblationLayer())
    cam(inputs(1), [ClassifierOutputTarget(0)])
    cam.activations_and_grads.release()
    assert "it/s" in capfd.readouterr().err
    clean = network().train()
    Engine(clean).explain(inputs(1), Target(0), tuple(METHODS), [STAGE])
    assert_same(before, snapshot(clean))


def test_all_its_ablations_share_one_layer_that_keeps_the_last_activations():
    net = network()
    first, second = (AblationCAM(net, [stage_module(net, s)]) for s in (3, 4))
    assert first.ablation_layer is second.ablation_layer
    for cam in (first, second):
        cam.activations_and_grads.release()


def test_the_formulas_do_not_couple_the_slices_of_a_batch():
    """In the library a slice's GradCAM++ changes with its batch: rounding in the network, blown up by the formula."""
    net, batch = network(), inputs(8)
    assert np.abs(theirs(net, batch, "gradcam++")[:1] - theirs(net, batch[:1], "gradcam++")).max() > 0
    random = torch.Generator().manual_seed(0)
    a, g = (torch.randn(8, 12, 6, 6, generator=random) for _ in range(2))
    for method, formula in FORMULAS.items():
        alone = torch.cat([formula(a[n : n + 1], g[n : n + 1]) for n in range(8)])
        assert torch.allclose(formula(a, g), alone, rtol=1e-4, atol=1e-5), method


def test_at_the_last_stage_three_methods_are_one():
    """Before an average and a linear layer G is constant over a channel: GradCAM, XGradCAM and HiResCAM agree."""
    net, batch = network(), inputs()
    maps = Engine(net).explain(batch, ANY, ["gradcam", "xgradcam", "hirescam"], [6]).raw
    assert np.allclose(maps["gradcam", 6], maps["hirescam", 6], atol=1e-6)
    assert alike(maps["xgradcam", 6], maps["hirescam", 6]) > 0.9999


def test_layercam_counts_negative_activations_against_the_target_and_says_so():
    a, g = torch.tensor([[[[-1.0]]]]), torch.tensor([[[[2.0]]]])
    theirs_too = library_formula("layercam")(a.numpy(), g.numpy()).item()
    assert FORMULAS["layercam"](a, g).item() == theirs_too == -2
    assert "not negative" in FORMULAS["layercam"].__doc__


def test_scorecam_is_nearly_the_mean_of_the_activations_and_says_so():
    from HemoCAMLib.cams.capture import capture
    from HemoCAMLib.cams.score import score_weights
    from HemoCAMLib.cams.stages import Chain

    net, batch = network(), inputs(1)
    maps = ours(net, batch, "scorecam")
    assert np.allclose(maps, theirs(net, batch, "scorecam"), rtol=1e-3, atol=1e-5)
    mean = capture(Chain.of(net), batch, ANY, [STAGE], gradients=False).activations[STAGE].mean(1).numpy()
    assert alike(maps, mean) > 0.9
    assert "nearly uniform" in score_weights.__doc__


def test_its_two_stretches_leave_the_peak_below_one():
    raw = ours(network(), inputs(), "hirescam")
    peaks = library_maps(raw, (96, 96)).max((1, 2))
    assert (peaks < 1).all() and (peaks > 0.999).all()
    assert scale_maps(raw, "volume", np.ones(3, bool)).maps.max() == 1
