"""AblationCAM: a channel's weight is what the score loses without it. Desai and Ramaswamy, WACV 2020.

Two variants. ``ablationcam`` sets the channel to zero, as the paper does, and takes the raw drop, score less
score without the channel. ``ablationcam-library`` is what pytorch-grad-cam 1.5 computes: where a stage's output
has a minimum other than 0 (after SiLU, always) it sets the channel to that minimum less 1e7, lower still for
each further channel of its batches of 32, and divides the drop by the score. Its weights are of the order of
1e9, its map hardly resembles that of true ablation, and flips where the logit is negative.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..steps import Step, Steps
from .capture import Capture
from .stages import Chain
from .way import Way

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

LIBRARY_BATCH = 32  # pytorch-grad-cam's; what it ablates depends on it
_LIBRARY_STEP = 1e7
_CACHE = 5 << 18  # numbers at once in the closed form: 5 MiB; fewer make many calls, more leave the cache


def zero_drops(way: Way, captured: Capture, stage: int) -> Steps[Tensor]:
    """Raw drop of the score for each channel set to zero, (n, C), by running the rest of the network.

    Parameters
    ----------
    way:
        From ``stage`` to the logits of the network, folded or not.
    captured:
        Its activations at ``stage``.
    stage:
        Counted from 1.
    """
    drops, _ = yield from _drops(way, captured, stage, _zeros)
    return drops


def library_weights(way: Way, captured: Capture, stage: int) -> Steps[Tensor]:
    """pytorch-grad-cam's weights, (n, C): relative drops with the value that it ablates with.

    Parameters as in :func:`zero_drops`.
    """
    drops, full = yield from _drops(way, captured, stage, _library_values)
    return drops / full[:, None]


def _drops(
    way: Way, captured: Capture, stage: int, ablate: Callable[[Tensor], Tensor]
) -> Steps[tuple[Tensor, Tensor]]:
    """Drops (n, C) of scores (n,), with channels set to ``ablate(activations of a slice)``, (C,)."""
    import torch

    with torch.inference_mode(False):
        activations = captured.activations[stage].contiguous(memory_format=torch.channels_last)
        count, channels = activations.shape[:2]
        drops, full = activations.new_empty(count, channels), activations.new_empty(count)
    for n, target in enumerate(captured.targets):

        def tell(start: int, n: int = n) -> Step:
            return Step("AblationCAM", n * channels + start, count * channels)

        own = activations[n : n + 1]
        # by the same way as the drops, which are small
        score = yield from way.scores(1, lambda start, stop, own=own: own, target, tell)
        with torch.inference_mode():
            full[n], values = score[0], ablate(own[0])
        without = yield from way.scores(channels, partial(_ablated, own, values), target, tell)
        with torch.inference_mode():
            drops[n] = full[n] - without
    return drops, full


def _ablated(activations: Tensor, values: Tensor, start: int, stop: int) -> Tensor:
    """One slice's activations (1, C, h, w) with each of its channels start..stop-1 set, (stop - start, C, h, w)."""
    import torch

    ablated = activations.repeat(stop - start, 1, 1, 1)
    at = torch.arange(start, stop, device=activations.device)
    ablated[at - start, at] = values[at, None, None]
    return ablated


def _zeros(activations: Tensor) -> Tensor:
    return activations.new_zeros(len(activations))


def _library_values(activations: Tensor) -> Tensor:
    """What the library sets each channel to, (C,): lower and lower within each of its batches, unless 0."""
    import torch

    smallest = activations.min()
    if smallest == 0:
        return _zeros(activations)
    values, value = [], smallest
    for channel in range(len(activations)):
        value = (smallest if channel % LIBRARY_BATCH == 0 else value) - _LIBRARY_STEP
        values.append(value)
    return torch.stack(values)


class ClosedForm:
    """Zero ablation without running the network, where what follows the stage is simple enough.

    Last stage of a network that averages over the pixels and ends in a linear layer with weights v: the drop of
    channel k is v_k times the mean of A_k. One stage before it in an EfficientNet a 1 x 1 convolution W with a
    pointwise activation f lies between: with z = W A + b computed once, ablating channel k is the rank-one
    update f(z - W_k A_k).

    Parameters
    ----------
    folded:
        The network with its batch norms folded.
    """

    def __init__(self, folded: Module) -> None:
        from torch import nn

        self._chain = Chain.of(folded)
        self._head = _linear_head(folded)
        last = self._chain.stages[-1]
        self._convolution = None
        if self._head is not None and len(last) == 2:
            convolution, activation = last
            plain = isinstance(convolution, nn.Conv2d) and convolution.kernel_size == (1, 1)
            pointwise = isinstance(activation, (nn.SiLU, nn.ReLU, nn.ReLU6, nn.Hardswish, nn.GELU))
            if plain and pointwise and convolution.groups == 1 and convolution.stride == (1, 1):
                self._convolution = convolution

    def covers(self, stage: int) -> bool:
        """Tell whether the drops at ``stage`` have a closed form."""
        last = len(self._chain.stages)
        if self._head is None:
            return False
        return stage == last or (stage == last - 1 and self._convolution is not None)

    def zero_drops(self, captured: Capture, stage: int) -> Steps[Tensor]:
        """As :func:`zero_drops`; a step is a slice."""
        import torch

        activations = captured.activations[stage]
        classes = [t.class_index for t in captured.targets]
        with torch.inference_mode(False):
            signs = activations.new_tensor([t.sign for t in captured.targets])[:, None]
            head = self._head.weight[classes] * signs
            if stage == len(self._chain.stages):
                return head * activations.mean((2, 3))
            drops = activations.new_empty(activations.shape[:2])
        for n, target in enumerate(captured.targets):
            yield Step("AblationCAM", n, len(drops))
            with torch.inference_mode():
                bias = 0 if self._head.bias is None else target.sign * self._head.bias[target.class_index]
                drops[n] = captured.scores[n] - bias - self._without_each(activations[n].flatten(1), head[n])
        return drops

    def _without_each(self, pixels: Tensor, head: Tensor) -> Tensor:
        """Scores less bias, (C,), of one slice's pixels (C, P) without each channel in turn."""
        import torch

        kernel, pixels = self._convolution.weight[:, :, 0, 0], pixels.contiguous()
        activation, columns = self._chain.stages[-1][1], kernel.T.contiguous()
        whole = kernel @ pixels
        if self._convolution.bias is not None:
            whole += self._convolution.bias[:, None]
        chunk = max(1, _CACHE // whole.numel())
        found = []
        for start in range(0, len(pixels), chunk):
            at = slice(start, start + chunk)
            z = torch.addcmul(whole, columns[at, :, None], pixels[at, None, :], value=-1)
            found.append((head @ activation(z)).mean(-1))
        return torch.cat(found)


def _linear_head(network: Module):
    """The linear layer of a network whose logits are it, of the mean over the pixels; None for another head."""
    from torch import nn

    pool, classifier = getattr(network, "global_pool", None), network.get_classifier()
    average = getattr(pool, "pool_type", "") == "avg"
    plain = type(network).__name__ in ("EfficientNet", "ResNet") and isinstance(classifier, nn.Linear)
    return classifier if average and plain else None
