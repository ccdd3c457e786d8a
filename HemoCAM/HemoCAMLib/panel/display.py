"""Section "Display": opacity, gate, threshold, colours, mask; all of them act at once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import HemoCAMError
from ..scene import live
from ..scene.runs import mask_is_edited
from .state import State
from .widgets import Later, enable
from .work import Work


class Display:
    """Brings the choices of the section into the scene.

    Parameters
    ----------
    ui:
        The widgets by name.
    state:
        Of the panel.
    work:
        Knows whether another gate needs a run.
    changed:
        Called when the mask or the gate changed, so that tables follow.
    """

    def __init__(self, ui: object, state: State, work: Work, changed: Callable[[], None]) -> None:
        self._ui, self._state, self._work, self._changed = ui, state, work, changed
        self._gate_later = Later(120, self._regate)  # a slider that is drawn asks often

    def refresh(self) -> None:
        """Enable what can act, and let the rest say why it cannot."""
        state, ui = self._state, self._ui
        none = "" if state.nodes is not None else _("There are no results for this volume yet; press Apply.")
        busy = _("The analysis is running.") if state.running else ""
        heat = none or (
            "" if state.nodes.heatmap else _("The heat map was deleted; press Apply to make it again.")
        )
        mask = none or ("" if state.nodes.mask else _("The mask was deleted; press Apply to make it again."))
        for widget in (ui.opacitySlider, ui.colorsSelector):
            enable(widget, heat)
        enable(ui.showMaskCheckBox, mask)
        if state.nodes is None:
            before = busy or self._why_not_before()
            enable(ui.thresholdSlider, before)
            enable(ui.gateSlider, before)
        else:
            enable(ui.thresholdSlider, busy or heat or mask or self._why_no_threshold(), self._refined_tip())
            enable(ui.gateSlider, busy or heat or self._why_no_gate())
        enable(ui.recommendedCheckBox, busy)

    def apply(self, names: set[str]) -> None:
        """Let the scene follow the parameters of these names."""
        state = self._state
        nodes, parameters = state.nodes, state.parameters
        if nodes is None or parameters is None or state.running:
            return
        scene = slicer.mrmlScene
        if "opacity" in names:
            self._act(live.set_opacity, scene, parameters.opacity)
        if "colors" in names:
            self._act(live.set_colors, nodes, parameters.colors.value)
        if "showMask" in names:
            self._act(live.set_mask_visible, nodes, parameters.showMask)
        if "recommended" in names and parameters.recommended:
            self._recommend()
        elif names & {"gate", "threshold"}:
            with state.setting():
                parameters.recommended = False  # a slider that was moved is the user's own choice
            if "gate" in names:
                self._gate_later.ask()
            else:
                self._act(live.set_threshold, nodes, parameters.threshold)
                self._changed()

    def _act(self, change: Callable[..., None], *arguments: object) -> None:
        """Change the scene, or say why not: a node may be gone since the panel last looked."""
        try:
            change(*arguments)
        except HemoCAMError as error:
            self._state.notice = str(error)

    def show_new(self) -> None:
        """Bring the choices to results that were just made: their look is the user's, their numbers the model's."""
        self.take_numbers()
        self.apply({"opacity", "colors", "showMask"})

    def take_numbers(self) -> None:
        """Show the gate and threshold that the results have."""
        nodes, parameters = self._state.nodes, self._state.parameters
        if nodes is None or parameters is None or not (nodes.heatmap or nodes.mask):
            return
        source = nodes.mask or nodes.heatmap
        with self._state.setting():
            for name, low in (("gate", 0.0), ("threshold", 0.01)):
                value = _number(source.GetAttribute(f"HemoCAM.{name}"))
                if value is not None:
                    setattr(parameters, name, min(max(value, low), 1.0))

    def stop(self) -> None:
        """Forget what is due."""
        self._gate_later.stop()

    def _why_not_before(self) -> str:
        parameters = self._state.parameters
        if parameters is not None and not parameters.recommended:
            return ""  # the next run takes them
        return _("The model's card recommends it; press Apply, or take it into your own hand above.")

    def _why_no_threshold(self) -> str:
        if mask_is_edited(self._state.nodes):
            return _(
                "The mask was changed by hand, which another threshold would undo; press Apply for a new mask."
            )
        return ""

    def _refined_tip(self) -> str:
        mask = self._state.nodes.mask
        if mask is not None and (mask.GetAttribute("HemoCAM.mask") or "").startswith("refined"):
            return _(
                "The mask is refined now: the map joined with the HU. Moving this slider replaces it by where the "
                "heat map reaches the value; the box above brings the refined mask back."
            )
        return ""

    def _why_no_gate(self) -> str:
        ct = self._state.ct
        if ct is not None and self._work.can_regate(ct):
            return ""
        return _(
            "The network's output for this volume is no longer in memory; press Apply to compute it again."
        )

    def _regate(self) -> None:
        state = self._state
        if state.nodes is None or state.parameters is None or state.running or state.ct is None:
            return
        slicer.app.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
        try:
            if self._work.regate(state.ct, state.nodes, state.parameters.gate, state.parameters.threshold):
                self._changed()
        except HemoCAMError as error:
            state.notice = str(error)
        except Exception:
            logging.exception("HemoCAM could not change the gate")
            state.notice = _("The gate could not be changed; press Apply.")
        finally:
            slicer.app.restoreOverrideCursor()

    def _recommend(self) -> None:
        state = self._state
        if self._work.recommend(state.ct, state.nodes):
            self.take_numbers()
            self._changed()
        else:
            state.notice = _("Press Apply to go back to the recommended gate and threshold.")


def _number(text: str | None) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
