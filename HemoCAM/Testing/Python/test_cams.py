"""CAMs: pytorch-grad-cam is the reference; its side effects stay outside; scales mean what they say."""

import numpy as np
import pytest
import torch
from HemoCAMLib.cams.engine import LibraryEngine
from HemoCAMLib.cams.methods import METHODS, stage_module, stage_modules
from HemoCAMLib.cams.receptive import stage_cells
from HemoCAMLib.cams.scaling import library_maps, scale_maps
from HemoCAMLib.errors import HemoCAMError, OptionError
from HemoCAMLib.volumes.headgrid import Cells
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@pytest.fixture(scope="module")
def network(tiny_bundle):
    return tiny_bundle.network()


@pytest.fixture(scope="module")
def batch():
    return torch.randn(3, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stage", [2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_raw_maps_finished_the_librarys_way_are_the_librarys_maps(method, stage, network, batch):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    raw = LibraryEngine(network).raw_maps(batch, 1, method, stage)
    assert raw.shape[0] == 3 and raw.shape[1] == raw.shape[2] < 128 and raw.dtype == np.float32
    kind = getattr(pytorch_grad_cam, METHODS[method])
    options = {}
    if method == "ablationcam":
        options["ablation_layer"] = pytorch_grad_cam.ablation_layer.AblationLayer()
    cam = kind(model=network, target_layers=[stage_module(network, stage)], **options)
    expected = cam(input_tensor=batch, targets=[ClassifierOutputTarget(1)] * 3)
    cam.activations_and_grads.release()
    assert np.array_equal(library_maps(raw, (128, 128)), expected)


def snapshot(network):
    """All that a caller may notice of his network."""
    return {
        "modules": [(n, type(m), m.training, len(m._forward_hooks)) for n, m in network.named_modules()],
        "parameters": [
            (n, p.requires_grad, p.grad is None, p.detach().clone()) for n, p in network.named_parameters()
        ],
    }


def assert_same(before, after):
    assert before["modules"] == after["modules"]
    for one, other in zip(before["parameters"], after["parameters"], strict=True):
        assert one[:3] == other[:3] and torch.equal(one[3], other[3])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("training", [False, True])
def test_the_network_is_left_as_it_was(method, training, tiny_bundle, batch, capfd):
    network = tiny_bundle.network().train(training)
    network.classifier.weight.requires_grad_(False)
    before = snapshot(network)
    LibraryEngine(network).raw_maps(batch[:1], 0, method, 3)
    assert_same(before, snapshot(network))
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_frozen_parameters_are_no_obstacle(tiny_bundle, network, batch):
    frozen = tiny_bundle.network().requires_grad_(False)
    maps = LibraryEngine(frozen).raw_maps(batch, 0, "hirescam", 3)
    assert np.array_equal(maps, LibraryEngine(network).raw_maps(batch, 0, "hirescam", 3))
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
        LibraryEngine(network).raw_maps(batch, 0, "ablationcam", 3)
    hook.remove()
    assert_same(before, snapshot(network))


def test_a_class_that_does_not_exist_is_an_error_not_an_empty_map(network, batch):
    with pytest.raises(IndexError):
        LibraryEngine(network).raw_maps(batch, 17, "gradcam", 3)


def test_wrong_names_are_named(network, batch):
    engine = LibraryEngine(network)
    with pytest.raises(OptionError, match="hirescam"):
        engine.raw_maps(batch, 0, "gradcam2", 3)
    for stage in (0, 7, -1):
        with pytest.raises(OptionError, match="stages 1 to 6"):
            engine.raw_maps(batch, 0, "gradcam", stage)


def test_maps_that_are_not_finite_are_refused(network, batch):
    with pytest.raises(HemoCAMError, match="not finite"):
        LibraryEngine(network).raw_maps(batch * float("nan"), 0, "hirescam", 3)


@pytest.mark.parametrize(
    ("name", "count"), [("test_resnet", 4), ("test_convnext", 4), ("test_efficientnet", 6)]
)
def test_stages_of_other_families(name, count):
    import timm

    network = timm.create_model(name, num_classes=2).eval()
    assert len(stage_modules(network)) == count
    maps = LibraryEngine(network).raw_maps(torch.randn(1, 3, 96, 96), 0, "hirescam", 3)
    assert maps.shape[0] == 1 and maps.any()


def test_a_network_without_known_stages_is_refused():
    with pytest.raises(OptionError, match="stages of a Linear"):
        stage_modules(torch.nn.Linear(2, 2))


def test_stage_five_of_efficientnetv2_s_is_the_papers():
    """Rafati et al. 2025: stage 4 has 128 channels, stage 5 160, stage 6 256."""
    import timm

    network = timm.create_model("tf_efficientnetv2_s", num_classes=1).eval()
    channels = []
    for stage in (4, 5, 6):
        stage_module(network, stage).register_forward_hook(lambda _m, _i, o: channels.append(o.shape[1:]))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 64, 64))
    assert [tuple(c) for c in channels] == [(128, 4, 4), (160, 4, 4), (256, 2, 2)]


