"""Volumes in single files: NIfTI, NRRD and MetaImage read; NRRD, MetaImage and NIfTI written."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, OutputError
from .nifti import is_nifti, open_nifti, read_header, read_voxels
from .text_header import check_text_header
from .volume import LPS_RAS, Volume

_ITK = {"NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}
_WRITTEN = (".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz")
_MAX_BYTES = 4 * 2**30
_MAX_SPACING_MM = 1000.0
_PACKED_AT_MOST = 1100  # deflate cannot pack tighter, so a smaller file has lost something


def file_format(path: Path) -> str | None:
    """Return "NIfTI", "NRRD" or "MetaImage" from a file's first bytes, or None."""
    try:
        with open_nifti(path) as stream:
            head = stream.read(1024)
    except (EOFError, OSError, zlib.error):
        return None
    if is_nifti(head):
        return "NIfTI"
    if head.startswith(b"NRRD000"):
        return "NRRD"
    return "MetaImage" if b"NDims" in head and b"=" in head else None


def read_image(path: Path) -> Volume:
    """Read one 3-D volume with one number a voxel; voxels and affine as the file states them.

    Parameters
    ----------
    path:
        A NIfTI (.nii, .nii.gz), NRRD or MetaImage file, told apart by content.

    Returns
    -------
    Volume
        Shape (K, J, I), the file's own type; ``source`` names the format and the file.

    Raises
    ------
    InputError
        If it is another format, damaged, no single 3-D volume, or holds NaN or an impossible geometry.
    """
    array, matrix, findings, source = _read(path)
    if array.ndim != 3:
        raise InputError(
            f"{path.name} holds {array.shape[-1]} numbers a voxel (colours or vectors), not one."
        )
    return Volume(array, matrix, findings=findings, source=source)


def read_layers(path: Path) -> Volume:
    """Read labels; the layers of a segmentation with several are merged to 1 where any is above 0.

    Errors as in :func:`read_image`.
    """
    array, matrix, findings, source = _read(path)
    if array.ndim == 4:
        array = (array > 0).any(axis=-1).astype(np.uint8)
    return Volume(array, matrix, findings=findings, source=source)


