"""The methods by name."""

from __future__ import annotations

from ..errors import OptionError

# Our name: the class in pytorch-grad-cam. The order is the paper's (Rafati et al. 2025); the last is a variant.
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
    "ablationcam-library": "AblationCAM",
}
NINE = tuple(METHODS)[:9]  # the methods of the paper
SHARED = tuple(METHODS)[
    :7
]  # those that need activations and gradients only: one forward, one backward for all


def check_method(method: str) -> str:
    """Return ``method`` if there is one of that name; raise :class:`OptionError` naming them if not."""
    if method not in METHODS:
        raise OptionError(f"There is no CAM method {method!r}; choose one of {', '.join(METHODS)}.")
    return method
