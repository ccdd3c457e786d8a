"""Every choice of the panel, as typed fields of a parameter node: saved, loaded and copied with the scene."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..cams.methods import METHODS
from ..pipeline import Options


class Method(Enum):
    """CAM methods as the panel lists them; the first leaves the choice to the model."""

    MODEL = None
    HIRESCAM = "hirescam"
    GRADCAM = "gradcam"
    GRADCAM_PLUS_PLUS = "gradcam++"
    XGRADCAM = "xgradcam"
    LAYERCAM = "layercam"
    EIGENCAM = "eigencam"
    EIGENGRADCAM = "eigengradcam"
    ABLATIONCAM = "ablationcam"
    SCORECAM = "scorecam"

    def label(self) -> str:
        """Return what the list shows."""
        if self is Method.MODEL:
            return _("As the model's card recommends")
        return method_label(self.value)


def method_label(method: str) -> str:
    """Return a method's name as papers write it."""
    name = METHODS.get(method, method)
    return {"GradCAMPlusPlus": "GradCAM++"}.get(name, name)


class Device(Enum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        """Return what the list shows."""
        return {"auto": _("Automatic"), "cpu": _("Processor (CPU)"), "cuda": _("NVIDIA GPU (CUDA)")}[
            self.value
        ]


class Scale(Enum):
    """How raw maps are brought to 0..1."""

    GATED = "gated"
    VOLUME = "volume"
    LIBRARY = "library"

    def label(self) -> str:
        """Return what the list shows."""
        return {
            "gated": _("One scale, gated slices only"),
            "volume": _("One scale, all slices"),
            "library": _("Each slice by itself (pytorch-grad-cam)"),
        }[self.value]


class Colors(Enum):
    """Colour maps of the heat map; the values are the names in ``scene.live.COLOR_MAPS``."""

    INFERNO = "inferno"
    MAGMA = "magma"
    PLASMA = "plasma"
    VIRIDIS = "viridis"
    CIVIDIS = "cividis"

    def label(self) -> str:
        """Return what the list shows."""
        return self.value.capitalize()


@parameterNodeWrapper
class Parameters:
    """The choices of the panel.

    Parameters
    ----------
    inputVolume:
        The head CT.
    reference, referenceSegment:
        Segmentation to compare with, and the ID of its segment; "" takes the first.
    model:
        Name of a bundle, or its folder; "" is the shipped one.
    method, stage, target, device, scale:
        What to compute. Stage 0 and target "" are those that the model's card recommends.
    opacity:
        Of the heat map over the CT.
    recommended:
        Whether gate and threshold are those that the model's card recommends for the method and stage.
    gate:
        Probability of the target from which a slice is shown.
    threshold:
        Mask threshold on the shown map.
    colors, showMask:
        Of the heat map, and whether the mask is shown.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode  # noqa: N815  (Slicer's style: the names stand in scene files)
    reference: slicer.vtkMRMLSegmentationNode
    referenceSegment: str  # noqa: N815
    model: str
    method: Method = Method.MODEL
    stage: Annotated[int, WithinRange(0, 9)] = 0
    target: str
    device: Device = Device.AUTO
    scale: Scale = Scale.GATED
    opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    recommended: bool = True
    gate: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    threshold: Annotated[float, WithinRange(0.01, 1.0)] = 0.5
    colors: Colors = Colors.INFERNO
    showMask: bool = True  # noqa: N815


FIELDS = (
    "inputVolume", "reference", "referenceSegment", "model", "method", "stage", "target", "device", "scale",
    "opacity", "recommended", "gate", "threshold", "colors", "showMask",
)  # fmt: skip


def values_of(parameters: Parameters) -> dict[str, object]:
    """Return the value of every field by its name; a node's by its ID, or None."""
    found = {}
    for name in FIELDS:
        value = getattr(parameters, name)
        found[name] = value.GetID() if isinstance(value, slicer.vtkMRMLNode) else value
    return found


def options_of(parameters: Parameters) -> Options:
    """Return what to compute, as the pipeline takes it."""
    own = not parameters.recommended
    return Options(
        method=parameters.method.value,
        stage=parameters.stage or None,
        target=parameters.target or None,
        threshold=parameters.threshold if own else None,
        gate=parameters.gate if own else None,
        scale=parameters.scale.value,
        device=parameters.device.value,
    )
