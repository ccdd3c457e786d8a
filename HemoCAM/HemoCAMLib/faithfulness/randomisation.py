"""The model-randomisation check: a map that explains a network must change when the network's weights are lost.

J. Adebayo, J. Gilmer, M. Muelly, I. Goodfellow, M. Hardt and B. Kim, "Sanity Checks for Saliency Maps", NeurIPS 2018:
layers lose their weights from the head down, each with all those above it, and the maps are compared with the
original ones. A method whose maps stay similar down to the stem shows edges of the picture, not what the network has
learnt.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..cams.copies import frozen_copy
from ..cams.engine import CamEngine, Engine
from ..cams.stages import Chain
from ..cams.target import Targets
from ..errors import OptionError
from ..progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_SEEN = 8  # slices from which lost batch norms learn their statistics anew


@dataclass(frozen=True)
class Cascade:
    """How alike maps before and after are, by depth.

    Parameters
    ----------
    depths:
        How far the weights are lost, from the head on: ``head``, ``stage 7``, ... ``stage 1``, ``stem`` (all).
    spearman, pearson:
        Correlation of the raw maps' cells by method and stage, (repeats, depths, n), -1 to 1: 1 is the same map. NaN
        where a map is the same everywhere. A random head may turn a map's sign: look at the absolute value, too.
    """

    depths: tuple[str, ...]
    spearman: dict[tuple[str, int], np.ndarray]
    pearson: dict[tuple[str, int], np.ndarray]


def depths_of(network: Module) -> tuple[str, ...]:
    """Names of the depths of a network, from the head down; :class:`OptionError` if its family is not known."""
    return tuple(_parts(network))


def cascade(
    network: Module,
    batch: Tensor,
    targets: Targets,
    methods: Sequence[str],
    stages: Sequence[int],
    depths: Sequence[str] | None = None,
    repeats: int = 1,
    seed: int = 0,
    make_engine: Callable[[Module], CamEngine] = Engine,
    progress: Progress = silent,
) -> Cascade:
    """Compare raw maps of a network with those of copies that lose their weights from the head down.

    Convolutions, linear layers and norms get new values from their own ``reset_parameters`` (PyTorch's defaults);
    parameters of other layers are shuffled. Lost batch norms take the statistics of what then reaches them, from up
    to eight of the slices and their mirror images: with 0 and 1 in their place, signals would fade or explode on the
    way through so many layers, and maps with them.

    Parameters
    ----------
    network:
        A timm CNN of a family that :class:`~..cams.stages.Chain` knows; only copies of it are changed.
    batch:
        Network input, (n, channels, H, W), on the network's device.
    targets:
        What is explained.
    methods, stages:
        Explained together, so that they share their passes.
    depths:
        Those to look at, of :func:`depths_of`; all by default. What lies above each is lost in any case.
    repeats:
        How often, with other random weights each.
    seed:
        Same seed, same weights, whatever the device.
    make_engine:
        From a network to the engine that explains it: ``Engine``, ``LibraryEngine``, or a function.
    progress:
        Called an engine's chunk.

    Raises
    ------
    OptionError
        If the family or a depth is not known, or an option of the engine makes no sense.
    HemoCAMError
        If a map is not finite.
    """
    device = next(network.parameters()).device
    trained = frozen_copy(network).cpu()
    known = depths_of(trained)
    wanted = known if depths is None else tuple(d for d in known if d in set(depths))
    if (depths is not None and set(depths) - set(known)) or not wanted or repeats < 1:
        raise OptionError(
            f"The weights of this network are lost in the order {', '.join(known)}; name at least one of these, and "
            f"one repeat."
        )
    jobs, done = 1 + repeats * len(wanted), 0

    def maps_of(copied: Module) -> dict[tuple[str, int], np.ndarray]:
        nonlocal done

        def report(_: str, part: int, parts: int) -> None:
            progress("Explaining networks without their weights", done, jobs)

        report("", 0, 0)
        found = make_engine(copied).explain(batch, targets, methods, stages, report).raw
        done += 1
        return found

    before = maps_of(copy.deepcopy(trained).to(device))
    shape = (repeats, len(wanted), len(batch))
    spearman, pearson = ({key: np.empty(shape) for key in before} for _ in range(2))
    for repeat in range(repeats):
        losing, lost = copy.deepcopy(trained), 0
        for place, depth in enumerate(wanted):
            while lost <= known.index(depth):
                _reset(_parts(losing)[known[lost]], _mixed(seed, repeat, lost))
                lost += 1
            after = maps_of(_settled(copy.deepcopy(losing).to(device), known[:lost], batch))
            for key, maps in after.items():
                pearson[key][repeat, place] = correlation(before[key], maps)
                spearman[key][repeat, place] = rank_correlation(before[key], maps)
    progress("Explaining networks without their weights", jobs, jobs)
    return Cascade(wanted, spearman, pearson)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of two stacks of maps (n, h, w): (n,), -1 to 1; NaN where a map is constant."""
    a, b = (np.asarray(m, np.float64).reshape(len(m), -1) for m in (first, second))
    flat = (np.ptp(a, axis=1) == 0) | (np.ptp(b, axis=1) == 0)
    a, b = (m - m.mean(axis=1, keepdims=True) for m in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.where(flat, np.nan, np.clip(found, -1, 1))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of two stacks of maps (n, h, w), ties at mean rank; see :func:`correlation`."""
    from scipy.stats import rankdata

    return correlation(*(rankdata(m.reshape(len(m), -1), axis=1) for m in (first, second)))


def _parts(network: Module) -> dict[str, list[Module]]:
    """Layers by depth, from the head down: each with those inside it."""
    chain = Chain.of(network)
    below = {"stem": chain.stem}
    below |= {f"stage {n}": stage for n, stage in enumerate(chain.stages, 1)}
    layers = {name: [m for part in parts for m in part.modules()] for name, parts in below.items()}
    inside = {id(m) for part in layers.values() for m in part}
    outer = [m for m in network.modules() if id(m) not in inside and m is not network]
    return {"head": outer, **dict(reversed(layers.items()))}


def _reset(layers: list[Module], seed: int) -> None:
    """Give layers on the CPU new weights, in place; torch's own random numbers go on as if nothing had been."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for layer in layers:
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
                continue
            for parameter in layer.parameters(recurse=False):
                order = torch.randperm(parameter.numel())
                parameter.copy_(parameter.flatten()[order].view_as(parameter))


def _settled(network: Module, depths: Sequence[str], batch: Tensor) -> Module:
    """Let the batch norms of the lost depths take the statistics of what reaches them."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    parts = _parts(network)
    norms = [m for d in depths for m in parts[d] if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        return network
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # one pass: its statistics as they are
        norm.train()
    some = batch[:_SEEN]
    with torch.no_grad():
        network(torch.cat([some, some.flip(-1)]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()


def _mixed(*numbers: int) -> int:
    """One seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint32)[0])
