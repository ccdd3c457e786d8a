"""The intracranial space: what lies inside the inner table of the skull, on a stack of slabs.

    bone -> pixels that see bone all around -> soft cores without narrow bridges -> the largest in 3-D
         -> grown back to the bone -> holes filled -> the spinal canal cut off below

Robust beats exact: a craniectomy is bridged from edge to edge, gas, shunts and calcifications are inside, and blood
that touches the inner table is inside, for nothing but bone bounds the space.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .enclosure import directions_met

_BONE_HU = 110.0  # the slab's own mean over 3 x 3 pixels: above acute blood, below the inner table
_SOFT_HU = -60.0  # below brain and its CSF, above fat
_REACH_MM = 180.0  # the length of a head
_CORE, _SPACE = (
    13,
    11,
)  # directions of 16 that see bone: from where brain is looked for, and how far it is grown
_OPEN = 9  # directions that see bone where the space is closed over a gap in the vault
_GAP_MM = 30.0  # half the width of a gap in the vault that is bridged
_BRIDGE_MM = 5.0  # half the width of what still joins two cavities: fissures and foramina are narrower
_CORE_MM2 = 60.0
_CANAL_MM2 = 1000.0  # the foramen magnum measures some 800; a canal below it less


def intracranial_mask(hu: np.ndarray, pixel_mm: float, slab_mm: float) -> np.ndarray:
    """Find the intracranial space: brain, CSF, blood of all kinds, falx and tentorium, but no bone and no scalp.

    Parameters
    ----------
    hu:
        Slabs of one head on the network's grid in canonical order, inferior to superior, shape (n, size, size);
        a single slice (n = 1) has no neighbors to tell its cavities apart: its largest one counts.
    pixel_mm, slab_mm:
        Edge of a pixel, and distance of the slabs.

    Returns
    -------
    numpy.ndarray
        Bool, same shape; all False where no skull encloses anything.
    """
    smooth = ndimage.uniform_filter(hu.astype(np.float32, copy=False), (0, 3, 3))
    bone = (smooth > _BONE_HU) & (
        hu > _BONE_HU - 10
    )  # noise is no bone; what bone's neighborhood hides stays inside
    met = _coarse_directions(bone, pixel_mm)
    soft = ~bone & (smooth > _SOFT_HU)
    reach = _BRIDGE_MM / pixel_mm
    core = _eroded(soft & (met >= _CORE), reach)
    core = _largest(core, pixel_mm)
    if not core.any():
        return np.zeros(hu.shape, bool)
    room = soft & (
        met >= _SPACE
    )  # no air: the sinuses lie behind thin bone; gas within the brain is a hole in it
    found = np.zeros(hu.shape, bool)
    for k in np.flatnonzero(core.any(axis=(1, 2))):
        near = ndimage.distance_transform_edt(~core[k]) <= 2.2 * reach
        grown = ndimage.binary_propagation(core[k], mask=near & room[k])
        found[k] = ndimage.binary_fill_holes(grown)
    _bridge_gaps(found, soft & (met >= _OPEN), pixel_mm)
    return _without_canal(found, pixel_mm)


def _bridge_gaps(mask: np.ndarray, room: np.ndarray, pixel_mm: float) -> None:
    """Close the space, in place, where bone of the vault is missing: above the base it has no other notches."""
    area = mask.sum(axis=(1, 2))
    step = max(1, round(4.0 / pixel_mm))  # the hull need not be fine
    reach = _GAP_MM / (pixel_mm * step)
    for k in range(int(np.argmax(area >= 0.85 * area.max())), len(mask)):
        if not mask[k].any():
            continue
        pad = int(reach) + 1
        plane = np.pad(mask[k, ::step, ::step], pad)
        near = ndimage.distance_transform_edt(~plane) <= reach
        closed = (ndimage.distance_transform_edt(near) > reach)[pad:-pad, pad:-pad]
        closed = closed.repeat(step, axis=0).repeat(step, axis=1)[: mask.shape[1], : mask.shape[2]]
        mask[k] |= ndimage.binary_propagation(mask[k], mask=closed & room[k])
        mask[k] = ndimage.binary_fill_holes(mask[k])


def _coarse_directions(bone: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Directions that see bone, counted on pixels twice as large."""
    n, rows, columns = bone.shape
    even = bone[:, : rows // 2 * 2, : columns // 2 * 2]
    coarse = even.reshape(n, rows // 2, 2, columns // 2, 2).any(axis=(2, 4))
    met = directions_met(coarse, (2 * pixel_mm, 2 * pixel_mm), _REACH_MM)
    met = met.repeat(2, axis=1).repeat(2, axis=2)
    return np.pad(met, ((0, 0), (0, rows - met.shape[1]), (0, columns - met.shape[2])))


def _eroded(mask: np.ndarray, reach: float) -> np.ndarray:
    """Each slice's pixels that lie deeper than ``reach`` pixels."""
    return np.stack([ndimage.distance_transform_edt(plane) > reach for plane in mask])


def _largest(core: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The largest connected piece in 3-D; slabs that overlap are connected."""
    pieces, count = ndimage.label(core)
    if not count:
        return core
    sizes = np.bincount(pieces.ravel())[1:]
    if sizes.max() * pixel_mm**2 < _CORE_MM2:
        return np.zeros_like(core)
    return pieces == 1 + int(sizes.argmax())


def _without_canal(mask: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Cut off the lowest slabs as long as they show no more than a spinal canal, if there is a head above them."""
    area = mask.sum(axis=(1, 2)) * pixel_mm**2
    wide = np.flatnonzero(area > _CANAL_MM2)
    if len(wide):
        mask[: wide[0]] = False
    return mask
