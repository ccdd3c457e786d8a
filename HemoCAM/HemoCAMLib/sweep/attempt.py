"""One case, wherever it runs: its tables in one file, or the sentence that says why there are none."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Cancelled, HemoCAMError
from .names import Case
from .packing import pack

if TYPE_CHECKING:
    import pyarrow as pa

Work = Callable[[Case], Mapping[str, "pa.Table"]]

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


def attempt(work: Work, case: Case, stop: Callable[[], None]) -> Reply:
    """Compute one case.

    Parameters
    ----------
    work, case:
        As for :func:`~.runner.run`.
    stop:
        Raises if the sweep was stopped; :func:`heed` calls it.

    Returns
    -------
    Reply
        Of a case that raised a :class:`HemoCAMError` or ran out of memory, the sentence. Everything else that
        ``work`` raises is a fault of the program, and passes through.
    """
    token, since = _stop.set(stop), time.perf_counter()
    try:
        content = pack(case.name, work(case))
        return Reply(case.name, content, None, time.perf_counter() - since)
    except Cancelled:
        raise
    except HemoCAMError as error:
        sentence = str(error)
    except MemoryError:
        sentence = "The memory was not enough for this case; run it with fewer --workers."
    finally:
        _stop.reset(token)
    return Reply(case.name, None, sentence, time.perf_counter() - since)
