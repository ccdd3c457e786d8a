"""From HU to what the network sees: window channels, normalised. One definition for training and use."""

from __future__ import annotations

import numpy as np

from .manifest import Manifest


def window(hu: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Map HU linearly to 0..1 over the display window [centre - width / 2, centre + width / 2], clipped.

    The linear exact function of DICOM PS3.3 C.11.2.1.3.2. float32, same shape.
    """
    low = np.float32(centre - width / 2)
    return np.clip((hu.astype(np.float32, copy=False) - low) / np.float32(width), 0.0, 1.0)


def network_input(hu: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Turn slabs on the network's grid, (n, size, size) in HU, into its input (n, channels, size, size)."""
    channels = [
        (window(hu, centre, width) - np.float32(mean)) / np.float32(std)
        for (centre, width), mean, std in zip(manifest.windows, manifest.mean, manifest.std, strict=True)
    ]
    return np.stack(channels, axis=1)


def probabilities(logits: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Calibrated probabilities 0..1 of logits (n, classes): sigmoid(slope * logit + intercept) a class.

    Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    from scipy.special import expit

    slope, intercept, _ = np.array([manifest.calibration[c] for c in manifest.classes]).T
    return expit(logits * slope + intercept)
