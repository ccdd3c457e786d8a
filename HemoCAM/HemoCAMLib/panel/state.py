"""What the sections of the panel share: the choices, the results that are shown, whether work goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import slicer

from ..scene import SceneNodes
from ..scene.runs import results_of
from .parameters import Parameters


@dataclass
class State:
    """Of one panel.

    Parameters
    ----------
    parameters:
        The choices; None while there is no scene to keep them in.
    nodes:
        The results of the chosen CT, or None.
    running:
        Whether an analysis goes on.
    notice:
        The last sentence for the user: an error, or that work was cancelled.
    """

    parameters: Parameters | None = None
    nodes: SceneNodes | None = None
    running: bool = False
    notice: str = ""
    quiet: int = 0

    @property
    def ct(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The chosen CT, or None where there is none, or no longer."""
        return None if self.parameters is None else in_scene(self.parameters.inputVolume)

    @property
    def reference(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The chosen reference, or None where there is none, or no longer."""
        return None if self.parameters is None else in_scene(self.parameters.reference)

    def find_results(self) -> None:
        """Look the results of the chosen CT up in its scene."""
        ct = self.ct
        self.nodes = None if ct is None else results_of(ct.GetScene(), ct)

    @contextmanager
    def setting(self) -> Iterator[Parameters]:
        """Set parameters on the panel's own account: the panel does not answer to them as to the user's choices."""
        self.quiet += 1
        try:
            yield self.parameters
        finally:
            self.quiet -= 1


def in_scene(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLNode | None:
    """Return a node, or None where it is in no scene any more: a parameter may outlive its node."""
    return node if node is not None and node.GetScene() is not None else None
