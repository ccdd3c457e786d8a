"""What a report consists of, without a word on how it looks: the same blocks become HTML and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


class Code(str):
    """A text from outside (a case, a file, a command), shown letter by letter and never as markup."""

    __slots__ = ()


class File(Code):
    """A file of the benchmark's folder, by its name there; Markdown links it."""

    __slots__ = ()


Inline = str | Sequence[str]  # plain text, or pieces of it, some of them Code


@dataclass(frozen=True)
class Heading:
    """A heading; level 2 opens a chapter, 3 a part of it."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; ``quiet`` is for notes under a table or picture."""

    text: Inline
    quiet: bool = False


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: Sequence[Inline]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text:
        What it says; a dash where there is no value.
    interval:
        ``low to high``, or empty.
    marked:
        Whether it stands out: the best of its column, or a significant p.
    """

    text: str
    interval: str = ""
    marked: bool = False

    def plain(self) -> str:
        """As one text, ``0.912 (0.887 to 0.934)``."""
        return f"{self.text} ({self.interval})" if self.interval else str(self.text)


@dataclass(frozen=True)
class Line:
    """A row of a table; ``opens`` where a new group of rows begins."""

    cells: Sequence[Cell | str]
    opens: bool = False


@dataclass(frozen=True)
class Grid:
    """A table.

    Parameters
    ----------
    title:
        Above it.
    columns:
        Names.
    lines:
        Rows of as many cells.
    heads:
        How many of the first columns name the row; the others are figures.
    note:
        Below it.
    """

    title: str
    columns: Sequence[str]
    lines: Sequence[Line]
    heads: int = 1
    note: Inline = ""


@dataclass(frozen=True)
class Picture:
    """A figure of ``figures/``: its name without ending, what it shows, and how wide it is of the page's width."""

    name: str
    caption: Inline
    width: float = 1.0


@dataclass(frozen=True)
class Pictures:
    """Figures beside each other where there is room."""

    items: Sequence[Picture]


@dataclass(frozen=True)
class Fold:
    """Blocks behind a line that opens them; Markdown shows them under a heading."""

    title: str
    blocks: Sequence[Block]


Block = Heading | Paragraph | Points | Grid | Pictures | Fold


@dataclass
class Report:
    """A whole report: title, the notice that stands above all, and blocks."""

    title: str
    notice: str
    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block | None) -> None:
        """Append blocks; None is nothing."""
        self.blocks += [block for block in blocks if block is not None]


def pieces(text: Inline) -> list[str]:
    """The pieces of a text."""
    return [text] if isinstance(text, str) else list(text)


def number(value: float | None, digits: int = 3) -> str:
    """A figure as text; a dash for None."""
    text = "-" if value is None else f"{value:.{digits}f}"
    return text.removeprefix("-") if text != "-" and not float(text) else text  # no negative zero


def cell(row: dict | None, digits: int = 3, marked: bool = False) -> Cell:
    """The value of a row of figures with its interval; a dash where there is none."""
    if row is None or row["value"] is None:
        return Cell("-")
    between = "" if row["low"] is None else f"{number(row['low'], digits)} to {number(row['high'], digits)}"
    return Cell(number(row["value"], digits), between, marked)


def estimate_text(row: dict, digits: int = 3) -> str:
    """``0.912 (0.887 to 0.934)``, as :meth:`~..evaluation.bootstrap.Estimate.text` has it."""
    return cell(row, digits).plain()
