"""Names of cases as names of files: any text maps to a safe one, and no two to the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Protocol

from ..errors import InputError

_PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9_-])?")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_SLUG = 40  # characters of the old name that a changed one keeps, for people to recognise it


class Case(Protocol):
    """A unit of work: anything that can be pickled and has a name, unique in its list."""

    @property
    def name(self) -> str:
        """What the case is called in tables and messages."""
        ...


def file_name(name: str) -> str:
    """Map a case's name to a file's name, without its ending, that every file system takes as it is.

    Parameters
    ----------
    name:
        Any text.

    Returns
    -------
    str
        ``name`` itself if it is plain: 1 to 64 of a-z, 0-9, dot, dash and underscore, neither begun nor ended by
        a dot, and no name that Windows reserves. Otherwise its plain letters, a tilde and 20 hex digits of its
        SHA-256. Plain names hold no tilde and no capitals: two names share a file only if their digests do,
        where case is told apart and where it is not.
    """
    if _PLAIN.fullmatch(name) and name.partition(".")[0] not in _RESERVED:
        return name
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_SLUG].strip("-") or "case"
    return f"{slug}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}"


def check_names(cases: Sequence[Case]) -> list[str]:
    """Names of the cases, in their order.

    Raises
    ------
    InputError
        If two cases share a name.
    """
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(f"Two cases are called {twice!r}; give each case a name of its own.")
    return names
