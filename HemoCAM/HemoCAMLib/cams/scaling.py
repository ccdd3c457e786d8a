"""From raw maps to what is shown: named scales, and the probability gate.

A raw map is a signed number a cell. pytorch-grad-cam clips it at zero and stretches every slice to 0..1, so a
slice without any finding lights up as brightly as one with a large bleed. Here that scale has a name
(``library``), for comparison with published numbers; what a radiologist sees is ``gated``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import OptionError

SCALES = ("gated", "volume", "library")


@dataclass(frozen=True)
class Scaled:
    """Maps in 0..1, shape (n, h, w), and per slice the raw values that 0 and 1 stand for, shape (n,)."""

    maps: np.ndarray
    zero: np.ndarray
    one: np.ndarray


def scale_maps(raw: np.ndarray, scale: str, gate: np.ndarray) -> Scaled:
    """Bring raw maps (n, h, w) to 0..1.

    Parameters
    ----------
    raw:
        Signed raw maps.
    scale:
        ``gated``: one scale for the volume, raw 0 to 0 and the largest raw value of the gated-in slices to 1;
        slices that are gated out are 0 throughout. ``volume``: the same scale without a gate, from all
        slices. ``library``: each slice clipped at 0 and stretched from its own minimum to its own maximum,
        pytorch-grad-cam's ``scale_cam_image`` (its epsilon 1e-7 included).
    gate:
        Shape (n,), bool: True where the slice's probability passes.

    Raises
    ------
    OptionError
        For another scale.
    """
    clipped = np.maximum(raw, 0).astype(np.float32)
    count = len(raw)
    if scale == "library":
        zero = clipped.min(axis=(1, 2))
        one = clipped.max(axis=(1, 2))
        shifted = clipped - zero[:, None, None]
        return Scaled(shifted / (1e-7 + shifted.max(axis=(1, 2), keepdims=True)), zero, one)
    if scale not in SCALES:
        raise OptionError(f"There is no scale {scale!r}; choose one of {', '.join(SCALES)}.")
    counted = np.asarray(gate, bool) if scale == "gated" else np.ones(count, bool)
    peak = float(clipped[counted].max()) if counted.any() else 0.0
    maps = clipped / peak if peak > 0 else np.zeros_like(clipped)
    maps[~counted] = 0
    return Scaled(maps, np.zeros(count), np.full(count, peak))


def library_maps(raw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Finish raw maps (n, h, w) exactly as pytorch-grad-cam does: 0..1, resized to ``size`` (width, height)."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    return scale_cam_image(np.maximum(scale_cam_image(np.maximum(raw, 0), size), 0))
