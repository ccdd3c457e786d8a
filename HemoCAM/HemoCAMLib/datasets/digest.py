"""A fingerprint of a data set: every byte that a result can depend on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..errors import InputError
from ..progress import Progress, silent
from .finding import DataSet

_CHUNK = 2**23


def digest(data: DataSet, progress: Progress = silent) -> str:
    """SHA-256, hex, of the names and bytes of all images, masks and tables of a data set.

    It does not depend on where the folder lies, on the system, or on files that no case uses. Files are streamed:
    8 MiB of memory, and the time to read them once.

    Parameters
    ----------
    data:
        The cases.
    progress:
        Called each 8 MiB, in MiB.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    images = {path: "image" for case in data.cases for path in case.images}
    masks = {path: "mask" for case in data.cases for path in case.masks if path is not None}
    roles = images | masks | dict.fromkeys(data.tables, "table")
    try:
        sizes = {path: path.stat().st_size for path in roles}
        total, done = sum(sizes.values()) >> 20, 0
        lines = []
        for path, role in roles.items():
            own = hashlib.sha256()
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    own.update(chunk)
                    done += len(chunk)
                    progress("Reading the data set's fingerprint", done >> 20, max(total, done >> 20))
            lines.append(f"{role}/{path.name}\t{own.hexdigest()}\n")
    except OSError as error:
        raise InputError(f"{_name(error)} cannot be read ({error.strerror}).") from None
    whole = hashlib.sha256(f"{data.layout}\n".encode())
    for line in sorted(lines):
        whole.update(line.encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _name(error: OSError) -> str:
    path = Path(os.fsdecode(error.filename)) if error.filename else Path("A file of the data set")
    return f"{path.parent.name}/{path.name}" if error.filename else path.name
