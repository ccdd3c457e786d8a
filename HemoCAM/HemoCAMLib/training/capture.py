"""Virtual screen captures: HU shown through an unknown window, photographed off a screen, and read back.

A screen capture has lost its HU, and its window is unknown. HemoCAM does not guess it: a gray value g of 0 to 1
is read as if the window were the brain window 40/80, that is, as 80 g HU. Captures made here with random windows
are misread in just this way, so that a network trained on them learns not to depend on the window.
"""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING

import numpy as np

from .augment import Draw

if TYPE_CHECKING:
    import torch

READ_CENTRE, READ_WIDTH = 40.0, 80.0  # the window that every capture is read with
CENTRES, WIDTHS = (26.0, 52.0), (60.0, 200.0)  # windows that people look at brains with, HU
_LETTERS = string.ascii_uppercase + string.digits * 2 + " /:.-"
# Luminance quantisation of JPEG, ITU-T T.81 (1992), table K.1.
_QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


def capture(hu: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Turn slices into screen captures and read them back.

    In turn: a display window and gamma; for some, low resolution; a gray level of the background; a rectangle
    that was cut out (black beyond it); burnt-in letters; JPEG blocks.

    Parameters
    ----------
    hu:
        float32, shape (n, size, size), HU, framed as pictures are.
    draw:
        Randomness for n slices.

    Returns
    -------
    torch.Tensor
        What a reader that knows no window takes for HU: 0 to 80, shape (n, size, size).
    """
    import torch

    gray = _window(hu, draw)
    gray = _lose_resolution(gray, draw)
    black = torch.where(draw.chance(0.3), draw.uniform(0.0, 0.12), torch.zeros(draw.n, device=hu.device))
    white = torch.where(draw.chance(0.6), torch.ones_like(black), draw.uniform(0.85, 1.0))
    gray = black[:, None, None] + gray * (white - black)[:, None, None]
    gray = _cut(gray, draw)
    gray = _write(gray, draw)
    gray = _compress(gray, draw)
    return READ_CENTRE - READ_WIDTH / 2 + READ_WIDTH * gray.clamp(0, 1)


def _window(hu: torch.Tensor, draw: Draw) -> torch.Tensor:
    centre = draw.uniform(*CENTRES)
    width = draw.uniform(math.log(WIDTHS[0]), math.log(WIDTHS[1])).exp()
    shown = ((hu - (centre - width / 2)[:, None, None]) / width[:, None, None]).clamp(0, 1)
    return shown ** draw.log_normal(0.18)[:, None, None]


def _lose_resolution(gray: torch.Tensor, draw: Draw, share: float = 0.35) -> torch.Tensor:
    """Make some slices coarse, 0.4 to 0.9 of their pixels, and interpolate them back as viewers do."""
    import torch.nn.functional as F  # noqa: N812

    size = gray.shape[-1]
    gray = gray.clone()
    chosen, factors = draw.chance(share).tolist(), draw.uniform(0.4, 0.9).tolist()
    for n, factor in enumerate(factors):
        if chosen[n]:
            coarse = max(8, round(size * factor))
            small = F.interpolate(gray[n][None, None], (coarse, coarse), mode="area")
            gray[n] = F.interpolate(small, (size, size), mode="bilinear", align_corners=False)[0, 0]
    return gray


def _cut(gray: torch.Tensor, draw: Draw, share: float = 0.3) -> torch.Tensor:
    """Black out what lies beyond a rectangle, for some: up to 14 % of the square on each side."""
    import torch

    size = gray.shape[-1]
    index = torch.arange(size, device=gray.device)
    chosen = draw.chance(share)[:, None]
    inside = []
    for _ in range(2):
        low, high = (draw.uniform(-0.08, 0.14).clamp_min(0)[:, None] * size for _ in range(2))
        inside.append(~chosen | ((index >= low) & (index < size - high)))
    return gray * (inside[0][:, :, None] & inside[1][:, None, :])


def _write(gray: torch.Tensor, draw: Draw, share: float = 0.35) -> torch.Tensor:
    """Burn one to three lines of letters into some slices, mostly near the edges."""
    import torch

    size = gray.shape[-1]
    gray = gray.clone()
    for n, wanted in enumerate(draw.chance(share).tolist()):
        if not wanted:
            continue
        for _ in range(draw.integers(1, 4, 1)[0]):
            length, height, where, at_x, at_y, shade = (
                draw.integers(*limits, 1)[0]
                for limits in ((1, 9), (7, max(8, size // 11)), (0, 5), (0, 1000), (0, 1000), (128, 256))
            )
            text = "".join(_LETTERS[k] for k in draw.integers(0, len(_LETTERS), length))
            stamp = torch.from_numpy(_stamp(text, height, size)).to(gray.device) * (shade / 255)
            rows, columns = stamp.shape
            free = (size - rows, size - columns)
            y, x = free[0] * at_y // 1000, free[1] * at_x // 1000
            if where < 2:  # top or bottom
                y = (1 + at_y % 3, free[0] - 1 - at_y % 3)[where]
            elif where < 4:  # left or right
                x = (1 + at_x % 3, free[1] - 1 - at_x % 3)[where - 2]
            y, x = min(max(y, 0), free[0]), min(max(x, 0), free[1])
            part = gray[n, y : y + rows, x : x + columns]
            torch.maximum(part, stamp, out=part)
    return gray


def _stamp(text: str, height: int, limit: int) -> np.ndarray:
    """``text`` in white on black, float32 0..1, at most ``limit`` pixels along either edge."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(height)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (min(max(right - left, 1), limit), min(max(bottom - top, 1), limit)))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font)
    return np.asarray(image, np.float32) / 255


def _compress(gray: torch.Tensor, draw: Draw, share: float = 0.3) -> torch.Tensor:
    """Round the cosine coefficients of 8 x 8 blocks as JPEG does, for some, at qualities 25 to 85."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    n, size = gray.shape[0], gray.shape[-1]
    chosen, quality = draw.chance(share), draw.uniform(25, 85)
    missing = -size % 8
    padded = F.pad(gray[:, None], (0, missing, 0, missing), mode="replicate")[:, 0] if missing else gray
    count = padded.shape[-1] // 8
    k = torch.arange(8, dtype=torch.float32, device=gray.device)
    cosine = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    cosine[0] /= math.sqrt(2)
    blocks = padded.view(n, count, 8, count, 8).transpose(2, 3) * 255 - 128
    # the usual scale of the table with the quality (libjpeg)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None, None, None]
    step = (torch.tensor(_QUANTISATION, dtype=torch.float32, device=gray.device) * scale).clamp_min(1)
    rounded = torch.round(cosine @ blocks @ cosine.T / step) * step
    lossy = (cosine.T @ rounded @ cosine + 128) / 255
    lossy = lossy.transpose(2, 3).reshape(n, count * 8, count * 8)[:, :size, :size]
    return torch.where(chosen[:, None, None], lossy.clamp(0, 1), gray)
