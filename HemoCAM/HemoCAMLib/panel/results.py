"""Section "Results": what was found, the slices, the comparison."""

from __future__ import annotations

import logging
from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import HemoCAMError, InputError
from ..scene import SliceRow, live
from ..scene.comparing import FINDINGS
from ..scene.tables import OUTDATED
from .inputs import Inputs
from .parameters import method_label
from .shown import compared_by, comparison_rows, finding_of, rows_of, target_of
from .state import State
from .widgets import Later, enable, fill_table
from .work import Work

_WHAT = (
    "Reference segment",
    "Compare segment",
)  # rows that name what was compared; first in the scene's table
_COMPARE_AFTER_MS = 600  # the mask follows a slider at once, distances take a second


class ResultsSection:
    """Shows the results of the chosen CT.

    Parameters
    ----------
    ui:
        The widgets by name.
    state, work, inputs:
        Of the panel.
    refresh_all:
        Called after a comparison that was due.
    """

    def __init__(
        self, ui: object, state: State, work: Work, inputs: Inputs, refresh_all: Callable[[], None]
    ) -> None:
        self._ui, self._state, self._work, self._inputs = ui, state, work, inputs
        self._refresh_all = refresh_all
        self._compare_later = Later(_COMPARE_AFTER_MS, self._compare)
        self._problem = ""
        self._rows: list[SliceRow] = []
        self._filled: dict[str, object] = {}
        ui.slicesTable.connect("cellClicked(int,int)", self._on_cell)
        ui.slicesTable.connect("itemSelectionChanged()", self._on_selection)

    def refresh(self) -> None:
        """Fill labels and tables from the scene."""
        nodes, ui = self._state.nodes, self._ui
        if nodes is None:
            ui.findingLabel.text = _("No results for this volume yet.")
            self._rows = []
            self._fill(ui.slicesTable, self._header(""), [])
        else:
            ui.findingLabel.text = " ".join(filter(None, (finding_of(nodes), self._volume(), self._made())))
            target = target_of(nodes)
            self._rows = rows_of(nodes)
            cells = []
            for row in self._rows:
                shown = _("map") if row.gated else ""
                cells.append(
                    (
                        str(row.index),
                        f"{row.position_mm:.1f}",
                        f"{row.probabilities[target]:.3f}",
                        shown if row.acquired else " ".join(filter(None, (shown, _("interpolated")))),
                    )
                )
            self._fill(ui.slicesTable, self._header(target), cells)
        self._refresh_comparison()
        none = "" if self._rows else _("There are no results for this volume yet; press Apply.")
        enable(ui.slicesTable, none)
        enable(
            ui.curveButton, none if nodes is None or nodes.chart else _("The curve was deleted; press Apply.")
        )

    def compare_soon(self) -> None:
        """Compare again when the mask has come to rest."""
        if self._wants_comparison():
            self._compare_later.ask()

    def compare_now(self) -> None:
        """Compare the mask with the chosen reference, if there are both."""
        self._compare_later.stop()
        self._compare()

    def stop(self) -> None:
        """Forget what is due."""
        self._compare_later.stop()

    def _fill(self, table: qt.QTableWidget, header: list[str], cells: list[tuple[str, ...]]) -> None:
        """Fill a table, unless it shows the very same: a slider that is drawn asks often."""
        if self._filled.get(table.name) != (header, cells):
            fill_table(table, header, cells)
            self._filled[table.name] = (header, list(cells))

    @staticmethod
    def _header(target: str | None) -> list[str]:
        return [
            _("Slice"),
            _("Position (mm)"),
            _("P({target})").format(target=target or "any"),
            _("Shown"),
        ]

    def _volume(self) -> str:
        nodes = self._state.nodes
        if nodes.mask is None:
            return ""
        try:
            return _("Mask: {ml:.1f} ml.").format(ml=live.mask_volume_ml(nodes))
        except InputError:
            return _("HemoCAM's segment of the mask was deleted; press Apply to make it again.")

    def _made(self) -> str:
        node = self._state.nodes.heatmap
        if node is None:
            return ""
        method, stage = node.GetAttribute("HemoCAM.method"), node.GetAttribute("HemoCAM.stage")
        model = node.GetAttribute("HemoCAM.model")
        mask = node.GetAttribute("HemoCAM.mask")
        text = _("By {method} at stage {stage}, {model}").format(
            method=method_label(method), stage=stage, model=model
        )
        if node.GetAttribute("HemoCAM.against"):
            text = f"{text}; {_('what speaks against the class')}"
        return f"{text}; {mask}." if mask else f"{text}."

    def _refresh_comparison(self) -> None:
        nodes, ui = self._state.nodes, self._ui
        rows = comparison_rows(nodes) if nodes is not None else []
        if self._problem and self._wants_comparison():
            text = self._problem
        elif rows and self._compare_later.waiting:
            text = _("The mask changed; it is compared again in a moment.")
        elif rows and nodes.comparison_table.GetAttribute(OUTDATED):
            text = _("Of an earlier mask; choose the reference again to compare this one:")
        elif rows:
            text = _("Compared with the reference by {who}:").format(who=compared_by(nodes) or "HemoCAM")
            text = "\n".join(filter(None, (text, nodes.comparison_table.GetAttribute(FINDINGS))))
        elif nodes is None:
            text = ""
        else:
            text = _("Choose a reference segmentation to compare the mask with it.")
        ui.comparisonLabel.text = text
        ui.comparisonTable.visible = bool(rows)
        compared = [row for row in rows if row[0].startswith(_WHAT)]  # below the measures
        self._fill(ui.comparisonTable, [_("Measure"), _("Value")], rows[len(compared) :] + compared)

    def _wants_comparison(self) -> bool:
        state = self._state
        return bool(state.nodes and state.nodes.mask and state.reference)

    def _compare(self) -> None:
        self._problem = ""
        if not self._wants_comparison() or self._state.running:
            return
        state = self._state
        slicer.app.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
        try:
            self._work.compare(state.nodes, state.reference, self._inputs.segment())
        except HemoCAMError as error:
            self._problem = str(error)
        except Exception:
            logging.exception("HemoCAM could not compare the mask with the reference")
            self._problem = _("The comparison failed; see the Python console.")
        finally:
            slicer.app.restoreOverrideCursor()
        state.find_results()
        self._refresh_all()

    def _on_cell(self, row: int, column: int) -> None:
        self._jump(row)

    def _on_selection(self) -> None:
        self._jump(self._ui.slicesTable.currentRow())

    def _jump(self, row: int) -> None:
        ct = self._state.ct
        if ct is not None and 0 <= row < len(self._rows):
            live.jump_to_slice(slicer.mrmlScene, ct, self._rows[row].index)
