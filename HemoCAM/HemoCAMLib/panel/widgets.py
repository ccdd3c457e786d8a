"""Small things that all sections of the panel do with widgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import qt

_WIDEST = 230  # pixels of a column, so that the next one is seen, too


def enable(widget: qt.QWidget, reason: str, tip: str = "") -> None:
    """Enable a widget where ``reason`` is empty; else disable it and let its tooltip say why.

    ``tip`` is the tooltip while enabled; by default the one that the .ui file gives.
    """
    own = widget.property("HemoCAMToolTip")
    if own is None:
        own = widget.toolTip
        widget.setProperty("HemoCAMToolTip", own)
    widget.enabled = not reason
    widget.toolTip = reason or tip or own


@contextmanager
def blocked(*widgets: qt.QObject) -> Iterator[None]:
    """Let no signal of these widgets pass meanwhile."""
    before = [widget.blockSignals(True) for widget in widgets]
    try:
        yield
    finally:
        for widget, was in zip(widgets, before, strict=True):
            widget.blockSignals(was)


def fill_combo(combo: qt.QComboBox, entries: Iterable[tuple[str, str]], value: str) -> None:
    """Fill a combo box with (shown text, value) and choose ``value``, or the first where it is not among them."""
    entries = list(entries)
    with blocked(combo):
        combo.clear()
        for text, data in entries:
            combo.addItem(text, data)
        combo.currentIndex = next(
            (i for i, (_, data) in enumerate(entries) if data == value), 0 if entries else -1
        )


def fill_table(table: qt.QTableWidget, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show rows of text under a header."""
    with blocked(table):
        table.clear()
        table.columnCount = len(header)
        table.rowCount = len(rows)
        table.setHorizontalHeaderLabels(list(header))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        for column in range(len(header) - 1):  # the last takes what is left
            table.setColumnWidth(column, min(table.columnWidth(column), _WIDEST))


class Later:
    """Calls a function once, when nothing has asked for it any more for some milliseconds."""

    def __init__(self, milliseconds: int, call: object) -> None:
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.interval = milliseconds
        self._timer.connect("timeout()", call)

    def ask(self) -> None:
        """Call soon; begin to wait anew."""
        self._timer.start()

    def stop(self) -> None:
        """Do not call."""
        self._timer.stop()

    @property
    def waiting(self) -> bool:
        """Tell whether a call is due."""
        return self._timer.active
