"""Which slices the arguments of ``hemocam classify`` name: files, folders, and lists of them in a text file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

_EXTENSIONS = (".png", ".jpg", ".jpeg", ".dcm")


@dataclass(frozen=True)
class Source:
    """A slice's file, and its name in the table: the path as given, or relative to the folder given."""

    path: Path
    name: str


def find_slices(arguments: Sequence[str]) -> tuple[list[Source], list[str]]:
    """List the slices in the order of the arguments; a folder's files in the order of their names.

    Parameters
    ----------
    arguments:
        Files; folders, of which the PNG, JPEG and DICOM files are taken but not those in subfolders; and
        ``@FILE``, a text file (UTF-8) with a file or folder a line, relative to the text file's own folder.

    Returns
    -------
    tuple
        The slices, and a sentence for each folder of which something was left aside.

    Raises
    ------
    InputError
        If something is not there, a folder holds no slice, or two slices have the same name.
    """
    sources: list[Source] = []
    notes: list[str] = []
    for given, path in _paths(arguments):
        if path.is_dir():
            taken, left = _split(path)
            if not taken:
                raise InputError(
                    f"{given} holds no PNG, JPEG or DICOM file; its subfolders are not searched."
                )
            sources += [Source(file, file.name) for file in taken]
            if left:
                names = ", ".join(left[:3]) + (" and others" if len(left) > 3 else "")
                notes.append(f"{given}: left aside what is no PNG, JPEG or DICOM file ({names}).")
        elif path.exists():
            sources.append(Source(path, given))
        else:
            raise InputError(f"There is no file or folder {given}; check the path.")
    seen: set[str] = set()
    for source in sources:
        if source.name in seen:
            raise InputError(f"Two slices are called {source.name}; classify them one after the other.")
        seen.add(source.name)
    return sources, notes


def _paths(arguments: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for argument in arguments:
        if not argument.startswith("@") or Path(argument).exists():
            yield argument, Path(argument)
            continue
        listing = Path(argument[1:])
        try:
            lines = listing.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise InputError(f"The list {listing} cannot be read ({error.strerror}).") from None
        except UnicodeDecodeError:
            raise InputError(f"{listing} is no list of files: it is not text in UTF-8.") from None
        entries = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not entries:
            raise InputError(f"The list {listing} names no file.")
        yield from ((entry, listing.parent / entry) for entry in entries)


def _split(folder: Path) -> tuple[list[Path], list[str]]:
    """Split a folder's content into slices, by content or else by extension (a damaged one counts), and the rest."""
    from ..volumes.dicom_headers import is_dicom
    from ..volumes.picture import SIGNATURES

    taken, left = [], []
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):  # what the system or we keep there
            continue
        if file.is_dir():
            left.append(f"{file.name}/")
            continue
        try:
            with file.open("rb") as stream:
                head = stream.read(1024)
        except OSError:
            head = b""
        known = head.startswith(SIGNATURES) or is_dicom(head) or file.suffix.lower() in _EXTENSIONS
        if known and file.name != "DICOMDIR":
            taken.append(file)
        else:
            left.append(file.name)
    return taken, left
