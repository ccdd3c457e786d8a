"""The CAM engine: many maps of one network for little more than one forward and one backward.

An engine turns network inputs into raw maps: signed, unscaled, at the stage's own resolution. What is done
with them afterwards (scales, gate, mask) is not its business; see :mod:`.scaling`.

    engine = Engine(network)
    found = engine.explain(batch, Target(0), ["gradcam", "hirescam"], [4, 5, 6])
    found.raw["hirescam", 5]        # (n, h, w)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import HemoCAMError, OptionError
from ..progress import Progress, silent
from ..volumes.headgrid import Cells
from .ablation import ClosedForm, library_weights, zero_drops
from .capture import Capture, capture
from .copies import folded_copy, frozen_copy, sample_input
from .formulas import FORMULAS, library_formula
from .memory import DEFAULT_MEMORY, Meter, chunk_size
from .methods import METHODS, SHARED, check_method
from .receptive import stage_cells
from .score import score_weights
from .stages import Chain
from .target import Target, Targets, check_count

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MASKS = 4  # pictures of one channel
_WITHOUT_GRADIENT = {"eigencam", "ablationcam", "ablationcam-library", "scorecam"}


@dataclass(frozen=True)
class Explanation:
    """What an engine found for a batch.

    Parameters
    ----------
    logits:
        Float32, (n, classes).
    raw:
        Raw maps, float32, (n, h, w), by method and stage.
    """

    logits: np.ndarray
    raw: dict[tuple[str, int], np.ndarray]


def check_request(chain: Chain, batch: Tensor, methods: Sequence[str], stages: Sequence[int]) -> None:
    """Raise one clear sentence if methods, stages or the input's shape or values make no sense."""
    import torch

    for method in methods:
        check_method(method)
    for stage in stages:
        chain.check_stage(stage)
    if not methods or not stages:
        raise OptionError("There is nothing to compute; name at least one method and one stage.")
    if batch.ndim != 4 or 0 in batch.shape:
        raise OptionError(
            f"The input has the shape {tuple(batch.shape)}; it must be (slices, channels, height, width), "
            f"none of them 0."
        )
    # slice by slice, for it takes as much memory again as it looks at
    if not all(torch.isfinite(one).all() for one in batch):
        raise HemoCAMError("The network's input holds values that are not finite; mend the volume first.")


class CamEngine(Protocol):
    """Computes raw maps of one network."""

    def explain(
        self,
        batch: torch.Tensor,
        targets: Targets,
        methods: Sequence[str],
        stages: Sequence[int],
        progress: Progress = silent,
    ) -> Explanation:
        """Return logits and raw maps of inputs (n, channels, H, W), for each method at each stage."""
        ...

    def cells(self, stage: int, size: int) -> Cells:
        """Return where the cells of a stage's maps lie in an input of ``size`` pixels."""
        ...


