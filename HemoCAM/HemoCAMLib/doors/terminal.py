"""What the terminal shows: a progress bar where somebody watches, a line a phase where nobody does."""

from __future__ import annotations

import sys
import time


class TerminalProgress:
    """A :data:`~..progress.Progress` for standard error; use it as a context manager."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._bar = None
        self._task = None
        self._phase = ""
        self._since = 0.0

    def __enter__(self) -> TerminalProgress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
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
        new = phase != self._phase
        self._phase = phase
        if self._bar is not None:
            if new:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(phase, total=total)
            self._bar.update(self._task, completed=done, total=total)
        elif new or time.monotonic() - self._since > 30:
            self._since = time.monotonic()
            print(f"{phase} ({done}/{total})" if not new else f"{phase} ...", file=sys.stderr, flush=True)
