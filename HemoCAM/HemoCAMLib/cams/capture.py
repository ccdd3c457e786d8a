"""One forward and one backward: activations and gradients at all requested stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ..steps import Step, Steps, follow
from .kept import KeptChunk
from .stages import Chain
from .target import Target, scores, targets_of

if TYPE_CHECKING:
    from torch import Tensor

_STEP = Step("Computing maps", 0, 1)


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
    """Run ``batch`` through a frozen network in evaluation mode, once; see :func:`capture_steps`."""
    return follow(capture_steps(chain, batch, targets, stages, gradients))


def capture_steps(
    chain: Chain,
    batch: Tensor,
    targets: Target | Sequence[Target],
    stages: Sequence[int],
    gradients: bool = True,
    kept: KeptChunk | None = None,
) -> Steps[Capture]:
    """Run ``batch`` through a frozen network in evaluation mode, once at most.

    Nothing before the first stage is differentiated. The gradient at a stage is that of the sum of all slices'
    scores, as in pytorch-grad-cam; as no layer mixes slices, that is each slice's own gradient.

    Parameters
    ----------
    chain:
        The network.
    batch:
        Its input.
    targets:
        One for all slices, or one a slice.
    stages:
        Counted from 1.
    gradients:
        Whether to capture gradients, too.
    kept:
        What is known of this batch already: only the rest is computed, from the last known stage on, by the same
        operations and so to the same bits. It takes what the pass comes by at the stages that are to be kept. With
        a target a slice it is left aside.

    Raises
    ------
    OptionError
        If a stage or a target's class does not exist, or the number of targets does not fit.
    """
    import torch

    stages = sorted({chain.check_stage(stage) for stage in stages})
    alike = targets if isinstance(targets, Target) else None  # the target of all slices
    if kept is None or alike is None:
        kept = KeptChunk.nothing()
    first = stages[0]
    known = {}
    if gradients:
        known = {stage: kept.gradient(stage, alike) for stage in stages}
    missing = any(gradient is None for gradient in known.values())
    start, x = kept.nearest(first, batch)
    for stop in [*kept.between(start, first), first] if start < first else ():
        yield _STEP
        with torch.inference_mode(False), torch.no_grad():
            x = chain.advance(x, start, stop).detach()
        kept.add_activation(stop, x)
        start = stop
    passing = missing or kept.logits is None
    marks = sorted({*stages, *(kept.between(first, len(chain.stages) + 1) if passing else ())})
    mode = torch.enable_grad if missing else torch.no_grad
    with torch.inference_mode(False):
        found = {first: x.detach().requires_grad_() if missing else x}
    for start, stop in pairwise(marks):
        own = None if missing else kept.activation(stop)
        if own is None:
            yield _STEP
            with torch.inference_mode(False), mode():
                own = chain.advance(found[start], start, stop)
        found[stop] = own
    logits = kept.logits
    if passing:
        yield _STEP
        with torch.inference_mode(False), mode():
            logits = chain.finish(found[marks[-1]], marks[-1])
    listed = targets_of(targets, len(batch), logits.shape[1])
    if missing:
        yield _STEP
        with torch.inference_mode(False), mode():
            slopes = torch.autograd.grad(scores(logits, listed).sum(), [found[s] for s in marks])
            known = {s: g.float() for s, g in zip(marks, slopes, strict=True)}
    with torch.inference_mode(False):
        activations = {s: found[s].detach().float() for s in marks}
        logits = logits.detach().float()
    kept.add(logits, activations, {(s, alike): g for s, g in known.items()})
    return Capture(
        batch,
        listed,
        logits,
        {s: activations[s] for s in stages},
        {s: known[s] for s in stages if gradients},
    )