def test_hirescam_of_the_last_stage_is_the_logit_cell_by_cell(network, batch):
    """Draelos and Carin 2020: with average pooling and one linear layer the map's sum is the logit less bias."""
    index, last = 1, len(stage_modules(network))
    raw = LibraryEngine(network).raw_maps(batch, index, "hirescam", last)
    with torch.inference_mode():
        logit = network(batch)[:, index] - network.classifier.bias[index]
    assert raw.sum(axis=(1, 2)) == pytest.approx(logit.numpy(), abs=1e-5)


raw_maps = arrays(np.float32, (4, 3, 3), elements=st.floats(-100, 100, width=32))


@given(raw_maps, st.lists(st.booleans(), min_size=4, max_size=4))
def test_gated_maps_share_one_scale_and_stay_within_it(raw, gate):
    gate = np.array(gate)
    scaled = scale_maps(raw, "gated", gate)
    assert scaled.maps.min() >= 0 and scaled.maps.max() <= 1
    assert not scaled.maps[~gate].any()
    shown = scaled.maps[gate] * scaled.one[gate][:, None, None]
    assert np.allclose(shown, np.maximum(raw[gate], 0), rtol=1e-5, atol=1e-5)


@given(raw_maps)
def test_library_scale_is_pytorch_grad_cams(raw):
    from pytorch_grad_cam.utils.image import scale_cam_image

    clipped = np.maximum(raw, 0)
    assert np.allclose(scale_maps(raw, "library", np.ones(4, bool)).maps, scale_cam_image(clipped), atol=1e-6)


def test_the_library_scale_hides_what_the_gated_scale_keeps():
    raw = np.zeros((2, 2, 2), np.float32)
    raw[0, 0, 0], raw[1, 0, 0] = 100, 1
    assert scale_maps(raw, "library", np.ones(2, bool)).maps[1].max() == pytest.approx(1)
    assert scale_maps(raw, "volume", np.zeros(2, bool)).maps[1].max() == pytest.approx(0.01)
    assert scale_maps(raw, "gated", np.array([True, False])).maps[1].max() == 0


def test_the_callers_raw_maps_are_not_changed():
    raw = np.full((1, 2, 2), -3, np.float32)
    scale_maps(raw, "library", np.ones(1, bool))
    assert (raw == -3).all()
    with pytest.raises(OptionError, match="gated, volume, library"):
        scale_maps(raw, "log", np.ones(1, bool))


def test_nothing_of_the_graph_outlives_the_call(network, batch):
    """A cycle through pytorch-grad-cam's object would keep every batch's activations until the next collection."""
    import gc

    from pytorch_grad_cam.base_cam import BaseCAM

    gc.collect()
    gc.disable()
    try:
        LibraryEngine(network).raw_maps(batch, 0, "hirescam", 3)
        assert not [o for o in gc.get_objects() if issubclass(type(o), BaseCAM)]
    finally:
        gc.enable()


def receptive_centre(network, stage, size, cell):
    """Measured: the centre of mass of what one cell takes from the input, with all kernels flat."""
    for parent in list(network.modules()):
        for (
            name,
            child,
        ) in parent.named_children():  # on a flat image a maximum is anywhere, a layer norm zero
            if isinstance(child, torch.nn.MaxPool2d):
                setattr(parent, name, torch.nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
            elif isinstance(child, torch.nn.LayerNorm):
                setattr(parent, name, torch.nn.Identity())
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
    found = []
    hook = stage_module(network, stage).register_forward_hook(lambda _m, _i, o: found.append(o))
    x = torch.ones(1, 3, size, size, requires_grad=True)
    network.eval()(x)
    hook.remove()
    (taken,) = torch.autograd.grad(found[0][0, :, cell, cell].sum(), x)
    profile = taken.abs().sum((0, 1, 2)).double()
    profile = profile - profile.min()  # a squeeze-and-excitation gate takes the same from everywhere
    profile[profile < 0.02 * profile.max()] = 0
    return float((profile * torch.arange(size)).sum() / profile.sum())


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("resnet18", 3),
        ("convnext_atto", 2),
        ("test_efficientnet", 3),
        ("tf_efficientnetv2_s", 3),
        ("dilated tf_efficientnetv2_s", 7),
    ],
)
def test_cells_look_where_stage_cells_says(name, stage):
    import timm

    size = 320 if name.startswith("dilated") else 160  # deep cells see far: keep the edges away
    options = {"channel_multiplier": 0.25, "depth_multiplier": 0.2} if "tf_" in name else {}
    if name.startswith("dilated"):
        options["output_stride"] = 16
    network = timm.create_model(name.split()[-1], num_classes=2, **options)
    cells = stage_cells(network, stage, size)
    cell = int(size / cells.pitch) // 2
    assert cells.first + cell * cells.pitch == pytest.approx(
        receptive_centre(network, stage, size, cell), abs=0.6
    )


def test_cells_of_the_shipped_architecture_look_half_a_cell_behind_their_tiles():
    """Four layers of stride 2 with TensorFlow's padding: 1 + 2 + 4 + 8 = 15, where a tile's middle is 7.5."""
    import timm

    network = timm.create_model("tf_efficientnetv2_s", num_classes=1, channel_multiplier=0.25).train()
    assert stage_cells(network, 5, 256) == Cells(16.0, 15.0)
    assert network.training and not any(m._forward_hooks for m in network.modules())
    symmetric = timm.create_model("test_resnet", num_classes=1)
    assert stage_cells(symmetric, 2, 256).first < Cells.tiling(256, 256 // 8).first
