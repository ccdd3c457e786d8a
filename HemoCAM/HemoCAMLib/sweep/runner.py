"""Run a list of cases: what is done already stays, what fails costs itself only, a stop loses what is in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import HemoCAMError, OptionError
from ..progress import Progress, silent
from .attempt import Reply, Work, attempt
from .names import Case, check_names
from .results import Results
from .threads import limited_threads

PHASE = "Computing cases"
_WRITERS = 4  # threads: what takes time in writing is the disk's word that it is written
_UNWRITTEN = 64  # replies waiting to be written, at most


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    cases:
        Length of the list.
    computed:
        How many cases this run computed, failed ones included; the others were done.
    failed:
        Sentences of the cases that failed, by name, in the order of the list.
    """

    cases: int
    computed: int
    failed: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """One line for each case that failed: name and sentence."""
        return [f"{name}: {sentence}" for name, sentence in self.failed.items()]

    def check(self, allow_failures: bool = False) -> None:
        """Raise :class:`HemoCAMError` if a case failed, unless that is allowed."""
        if self.failed and not allow_failures:
            raise HemoCAMError(
                f"{len(self.failed)} of {self.cases} cases failed, first {self.lines()[0]} "
                "The same command tries them again."
            )


def run(
    cases: Sequence[Case],
    work: Work,
    output: Path,
    key: object,
    *,
    workers: int = 0,
    dask: str | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> Outcome:
    """Compute every case that is not done yet, and keep its tables in ``output``.

    Parameters
    ----------
    cases:
        What there is to do; with processes, each must be picklable. The list may grow from run to run.
    work:
        ``work(case)`` returns tables by name ("slices", "volumes"; a-z, 0-9, dash, underscore). The same case
        must give the same rows in any process. Picklable if there are other processes: sent once to each of
        them, not with every case. Long work passes :func:`~.attempt.heed` on as ``progress``.
    output:
        Folder, made if it is not there; see :mod:`.results`. One run at a time works in it.
    key:
        JSON values: all that the results depend on beside the case's name (hashes of model and data, options,
        versions).
    workers:
        Processes on this machine; 0 computes in this one.
    dask:
        Address of a Dask scheduler, instead of ``workers``. It and its workers need this HemoCAM and what it
        depends on, in the same versions, and the data under the same paths; results come back by the network. Start
        them with ``dask worker --no-nanny``: under Dask's nanny (by the ``MALLOC_TRIM_THRESHOLD_`` that it sets) a
        network takes more than twice as long.
    threads:
        Threads of the numeric libraries in each process. Another number may change the last digits.
    progress:
        Called with the cases computed and to be computed by this run, about four times a second where there are
        other processes, else at the end of a case or of half a second, and by :func:`~.attempt.heed`. What it
        raises stops all workers and passes through; the cases in flight, and short ones of the last half second,
        are lost to the next run.

    Returns
    -------
    Outcome
        With the sentences of the failed cases: those that raised a :class:`HemoCAMError`, or whose worker
        process died of them again and again. The next run tries them again.

    Raises
    ------
    InputError
        If two cases share a name.
    OptionError
        If the options make no sense, or no scheduler answers, or its workers have other versions.
    OutputError
        If ``output`` holds other results, or cannot be written.
    HemoCAMError
        If the cluster is lost; the same call goes on.
    """
    if workers < 0 or threads < 1:
        raise OptionError("The number of workers is 0 or more, and that of their threads at least 1.")
    if workers and dask:
        raise OptionError(
            "Workers are either on this machine (--workers) or on a cluster (--dask), not both."
        )
    names = check_names(cases)
    results = Results.claimed(output, key)
    results.put_order(names)
    todo = [case for case, name in zip(cases, names, strict=True) if not results.is_done(name)]
    done = 0

    def report() -> None:
        progress(PHASE, done, len(todo))

    report()
    if todo:
        if workers or dask:
            from .cluster import on_workers

            replies = on_workers(todo, work, workers, dask, threads)
        else:
            replies = _here(todo, work, threads, report)
        with _Writer(results) as writer, closing(replies):
            for reply in replies:
                if reply is not None:
                    writer.put(reply)
                    done += 1
                report()
    return Outcome(len(names), len(todo), results.failures(names))


def _here(todo: list[Case], work: Work, threads: int, stop: Callable[[], None]) -> Iterator[Reply]:
    """Compute in this process, one case after the other."""
    with limited_threads(threads):
        yield from attempt(work, todo, stop)


class _Writer:
    """Writes replies beside the computing; at the end, or when it stops, all that was handed in is on the disk."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._pool = ThreadPoolExecutor(_WRITERS, "write")
        self._writing: deque[Future] = deque()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            for future in self._writing:
                future.result()

    def put(self, reply: Reply) -> None:
        """Hand in a reply; waits while too many are unwritten, and raises what an earlier one ran into."""
        self._writing.append(self._pool.submit(self._results.put, reply))
        while len(self._writing) > _UNWRITTEN or (self._writing and self._writing[0].done()):
            self._writing.popleft().result()
