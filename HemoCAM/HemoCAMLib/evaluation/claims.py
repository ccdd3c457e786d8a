"""Folders of long work that goes on after a stop: whose they are, so that nothing of two kinds is mixed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from .. import phantoms
from ..errors import OutputError
from .tables import write_text


def digest(content: object) -> str:
    """SHA-256, hex, of JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def generator_digest() -> str:
    """SHA-256, hex, of the generator's source: patients of two generators are not the same patients."""
    found = hashlib.sha256()
    for path in sorted(Path(phantoms.__file__).parent.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def claim(folder: Path, note: str, content: object, other: str) -> None:
    """Make ``folder`` the place of the work that ``content`` describes, or find that it is.

    Parameters
    ----------
    folder:
        Made if it is not there.
    note:
        Name of the file that holds the description's digest.
    content:
        JSON values: all that the results depend on.
    other:
        What the folder holds if it is another's, for the sentence.

    Raises
    ------
    OutputError
        If it is another's, or cannot be written.
    """
    mark, path = digest(content), folder / note
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if any(path.suffix != ".part" for path in folder.iterdir()):
                raise OutputError(f"{folder} is not empty and has no {note}; choose another --output.")
            write_text(mark + "\n", path)
        elif path.read_text(encoding="utf-8").strip() != mark:
            raise OutputError(f"{folder} holds the {other}; choose another --output, or remove it.")
    except OSError as error:
        raise OutputError(f"Cannot write to {folder} ({error.strerror}); choose another --output.") from None
