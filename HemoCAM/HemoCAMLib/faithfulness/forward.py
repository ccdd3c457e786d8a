"""Many pictures through one network, built and classified a chunk at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..cams.copies import folded_copy, frozen_copy
from ..cams.memory import DEFAULT_MEMORY, chunk_size
from ..cams.stages import Chain
from ..cams.target import Target, Targets, check_count, targets_of
from ..errors import HemoCAMError, OptionError
from ..progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_WORKSPACE = (
    4  # a layer's input and output, a scratch of that size, and what is still waiting in a skip connection
)
_PICTURES = 4  # the chunk, its mask and baseline, and the network's own copy of it


class Forward:
    """Logits of pictures that are made when they are needed. The network is copied; the caller's is never touched.

    Where its family is known (:class:`~..cams.stages.Chain`), batch norms are folded into the convolutions: logits
    differ by rounding only, and come about a quarter sooner.

    Parameters
    ----------
    network:
        From inputs (n, channels, H, W) to logits (n, classes), float32, on any device.
    memory:
        Bound in bytes on what a pass takes beyond the weights and the caller's own tensors; chunks are made to fit.
    """

    def __init__(self, network: Module, memory: int = DEFAULT_MEMORY) -> None:
        import torch

        self._network = frozen_copy(network)
        try:
            Chain.of(self._network)
        except OptionError:
            pass  # of no known family: it is used as it is
        else:
            self._network = folded_copy(self._network)
        self.memory = memory
        first = next(self._network.parameters(), None)
        self.device = torch.device("cpu") if first is None else first.device
        self._bytes: dict[tuple[int, ...], tuple[int, int]] = {}

    def chunk(self, shape: tuple[int, ...]) -> int:
        """Pictures of ``shape`` (channels, H, W) that are classified at once; :class:`OptionError` if none fits."""
        if shape not in self._bytes:
            self._bytes[shape] = self._measure(shape)
        sample, layer = self._bytes[shape]
        return chunk_size(self.memory, sample, layer, self.device, "Classifying one slice")

    def logits(
        self,
        count: int,
        shape: tuple[int, ...],
        make: Callable[[int, int], Tensor],
        progress: Progress = silent,
        phase: str = "Classifying slices",
    ) -> np.ndarray:
        """Classify ``count`` pictures of ``shape`` (channels, H, W).

        Parameters
        ----------
        count, shape:
            Of the pictures.
        make:
            ``make(start, stop)`` gives pictures start..stop-1, (stop - start, *shape), float32, on the device.
        progress, phase:
            Called a chunk.

        Returns
        -------
        np.ndarray
            Float32, (count, classes).

        Raises
        ------
        HemoCAMError
            If a logit is not finite.
        """
        import torch

        size, found = self.chunk(shape), []
        with torch.inference_mode():
            for start in range(0, count, size):
                progress(phase, start, count)
                found.append(self._network(make(start, min(start + size, count))).float().cpu().numpy())
        progress(phase, count, count)
        logits = np.concatenate(found)
        if not np.isfinite(logits).all():
            raise HemoCAMError(
                "The network gave logits that are not finite; mend its weights or the volume first."
            )
        return logits

    def _measure(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Bytes of one picture on its way, and of its largest layer, found on a copy without numbers."""
        import torch

        shadow = copy.deepcopy(self._network).to("meta")
        picture = torch.empty(1, *shape, device="meta")
        largest = picture.nbytes

        def note(_: Module, inputs: tuple, output: Tensor) -> None:
            nonlocal largest
            largest = max([largest, *(t.nbytes for t in (*inputs, output) if isinstance(t, torch.Tensor))])

        for module in shadow.modules():
            if not list(module.children()):
                module.register_forward_hook(note)
        with torch.no_grad():
            shadow(picture)
        return _WORKSPACE * largest + _PICTURES * picture.nbytes, largest


def check_maps(batch: Tensor, maps: np.ndarray, targets: Targets) -> list[Target]:
    """Return a target a slice, if maps (n, H, W), inputs (n, channels, H, W) and targets fit together.

    Raises
    ------
    OptionError
        If shapes or numbers do not fit, or there is no slice.
    HemoCAMError
        If the input or a map is not finite.
    """
    import torch

    if batch.ndim != 4 or 0 in batch.shape or maps.shape != (len(batch), *batch.shape[2:]):
        raise OptionError(
            f"Maps of the shape {tuple(maps.shape)} do not fit an input of the shape {tuple(batch.shape)}; bring "
            f"them to the input's resolution, one a slice."
        )
    if not np.isfinite(maps).all() or not torch.isfinite(batch).all():
        raise HemoCAMError(
            "A map or the network's input holds values that are not finite; mend the volume first."
        )
    if isinstance(targets, Target):
        return [targets] * len(batch)
    check_count(targets, len(batch))
    return list(targets)


def target_scores(logits: np.ndarray, targets: list[Target]) -> np.ndarray:
    """The targets' scores ``sign * logit``, (n, steps), of logits (n, steps, classes)."""
    listed = targets_of(targets, len(logits), logits.shape[2])
    return np.stack([t.sign * row[:, t.class_index] for t, row in zip(listed, logits, strict=True)])


def as_probability(
    scores: np.ndarray, targets: list[Target], calibration: tuple[float, float] = (1.0, 0.0)
) -> np.ndarray:
    """Probability of each target, 0 to 1: sigmoid(slope * logit + intercept), and 1 less that for a sign of -1.

    Parameters
    ----------
    scores:
        ``sign * logit``, (n, ...).
    targets:
        One a slice, all of the class that is calibrated.
    calibration:
        Slope and intercept, as in the manifest (Platt; see :func:`~..models.preprocess.probabilities`); without, the
        plain sigmoid.
    """
    from scipy.special import expit

    slope, intercept = calibration
    sign = np.array([t.sign for t in targets], np.float64).reshape(-1, *[1] * (scores.ndim - 1))
    return expit(slope * scores + sign * intercept)


def relevance_order(maps: np.ndarray, seed: int) -> np.ndarray:
    """Place 0..H*W-1 of each pixel, the most relevant first, int32 (n, H, W).

    Equal pixels (a map clipped at 0 has many) are ordered at random, the same way in every slice of one size and
    seed: their order in memory, rows from above, would be a hint of its own.
    """
    count, pixels = len(maps), maps[0].size
    tie = np.random.default_rng(seed).permutation(pixels)
    places = np.empty((count, pixels), np.int32)
    for own, values in zip(places, maps.reshape(count, -1), strict=True):
        own[np.lexsort((tie, -values))] = np.arange(pixels, dtype=np.int32)
    return places.reshape(maps.shape)


def random_maps(shape: tuple[int, int, int], seed: int | list[int]) -> np.ndarray:
    """Raw maps (n, h, w) of independent uniform numbers 0..1: the control that knows nothing.

    Made at a stage's own resolution and brought to the input as the methods' maps are, they are as smooth as those.
    ``seed`` may be several numbers: that of the run, that of the case.
    """
    return np.random.default_rng(seed).random(shape, np.float32)
