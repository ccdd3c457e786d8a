"""The CAM engine: many maps of one network for little more than one forward and one backward.

An engine turns network inputs into raw maps: signed, unscaled, at the stage's own resolution. What is done
with them afterwards (scales, gate, mask) is not its business; see :mod:`.scaling`.

    engine = Engine(network)
    found = engine.explain(batch, Target(0), ["gradcam", "hirescam"], [4, 5, 6])
    found.raw["hirescam", 5]        # (n, h, w)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import HemoCAMError, OptionError
from ..progress import Progress, silent
from ..steps import Step, Steps, follow, retold
from ..volumes.headgrid import Cells
from .ablation import ClosedForm, library_weights, zero_drops
from .capture import Capture, capture_steps
from .copies import Copies
from .formulas import FORMULAS, library_formula
from .kept import Kept, stages_to_keep
from .memory import DEFAULT_MEMORY, Meter, chunk_size, most_samples
from .methods import METHODS, SHARED, check_method
from .request import CamEngine, Explanation, check_request, needs_gradients
from .score import score_weights
from .target import Target, Targets, check_count
from .way import Way

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["CamEngine", "Engine", "Explanation"]

_MASKS = 4  # pictures of one channel


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
        self._copies = Copies(network)
        self.device = next(self._copies.frozen.parameters()).device
        self.memory = memory
        self.formulas = formulas
        self.half = half
        self._cells: dict[tuple[int, int], Cells] = {}

    @cached_property
    def _closed(self) -> ClosedForm:
        return ClosedForm(self._copies.folded)

    @cached_property
    def _meter(self) -> Meter:
        return Meter(self._copies.frozen)

    def cells(self, stage: int, size: int) -> Cells:
        """Return the centres of the receptive fields of a stage's cells; see :mod:`.receptive`."""
        if (stage, size) not in self._cells:
            self._cells[stage, size] = self._meter.cells(stage, size)
        return self._cells[stage, size]

    def explain(
        self,
        batch: Tensor,
        targets: Targets,
        methods: Sequence[str],
        stages: Sequence[int],
        progress: Progress = silent,
    ) -> Explanation:
        """Explain each slice's target by each method at each stage; parameters and errors as :meth:`steps`.

        ``progress`` is called between chunks and may raise :class:`~..errors.Cancelled`.
        """
        return follow(self.steps(batch, targets, methods, stages), progress)

    def steps(
        self,
        batch: Tensor,
        targets: Targets,
        methods: Sequence[str],
        stages: Sequence[int],
        kept: Kept | None = None,
        at: int = 0,
    ) -> Steps[Explanation]:
        """Explain each slice's target by each method at each stage, in short steps.

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
        kept:
            What is known of the volume that the batch is of, and what is to be kept of it; see :mod:`.kept`.
        at:
            Where in that volume the batch begins.

        Raises
        ------
        OptionError
            If a method, stage or class does not exist, the number of targets does not fit, the batch is empty,
            or one slice alone exceeds the memory bound.
        HemoCAMError
            If the input or a map is not finite.
        """
        check_request(self._copies.exact, batch, methods, stages)
        if not isinstance(targets, Target):
            check_count(targets, len(batch))
        gradients = needs_gradients(methods)
        size = self._capture_size(batch, stages, gradients)
        parts = []
        for start in range(0, len(batch), size):
            chosen = targets if isinstance(targets, Target) else targets[start : start + size]
            one = batch[start : start + size]
            told = Step("Computing maps", start, len(batch))
            captured = yield from retold(
                self._captured(one, chosen, stages, gradients, kept, at + start, size), lambda _, t=told: t
            )
            raw = yield from self._maps(captured, methods, stages)
            parts.append(Explanation(captured.logits.cpu().numpy(), raw))
        return Explanation(
            np.concatenate([p.logits for p in parts]),
            {key: np.concatenate([p.raw[key] for p in parts]) for key in parts[0].raw},
        )

    def capture(
        self, batch: Tensor, targets: Targets, stages: Sequence[int], gradients: bool = True
    ) -> Capture:
        """Do the shared work alone, for all of ``batch`` at once, as in :meth:`steps`; it serves many :meth:`maps`.

        The memory bound is the caller's to mind.
        """
        return follow(self._captured(batch, targets, stages, gradients))

    def maps(
        self,
        captured: Capture,
        methods: Sequence[str],
        stages: Sequence[int],
        progress: Progress = silent,
    ) -> dict[tuple[str, int], np.ndarray]:
        """Raw maps, (n, h, w), of what :meth:`capture` kept, by method and stage; errors as in :meth:`steps`."""
        return follow(self._maps(captured, methods, stages), progress)

    def prepare(self, shape: tuple[int, ...], method: str, stage: int) -> Steps[None]:
        """Make, in short steps, what a method at a stage needs for inputs of ``shape`` (channels, H, W)."""
        made = [
            lambda: self._copies.exact if self.formulas == "library" else self._copies.fast,
            lambda: self._meter.footprint(shape, 0),
            lambda: self._meter.footprint(shape, stage),
            lambda: self._meter.outputs(shape),
            lambda: self._closed if method == "ablationcam" else None,
            lambda: None if self._at_once(method, stage) else self._way(shape, method, stage),
        ]
        for done, make in enumerate(made):
            yield Step("Loading the model", done, len(made))
            make()

    def stages_to_keep(
        self, shape: tuple[int, ...], method: str, stage: int, count: int, limit: int
    ) -> frozenset[int]:
        """Choose the stages whose captures of ``count`` inputs fit into ``limit`` bytes; see :mod:`.kept`."""
        return stages_to_keep(self._meter.outputs(shape), stage, count, needs_gradients([method]), limit)

    def _captured(
        self,
        batch: Tensor,
        targets: Targets,
        stages: Sequence[int],
        gradients: bool,
        kept: Kept | None = None,
        at: int = 0,
        size: int = 0,
    ) -> Steps[Capture]:
        import torch

        with torch.inference_mode(False):  # the caller may have switched gradients off
            batch = (batch.clone() if batch.is_inference() else batch).to(self.device)
            if self.formulas != "library":
                batch = batch.contiguous(memory_format=torch.channels_last)
        chain = self._copies.exact if self.formulas == "library" else self._copies.fast
        chunk = None if kept is None else kept.chunk(at, size)
        return (yield from capture_steps(chain, batch, targets, stages, gradients, chunk))

    def _maps(
        self, captured: Capture, methods: Sequence[str], stages: Sequence[int]
    ) -> Steps[dict[tuple[str, int], np.ndarray]]:
        raw = {}
        for stage in stages:
            for method in methods:
                maps = yield from self._raw(captured, check_method(method), stage)
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

    def _raw(self, captured: Capture, method: str, stage: int) -> Steps[np.ndarray]:
        import torch

        activations = captured.activations[stage]
        if method in SHARED:
            gradients = captured.gradients.get(stage, activations)  # EigenCAM alone captures none, uses none
            if self.formulas == "library":
                return library_formula(method)(activations.cpu().numpy(), gradients.cpu().numpy())
            return FORMULAS[method](activations, gradients).cpu().numpy()
        weights = yield from self._weights(captured, method, stage)
        with torch.inference_mode(False):
            return torch.einsum("nc,nchw->nhw", weights, activations).cpu().numpy()

    def _weights(self, captured: Capture, method: str, stage: int) -> Steps[Tensor]:
        shape = tuple(captured.batch.shape[1:])
        if self._at_once(method, stage):
            return (yield from self._closed.zero_drops(captured, stage))
        way = self._way(shape, method, stage)
        if method == "scorecam":
            return (yield from score_weights(way, captured, stage, self.half))
        drops = zero_drops if method == "ablationcam" else library_weights
        return (yield from drops(way, captured, stage))

    def _at_once(self, method: str, stage: int) -> bool:
        """Tell whether a method needs no way to the logits: a formula on the capture, or a closed form."""
        return method in SHARED or (method == "ablationcam" and self._closed.covers(stage))

    def _way(self, shape: tuple[int, ...], method: str, stage: int) -> Way:
        """The way of a method's samples (channels masked or ablated) to the logits, within the memory bound."""
        start = 0 if method == "scorecam" else stage
        found = self._meter.footprint(shape, start)
        sample = found.passing + found.output
        layers = self._meter.layers(shape, start)
        if method == "scorecam":
            # the mask, what is computed on the way to it, and the masked input twice
            sample += _MASKS * found.output // shape[0] + 2 * found.output
        if method == "scorecam" and self.half:
            chain, layers = self._copies.packed_half, [layer // 2 for layer in layers]
        elif method == "ablationcam-library":
            chain = self._copies.exact  # unfolded: its values are huge
        else:
            chain = self._copies.packed
        most = most_samples(self.memory, sample, self.device, f"One channel in {METHODS[method]}")
        return Way.of(chain, start, most, layers if self.device.type == "cpu" else None)
