"""Single slices in .npy files, from anywhere: never a pickle, never more memory than a slice takes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..errors import InputError

_MOST_PIXELS = 2**26
_LONGEST_SIDE = 2**14


def npy_shape(path: Path, name: str) -> tuple[int, int]:
    """Return rows and columns of a slice from its header; no pixel is read.

    Parameters
    ----------
    path:
        The file.
    name:
        What errors call it.

    Raises
    ------
    InputError
        If it is empty, cut off, no .npy file, of objects (a pickle), of no plain numbers, or no slice.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            shape, dtype = _header(stream)
            start = stream.tell()
    except OSError as error:
        raise InputError(f"{name} cannot be opened ({error.strerror}).") from None
    except (ValueError, EOFError, SyntaxError, RecursionError, MemoryError, TypeError):
        what = "is empty." if size == 0 else "is no .npy file, or is damaged at its beginning."
        raise InputError(f"{name} {what}") from None
    if dtype.hasobject:
        raise InputError(
            f"{name} holds Python objects (a pickle), which are never loaded; save plain numbers."
        )
    if dtype.kind not in "biuf":
        raise InputError(f"{name} holds {dtype}, no plain numbers.")
    text = " x ".join(str(n) for n in shape[:4]) + (" x ..." if len(shape) > 4 else "")
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"{name} holds {text or 'a single number'}, no rows and columns of one slice.")
    if max(shape) > _LONGEST_SIDE or math.prod(shape) > _MOST_PIXELS:
        raise InputError(f"{name} claims to hold {text} pixels: too large for a slice, or damaged.")
    if size < start + math.prod(shape) * dtype.itemsize:
        raise InputError(
            f"{name} is cut off: it is smaller than the {text} pixels of its header; copy it again."
        )
    return shape


def read_npy(path: Path, name: str) -> np.ndarray:
    """Read a slice, shape (rows, columns), the file's own type of number.

    Errors as in :func:`npy_shape`, or if it holds NaN or infinite values.
    """
    npy_shape(path, name)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise InputError(f"{name} cannot be read: it is damaged; copy it again.") from None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        strange = int(np.count_nonzero(~np.isfinite(array)))
        raise InputError(f"{name} holds {strange} pixels that are no numbers (NaN or infinite).")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _header(stream) -> tuple[tuple[int, ...], np.dtype]:  # noqa: ANN001  (a binary stream)
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:  # version 3 is for structured types with names in UTF-8
        raise ValueError(version)
    shape, _, dtype = read(stream)
    return tuple(shape), dtype
