"""What the cases gave, on disk: written once, whole or not at all, and found again by the next run.

    OUTPUT/sweep.txt                  digest of what the results depend on
    OUTPUT/cases.json                 names of the cases, in their order
    OUTPUT/cases/<case>.parquet       all tables of a case that is done (see :mod:`.packing`)
    OUTPUT/cases/<case>.failed.json   name and sentence of a case that failed

A file that is not whole yet ends in ``.part``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError
from ..evaluation.claims import claim
from .attempt import Reply
from .names import file_name
from .packing import Packed

KEY = "sweep.txt"
_ORDER = "cases.json"


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole and on the disk, or not at all; raise :class:`OutputError` if it cannot be."""
    part = f"{path}.{os.getpid()}.part"
    try:
        try:
            with open(part, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, path)  # noqa: PTH105  (a case of 20 ms feels every object made here)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(part).unlink()
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"Cannot write {path} ({error.strerror}); make room there or choose another --output.")


class Results:
    """The results of a list of cases in one folder.

    Parameters
    ----------
    output:
        The folder.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self._cases = output / "cases"

    @classmethod
    def claimed(cls, output: Path, key: object) -> Results:
        """Make ``output`` the place of the results that ``key`` (JSON values) describes, or find that it is.

        Raises
        ------
        OutputError
            If it holds something else, or cannot be written.
        """
        claim(output, KEY, key, "results of another model, data set, version or choice of options")
        results = cls(output)
        try:
            results._cases.mkdir(exist_ok=True)
            for part in results._cases.glob("*.part"):  # of a run that was killed while it wrote
                part.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(results._cases, error) from None
        return results

    def put_order(self, names: Sequence[str]) -> None:
        """Keep the order of the cases, in which tables are merged."""
        text = json.dumps(list(names), indent=0) + "\n"
        path = self.output / _ORDER
        if not path.is_file() or path.read_bytes() != text.encode("ascii"):
            with whole_file(path) as stream:
                stream.write(text.encode("ascii"))

    def order(self) -> list[str]:
        """Names of the cases in their order; raise :class:`OutputError` if the folder holds no results."""
        try:
            return list(json.loads((self.output / _ORDER).read_text(encoding="ascii")))
        except (OSError, ValueError):
            raise OutputError(f"{self.output} holds no results of cases; run the cases first.") from None

    def path(self, name: str) -> Path:
        """File of a case that is done."""
        return self._cases / f"{file_name(name)}.parquet"

    def _failed(self, name: str) -> Path:
        return self._cases / f"{file_name(name)}.failed.json"

    def is_done(self, name: str) -> bool:
        """Whether a case has its tables; a file that is there is whole."""
        return self.path(name).is_file()

    def put(self, reply: Reply) -> None:
        """Keep what came of a case; a stop at any moment leaves it done or not done.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        failed = self._failed(reply.name)
        if reply.content is None:
            text = json.dumps({"case": reply.name, "sentence": reply.sentence}) + "\n"
            with whole_file(failed) as stream:
                stream.write(text.encode("ascii"))
            return
        with whole_file(self.path(reply.name)) as stream:
            stream.write(reply.content)
        with suppress(OSError):
            failed.unlink()

    def get(self, name: str) -> Packed | None:
        """Tables of a case; None if it is not done.

        Raises
        ------
        OutputError
            If the file is not what was written.
        """
        path = self.path(name)
        try:
            packed = Packed(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            packed = None
        if packed is None or packed.case != name:
            raise OutputError(f"{path} is damaged; remove it and run the same command again.")
        return packed

    def failures(self, names: Iterable[str]) -> dict[str, str]:
        """Sentences of those cases among ``names`` that failed and have no results, in their order.

        Raises
        ------
        OutputError
            If a sentence cannot be read.
        """
        found = {}
        for name in names:
            path = self._failed(name)
            try:
                if path.is_file() and not self.is_done(name):
                    found[name] = str(json.loads(path.read_text(encoding="ascii"))["sentence"])
            except (OSError, ValueError, KeyError, TypeError):
                raise OutputError(f"{path} is damaged; remove it and run the same command again.") from None
        return found
