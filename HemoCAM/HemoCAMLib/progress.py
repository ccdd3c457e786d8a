"""How long work tells that it goes on, and how it is told to stop.

Every function that takes more than a second takes ``progress``: a callable ``progress(phase, done, total)``
that it calls between chunks of well under a second. ``phase`` is a short English verb phrase ("Reading
slices"), ``done`` and ``total`` are counts. To cancel, the callable raises :class:`~.errors.Cancelled`; the
work lets it pass through and leaves nothing half-written.
"""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]


def silent(phase: str, done: int, total: int) -> None:
    """Report to nobody, never cancel: the default of every ``progress`` argument."""
