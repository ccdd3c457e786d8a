"""Sections "Model" and "Explanation": which classifier, its card, and what of it is explained."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import ModelError
from .models import ModelInfo, bundled_models
from .state import State
from .widgets import blocked, enable, fill_combo

OWN_FOLDER = "/"  # in the list only: no bundle has this name


class ModelSection:
    """Lists the models, reads the chosen one's ``model.json``, and offers its classes.

    Parameters
    ----------
    ui:
        The widgets by name.
    state:
        Of the panel.
    """

    def __init__(self, ui: object, state: State) -> None:
        self._ui, self._state = ui, state
        self._own = False  # "a folder of your own" is chosen, whether or not there is one yet
        self._names: list[str] = []
        self._seen: tuple[str, bool] | None = (
            None  # what was read: files are not looked at again at every refresh
        )
        self.info: ModelInfo | None = None
        self.problem = ""
        ui.modelSelector.connect("currentIndexChanged(int)", self._on_model)
        ui.folderPath.connect("currentPathChanged(QString)", self._on_folder)
        ui.cardButton.connect("clicked()", self.show_card)
        ui.targetSelector.connect("currentIndexChanged(int)", self._on_target)

    def refresh(self) -> None:
        """Show the chosen model, its classes, and what can be chosen now."""
        state, ui = self._state, self._ui
        parameters = state.parameters
        if parameters is None:
            return
        names = self._names = self._names or bundled_models()
        own = self._own or (bool(parameters.model) and parameters.model not in names)
        if self._seen != (parameters.model, own):
            self._read(parameters.model, own)
            self._seen = (parameters.model, own)
        entries = [(name, name) for name in names] + [(_("A folder of your own..."), OWN_FOLDER)]
        fill_combo(ui.modelSelector, entries, OWN_FOLDER if own else parameters.model)
        ui.folderLabel.visible = ui.folderPath.visible = own
        if own and parameters.model and parameters.model not in names:
            with blocked(ui.folderPath):
                ui.folderPath.currentPath = parameters.model
        self._show_targets(parameters.target)
        busy = _("The analysis is running; cancel it to choose something else.") if state.running else ""
        about = self.info.title if self.info else ""
        for widget in (
            ui.folderPath,
            ui.methodSelector,
            ui.stageSpinBox,
            ui.deviceSelector,
            ui.scaleSelector,
        ):
            enable(widget, busy)
        enable(ui.modelSelector, busy, about)
        enable(ui.targetSelector, busy or self.problem)
        enable(ui.cardButton, self.problem)

    def look_again(self) -> None:
        """Read the models' files anew at the next refresh."""
        self._names, self._seen = [], None

    def show_card(self) -> None:
        """Open the model's card."""
        dialog = self.card_dialog()
        if dialog is not None:
            dialog.exec_()
            dialog.deleteLater()

    def card_dialog(self) -> qt.QDialog | None:
        """Return a window with the model's card, or None without a model."""
        if self.info is None:
            return None
        dialog = qt.QDialog(slicer.util.mainWindow())
        dialog.windowTitle = _("Model card: {name}").format(name=self.info.name)
        layout = qt.QVBoxLayout(dialog)
        text = qt.QTextBrowser()
        text.setObjectName("cardText")
        text.searchPaths = [str(self.info.folder)]  # its pictures
        text.openExternalLinks = True
        text.markdown = self.info.card()
        layout.addWidget(text)
        dialog.resize(760, 640)
        return dialog

    def _read(self, model: str, own: bool) -> None:
        self.info = None
        if own and not model:
            self.problem = _("Choose the model's folder first.")
            return
        try:
            self.info, self.problem = ModelInfo.read(model), ""
        except ModelError as error:
            self.problem = str(error)

    def _show_targets(self, target: str) -> None:
        classes = self.info.classes if self.info else ()
        default = self.info.target if self.info else ""
        entries = [(_("As the model's card recommends ({target})").format(target=default), "")]
        entries += [(name, name) for name in classes]
        if target and target not in classes:  # of another model: it stays visible, and is refused at Apply
            entries.append((_("{target} (not in this model)").format(target=target), target))
        fill_combo(self._ui.targetSelector, entries, target)

    def _on_model(self, index: int) -> None:
        parameters = self._state.parameters
        if parameters is None or index < 0:
            return
        chosen = self._ui.modelSelector.itemData(index)
        self._own = chosen == OWN_FOLDER
        wanted = self._ui.folderPath.currentPath if self._own else chosen
        if wanted != parameters.model:
            parameters.model = wanted
        else:
            self.refresh()

    def _on_folder(self, path: str) -> None:
        if self._state.parameters is not None and self._own | bool(path):
            folder = Path(path)
            self._state.parameters.model = (
                str(folder.parent if folder.name == "model.json" else folder) if path else ""
            )

    def _on_target(self, index: int) -> None:
        if self._state.parameters is not None and index >= 0:
            self._state.parameters.target = self._ui.targetSelector.itemData(index)
