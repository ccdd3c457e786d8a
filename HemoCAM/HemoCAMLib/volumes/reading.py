"""One door for every kind of input: DICOM folders and files, NIfTI, NRRD, MetaImage; CTs and labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..progress import Progress, silent
from .dicom import read_dicom
from .dicom_headers import is_dicom
from .files import file_format, read_image, read_layers
from .headct import check_head_ct
from .padding import padding_to_air
from .volume import Volume


def read_ct(path: Path, series_uid: str | None = None, progress: Progress = silent) -> Volume:
    """Read a head CT in HU, with padding as air, and make sure that it is one.

    Parameters
    ----------
    path:
        A DICOM folder or file, or a NIfTI, NRRD or MetaImage file, told apart by content.
    series_uid:
        For DICOM: SeriesInstanceUID or a unique ending of it; None takes the axial CT series with the most
        slices.
    progress:
        Called for each file or step.

    Returns
    -------
    Volume
        HU, shape (K, J, I), int16 or, with fractions of HU, float32; with ``acquired``, ``findings`` and
        ``source``.

    Raises
    ------
    InputError
        With one sentence, if it cannot be read or is no CT of a head.
    """
    _check_exists(path)
    if path.is_dir() or _is_dicom(path):
        volume = read_dicom(path, series_uid, progress)
    else:
        progress("Reading the volume", 0, 1)
        volume = _as_hu(read_image(path))
        progress("Reading the volume", 1, 1)
    check_head_ct(volume)
    return volume


def read_labels(path: Path) -> Volume:
    """Read a reference segmentation: 0 is background, each other integer a structure.

    Parameters
    ----------
    path:
        A NIfTI, NRRD (also .seg.nrrd) or MetaImage file. A segmentation in several layers (segments that
        overlap) becomes 1 wherever any of them is.

    Returns
    -------
    Volume
        Labels, shape (K, J, I), the smallest unsigned integer type that holds them.

    Raises
    ------
    InputError
        If it cannot be read, or holds fractions or negative numbers.
    """
    _check_exists(path)
    if path.is_dir() or _is_dicom(path):
        raise InputError("Labels are read from one NIfTI, NRRD or MetaImage file; convert the DICOM first.")
    volume = read_layers(path)
    array = volume.array
    low, high = array.min(), array.max()
    if low < 0 or high > np.iinfo(np.uint32).max or (array.dtype.kind == "f" and not _integral(array)):
        raise InputError(
            f"{path.name} is no label map: it holds fractions or negative numbers ({low:g} to {high:g})."
        )
    labels = array.astype(np.min_scalar_type(int(high)), copy=False)
    return replace(volume, array=labels, name="Reference")


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise InputError(f"There is no file or folder {path.name}.")


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(1024)
    except OSError:
        raise InputError(f"{path.name} cannot be opened; check its permissions.") from None
    return is_dicom(head) and file_format(path) is None


def _as_hu(volume: Volume) -> Volume:
    """Bring a file's voxels to int16 (or float32) and its padding to air."""
    array = volume.array
    limits = np.iinfo(np.int16)
    whole = array.dtype.kind in "iu" or _integral(array)
    if whole and array.min() >= limits.min and array.max() <= limits.max:
        array = array.astype(np.int16, copy=False)
    elif whole or array.dtype != np.float32:
        array = array.astype(np.float32)
    padding = sum(padding_to_air(part) for part in array)
    return replace(volume, array=array, source={**volume.source, "padding_voxels": padding})


def _integral(array: np.ndarray) -> bool:
    return all(bool((part == np.rint(part)).all()) for part in array)
