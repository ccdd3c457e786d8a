"""What a CAM engine is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import HemoCAMError, OptionError
from ..progress import Progress, silent
from ..volumes.headgrid import Cells
from .methods import check_method
from .stages import Chain
from .target import Targets

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_WITHOUT_GRADIENT = {"eigencam", "ablationcam", "ablationcam-library", "scorecam"}


@dataclass(frozen=True)
class Explanation:
    """What an engine found for a batch.

    Parameters
    ----------
    logits:
        Float32, (n, classes).
    raw:
        Raw maps, float32, (n, h, w), by method and stage.
    """

    logits: np.ndarray
    raw: dict[tuple[str, int], np.ndarray]


def needs_gradients(methods: Sequence[str]) -> bool:
    """Tell whether any of the methods looks at gradients."""
    return not set(methods) <= _WITHOUT_GRADIENT


def check_request(chain: Chain, batch: Tensor, methods: Sequence[str], stages: Sequence[int]) -> None:
    """Raise one clear sentence if methods, stages or the input's shape or values make no sense."""
    import torch

    for method in methods:
        check_method(method)
    for stage in stages:
        chain.check_stage(stage)
    if not methods or not stages:
        raise OptionError("There is nothing to compute; name at least one method and one stage.")
    if batch.ndim != 4 or 0 in batch.shape:
        raise OptionError(
            f"The input has the shape {tuple(batch.shape)}; it must be (slices, channels, height, width), "
            f"none of them 0."
        )
    # slice by slice, for it takes as much memory again as it looks at
    if not all(torch.isfinite(one).all() for one in batch):
        raise HemoCAMError("The network's input holds values that are not finite; mend the volume first.")


class CamEngine(Protocol):
    """Computes raw maps of one network."""

    def explain(
        self,
        batch: torch.Tensor,
        targets: Targets,
        methods: Sequence[str],
        stages: Sequence[int],
        progress: Progress = silent,
    ) -> Explanation:
        """Return logits and raw maps of inputs (n, channels, H, W), for each method at each stage."""
        ...

    def cells(self, stage: int, size: int) -> Cells:
        """Return where the cells of a stage's maps lie in an input of ``size`` pixels."""
        ...
