"""A copy of a folded network for passes without gradients on a CPU, its convolutions in oneDNN's own form.

torch hands each convolution's weights to oneDNN in torch's layout, which costs a copy of them at every call, and runs
the activation after it in a pass of its own. The operator that torch's compiler emits takes weights in oneDNN's
layout and applies the activation on the way out. It is no public name of torch's: where it is missing, or gives
anything else than the folded network, that is used as it is.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from timm.layers import Conv2dSame, pad_same
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import Tensor, nn
from torch.nn import functional

from ..errors import OptionError
from .copies import sample_input
from .stages import Chain

_ACTIVATIONS = {nn.SiLU: "swish", nn.ReLU: "relu", nn.Hardswish: "hardswish"}  # oneDNN's names


def packed_copy(folded: nn.Module, kind: torch.dtype) -> nn.Module:
    """Copy a float32 network of :func:`~.copies.folded_copy` as ``kind``, float32 or bfloat16; for no gradients.

    Logits differ by rounding only. On a GPU, or where torch cannot pack, the copy is a plain one, and for float32
    ``folded`` itself.
    """
    sample = sample_input(folded)
    if sample.device.type == "cpu" and torch.backends.mkldnn.is_available():
        packed = copy.deepcopy(folded)
        try:
            _pack(packed)
            Chain.of(packed).verify(folded, sample)
            packed = packed.to(kind)
            with torch.inference_mode():
                packed(sample.to(kind))
        except (AttributeError, NotImplementedError, OptionError, RuntimeError):
            pass
        else:
            return packed
    return folded if kind == torch.float32 else copy.deepcopy(folded).to(kind)


class Packed(nn.Module):
    """A convolution and the activation after it; its weights are packed for the shape of the last input.

    Parameters
    ----------
    convolution:
        Padded with zeros.
    activation:
        oneDNN's name of it, or ``none``.
    """

    def __init__(self, convolution: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self._convolution = (convolution,)  # no submodule: its weights are this one's
        self._padding = (0, 0) if isinstance(convolution, Conv2dSame) else convolution.padding
        self._form = (convolution.stride, convolution.dilation, convolution.groups)
        self._activation = activation
        self._last: tuple[tuple, Tensor] | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_last": None}  # packed weights cannot be copied, but packed again

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and activate x, (n, C, h, w), channels last."""
        (own,) = self._convolution
        if isinstance(own, Conv2dSame):
            x = pad_same(x, own.kernel_size, own.stride, own.dilation)
        last, key = self._last, (x.shape, x.dtype)
        if last is None or last[0] != key:  # oneDNN's layout depends on it, and a wrong one is slow
            weight = torch._C._nn.mkldnn_reorder_conv2d_weight(
                self.weight.to_mkldnn(), self._padding, *self._form, list(x.shape)
            )
            last = self._last = (key, weight)
        return torch.ops.mkldnn._convolution_pointwise(
            x, last[1], self.bias, self._padding, *self._form, self._activation, [], ""
        )


class Pooled(nn.Module):
    """timm's SqueezeExcite with its mean as a pooling, several times faster in bfloat16."""

    def __init__(self, squeeze: SqueezeExcite) -> None:
        super().__init__()
        self._gate = nn.Sequential(squeeze.conv_reduce, squeeze.act1, squeeze.conv_expand, squeeze.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of x, (n, C, h, w)."""
        return x * self._gate(functional.avg_pool2d(x, x.shape[-2:]))


def _pack(module: nn.Module) -> None:
    children = list(module.named_children())
    for (name, child), (next_name, after) in pairwise([*children, ("", None)]):
        if type(child) in (nn.Conv2d, Conv2dSame) and child.padding_mode == "zeros":
            activation = _ACTIVATIONS.get(type(after), "none")
            setattr(module, name, Packed(child, activation))
            if activation != "none":  # in the place of a batch norm of timm's, which held it
                setattr(module, next_name, nn.Identity())
        else:
            _pack(child)
            if type(child) is SqueezeExcite:
                setattr(module, name, Pooled(child))
