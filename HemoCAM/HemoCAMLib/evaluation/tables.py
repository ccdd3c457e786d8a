"""Tables of figures with intervals: as Markdown, as rows of a CSV, and as the manifest's ``measured`` holds them."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..models.card import markdown_table
from .bootstrap import Estimate


@dataclass(frozen=True)
class Row:
    """One line: what it is about, its figures, how many cases that is and, if it is known, of how many patients."""

    label: str
    estimates: tuple[Estimate, ...]
    cases: int
    patients: int | None = None


@dataclass(frozen=True)
class Table:
    """Figures of several groups side by side.

    Parameters
    ----------
    title:
        Heading.
    group:
        What a row stands for ("kind").
    columns:
        Name of each figure of a row.
    rows:
        With as many estimates as there are columns.
    unit:
        What the cases are, in the plural ("slices").
    """

    title: str
    group: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    unit: str = "slices"

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Column names and rows as text; patients only where the rows have them."""
        known = any(row.patients is not None for row in self.rows)
        names = [self.group, self.unit, *(("patients",) if known else ()), *self.columns]
        rows = [
            [row.label, str(row.cases), *((str(row.patients),) if known else ())]
            + [estimate.text() for estimate in row.estimates]
            for row in self.rows
        ]
        return names, rows

    def markdown(self) -> list[str]:
        """Lines: heading, table."""
        return [f"## {self.title}", "", *markdown_table(*self.cells()), ""]

    def entry(self) -> dict:
        """The table as the manifest's ``measured`` holds it (see :func:`~..models.card.card`)."""
        names, rows = self.cells()
        return {"title": self.title, "columns": names, "rows": rows}


def write_csv(tables: list[Table], path: Path) -> None:
    """Write every figure in a row of its own: table, group, figure, value, low, high, cases, patients."""
    lines = [["table", "group", "figure", "value", "low", "high", "cases", "patients"]]
    for table in tables:
        for row in table.rows:
            for name, e in zip(table.columns, row.estimates, strict=True):
                numbers = ["" if math.isnan(v) else f"{v:.6f}" for v in (e.value, e.low, e.high)]
                lines.append([table.title, row.label, name, *numbers, e.cases, e.patients])
    write_rows(lines, path)


def write_rows(rows: list[list], path: Path) -> None:
    """Write a CSV, whole or not at all."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_text(text.getvalue(), path)


def write_text(text: str, path: Path) -> None:
    """Write UTF-8, line ends as they are, whole or not at all."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all."""
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
