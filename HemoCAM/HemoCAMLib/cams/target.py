"""What a map explains: one output's logit, for it or against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Target:
    """The score that is explained: ``sign * logit[class_index]``.

    Parameters
    ----------
    class_index:
        The output, counted from 0.
    sign:
        +1: what speaks for the class is positive in the map. -1: what speaks against it.
    """

    class_index: int
    sign: int = 1

    def __post_init__(self) -> None:
        if self.sign not in (-1, 1):
            raise OptionError(f"A target's sign is 1 (for the class) or -1 (against it), not {self.sign}.")

    def __call__(self, output: Tensor) -> Tensor:
        """Score of one slice's logits (classes,): the call that pytorch-grad-cam makes."""
        return self.sign * output[self.class_index]


Targets = Target | Sequence[Target]


def targets_of(targets: Targets, count: int, classes: int) -> list[Target]:
    """One target a slice; :class:`OptionError` if there are too many or few, or a class does not exist."""
    listed = [targets] * count if isinstance(targets, Target) else list(targets)
    check_count(listed, count)
    for target in listed:
        if not 0 <= target.class_index < classes:
            raise OptionError(
                f"The network has outputs 0 to {classes - 1}; there is no output {target.class_index}."
            )
    return listed


def check_count(targets: Sequence[Target], count: int) -> None:
    """Raise :class:`OptionError` unless there is one target a slice."""
    if len(targets) != count:
        raise OptionError(f"There are {len(targets)} targets for {count} slices; give one, or one a slice.")


def scores(logits: Tensor, targets: Sequence[Target]) -> Tensor:
    """The targets' scores, (n,), of logits (n, classes)."""
    return logits[range(len(targets)), [t.class_index for t in targets]] * logits.new_tensor(
        [t.sign for t in targets]
    )
