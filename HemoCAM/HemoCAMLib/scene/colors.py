"""The heat map's colours: perceptually ordered, the lighter the higher."""

from __future__ import annotations

import numpy as np
import slicer

from .nodes import add_node

NAME = "HemoCAM heat"

# Matplotlib's "inferno" (CC0, Smith and van der Walt) at 16 even steps: lightness rises evenly with the value.
_INFERNO = np.array(
    [
        [0.001, 0.000, 0.014],
        [0.047, 0.030, 0.150],
        [0.142, 0.046, 0.309],
        [0.258, 0.039, 0.406],
        [0.367, 0.072, 0.432],
        [0.472, 0.111, 0.428],
        [0.578, 0.148, 0.404],
        [0.683, 0.190, 0.361],
        [0.781, 0.243, 0.300],
        [0.865, 0.317, 0.226],
        [0.930, 0.411, 0.145],
        [0.971, 0.523, 0.058],
        [0.988, 0.645, 0.040],
        [0.979, 0.775, 0.176],
        [0.950, 0.903, 0.380],
        [0.988, 0.998, 0.645],
    ]
)
# The black end of inferno would darken the CT where the map says next to nothing. (Fading it out is no way:
# Slicer's slice views know only opaque and invisible colours.)
_DARKEST = 0.2


def heat_rgb(count: int = 256) -> np.ndarray:
    """Return the colours of the values 0..1 in ``count`` even steps.

    Returns
    -------
    Red, green and blue, shape (count, 3), 0..1. The lightness rises with the value.
    """
    position = np.linspace(_DARKEST, 1.0, count)
    anchors = np.linspace(0.0, 1.0, len(_INFERNO))
    return np.stack([np.interp(position, anchors, channel) for channel in _INFERNO.T], axis=1)


def heat_colors(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    """Return the scene's heat colour node; add it where it is missing.

    It is a table of 256 colours, as Slicer's own Inferno or Viridis, and not a procedural colour node: volume
    display maps the window to 0..255 before it asks for the colour.
    """
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLColorTableNode")
        if node.GetAttribute("HemoCAM.colors") == "heat":
            return node
    node = add_node(scene, "vtkMRMLColorTableNode", NAME)
    node.SetTypeToUser()
    node.SetDescription("HemoCAM heat map, 0 to 1: inferno without its black end")
    colors = heat_rgb().tolist()
    node.SetNumberOfColors(len(colors))
    for index, (red, green, blue) in enumerate(colors):
        node.SetColor(index, f"{index / (len(colors) - 1):.3f}", red, green, blue, 1.0)
    node.GetLookupTable().SetRange(0, len(colors) - 1)
    node.SetAttribute("HemoCAM.colors", "heat")
    node.SetHideFromEditors(False)
    # The other text formats write the full path of the file into the file.
    storage = scene.AddNewNodeByClass("vtkMRMLColorTableStorageNode")
    storage.SetDefaultWriteFileExtension("csv")
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node
