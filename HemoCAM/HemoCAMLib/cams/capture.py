"""One forward and one backward: activations and gradients at all requested stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from ..steps import Step, Steps, follow
from .kept import KeptChunk
from .stages import Chain, walk
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
    stages = sorted({chain.check_stage(stage) for stage in stages})
    alike = targets if isinstance(targets, Target) else None  # the target of all slices
    if kept is None or alike is None:
        kept = KeptChunk.nothing()
    first, off = stages[0], partial(_mode, False)
    slopes = {stage: kept.gradient(stage, alike) for stage in stages} if gradients else {}
    missing = any(slope is None for slope in slopes.values())
    start, x = kept.nearest(first, batch)
    for stop in [*kept.between(start, first), first] if start < first else ():
        x = yield from walk(chain.path(start, stop), x, off, _STEP)
        kept.add_activation(stop, x)
        start = stop
    passing = missing or kept.logits is None
    marks = sorted({*stages, *(kept.between(first, len(chain.stages) + 1) if passing else ())})
    if missing:
        tape = _Tape(x, first)
        for start, stop in pairwise(marks):
            yield from tape.forward(chain.path(start, stop))
            tape.mark(stop)
        yield from tape.forward(chain.path(marks[-1]))
        with _mode(False):
            logits = tape.outputs[-1].detach().float()
        listed = targets_of(targets, len(batch), logits.shape[1])
        found = tape.activations()
        slopes = yield from tape.backward(listed)
    else:
        found = {first: x}
        for start, stop in pairwise(marks):
            own = kept.activation(stop)
            if own is None:
                own = yield from walk(chain.path(start, stop), found[start], off, _STEP)
            found[stop] = own
        logits = kept.logits
        if logits is None:
            path = chain.path(marks[-1])
            logits = (yield from walk(path, found[marks[-1]], off, _STEP)).float()
        listed = targets_of(targets, len(batch), logits.shape[1])
    with _mode(False):
        activations = {stage: tensor.float() for stage, tensor in found.items()}
    kept.add(logits, activations, {(stage, alike): slope for stage, slope in slopes.items()})
    return Capture(
        batch,
        listed,
        logits,
        {stage: activations[stage] for stage in stages},
        {stage: slopes[stage] for stage in stages if gradients},
    )


class _Tape:
    """The outputs of the blocks of a pass, so that its gradient can be taken block by block, from the last back.

    That gives what one backward pass gives: blocks hang on each other by their outputs alone.
    """

    def __init__(self, x: Tensor, stage: int) -> None:
        with _mode(True):
            self.outputs = [x.detach().requires_grad_()]
        self._marks = {0: stage}

    def forward(self, path: Sequence[Callable[[Tensor], Tensor]]) -> Steps[None]:
        """Run the next blocks."""
        for part in path:
            yield _STEP
            with _mode(True):
                self.outputs.append(part(self.outputs[-1]))

    def mark(self, stage: int) -> None:
        """Say that the last output is that of a stage."""
        self._marks[len(self.outputs) - 1] = stage

    def activations(self) -> dict[int, Tensor]:
        """The marked outputs, by stage."""
        with _mode(False):
            return {stage: self.outputs[at].detach() for at, stage in self._marks.items()}

    def backward(self, targets: Sequence[Target]) -> Steps[dict[int, Tensor]]:
        """Gradients of the sum of the targets' scores at the marked outputs, by stage; forgets the outputs."""
        import torch

        yield _STEP
        with _mode(True):
            total = scores(self.outputs[-1], targets).sum()
            (slope,) = torch.autograd.grad(total, self.outputs[-1])
        found = {}
        while True:
            at = len(self.outputs) - 1
            if at in self._marks:
                found[self._marks[at]] = slope.float()
            output = self.outputs.pop()
            if not self.outputs:
                return found
            if output is not self.outputs[-1]:  # the same after a block that changes it in place
                yield _STEP
                with _mode(True):
                    (slope,) = torch.autograd.grad(output, self.outputs[-1], slope)


@contextmanager
def _mode(gradient: bool):
    """Switch gradients on or off, whatever mode the caller is in."""
    import torch

    with torch.inference_mode(False), torch.set_grad_enabled(gradient):
        yield
