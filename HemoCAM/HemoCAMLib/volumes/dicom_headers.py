"""What the headers of DICOM files say, file by file, without reading a pixel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..progress import Progress, silent

CT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image Storage
)
_NO_SLICE = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SCREEN SAVE"}


@dataclass(frozen=True)
class Header:
    """One slice (a file, or a frame of one): what is needed to sort, place and scale it; LPS, mm.

    ``frames`` is how many slices the file holds, ``frame`` which of them this is. ``position`` and the
    cosines are None where the file does not say where its slices lie.
    """

    path: Path
    series_uid: str
    series_number: int
    sop_uid: str
    modality: str
    image_type: tuple[str, ...]
    instance: int
    acquisition: int
    rows: int
    columns: int
    frames: int
    samples: int
    position: np.ndarray | None
    row_cosine: np.ndarray | None
    column_cosine: np.ndarray | None
    row_spacing: float
    column_spacing: float
    slope: float
    intercept: float
    padding: float | None
    thickness: float | None
    tilt: float | None
    kernel: str
    frame: int = 0

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the slice plane, LPS, shape (3,)."""
        return np.cross(self.row_cosine, self.column_cosine)

    @property
    def is_ct_slice(self) -> bool:
        """Tell whether this is a gray CT slice that says where it lies (no localizer, no screen capture)."""
        placed = self.position is not None and self.row_cosine is not None
        return self.modality == "CT" and self.samples == 1 and placed and not _NO_SLICE & set(self.image_type)


def scan(path: Path, progress: Progress = silent) -> list[Header]:
    """Read the headers of all DICOM images in a folder and below it, or of the folder that holds a file.

    Files that are not DICOM, and DICOM files without an image (reports, presentation states), are passed
    over. Links to folders are not followed.

    Raises
    ------
    InputError
        If a CT image is cut off or damaged: its slice must not go missing unnoticed.
    """
    files = sorted(_walk(path)) if path.is_dir() else sorted(p for p in path.parent.iterdir() if p.is_file())
    headers = []
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    for done, file in enumerate(files):
        progress("Reading headers", done, len(files))
        head = _head(file)
        if not is_dicom(head):
            continue
        reader.SetFileName(str(file))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            if _storage_class(head) in CT_CLASSES:
                raise InputError(
                    f"The DICOM file {file.name} is cut off or damaged; copy it again, or remove it to go on "
                    "without its slice."
                ) from None
            continue
        header = parse_header(file, reader)
        headers.extend(split_frames(header) if header.frames > 1 else [header])
    progress("Reading headers", len(files), len(files))
    return headers


def parse_header(file: Path, reader: sitk.ImageFileReader) -> Header:
    """Take a file's header from a reader that has read its information, one header for all its frames.

    Raises nothing. What is missing or damaged: a text is empty; instance, acquisition and series number are 0,
    spacings 0 mm; slope and intercept are 1 and 0; every other number is None.

    Parameters
    ----------
    file:
        What ``reader`` has read; kept as the header's ``path``.
    reader:
        Of GDCM, after ``ReadImageInformation``.

    Returns
    -------
    Header
        Position in LPS (mm), unit cosines of rows and columns (None where they are no right angle), spacings in
        mm, padding as a raw value before the rescale.
    """

    def text(tag: str) -> str:
        return reader.GetMetaData(tag).strip(" \0") if reader.HasMetaDataKey(tag) else ""

    def numbers(tag: str, count: int) -> np.ndarray | None:
        try:
            values = np.array([float(v) for v in text(tag).split("\\")])
        except ValueError:
            return None
        return values if len(values) == count and np.isfinite(values).all() else None

    def number(tag: str, default: float | None) -> float | None:
        value = numbers(tag, 1)
        return default if value is None else float(value[0])

    size = reader.GetSize()
    row, column = _cosines(numbers("0020|0037", 6))
    spacing = numbers("0028|0030", 2)
    modality = text("0008|0060") or ("CT" if text("0008|0016") in CT_CLASSES else "unknown")
    return Header(
        path=file,
        series_uid=text("0020|000e"),
        series_number=int(number("0020|0011", 0)),
        sop_uid=text("0008|0018"),
        modality=modality,
        image_type=tuple(part.strip().upper() for part in text("0008|0008").split("\\")),
        instance=int(number("0020|0013", 0)),
        acquisition=int(number("0020|0012", 0)),
        rows=size[1],
        columns=size[0],
        frames=size[2] if len(size) > 2 else 1,
        samples=reader.GetNumberOfComponents(),
        position=numbers("0020|0032", 3),
        row_cosine=row,
        column_cosine=column,
        row_spacing=float(spacing[0]) if spacing is not None else 0.0,
        column_spacing=float(spacing[1]) if spacing is not None else 0.0,
        slope=number("0028|1053", 1.0),
        intercept=number("0028|1052", 0.0),
        padding=_padding(number("0028|0120", None), text("0028|0103"), text("0028|0100")),
        thickness=number("0018|0050", None),
        tilt=number("0018|1120", None),
        kernel=text("0018|1210"),
    )


