"""Patients in memory while training: made in the background, entering and leaving at fixed steps.

Which patients can be drawn at a step depends on the step's number alone, never on how fast they were made: the
loop waits for one that is late. So a run that was killed and goes on, or runs beside another, gives the same.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..workers import end_with_parent
from .samples import Samples, join
from .sources import Job, Source

_AREA_MM2 = (60.0, 240.0)  # blood below and above which chances no longer change
_BRAIN = 0.12  # share of the square from which a slab counts as showing a brain whole


class Workshop:
    """Background processes that run jobs; with ``workers=0``, this process runs them when they are wanted.

    They are spawned, not forked, for torch and its threads are loaded already: a script that trains needs
    ``if __name__ == "__main__":`` around it.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor = None
        if workers > 0:
            self._executor = concurrent.futures.ProcessPoolExecutor(
                workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
            )

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    @property
    def ahead(self) -> int:
        """How many jobs to hand in before their turn, so that no worker waits."""
        return 2 * self.workers

    def submit(self, job: Job) -> concurrent.futures.Future:
        """Start a job; its future's ``result()`` is the patient's samples."""
        if self._executor is not None:
            return self._executor.submit(job)
        future: concurrent.futures.Future = concurrent.futures.Future()
        future.set_result(job())
        return future

    def stream(self, jobs: Iterable[Job]) -> Iterator[Samples]:
        """Results of ``jobs`` in their order, some of them ahead of their turn."""
        running: deque[concurrent.futures.Future] = deque()
        for job in jobs:
            running.append(self.submit(job))
            if len(running) > self.ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


@contextlib.contextmanager
def hire(workers: int | Workshop) -> Iterator[Workshop]:
    """A workshop of so many processes, closed at the end; or one that is there already, left open."""
    if isinstance(workers, Workshop):
        yield workers
    else:
        with Workshop(workers) as workshop:
            yield workshop


