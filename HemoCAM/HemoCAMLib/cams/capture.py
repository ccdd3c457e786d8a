"""One forward and one backward: activations and gradients at all requested stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from .stages import Chain
from .target import Target, scores, targets_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Capture:
    """What the seven methods of :mod:`.formulas` need, and where the others resume. All float32, on the device.

    Parameters
    ----------
    batch:
        The input, (n, channels, H, W).
    targets:
        What is explained, one a slice.
    logits:
        (n, classes).
    activations:
        The output of each stage, (n, C, h, w), by the stage's number.
    gradients:
        Of the target's score with respect to them, same shapes; empty if none were asked for.
    """

    batch: Tensor
    targets: list[Target]
    logits: Tensor
    activations: dict[int, Tensor]
    gradients: dict[int, Tensor]

    @property
    def scores(self) -> Tensor:
        """The explained score of each slice, (n,)."""
        return scores(self.logits, self.targets)


def capture(
    chain: Chain,
    batch: Tensor,
    targets: Target | Sequence[Target],
    stages: Sequence[int],
    gradients: bool = True,
) -> Capture:
    """Run ``batch`` through a frozen network in evaluation mode, once.

    Nothing before the first stage is differentiated. The gradient at a stage is that of the sum of all slices'
    scores, as in pytorch-grad-cam; as no layer mixes slices, that is each slice's own gradient.

    Raises
    ------
    OptionError
        If a stage or a target's class does not exist, or the number of targets does not fit.
    """
    import torch

    stages = sorted({chain.check_stage(stage) for stage in stages})
    with torch.no_grad():
        x = chain.advance(batch, 0, stages[0]).detach()
    with torch.set_grad_enabled(gradients):
        activations = {stages[0]: x.requires_grad_(gradients)}
        for start, stop in pairwise(stages):
            activations[stop] = chain.advance(activations[start], start, stop)
        logits = chain.finish(activations[stages[-1]], stages[-1])
        listed = targets_of(targets, len(batch), logits.shape[1])
        found: Sequence[Tensor] = ()
        if gradients:
            found = torch.autograd.grad(scores(logits, listed).sum(), [activations[s] for s in stages])
    return Capture(
        batch,
        listed,
        logits.detach().float(),
        {s: a.detach().float() for s, a in activations.items()},
        {s: g.float() for s, g in zip(stages, found, strict=False)},
    )
