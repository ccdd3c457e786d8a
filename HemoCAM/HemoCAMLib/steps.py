"""Work that a window must be able to do bit by bit, written once: a generator of steps.

It yields before each chunk of well under a second, and returns its result. :func:`follow` does it in one go, a
:class:`~.session.job.Job` step by step. Between two steps nothing of it is in force that others could notice: no
lock, no context manager.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple, TypeVar

from .progress import Progress, silent

T = TypeVar("T")


class Step(NamedTuple):
    """What is done next, and how much of its phase has been done: ``done`` of ``total``, as of a ``Progress``."""

    phase: str
    done: int
    total: int


Steps = Generator[Step, None, T]


def follow(steps: Steps[T], progress: Progress = silent) -> T:
    """Do all steps, telling ``progress`` before each, and return the result; what it raises ends the work."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            progress(*step)
    finally:
        steps.close()


def retold(steps: Steps[T], tell: Callable[[Step], Step]) -> Steps[T]:
    """Return the same steps, each told as ``tell`` puts it."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            yield tell(step)
    finally:
        steps.close()
