"""NIfTI files, read by hand.

ITK reads a file that was cut off as zeros, refuses or rounds off a sheared sform, and tells the matrix to six
digits only; so the header (348 or 540 bytes) and the voxels are read here. Source of all offsets and of the
quaternion formula: nifti1.h and nifti2.h of the NIfTI Data Format Working Group.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError

_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
_CHUNK = 2**24
_LARGEST_OFFSET = 2**31


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI header says; ``sform`` and ``qform`` are IJK-to-RAS in mm, shape (4, 4), or None if unset."""

    size: tuple[int, ...]
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    sform: np.ndarray | None
    qform: np.ndarray | None
    spacing: np.ndarray

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """The sform, else the qform, else axes along RAS with the stated spacing."""
        if self.sform is not None:
            return self.sform
        return np.diag([*self.spacing, 1.0]) if self.qform is None else self.qform


def is_nifti(head: bytes) -> bool:
    """Tell from the first kilobyte (unpacked) whether it is a single-file NIfTI, version 1 or 2."""
    return head[344:347] == b"n+1" or head[4:7] == b"n+2"


def open_nifti(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip where it is packed, whatever its name says."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def read_header(path: Path) -> NiftiHeader:
    """Read and check the header.

    Raises
    ------
    InputError
        If it is cut off or states a voxel type that is no plain number.
    """
    with open_nifti(path) as stream:
        head = stream.read(540)
    with np.errstate(all="ignore"):  # a damaged header may hold anything; its values are checked
        return _parse(head, path.name)


def _parse(head: bytes, name: str) -> NiftiHeader:
    order = "<" if int.from_bytes(head[:4], "little") in (348, 540) else ">"
    second = head[4:7] == b"n+2"
    if len(head) < (540 if second else 348):
        raise InputError(f"{name} is cut off within its header; copy it again.")

    def get(one: int, two: int, type_one: str, type_two: str, count: int = 1) -> np.ndarray:
        at, kind = (two, type_two) if second else (one, type_one)
        return np.frombuffer(head, order + kind, count, at)

    dims = get(40, 16, "i2", "i8", 8).astype(int)
    code = int(get(70, 12, "i2", "i2")[0])
    if code not in _TYPES:
        raise InputError(f"{name} holds colours, complex numbers or bits, not one number a voxel.")
    pixdim = get(76, 104, "f4", "f8", 8).astype(float)
    slope, intercept = (float(get(112, 176, "f4", "f8")[0]), float(get(116, 184, "f4", "f8")[0]))
    plain = slope == 0 or not np.isfinite([slope, intercept]).all()
    unit = _UNIT_MM.get(int(get(123, 500, "u1", "i4")[0]) & 7, 1.0)
    qform_code, sform_code = int(get(252, 344, "i2", "i4")[0]), int(get(254, 348, "i2", "i4")[0])
    sform = np.vstack([get(280, 400, "f4", "f8", 12).astype(float).reshape(3, 4) * unit, [0, 0, 0, 1]])
    offset = float(get(108, 168, "f4", "i8")[0])
    if not 0 <= offset < _LARGEST_OFFSET:
        raise InputError(
            f"{name} has a damaged header: no voxels can start at byte {offset:g}; copy it again."
        )
    spacing = np.abs(pixdim[1:4]) * unit
    quaternion = get(256, 352, "f4", "f8", 6).astype(float)
    return NiftiHeader(
        size=tuple(int(d) for d in dims[1 : 1 + min(max(int(dims[0]), 0), 7)]),
        dtype=np.dtype(order + _TYPES[code]),
        offset=int(offset) or (544 if second else 352),
        slope=1.0 if plain else slope,
        intercept=0.0 if plain else intercept,
        sform=sform if sform_code > 0 else None,
        qform=_qform(quaternion, spacing, pixdim[0], unit) if qform_code > 0 else None,
        spacing=spacing,
    )


def read_voxels(path: Path, header: NiftiHeader) -> np.ndarray:
    """Read the voxels of a volume, shape (K, J, I), scaled where the header says so (then float32).

    Raises
    ------
    InputError
        If there are fewer bytes than the header promises, or the packed stream is broken.
    """
    shape = header.size[2::-1]
    raw = np.empty(int(np.prod(shape)), dtype=header.dtype)
    view = memoryview(raw).cast("B")
    done = 0
    try:
        with open_nifti(path) as stream:
            stream.seek(header.offset)
            while done < len(view) and (got := stream.readinto(view[done : done + _CHUNK])):
                done += got
            stream.read(1)  # reaches the end of a packed stream, and so its checksum
    except (EOFError, OSError, zlib.error):
        done = min(done, len(view) - 1)
    if done < len(view):
        raise InputError(
            f"{path.name} is cut off or damaged: it holds less than its header says; copy it again."
        )
    array = raw.reshape(shape)
    if not array.dtype.isnative:
        array = array.byteswap().view(array.dtype.newbyteorder())
    if (header.slope, header.intercept) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):
            array = array.astype(np.float32) * np.float32(header.slope) + np.float32(header.intercept)
    return array


def _qform(values: np.ndarray, spacing: np.ndarray, qfac: float, unit: float) -> np.ndarray:
    """Affine of a unit quaternion (b, c, d given, a >= 0) and an offset; method 2 of nifti1.h."""
    b, c, d = values[:3]
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * (spacing * [1, 1, -1 if qfac < 0 else 1])
    matrix[:3, 3] = values[3:] * unit
    return matrix
