"""Deletion and insertion: does the score fall as the map's best pixels go, and rise as they come?

V. Petsiuk, A. Das and K. Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..cams.target import Target, Targets
from ..errors import OptionError
from ..progress import Progress, silent
from .forward import Forward, as_probability, check_maps, relevance_order, target_scores

if TYPE_CHECKING:
    from torch import Tensor

# Shares of the pixels, denser at the start: a bleed of 10 cm2 is 2 % of a picture of 22 cm, and what comes after it
# tells little.
SHARES = tuple((n / 20) ** 2 for n in range(21))


@dataclass(frozen=True)
class Curves:
    """A target's score along the way of each slice; s steps.

    Parameters
    ----------
    shares:
        Share of the slice's pixels, 0 to 1, that are deleted, or inserted, (s,).
    deletion:
        Score with the most relevant ones replaced by the baseline, (n, s): the slice first, the bare baseline last.
    insertion:
        Score of the baseline with the most relevant ones of the slice, (n, s): the baseline first, the slice last.
    targets:
        One a slice.
    unit:
        ``logit``: the score is ``sign * logit``. ``probability``: 0 to 1.
    """

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    targets: tuple[Target, ...]
    unit: str = "logit"

    def probabilities(self, calibration: tuple[float, float] = (1.0, 0.0)) -> Curves:
        """The same curves in probability; see :func:`~.forward.as_probability`."""
        if self.unit == "probability":
            return self
        deletion, insertion = (
            as_probability(s, list(self.targets), calibration) for s in (self.deletion, self.insertion)
        )
        return replace(self, deletion=deletion, insertion=insertion, unit="probability")

    @property
    def deletion_area(self) -> np.ndarray:
        """Area under each deletion curve by trapezoids, (n,): the mean score along the way. Small is faithful."""
        return _area(self.shares, self.deletion)

    @property
    def insertion_area(self) -> np.ndarray:
        """Area under each insertion curve by trapezoids, (n,). Large is faithful."""
        return _area(self.shares, self.insertion)


def curves(
    forward: Forward,
    batch: Tensor,
    maps: np.ndarray,
    targets: Targets,
    baseline: Tensor,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
    progress: Progress = silent,
) -> Curves:
    """Delete and insert the pixels of each slice in the order of its map.

    The areas depend on the baseline and on the slice: compare methods on the same slices with the same baseline,
    and with :func:`~.forward.random_maps`. All channels of a pixel go at once. Of the map's values only the order
    matters; raw maps should come unclipped, for below 0 they still have an order.

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
    baseline:
        What stands for a missing pixel, shape of ``batch``; see :func:`~.baselines.baseline`.
    shares:
        Shares of the pixels, rising from 0 to 1.
    seed:
        Of the order of pixels that the map has equal.
    progress:
        Called a chunk.

    Raises
    ------
    OptionError
        If shapes do not fit, the class does not exist, shares do not rise from 0 to 1, or one slice alone exceeds the
        memory bound.
    HemoCAMError
        If an input, a map or a logit is not finite.
    """
    import torch

    listed = check_maps(batch, maps, targets)
    if baseline.shape != batch.shape:
        raise OptionError(
            f"A baseline of the shape {tuple(baseline.shape)} does not fit an input of the shape "
            f"{tuple(batch.shape)}; give one a slice."
        )
    way = np.asarray(shares, np.float64)
    if len(way) < 2 or way[0] != 0 or way[-1] != 1 or (np.diff(way) <= 0).any():
        raise OptionError("The shares of pixels must rise from 0 to 1.")
    images, empty = (t.detach().to(forward.device) for t in (batch, baseline))
    places = torch.from_numpy(relevance_order(maps, seed)).to(forward.device)[:, None]
    counts = np.round(way * maps[0].size).astype(np.int64)
    # the first and the last picture of either way are the same two: 2 s - 2 pictures a slice
    limits = np.concatenate([counts, counts[1:-1]])
    inserted = np.repeat([False, True], [len(way), len(way) - 2])

    def make(start: int, stop: int) -> Tensor:
        which, step = np.divmod(np.arange(start, stop), len(limits))
        which = torch.from_numpy(which).to(forward.device)
        limit, insert = (
            torch.from_numpy(v[step]).to(forward.device)[:, None, None, None] for v in (limits, inserted)
        )
        return torch.where((places[which] < limit) == insert, images[which], empty[which])

    count = len(batch) * len(limits)
    logits = forward.logits(count, tuple(batch.shape[1:]), make, progress, "Deleting and inserting pixels")
    scores = target_scores(logits.reshape(len(batch), len(limits), -1), listed)
    deletion = scores[:, : len(way)]
    insertion = np.concatenate([deletion[:, -1:], scores[:, len(way) :], deletion[:, :1]], axis=1)
    return Curves(way, deletion, insertion, tuple(listed))


def _area(shares: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return ((scores[:, 1:] + scores[:, :-1]) / 2 * np.diff(shares)).sum(axis=1)
