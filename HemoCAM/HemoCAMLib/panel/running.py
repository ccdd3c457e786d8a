"""Runs a job step by step between Slicer's own events, so that nothing freezes and Cancel is heard."""

from __future__ import annotations

import logging
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..errors import Cancelled, HemoCAMError
from .run import Results, Run


class Runner:
    """Drives one run at a time: a step a tick of a timer.

    Parameters
    ----------
    step:
        Called with the run after every step.
    done:
        Called with the results after the last.
    failed:
        Called with one sentence if the run fails or is cancelled; the scene is then as it was.
    """

    def __init__(
        self,
        step: Callable[[Run], None],
        done: Callable[[Results], None],
        failed: Callable[[str, bool], None],
    ) -> None:
        self._step, self._done, self._failed = step, done, failed
        self._run: Run | None = None
        self._busy = False
        self._timer = qt.QTimer()
        self._timer.interval = 0
        self._timer.connect("timeout()", self._tick)

    @property
    def running(self) -> bool:
        """Tell whether there is work."""
        return self._run is not None

    @property
    def run(self) -> Run | None:
        """What is being done."""
        return self._run

    def start(self, run: Run) -> None:
        """Begin; the first step follows when Slicer is idle."""
        if self.running:
            raise RuntimeError("one run at a time")
        self._run = run
        self._timer.start()
        self._step(run)

    def cancel(self, sentence: str = "") -> None:
        """Stop before the next step."""
        run = self._end()
        if run is not None:
            run.cancel()
            self._failed(sentence or _("Cancelled; the scene is as it was."), False)

    def stop(self) -> None:
        """Stop and tell nobody: the panel goes away."""
        run = self._end()
        if run is not None:
            run.cancel()

    def _end(self) -> Run | None:
        self._timer.stop()
        run, self._run = self._run, None
        return run

    def _tick(self) -> None:
        if self._busy or self._run is None:  # a step that lets events in must not be entered again
            return
        run, self._busy = self._run, True
        try:
            finished = run.advance()
        except Cancelled:
            self.cancel()
            return
        except HemoCAMError as error:
            self._fail(run, str(error))
            return
        except Exception as error:
            logging.exception("HemoCAM could not analyse the volume")
            self._fail(
                run, _("The analysis failed ({error}); see the Python console.").format(error=_short(error))
            )
            return
        finally:
            self._busy = False
        if self._run is not run:  # cancelled from inside the step
            return
        if finished:
            self._end()
            self._done(run.result)
        else:
            self._step(run)

    def _fail(self, run: Run, sentence: str) -> None:
        if self._run is run:
            self._end()
        run.cancel()
        self._failed(sentence, True)


def _short(error: Exception) -> str:
    """Return the kind of an error and the first line of what it says."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def time_left(seconds: float | None) -> str:
    """Return the time left as a few words; "" while it is not known."""
    if seconds is None:
        return ""
    if seconds < 1.5:
        return _("about a second left")
    if seconds < 90:
        return _("about {count} s left").format(count=round(seconds))
    return _("about {count} min left").format(count=round(seconds / 60))
