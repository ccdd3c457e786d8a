"""What can be done with results: show the curve, correct the mask in Segment Editor, write files."""

from __future__ import annotations

import logging
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import HemoCAMError
from .inputs import Inputs
from .state import State
from .widgets import enable
from .work import Work


class Actions:
    """The buttons below the results.

    Parameters
    ----------
    ui:
        The widgets by name.
    state, work, inputs:
        Of the panel.
    """

    def __init__(self, ui: object, state: State, work: Work, inputs: Inputs) -> None:
        self._ui, self._state, self._work, self._inputs = ui, state, work, inputs
        ui.curveButton.connect("clicked()", self.show_curve)
        ui.segmentEditorButton.connect("clicked()", self.send_to_segment_editor)
        ui.exportButton.connect("clicked()", self.export)

    def refresh(self) -> None:
        """Enable what can act, and let the rest say why it cannot."""
        nodes = self._state.nodes
        none = "" if nodes is not None else _("There are no results for this volume yet; press Apply.")
        no_mask = none or ("" if nodes.mask else _("The mask was deleted; press Apply to make it again."))
        busy = _("The analysis is running.") if self._state.running else ""
        enable(self._ui.segmentEditorButton, no_mask or busy)
        enable(self._ui.exportButton, none or busy)

    def show_curve(self) -> None:
        """Lay the views out with a plot, which shows the probability along the head."""
        from ..scene.views import show_chart_and_table

        nodes = self._state.nodes
        if nodes is None or nodes.chart is None:
            return
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
        show_chart_and_table(slicer.mrmlScene, nodes.chart, nodes.slice_table)

    def send_to_segment_editor(self) -> None:
        """Open Segment Editor on the mask, over the CT."""
        nodes = self._state.nodes
        if nodes is None or nodes.mask is None:
            return
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        editor.setSegmentationNode(nodes.mask)
        editor.setSourceVolumeNode(nodes.ct)

    def export(self) -> None:
        """Ask for a folder and write the results into it."""
        chosen = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the results"))
        if chosen:
            self.export_to(Path(chosen))

    def export_to(self, folder: Path) -> None:
        """Write the results into a folder, and say what came of it."""
        from .exporting import export

        state = self._state
        reference = state.reference
        slicer.app.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
        try:
            written, notes = export(
                state.nodes, folder, self._work.shown(state.ct), reference, self._inputs.segment()
            )
            state.notice = " ".join(
                [_("{count} files written to {folder}.").format(count=len(written), folder=folder), *notes]
            )
        except HemoCAMError as error:
            state.notice = str(error)
            slicer.util.errorDisplay(str(error), windowTitle="HemoCAM")
        except Exception as error:
            logging.exception("HemoCAM could not write its results")
            state.notice = _("The results could not be written ({error}); see the Python console.").format(
                error=error
            )
            slicer.util.errorDisplay(state.notice, windowTitle="HemoCAM")
        finally:
            slicer.app.restoreOverrideCursor()
        self._ui.statusLabel.text = state.notice
