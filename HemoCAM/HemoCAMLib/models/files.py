"""Read the files of a model bundle that somebody else made: regular files of its own folder, of bounded size."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelError

LARGEST_JSON = 2_000_000  # bytes; the shipped manifest has 24,000
_MOST_VALUES, _DEEPEST = 300_000, 32
_LARGEST_INTEGER = 2**64  # seeds are below; numbers with a meaning have closer bounds in the schema
_LONGEST_NUMBER = 40  # characters; a float64 needs 24


def read_file(path: Path, largest: int, folder: Path | None = None) -> bytes:
    """Read a regular file whole.

    Parameters
    ----------
    path:
        The file. A pipe or device is never waited for.
    largest:
        Most bytes that it may have.
    folder:
        A symbolic link must not lead out of this folder; None: it may lead anywhere.

    Raises
    ------
    ModelError
        With one sentence, if it is missing, no regular file, outside the folder, too large or cannot be read.
    """
    try:
        if folder is not None:
            path, home = path.resolve(strict=True), folder.resolve(strict=True)
            if not path.is_relative_to(home):
                raise ModelError(
                    f"A file of the model in {printable(folder)} is a link that leads out of the folder; "
                    "put the file itself there."
                )
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(opened, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{printable(path)} is no regular file; get the model again.")
            data = b"" if status.st_size > largest else stream.read(largest + 1)
            if status.st_size > largest or len(data) > largest:
                raise ModelError(
                    f"{printable(path)} has more than the {largest / 1e6:,.0f} MB that such a file may have; "
                    "get the model again."
                )
            return data
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # a name with a NUL; in Python 3.11 links in a circle
        reason = getattr(error, "strerror", None) or one_line(error)
        raise ModelError(f"{printable(path)} cannot be read ({reason}); get the model again.") from None


def read_json(path: Path) -> dict:
    """Read a JSON file strictly: keys once, finite numbers, no deep nesting.

    Raises
    ------
    ModelError
        With one sentence, if it cannot be read, is not such JSON, or holds no object.
    """
    text = read_file(path, LARGEST_JSON)
    try:
        data = json.loads(
            text.decode("utf-8"),
            parse_constant=_no_number,
            parse_int=_integer,
            parse_float=_float,
            object_pairs_hook=_no_key_twice,
        )
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested without end
        raise ModelError(
            f"{printable(path)} is not valid JSON ({one_line(error)}); repair or replace it."
        ) from None
    check_values(data, printable(path))
    if not isinstance(data, dict):
        raise ModelError(f"{printable(path)} does not hold a JSON object; repair or replace it.")
    return data


def check_values(data: object, where: str) -> None:
    """Refuse JSON values that no manifest needs; ``where`` opens the sentence of the :class:`ModelError`.

    Numbers that are not finite, whole ones of more than 64 bits, text that is not Unicode (half a surrogate
    pair), more than 32 levels, more than 300,000 values, and Python objects that JSON does not have.
    """
    for count, (path, value) in enumerate(_values(data), 1):
        if len(path) > _DEEPEST or count > _MOST_VALUES:
            raise ModelError(
                f"{where} is nested more than {_DEEPEST} levels deep or holds more than {_MOST_VALUES:,} values; "
                "a manifest does not."
            )
        if isinstance(value, str):
            problem = any("\ud800" <= c <= "\udfff" for c in value) and "text that is not Unicode"
        elif isinstance(value, float):
            problem = not math.isfinite(value) and f"{value}, which is not finite"
        elif isinstance(value, int):
            problem = abs(value) > _LARGEST_INTEGER and "a number of too many digits"
        else:
            known = value is None or isinstance(value, dict | list | tuple)
            problem = not known and f"a {type(value).__name__}, which JSON does not have"
        if problem:
            place = "/".join(one_line(part, 60) for part in path) or "its top level"
            raise ModelError(f"{where} cannot be used: at {place} stands {problem}.")


def _values(data: object) -> Iterator[tuple[tuple, object]]:
    """(path, value) of everything in ``data``, keys too, without recursion."""
    waiting: list[tuple[tuple, object]] = [((), data)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting += ((path, key) for key in value)
            waiting += (((*path, key), part) for key, part in value.items())
        elif isinstance(value, list | tuple):
            waiting += (((*path, at), part) for at, part in enumerate(value))


def printable(name: object) -> str:
    """Text of somebody else's as it may stand in a sentence: no line feeds, no control characters."""
    text = str(name)
    return text if text.isprintable() else ascii(text)[1:-1]


def one_line(error: object, most: int = 160) -> str:
    """Message of an exception in one line, at most ``most`` characters and three dots."""
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= most else text[:most] + "..."


def _no_number(constant: str) -> float:
    """Refuse NaN, Infinity and -Infinity, which JSON does not have and Python reads all the same."""
    raise ValueError(f"{constant} is no number")


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:  # Python itself takes a time that grows with the square of the digits
        raise ValueError("a number has too many digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict:
    found: dict = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} stands there twice")
        found[key] = value
    return found
