"""What a model says of a CT: logits a slab, raw maps by method and stage, and how they come to lie on the CT.

    CT -> canonical axial order -> slabs -> the network's grid -> window channels -> classifier -> raw maps

Nothing is scaled here before it is asked for: one pass through the network serves any number of methods, stages
and scales. :func:`~.pipeline.analyse` asks for one of each, a benchmark for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from .cams.engine import CamEngine, Engine, Explanation
from .cams.kept import Kept
from .cams.scaling import Scaled, scale_maps
from .cams.target import Target
from .clock import Clock
from .models.calibration import head_probability, slab_probabilities
from .models.manifest import Manifest
from .models.preprocess import fill_outside, neighborhoods, network_input
from .progress import Progress, silent
from .steps import Step, Steps, follow, retold
from .volumes.axial import AxialOrder, to_axial
from .volumes.headgrid import Cells, HeadGrid
from .volumes.intracranial import intracranial_mask
from .volumes.slabs import Slabs
from .volumes.volume import Volume

SHADES = 1024  # the shown map is rounded to 1/1024: its files shrink fourfold, and the raw map is kept anyway
SAMPLING, EXPLAINING, PAINTING = "Preparing slices", "Classifying and explaining slices", "Painting maps"
LEAST_INTRACRANIAL_MM2 = 100.0  # a centimeter squared: less is no more than the tip of a sulcus, or an error
BATCH = 4  # slabs a step: on two cores a step stays well under a second, so a cancel is prompt


@dataclass(frozen=True, eq=False)
class Sampled:
    """A CT as the network takes it.

    Parameters
    ----------
    ct:
        The volume as it was given.
    manifest:
        Of the model.
    axial, order:
        Its view in canonical axial order (slices from inferior to superior), and how the axes were turned.
    slabs, grid:
        Which slices share a slab, and the square in the slice plane that the network sees.
    hu:
        The slabs on that square, float32, (n_slabs, size, size).
    inside:
        The intracranial space, bool, of the same shape; None for a model that sees the whole slice.
    """

    ct: Volume
    manifest: Manifest
    axial: Volume
    order: AxialOrder
    slabs: Slabs
    grid: HeadGrid
    hu: np.ndarray
    inside: np.ndarray | None = None

    @classmethod
    def of(cls, ct: Volume, manifest: Manifest) -> Sampled:
        """Bring a head CT in HU, of any orientation, to the network's grid."""
        return follow(cls.steps(ct, manifest))

    @classmethod
    def steps(cls, ct: Volume, manifest: Manifest) -> Steps[Sampled]:
        """As :meth:`of`, in short steps."""
        axial, order = to_axial(ct)
        slabs = Slabs.of(axial, manifest.slab_mm)
        count = len(slabs)
        mean_hu = yield from retold(
            slabs.average_steps(axial), lambda step: Step(SAMPLING, step.done, 2 * count)
        )
        yield Step(SAMPLING, count, 2 * count)
        grid = HeadGrid.of(axial, mean_hu, manifest.size, manifest.field_of_view_mm)
        hu = np.empty((count, grid.size, grid.size), np.float32)
        for start in range(0, count, BATCH):
            yield Step(SAMPLING, count + start, 2 * count)
            hu[start : start + BATCH] = grid.sample(mean_hu[start : start + BATCH])
        inside = None
        if manifest.outside is not None:
            yield Step(SAMPLING, 2 * count - 1, 2 * count)
            inside = intracranial_mask(hu, grid.pixel_mm(), manifest.slab_mm)
        return cls(ct, manifest, axial, order, slabs, grid, hu, inside)

    def input(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return the network's input of slabs ``first`` to ``last`` - 1: float32, (n, channels, size, size)."""
        return network_input(neighborhoods(self.seen, self.manifest, slice(first, last)), self.manifest)

    @cached_property
    def seen(self) -> np.ndarray:
        """The slabs in HU as the network sees them: where the model says so, filled outside the skull."""
        return fill_outside(self.hu, self.inside, self.manifest)

    @cached_property
    def intracranial(self) -> np.ndarray | None:
        """Which slabs show something of the intracranial space, bool (n_slabs,); None if the model does not ask."""
        if self.inside is None:
            return None
        return self.inside.sum(axis=(1, 2)) * self.grid.pixel_mm() ** 2 >= LEAST_INTRACRANIAL_MM2

    def slab_slices(self) -> list[tuple[int, int]]:
        """First slice and last + 1 of each slab, in canonical order."""
        return list(pairwise(self.slabs.edges.tolist()))


@dataclass(frozen=True, eq=False)
class Explained:
    """What the model says of a CT, for all methods and stages that were asked for.

    Parameters
    ----------
    sampled:
        The CT as the network took it.
    target:
        The class that is explained.
    gate_at:
        Probability of the target from which a slab is shown, 0..1.
    logits:
        Raw output a slab, float32, (n_slabs, classes).
    raw:
        Signed raw maps by (method, stage), each (n_slabs, h, w).
    cells:
        Where the cells of each stage's maps lie on the network's square.
    """

    sampled: Sampled
    target: str
    gate_at: float
    logits: np.ndarray
    raw: Mapping[tuple[str, int], np.ndarray]
    cells: Mapping[int, Cells]

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Calibrated output per slab, 0..1, (n_slabs, classes); 0 where there is no intracranial content."""
        return slab_probabilities(self.logits, self.sampled.manifest, self.sampled.intracranial)

    @property
    def head_probability(self) -> float | None:
        """Calibrated probability that the head bleeds (the model's default target), or None if it has none."""
        return head_probability(self.logits, self.sampled.manifest, self.sampled.intracranial)

    @cached_property
    def gate(self) -> np.ndarray:
        """Slabs whose target probability passes, bool, (n_slabs,)."""
        return self.probabilities[:, self.sampled.manifest.class_index(self.target)] >= self.gate_at

    def scaled(self, method: str, stage: int, scale: str) -> Scaled:
        """Bring raw maps to 0..1; ``scale`` is one of :data:`~.cams.scaling.SCALES`."""
        return scale_maps(self.raw[method, stage], scale, self.gate)

    def shown(self, method: str, stage: int, scale: str, progress: Progress = silent) -> np.ndarray:
        """Return the shown map on the CT's own slices, in canonical order: float32 0..1, (S, rows, columns).

        In steps of 1/1024, and the very values of :attr:`~.pipeline.Analysis.heatmap`.
        """
        heatmap = np.zeros(self.sampled.axial.shape, np.float32)
        follow(self.paint(self.scaled(method, stage, scale).maps, stage, heatmap), progress)
        return heatmap

    def paint(self, maps: np.ndarray, stage: int, heatmap: np.ndarray) -> Steps[None]:
        """Lay maps 0..1, (n_slabs, h, w), over the CT; a step is a slab.

        Parameters
        ----------
        maps, stage:
            Scaled maps, and the stage that they are of.
        heatmap:
            Zeros, float32, (S, rows, columns) in canonical order, or a view in that order; takes the map.
        """
        sampled, cells = self.sampled, self.cells[stage]
        for slab, (start, stop) in enumerate(sampled.slab_slices()):
            if maps[slab].any():  # untouched pages of zeros cost no memory
                yield Step(PAINTING, slab, len(sampled.slabs))
                painted = np.round(sampled.grid.paint(maps[slab : slab + 1], cells)[0] * SHADES) / SHADES
                heatmap[start:stop] = painted

    def threshold(self, maps: np.ndarray, heatmap: np.ndarray, threshold: float, mask: np.ndarray) -> None:
        """Set ``mask`` to 1 where a painted map reaches ``threshold``, above 0.

        Parameters
        ----------
        maps:
            The scaled maps that were painted, (n_slabs, h, w).
        heatmap:
            As :meth:`paint` left it.
        mask:
            Zeros of its shape, in canonical order.
        """
        for slab, (start, stop) in enumerate(self.sampled.slab_slices()):
            if maps[slab].any():
                mask[start:stop] = heatmap[start] >= threshold  # all slices of a slab show the same map


class RawMaps(NamedTuple):
    """What the network gave: logits (n_slabs, classes), raw maps by method and stage, and each stage's cells."""

    logits: np.ndarray
    raw: Mapping[tuple[str, int], np.ndarray]
    cells: Mapping[int, Cells]


def map_steps(
    sampled: Sampled,
    engine: CamEngine,
    methods: Sequence[str],
    stages: Sequence[int],
    target: str,
    device: str = "cpu",
    kept: Kept | None = None,
    sign: int = 1,
) -> Steps[RawMaps]:
    """Classify every slab of a CT and explain the target by each method at each stage, from shared work.

    An engine whose work cannot be cut takes one method at one stage on a batch a step.

    Parameters
    ----------
    sampled:
        The CT as the network takes it.
    engine:
        Of the network on ``device``.
    methods, stages:
        Of :data:`~.cams.methods.METHODS`, and counted from 1.
    target:
        One of the manifest's classes.
    kept:
        What is known of this CT in this network, and what is to be kept; of an :class:`~.cams.engine.Engine` only.
    sign:
        +1 for what speaks for the target, -1 for what speaks against it.

    Raises
    ------
    OptionError
        If a method, stage or class does not exist.
    HemoCAMError
        If the input or a map is not finite.
    """
    import torch

    explained = Target(sampled.manifest.class_index(target), sign)
    count, found = len(sampled.slabs), []
    for start in range(0, count, BATCH):
        yield Step(EXPLAINING, start, count)
        batch = torch.from_numpy(sampled.input(start, start + BATCH)).to(device)
        if isinstance(engine, Engine):
            steps = engine.steps(batch, explained, methods, stages, kept, start)
            found.append((yield from retold(steps, _within(start, len(batch), count))))
        else:
            parts = []
            for stage, method in product(stages, methods):
                yield Step(EXPLAINING, start, count)
                parts.append(engine.explain(batch, explained, (method,), (stage,)))
            raw = {key: maps for part in parts for key, maps in part.raw.items()}
            found.append(Explanation(parts[0].logits, raw))
    cells = {}
    for stage in stages:
        yield Step(EXPLAINING, count, count)
        cells[stage] = engine.cells(stage, sampled.manifest.size)
    raw = {(m, s): np.concatenate([f.raw[m, s] for f in found]) for s in stages for m in methods}
    return RawMaps(np.concatenate([f.logits for f in found]), raw, cells)


def _within(start: int, size: int, count: int) -> Callable[[Step], Step]:
    """Tell an engine's steps on a batch as slabs of the volume; methods after the first stand at their beginning."""
    reached = start

    def tell(step: Step) -> Step:
        nonlocal reached
        if step.total > size:  # channels of all slices: what takes long
            reached = max(reached, start + size * step.done // step.total)
        return Step(EXPLAINING, reached, count)

    return tell


def explain_volume(
    ct: Volume,
    manifest: Manifest,
    engine: CamEngine,
    methods: Sequence[str],
    stages: Sequence[int],
    target: str,
    gate: float,
    device: str = "cpu",
    progress: Progress = silent,
    clock: Clock | None = None,
) -> Explained:
    """Classify and explain a CT in one go; parameters and errors as :func:`map_steps`.

    Parameters
    ----------
    ct:
        Head CT in HU, any orientation.
    manifest, engine:
        Of the model, and the CAM engine of its network on ``device``.
    methods, stages, target, device:
        As for :func:`map_steps`.
    gate:
        Probability from which a slab is shown, 0..1.
    progress:
        Called between short steps; raises :class:`~.errors.Cancelled` to stop.
    clock:
        Takes the time of the phases "slabs" and "explain".
    """
    clock = clock or Clock()
    sampled = follow(clock.timed("slabs", Sampled.steps(ct, manifest)), progress)
    steps = map_steps(sampled, engine, methods, stages, target, device)
    return Explained(sampled, target, gate, *follow(clock.timed("explain", steps), progress))
