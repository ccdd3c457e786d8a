"""A network as a chain of stages, so that it can be stopped after any of them and resumed from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ModelError, OptionError
from ..steps import Step, Steps

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module

_FAMILIES = "an EfficientNet, MobileNet, ConvNeXt, RegNet or ResNet of timm"


@dataclass(frozen=True)
class Chain:
    """A timm CNN cut at its stages: ``network(x)`` is ``head(neck(stage_n(... stage_1(stem(x)))))``.

    EfficientNets and MobileNets have their ``blocks`` as stages, ConvNeXts their ``stages``, RegNets ``s1`` on,
    ResNets ``layer1`` on. An EfficientNet has one more, its last: the feature map that is averaged for the
    linear layer (``conv_head`` with its norm and activation). There HiResCAM is the logit itself, cell by cell.

    Parameters
    ----------
    stem:
        Modules before the first stage.
    stages:
        The modules of each stage; the output of the last of them is the stage's.
    neck:
        Modules between the last stage and the head.
    head:
        From the feature map to the logits, (n, classes).
    """

    stem: tuple[Module, ...]
    stages: tuple[tuple[Module, ...], ...]
    neck: tuple[Module, ...]
    head: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, network: Module) -> Chain:
        """Cut ``network``; raise :class:`OptionError` if its family is not known."""

        def parts(*names: str) -> tuple[Module, ...]:
            return tuple(getattr(network, name) for name in names)

        def has(*names: str) -> bool:
            return all(hasattr(network, name) for name in names)

        head = getattr(network, "forward_head", None)
        if has("conv_stem", "bn1", "blocks"):
            stages = tuple((block,) for block in network.blocks)
            if type(network).__name__ == "EfficientNet":
                stages += (parts("conv_head", "bn2"),)
            return cls(parts("conv_stem", "bn1"), stages, (), head)
        if has("stem", "stages", "norm_pre"):
            return cls(parts("stem"), tuple((s,) for s in network.stages), parts("norm_pre"), head)
        if has("stem", "s1", "s2", "s3", "s4", "final_conv"):
            return cls(
                parts("stem"), tuple((s,) for s in parts("s1", "s2", "s3", "s4")), parts("final_conv"), head
            )
        if has("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            layers = tuple((layer,) for layer in parts("layer1", "layer2", "layer3", "layer4"))
            return cls(parts("conv1", "bn1", "act1", "maxpool"), layers, (), head)
        raise OptionError(f"HemoCAM does not know the stages of a {type(network).__name__}; use {_FAMILIES}.")

    def check_stage(self, stage: int) -> int:
        """Return ``stage``, counted from 1, if it exists; raise :class:`OptionError` if not."""
        if not 1 <= stage <= len(self.stages):
            raise OptionError(f"The network has stages 1 to {len(self.stages)}; there is no stage {stage}.")
        return stage

    def advance(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Go from the output of stage ``start`` to that of stage ``stop``; stage 0 is the network's input."""
        for part in self.path(start, stop):
            x = part(x)
        return x

    def finish(self, x: Tensor, start: int) -> Tensor:
        """Go from the output of stage ``start`` to the logits, (n, classes)."""
        for part in self.path(start):
            x = part(x)
        return x

    def path(self, start: int, stop: int | None = None) -> list[Callable[[Tensor], Tensor]]:
        """Return the blocks that run from the output of stage ``start`` to that of ``stop``, or to the logits."""
        from torch.nn import Sequential

        last = len(self.stages) if stop is None else stop
        modules = [*(self.stem if start == 0 < last else ())]
        for stage in self.stages[start:last]:
            modules += stage
        if stop is None:
            modules += self.neck
        # a plain sequence is no more than its parts, one after the other
        parts = [part for m in modules for part in (m if type(m) is Sequential else (m,))]
        return parts if stop is not None else [*parts, self.head]

    def verify(self, network: Module, sample: torch.Tensor) -> None:
        """Check that the chain gives what ``network``, in evaluation mode, gives.

        Raises
        ------
        ModelError
            If the network gives NaN or infinity.
        OptionError
            If the chain gives something else than the network.
        """
        import torch

        with torch.inference_mode():
            whole, chained = network(sample), self.finish(sample, 0)
        if not whole.isfinite().all():
            raise ModelError(
                f"The weights of this {type(network).__name__} give logits that are not finite (NaN or infinity); "
                "get the model again, or train it again."
            )
        if whole.shape != chained.shape or not torch.allclose(whole, chained, rtol=1e-4, atol=1e-5):
            raise OptionError(
                f"This {type(network).__name__} is no plain chain of its stages, so it cannot be cut there; "
                f"use {_FAMILIES}."
            )


def walk(
    path: Sequence[Callable[[Tensor], Tensor]],
    x: Tensor,
    mode: Callable[[], AbstractContextManager],
    told: Step,
) -> Steps[Tensor]:
    """Run ``x`` along a path of :meth:`Chain.path`; a step is a block, and ``mode`` holds within steps alone."""
    for part in path:
        yield told
        with mode():
            x = part(x)
    return x


def stage_modules(network: Module) -> Sequence[Module]:
    """The modules whose outputs are the stages', first to last; stage n of the paper is the n-th (from 1)."""
    return [stage[-1] for stage in Chain.of(network).stages]


def stage_module(network: Module, stage: int) -> Module:
    """The module whose output is explained at ``stage``, counted from 1; raise :class:`OptionError` if none."""
    chain = Chain.of(network)
    return chain.stages[chain.check_stage(stage) - 1][-1]


def in_channels(network: Module) -> int:
    """The channels of the network's input."""
    from torch.nn import Conv2d

    return next(m for m in network.modules() if isinstance(m, Conv2d)).in_channels
