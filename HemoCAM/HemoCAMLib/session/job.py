"""Work that is done step by step, so that a window stays alive, shows how far it is, and can stop it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from ..errors import Cancelled, HemoCAMError
from ..progress import Pace, Progress, silent
from ..steps import Step, Steps

__all__ = ["Job", "Step"]

T = TypeVar("T")
_ALMOST = 0.99  # until the result is there


class Job(Generic[T]):
    """A generator of steps with what a progress bar and a Cancel button need.

    Parameters
    ----------
    steps:
        The work: it yields before each chunk and returns the result.
    costs:
        Seconds or any other unit that each phase is expected to take, in order; the bar is divided by them. They may
        be filled in while the first step runs. Without them one phase is assumed.
    clock:
        Seconds that only grow. Only the time within steps counts.
    least:
        Seconds: steps shorter than that are done together, so that drawing the bar costs little beside them. Where
        the phase changes the bar is drawn in any case.
    """

    def __init__(
        self,
        steps: Steps[T],
        costs: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        least: float = 0.0,
    ) -> None:
        self._steps: Steps[T] | None = steps
        self._costs = {} if costs is None else costs
        self._clock = clock
        self._least = least
        self._pace = Pace(self._seconds)
        self._worked = 0.0
        self._since: float | None = None  # when the present step began
        self._step = Step("", 0, 0)
        self._fraction = 0.0
        self._end = ""  # why there will be no result
        self._stop = False
        self._finished = False
        self._result: T | None = None

    @property
    def finished(self) -> bool:
        """Whether the result is there."""
        return self._finished

    @property
    def over(self) -> bool:
        """Whether nothing is left to do: finished, failed or cancelled."""
        return self._steps is None

    @property
    def result(self) -> T:
        """What the work returned; :class:`RuntimeError` before it has finished."""
        if not self._finished:
            raise RuntimeError("the job has no result before it has finished")
        return self._result

    @property
    def phase(self) -> str:
        """What is being done, a short English phrase; empty before the first step."""
        return self._step.phase

    @property
    def fraction(self) -> float:
        """Done so far of the whole job, 0..1; never falls, and is 1 when the result is there."""
        return 1.0 if self._finished else self._fraction

    @property
    def seconds_left(self) -> float | None:
        """Seconds of work that are left, at the pace so far; None until it is known."""
        if self._finished:
            return 0.0
        phase, done, total = self._step
        own = self._pace.left(phase, done, total) if phase else None
        reached = self._reached()
        if reached is None:
            return own
        done_cost, all_cost = reached
        rate = self._seconds() / done_cost if done_cost > 0 else None
        if rate is None:
            return None
        if own is None:
            return rate * (all_cost - done_cost)
        names = list(self._costs)
        later = sum(self._costs[name] for name in names[names.index(phase) + 1 :])
        return own + rate * later

    def advance(self) -> bool:
        """Do one short step; return True when the job has finished.

        Raises
        ------
        Cancelled
            If the job was cancelled.
        HemoCAMError
            Or whatever else the work raises; the job is then over.
        RuntimeError
            If it is called from within a step.
        """
        if self._finished:
            return True
        if self._since is not None:
            raise RuntimeError("a step of this job is being done already")
        if self._steps is None:
            raise Cancelled(self._end) if self._stop else HemoCAMError(self._end)
        self._since = self._clock()
        try:
            phase = self.phase
            while True:
                self._take(next(self._steps))
                if self._stop or self.phase != phase or self._clock() - self._since >= self._least:
                    break
        except StopIteration as end:
            self._finished, self._result = True, end.value
            self._over()
        except BaseException as error:
            self._over(f"The work has failed ({error}); start it again.")
            raise
        finally:
            self._worked += self._clock() - self._since
            self._since = None
        if self._stop and not self._finished:
            self.cancel()
            raise Cancelled(self._end)
        return self._finished

    def run(self, progress: Progress = silent) -> T:
        """Do all that is left and return the result; ``progress`` is called between steps and may raise to stop."""
        try:
            while not self.advance():
                progress(*self._step)
        except BaseException:
            self.cancel()
            raise
        return self.result

    def cancel(self) -> None:
        """Stop for good; called from within a step, as soon as the step is done. A finished job stays finished."""
        if self._steps is None:
            return
        self._stop = True
        if self._since is None:
            self._steps.close()
            self._over(str(Cancelled()))

    def _over(self, why: str = "") -> None:
        self._steps, self._end = None, why

    def _take(self, step: Step) -> None:
        self._step = step
        self._pace.left(*step)
        reached = self._reached()
        if reached is None:
            share = step.done / step.total if step.total > 0 else 0.0
        else:
            share = reached[0] / reached[1]
        self._fraction = max(self._fraction, min(share, _ALMOST))

    def _reached(self) -> tuple[float, float] | None:
        """Cost of what is done, and of the whole job; None without costs, or in a phase that has none."""
        phase, done, total = self._step
        names = list(self._costs)
        whole = sum(self._costs.values())
        if phase not in names or whole <= 0:
            return None
        before = sum(self._costs[name] for name in names[: names.index(phase)])
        part = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
        return before + self._costs[phase] * part, whole

    def _seconds(self) -> float:
        """Time that the steps have taken so far."""
        return self._worked + (0.0 if self._since is None else self._clock() - self._since)
