"""Where the cells of a stage look, measured with flat kernels."""

import pytest
import torch
from HemoCAMLib.cams.receptive import stage_cells
from HemoCAMLib.cams.stages import stage_module
from HemoCAMLib.volumes.headgrid import Cells


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
