"""The interface that a CAM engine offers, and the engine that is pytorch-grad-cam itself.

An engine turns network inputs into raw maps: signed, unscaled, at the stage's own resolution. What is done
with them afterwards (scales, gate, mask) is not its business; see :mod:`.scaling`.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import HemoCAMError
from ..volumes.headgrid import Cells
from .methods import METHODS, check_method, stage_module
from .receptive import stage_cells

if TYPE_CHECKING:
    import torch


class CamEngine(Protocol):
    """Computes raw maps of one network."""

    def raw_maps(self, batch: torch.Tensor, class_index: int, method: str, stage: int) -> np.ndarray:
        """Return the raw maps (n, h, w), float32, of inputs (n, channels, H, W) for one class's logit."""
        ...

    def cells(self, stage: int, size: int) -> Cells:
        """Return where the cells of a stage's maps lie in an input of ``size`` pixels."""
        ...


class LibraryEngine:
    """pytorch-grad-cam as it is: the reference. One CAM object a call; the network is left as it was found.

    Parameters
    ----------
    network:
        A timm CNN on any device. Its weights, gradients, mode and hooks are the same after every call.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def cells(self, stage: int, size: int) -> Cells:
        """Return the centres of the receptive fields of a stage's cells; see :mod:`.receptive`."""
        return stage_cells(self.network, stage, size)

    def raw_maps(self, batch: torch.Tensor, class_index: int, method: str, stage: int) -> np.ndarray:
        """Return what the library's ``get_cam_image`` gives, before it clips and stretches it.

        Parameters
        ----------
        batch:
            Network input, (n, channels, H, W), n at least 1.
        class_index:
            The output whose logit is explained.
        method:
            One of :data:`~.methods.METHODS`.
        stage:
            Counted from 1.

        Raises
        ------
        OptionError
            If the method or the stage does not exist.
        HemoCAMError
            If the map is not finite.
        """
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        kind = getattr(pytorch_grad_cam, METHODS[check_method(method)])
        layer = stage_module(self.network, stage)
        with _unchanged(self.network):
            cam = kind(model=self.network, target_layers=[layer])
            if method == "ablationcam":  # the library shares one layer object among all its instances
                cam.ablation_layer = pytorch_grad_cam.ablation_layer.AblationLayer()
            recorded = []
            original = cam.get_cam_image

            def record(*args: object, **kwargs: object) -> np.ndarray:
                recorded.append(original(*args, **kwargs))
                return recorded[-1]

            cam.get_cam_image = record
            quiet = contextlib.redirect_stderr(io.StringIO())  # its progress bars cannot be switched off
            try:
                with quiet if method in ("ablationcam", "scorecam") else contextlib.nullcontext():
                    cam(input_tensor=batch, targets=[ClassifierOutputTarget(class_index)] * len(batch))
            finally:
                cam.activations_and_grads.release()
                # the recorder makes a cycle, and the outputs hold the whole graph: let go of both now
                cam.__dict__.pop("get_cam_image", None)
                cam.__dict__.pop("outputs", None)
        maps = np.asarray(recorded[0], dtype=np.float32)
        if not np.isfinite(maps).all():
            raise HemoCAMError(
                f"{METHODS[method]} gave values that are not finite at stage {stage}; try another method or stage."
            )
        return maps


@contextlib.contextmanager
def _unchanged(network: torch.nn.Module):
    """Put back what the library changes: mode, gradients, and the layer that AblationCAM swaps out."""
    training = {m: m.training for m in network.modules()}
    children = [(m, dict(m._modules)) for m in network.modules()]
    parameters = [(p, p.grad, p.requires_grad) for p in network.parameters()]
    try:
        network.requires_grad_(True)  # with frozen parameters the library finds no gradient
        yield
    finally:
        for module, own in children:
            module._modules.update(own)
        for module, mode in training.items():
            module.training = mode
        for parameter, grad, required in parameters:
            parameter.grad = grad
            parameter.requires_grad_(required)
