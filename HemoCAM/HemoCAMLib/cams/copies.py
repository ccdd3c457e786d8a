"""The engine's own copies of a network: frozen as it is, folded, and packed for passes without gradients."""

from __future__ import annotations

import copy
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from ..errors import HemoCAMError, OptionError
from .stages import Chain, in_channels

if TYPE_CHECKING:
    from torch.nn import Module

_SAMPLE = 64  # edge of the picture on which a copy is checked, pixels


class Copies:
    """A network in the forms that the engine runs, each made when it is first needed.

    Parameters
    ----------
    network:
        The caller's, of a family that :class:`~.stages.Chain` knows; :class:`OptionError` if not.
    """

    def __init__(self, network: Module) -> None:
        Chain.of(network)  # an unknown family is known before anything is copied
        self.frozen = frozen_copy(network)
        self.exact = Chain.of(self.frozen)
        self.exact.verify(self.frozen, sample_input(self.frozen))

    @cached_property
    def folded(self) -> Module:
        """Batch norms folded, channels last; to differentiate, too."""
        import torch

        with torch.inference_mode(False):  # the caller may have switched gradients off for good
            return folded_copy(self.frozen)

    @cached_property
    def fast(self) -> Chain:
        """The folded network."""
        return Chain.of(self.folded)

    @cached_property
    def packed(self) -> Chain:
        """The folded network for passes without gradients."""
        return self._packed("float32")

    @cached_property
    def packed_half(self) -> Chain:
        """The same in bfloat16."""
        return self._packed("bfloat16")

    def _packed(self, kind: str) -> Chain:
        import torch

        from .packed import packed_copy

        with torch.inference_mode(False):
            return Chain.of(packed_copy(self.folded, getattr(torch, kind)))


def frozen_copy(network: Module) -> Module:
    """Copy a network: in evaluation mode, nothing to differentiate, no gradients, none of the caller's hooks.

    Raises
    ------
    HemoCAMError
        If it cannot be copied.
    """
    import torch

    try:
        with torch.inference_mode(False):  # or nothing could ever be differentiated
            own = copy.deepcopy(network)
    except Exception as error:
        raise HemoCAMError(
            f"The network cannot be copied ({type(error).__name__}: {error}), so nothing can explain it safely."
        ) from error
    for module in own.modules():
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            getattr(module, kind).clear()
    own.zero_grad(set_to_none=True)
    return own.requires_grad_(False).eval()


def folded_copy(frozen: Module) -> Module:
    """Fold each batch norm into the convolution before it, and lay the weights out channels last.

    Logits differ by rounding only: where the folded network does not give those of ``frozen`` (layers that run
    in another order than they are registered), an unfolded copy is returned.
    """
    import torch

    sample = sample_input(frozen)
    for candidate in (_fold(copy.deepcopy(frozen)), copy.deepcopy(frozen)):
        candidate = candidate.to(memory_format=torch.channels_last)
        try:
            Chain.of(candidate).verify(frozen, sample)
        except (OptionError, RuntimeError):
            continue
        return candidate
    return frozen


def sample_input(network: Module):  # noqa: ANN201  (torch is imported late)
    """A small random picture batch of the network's dtype and device, always the same: (2, channels, 64, 64)."""
    import torch

    first = next(network.parameters())
    random = torch.randn(
        2, in_channels(network), _SAMPLE, _SAMPLE, generator=torch.Generator().manual_seed(0)
    )
    return random.to(first.device, first.dtype)


def _fold(module: Module) -> Module:
    import torch
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    children = list(module.named_children())
    for (_, child), (next_name, after) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            fused = fuse_conv_bn_eval(child, after)
            child.weight, child.bias = fused.weight, fused.bias
            # timm's BatchNormAct2d holds its activation; a plain batch norm leaves nothing behind
            setattr(module, next_name, getattr(after, "act", nn.Identity()))
    with torch.no_grad():
        for _, child in module.named_children():
            _fold(child)
    return module.requires_grad_(False)
