"""Gray pictures of head CT slices (screen captures), and the square of the network on them.

A screen capture has lost its HU: which HU is black and which is white, the display window, is unknown. HemoCAM does
not guess it. A gray value g in 0..1 is read as if the window were the one that the bundle names (40/80 in the
shipped one, so HU = 80 g), right or wrong. The network has been trained on virtual captures that were made with
random windows and misread in just this way, so it has learnt to be indifferent to the window; what that costs is
in the calibration, which pictures have for themselves (``input.picture`` of the manifest).

Neither do pictures have millimetres. The skull is found, and its bounding box placed so that the longer side fills
a fixed share of the square, with one antialiased resampling (:class:`~.headgrid.HeadGrid`, one pixel counting as
one millimetre); outside the picture is black.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .headgrid import HeadGrid

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..models.manifest import Manifest

SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # PNG, JPEG
_FORMATS = ("PNG", "JPEG")
_MAX_PIXELS = 50_000_000  # a whole 8K screen has 33 million
_MIN_EDGE = 32
_FLAT = 0.02

_COARSE = 256  # pixels along the longer edge are enough to find a head
_BODY = 0.12  # of the way from the picture's black to its white: brain, skin, skull
_BONE = 0.75
_PIECE = 0.04  # of the head's area: pieces of a skull base, but no letters
_LEAST_HEAD = 0.03  # of the picture's area
_SCALP = 0.12  # of the head's height or width: where no bone is nearer than this, there was none
_WHITE_GROUND = 0.6


def read_picture(path: Path) -> np.ndarray:
    """Read a PNG or JPEG file as gray.

    Colours count by their luma (ITU-R BT.601), transparent parts lie over black, and a JPEG's EXIF rotation is
    applied. 8 bits: 0 is black, 255 white. 16-bit gray: its own smallest value is black, its largest white, as
    fewer than 16 bits are often in use; 16-bit colours are read to 8 bits.

    Returns
    -------
    numpy.ndarray
        Gray, float32, 0 (black) to 1 (white), shape (rows, columns), upright.

    Raises
    ------
    InputError
        If it cannot be read, is cut off, too large or too small, of one gray throughout, or on white ground.
    """
    gray = _decode(path)
    if min(gray.shape) < _MIN_EDGE:
        raise InputError(
            f"{path.name} has only {gray.shape[1]} x {gray.shape[0]} pixels; a head needs at least "
            f"{_MIN_EDGE} x {_MIN_EDGE}."
        )
    if float(np.ptp(gray)) < _FLAT:
        raise InputError(f"{path.name} has one gray throughout; there is no head in it.")
    if _corners(gray).min() > _WHITE_GROUND:
        raise InputError(
            f"{path.name} shows something on white ground; crop its margin, or invert it: air is black in a CT."
        )
    return gray


def _decode(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = path.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is judged here
            image = Image.open(path, formats=_FORMATS)
        with image:
            width, height = image.size
            if width * height > _MAX_PIXELS:
                raise InputError(
                    f"{name} claims to have {width} x {height} pixels: too large for one slice, or damaged."
                )
            if getattr(image, "is_animated", False) and image.format == "PNG":
                raise InputError(f"{name} is an animation; give its pictures one by one.")
            upright = ImageOps.exif_transpose(image)
            return _gray(upright)
    except Image.DecompressionBombError:
        raise InputError(f"{name} claims to have too many pixels for one slice, or is damaged.") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{name} is empty."
            if path.stat().st_size == 0
            else f"{name} is no PNG or JPEG picture, or is damaged at its beginning."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{name} cannot be opened ({error.strerror}).") from None
        raise InputError(f"{name} is cut off or damaged; copy it again.") from None


def _gray(image: Image) -> np.ndarray:
    if image.mode.startswith("I"):  # 16-bit gray
        values = np.asarray(image).astype(np.float32)
        low, high = float(values.min()), float(values.max())
        return (values - low) / max(high - low, 1.0)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        colours = np.asarray(image.convert("RGBA"), np.float32)
        luma = np.asarray(image.convert("RGBA").convert("RGB").convert("L"), np.float32)
        return luma * colours[..., 3] / np.float32(255 * 255)
    return np.asarray(image.convert("RGB").convert("L"), np.float32) / np.float32(255)


def _corners(gray: np.ndarray) -> np.ndarray:
    """Median gray of the four corners, each 4% of an edge wide."""
    r, c = (max(2, n // 25) for n in gray.shape)
    return np.array(
        [np.median(gray[a, b]) for a in (slice(r), slice(-r, None)) for b in (slice(c), slice(-c, None))]
    )


def skull_box(gray: np.ndarray) -> tuple[slice, slice]:
    """Find the bounding box of the skull.

    The head is the largest piece that is not black, its inside filled, so that letters, colour bars and headrest
    do not count. In it, the skull is all that is nearly white and part of a larger piece. A side without a white
    skull (craniectomy, a very wide window) ends where the head does; without a head the whole picture counts.

    Parameters
    ----------
    gray:
        0..1, shape (rows, columns).

    Returns
    -------
    tuple
        Rows and columns, true to a 256th of the longer edge.
    """
    block = -(-max(gray.shape) // _COARSE)
    small = _shrunk(gray, block)
    dark, light = np.percentile(small, [2, 99])
    level = (small - dark) / max(float(light - dark), 0.1)
    head = _head(level)
    if head is None:
        return tuple(slice(0, n) for n in gray.shape)
    bones = _bones(level, head)
    box = []
    for axis, (own, count) in enumerate(zip(_box(head), gray.shape, strict=True)):
        start = min((bone[axis].start for bone in bones), default=own.stop)
        stop = max((bone[axis].stop for bone in bones), default=own.start)
        scalp = _SCALP * (own.stop - own.start)
        start = start if start - own.start <= scalp else own.start
        stop = stop if own.stop - stop <= scalp else own.stop
        box.append(slice(start * block, min(stop * block, count)))
    return tuple(box)


def _head(level: np.ndarray) -> np.ndarray | None:
    """The largest piece that is not black, filled, without what is thinner than five pixels; None if it is small."""
    body = ndimage.binary_opening(ndimage.binary_fill_holes(level > _BODY), iterations=2)
    pieces, count = ndimage.label(body)
    areas = np.bincount(pieces.ravel(), minlength=2)[1:]
    if not count or areas.max() < _LEAST_HEAD * level.size:
        return None
    return pieces == 1 + int(np.argmax(areas))


def _bones(level: np.ndarray, head: np.ndarray) -> list[tuple[slice, slice]]:
    """Boxes of the larger white pieces that belong to the head, thin walls around the orbits included."""
    white = level >= _BONE
    inside = white & ndimage.binary_dilation(head, iterations=2)
    # sutures and gaps are closed within the head only, or letters beside it would be joined to it
    white |= ndimage.binary_closing(np.pad(inside, 2), iterations=2)[2:-2, 2:-2]
    pieces, _ = ndimage.label(white, np.ones((3, 3)))
    boxes, least = ndimage.find_objects(pieces), _PIECE * head.sum()
    kept = []
    for number in np.unique(pieces[inside]):
        piece = pieces[boxes[number - 1]] == number
        if piece.size >= least and ndimage.binary_fill_holes(piece).sum() >= least:
            kept.append(boxes[number - 1])
    return kept


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    return ndimage.find_objects(mask.astype(np.uint8))[0]


def _shrunk(gray: np.ndarray, block: int) -> np.ndarray:
    """Means of blocks; a block that reaches over the edge repeats the last row or column."""
    if block == 1:
        return gray
    padded = np.pad(gray, [(0, -n % block) for n in gray.shape], mode="edge")
    rows, columns = (n // block for n in padded.shape)
    return padded.reshape(rows, block, columns, block).mean(axis=(1, 3))


def picture_grid(gray: np.ndarray, size: int, fill: float) -> HeadGrid:
    """Lay the network's square over a picture so that the skull's longer side fills ``fill`` of its edge.

    Parameters
    ----------
    gray:
        0..1, shape (rows, columns).
    size:
        Pixels along the square's edge.
    fill:
        In (0, 1].

    Returns
    -------
    HeadGrid
        With the picture's pixels as millimetres: ``sample_values`` goes in, ``paint`` comes back.
    """
    box = skull_box(gray)
    centre = tuple((b.start + b.stop - 1) / 2 for b in box)
    longer = max(b.stop - b.start for b in box)
    return HeadGrid(size, longer / fill, centre, gray.shape, (1.0, 1.0))


def picture_hu(gray: np.ndarray, grid: HeadGrid, manifest: Manifest) -> np.ndarray:
    """Bring a picture to the network's square and read its gray as if its window were the bundle's.

    Parameters
    ----------
    gray:
        0..1, shape (rows, columns).
    grid:
        From :func:`picture_grid`.
    manifest:
        Of a bundle that takes pictures.

    Returns
    -------
    numpy.ndarray
        Pseudo-HU, float32, shape (size, size): ``centre + (g - 1/2) * width``; black outside the picture.

    Raises
    ------
    ModelError
        If the bundle does not take pictures.
    """
    window = manifest.for_pictures().picture
    inside = grid.sample_values(gray[None])[0]
    return np.float32(window.centre) + (inside - np.float32(0.5)) * np.float32(window.width)
