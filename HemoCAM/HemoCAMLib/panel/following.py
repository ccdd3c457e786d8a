"""Results stay on their CT: when the user moves it, they move with it, or the panel says that they cannot."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from ..scene.runs import follow_ct
from .state import State


class Following:
    """Watches the parent transform of the chosen CT.

    Parameters
    ----------
    state:
        Of the panel.
    changed:
        Called when there is something to say.
    """

    def __init__(self, state: State, changed: Callable[[], None]) -> None:
        self._state, self._changed = state, changed
        self._ct: slicer.vtkMRMLScalarVolumeNode | None = None
        self._tag = 0

    def watch(self) -> None:
        """Watch the CT that is chosen now."""
        ct = self._state.ct
        if ct is self._ct:
            return
        self.stop()
        if ct is not None:
            self._tag = ct.AddObserver(ct.TransformModifiedEvent, self._on_moved)
            self._ct = ct

    def stop(self) -> None:
        """Watch nothing."""
        if self._ct is not None:
            self._ct.RemoveObserver(self._tag)
            self._ct = None

    def _on_moved(self, caller: object, event: str) -> None:
        nodes = self._state.nodes
        if nodes is None or self._state.running or nodes.ct is not self._ct or follow_ct(nodes):
            return
        self._state.notice = _(
            "The volume was moved for good; its results lie where it was. Press Apply to make them again."
        )
        self._changed()
