"""The report as one HTML file that needs nothing else: styles and pictures are in it, every text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from html import escape

from .blocks import (
    Block,
    Cell,
    Code,
    Fold,
    Grid,
    Heading,
    Inline,
    Line,
    Paragraph,
    Picture,
    Pictures,
    Points,
    Report,
    pieces,
)
from .drawing import DPI
from .style import CSS

_PAGE_DPI = 125  # a letter of 9 points in a figure is then about as large as the page's small print
# a browser that honours it loads and runs nothing, whatever a name in a table may try
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """Write a report as HTML.

    Parameters
    ----------
    report:
        What it says.
    pictures:
        PNG of each picture, by name; a picture that is not there is left out with its caption.

    Returns
    -------
    str
        A whole document; the same report and pictures give the same text.
    """
    chapters = [b for b in report.blocks if isinstance(b, Heading) and b.level == 2]
    ids = {id(block): f"c{n}" for n, block in enumerate(chapters, 1)}
    links = "".join(f'<li><a href="#{ids[id(b)]}">{_text(b.text)}</a></li>' for b in chapters)
    body = "\n".join(_block(block, pictures, ids) for block in report.blocks)
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(report.title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        f'<p class="notice">{_text(report.notice)}</p>\n<h1>{_text(report.title)}</h1>\n'
        f"<nav><ul>{links}</ul></nav>\n{body}\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """Escape a text; what cannot be shown (half a character, a control) becomes a replacement character."""
    shown = "".join(c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in text)
    return escape(shown, quote=True)


def _inline(text: Inline) -> str:
    return "".join(f"<code>{_text(p)}</code>" if isinstance(p, Code) else _text(p) for p in pieces(text))


def _block(block: Block, pictures: Mapping[str, bytes], ids: Mapping[int, str]) -> str:
    write: dict[type, Callable[..., str]] = {
        Heading: lambda b: _heading(b, ids.get(id(b))),
        Paragraph: lambda b: f"<p{' class=quiet' * b.quiet}>{_inline(b.text)}</p>",
        Points: lambda b: "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in b.items) + "</ul>",
        Grid: _grid,
        Pictures: lambda b: _pictures(b, pictures),
        Fold: lambda b: (
            f"<details><summary>{_text(b.title)}</summary>\n"
            + "\n".join(_block(inner, pictures, ids) for inner in b.blocks)
            + "\n</details>"
        ),
    }
    return write[type(block)](block)


def _heading(heading: Heading, anchor: str | None) -> str:
    place = f' id="{anchor}"' if anchor else ""
    return f"<h{heading.level}{place}>{_text(heading.text)}</h{heading.level}>"


def _grid(grid: Grid) -> str:
    names = "".join(
        f'<th scope="col"{_head(n < grid.heads)}>{_inline(name)}</th>' for n, name in enumerate(grid.columns)
    )
    rows = "\n".join(_line(line, grid.heads) for line in grid.lines)
    note = f'\n<p class="quiet">{_inline(grid.note)}</p>' if grid.note else ""
    return (
        f'<div class="table"><table>\n<caption>{_text(grid.title)}</caption>\n<thead><tr>{names}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>{note}"
    )


def _line(line: Line, heads: int) -> str:
    cells = "".join(_cell(c, n < heads) for n, c in enumerate(line.cells))
    return f"<tr{' class=opens' * line.opens}>{cells}</tr>"


def _cell(cell: Cell | str, head: bool) -> str:
    if isinstance(cell, str):
        return f"<td{_head(head)}>{_inline([cell])}</td>"
    interval = f"<small>{_text(cell.interval)}</small>" if cell.interval else ""
    return f"<td{' class=marked' * cell.marked}>{_text(cell.text)}{interval}</td>"


def _head(head: bool) -> str:
    return " class=head" if head else ""


def _pictures(block: Pictures, pictures: Mapping[str, bytes]) -> str:
    shown = [_picture(item, pictures[item.name]) for item in block.items if item.name in pictures]
    return f'<div class="pictures">{"".join(shown)}</div>' if shown else ""


def _natural_width(png: bytes) -> int:
    """Pixels of a page at which the letters of a figure are as large as those of the page, from the PNG's header."""
    return round(int.from_bytes(png[16:20], "big") * _PAGE_DPI / DPI)


def _picture(picture: Picture, content: bytes) -> str:
    data = base64.b64encode(content).decode("ascii")
    words = "".join(pieces(picture.caption))
    size = f"width: calc({picture.width:.0%} - 1.2rem); max-width: {_natural_width(content)}px"
    return (
        f'<figure style="{size}"><img alt="{_text(words)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{_inline(picture.caption)}</figcaption></figure>"
    )
