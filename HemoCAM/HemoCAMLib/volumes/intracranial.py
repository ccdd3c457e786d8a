"""The intracranial space: what lies inside the inner table of the skull, on a stack of slabs.

    bone -> pixels that see bone all around -> soft cores without narrow bridges -> no orbits -> what connects in 3-D
         -> grown back to the bone, no thin rims of mixed bone and air -> holes, gas and gaps of the vault closed
         -> the spinal canal cut off below

Robust beats exact: a craniectomy is bridged from edge to edge, gas, shunts and calcifications are inside, and blood
that touches the inner table is inside, for nothing but bone bounds the space.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .enclosure import directions_met

_BONE_HU = 110.0  # the slab's own mean over 3 x 3 pixels: above acute blood, below the inner table
_SOFT_HU = -60.0  # below brain and its CSF, above fat
_FAT_HU = (-200.0, -15.0)  # with what is averaged of it; less is gas
_REACH_MM = 180.0  # the length of a head
# directions of 16 that see bone: where brain is looked for, how far it is grown, where a gap of the vault is closed
_CORE, _SPACE, _OPEN = 13, 11, 9
_GAP_MM = 30.0  # half the width of a gap in the vault that is bridged
_BRIDGE_MM = 5.0  # half the width of what still joins two cavities: fissures and foramina are narrower
_GROW_MM = 11.0  # from the core back to the bone, around corners
_RIM_MM = 1.5  # half the width of rims where averaged bone and air look soft
_CORE_MM2 = 60.0
_SKULL_HU, _SKULL_MM = 180.0, 4.0  # half of the outline has such bone so near it: no plastic, no muscle
_CANAL_MM2 = 1200.0  # the foramen magnum measures some 800; a canal below it less
_ORBIT_MM2, _FAT_SHARE = 600.0, 0.15  # a smaller core with that much fat around it is an orbit
_ISLAND = 0.01  # of the slab's largest core: less is no lobe
_PIECE = (
    0.25  # of the largest piece in 3-D: in a whole head no other reaches it, in a few slabs lobes lie apart
)
_VAULT = 0.85  # of the largest area: from the first slab that has it upwards, gaps and gas are no orbits and sinuses
_GAS_MM2, _GAS_CONTACT = (
    20.0,
    0.3,
)  # of a piece of gas's outline lies against the space: a sinus lies against bone

_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)


def intracranial_mask(hu: np.ndarray, pixel_mm: float, slab_mm: float) -> np.ndarray:
    """Find the intracranial space: brain, CSF, blood of all kinds, falx and tentorium, but no bone and no scalp.

    Parameters
    ----------
    hu:
        Slabs of one head on the network's grid in canonical order, inferior to superior, shape (n, size, size),
        in HU. A single slice (n = 1) has no neighbors to tell its cavities apart: the largest counts, and others
        of a quarter of its size.
    pixel_mm, slab_mm:
        Edge of a pixel, and distance of the slabs.

    Returns
    -------
    numpy.ndarray
        Bool, same shape; all False where no skull encloses anything.
    """
    found = np.zeros(hu.shape, bool)
    smooth = ndimage.uniform_filter(hu.astype(np.float32, copy=False), (0, 3, 3))
    # noise is no bone; what bone's neighborhood hides stays inside
    bone = (smooth > _BONE_HU) & (hu > _BONE_HU - 10)
    met = _coarse_directions(bone, pixel_mm)
    box = _box(met >= _OPEN)
    if box is None:
        return found
    smooth, bone = smooth[box], bone[box]
    met = met.repeat(2, axis=1).repeat(2, axis=2)[box]
    space = _space(smooth, bone, met, pixel_mm)
    if space is not None and _in_skull(space, smooth, pixel_mm):
        found[box] = _without_canal(space, pixel_mm)
    return found


def _space(smooth: np.ndarray, bone: np.ndarray, met: np.ndarray, pixel_mm: float) -> np.ndarray | None:
    """Find the space within the box; None if there is none. ``smooth``: HU; ``met``: directions that see bone."""
    soft = ~bone & (smooth > _SOFT_HU)
    core, near = _cores(soft & (met >= _CORE), smooth, ~bone & (met >= _SPACE), pixel_mm)
    if core is None:
        return None
    # no air: the sinuses lie behind thin bone; gas within the brain is a hole in it
    room = soft & (met >= _SPACE) & near
    rim = max(1, round(_RIM_MM / pixel_mm))
    solid = _grown(~_grown(~room, rim), rim) & room
    space = _grown(_touching(solid, core), 1) & room  # corners that the squares cut
    space = _filled(space)
    area = space.sum(axis=(1, 2))
    for k in range(int(np.argmax(area >= _VAULT * area.max())), len(space)):
        if area[k]:
            _take_gas(space[k], ~bone[k] & ~soft[k] & (met[k] >= _SPACE), bone[k], pixel_mm)
            _bridge_gaps(space[k], bone[k], met[k] >= _OPEN, smooth[k], pixel_mm)
    return space


def _coarse_directions(bone: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Directions that see bone, counted on pixels twice as large: shape (n, ceil(rows / 2), ceil(columns / 2))."""
    return directions_met(_halved(bone, np.logical_or), (2 * pixel_mm, 2 * pixel_mm), _REACH_MM)


