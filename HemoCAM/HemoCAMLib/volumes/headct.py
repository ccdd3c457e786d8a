"""Is this a CT of a head, in HU? First the evidence for it; only without it, the most likely reason why not.

The evidence is a brain in its skull: soft tissue that sees bone in most directions of the slice. It stands
craniectomies, tilt, contrast, tables, shoulders in the same scan and cropped fields of view; a doubtful head is
let pass, because a wrong refusal costs more than a map of something odd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .axial import slice_gap, to_axial
from .enclosure import directions_met
from .volume import Volume

_MIN_SLICES = 3
_MIN_EXTENT_MM = (10.0, 80.0, 80.0)  # slices, rows, columns
_MAX_PIXEL_MM = 5.0
_PITCH_MM = 2.0
_SLICE_PITCH_MM = 4.0

_BONE_HU = 150
_SOFT_HU = (-20, 110)
_AIR_HU = -500
_LUNG_HU = (-950, -400)

_REACH_MM = 110.0
_SEEN = 12  # of the 16: a craniectomy may open a quarter of the skull
_BRAIN_CM2 = 20.0
_BRAIN_SHARE = 0.7  # an enclosed chest is half lung, an enclosed pelvis a third fat
_BODY_SHARE = 0.25  # of the cross-section: over 0.4 in a head, under 0.2 in a child's trunk
_BODY_CM2 = 480.0  # a large head fills 400

_SHIFTED = "The values look like HU + 1024: the rescale is missing; subtract 1024 first."


def check_head_ct(volume: Volume) -> None:
    """Raise an error with one sentence if ``volume`` is not a CT of a head in HU.

    Looks at the canonical axial view, averaged to pixels of about 2 mm in every fourth millimetre.

    Parameters
    ----------
    volume:
        Supposed HU, any orientation and order, padding already air.

    Raises
    ------
    InputError
        If it has too few slices or too small an extent, is empty, is not in HU (MR, windowed, without
        rescale), or shows another part of the body or a phantom.
    """
    axial, _ = to_axial(volume)
    _check_extent(axial)
    coarse = _Coarse.of(axial)
    check_units(coarse.hu)
    if np.count_nonzero(_brain_areas(coarse) >= _BRAIN_CM2) < 2:
        raise InputError(_why_not(coarse))


def check_units(hu: np.ndarray) -> None:
    """Raise an error with one sentence if the range of values is not that of a CT in HU.

    Parameters
    ----------
    hu:
        Supposed HU, finite, any shape with at least one value, padding already air.

    Raises
    ------
    InputError
        If all values are the same, or none lies below -20 (windowed, normalised, HU + 1024, MR), or they span
        less than 50.
    """
    low, high = float(hu.min()), float(hu.max())
    if high - low < 1e-6:
        raise InputError(f"The volume is empty: every voxel has the value {low:g}.")
    if low >= -20:
        if high <= 256:
            raise InputError(
                f"The values run from {low:.3g} to {high:.3g}, like a windowed picture, a mask or normalised data; "
                "give the original CT in HU."
            )
        if _looks_shifted(hu):
            raise InputError(_SHIFTED)
        raise InputError(
            "There is no value below 0, so this is no CT in HU: an MR, or a CT stored without its rescale."
        )
    if high - low < 50:
        raise InputError(
            f"The values run only from {low:.3g} to {high:.3g}, like normalised data; give the original CT in HU."
        )


@dataclass(frozen=True)
class _Coarse:
    """A thinned copy of a volume: HU, float32, shape (slices, rows, columns), and its pitches in mm."""

    hu: np.ndarray
    gap: float
    pixel: tuple[float, float]

    @classmethod
    def of(cls, axial: Volume) -> _Coarse:
        """Take every n-th slice and average blocks of pixels; pixels over 3 mm are repeated."""
        gap = abs(slice_gap(axial))
        step = max(1, min(round(_SLICE_PITCH_MM / gap), axial.shape[0] // 10))
        sparse = axial.array[::step]
        column, row = axial.spacing[:2]
        hu, pixel = sparse, []
        for axis, pitch in ((1, row), (2, column)):
            block = max(1, round(_PITCH_MM / pitch))
            hu = _mean_blocks(hu, axis, block) if block > 1 else hu.astype(np.float32, copy=False)
            repeat = max(1, round(pitch / _PITCH_MM))
            hu = np.repeat(hu, repeat, axis=axis) if repeat > 1 else hu
            pixel.append(float(pitch * block / repeat))
        return cls(np.ascontiguousarray(hu), gap * step, (pixel[0], pixel[1]))

    @property
    def pixel_cm2(self) -> float:
        """Area of a pixel."""
        return self.pixel[0] * self.pixel[1] / 100

    @property
    def voxel_ml(self) -> float:
        """Volume that a voxel stands for."""
        return self.pixel_cm2 * self.gap / 10


def _mean_blocks(array: np.ndarray, axis: int, block: int) -> np.ndarray:
    count = array.shape[axis] // block
    total = np.zeros([count if a == axis else n for a, n in enumerate(array.shape)], dtype=np.float32)
    for offset in range(block):
        part: list[slice] = [slice(None)] * 3
        part[axis] = slice(offset, count * block, block)
        total += array[tuple(part)]
    return total / block


def _check_extent(axial: Volume) -> None:
    slices = axial.shape[0]
    if slices < _MIN_SLICES:
        raise InputError(
            f"The volume has only {slices} axial slices; a head CT needs at least {_MIN_SLICES}."
        )
    extent = np.array(axial.shape) * [abs(slice_gap(axial)), *axial.spacing[1::-1]]
    if (extent < _MIN_EXTENT_MM).any():
        text = " x ".join(f"{e:.0f}" for e in extent[::-1])
        raise InputError(
            f"The volume covers only {text} mm, too little of a head to judge; check its spacing."
        )
    if max(axial.spacing[:2]) > _MAX_PIXEL_MM and min(axial.spacing[:2]) > _MAX_PIXEL_MM / 2:
        raise InputError(
            f"The pixels measure {axial.spacing[0]:.1f} x {axial.spacing[1]:.1f} mm: too coarse for a head CT; "
            "check the spacing."
        )


def _looks_shifted(hu: np.ndarray) -> bool:
    """Tell whether most of what is not air lies where soft tissue would be with 1024 added."""
    body = hu[hu > 500]
    return body.size > 0.05 * hu.size and float(np.mean((body > 900) & (body < 1180))) > 0.5


def _brain_areas(coarse: _Coarse) -> np.ndarray:
    """Area in cm2 of what looks like brain within its skull, for each slice, shape (slices,)."""
    hu = coarse.hu
    bone = hu >= _BONE_HU
    wide = ndimage.binary_dilation(bone, np.ones((1, 3, 3), dtype=bool))
    seen = directions_met(wide, coarse.pixel, _REACH_MM)
    body = _body(coarse.hu, open_pixels=3)
    enclosed = (seen >= _SEEN) & ~bone & body  # a dense curved headrest closes the air behind the head
    soft = enclosed & (hu >= _SOFT_HU[0]) & (hu <= _SOFT_HU[1])
    area = soft.sum(axis=(1, 2))
    pure = area >= _BRAIN_SHARE * enclosed.sum(axis=(1, 2))
    whole = body.sum(axis=(1, 2))
    headlike = (whole * coarse.pixel_cm2 <= _BODY_CM2) & (area >= _BODY_SHARE * whole)
    return area * coarse.pixel_cm2 * pure * headlike


def _body(hu: np.ndarray, open_pixels: int) -> np.ndarray:
    """The patient: per slice the largest piece that is not air, filled; opening cuts off thin headrests."""
    solid = hu > -300
    if open_pixels > 1:
        solid = ndimage.binary_opening(solid, np.ones((1, open_pixels, open_pixels), dtype=bool))
    body = np.zeros(solid.shape, dtype=bool)
    for k, plane in enumerate(solid):
        pieces, count = ndimage.label(plane)
        if count:
            largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
            body[k] = ndimage.binary_fill_holes(pieces == largest)
    return body


def _why_not(coarse: _Coarse) -> str:
    hu = coarse.hu
    if _looks_shifted(hu):
        return _SHIFTED
    body = _body(hu, open_pixels=1)
    area = body.sum(axis=(1, 2)) * coarse.pixel_cm2
    bone_ml = np.count_nonzero(hu >= _BONE_HU) * coarse.voxel_ml
    lung_ml = np.count_nonzero(body & (hu > _LUNG_HU[0]) & (hu < _LUNG_HU[1])) * coarse.voxel_ml
    if not (hu < _AIR_HU).any() and bone_ml < 20:
        return (
            "There is neither air nor bone in the volume, so this is no head CT in HU: an MR, or a cut-out."
        )
    if lung_ml > 300:
        return f"This looks like a CT of a chest ({lung_ml / 1000:.1f} litres of lung), not of a head."
    if bone_ml < 20:
        return "There is air but no bone in the volume: a water phantom, or a CT whose skull was removed."
    typical = float(np.median(area[area > 5])) if (area > 5).any() else 0.0
    if typical > _BODY_CM2:
        return f"The body is too wide for a head ({typical:.0f} cm2 in cross-section)."
    return "No brain within a skull was found: this does not look like a CT of a head in HU."