def split_frames(header: Header) -> list[Header]:
    """Turn a multi-frame file into one header a frame; into itself, without a position, where that fails.

    GDCM tells only the first frame's position and, where the steps are uneven, an invented spacing of 1 mm.
    The true ones stand in sequences that SimpleITK does not hand out, so they are searched in the bytes
    before the pixels, and believed only if there is exactly one a frame.
    """
    data = header.path.read_bytes()
    data = data[: max(0, data.rfind(b"\xe0\x7f\x10\x00"))]
    positions = _find_numbers(data, b"\x20\x00\x32\x00", 3)
    cosines = _find_numbers(data, b"\x20\x00\x37\x00", 6)
    spacings = _find_numbers(data, b"\x28\x00\x30\x00", 2)
    slopes = _find_numbers(data, b"\x28\x00\x53\x10", 1)
    intercepts = _find_numbers(data, b"\x28\x00\x52\x10", 1)
    n = header.frames
    if max(len(np.unique(slopes)), len(np.unique(intercepts))) > 1:
        return [replace(header, position=None)]  # GDCM knows only one rescale for all frames
    if len(positions) != n or len(cosines) not in (1, n) or len(spacings) not in (1, n):
        return [replace(header, position=None)]
    frames = []
    for k in range(n):
        row, column = _cosines(cosines[k % len(cosines)])
        row_spacing, column_spacing = spacings[k % len(spacings)]
        frames.append(
            replace(
                header,
                sop_uid=f"{header.sop_uid}#{k}",
                instance=k + 1,
                position=positions[k],
                row_cosine=row,
                column_cosine=column,
                row_spacing=float(row_spacing),
                column_spacing=float(column_spacing),
                slope=float(slopes[0][0]) if slopes else header.slope,
                intercept=float(intercepts[0][0]) if intercepts else header.intercept,
                frame=k,
            )
        )
    return frames


def is_dicom(head: bytes) -> bool:
    """Tell from a file's first kilobyte whether it may be DICOM: the magic word, or a bare group 0008."""
    return head[128:132] == b"DICM" or (head[:2] == b"\x08\x00" and head[3:4] == b"\x00")


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder, followlinks=False):
        files = (Path(parent) / name for name in names if name != "DICOMDIR")
        yield from (file for file in files if file.is_file())


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(1024)
    except OSError:
        return b""


def _storage_class(head: bytes) -> str:
    """Media storage class from the file meta header (0002,0002), which is always explicit little endian."""
    at = head.find(b"\x02\x00\x02\x00UI")
    if at < 0:
        return ""
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + length].decode("ascii", "replace").strip(" \0")


def _cosines(values: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Unit row and column directions, or None where they are no right angle (a header filled with zeros)."""
    if values is None:
        return None, None
    row, column = values[:3], values[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(row @ column) > 0.02:
        return None, None
    return row / lengths[0], column / lengths[1]


def _find_numbers(data: bytes, tag: bytes, count: int) -> list[np.ndarray]:
    """All values of a decimal-string element, little endian, with explicit or implicit type."""
    found = []
    for match in re.finditer(re.escape(tag) + rb"(?:DS(..)|(..)\x00\x00)", data, re.DOTALL):
        length = int.from_bytes(match[1] or match[2], "little")
        try:
            values = [float(v) for v in data[match.end() : match.end() + length].split(b"\\")]
        except ValueError:
            continue
        if len(values) == count:
            found.append(np.array(values))
    return found


def _padding(value: float | None, representation: str, bits: str) -> float | None:
    """Bring the raw padding value into the range of the raw pixels, whose sign it may have lost."""
    if value is None or not bits.isdigit():
        return value
    modulus = 2 ** int(bits)
    if representation == "1" and value >= modulus / 2:
        return value - modulus
    if representation == "0" and value < 0:
        return value + modulus
    return value