def _start_worker() -> None:
    """Keep to one core, leave Ctrl-C to the parent, and end with it even if it is killed."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


@dataclass(frozen=True)
class Flow:
    """When patients enter and leave.

    Parameters
    ----------
    capacity:
        Patients in memory at most; about 6 MB each at 256 pixels.
    first:
        Patients that the first step waits for.
    inflow:
        Patients that enter a step after that: all of the source if it fits, else round and round, each new one
        for the one that has been there longest.
    """

    capacity: int
    first: int
    inflow: float

    def window(self, step: int, available: int) -> range:
        """Places in the stream of the patients that can be drawn at ``step``, of ``available`` in the source."""
        head = self.first + int(self.inflow * step)
        if available <= self.capacity:
            head = min(head, available)
        return range(max(0, head - self.capacity), head)


class Pool:
    """The patients of one source that can be drawn now.

    Parameters
    ----------
    source, workshop, flow:
        Where patients come from, who makes them, and when they enter.
    rank, ranks:
        Of several processes that train together each takes every ``ranks``-th patient.
    neighborhood:
        Offsets of the slabs that a drawn slab comes with, as :class:`~..models.manifest.Manifest` has them.
    """

    def __init__(
        self,
        source: Source,
        workshop: Workshop,
        flow: Flow,
        rank: int = 0,
        ranks: int = 1,
        neighborhood: tuple[int, ...] = (0,),
    ) -> None:
        self.source, self.workshop, self.flow, self.neighborhood = source, workshop, flow, neighborhood
        self._own = range(rank, len(source), ranks)
        if not self._own:
            raise InputError(
                f"{len(source)} patients are too few to train on {ranks} devices; give each at least one."
            )
        self._held: dict[int, Samples] = {}
        self._sides: dict[
            int, tuple[tuple[np.ndarray, np.ndarray], ...]
        ] = {}  # of each: rows and their weights
        self._coming: dict[int, concurrent.futures.Future] = {}
        self._rows = [np.zeros((0, 2), np.int64)] * 2  # (place, row) of slabs that bleed, and of clean ones
        self._chances = [np.zeros(0)] * 2  # of each of them, summed up

    def advance(self, step: int, waiting: Callable[[], None] = lambda: None) -> bool:
        """Hold exactly the patients of ``step``; call ``waiting`` twice a second while one is late.

        Returns whether anything changed.
        """
        window = self.flow.window(step, len(self._own))
        left = [place for place in self._held if place not in window]
        new = [place for place in window if place not in self._held]
        for place in left:
            del self._held[place], self._sides[place]
            if len(self._own) > self.flow.capacity:
                self.source.discard(self._patient(place))
        for place in new:
            self._order(place)
        for place in new:
            future = self._coming.pop(place)
            while True:
                with contextlib.suppress(concurrent.futures.TimeoutError):
                    self._held[place] = future.result(timeout=0.5)
                    break
                waiting()
            self._sides[place] = _sides(self._held[place])
        end = window.stop + self.workshop.ahead
        for place in range(window.stop, min(end, len(self._own)) if self._all_fit else end):
            self._order(place)
        if left or new:
            self._index()
        return bool(left or new)

    @property
    def _all_fit(self) -> bool:
        return len(self._own) <= self.flow.capacity

    def _patient(self, place: int) -> int:
        return self._own[place % len(self._own)]

    def _order(self, place: int) -> None:
        if place not in self._coming:
            self._coming[place] = self.workshop.submit(self.source.job(self._patient(place)))

    def _index(self) -> None:
        """List the slabs that bleed and those that are clean, with their chances."""
        for side in (0, 1):
            rows, weights = zip(*(self._sides[place][side] for place in self._held), strict=True)
            places = np.repeat(list(self._held), [len(r) for r in rows])
            self._rows[side] = np.stack([places, np.concatenate(rows)], axis=1)
            self._chances[side] = np.cumsum(np.concatenate(weights))

    def draw(self, bleeding: int, clean: int, rng: np.random.Generator) -> Samples:
        """Draw slabs with their neighbors at random, with replacement; one sort makes up for a lack of the other."""
        counts = [bleeding, clean]
        empty = [not len(rows) for rows in self._rows]
        if all(empty):
            raise InputError("No slice here is known to bleed or to be clean; check the labels.")
        if any(empty):
            counts = [0 if none else bleeding + clean for none in empty]
        chosen = []
        for rows, chances, count in zip(self._rows, self._chances, counts, strict=True):
            if count:
                place = np.searchsorted(chances, rng.random(count) * chances[-1], side="right")
                chosen.append(rows[np.minimum(place, len(rows) - 1)])
        return join(
            [
                self._held[place].with_neighbors(self.neighborhood, [row])
                for place, row in np.concatenate(chosen)
            ]
        )


def _sides(samples: Samples) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Rows of the slabs that bleed and of those that are clean, each with their weights."""
    found = (np.flatnonzero(samples.truth[:, 0] == value) for value in (1, 0))
    return tuple(
        (rows, _weights(samples, rows, bleeding)) for rows, bleeding in zip(found, (True, False), strict=True)
    )


def _weights(samples: Samples, rows: np.ndarray, bleeding: bool) -> np.ndarray:
    """How often a slab is drawn, relative to the others of its sort.

    Bleeding ones by the area of the blood: what is all but invisible teaches little. Clean ones alike where the
    intracranial space is known (without any of it, never); else by the brain that they show: the neck and the air
    above the head are soon learned.
    """
    if bleeding:
        area = samples.area_mm2[rows].sum(axis=1)
        return np.where(np.isnan(area), _AREA_MM2[0], np.clip(area, *_AREA_MM2))
    if not samples.inside.all():
        return samples.inside[rows].any(axis=(1, 2)).astype(float)
    hu = samples.hu[rows]
    brain = ((hu > 0) & (hu < 70)).mean(axis=(1, 2))
    return np.clip(brain / _BRAIN, 0.05, 1.0)
