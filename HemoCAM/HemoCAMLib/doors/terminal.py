"""What the terminal shows: a progress bar where somebody watches, a line now and then where nobody does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from ..progress import Pace, in_words

LINE_S = 30.0  # between two lines of a log, at least
_PART = 20  # in a long phase, a line each twentieth of what it has taken: a night fills no log


class TerminalProgress:
    """A :data:`~..progress.Progress` for standard error; use it as a context manager.

    Where standard error is no terminal (a log, a batch system), it prints the name of each phase when it begins, and
    from time to time how far it is and how long it will still take.

    Parameters
    ----------
    quiet:
        Show nothing.
    clock:
        Seconds that only grow.
    """

    def __init__(self, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.quiet = quiet
        self._bar = None
        self._task = None
        self._phase = ""
        self._clock, self._pace = clock, Pace(clock)
        self._told: dict[str, float] = {}

    def __enter__(self) -> TerminalProgress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                # rich's own column forgets after half a minute: it knows nothing where a case takes longer
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done in ``phase``."""
        if self.quiet:
            return
        seconds = self._pace.left(phase, done, total)
        # training says it itself, over all epochs
        left = "" if not seconds or phase.endswith(" left") else f"about {in_words(seconds)} left"
        if self._bar is not None:
            self._show(phase, done, total, left)
        else:
            self._print(phase, done, total, left)

    def _show(self, phase: str, done: int, total: int, left: str) -> None:
        if phase != self._phase:
            self._phase = phase
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(phase, total=total, left=left)
        self._bar.update(self._task, completed=done, total=total, left=left)

    def _print(self, phase: str, done: int, total: int, left: str) -> None:
        now = self._clock()
        if phase not in self._told:
            text = f"{phase} ..."
        elif now - self._told[phase] >= max(LINE_S, self._pace.elapsed(phase) / _PART):
            text = f"{phase}: {done} of {total}" + (f", {left}" if left else "")
        else:
            return
        self._told[phase] = now
        print(text, file=sys.stderr, flush=True)
