"""Cases, wherever they run: the tables of each in one file, or the sentence that says why there are none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import Cancelled, HemoCAMError
from .names import Case
from .packing import pack

if TYPE_CHECKING:
    import pyarrow as pa

Work = Callable[[Case], Mapping[str, "pa.Table"]]

TOGETHER_S = 0.5  # of short cases, as many go together as take so long

_stop: ContextVar[Callable[[], None]] = ContextVar("stop", default=lambda: None)


@dataclass(frozen=True)
class Reply:
    """What came of a case.

    Parameters
    ----------
    name:
        The case's.
    content:
        Its tables (:func:`~.packing.pack`), or None if it failed.
    sentence:
        Why it failed, or None.
    seconds:
        What it took.
    """

    name: str
    content: bytes | None = None
    sentence: str | None = None
    seconds: float = 0.0


def heed(phase: str, done: int, total: int) -> None:
    """Stop the running case if the sweep was stopped: the ``progress`` for what ``work`` calls.

    Without it a stop waits for the end of a case where its process cannot be ended: with ``workers=0``, and on
    a cluster's workers. Outside a sweep it does nothing.

    Raises
    ------
    Cancelled
        Or whatever the sweep's own ``progress`` raises, to pass through ``work``.
    """
    _stop.get()()


def attempt(work: Work, cases: Iterable[Case], stop: Callable[[], None]) -> Iterator[Reply]:
    """Compute cases, one after the other.

    Those of half a second are packed together: one by one, after each case has had the processor's caches for
    itself, packing and writing take four times as long, which cases of some milliseconds feel.

    Parameters
    ----------
    work, cases:
        As for :func:`~.runner.run`.
    stop:
        Raises if the sweep was stopped; :func:`heed` calls it.

    Yields
    ------
    Reply
        Of each case in its turn; of one that raised a :class:`HemoCAMError` or ran out of memory, the sentence.
        Everything else that ``work`` raises is a fault of the program, and passes through.
    """
    held: list[tuple[Reply, Mapping[str, pa.Table]]] = []
    seconds = 0.0
    for case in cases:
        held.append(_compute(work, case, stop))
        seconds += held[-1][0].seconds
        if seconds >= TOGETHER_S:
            yield from _pack(held)
            held, seconds = [], 0.0
    yield from _pack(held)


def _compute(work: Work, case: Case, stop: Callable[[], None]) -> tuple[Reply, Mapping[str, pa.Table]]:
    """Compute one case: a reply without content, and its tables."""
    tables, sentence = {}, None
    token, since = _stop.set(stop), time.perf_counter()
    try:
        tables = work(case)
    except Cancelled:
        raise
    except HemoCAMError as error:
        sentence = str(error)
    except MemoryError:
        sentence = "The memory was not enough for this case; run it with fewer --workers."
    finally:
        _stop.reset(token)
    return Reply(case.name, None, sentence, time.perf_counter() - since), tables


def _pack(held: list[tuple[Reply, Mapping[str, pa.Table]]]) -> Iterator[Reply]:
    for reply, tables in held:
        yield reply if reply.sentence else replace(reply, content=pack(reply.name, tables))
