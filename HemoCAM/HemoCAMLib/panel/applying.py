"""The button Apply, which becomes Cancel: packages first, then the run, then its results."""

from __future__ import annotations

import logging
from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from ..errors import HemoCAMError
from .ct_node import why_not
from .inputs import Inputs
from .model_section import ModelSection
from .packages_dialog import PackagesDialog
from .parameters import options_of
from .run import Request, Results, Run
from .running import Runner, time_left
from .state import State
from .widgets import enable
from .work import Work


class Applying:
    """Starts, shows and stops a run.

    Parameters
    ----------
    ui:
        The widgets by name.
    state, work, inputs, model:
        Of the panel.
    packages:
        Asks for, and installs, what is missing.
    finished:
        Called with the results of a run, or with None when it failed or was cancelled.
    """

    def __init__(
        self,
        ui: object,
        state: State,
        work: Work,
        inputs: Inputs,
        model: ModelSection,
        packages: PackagesDialog,
        finished: Callable[[Results | None], None],
    ) -> None:
        self._ui, self._state, self._work = ui, state, work
        self._inputs, self._model, self._packages, self._finished = inputs, model, packages, finished
        self.runner = Runner(self._on_step, self._on_done, self._on_failed)
        ui.applyButton.connect("clicked()", self.press)

    def refresh(self) -> None:
        """Show on the button what it would do, or why it cannot."""
        state, ui = self._state, self._ui
        ui.statusLabel.text = state.notice
        ui.statusLabel.visible = bool(state.notice)
        ui.progressBar.visible = state.running
        if state.running:
            ui.applyButton.text = _("Cancel")
            enable(ui.applyButton, "", _("Stop the analysis; the scene stays as it is."))
            return
        ui.applyButton.text = _("Apply")
        enable(ui.applyButton, why_not(state.ct) or self._model.problem, self._tip())

    def press(self) -> None:
        """Start, or cancel."""
        if self.runner.running:
            self.cancel()
        elif self._ui.applyButton.enabled:
            self.start()

    def start(self) -> None:
        """Begin to analyse the chosen volume."""
        state, parameters = self._state, self._state.parameters
        state.notice = ""
        try:
            if not self._packages.ready():
                state.notice = self._packages.outcome
                self.refresh()
                return
            request = Request(
                state.ct,
                parameters.model,
                options_of(parameters),
                state.reference,
                self._inputs.segment(),
            )
            run = self._work.start(request)
        except HemoCAMError as error:
            self._on_failed(str(error), True)
            return
        except Exception as error:
            logging.exception("HemoCAM could not start")
            self._on_failed(_("The analysis could not start ({error}).").format(error=error), True)
            return
        state.running = True
        self.runner.start(run)
        self._finished(None)

    def cancel(self, sentence: str = "") -> None:
        """Stop the run."""
        self.runner.cancel(sentence)

    def check(self, scene: slicer.vtkMRMLScene) -> None:
        """Cancel where the volume that is analysed is no longer in the scene."""
        run = self.runner.run
        if run is not None and not scene.IsNodePresent(run.request.ct_node):
            self.cancel(_("Cancelled: the volume was removed from the scene."))

    def _tip(self) -> str:
        ct = self._state.ct
        if ct is not None and self._work.can_regate(ct):
            return _(
                "Analyse this CT with the choices above. What the network gave for this volume is kept: another "
                "method, stage or class computes only what is missing, and replaces the results of this volume."
            )
        return _(
            "Analyse this CT: classify its slices, and show where the model looked. Takes seconds to minutes; the "
            "volume itself is not changed."
        )

    def _on_step(self, run: Run) -> None:
        bar = self._ui.progressBar
        bar.value = round(1000 * run.fraction)
        left = time_left(run.seconds_left)
        text = f"{run.phase}: %p%"
        bar.format = f"{text} ({left})" if left else text

    def _on_done(self, results: Results) -> None:
        self._state.running = False
        self._finished(results)

    def _on_failed(self, sentence: str, is_error: bool) -> None:
        self._state.running = False
        self._state.notice = sentence
        self._finished(None)
        if is_error:
            slicer.util.errorDisplay(sentence, windowTitle="HemoCAM")
