"""The one pipeline: a CT volume in, probabilities, maps and masks on the CT's own grid out.

    CT -> canonical axial order -> slabs -> the network's grid -> window channels -> classifier -> raw maps
       -> scale and gate -> back onto the CT's grid -> mask, by a threshold or joined with the HU (refined)

It is a sequence of short steps (:func:`analysis_steps`). Every door goes through it: the command by :func:`analyse`,
all in one go; the Slicer module by a :class:`~.session.session.Session`, step by step, with what it has kept; a
benchmark by what it is made of (:mod:`.explained`). None computes anything of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .analysis import Analysis, Options
from .cams.engine import CamEngine
from .cams.scaling import Scaled
from .explained import (
    BATCH,
    SHADES,
    Clock,
    Explained,
    RawMaps,
    Sampled,
    explain_volume,
    map_steps,
)
from .models.bundle import Bundle
from .opened import Opened, open_steps, pick_device
from .progress import Progress, silent
from .steps import Steps, follow
from .volumes.volume import Volume

__all__ = [
    "BATCH", "SHADES", "Analysis", "Clock", "Options", "Parts", "analyse", "analysis_steps", "explain_volume",
    "needs_refining", "pick_device", "rescale_steps", "rescaled_options",
]  # fmt: skip


class Parts:
    """How the parts of an analysis come about: here they are computed. A session may have them already.

    Parameters
    ----------
    bundle:
        The model.
    options:
        What to compute, resolved.
    engine:
        A CAM engine for the same network, in place of the one that the options name.
    """

    def __init__(self, bundle: Bundle, options: Options, engine: CamEngine | None = None) -> None:
        self.bundle, self.options = bundle, options
        self._given = engine

    def model(self) -> Steps[tuple[CamEngine, str] | None]:
        """Return the engine and its device; None if :meth:`maps` needs none."""
        opened = yield from self.opened()
        engine = yield from opened.engine(self.options.engine, self.options.method, self.options.stage)
        return self._given or engine, opened.device

    def opened(self) -> Steps[Opened]:
        """Return the model made ready."""
        return open_steps(self.bundle, self.options.device)

    def sampled(self, ct: Volume) -> Steps[Sampled]:
        """Return the CT as the network takes it."""
        return Sampled.steps(ct, self.bundle.manifest)

    def maps(self, model: tuple[CamEngine, str] | None, sampled: Sampled) -> Steps[RawMaps]:
        """Return what the network gives for it."""
        o = self.options
        return map_steps(
            sampled, model[0], (o.method,), (o.stage,), o.target, model[1], sign=-1 if o.against else 1
        )


def analysis_steps(ct: Volume, parts: Parts) -> Steps[Analysis]:
    """Classify every slab of ``ct`` and explain the target class, in short steps; errors as :func:`analyse`."""
    clock, options = Clock(), parts.options
    model = yield from clock.timed("model", parts.model())
    sampled = yield from clock.timed("slabs", parts.sampled(ct))
    found = yield from clock.timed("explain", parts.maps(model, sampled))
    return (yield from _shown(Explained(sampled, options.target, options.gate, *found), options, clock))


def rescale_steps(
    analysis: Analysis, gate: float | None = None, threshold: float | None = None, scale: str | None = None
) -> Steps[Analysis]:
    """Show the same maps by another gate, threshold or scale; None leaves it as it is. No network is needed.

    A threshold that is asked for makes the mask the map at or above it. Without one, a mask that was refined stays
    so where the model holds a refinement for the scale.

    Raises
    ------
    OptionError
        If a value makes no sense.
    """
    options = rescaled_options(analysis, gate, threshold, scale)
    explained = replace(analysis.explained, gate_at=options.gate)
    return (yield from _shown(explained, options, Clock(), analysis))


def needs_refining(analysis: Analysis, options: Options) -> bool:
    """Tell whether another gate, threshold or scale, of :func:`rescaled_options`, needs the mask refined anew."""
    gate = analysis.probabilities[:, analysis.target_index] >= options.gate
    same = (
        analysis.refined and options.scale == analysis.options.scale and np.array_equal(gate, analysis.gate)
    )
    return options.refine and not same


def rescaled_options(
    analysis: Analysis, gate: float | None = None, threshold: float | None = None, scale: str | None = None
) -> Options:
    """Return the options of :func:`rescale_steps`, resolved; errors as there."""
    old, manifest = analysis.options, analysis.explained.sampled.manifest
    new = replace(
        old,
        gate=old.gate if gate is None else gate,
        threshold=old.threshold if threshold is None else threshold,
        scale=old.scale if scale is None else scale,
    )
    known = manifest.refiner(new.method, new.stage, new.target, new.scale) is not None
    return replace(new, refine=bool(old.refine and threshold is None and known)).resolved(manifest)


def _shown(
    explained: Explained, options: Options, clock: Clock, before: Analysis | None = None
) -> Steps[Analysis]:
    """Scale, gate, paint and mask; ``before`` may have painted the same maps."""
    sampled, ct = explained.sampled, explained.sampled.ct
    with clock.phase("paint"):
        scaled = explained.scaled(options.method, options.stage, options.scale)
    same = before is not None and np.array_equal(scaled.maps, before.scaled.maps)
    if same:
        heatmap = before.heatmap
    else:
        array = np.zeros(ct.shape, np.float32)
        painting = explained.paint(scaled.maps, options.stage, sampled.order.view(array))
        yield from clock.timed("paint", painting)
        heatmap = ct.like(array, "Heat map")
    if same and _mask_rule(options) == _mask_rule(before.options):
        mask = before.mask
    else:
        masking = _mask(explained, scaled, heatmap, options)
        mask = ct.like((yield from clock.timed("refine" if options.refine else "paint", masking)), "Mask")
    raw, cells = explained.raw[options.method, options.stage], explained.cells[options.stage]
    return Analysis(
        ct=ct,
        order=sampled.order,
        options=options,
        classes=sampled.manifest.classes,
        slabs=sampled.slabs,
        grid=sampled.grid,
        logits=explained.logits,
        probabilities=explained.probabilities,
        gate=explained.gate,
        raw=raw,
        raw_volume=sampled.grid.cells_volume(raw, sampled.axial, sampled.slabs.edges, "Raw map", cells),
        scaled=scaled,
        heatmap=heatmap,
        mask=mask,
        explained=explained,
        timings=clock.seconds,
    )


def _mask_rule(options: Options) -> tuple:
    """What decides the mask of a shown map."""
    return (True, options.scale) if options.refine else (False, options.threshold)


def _mask(explained: Explained, scaled: Scaled, heatmap: Volume, options: Options) -> Steps[np.ndarray]:
    """The mask on the CT's grid, uint8: the shown map joined with the HU, or at or above the threshold."""
    sampled = explained.sampled
    if options.refine:
        refiner = sampled.manifest.refiner(options.method, options.stage, options.target, options.scale)
        refined = yield from refiner.steps(sampled.ct, heatmap)
        return refined.mask.view(np.uint8)
    mask = np.zeros(sampled.ct.shape, np.uint8)
    view = sampled.order.view
    explained.threshold(scaled.maps, view(heatmap.array), options.threshold, view(mask))
    return mask


def analyse(
    ct: Volume,
    bundle: Bundle,
    options: Options | None = None,
    progress: Progress = silent,
    engine: CamEngine | None = None,
) -> Analysis:
    """Classify every slab of ``ct`` and explain the target class.

    Parameters
    ----------
    ct:
        Head CT in HU, any orientation.
    bundle:
        The model.
    options:
        What to compute; the bundle's defaults where it is silent.
    progress:
        Called between short steps; raises :class:`~.errors.Cancelled` to stop.
    engine:
        Another CAM engine for the same network, in place of the one that the options name.

    Raises
    ------
    OptionError, ModelError
        If an option or the bundle makes no sense.
    """
    options = (options or Options()).resolved(bundle.manifest)
    return follow(analysis_steps(ct, Parts(bundle, options, engine)), progress)
