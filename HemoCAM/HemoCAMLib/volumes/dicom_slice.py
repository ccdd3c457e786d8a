"""One axial CT slice from one DICOM file, whatever else lies in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .dicom import read_hu
from .dicom_headers import Header, parse_header
from .headct import check_units
from .padding import padding_to_air
from .volume import LPS_RAS, Volume

_MIN_EDGE = 32
_GAP_MM = 5.0  # of a slice that does not tell its thickness; nothing but the affine's third column needs it


def read_slice(path: Path) -> Volume:
    """Read one DICOM file as a volume of one slice.

    A file that does not say where it lies counts as axial and unturned, as scanners export them.

    Returns
    -------
    Volume
        HU, shape (1, J, I), with padding as air.

    Raises
    ------
    InputError
        With one sentence, if it cannot be read, holds no single gray CT slice, is not axial, or not in HU.
    """
    header = _header(path)
    name = path.name
    if header.frames > 1:
        raise InputError(f"{name} holds {header.frames} slices; analyse it with `hemocam run`.")
    if header.modality != "CT" or header.samples != 1:
        what = f"modality {header.modality}" if header.modality != "CT" else "a picture in colours"
        raise InputError(f"{name} is no gray CT slice ({what}); export screen captures as PNG.")
    if "LOCALIZER" in header.image_type:
        raise InputError(f"{name} is a localizer, not an axial slice.")
    if min(header.row_spacing, header.column_spacing) <= 0:
        raise InputError(f"{name} does not say how large its pixels are (Pixel Spacing).")
    if min(header.rows, header.columns) < _MIN_EDGE:
        raise InputError(f"{name} has only {header.columns} x {header.rows} pixels; a head needs more.")
    row, column = np.eye(3)[:2] if header.row_cosine is None else (header.row_cosine, header.column_cosine)
    normal = np.cross(row, column)
    if np.argmax(np.abs(normal)) != 2:
        raise InputError(f"{name} is not an axial slice; analyse the whole series with `hemocam run`.")
    hu = read_hu(header)
    if not np.isfinite(hu).all():
        raise InputError(f"{name} holds pixels that are no numbers (NaN or infinite).")
    hu = hu.astype(np.float32)
    marked = None if header.padding is None else header.padding * header.slope + header.intercept
    padding_to_air(hu[0], marked)
    try:
        check_units(hu)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    lps = np.eye(4)
    lps[:3, 0] = row * header.column_spacing
    lps[:3, 1] = column * header.row_spacing
    lps[:3, 2] = normal * (header.thickness or _GAP_MM)
    lps[:3, 3] = 0 if header.position is None else header.position
    return Volume(hu, LPS_RAS @ lps, source={"format": "DICOM"})


def _header(path: Path) -> Header:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise InputError(
            f"The DICOM file {path.name} is cut off or damaged, or holds no image; copy it again."
        ) from None
    return parse_header(path, reader)
