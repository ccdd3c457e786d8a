"""The whole panel: its sections, and which of them answer when a choice, the scene or a run changes."""

from __future__ import annotations

import slicer

from .actions import Actions
from .applying import Applying
from .ct_node import why_not
from .display import Display
from .following import Following
from .inputs import Inputs
from .model_section import ModelSection
from .packages_dialog import PackagesDialog
from .parameters import Parameters, values_of
from .results import ResultsSection
from .run import Results
from .state import State
from .widgets import Later
from .work import Work

_DISPLAY = {"opacity", "colors", "showMask", "recommended", "gate", "threshold"}


class Panel:
    """Everything below the module's title.

    Parameters
    ----------
    ui:
        The widgets of ``HemoCAM.ui`` by name.
    work:
        Analyses; shared with the module's logic.
    packages:
        What is to be installed, and how the user is asked.
    """

    def __init__(self, ui: object, work: Work, packages: PackagesDialog) -> None:
        self.state = State()
        self.work, self.packages = work, packages
        self._before: dict[str, object] = {}
        self._refreshing = self._answering = False
        self._nodes_later = Later(0, self.on_nodes)
        self.inputs = Inputs(ui, self.state)
        self.model = ModelSection(ui, self.state)
        self.applying = Applying(ui, self.state, work, self.inputs, self.model, packages, self._on_finished)
        self.display = Display(ui, self.state, work, self._on_mask_changed)
        self.results = ResultsSection(ui, self.state, work, self.inputs, self.refresh)
        self.actions = Actions(ui, self.state, work, self.inputs)
        self.following = Following(self.state, self.refresh)

    def attach(self, parameters: Parameters | None) -> None:
        """Show these choices from now on; None while a scene closes."""
        self.state.parameters = parameters
        self._before = {} if parameters is None else values_of(parameters)
        if parameters is not None and parameters.inputVolume is None and not self.state.running:
            with self.state.setting():
                parameters.inputVolume = first_ct(slicer.mrmlScene)
            self._before = values_of(parameters)
        self.model.look_again()
        self.state.find_results()
        if not self.state.running:
            self.display.take_numbers()
            self._before = {} if parameters is None else values_of(parameters)
        self.refresh()

    def on_parameters(self) -> None:
        """Answer to choices that changed, wherever they were made."""
        parameters = self.state.parameters
        if parameters is None:
            return
        now = values_of(parameters)
        changed = {name for name, value in now.items() if self._before.get(name) != value}
        self._before = now
        if self.state.quiet or not changed:
            return
        self.state.notice = ""
        if "inputVolume" in changed:
            self.state.find_results()
            self.display.take_numbers()
        elif changed & _DISPLAY:
            self._answering = True  # one refresh for all that follows
            try:
                self.display.apply(changed & _DISPLAY)
            finally:
                self._answering = False
        self.refresh()
        if changed & {"reference", "referenceSegment"} and "inputVolume" not in changed:
            self.results.compare_now()

    def on_nodes_soon(self) -> None:
        """Answer to nodes that came or went, once for many of them."""
        self.applying.check(slicer.mrmlScene)
        self._nodes_later.ask()

    def on_nodes(self) -> None:
        """Answer to nodes that came or went."""
        self._nodes_later.stop()
        self.work.forget_removed(slicer.mrmlScene)
        self.on_parameters()
        self.state.find_results()
        self.refresh()

    def on_scene_closing(self) -> None:
        """Stop everything that is about the scene."""
        self.applying.cancel()
        self._nodes_later.stop()
        self.display.stop()
        self.results.stop()
        self.work.forget()
        self.state.notice = ""
        self.state.nodes = None
        self.attach(None)

    def refresh(self) -> None:
        """Let every section show what is."""
        if self._refreshing:
            return
        self._refreshing = True
        try:
            if self.state.parameters is None:
                self.state.nodes = None
            for section in (self.model, self.inputs, self.applying, self.display, self.results, self.actions):
                section.refresh()
            self.following.watch()
        finally:
            self._refreshing = False

    def close(self) -> None:
        """Stop all work; the panel goes away."""
        self.applying.runner.stop()
        self.state.running = False
        self._nodes_later.stop()
        self.display.stop()
        self.results.stop()
        self.following.stop()

    def _on_finished(self, results: Results | None) -> None:
        if results is not None:
            self.state.find_results()
            if results.nodes.ct is self.state.ct:
                from ..scene import show_results

                show_results(slicer.mrmlScene, results.nodes)
                self.display.show_new()
        self.refresh()

    def _on_mask_changed(self) -> None:
        self.results.compare_soon()
        if not self._answering:
            self.refresh()


def first_ct(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the first volume of a scene that may be a CT, so that Apply is enough."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if not why_not(node) and not node.GetHideFromEditors():
            return node
    return None