class Engine:
    """Nine methods from shared work. The network is copied: the caller's is never touched, not even for a moment.

    Parameters
    ----------
    network:
        A timm CNN of a family that :class:`~.stages.Chain` knows, float32, on any device. What happens to it
        later does not reach the engine.
    memory:
        Bound in bytes on what a pass takes beyond the weights and the batch itself; chunks are made to fit.
    formulas:
        ``torch``: on the device, from a network with folded batch norms, channels last. ``library``:
        pytorch-grad-cam's own numpy code for the seven methods of activations and gradients, from the network as
        it is: bit-identical to the library at the same batch and memory layout.
    half:
        Run ScoreCAM's forwards in bfloat16: faster where the processor has it, its final maps within about 1e-2 of
        the exact ones, 2e-3 on average (``hemocam bench-cam`` measures both).

    Raises
    ------
    OptionError
        If the network is of no known family, or an option has no such value.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        memory: int = DEFAULT_MEMORY,
        formulas: str = "torch",
        half: bool = False,
    ) -> None:
        if formulas not in ("torch", "library"):
            raise OptionError(f"There are no formulas {formulas!r}; choose torch or library.")
        Chain.of(network)  # an unknown family is known before anything is copied
        self._network = frozen_copy(network)
        self._chain = Chain.of(self._network)
        self._chain.verify(self._network, sample_input(self._network))
        self.device = next(self._network.parameters()).device
        self.memory = memory
        self.formulas = formulas
        self.half = half

    @cached_property
    def _folded(self) -> torch.nn.Module:
        return folded_copy(self._network)

    @cached_property
    def _fast(self) -> Chain:
        return Chain.of(self._folded)

    @cached_property
    def _fast_half(self) -> Chain:
        import torch

        return Chain.of(copy.deepcopy(self._folded).to(torch.bfloat16))

    @cached_property
    def _closed(self) -> ClosedForm:
        return ClosedForm(self._folded)

    @cached_property
    def _meter(self) -> Meter:
        return Meter(self._network)

    def cells(self, stage: int, size: int) -> Cells:
        """Return the centres of the receptive fields of a stage's cells; see :mod:`.receptive`."""
        return stage_cells(self._network, stage, size)

    def explain(
        self,
        batch: Tensor,
        targets: Targets,
        methods: Sequence[str],
        stages: Sequence[int],
        progress: Progress = silent,
    ) -> Explanation:
        """Explain each slice's target by each method at each stage.

        Parameters
        ----------
        batch:
            Network input, (n, channels, H, W), n at least 1, finite.
        targets:
            What to explain: one for all slices, or one a slice.
        methods:
            Of :data:`~.methods.METHODS`.
        stages:
            Counted from 1.
        progress:
            Called between chunks; may raise :class:`~..errors.Cancelled`.

        Raises
        ------
        OptionError
            If a method, stage or class does not exist, the number of targets does not fit, the batch is empty,
            or one slice alone exceeds the memory bound.
        HemoCAMError
            If the input or a map is not finite.
        """
        check_request(self._chain, batch, methods, stages)
        if not isinstance(targets, Target):
            check_count(targets, len(batch))
        gradients = not set(methods) <= _WITHOUT_GRADIENT
        size = self._capture_size(batch, stages, gradients)
        parts = []
        for start in range(0, len(batch), size):
            progress("Computing maps", start, len(batch))
            chosen = targets if isinstance(targets, Target) else targets[start : start + size]
            captured = self.capture(batch[start : start + size], chosen, stages, gradients)
            raw = self.maps(captured, methods, stages, progress)
            parts.append(Explanation(captured.logits.cpu().numpy(), raw))
        return Explanation(
            np.concatenate([p.logits for p in parts]),
            {key: np.concatenate([p.raw[key] for p in parts]) for key in parts[0].raw},
        )

    def capture(
        self, batch: Tensor, targets: Targets, stages: Sequence[int], gradients: bool = True
    ) -> Capture:
        """Do the shared work alone, for all of ``batch`` at once; it serves many calls of :meth:`maps`.

        Parameters and errors as in :meth:`explain`; the memory bound is the caller's to mind.
        """
        import torch

        with torch.inference_mode(False):  # the caller may have switched gradients off
            batch = (batch.clone() if batch.is_inference() else batch).to(self.device)
            if self.formulas == "library":
                return capture(self._chain, batch, targets, stages, gradients)
            batch = batch.contiguous(memory_format=torch.channels_last)
            return capture(self._fast, batch, targets, stages, gradients)

    def maps(
        self,
        captured: Capture,
        methods: Sequence[str],
        stages: Sequence[int],
        progress: Progress = silent,
    ) -> dict[tuple[str, int], np.ndarray]:
        """Raw maps, (n, h, w), of what :meth:`capture` kept, by method and stage; errors as in :meth:`explain`."""
        raw = {}
        for stage in stages:
            for method in methods:
                maps = self._raw(captured, check_method(method), stage, progress)
                if not np.isfinite(maps).all():
                    raise HemoCAMError(
                        f"{METHODS[method]} gave values that are not finite at stage {stage}; "
                        f"try another method or stage."
                    )
                raw[method, stage] = maps
        return raw

    def _capture_size(self, batch: Tensor, stages: Sequence[int], gradients: bool) -> int:
        """Slices at once in the shared pass."""
        shape = tuple(batch.shape[1:])
        sample = self._meter.shared(shape, stages, gradients)
        layer = self._meter.footprint(shape, 0).layer
        return chunk_size(self.memory, sample, layer, self.device, "Explaining one slice")

    def _raw(self, captured: Capture, method: str, stage: int, progress: Progress) -> np.ndarray:
        import torch

        activations = captured.activations[stage]
        if method in SHARED:
            gradients = captured.gradients.get(stage, activations)  # EigenCAM alone captures none, uses none
            if self.formulas == "library":
                return library_formula(method)(activations.cpu().numpy(), gradients.cpu().numpy())
            return FORMULAS[method](activations, gradients).cpu().numpy()
        with torch.inference_mode(False):
            weights = self._weights(captured, method, stage, progress)
            return torch.einsum("nc,nchw->nhw", weights, activations).cpu().numpy()

    def _weights(self, captured: Capture, method: str, stage: int, progress: Progress) -> Tensor:
        shape = tuple(captured.batch.shape[1:])
        if method == "ablationcam" and self._closed.covers(stage):
            return self._closed.zero_drops(captured, stage, progress)
        found = self._meter.footprint(shape, 0 if method == "scorecam" else stage)
        sample = found.passing + found.output
        if method == "scorecam":
            # the mask, what is computed on the way to it, and the masked input twice
            sample += _MASKS * found.output // shape[0] + 2 * found.output
        chunk = chunk_size(self.memory, sample, found.layer, self.device, f"One channel in {METHODS[method]}")
        if method == "scorecam":
            chain = self._fast_half if self.half else self._fast
            return score_weights(chain, captured, stage, chunk, self.half, progress)
        if method == "ablationcam":
            return zero_drops(self._fast, captured, stage, chunk, progress)
        return library_weights(self._chain, captured, stage, chunk, progress)  # unfolded: its values are huge
