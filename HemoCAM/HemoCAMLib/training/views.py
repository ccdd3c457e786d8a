"""What one slab looks like when it trains: framed and varied as a CT, or captured from a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .augment import Draw, Frames, fill_outside, shows_brain, vary_hu, warp
from .capture import capture

if TYPE_CHECKING:
    import torch

    from ..models.manifest import Manifest

_ALONE = 0.1  # share of CT slabs that are seen without neighbors: single slices stay supported


def training_view(
    hu: torch.Tensor,
    labels: torch.Tensor,
    inside: torch.Tensor,
    manifest: Manifest,
    size: int,
    captures: float,
    generator: torch.Generator,
    frames: Frames | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a random view of every slab, and its labels in the same view.

    Parameters
    ----------
    hu:
        Slabs with their neighbors in HU, any numeric type, shape (n, len(manifest.neighborhood), h, h), on the
        device that does the work.
    labels:
        Label maps of the slabs themselves, any numeric type, shape (n, h, h).
    inside:
        The intracranial space, bool, of the shape of ``hu``.
    manifest:
        What the network sees: which neighbors, and what fills the outside.
    size:
        Pixels of the result.
    captures:
        Chance that a slab that shows a brain is framed and captured as a picture is, alone and whole; see
        :mod:`.capture`.
    generator:
        Of all chance, on the CPU or on the device.

    Returns
    -------
    hu, labels
        float32 of the shape (n, len(manifest.neighborhood), size, size), and the labels' type, (n, size, size).
    """
    import torch

    draw = Draw(len(hu), generator, hu.device)
    hu, center = hu.float(), manifest.neighborhood.index(0)
    picture = draw.chance(captures) & shows_brain(hu[:, center])
    alone = (picture | draw.chance(_ALONE))[:, None, None, None]
    hu = torch.where(alone, hu[:, center, None], hu)
    inside = torch.where(alone, inside[:, center, None], inside)
    theta = (frames or Frames()).random(hu[:, center], picture, draw)
    hu, labels, inside = warp(hu, labels, inside, theta, size)
    hu = vary_hu(hu, draw)
    if manifest.outside is not None:
        inside = inside | picture[:, None, None, None]
        hu = fill_outside(hu, inside, manifest.outside, manifest.field_of_view_mm / size, draw)
    chosen = torch.nonzero(picture)[:, 0]
    if len(chosen):
        captured = capture(hu[chosen, center], Draw(len(chosen), generator, hu.device))
        hu[chosen] = captured[:, None]
    return hu, labels
