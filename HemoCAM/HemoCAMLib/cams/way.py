"""The way from a stage to the logits for many samples, without gradients: each block takes what suits it at once.

Early blocks have large pictures and small weights, late ones small pictures and large weights. A processor is
fastest where a layer of all samples at once just stays in its cache, so the early blocks take few samples, and the
late ones many. No layer mixes samples: how many go together changes the rounding, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ..steps import Step, Steps
from .stages import Chain, walk
from .target import Target

if TYPE_CHECKING:
    from torch import Tensor

_LAYER = 8 << 20  # bytes of a block's largest layer, all samples together


@dataclass(frozen=True)
class Leg:
    """Blocks in a row that take equally many samples at once.

    Parameters
    ----------
    blocks:
        Of :meth:`~.stages.Chain.path`.
    size:
        Samples at once.
    """

    blocks: tuple[Callable[[Tensor], Tensor], ...]
    size: int


@dataclass(frozen=True)
class Way:
    """From a stage to the logits.

    Parameters
    ----------
    legs:
        In order; the first begins at the stage, the last ends at the logits.
    chunk:
        Samples that are on their way together; no leg takes more.
    """

    legs: tuple[Leg, ...]
    chunk: int

    @classmethod
    def of(cls, chain: Chain, stage: int, most: int, layers: Sequence[int] | None = None) -> Way:
        """Plan the way of at most ``most`` samples at once from the output of ``stage`` (0: the input) on.

        ``layers`` are the bytes of one sample's largest layer in each block (:meth:`~.memory.Meter.layers`); without
        them, as on a GPU, all blocks take ``most``.
        """
        path = chain.path(stage)
        if layers is None:
            return cls((Leg(tuple(path), most),), most)
        sizes = [min(most, _power_of_two(_LAYER // layer)) for layer in layers]
        runs = groupby(zip(path, sizes, strict=True), key=lambda pair: pair[1])
        legs = tuple(Leg(tuple(block for block, _ in run), size) for size, run in runs)
        return cls(legs, max(sizes))

    def scores(
        self,
        count: int,
        make: Callable[[int, int], Tensor],
        target: Target,
        tell: Callable[[int], Step],
    ) -> Steps[Tensor]:
        """Scores ``sign * logit`` of ``count`` samples, float32, (count,).

        Parameters
        ----------
        count:
            Of the samples.
        make:
            ``make(start, stop)`` gives the samples start..stop-1 at the stage, (stop - start, C, h, w).
        target:
            The class, for or against.
        tell:
            The step to tell while the samples from ``start`` on are on their way.
        """
        import torch

        found = []
        for start in range(0, count, self.chunk):
            logits = yield from self._logits(start, min(start + self.chunk, count), make, tell(start))
            with torch.inference_mode():
                found.append(target.sign * logits[:, target.class_index].float())
        with torch.inference_mode():
            return torch.cat(found)

    def _logits(self, start: int, stop: int, make: Callable[[int, int], Tensor], told: Step) -> Steps[Tensor]:
        import torch

        source = make
        for leg in self.legs:
            pieces = []
            for low in range(start, stop, leg.size):
                yield told
                with torch.inference_mode():
                    piece = source(low, min(low + leg.size, stop))
                pieces.append((yield from walk(leg.blocks, piece, torch.inference_mode, told)))
            with torch.inference_mode():
                x = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
            source = lambda low, high, x=x: x[low - start : high - start]  # noqa: E731
        return x


def _power_of_two(most: int) -> int:
    """The largest power of two up to ``most``, at least 1: chunks of neighbours are then parts of each other."""
    return 1 << max(most.bit_length() - 1, 0)
