"""How many slices or channels at once: passes are cut so that they stay within a bound that the caller sets."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..volumes.headgrid import Cells
from .receptive import stage_cells
from .stages import Chain

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module

DEFAULT_MEMORY = 1 << 30  # bytes
_MOST = {"cpu": 32, "cuda": 512}  # more at once is no faster
# On a CPU layers should stay in the cache, and far below the size at which malloc asks the system for fresh pages.
_CPU_LAYER = 12 << 20
# Activations and gradients, their product, and of the eigenvector methods two copies in float64.
_FORMULAS = 7
_WORKSPACE = 3  # a layer's input, its output and a scratch of that size, each as large as the largest


@dataclass(frozen=True)
class Footprint:
    """Bytes that one sample takes on its way from a stage to the logits, found without computing anything.

    Parameters
    ----------
    layer:
        The largest input or output of a layer.
    passing:
        At most at any moment, when no gradient is wanted.
    kept:
        By the end of a pass whose gradient is wanted.
    output:
        The stage's output.
    """

    layer: int
    passing: int
    kept: int
    output: int


class Meter:
    """Measures footprints on a copy of the network that has shapes but no numbers (torch's meta device)."""

    def __init__(self, frozen: Module) -> None:
        import torch

        with torch.inference_mode(False):  # whatever mode the caller is in
            self._network = copy.deepcopy(frozen).to("meta")
        self._chain = Chain.of(self._network)
        self._found: dict[tuple, Footprint] = {}
        self._outputs: dict[tuple, dict[int, int]] = {}
        self._layers: dict[tuple, tuple[int, ...]] = {}

    def footprint(self, shape: tuple[int, ...], stage: int) -> Footprint:
        """Footprint of one input of ``shape`` (channels, H, W) from stage ``stage`` (0: the input) on, float32."""
        key = (tuple(shape), stage)
        if key not in self._found:
            import torch

            with torch.inference_mode(False):  # or there would be no gradient to measure
                self._found[key] = self._measure(*key)
        return self._found[key]

    def _measure(self, shape: tuple[int, ...], stage: int) -> Footprint:
        import torch

        saved: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            saved[id(tensor)] = tensor
            return tensor

        with torch.no_grad():
            x = self._chain.advance(torch.empty(1, *shape, device="meta"), 0, stage)
        output = max(_bytes(x), 1)
        with (
            _layers_noted(self._network) as sizes,
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t),
        ):
            self._chain.finish(x.detach().requires_grad_(), stage)
        largest = max([*sizes, output])
        weights = {id(p) for p in self._network.parameters()}
        kept = sum(_bytes(t) for i, t in saved.items() if i not in weights)
        return Footprint(largest, _WORKSPACE * largest, kept, output)

    def layers(self, shape: tuple[int, ...], stage: int) -> tuple[int, ...]:
        """Bytes of the largest input or output of a layer in each block from ``stage`` to the logits, float32.

        For one input of ``shape`` (channels, H, W); the blocks are those of :meth:`~.stages.Chain.path`.
        """
        shape = tuple(shape)
        if (shape, stage) not in self._layers:
            import torch

            found = []
            with torch.no_grad():
                x = self._chain.advance(torch.empty(1, *shape, device="meta"), 0, stage)
                for block in self._chain.path(stage):
                    with _layers_noted(self._network) as sizes:
                        x = block(x)
                    found.append(max([*sizes, _bytes(x)]))
            self._layers[shape, stage] = tuple(found)
        return self._layers[shape, stage]

    def outputs(self, shape: tuple[int, ...]) -> dict[int, int]:
        """Bytes of each stage's output for one input of ``shape`` (channels, H, W), float32."""
        import torch

        shape = tuple(shape)
        if shape not in self._outputs:
            found = self._outputs[shape] = {}
            with torch.no_grad():
                x = torch.empty(1, *shape, device="meta")
                for stage in range(1, len(self._chain.stages) + 1):
                    x = self._chain.advance(x, stage - 1, stage)
                    found[stage] = _bytes(x)
        return self._outputs[shape]

    def cells(self, stage: int, size: int) -> Cells:
        """Return where a stage's cells lie; see :func:`~.receptive.stage_cells`. Shapes are all that it takes."""
        return stage_cells(self._network, stage, size)

    def shared(self, shape: tuple[int, ...], stages: Sequence[int], gradients: bool) -> int:
        """Bytes that one input of ``shape`` takes in the shared pass and in the formulas."""
        found = [self.footprint(shape, stage) for stage in sorted(stages)]
        kept = found[0].kept if gradients else 0
        return self.footprint(shape, 0).passing + kept + _FORMULAS * max(f.output for f in found)


@contextmanager
def _layers_noted(network: Module) -> Iterator[list[int]]:
    """Note the bytes of each input and output of the layers that run meanwhile."""
    import torch

    sizes: list[int] = []

    def note(_: Module, inputs: tuple, output: Tensor) -> None:
        sizes.extend(_bytes(t) for t in (*inputs, output) if isinstance(t, torch.Tensor))

    hooks = [m.register_forward_hook(note) for m in network.modules() if not list(m.children())]
    try:
        yield sizes
    finally:
        for hook in hooks:
            hook.remove()


def most_samples(memory: int, sample: int, device: torch.device, what: str) -> int:
    """How many samples may run at once, at least 1.

    Parameters
    ----------
    memory:
        Bound in bytes.
    sample:
        Bytes that each sample takes.
    device:
        Where they run.
    what:
        What a sample is, for the error.

    Raises
    ------
    OptionError
        If not even one fits.
    """
    if sample > memory:
        raise OptionError(
            f"{what} needs {sample / 2**20:.0f} MiB, more than the bound of {memory / 2**20:.0f} MiB; "
            f"raise the bound or take smaller slices."
        )
    return int(min(memory // sample, _MOST.get(device.type, _MOST["cuda"])))


def chunk_size(memory: int, sample: int, layer: int, device: torch.device, what: str) -> int:
    """How many samples should run at once; as :func:`most_samples`, and ``layer``: bytes of a sample's largest."""
    most = most_samples(memory, sample, device, what)
    return min(most, max(1, _CPU_LAYER // layer)) if device.type == "cpu" else most


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
