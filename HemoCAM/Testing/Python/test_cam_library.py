"""pytorch-grad-cam is the reference; its side effects stay outside."""

import numpy as np
import pytest
import torch
from cam_networks import assert_same, snapshot
from HemoCAMLib.cams.library import LibraryEngine
from HemoCAMLib.cams.methods import METHODS
from HemoCAMLib.cams.scaling import library_maps
from HemoCAMLib.cams.stages import stage_module
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import HemoCAMError, OptionError


@pytest.fixture(scope="module")
def network(tiny_bundle):
    return tiny_bundle.network()


@pytest.fixture(scope="module")
def batch():
    return torch.randn(3, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def raw_maps(network, batch, index, method, stage):
    return LibraryEngine(network).explain(batch, Target(index), [method], [stage]).raw[method, stage]


@pytest.mark.parametrize("stage", [2, 4])
@pytest.mark.parametrize("method", [m for m in METHODS if m != "ablationcam"])
def test_raw_maps_finished_the_librarys_way_are_the_librarys_maps(method, stage, network, batch):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    raw = raw_maps(network, batch, 1, method, stage)
    assert raw.shape[0] == 3 and raw.shape[1] == raw.shape[2] < 128 and raw.dtype == np.float32
    kind = getattr(pytorch_grad_cam, METHODS[method])
    options = {}
    if method == "ablationcam-library":
        options["ablation_layer"] = pytorch_grad_cam.ablation_layer.AblationLayer()
    cam = kind(model=network, target_layers=[stage_module(network, stage)], **options)
    expected = cam(input_tensor=batch, targets=[ClassifierOutputTarget(1)] * 3)
    cam.activations_and_grads.release()
    assert np.array_equal(library_maps(raw, (128, 128)), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("training", [False, True])
def test_the_network_is_left_as_it_was(method, training, tiny_bundle, batch, capfd):
    network = tiny_bundle.network().train(training)
    network.classifier.weight.requires_grad_(False)
    before = snapshot(network)
    raw_maps(network, batch[:1], 0, method, 3)
    assert_same(before, snapshot(network))
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_frozen_parameters_are_no_obstacle(tiny_bundle, network, batch):
    frozen = tiny_bundle.network().requires_grad_(False)
    maps = raw_maps(frozen, batch, 0, "hirescam", 3)
    assert np.array_equal(maps, raw_maps(network, batch, 0, "hirescam", 3))
    assert not any(p.requires_grad for p in frozen.parameters())


def test_an_exception_leaves_the_network_whole(tiny_bundle, batch, monkeypatch):
    """pytorch-grad-cam 1.5.7 loses the explained layer when AblationCAM is interrupted."""
    network = tiny_bundle.network()
    before = snapshot(network)
    calls = 0

    def interrupt(*_):
        nonlocal calls
        calls += 1
        if calls > 3:
            raise KeyboardInterrupt

    hook = network.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        raw_maps(network, batch, 0, "ablationcam", 3)
    hook.remove()
    assert_same(before, snapshot(network))


def test_a_class_that_does_not_exist_is_an_error_not_an_empty_map(network, batch):
    with pytest.raises(OptionError, match="outputs 0 to 5; there is no output 17"):
        raw_maps(network, batch, 17, "gradcam", 3)


def test_wrong_names_are_named(network, batch):
    with pytest.raises(OptionError, match="hirescam"):
        raw_maps(network, batch, 0, "gradcam2", 3)
    for stage in (0, 7, -1):
        with pytest.raises(OptionError, match="stages 1 to 6"):
            raw_maps(network, batch, 0, "gradcam", stage)


def test_maps_that_are_not_finite_are_refused(network, batch):
    with pytest.raises(HemoCAMError, match="not finite"):
        raw_maps(network, batch * float("nan"), 0, "hirescam", 3)


def test_nothing_of_the_graph_outlives_the_call(network, batch):
    """A cycle through pytorch-grad-cam's object would keep every batch's activations until the next collection."""
    import gc

    from pytorch_grad_cam.base_cam import BaseCAM

    gc.collect()
    gc.disable()
    try:
        raw_maps(network, batch, 0, "hirescam", 3)
        assert not [o for o in gc.get_objects() if issubclass(type(o), BaseCAM)]
    finally:
        gc.enable()
