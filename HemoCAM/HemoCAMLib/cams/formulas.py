"""The seven methods that need a stage's activations A and gradients G only, both (n, C, h, w).

Two ways to the same maps: torch, on the device; and pytorch-grad-cam's own numpy code, bit for bit. The
formulas are the library's, epsilons included. The one departure is the sign of the two eigenvector methods: the
library takes whatever sign the decomposition returns, which flips from slice to slice; here it is fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .methods import METHODS

if TYPE_CHECKING:
    from torch import Tensor


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Sum over channels of A, each weighted by the mean of its gradient. Selvaraju et al., ICCV 2017."""
    return (gradients.mean((2, 3), keepdim=True) * activations).sum(1)


def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights from positive gradients, weighted a pixel. Chattopadhay et al., WACV 2018, equation 19.

    The epsilon 1e-6 stands beside squared gradients, so the map depends on the scale of the logit.
    """
    import torch

    squared = gradients**2
    share = squared / (2 * squared + activations.sum((2, 3), keepdim=True) * squared * gradients + 0.000001)
    share = torch.where(gradients != 0, share, 0)
    return ((gradients.clamp_min(0) * share).sum((2, 3), keepdim=True) * activations).sum(1)


def xgradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights: the gradient averaged with A as weights. Fu et al., BMVC 2020.

    Where A has both signs (after SiLU, say) its sum can be near zero and the weight huge.
    """
    total = activations.sum((2, 3), keepdim=True) + 1e-7
    return ((gradients * activations / total).sum((2, 3), keepdim=True) * activations).sum(1)


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Sum over channels of G * A. Draelos and Carin, 2020 (arXiv 2011.08891)."""
    return (gradients * activations).sum(1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Sum over channels of max(G, 0) * A. Jiang et al., IEEE TIP 2021.

    Made for activations that are not negative: where A < 0 and G > 0, evidence counts against the target.
    """
    return (gradients.clamp_min(0) * activations).sum(1)


def eigencam(activations: Tensor, gradients: Tensor) -> Tensor:
    """A on its first principal component over the channels. Muhammad and Yeasin, IJCNN 2020.

    Sign: positive where the activations are strong, that is, the map's covariance with the sum of abs(A) over
    the channels is not negative. The gradient is not used.
    """
    return _oriented(_first_component(activations), activations.abs().sum(1))


def eigengradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """G * A on its first principal component over the channels (pytorch-grad-cam's variant of EigenCAM).

    Sign: positive where the evidence for the target is, that is, the map's covariance with :func:`hirescam` is
    not negative.
    """
    products = gradients * activations
    return _oriented(_first_component(products), products.sum(1))


def _first_component(features: Tensor) -> Tensor:
    """Project each slice's pixels on the first principal component of its channels: (n, h, w), sign arbitrary.

    By the smaller of the two Gram matrices, in float64: squaring costs half the digits.
    """
    import torch

    n, channels, height, width = features.shape
    pixels = features.flatten(2).transpose(1, 2).double()
    pixels = pixels - pixels.mean(1, keepdim=True)
    if channels <= height * width:
        _, vectors = torch.linalg.eigh(pixels.mT @ pixels)
        projected = (pixels @ vectors[..., -1:])[..., 0]
    else:
        values, vectors = torch.linalg.eigh(pixels @ pixels.mT)
        projected = vectors[..., -1] * values[:, -1:].clamp_min(0).sqrt()
    return projected.reshape(n, height, width)


def _oriented(maps: Tensor, like: Tensor) -> Tensor:
    """Turn each map (n, h, w), of mean zero, so that its product with ``like`` sums to 0 or more; float32."""
    import torch

    agreement = (maps * like).sum((1, 2), keepdim=True)
    return torch.where(agreement < 0, -maps, maps).float()


FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "xgradcam": xgradcam,
    "hirescam": hirescam,
    "layercam": layercam,
    "eigencam": eigencam,
    "eigengradcam": eigengradcam,
}


def library_formula(method: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """pytorch-grad-cam's own code for one of the seven: numpy A and G in, raw maps (n, h, w) out."""
    import pytorch_grad_cam

    kind = getattr(pytorch_grad_cam, METHODS[method])
    formula = object.__new__(kind)  # its constructor would hook a model
    formula.activations_and_grads = _Nothing()  # its destructor releases hooks

    def apply(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
        return np.asarray(
            formula.get_cam_image(None, None, None, activations, gradients, False), dtype=np.float32
        )

    return apply


class _Nothing:
    def release(self) -> None:
        """Release no hooks."""
