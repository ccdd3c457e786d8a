"""How long the phases of the work take."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TypeVar

from .steps import Steps

T = TypeVar("T")


class Clock:
    """Seconds a phase, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str):  # noqa: ANN201  (a context manager)
        """Add the time spent inside to phase ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def timed(self, name: str, steps: Steps[T]) -> Steps[T]:
        """Return the same steps; the time that each takes, and none between them, is added to phase ``name``."""
        try:
            while True:
                with self.phase(name):
                    try:
                        step = next(steps)
                    except StopIteration as end:
                        return end.value
                yield step
        finally:
            steps.close()
