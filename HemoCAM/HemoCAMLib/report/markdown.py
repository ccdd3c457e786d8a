"""The report as Markdown: the same blocks, pictures and tables linked by relative names."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from .blocks import (
    Block,
    Cell,
    Code,
    File,
    Fold,
    Grid,
    Heading,
    Inline,
    Line,
    Paragraph,
    Pictures,
    Points,
    Report,
    pieces,
)

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~])")


def markdown(report: Report, pictures: Collection[str], folder: str = "figures") -> str:
    """Write a report as Markdown (GitHub's).

    Parameters
    ----------
    report:
        What it says.
    pictures:
        Names of those that are there; others are left out with their captions.
    folder:
        Where they are, relative to the file.

    Returns
    -------
    str
        Ends with a line feed; the same report gives the same text.
    """
    lines = [f"**{text(report.notice)}**", "", f"# {text(report.title)}", ""]
    lines += _all(report.blocks, pictures, folder)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip("\n") + "\n"


def text(words: str) -> str:
    """Escape what Markdown or HTML would take for markup; whatever is not printable becomes a space."""
    plain = "".join(c if c.isprintable() else " " for c in words)
    return _MARKUP.sub(r"\\\1", plain.replace("&", "&amp;"))


def inline(words: Inline, cell: bool = False) -> str:
    """Escape a text with its pieces of code; ``cell`` is for tables, where a bar ends even a piece of code."""
    parts = []
    for piece in pieces(words):
        if not isinstance(piece, Code):
            parts.append(text(piece))
        elif piece:
            plain = "".join(c if c.isprintable() and c != "`" else " " for c in piece)
            shown = f"`{plain.replace('|', chr(92) + '|') if cell else plain}`"
            parts.append(f"[{shown}](../{plain})" if isinstance(piece, File) else shown)
    return "".join(parts)


def _block(block: Block, pictures: Collection[str], folder: str) -> list[str]:
    write: dict[type, Callable[..., list[str]]] = {
        Heading: lambda b: [f"{'#' * b.level} {text(b.text)}", ""],
        Paragraph: lambda b: [inline(b.text), ""],
        Points: lambda b: [*(f"- {inline(item)}" for item in b.items), ""],
        Grid: _grid,
        Pictures: lambda b: _pictures(b, pictures, folder),
        Fold: lambda b: [f"### {text(b.title)}", "", *_all(b.blocks, pictures, folder)],
    }
    return write[type(block)](block)


def _all(blocks: Iterable[Block], pictures: Collection[str], folder: str) -> list[str]:
    return [line for block in blocks for line in _block(block, pictures, folder)]


def _pictures(block: Pictures, pictures: Collection[str], folder: str) -> list[str]:
    lines = []
    for item in block.items:
        if item.name in pictures:
            words = text("".join(pieces(item.caption)))
            lines += [f"![{words}]({folder}/{item.name}.png)", "", inline(item.caption), ""]
    return lines


def _grid(grid: Grid) -> list[str]:
    rule = "|" + "---|" * grid.heads + "---:|" * (len(grid.columns) - grid.heads)
    rows = [_row(grid.columns), rule, *(_line(line) for line in grid.lines)]
    return [f"**{text(grid.title)}**", "", *rows, "", *([inline(grid.note), ""] if grid.note else [])]


def _line(line: Line) -> str:
    return _row(line.cells)


def _row(cells: Iterable[Cell | str]) -> str:
    return "| " + " | ".join(_cell(c) for c in cells) + " |"


def _cell(cell: Cell | str) -> str:
    if isinstance(cell, str):
        return inline([cell], cell=True)
    plain = text(cell.plain())
    return f"**{plain}**" if cell.marked else plain
