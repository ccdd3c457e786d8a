"""How long work tells that it goes on, and how it is told to stop.

Every function that takes more than a second takes ``progress``: a callable ``progress(phase, done, total)``
that it calls between chunks of well under a second. ``phase`` is a short English verb phrase ("Reading
slices"), ``done`` and ``total`` are counts. To cancel, the callable raises :class:`~.errors.Cancelled`; the
work lets it pass through and leaves nothing half-written.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int], None]


def silent(phase: str, done: int, total: int) -> None:
    """Report to nobody, never cancel: the default of every ``progress`` argument."""


@dataclass
class _Phase:
    since: float
    first: int
    at: float  # when ``last`` was first heard of
    last: int


class Pace:
    """How fast each phase has gone so far, and so how long it will still take.

    Parameters
    ----------
    clock:
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phases: dict[str, _Phase] = {}

    def elapsed(self, phase: str) -> float:
        """Seconds since the phase was first heard of, or began anew; 0 if it never was."""
        known = self._phases.get(phase)
        return self._clock() - known.since if known else 0.0

    def left(self, phase: str, done: int, total: int) -> float | None:
        """Take in what a :data:`Progress` is told; return the seconds left, None while they are not known.

        From the mean since the phase began: cases differ, and the next ones are like all the former, not like the
        last one. A count that falls begins the phase anew.
        """
        now, known = self._clock(), self._phases.get(phase)
        if known is None or done < known.last:
            known = self._phases[phase] = _Phase(now, done, now, done)
        if done > known.last:
            known.at, known.last = now, done
        if not known.first < done <= total:
            return None
        count, waited = done - known.first, now - known.at
        # one that takes longer than all the former is counted as if it ended now
        each = max((known.at - known.since) / count, (now - known.since) / (count + 1))
        return max(0.0, each * (total - done) - waited)


def in_words(seconds: float) -> str:
    """Return a time as people say it: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
