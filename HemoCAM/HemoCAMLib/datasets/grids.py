"""Grids of volumes from their headers alone, and masks brought to the order of their CT's voxels."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..volumes.axial import to_axial
from ..volumes.files import file_format
from ..volumes.nifti import read_header
from ..volumes.text_header import check_text_header
from ..volumes.volume import LPS_RAS, Volume

_MAX_BYTES = 4 * 2**30
_SAME = 0.1  # of the smallest spacing: programs round affines, and nothing is that little beside


def read_grid(path: Path, name: str) -> tuple[Volume, bool]:
    """Read where a volume's voxels lie, from the header only.

    Parameters
    ----------
    path:
        NIfTI, NRRD or MetaImage.
    name:
        What errors call it.

    Returns
    -------
    Volume
        Shape (K, J, I) and affine; its voxels are a zero that takes no memory.
    bool
        Whether the file states a position at all; a NIfTI file without sform and qform does not.

    Raises
    ------
    InputError
        If it is empty, of no known format, no single volume, impossibly large, or plainly cut off.
    """
    kind = file_format(path)
    if kind is None:
        empty = path.is_file() and path.stat().st_size == 0
        raise InputError(
            f"{name} is empty."
            if empty
            else f"{name} is neither NIfTI, NRRD nor MetaImage, or is damaged at its beginning."
        )
    if kind != "NIfTI":
        check_text_header(path, kind, name, alone=True)
    try:
        size, matrix, stated, needed = _nifti(path) if kind == "NIfTI" else _itk(path, kind)
    except (RuntimeError, EOFError, OSError, zlib.error):
        raise InputError(f"{name} has a header that cannot be read; copy it again.") from None
    text = " x ".join(str(n) for n in size)
    if len(size) < 3 or min(size) < 1 or any(n != 1 for n in size[3:]):
        raise InputError(f"{name} holds {text or 'no'} voxels: not one volume with three axes.")
    if needed > _MAX_BYTES:
        raise InputError(f"{name} claims to hold {text} voxels, more than 4 GiB: too large, or damaged.")
    if (
        path.suffix.lower() == ".nii"
        and kind == "NIfTI"
        and not _packed(path)
        and path.stat().st_size < needed
    ):
        raise InputError(
            f"{name} is cut off: it is smaller than the {text} voxels of its header; copy it again."
        )
    try:
        return Volume(np.broadcast_to(np.uint8(0), size[2::-1]), matrix), stated
    except ValueError:
        raise InputError(f"{name} states an impossible position or spacing; correct its header.") from None


def on_ct(mask: Volume, ct: Volume, name: str, by_index: bool = False) -> np.ndarray:
    """Return the voxels of a mask in the order of the CT's, shape (K, J, I).

    Axes may be permuted and flipped (as another program stores them); nothing is interpolated.

    Parameters
    ----------
    mask, ct:
        Both volumes.
    name:
        What errors call the mask.
    by_index:
        Believe the order of the voxels and not the mask's position, if the shapes are the same.

    Raises
    ------
    InputError
        If the shapes differ, or the positions by more than a tenth of the smallest spacing.
    """
    near = _SAME * float(ct.spacing.min())
    if mask.shape == ct.shape and (by_index or mask.same_grid(ct, near)):
        return mask.array
    (flat, _), (wanted, order) = to_axial(mask), to_axial(ct)
    if flat.shape == wanted.shape and flat.same_grid(wanted, near):
        return np.ascontiguousarray(order.restore(flat.array))
    sizes = [" x ".join(str(n) for n in volume.shape[::-1]) for volume in (mask, ct)]
    if sorted(mask.shape) != sorted(ct.shape):
        raise InputError(
            f"{name} has {sizes[0]} voxels, its scan {sizes[1]}; give the mask drawn on this scan."
        )
    raise InputError(
        f"{name} has as many voxels as its scan, but lies {_apart(flat, wanted):.1f} mm beside it; correct the "
        "position in its header."
    )


def _apart(one: Volume, other: Volume) -> float:
    """Largest distance in mm between corners of the same name."""
    corners = np.array(np.meshgrid(*[(0, 1)] * 3)).reshape(3, -1).T
    places = [v.ras(corners * (np.array(v.shape[::-1]) - 1)) for v in (one, other)]
    return float(np.linalg.norm(places[0] - places[1], axis=1).max())


def _packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _nifti(path: Path) -> tuple[tuple[int, ...], np.ndarray, bool, int]:
    header = read_header(path)
    stated = header.sform is not None or header.qform is not None
    needed = header.offset + math.prod(header.size) * header.dtype.itemsize
    return header.size, header.ijk_to_ras, stated, needed


def _itk(path: Path, kind: str) -> tuple[tuple[int, ...], np.ndarray, bool, int]:
    reader = sitk.ImageFileReader()
    reader.SetImageIO({"NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}[kind])
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size, spacing = reader.GetSize(), np.array(reader.GetSpacing())
    cosines = np.array(reader.GetDirection()).reshape(len(size), len(size))
    lps = np.eye(4)
    if len(size) >= 3:
        with np.errstate(invalid="ignore"):
            lps[:3, :3] = cosines[:3, :3] * spacing[:3]
        lps[:3, 3] = reader.GetOrigin()[:3]
    return size, LPS_RAS @ lps, True, math.prod(size) * reader.GetNumberOfComponents()
