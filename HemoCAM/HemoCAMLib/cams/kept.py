"""What is kept of the passes over a volume, so that another method, stage or target need not run them again.

A piece is one quantity of all chunks in which the volume's slices went through the network: the logits, the
activations of a stage, or the gradients at a stage for a target. Chunks of another size are other pieces: how many
slices go at once may decide the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .target import Target

if TYPE_CHECKING:
    from torch import Tensor


class Piece(NamedTuple):
    """What a piece is: ``kind`` is logits, activations or gradients; ``size``: slices at once."""

    kind: str
    size: int
    stage: int = 0
    target: Target | None = None


@dataclass
class Kept:
    """The pieces that are kept of one volume in one network.

    Parameters
    ----------
    stages:
        Those whose activations and gradients are to be kept when a pass comes by.
    pieces:
        By what they are; each a mapping from the first slice of a chunk to its tensor, on the network's device.
    used:
        Those that were known when they were asked for.
    """

    stages: frozenset[int] = frozenset()
    pieces: dict[Piece, dict[int, Tensor]] = field(default_factory=dict)
    used: set[Piece] = field(default_factory=set)

    def chunk(self, start: int, size: int) -> KeptChunk:
        """Return the part of the slices from ``start`` on, of a volume that goes ``size`` slices at once."""
        return KeptChunk(self, start, size)


@dataclass(frozen=True)
class KeptChunk:
    """What is kept of slices that go through the network together: the first, and how many they may be."""

    kept: Kept
    start: int
    size: int

    @classmethod
    def nothing(cls) -> KeptChunk:
        """Return one that knows nothing and whose stages are none."""
        return cls(Kept(), 0, 0)

    @property
    def logits(self) -> Tensor | None:
        """(n, classes), or None if unknown."""
        return self._get(Piece("logits", self.size))

    def activation(self, stage: int) -> Tensor | None:
        """Output of ``stage``, (n, C, h, w), or None if unknown."""
        return self._get(Piece("activations", self.size, stage))

    def gradient(self, stage: int, target: Target | None) -> Tensor | None:
        """Gradient of the target's score at ``stage``, (n, C, h, w), or None if unknown."""
        return self._get(Piece("gradients", self.size, stage, target))

    def nearest(self, stage: int, batch: Tensor) -> tuple[int, Tensor]:
        """Return the last stage up to ``stage`` whose output is known, and that output; stage 0 is the input."""
        for known in range(stage, 0, -1):
            found = self.activation(known)
            if found is not None:
                return known, found
        return 0, batch

    def between(self, start: int, stop: int) -> list[int]:
        """Return the stages to keep between two others, both excluded."""
        return sorted(stage for stage in self.kept.stages if start < stage < stop)

    def add(
        self,
        logits: Tensor,
        activations: Mapping[int, Tensor],
        gradients: Mapping[tuple[int, Target | None], Tensor],
    ) -> None:
        """Keep the logits, and what is of a stage to keep."""
        self._put(Piece("logits", self.size), logits)
        for stage, tensor in activations.items():
            self.add_activation(stage, tensor)
        for (stage, target), tensor in gradients.items():
            if stage in self.kept.stages:
                self._put(Piece("gradients", self.size, stage, target), tensor)

    def add_activation(self, stage: int, tensor: Tensor) -> None:
        """Keep a stage's output, if it is to be kept."""
        if stage in self.kept.stages:
            self._put(Piece("activations", self.size, stage), tensor)

    def _get(self, piece: Piece) -> Tensor | None:
        found = self.kept.pieces.get(piece, {}).get(self.start)
        if found is not None:
            self.kept.used.add(piece)
        return found

    def _put(self, piece: Piece, tensor: Tensor) -> None:
        self.kept.pieces.setdefault(piece, {}).setdefault(self.start, tensor)


def stages_to_keep(
    outputs: Mapping[int, int], stage: int, count: int, gradients: bool, limit: int
) -> frozenset[int]:
    """Choose the stages whose captures fit into ``limit`` bytes.

    The one that is asked for goes first, then those behind it, whose gradients the same backward pass meets, then
    those before it, from the last to the first: the nearer, the more they spare.

    Parameters
    ----------
    outputs:
        Bytes of each stage's output a slice.
    stage:
        The one that is asked for.
    count:
        Slices.
    gradients:
        Whether gradients are captured, too.
    limit:
        In bytes.
    """
    chosen, taken = set(), 0
    for candidate in sorted(outputs, key=by_use(stage)):
        own = outputs[candidate] * count * (2 if gradients and candidate >= stage else 1)
        if taken + own <= limit:
            chosen.add(candidate)
            taken += own
    return frozenset(chosen)


def by_use(stage: int) -> Callable[[int], tuple[bool, int]]:
    """Return the order in which stages are worth keeping when ``stage`` is asked for, as a key to sort by."""
    return lambda other: (other < stage, abs(other - stage))
