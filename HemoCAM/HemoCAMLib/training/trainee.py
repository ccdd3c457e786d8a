"""The network as it is trained: HU in, logits and the evidence of every cell out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..cams.receptive import stage_cells
from ..cams.stages import stage_modules
from ..errors import OptionError
from ..models.manifest import Manifest

if TYPE_CHECKING:
    from ..models.bundle import Bundle
    from ..volumes.headgrid import Cells


# Standard deviation of the last layer's weight at the start: no opinion about any cell.
_START = 0.01


class Trainee(nn.Module):
    """A timm classifier with its window channels before it and, where its head allows, its evidence laid open.

    Where the head is a global average and one linear layer, the logit of class k is the mean over the cells of
    the final feature map f of what each of them says:

        z_k = b_k + mean over cells of e_k,    e_k(cell) = w_k . f(cell).

    The evidence e, divided by the number of cells, is HiResCAM of that feature map: the gradient of z_k is
    w_k / cells everywhere (Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
    convolutional neural networks", 2020; there also that it is the CAM of such networks).

    Parameters
    ----------
    network:
        A timm classifier with fresh weights; where it explains, its linear layer is set to small random ones.
    manifest:
        Windows, means and standard deviations of its channels.
    drop:
        Share of feature channels that are dropped, while training, for logits and evidence alike.
    """

    def __init__(self, network: nn.Module, manifest: Manifest, drop: float = 0.1) -> None:
        super().__init__()
        self.network = network
        self.drop = drop
        self.explains = _is_linear_on_average(network, manifest)
        low, width = zip(*((c - w / 2, w) for c, w in manifest.windows), strict=True)
        for name, values in (("low", low), ("width", width), ("mean", manifest.mean), ("std", manifest.std)):
            self.register_buffer(f"window_{name}", torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        self.around = manifest.neighborhood
        self.shown = [manifest.neighborhood.index(offset) for offset in manifest.offsets]
        if self.explains:
            with torch.no_grad():
                network.get_classifier().weight.normal_(std=_START)
                network.get_classifier().bias.zero_()

    def start_from(self, bundle: Bundle, manifest: Manifest) -> None:
        """Take the weights of another model, tensor by tensor where the shapes agree.

        Of the first convolution each channel takes the weights of the other model's channel with the same window
        and slab; a channel that is new there begins with zeros, so that it adds nothing at first.

        Parameters
        ----------
        bundle:
            The other model.
        manifest:
            Of this network.

        Raises
        ------
        OptionError
            If the two have no tensor in common.
        """
        theirs = {name: tensor.float() for name, tensor in bundle.network().state_dict().items()}
        own = self.network.state_dict()
        first = next(name for name, tensor in own.items() if tensor.ndim == 4)
        channels, others = (list(zip(m.windows, m.offsets, strict=True)) for m in (manifest, bundle.manifest))
        taken = 0
        for name, tensor in own.items():
            source = theirs.get(name)
            if source is None:
                continue
            if name == first and source.shape[1] == len(others) and len(source) == len(tensor):
                tensor.zero_()
                for k, channel in enumerate(channels):
                    if channel in others:
                        tensor[:, k] = source[:, others.index(channel)]
            elif source.shape == tensor.shape:
                tensor.copy_(source)
            else:
                continue
            taken += 1
        if not taken:
            raise OptionError(
                f"The model {bundle.manifest.name} shares no layer with {manifest.architecture}; train without it."
            )

    def channels(self, hu: torch.Tensor) -> torch.Tensor:
        """HU to the network's input, shapes as in :func:`~..models.preprocess.network_input`."""
        seen = hu if hu.ndim == 4 else hu[:, None]
        seen = seen.expand(-1, len(self.around), -1, -1)[:, self.shown]
        shown = ((seen - self.window_low) / self.window_width).clamp(0, 1)
        x = (shown - self.window_mean) / self.window_std
        return x.contiguous(memory_format=torch.channels_last)

    def forward(self, hu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits (n, classes) and evidence (n, classes, rows, columns) or None; both float32."""
        x = self.channels(hu)
        if not self.explains:
            return self.network(x).float(), None
        features = self.network.forward_features(x)
        with torch.autocast(features.device.type, enabled=False):
            features = nn.functional.dropout2d(features.float(), self.drop, self.training)
            head = self.network.get_classifier()
            evidence = torch.einsum("nchw,kc->nkhw", features, head.weight)
            return evidence.mean((2, 3)) + head.bias, evidence

    def cells(self, size: int) -> Cells:
        """Where the evidence's cells look in an input of ``size`` pixels."""
        return stage_cells(self.network, len(stage_modules(self.network)), size)


@torch.no_grad()
def _is_linear_on_average(network: nn.Module, manifest: Manifest) -> bool:
    """Whether the logits are a linear layer of the mean feature: tried out rather than read off the types."""
    head = network.get_classifier() if hasattr(network, "get_classifier") else None
    if not isinstance(head, nn.Linear) or not hasattr(network, "forward_features"):
        return False
    was_training = network.training
    network.eval()
    try:
        x = torch.rand(2, len(manifest.windows), 64, 64, generator=torch.Generator().manual_seed(0))
        features = network.forward_features(x)
        if features.ndim != 4 or features.shape[1] != head.in_features:
            return False
        return torch.allclose(head(features.mean((2, 3))), network(x), rtol=1e-4, atol=1e-5)
    finally:
        network.train(was_training)
