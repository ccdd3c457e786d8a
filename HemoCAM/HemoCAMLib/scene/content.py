"""What a scene is to show, as plain arrays: the contract between the numbers and their display."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..volumes.volume import Volume


@dataclass(frozen=True)
class SliceRow:
    """One axial slice of the CT and what the classifier said about it.

    Parameters
    ----------
    index:
        The CT's own index of the slice along its slice axis, from 0: what Slicer shows as I, J or K.
    position_mm:
        Position along the slice normal in mm, rising toward the head (``volumes.axial.slice_positions``).
    probabilities:
        Probability of each class, 0..1.
    gated:
        True where the target's probability opened the gate, so that the slice's map is shown.
    acquired:
        False where the slice was missing from the series and is interpolated.
    """

    index: int
    position_mm: float
    probabilities: Mapping[str, float]
    gated: bool
    acquired: bool = True


@dataclass(frozen=True)
class SceneContent:
    """Everything that goes into the scene of one CT.

    Parameters
    ----------
    ct:
        The CT on its original grid, HU.
    heatmap:
        The displayed map on the CT's grid, float, 0..1: gated, on one scale for the volume. 0 is shown as
        nothing.
    mask:
        The thresholded map on the CT's grid, bool or integer; anything but 0 is in. May be empty.
    slices:
        One row an axial slice, in order.
    classes, target:
        Names of the classes, and the one that the map explains.
    raw_map:
        The signed map as the network gave it, on the network's own coarse grid, or None.
    reference:
        Labels to compare with, on the CT's grid; anything but 0 is in. None without a reference.
    comparison:
        Rows (name, value) of the comparison table, or None.
    description:
        How the map was made: text, numbers, or anything JSON can hold. It becomes the attributes
        ``HemoCAM.<key>`` of the nodes. ``gate``, the slice probability from which maps are shown, is drawn
        into the plot.

    Raises
    ------
    ValueError
        If map, mask or reference do not lie on the CT's grid, if the target is no class, or if two classes
        have the same name.
    """

    ct: Volume
    heatmap: Volume
    mask: Volume
    slices: list[SliceRow]
    classes: tuple[str, ...]
    target: str
    raw_map: Volume | None = None
    reference: Volume | None = None
    comparison: list[tuple[str, str | float]] | None = None
    description: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("heatmap", "mask", "reference"):
            volume = getattr(self, name)
            if volume is not None and not volume.same_grid(self.ct):
                raise ValueError(f"the {name} does not lie on the CT's grid")
        if self.target not in self.classes:
            raise ValueError(f"the target {self.target!r} is none of the classes {self.classes}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"class names repeat: {self.classes}")
