"""The heat map's colours: perceptually ordered, the lighter the higher."""

from __future__ import annotations

import numpy as np
import slicer

from .changes import all_nodes
from .nodes import add_node

DEFAULT = "inferno"
_ATTRIBUTE = "HemoCAM.colors"

# Matplotlib's maps (CC0, Smith and van der Walt; cividis: Nuñez, Anderton and Renslow, PLoS ONE 13 (2018)
# e0199239) at 16 even steps, in thousandths: lightness rises evenly with the value.
_MAPS = {
    "inferno": "1,0,14 47,30,150 142,46,309 258,39,406 367,72,432 472,111,428 578,148,404 683,190,361 "
    "781,243,300 865,317,226 930,411,145 971,523,58 988,645,40 979,775,176 950,903,380 988,998,645",
    "magma": "1,0,14 44,34,142 124,67,296 232,60,438 341,81,493 445,123,507 550,161,506 658,196,490 "
    "767,234,458 869,288,409 944,378,365 981,498,370 995,624,427 997,748,517 993,870,626 987,991,750",
    "plasma": "50,30,528 200,18,593 313,8,636 418,1,658 518,22,654 611,90,620 693,165,565 764,240,502 "
    "827,316,441 881,393,383 928,473,326 965,559,269 988,652,211 994,753,161 978,861,143 940,975,131",
    "viridis": "267,5,329 283,100,422 277,185,490 254,265,530 222,339,549 191,407,556 164,471,558 139,534,555 "
    "121,596,544 135,659,518 208,719,473 328,774,407 478,821,318 647,858,210 825,885,106 993,906,144",
    "cividis": "0,135,305 0,182,422 118,226,434 209,273,425 279,319,423 342,365,429 401,412,441 458,460,460 "
    "518,508,473 582,559,468 648,611,455 716,664,432 786,720,400 858,779,353 932,840,286 996,909,218",
}
COLOR_MAPS = tuple(_MAPS)
# The black end of a map would darken the CT where the heat map says next to nothing. (Fading it out is no way:
# Slicer's slice views know only opaque and invisible colours. 0 itself is invisible by the display's threshold.)
_DARKEST = {"inferno": 0.2, "magma": 0.2}


def heat_rgb(count: int = 256, name: str = DEFAULT) -> np.ndarray:
    """Return the colours of the values 0..1 in ``count`` even steps; ``name`` is one of :data:`COLOR_MAPS`.

    Returns
    -------
    Red, green and blue, shape (count, 3), 0..1. The lightness rises with the value.
    """
    steps = np.array([[int(c) for c in step.split(",")] for step in _MAPS[name].split()]) / 1000.0
    position = np.linspace(_DARKEST.get(name, 0.0), 1.0, count)
    anchors = np.linspace(0.0, 1.0, len(steps))
    return np.stack([np.interp(position, anchors, channel) for channel in steps.T], axis=1)


def heat_colors(scene: slicer.vtkMRMLScene, name: str = DEFAULT) -> slicer.vtkMRMLColorTableNode:
    """Return the scene's colour node of a map, one of :data:`COLOR_MAPS`; add it where it is missing.

    It is our own node, though Slicer has some of these maps: so it looks the same in every application that
    opens the scene, and without the black end. It is a table of 256 colours, and not a procedural colour node:
    volume display maps the window to 0..255 before it asks for the colour.
    """
    mark = "heat" if name == DEFAULT else name
    for node in all_nodes(scene, "vtkMRMLColorTableNode"):
        if node.GetAttribute(_ATTRIBUTE) == mark:
            return node
    node = add_node(scene, "vtkMRMLColorTableNode", f"HemoCAM {mark}")
    node.SetTypeToUser()
    without = " without its black end" if name in _DARKEST else ""
    node.SetDescription(f"HemoCAM heat map, 0 to 1: {name}{without}")
    colors = heat_rgb(name=name).tolist()
    node.SetNumberOfColors(len(colors))
    for index, (red, green, blue) in enumerate(colors):
        node.SetColor(index, f"{index / (len(colors) - 1):.3f}", red, green, blue, 1.0)
    node.GetLookupTable().SetRange(0, len(colors) - 1)
    node.SetAttribute(_ATTRIBUTE, mark)
    node.SetHideFromEditors(False)
    # The other text formats write the full path of the file into the file.
    storage = scene.AddNewNodeByClass("vtkMRMLColorTableStorageNode")
    storage.SetDefaultWriteFileExtension("csv")
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node


def color_map_of(node: slicer.vtkMRMLColorNode | None) -> str | None:
    """Return which of :data:`COLOR_MAPS` a colour node is; None if it is none of them."""
    mark = None if node is None else node.GetAttribute(_ATTRIBUTE)
    name = DEFAULT if mark == "heat" else mark
    return name if name in _MAPS else None
