"""What a model says of a CT: logits a slab, raw maps by method and stage, and how they come to lie on the CT.

    CT -> canonical axial order -> slabs -> the network's grid -> window channels -> classifier -> raw maps

Nothing is scaled here before it is asked for: one pass through the network serves any number of methods, stages
and scales. :func:`~.pipeline.analyse` asks for one of each, a benchmark for all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from .cams.engine import CamEngine
from .cams.scaling import Scaled, scale_maps
from .cams.target import Target
from .models.manifest import Manifest
from .models.preprocess import network_input, probabilities
from .progress import Progress, silent
from .volumes.axial import AxialOrder, to_axial
from .volumes.headgrid import Cells, HeadGrid
from .volumes.slabs import Slabs
from .volumes.volume import Volume

SHADES = 1024  # the shown map is rounded to 1/1024: its files shrink fourfold, and the raw map is kept anyway
BATCH = 4  # slabs a step: on two cores a step stays well under a second, so a cancel is prompt


class Clock:
    """Seconds a phase, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str):  # noqa: ANN201  (a context manager)
        """Add the time spent inside to phase ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def network_slabs(ct: Volume, manifest: Manifest) -> tuple[Volume, AxialOrder, Slabs, HeadGrid, np.ndarray]:
    """Bring a CT to the network's grid: axial view, its order, slabs, grid, and HU (n_slabs, size, size)."""
    axial, order = to_axial(ct)
    slabs = Slabs.of(axial, manifest.slab_mm)
    mean_hu = slabs.average(axial)
    grid = HeadGrid.of(axial, mean_hu, manifest.size, manifest.field_of_view_mm)
    return axial, order, slabs, grid, grid.sample(mean_hu)


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
    """

    ct: Volume
    manifest: Manifest
    axial: Volume
    order: AxialOrder
    slabs: Slabs
    grid: HeadGrid
    hu: np.ndarray

    @classmethod
    def of(cls, ct: Volume, manifest: Manifest) -> Sampled:
        """Bring a head CT in HU, of any orientation, to the network's grid."""
        return cls(ct, manifest, *network_slabs(ct, manifest))

    def input(self) -> np.ndarray:
        """Return the network's input, float32, (n_slabs, channels, size, size)."""
        return network_input(self.hu, self.manifest)

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
        """Calibrated output a slab, 0..1, (n_slabs, classes)."""
        return probabilities(self.logits, self.sampled.manifest)

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
        self.paint(self.scaled(method, stage, scale).maps, stage, heatmap, progress)
        return heatmap

    def paint(
        self,
        maps: np.ndarray,
        stage: int,
        heatmap: np.ndarray,
        progress: Progress = silent,
        mask: np.ndarray | None = None,
        threshold: float = 1.0,
    ) -> None:
        """Lay maps 0..1, (n_slabs, h, w), over the CT.

        Parameters
        ----------
        maps, stage:
            Scaled maps, and the stage that they are of.
        heatmap:
            Zeros, float32, (S, rows, columns) in canonical order, or a view in that order; takes the map.
        progress:
            Called a slab.
        mask:
            Zeros of the same shape; takes ``heatmap >= threshold``.
        threshold:
            Above 0.
        """
        sampled, cells = self.sampled, self.cells[stage]
        for slab, (start, stop) in enumerate(sampled.slab_slices()):
            if maps[slab].any():  # untouched pages of zeros cost no memory
                progress("Painting maps", slab, len(sampled.slabs))
                painted = np.round(sampled.grid.paint(maps[slab : slab + 1], cells)[0] * SHADES) / SHADES
                heatmap[start:stop] = painted
                if mask is not None:
                    mask[start:stop] = painted >= threshold


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
    """Classify every slab of a CT and explain the target by each method at each stage, from shared work.

    Parameters
    ----------
    ct:
        Head CT in HU, any orientation.
    manifest, engine:
        Of the model, and the CAM engine of its network on ``device``.
    methods, stages:
        Of :data:`~.cams.methods.METHODS`, and counted from 1.
    target:
        One of the manifest's classes.
    gate:
        Probability from which a slab is shown, 0..1.
    device:
        Of the network.
    progress:
        Called a batch; raises :class:`~.errors.Cancelled` to stop.
    clock:
        Takes the time of the phases "slabs" and "explain".

    Raises
    ------
    OptionError
        If a method, stage or class does not exist.
    HemoCAMError
        If the input or a map is not finite.
    """
    import torch

    clock = clock or Clock()
    index = manifest.class_index(target)
    with clock.phase("slabs"):
        sampled = Sampled.of(ct, manifest)
        batches = torch.from_numpy(sampled.input()).split(BATCH)
    with clock.phase("explain"):
        found = []
        for done, batch in enumerate(batches):

            def report(_: str, part: int, parts: int, done: int = done) -> None:
                progress("Classifying and explaining slices", done * BATCH, len(sampled.slabs))

            report("", 0, 0)
            found.append(engine.explain(batch.to(device), Target(index), methods, stages, report))
        logits = np.concatenate([f.logits for f in found])
        wanted = [(method, stage) for stage in stages for method in methods]
        raw = {key: np.concatenate([f.raw[key] for f in found]) for key in wanted}
    cells = {stage: engine.cells(stage, manifest.size) for stage in stages}
    return Explained(sampled, target, gate, logits, raw, cells)
