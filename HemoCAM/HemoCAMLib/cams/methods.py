"""The nine methods by name, and the stages of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OptionError

if TYPE_CHECKING:
    import torch

# Our name: the class in pytorch-grad-cam. The order is the paper's (Rafati et al. 2025).
METHODS: dict[str, str] = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "ablationcam": "AblationCAM",
    "scorecam": "ScoreCAM",
}


def check_method(method: str) -> str:
    """Return ``method`` if it is one of the nine; raise :class:`OptionError` naming them if not."""
    if method not in METHODS:
        raise OptionError(f"There is no CAM method {method!r}; choose one of {', '.join(METHODS)}.")
    return method


def stage_modules(network: torch.nn.Module) -> list[torch.nn.Module]:
    """The stages of a timm CNN, first to last; stage n of the paper is the n-th entry (counted from 1).

    EfficientNets and MobileNets: ``blocks``; ConvNeXt, RegNet and kin: ``stages``; ResNets: ``layer1`` on. An
    EfficientNet has one more, its last: the feature map that is averaged for the linear layer (``conv_head``
    with its norm and activation). There HiResCAM is the logit itself, cell by cell.
    """
    for name in ("blocks", "stages"):
        stages = getattr(network, name, None)
        if stages is not None and len(stages):
            return [*stages, network.bn2] if type(network).__name__ == "EfficientNet" else list(stages)
    layers = [getattr(network, f"layer{n}") for n in range(1, 9) if hasattr(network, f"layer{n}")]
    if not layers:
        raise OptionError(
            f"HemoCAM does not know the stages of a {type(network).__name__}; use an EfficientNet, MobileNet, "
            f"ConvNeXt, RegNet or ResNet of timm."
        )
    return layers


def stage_module(network: torch.nn.Module, stage: int) -> torch.nn.Module:
    """The module whose output is explained at ``stage``, counted from 1; raise :class:`OptionError` if none."""
    stages = stage_modules(network)
    if not 1 <= stage <= len(stages):
        raise OptionError(f"The network has stages 1 to {len(stages)}; there is no stage {stage}.")
    return stages[stage - 1]
