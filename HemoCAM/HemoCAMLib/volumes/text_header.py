"""The text headers of NRRD and MetaImage files, looked at before ITK sees them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import InputError

_LONGEST = 2**20  # bytes


def check_text_header(path: Path, kind: str, name: str, alone: bool = False) -> None:
    """Refuse a header without end, at which ITK's NRRD reader crashes, or that points out of its folder.

    Parameters
    ----------
    path:
        Of the file.
    kind:
        "NRRD" or "MetaImage".
    name:
        What errors call it.
    alone:
        Refuse voxels in a file of their own altogether.

    Raises
    ------
    InputError
        With one sentence.
    """
    with path.open("rb") as stream:
        head = stream.read(_LONGEST)
    if kind == "NRRD":
        text, found, _ = head.replace(b"\r\n", b"\n").partition(b"\n\n")
        named = re.search(rb"^data ?file:[ \t]*([^\r\n]*)", text, re.MULTILINE | re.IGNORECASE)
        whole = bool(found) or named is not None  # a header with its voxels elsewhere may end with the file
        elsewhere = named[1] if named else None
    else:
        found = re.search(rb"^ElementDataFile\s*=\s*([^\r\n]*)\r?\n?", head, re.MULTILINE)
        text, whole = (head[: found.end()], True) if found else (b"", False)
        elsewhere = found[1] if found and found[1].strip().upper() != b"LOCAL" else None
    if not whole or any(byte < 32 and byte not in b"\t\r\n" for byte in text):
        raise InputError(f"{name} has a header that cannot be read; copy it again.")
    if elsewhere is None:
        return
    if alone:
        raise InputError(f"{name} keeps its voxels in another file; save it as a single one.")
    other = elsewhere.strip().decode("utf-8", errors="replace")
    beside = {PurePosixPath(other).name, PureWindowsPath(other).name} == {other.removeprefix("./")}
    if not beside or other.split()[0].upper() == "LIST" or "%" in other:
        raise InputError(
            f"{name} keeps its voxels in several files or another folder; save it as a single file (.nrrd, .mha)."
        )
