"""pytorch-grad-cam as anyone would call it: what the engine is timed against, with nothing of ours around it."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np

from .library import own_layer, zeroing_layer
from .methods import METHODS
from .stages import stage_module
from .target import Target

if TYPE_CHECKING:
    import torch


def plain_map(
    network: torch.nn.Module, batch: torch.Tensor, target: Target, method: str, stage: int
) -> np.ndarray:
    """One CAM object, one call: the library's final map, 0..1, (n, H, W).

    ``ablationcam`` is its AblationCAM with a layer that ablates with zero; it still divides by the score.
    """
    import pytorch_grad_cam

    options = {}
    if method.startswith("ablationcam"):
        options["ablation_layer"] = zeroing_layer() if method == "ablationcam" else own_layer()
    kind = getattr(pytorch_grad_cam, METHODS[method])
    cam = kind(model=network, target_layers=[stage_module(network, stage)], **options)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars
            return cam(input_tensor=batch, targets=[target] * len(batch))
    finally:
        cam.activations_and_grads.release()