def write_image(volume: Volume, path: Path, compress: bool = True) -> None:
    """Write a volume; the extension names the format (.nrrd, .mha, .nii, .nii.gz and their kin).

    NRRD and MetaImage keep any affine, sheared ones too, to double precision. bool becomes uint8, float16
    becomes float32.

    Raises
    ------
    OutputError
        If the format is unknown or cannot hold a sheared grid, or the file cannot be written.
    """
    name = path.name.lower()
    if not name.endswith(_WRITTEN):
        raise OutputError(f"{path.name} has no extension of a format that is written here: use .nrrd.")
    spacing = volume.spacing
    cosines = volume.ijk_to_ras[:3, :3] / spacing
    if name.endswith((".nii", ".nii.gz")) and np.abs(cosines.T @ cosines - np.eye(3)).max() > 1e-5:
        raise OutputError(
            f"{path.name}: a sheared volume (gantry tilt) cannot be written as NIfTI; use .nrrd."
        )
    array = volume.array
    if array.dtype.name in ("bool", "float16"):
        array = array.astype(np.uint8 if array.dtype == bool else np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((LPS_RAS @ volume.ijk_to_ras)[:3, 3].tolist())
    image.SetDirection((LPS_RAS[:3, :3] @ cosines).ravel().tolist())
    try:
        sitk.WriteImage(image, str(path), useCompression=compress)
    except RuntimeError:
        raise OutputError(
            f"{path.name} cannot be written: is the folder there, writable and not full?"
        ) from None


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], dict]:
    kind = file_format(path)
    if kind is None:
        empty = path.is_file() and path.stat().st_size == 0
        raise InputError(
            f"{path.name} is empty."
            if empty
            else f"{path.name} is neither DICOM, NIfTI, NRRD nor MetaImage, or is damaged at its beginning."
        )
    array, matrix, findings = _read_nifti(path) if kind == "NIfTI" else _read_itk(path, kind)
    if array.dtype.kind == "f":
        strange = sum(int(np.count_nonzero(~np.isfinite(part))) for part in array)
        if strange:
            raise InputError(f"{path.name} holds {strange} voxels that are no numbers (NaN or infinite).")
    return array, matrix, findings, {"format": kind}  # a file's name may be a patient's


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    header = read_header(path)
    _check_size(path, header.size, header.dtype.itemsize)
    matrix = header.ijk_to_ras
    _check_affine(path, matrix)
    findings: tuple[str, ...] = ()
    if header.sform is not None and header.qform is not None and np.isfinite(header.qform).all():
        corners = np.array([(i, j, k, 1) for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [
            *(n - 1 for n in header.size[:3]),
            1,
        ]
        apart = float(np.linalg.norm(((header.sform - header.qform) @ corners.T)[:3], axis=0).max())
        if apart > 1.0:
            findings = (
                f"The NIfTI file states two positions up to {apart:.0f} mm apart; its sform was taken, not its "
                "qform.",
            )
    return read_voxels(path, header), matrix, findings


def _read_itk(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    check_text_header(path, kind, path.name)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_ITK[kind])
    reader.SetFileName(str(path))
    damaged = InputError(
        f"{path.name} cannot be read as {kind}: it is cut off, damaged or lacks its data file."
    )
    try:
        reader.ReadImageInformation()
        size, spacing = reader.GetSize(), np.array(reader.GetSpacing())
        cosines = np.array(reader.GetDirection()).reshape(len(size), len(size))
        components = reader.GetNumberOfComponents()
    except RuntimeError:
        raise damaged from None
    value = sitk.Image([1] * min(len(size), 3), reader.GetPixelID(), components) if len(size) == 3 else None
    _check_size(path, size, components * (value.GetSizeOfPixelComponent() if value else 1))
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise InputError(f"{path.name} holds complex numbers, not one number a voxel.")
    lps = np.eye(4)
    with np.errstate(invalid="ignore"):
        lps[:3, :3] = cosines[:3, :3] * spacing[:3]
    lps[:3, 3] = reader.GetOrigin()[:3]
    _check_affine(path, LPS_RAS @ lps)
    try:
        image = reader.Execute()
    except (RuntimeError, MemoryError):
        raise damaged from None
    array = sitk.GetArrayFromImage(image)
    if len(size) == 4:
        array = array[0]
    return array, LPS_RAS @ lps, ()


def _check_size(path: Path, size: tuple[int, ...], bytes_a_voxel: int) -> None:
    """Refuse, before any memory is asked for, what is no 3-D volume or cannot be one."""
    text = " x ".join(str(n) for n in size)
    if len(size) < 3 or min(size) < 1 or any(n != 1 for n in size[3:]):
        raise InputError(f"{path.name} holds {text or 'no'} voxels: not one volume with three axes.")
    if min(size[:3]) < 2:
        raise InputError(f"{path.name} holds a single slice ({text} voxels); give the whole volume.")
    expected = math.prod(size) * bytes_a_voxel
    if expected > _MAX_BYTES:
        raise InputError(f"{path.name} claims to hold {text} voxels, more than 4 GiB: too large, or damaged.")
    if path.suffix.lower() not in (".nhdr", ".mhd") and path.stat().st_size * _PACKED_AT_MOST < expected:
        raise InputError(f"{path.name} is cut off: it is far smaller than the {text} voxels of its header.")


def _check_affine(path: Path, matrix: np.ndarray) -> None:
    if not np.isfinite(matrix).all():
        raise InputError(f"{path.name} states a position or spacing that is no number (NaN or infinite).")
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if spacing.min() < 1e-3 or spacing.max() > _MAX_SPACING_MM:
        text = " x ".join(f"{s:g}" for s in spacing)
        raise InputError(f"{path.name} states an impossible voxel spacing of {text} mm; correct its header.")
    if abs(np.linalg.det(matrix[:3, :3] / spacing)) < 0.05:
        raise InputError(
            f"{path.name} states axes that lie in one plane; correct the directions in its header."
        )
