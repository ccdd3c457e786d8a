"""Cases on Dask's workers: of this machine, started and ended here, or of a cluster that is there already.

Dask distributes, watches its workers and runs again what a lost one had in hand. Here is what it leaves open: how
many cases are with it at a time, that ``work`` travels once to each worker, who is to blame for a worker's death,
and that a stop is prompt.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import signal
import statistics
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import dask.config
import psutil
from distributed import Client, Future, LocalCluster, Worker, WorkerPlugin, get_worker
from distributed.comm import CommClosedError
from distributed.protocol.pickle import dumps, loads
from distributed.scheduler import KilledWorker

from ..errors import Cancelled, HemoCAMError, OptionError
from .attempt import TOGETHER_S, Reply, Work, attempt
from .names import Case
from .threads import limited_threads
from .versions import difference, versions

PATIENCE_S = 600.0  # without any worker, before the run gives up
_TICK_S = 0.25  # between two looks at whether to stop
_MOST = 64  # cases of a task
_CONNECT_S = 10.0
_ANSWER_S = 5.0


def on_workers(
    todo: list[Case], work: Work, workers: int, address: str | None, threads: int
) -> Iterator[Reply | None]:
    """Compute cases in other processes; yields replies in the order of their ends, None while there are none.

    Parameters and errors as for :func:`~.runner.run`. Closing the iterator stops all.
    """
    # lost workers are expected here, and what a closing connection logs comes when all is over
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if address is None:
            client = stack.enter_context(_local(min(workers, len(todo)), threads))
        else:
            client = stack.enter_context(_remote(address))
        yield from _Sweep(client, work, threads, local=address is None).run(todo)


@contextmanager
def _local(workers: int, threads: int) -> Iterator[Client]:
    """Processes of this machine, a case at a time each, that end with this one even if it is killed."""
    config = {
        # two deaths, and a case is set aside to be run alone
        "distributed.scheduler.allowed-failures": 1,
        # nobody looks at what these collect, all the time and in every process
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "500ms",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.admin.system-monitor.disk": False,
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.diagnostics.nvml": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.daemon": True,
        # by Dask's MALLOC_TRIM_THRESHOLD_ a network takes more than twice as long; its threads are not what was asked
        "distributed.nanny.pre-spawn-environ": {},
    }
    with ExitStack() as stack:
        stack.enter_context(limited_threads(threads))  # the processes inherit it before they import anything
        stack.enter_context(dask.config.set(config))
        scratch = tempfile.TemporaryDirectory(prefix="hemocam-", ignore_cleanup_errors=True)
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # keys made for this run: else whoever has an account here could send its workers pickles
            security=True,
            # without a dashboard Dask opens port 8787 none the less, and says so where it is taken
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            # Dask's share (memory / cores) is less than a network needs; the window bounds what waits
            memory_limit=0,
            local_directory=stack.enter_context(scratch),
            silence_logs=logging.CRITICAL,
        )
        stack.callback(cluster.close)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        try:
            yield client
        except BaseException:
            _kill(cluster)
            raise


def _kill(cluster: LocalCluster) -> None:
    """End the worker processes now, whatever they do."""
    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # it starts no new process
        with suppress(psutil.Error, TypeError):
            psutil.Process(nanny.pid).kill()


class _Connection(Client):
    """A client that is closed at once if it cannot connect: Dask closes it when it is collected as garbage, and
    hangs if that happens while the next one starts.
    """

    def __init__(self, address: str) -> None:
        try:
            super().__init__(address, timeout=_CONNECT_S, set_as_default=False)
        except BaseException:
            with suppress(Exception):
                self.close()
            raise


@contextmanager
def _remote(address: str) -> Iterator[Client]:
    """A cluster that is there; it stays as it was."""
    try:
        client = _Connection(address)
    except (TimeoutError, OSError, ValueError, TypeError, CommClosedError):
        raise OptionError(
            f"No Dask scheduler answers at {address}; start one with `dask scheduler`, or correct --dask."
        ) from None
    with client:
        yield client


class _Bench(WorkerPlugin):
    """What a worker needs for all cases: the work, unpacked once, and the word that it was stopped."""

    def __init__(self, work: Work, threads: int, local: bool) -> None:
        self.name = f"hemocam-{uuid.uuid4().hex}"
        self._packed, self._threads, self._local = dumps(work), threads, local
        self._versions = versions()

    def setup(self, worker: Worker) -> None:
        """Unpack; keep what is wrong for the cases, since a worker that comes later can tell nobody now."""
        self._stopped, self._turn = threading.Event(), threading.Lock()
        self._limits, self._fault, self._work = ExitStack(), None, None
        if self._local:
            with suppress(ValueError):  # not the main thread: Ctrl-C is the parent's, where it can be
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._limits.enter_context(limited_threads(self._threads))
        other = difference(self._versions, versions())
        if other:
            self._fault = f"The Dask worker {worker.address} has {other}; install the same versions there."
            return
        try:
            self._work = loads(self._packed)
        except Exception as error:
            self._fault = (
                f"The Dask worker {worker.address} cannot load the work ({type(error).__name__}: {error}); "
                "install the same HemoCAM there."
            )

    def teardown(self, worker: Worker) -> None:
        """Stop what runs, at its next word of progress, and what waits."""
        self._stopped.set()
        self._limits.close()

    def _stop(self) -> None:
        if self._stopped.is_set():
            raise Cancelled

    def attempt(self, cases: list[Case]) -> list[Reply]:
        """Compute some cases, a case at a time in a process however many threads the worker has."""
        if self._fault:
            raise OptionError(self._fault)
        with self._turn:
            return list(attempt(self._work, self._unless_stopped(cases), self._stop))

    def _unless_stopped(self, cases: list[Case]) -> Iterator[Case]:
        for case in cases:
            self._stop()
            yield case


def _compute(bench: str, cases: list[Case]) -> list[Reply]:
    """Compute some cases on this worker."""
    return get_worker().plugins[bench].attempt(cases)


class _Sweep:
    """One list of cases with a cluster."""

    def __init__(self, client: Client, work: Work, threads: int, local: bool) -> None:
        self._client, self._local = client, local
        self._bench = _Bench(work, threads, local)
        self._ready: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._seconds: deque[float] = deque(maxlen=32)
        self._workers, self._looked, self._seen = 0, -10.0, time.monotonic()

    def run(self, todo: list[Case]) -> Iterator[Reply | None]:
        """Compute all; those whose worker died of them, or of another's case, again and alone."""
        self._client.register_plugin(self._bench, name=self._bench.name)
        suspects: list[Case] = []
        try:
            yield from self._round(todo, suspects)
            yield from self._round(suspects, None)
        finally:
            if not self._local:
                with suppress(Exception):
                    self._ask(self._client.scheduler.unregister_worker_plugin, name=self._bench.name)

    def _round(self, todo: list[Case], suspects: list[Case] | None) -> Iterator[Reply | None]:
        """Compute ``todo``, a few ahead of each worker; one by one if there is no list for suspects any more."""
        waiting, flying = deque(todo), {}
        while waiting or flying:
            while waiting and len(flying) < (1 if suspects is None else 2 * self._count()):
                size = 1 if suspects is None else self._size(len(waiting))
                cases = [waiting.popleft() for _ in range(size)]
                future = self._client.submit(_compute, self._bench.name, cases, pure=False)
                flying[future.key] = future, cases  # Dask forgets a task whose future nobody holds
                future.add_done_callback(self._ready.put)
            try:
                future = self._ready.get(timeout=_TICK_S)
            except queue.Empty:
                self._watch()
                yield None
                continue
            _, cases = flying.pop(future.key)
            try:
                found = yield from self._take(future)
            except KilledWorker:
                if suspects is None:
                    yield Reply(cases[0].name, sentence=_DEADLY)
                else:
                    suspects.extend(cases)
                continue
            for reply in found:
                self._seconds.append(reply.seconds)
                yield reply

    def _take(self, future: Future) -> Generator[None, None, list[Reply]]:
        """Fetch what a task gave; wait, if its worker was lost meanwhile, until another has run it again."""
        while True:
            try:
                return future.result(timeout=4 * _TICK_S)
            except (Exception, asyncio.CancelledError) as error:
                if future.status == "error":  # what was raised over there
                    raise
                if not isinstance(error, TimeoutError):
                    raise _lost(f"a task is {future.status}") from error
            self._watch()
            yield None

    def _size(self, waiting: int) -> int:
        """How many cases to send at a time: several if they are short, one if they are long."""
        if not self._seconds:
            return 1
        # Dask's own part of a task is some milliseconds, whatever its length
        fit = int(TOGETHER_S / max(statistics.median(self._seconds), 1e-6))
        return max(1, min(fit, _MOST, waiting // (4 * self._count())))

    def _count(self) -> int:
        """Workers now, at least 1."""
        if time.monotonic() - self._looked > 2:
            with suppress(TimeoutError, OSError):  # of a scheduler that is busy, or gone: see _watch
                self._workers = len(self._ask(self._client.scheduler.ncores))
            self._looked = time.monotonic()
            if self._workers:
                self._seen = self._looked
        return max(self._workers, 1)

    def _ask(self, what: Callable[..., Awaitable], **arguments: object) -> Any:
        """Ask the scheduler, but not for ever."""
        return self._client.sync(what, **arguments, callback_timeout=_ANSWER_S)

    def _watch(self) -> None:
        """Raise if nothing can come any more."""
        if self._client.status not in ("running", "connecting"):
            raise _lost("the scheduler is gone")
        self._count()
        if time.monotonic() - self._seen > PATIENCE_S:
            raise _lost(f"no worker for {PATIENCE_S / 60:.0f} minutes")


_DEADLY = (
    "It ended its worker process again and again, also alone (too little memory, or a fault in a library); "
    "run it with --workers 0 to see more."
)


def _lost(why: object) -> HemoCAMError:
    return HemoCAMError(f"The Dask cluster was lost ({why}); the same command goes on where it was.")