def _halved(mask: np.ndarray, join: np.ufunc) -> np.ndarray:
    """Join blocks of 2 x 2 pixels; an odd last row or column is repeated."""
    odd = [(0, 0), *((0, n % 2) for n in mask.shape[1:])]
    even = np.pad(mask, odd, mode="edge") if any(b for _, b in odd) else mask
    rows = join(even[:, ::2], even[:, 1::2])
    return join(rows[:, :, ::2], rows[:, :, 1::2])


def _box(coarse: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Slabs, and rows and columns of the fine grid, where ``coarse`` is not empty; None if it is."""
    if not coarse.any():
        return None
    cuts = [slice(None)]
    for axis in (1, 2):
        taken = np.flatnonzero(coarse.any(axis=tuple(a for a in range(3) if a != axis)))
        # a coarse pixel more on either side, for what is grown
        cuts.append(slice(2 * max(0, int(taken[0]) - 1), 2 * (int(taken[-1]) + 2)))
    return tuple(cuts)


def _cores(
    inner: np.ndarray, smooth: np.ndarray, open_: np.ndarray, pixel_mm: float
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Find the cores of the intracranial cavities, and what is near them; found on pixels twice as large.

    ``inner``: soft pixels that see bone all around. ``open_``: whatever is no bone and may surround them.
    """
    coarse_mm = 2 * pixel_mm
    core = _halved(inner, np.logical_and)
    for k in np.flatnonzero(core.any(axis=(1, 2))):
        core[k] = ndimage.distance_transform_edt(core[k]) > _BRIDGE_MM / coarse_mm
    pieces, count = ndimage.label(core, _IN_PLANE)
    if not count:
        return None, None
    places = ndimage.find_objects(pieces)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    slabs = np.array([0] + [place[0].start for place in places])
    largest = np.zeros(len(core), int)
    np.maximum.at(largest, slabs[1:], sizes[1:])
    keep = sizes >= _ISLAND * largest[slabs]
    keep[0] = False
    hu = smooth[:, ::2, ::2]
    beside = _halved(open_, np.logical_and)
    fat = (hu > _FAT_HU[0]) & (hu < _FAT_HU[1])
    for piece in np.flatnonzero(keep & (sizes * coarse_mm**2 < _ORBIT_MM2)):
        around = _around(places[piece - 1], core.shape, round(_GROW_MM / coarse_mm))
        own = pieces[around] == piece
        by = beside[around] & (ndimage.distance_transform_edt(~own) <= _GROW_MM / coarse_mm)
        by = _touching(by[None], own[None])[0]  # not the other side of an orbital roof
        keep[piece] = np.count_nonzero(by & fat[around]) <= _FAT_SHARE * np.count_nonzero(by)
    core = _large(keep[pieces], coarse_mm)
    if not core.any():
        return None, None
    near = np.zeros_like(core)
    for k in np.flatnonzero(core.any(axis=(1, 2))):
        near[k] = ndimage.distance_transform_edt(~core[k]) <= _GROW_MM / coarse_mm
    rows, columns = inner.shape[1:]
    core, near = (m.repeat(2, axis=1).repeat(2, axis=2)[:, :rows, :columns] for m in (core, near))
    return core, near


def _around(place: tuple[slice, ...], shape: tuple[int, ...], margin: int) -> tuple[int, slice, slice]:
    """The slab of a piece, and its rows and columns with a margin."""
    cuts = [
        slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(place, shape, strict=True)
    ]
    return place[0].start, cuts[1], cuts[2]


def _large(core: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The large connected pieces in 3-D; slabs that overlap are connected."""
    pieces, count = ndimage.label(core)
    if not count:
        return core
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    if sizes.max() * pixel_mm**2 < _CORE_MM2:
        return np.zeros_like(core)
    return (sizes >= _PIECE * sizes.max())[pieces]


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Grow by a square of 2 * ``pixels`` + 1 in each slab (or single plane)."""
    for axis in (-2, -1):
        mask = ndimage.maximum_filter1d(mask.view(np.uint8), 2 * pixels + 1, axis=axis).view(bool)
    return mask


def _touching(mask: np.ndarray, core: np.ndarray) -> np.ndarray:
    """The pieces of each slab that hold some of ``core``."""
    pieces, count = ndimage.label(mask, _IN_PLANE)
    keep = np.zeros(count + 1, bool)
    keep[pieces[core]] = True
    keep[0] = False
    return keep[pieces]


def _filled(mask: np.ndarray) -> np.ndarray:
    """Fill the holes of each slab."""
    pieces, count = ndimage.label(~mask, _IN_PLANE)
    outer = np.zeros(count + 1, bool)
    for edge in (pieces[:, 0], pieces[:, -1], pieces[:, :, 0], pieces[:, :, -1]):
        outer[edge] = True
    return mask | ~outer[pieces]


def _take_gas(space: np.ndarray, gas: np.ndarray, bone: np.ndarray, pixel_mm: float) -> None:
    """Add gas to the space of a slab, in place, where much of its outline lies against it, and not against bone."""
    pieces, _ = ndimage.label(gas & ~space)
    sizes = np.bincount(pieces.ravel())
    for piece, place in enumerate(ndimage.find_objects(pieces), 1):
        if sizes[piece] * pixel_mm**2 < _GAS_MM2:
            continue
        around = tuple(slice(max(0, s.start - 4), s.stop + 4) for s in place)
        own = pieces[around] == piece
        ring = _grown(own, 3) & ~own  # over the averaged rim
        if np.count_nonzero(ring & space[around]) >= _GAS_CONTACT * np.count_nonzero(ring):
            space[around] |= own | (_grown(own, 3) & _grown(space[around], 3) & ~bone[around])


def _bridge_gaps(
    space: np.ndarray, bone: np.ndarray, room: np.ndarray, hu: np.ndarray, pixel_mm: float
) -> None:
    """Close the space of a slab, in place, where bone of the vault is missing, but not over fat or air."""
    rim = _grown(space, 1) & ~space & ~bone
    if np.count_nonzero(rim) * pixel_mm < _BRIDGE_MM:
        return
    step = max(1, round(2.0 / pixel_mm))  # the hull need not be fine
    reach = _GAP_MM / (pixel_mm * step)
    pad = int(reach) + 1
    plane = np.pad(space[::step, ::step], pad)
    near = ndimage.distance_transform_edt(~plane) <= reach
    closed = (ndimage.distance_transform_edt(near) > reach)[pad:-pad, pad:-pad]
    closed = closed.repeat(step, axis=0).repeat(step, axis=1)[: space.shape[0], : space.shape[1]]
    pieces, _ = ndimage.label(closed & room & ~bone & ~space)
    beside = _grown(space, 1)
    for piece in np.unique(pieces[beside])[1:]:
        own = pieces == piece
        if np.count_nonzero(own & (hu < _FAT_HU[1])) <= _FAT_SHARE * np.count_nonzero(own):
            space |= own & (hu > _SOFT_HU)
    space[:] = ndimage.binary_fill_holes(space)


def _in_skull(space: np.ndarray, smooth: np.ndarray, pixel_mm: float) -> bool:
    """Tell whether what bounds the space in most places is a skull; looked at in every third slab that has some."""
    some = np.flatnonzero(space.any(axis=(1, 2)))[::3]
    space, hu = space[some], smooth[some]
    outline = space & _grown(~space, 1)
    for axis in (1, 2):
        hu = ndimage.maximum_filter1d(hu, 2 * max(1, round(_SKULL_MM / pixel_mm)) + 1, axis=axis)
    return bool(outline.any()) and float(np.median(hu[outline])) >= _SKULL_HU


def _without_canal(mask: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Cut off the lowest slabs as long as they show no more than a spinal canal, if there is a head above them."""
    area = mask.sum(axis=(1, 2)) * pixel_mm**2
    wide = np.flatnonzero(area > _CANAL_MM2)
    if len(wide):
        mask[: wide[0]] = False
    return mask
