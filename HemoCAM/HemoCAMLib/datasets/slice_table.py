"""Tables of slice labels: those of Hemorica's and of PhysioNet's CT-ICH, with every fault in them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..phantoms.patient import KINDS
from .label_code import kind_of

CLASSES = ("any", *KINDS)
Truth = tuple[int | None, ...]
UNSEEN: Truth = (None,) * len(CLASSES)

CT_ICH_TABLE = "hemorrhage_diagnosis_raw_ct.csv"
_LARGEST_TABLE = 2**28
_MOST_FAULTS = 200


@dataclass
class SliceTable:
    """Labels of slices: patient to slice number to 1, 0 or None (nobody looked) for each of :data:`CLASSES`.

    ``faults``: a sentence for each thing that is wrong; the slices that it concerns are left out.
    """

    name: str
    patients: dict[str, dict[int, Truth]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, patient: str, number: int, truth: Truth, line: int) -> None:
        """Enter a slice, unless it is there already."""
        own = self.patients.setdefault(patient, {})
        if number in own:
            self.complain(line, f"names slice {number} of {patient} a second time; keep one of the two.")
        else:
            own[number] = truth

    def complain(self, line: int, words: str) -> None:
        """Note what is wrong with a line."""
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"Line {line} of {self.name} {words}")
        elif len(self.faults) == _MOST_FAULTS:
            self.faults.append(f"{self.name} has faults in further lines, too; correct these first.")


class _WrongCellError(ValueError):
    """A cell makes no sense; its text goes on after "Line 7 of slices.csv"."""


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str | None]]]]:
    """Read a CSV file in UTF-8, with commas or semicolons: its column names, and number and cells of each line.

    Raises
    ------
    InputError
        If it cannot be read, is empty, or names a column twice.
    """
    try:
        if path.stat().st_size > _LARGEST_TABLE:
            raise InputError(f"{path.name} is larger than {_LARGEST_TABLE >> 20} MiB: no table of labels.")
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            stream.seek(0)
            mark = ";" if ";" in first and "," not in first else ","
            reader = csv.DictReader(stream, delimiter=mark, strict=True)
            header = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = header
            rows = [(reader.line_num, row) for row in reader]
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is no text in UTF-8; save it as CSV UTF-8.") from None
    except (OSError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path.name} cannot be read as CSV ({why}).") from None
    if not header:
        raise InputError(f"{path.name} is empty; a table of labels begins with the names of its columns.")
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise InputError(f"{path.name} has two columns named {twice[0]}; remove one.")
    return header, rows


def read_slice_table(path: Path) -> SliceTable:
    """Read Hemorica's table: ``patient_name``, ``slice_number``, ``hemorrhage_binary``, and columns of kinds if any.

    Labels are 0, 1, or empty where nobody looked. Kinds may be abbreviated (EDH, IPH, IVH, SAH, SDH). Errors as
    in :func:`read_rows`, or if one of the three columns is missing.
    """
    header, rows = read_rows(path)
    _need(path, header, ("patient_name", "slice_number", "hemorrhage_binary"))
    columns = {kind_of(name): name for name in reversed(header) if kind_of(name)}

    def parse(row: dict) -> tuple[str, int, Truth]:
        some = _label(row, "hemorrhage_binary")
        kinds = [_label(row, columns[kind]) if kind in columns else None for kind in KINDS]
        if some == 0 and 1 in kinds:
            raise _WrongCellError("names a kind of hemorrhage, yet its hemorrhage_binary is 0.")
        truth = (0,) * len(CLASSES) if some == 0 else (some, *kinds)
        return _patient(row, "patient_name"), _whole(row, "slice_number"), truth

    return _parsed(path, rows, parse)


def read_ct_ich_table(path: Path) -> SliceTable:
    """Read CT-ICH's table: ``PatientNumber``, ``SliceNumber``, the five kinds, ``No_Hemorrhage``.

    Patients are named by their number without leading zeros. Errors as in :func:`read_slice_table`.
    """
    header, rows = read_rows(path)
    names = {kind: kind.capitalize() for kind in KINDS}
    _need(path, header, ("PatientNumber", "SliceNumber", *names.values(), "No_Hemorrhage"))

    def parse(row: dict) -> tuple[str, int, Truth]:
        none = _label(row, "No_Hemorrhage")
        kinds = [_label(row, names[kind]) for kind in KINDS]
        if none == 1 and 1 in kinds:
            raise _WrongCellError("names a kind of hemorrhage, yet its No_Hemorrhage is 1.")
        if none == 0 and not any(kind != 0 for kind in kinds):
            raise _WrongCellError("names no kind of hemorrhage, yet its No_Hemorrhage is 0.")
        some = None if none is None else 1 - none
        return str(_whole(row, "PatientNumber")), _whole(row, "SliceNumber"), (some, *kinds)

    return _parsed(path, rows, parse)


def _parsed(
    path: Path, rows: list[tuple[int, dict]], parse: Callable[[dict], tuple[str, int, Truth]]
) -> SliceTable:
    table = SliceTable(path.name)
    for line, row in rows:
        try:
            table.add(*parse(row), line)
        except _WrongCellError as error:
            table.complain(line, str(error))
    return table


def _need(path: Path, header: list[str], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in header]
    if missing:
        raise InputError(
            f"{path.name} lacks the column {missing[0]}; slices are labelled by {', '.join(names)}."
        )


def _label(row: dict, column: str) -> int | None:
    text = (row.get(column) or "").strip()
    if not text:
        return None
    value = _number(text)
    if value not in (0, 1):
        raise _WrongCellError(f"has {_shown(text)} in the column {column}; labels are 0, 1 or empty.")
    return int(value)


def _whole(row: dict, column: str) -> int:
    text = (row.get(column) or "").strip()
    value = _number(text)
    if not value.is_integer() or not 0 <= value < 2**31:
        raise _WrongCellError(f"has {_shown(text)} in the column {column}, no whole number.")
    return int(value)


def _number(text: str) -> float:
    try:
        return float(text)  # tables of pandas hold "3.0" where a cell of the column was empty
    except ValueError:
        return math.nan


def _patient(row: dict, column: str) -> str:
    text = (row.get(column) or "").strip()
    if not is_plain_name(text):
        raise _WrongCellError(f"has {_shown(text)} in the column {column}, which names no file.")
    return text


def is_plain_name(text: str) -> bool:
    """Tell whether a text can be a file's name on any system: printable, no path, no more than 200 characters."""
    return (
        0 < len(text) <= 200 and text.isprintable() and not set(text) & set('/\\:*?"<>|') and text[0] != "."
    )


def _shown(text: str) -> str:
    """Quote a cell for a sentence: one line, not too long."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")
