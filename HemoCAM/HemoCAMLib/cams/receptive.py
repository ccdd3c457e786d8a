"""Where the cells of a stage look: the centres of their receptive fields in the network's input.

Resizing a map to the input, as pytorch-grad-cam does, puts cell o at the middle of the o-th tile. But a strided
convolution does not look there: with a 3 x 3 kernel and stride 2 its cell looks half a pixel before the middle
of its tile (padding on both sides, as in PyTorch) or half a pixel behind it (TensorFlow's "same" padding on even
sizes, as in timm's ``tf_`` models). Over four such layers that is half a cell, 7 mm on a head: enough to miss
a small bleed. The arithmetic is that of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional
Neural Networks", Distill 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..volumes.headgrid import Cells
from .stages import in_channels, stage_module

if TYPE_CHECKING:
    import torch


def stage_cells(network: torch.nn.Module, stage: int, size: int) -> Cells:
    """Find the centres of the receptive fields of a stage's cells.

    The strided layers up to the stage are met in the order in which they run; of parallel branches (a
    residual block's shortcut) the first counts; their centres agree to half a pixel of the layer's input.

    Parameters
    ----------
    network:
        A timm CNN.
    stage:
        Counted from 1.
    size:
        Edge of the square input in pixels; TensorFlow's padding depends on it.

    Raises
    ------
    OptionError
        If there is no such stage.
    """
    import torch
    from torch import nn

    steps: list[tuple[int, float]] = []  # stride, and how far a cell looks into its input: s * o + offset
    seen: set[int] = set()  # resolutions that have been left
    reached = False

    def note(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        edge = inputs[0].shape[-1]
        stride = _last(module.stride)
        if reached or stride == 1 or edge in seen or output.shape[-1] >= edge:
            return
        seen.add(edge)
        kernel, dilation = _last(module.kernel_size), _last(getattr(module, "dilation", 1))
        span = (kernel - 1) * dilation
        if type(module).__name__.endswith("Same"):
            padding = max((-(-edge // stride) - 1) * stride + span + 1 - edge, 0) // 2
        else:
            padding = _last(module.padding)
        steps.append((stride, span / 2 - padding))

    def arrive(*_: object) -> None:
        nonlocal reached
        reached = True

    layers = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    target = stage_module(network, stage)
    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, layers)]
    hooks.append(target.register_forward_hook(arrive))
    first = next(p for p in network.parameters() if p.ndim == 4)
    channels = in_channels(network)
    modes = {m: m.training for m in network.modules()}
    try:
        network.eval()
        with torch.inference_mode():
            network(torch.zeros(1, channels, size, size, dtype=first.dtype, device=first.device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    start, pitch = 0.0, 1
    for stride, offset in steps:
        start += offset * pitch
        pitch *= stride
    return Cells(float(pitch), start)


def _last(value: int | tuple[int, ...]) -> int:
    return value[-1] if isinstance(value, tuple) else value
