"""What one slab looks like when it trains: framed and varied as a CT, or captured from a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .augment import Draw, Frames, shows_brain, vary_hu, warp
from .capture import capture

if TYPE_CHECKING:
    import torch


def training_view(
    hu: torch.Tensor,
    labels: torch.Tensor,
    size: int,
    captures: float,
    generator: torch.Generator,
    frames: Frames | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a random view of every slab, and its labels in the same view.

    Parameters
    ----------
    hu, labels:
        Slabs in HU and their label maps, any numeric type, shape (n, h, h), on the device that does the work.
    size:
        Pixels of the result.
    captures:
        Chance that a slab that shows a brain is framed and captured as a picture is; see :mod:`.capture`.
    generator:
        Of all chance, on the CPU or on the device.

    Returns
    -------
    hu, labels
        float32 and the labels' type, shape (n, size, size).
    """
    import torch

    draw = Draw(len(hu), generator, hu.device)
    hu = hu.float()
    picture = draw.chance(captures) & shows_brain(hu)
    theta = (frames or Frames()).random(hu, picture, draw)
    hu, labels = warp(hu, labels, theta, size)
    hu = vary_hu(hu, draw)
    chosen = torch.nonzero(picture)[:, 0]
    if len(chosen):
        hu[chosen] = capture(hu[chosen], Draw(len(chosen), generator, hu.device))
    return hu, labels
