"""From HU to what the network sees: neighbors, the intracranial space, window channels. One definition for all."""

from __future__ import annotations

import numpy as np

from .manifest import Manifest


def window(hu: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Map HU linearly to 0..1 over the display window [centre - width / 2, centre + width / 2], clipped.

    The linear exact function of DICOM PS3.3 C.11.2.1.3.2. float32, same shape.
    """
    low = np.float32(centre - width / 2)
    return np.clip((hu.astype(np.float32, copy=False) - low) / np.float32(width), 0.0, 1.0)


def neighborhoods(
    stack: np.ndarray, manifest: Manifest, rows: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Gather the slabs that the network sees to classify each of ``rows``.

    At either end of the stack the last slab stands in for the one that is missing.

    Parameters
    ----------
    stack:
        All slabs of one head in canonical order, inferior to superior, shape (n, size, size).
    rows:
        Which slabs to classify.

    Returns
    -------
    numpy.ndarray
        Shape (rows, len(manifest.neighborhood), size, size).
    """
    index = np.arange(len(stack))[rows][:, None] + np.array(manifest.neighborhood)
    return stack[np.clip(index, 0, len(stack) - 1)]


def fill_outside(hu: np.ndarray, inside: np.ndarray | None, manifest: Manifest) -> np.ndarray:
    """Set what lies outside the intracranial space to the manifest's value; unchanged where it has none.

    ``hu``: slabs (n, size, size) on the network's grid. ``inside``: bool, same shape, or None if nobody knows.
    """
    if manifest.outside is None or inside is None:
        return hu
    return np.where(grown(inside, manifest), hu, np.float32(manifest.outside.hu))


def grown(inside: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Grow the intracranial space (n, size, size), bool, by the manifest's margin in each slice plane."""
    from scipy.ndimage import distance_transform_edt

    pixel_mm = manifest.field_of_view_mm / inside.shape[-1]
    margin = manifest.outside.margin_mm / pixel_mm
    if not margin:
        return inside
    return np.stack([s if not s.any() else distance_transform_edt(~s) <= margin for s in inside])


def network_input(hu: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Turn slabs on the network's grid into its input, float32 (n, channels, size, size).

    ``hu``: HU of each slab with its neighbors, (n, len(manifest.neighborhood), size, size), as of
    :func:`neighborhoods`; or of single slices that have none, (n, size, size) or (n, 1, size, size): each is its
    own neighbor.
    """
    around = manifest.neighborhood
    seen = hu if hu.ndim == 4 else hu[:, None]
    seen = np.broadcast_to(seen, (len(hu), len(around), *hu.shape[-2:]))
    channels = [
        (window(seen[:, around.index(offset)], centre, width) - np.float32(mean)) / np.float32(std)
        for (centre, width), offset, mean, std in zip(
            manifest.windows, manifest.offsets, manifest.mean, manifest.std, strict=True
        )
    ]
    return np.stack(channels, axis=1)
