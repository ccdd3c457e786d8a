"""Section "Inputs": which CT, which reference, which of its segments."""

from __future__ import annotations

from slicer.i18n import tr as _

from .state import State
from .widgets import enable, fill_combo


class Inputs:
    """Keeps the list of segments in step with the reference, and chooses a first CT.

    Parameters
    ----------
    ui:
        The widgets by name.
    state:
        Of the panel.
    """

    def __init__(self, ui: object, state: State) -> None:
        self._ui, self._state = ui, state
        ui.segmentSelector.connect("currentIndexChanged(int)", self._on_segment)

    def refresh(self) -> None:
        """Show the segments of the reference, and what can be chosen now."""
        state, ui = self._state, self._ui
        busy = _("The analysis is running; cancel it to choose another volume.") if state.running else ""
        enable(ui.inputSelector, busy)
        enable(ui.referenceSelector, busy)
        reference = state.reference
        entries = []
        if reference is not None:
            segmentation = reference.GetSegmentation()
            for index in range(segmentation.GetNumberOfSegments()):
                segment_id = segmentation.GetNthSegmentID(index)
                entries.append((segmentation.GetSegment(segment_id).GetName(), segment_id))
        fill_combo(ui.segmentSelector, entries, state.parameters.referenceSegment if state.parameters else "")
        if reference is None:
            reason = _("Choose a reference segmentation first.")
        elif not entries:
            reason = _("The reference has no segment; draw one in Segment Editor.")
        else:
            reason = busy
        enable(ui.segmentSelector, reason)

    def segment(self) -> str:
        """Return the ID of the segment to compare with; "" where there is none."""
        index = self._ui.segmentSelector.currentIndex
        return self._ui.segmentSelector.itemData(index) if index >= 0 else ""

    def _on_segment(self, index: int) -> None:
        if self._state.parameters is not None and index >= 0:
            self._state.parameters.referenceSegment = self._ui.segmentSelector.itemData(index)
