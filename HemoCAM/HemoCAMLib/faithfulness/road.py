"""ROAD: remove and debias. As deletion, but removed pixels are filled from around them, so that no hole gives hints.

Y. Rong, T. Leemann, V. Borisov, G. Kasneci and E. Kasneci, "A Consistent and Efficient Evaluation Strategy for
Attribution Methods", ICML 2022. The filling is that of their code and of pytorch-grad-cam's ``metrics.road``: every
removed pixel is the weighted mean of its eight neighbours (1/6 beside, 1/12 across the corner; at the border, of
those there are), which is one sparse linear system a picture, and carries a little noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..cams.target import Target, Targets
from ..errors import OptionError
from ..progress import Progress, silent
from .forward import Forward, as_probability, check_maps, relevance_order, target_scores

if TYPE_CHECKING:
    from torch import Tensor

PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90)
NOISE = 0.01
_NEIGHBOURS = {
    (dy, dx): 1 / 6 if 0 in (dy, dx) else 1 / 12
    for dy in (-1, 0, 1)
    for dx in (-1, 0, 1)
    if (dy, dx) != (0, 0)
}


@dataclass(frozen=True)
class Road:
    """A target's score with pixels removed; p percentiles.

    Parameters
    ----------
    percentiles:
        Share of the pixels that is kept, in percent, (p,).
    original:
        Score of the slice as it is, (n,).
    most, least:
        Score with the most relevant, with the least relevant pixels removed, (n, p).
    targets:
        One a slice.
    unit:
        ``logit``: the score is ``sign * logit``. ``probability``: 0 to 1.
    """

    percentiles: np.ndarray
    original: np.ndarray
    most: np.ndarray
    least: np.ndarray
    targets: tuple[Target, ...]
    unit: str = "logit"

    def probabilities(self, calibration: tuple[float, float] = (1.0, 0.0)) -> Road:
        """The same scores in probability; see :func:`~.forward.as_probability`."""
        if self.unit == "probability":
            return self
        original, most, least = (
            as_probability(s, list(self.targets), calibration) for s in (self.original, self.most, self.least)
        )
        return replace(self, original=original, most=most, least=least, unit="probability")

    @property
    def combined(self) -> np.ndarray:
        """(least - most) / 2, mean over the percentiles, (n,): the library's ``ROADCombined``.

        Large is faithful; 0 is what a map without knowledge has on average. In probability, -0.5 to 0.5.
        """
        return (self.least - self.most).mean(axis=1) / 2


def road(
    forward: Forward,
    batch: Tensor,
    maps: np.ndarray,
    targets: Targets,
    percentiles: tuple[float, ...] = PERCENTILES,
    noise: float = NOISE,
    seed: int = 0,
    progress: Progress = silent,
) -> Road:
    """Remove the most and the least relevant pixels of each slice and fill them in from around.

    At percentile q the library keeps pixels below the q-th percentile of the map, or of one minus the map. Here as
    many are kept, by order: the same pixels wherever no two are equal. Of a map with equal pixels (clipped at 0, say)
    the library may remove far more than asked, up to all; here equal ones are taken at random.

    Parameters
    ----------
    forward:
        The network.
    batch:
        Network input, (n, channels, H, W), finite.
    maps:
        One a slice at the input's resolution, (n, H, W), finite, of any scale.
    targets:
        What was explained: one for all slices, or one a slice.
    percentiles:
        Shares that are kept, in percent, between 0 and 100. Those below 50 cost most: many pixels to fill.
    noise:
        Standard deviation of what is added to filled pixels, in units of the input; 0 for none. It is the same field
        for all slices, methods and percentiles of one seed.
    seed:
        Of the noise, and of the order of equal pixels.
    progress:
        Called a picture that is filled, and a chunk that is classified.

    Raises
    ------
    OptionError
        If shapes do not fit, the class does not exist, a percentile is not between 0 and 100, or one slice alone
        exceeds the memory bound.
    HemoCAMError
        If an input, a map or a logit is not finite.
    """
    import torch

    listed = check_maps(batch, maps, targets)
    if not percentiles or not all(0 < q < 100 for q in percentiles):
        raise OptionError("ROAD's percentiles lie between 0 and 100, both excluded; give at least one.")
    pixels, own = maps[0].size, batch.detach().cpu().numpy()
    places = relevance_order(maps, seed)
    kept = [math.ceil(round((pixels - 1) * q / 100, 6)) for q in percentiles]
    grain = noise * np.random.default_rng(seed).standard_normal(own.shape[1:], np.float32)
    steps = 1 + 2 * len(kept)  # the slice, most relevant first, least relevant first
    total = len(own) * steps

    def picture(index: int) -> np.ndarray:
        which, step = divmod(index, steps)
        if step == 0:
            return own[which]
        progress("Filling removed pixels", index, total)
        number = kept[(step - 1) % len(kept)]
        keep = places[which] >= pixels - number if step <= len(kept) else places[which] < number
        return np.where(keep, own[which], fill(own[which], keep) + grain)

    def make(start: int, stop: int) -> Tensor:
        made = np.stack([picture(index) for index in range(start, stop)])
        return torch.from_numpy(made).to(forward.device)

    logits = forward.logits(total, own.shape[1:], make, progress, "Filling removed pixels")
    scores = target_scores(logits.reshape(len(own), steps, -1), listed)
    most, least = scores[:, 1 : len(kept) + 1], scores[:, len(kept) + 1 :]
    return Road(np.asarray(percentiles, np.float64), scores[:, 0], most, least, tuple(listed))


def fill(image: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Replace pixels by the weighted mean of their neighbours, all at once.

    Parameters
    ----------
    image:
        Shape (channels, H, W).
    keep:
        Bool, (H, W): pixels that stay, at least one.

    Returns
    -------
    np.ndarray
        Float32, (channels, H, W).
    """
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    height, width = keep.shape
    missing = np.flatnonzero(~keep)
    count = len(missing)
    if not count:
        return image.astype(np.float32)
    unknown = np.full(keep.size, -1)
    unknown[missing] = np.arange(count)
    flat = image.reshape(len(image), -1).astype(np.float64)
    row, column = np.divmod(missing, width)
    right, total = np.zeros((count, len(image))), np.zeros(count)
    entries = []
    for (dy, dx), weight in _NEIGHBOURS.items():
        y, x = row + dy, column + dx
        inside = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
        beside = y[inside] * width + x[inside]
        total[inside] += weight
        known = keep.flat[beside]
        right[inside[known]] += weight * flat[:, beside[known]].T
        entries.append((np.full((~known).sum(), -weight), inside[~known], unknown[beside[~known]]))
    entries.append((total, np.arange(count), np.arange(count)))
    values, rows, columns = (np.concatenate(part) for part in zip(*entries, strict=True))
    # symmetric and diagonally dominant: no pivots are needed, and the order for symmetric ones is the fastest
    system = splu(
        csc_matrix((values, (rows, columns)), shape=(count, count)),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    flat[:, missing] = system.solve(right).T
    return flat.reshape(image.shape).astype(np.float32)
