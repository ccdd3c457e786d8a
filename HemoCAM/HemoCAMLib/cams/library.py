"""The engine that is pytorch-grad-cam itself: the reference."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import HemoCAMError
from ..progress import Progress, silent
from ..volumes.headgrid import Cells
from .engine import Explanation
from .methods import METHODS, check_method
from .receptive import stage_cells
from .stages import stage_module
from .target import Target, Targets, targets_of

if TYPE_CHECKING:
    import torch


class LibraryEngine:
    """pytorch-grad-cam as it is: one CAM object a method and stage; the network is left as it was found.

    ``ablationcam`` is its AblationCAM with a layer that sets channels to zero, and the raw drop;
    ``ablationcam-library`` is its AblationCAM as it comes.

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

    def explain(
        self,
        batch: torch.Tensor,
        targets: Targets,
        methods: Sequence[str],
        stages: Sequence[int],
        progress: Progress = silent,
    ) -> Explanation:
        """As :meth:`.engine.Engine.explain`, the whole batch at once, each method and stage from scratch."""
        import torch

        with _unchanged(self.network), torch.no_grad():
            logits = self.network.eval()(batch).float()
        listed = targets_of(targets, len(batch), logits.shape[1])
        pairs = [(method, stage) for stage in stages for method in methods]
        raw = {}
        for done, (method, stage) in enumerate(pairs):
            progress("Computing maps", done, len(pairs))
            raw[method, stage] = self.raw_maps(batch, listed, method, stage, logits.cpu().numpy())
        return Explanation(logits.cpu().numpy(), raw)

    def raw_maps(
        self, batch: torch.Tensor, targets: list[Target], method: str, stage: int, logits: np.ndarray
    ) -> np.ndarray:
        """Return what the library's ``get_cam_image`` gives, (n, h, w), before it clips and stretches it.

        Raises
        ------
        OptionError
            If the method or the stage does not exist.
        HemoCAMError
            If the map is not finite.
        """
        import pytorch_grad_cam

        kind = getattr(pytorch_grad_cam, METHODS[check_method(method)])
        layer = stage_module(self.network, stage)
        with _unchanged(self.network):
            cam = kind(model=self.network, target_layers=[layer])
            if method.startswith(
                "ablationcam"
            ):  # the library shares one layer object among all its instances
                cam.ablation_layer = zeroing_layer() if method == "ablationcam" else own_layer()
            recorded = []
            original = cam.get_cam_image

            def record(*args: object, **kwargs: object) -> np.ndarray:
                recorded.append(original(*args, **kwargs))
                return recorded[-1]

            cam.get_cam_image = record
            quiet = contextlib.redirect_stderr(io.StringIO())  # its progress bars cannot be switched off
            try:
                with quiet if method not in _QUIET else contextlib.nullcontext():
                    cam(input_tensor=batch, targets=targets)
            finally:
                cam.activations_and_grads.release()
                # the recorder makes a cycle, and the outputs hold the whole graph: let go of both now
                cam.__dict__.pop("get_cam_image", None)
                cam.__dict__.pop("outputs", None)
        maps = np.asarray(recorded[0], dtype=np.float32)
        if method == "ablationcam":  # the library divides the drop by the score: undone
            full = np.array([t.sign * row[t.class_index] for t, row in zip(targets, logits, strict=True)])
            maps = (maps * full[:, None, None]).astype(np.float32)
        if not np.isfinite(maps).all():
            raise HemoCAMError(
                f"{METHODS[method]} gave values that are not finite at stage {stage}; try another method or stage."
            )
        return maps


_QUIET = {"gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "eigencam", "eigengradcam"}


def own_layer() -> torch.nn.Module:
    """The library's ablation layer; it shares one among all its instances if it is not given its own."""
    from pytorch_grad_cam.ablation_layer import AblationLayer

    return AblationLayer()


def zeroing_layer() -> torch.nn.Module:
    """The library's ablation layer, but ablating with zero whatever the minimum."""
    from pytorch_grad_cam.ablation_layer import AblationLayer

    class ZeroingLayer(AblationLayer):
        def __call__(self, _: object) -> torch.Tensor:
            for row in range(self.activations.size(0)):
                self.activations[row, self.indices[row]] = 0
            return self.activations

    return ZeroingLayer()


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
