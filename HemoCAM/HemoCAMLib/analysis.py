"""What is asked of the pipeline, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .cams.backends import check_backend
from .cams.methods import check_method
from .cams.scaling import Scaled
from .errors import OptionError
from .explained import Explained
from .models.manifest import Manifest
from .volumes.axial import AxialOrder, slice_positions, to_axial
from .volumes.headgrid import HeadGrid
from .volumes.slabs import Slabs
from .volumes.volume import Volume


@dataclass(frozen=True)
class Options:
    """What to compute; None takes the bundle's default.

    Parameters
    ----------
    method, stage, target:
        CAM method, network stage counted from 1, class whose logit is explained.
    threshold:
        Mask threshold on the displayed map, in (0, 1].
    gate:
        Probability of the target from which a slice is shown, 0..1.
    scale:
        One of :data:`~.cams.scaling.SCALES`.
    device:
        ``auto``, ``cpu`` or ``cuda``.
    engine:
        One of :data:`~.cams.backends.BACKENDS`.
    refine:
        Whether the mask is the map joined with the HU (:mod:`.refinement`) or the map at or above the threshold.
        None: refined where the bundle holds a refinement for this method, stage, class and scale, and no threshold
        is asked for.
    against:
        Whether maps show what speaks against the target instead of for it. Such a mask is never refined.
    """

    method: str | None = None
    stage: int | None = None
    target: str | None = None
    threshold: float | None = None
    gate: float | None = None
    scale: str = "gated"
    device: str = "auto"
    engine: str = "hemocam"
    refine: bool | None = None
    against: bool = False

    def resolved(self, manifest: Manifest) -> Options:
        """Fill in the bundle's defaults and check every value; raise :class:`OptionError` if one is wrong."""
        method = check_method(self.method or manifest.method)
        stage = manifest.stage if self.stage is None else self.stage
        target = self.target or manifest.target
        manifest.class_index(target)
        threshold = manifest.mask_threshold(method, stage) if self.threshold is None else self.threshold
        gate = manifest.calibration[target][2] if self.gate is None else self.gate
        if not 0 < threshold <= 1:
            raise OptionError(f"The mask threshold lies above 0 and at most at 1, not at {threshold:g}.")
        if not 0 <= gate <= 1:
            raise OptionError(f"The probability gate lies between 0 and 1, not at {gate:g}.")
        engine = check_backend(self.engine)
        refine = self._refine(manifest, method, stage, target)
        return replace(
            self,
            method=method,
            stage=stage,
            target=target,
            threshold=threshold,
            gate=gate,
            engine=engine,
            refine=refine,
        )

    def _refine(self, manifest: Manifest, method: str, stage: int, target: str) -> bool:
        known = manifest.refiner(method, stage, target, self.scale) is not None and not self.against
        if self.refine and self.against:
            raise OptionError(
                "What speaks against a class is not blood: its mask cannot be refined by the HU."
            )
        if self.refine and not known:
            raise OptionError(
                f"The model {manifest.name} has no mask refinement for {method} at stage {stage}, class {target}, "
                f"scale {self.scale}; leave --refine out, or fit one with `hemocam refine`."
            )
        return (known and self.threshold is None) if self.refine is None else self.refine


@dataclass(frozen=True)
class Analysis:
    """What the model says of a CT. Slices are counted in canonical order, inferior to superior.

    Parameters
    ----------
    ct:
        The volume as it was given.
    order:
        How its axes were permuted and flipped.
    options:
        Resolved options.
    classes:
        The model's classes, in the order of the columns of ``logits`` and ``probabilities``.
    slabs, grid:
        Which slices share a slab, and the square in the slice plane that the network saw.
    logits, probabilities:
        Raw and calibrated output a slab, shape (n_slabs, classes).
    gate:
        Shape (n_slabs,), bool: slabs whose target probability passes.
    raw:
        Signed raw maps a slab at the stage's resolution, shape (n_slabs, h, w), and where they lie.
    scaled:
        The maps as shown, with the raw values that 0 and 1 stand for.
    heatmap:
        The shown map on the CT's grid, float32 0..1, in steps of 1/1024.
    mask:
        ``heatmap >= threshold``, or refined (see :attr:`refined`); uint8 0 or 1, on the CT's grid, 0 on slices that
        show no map.
    explained:
        What it was made of: enough for another gate, scale or threshold.
    timings:
        Seconds a phase.
    """

    ct: Volume
    order: AxialOrder
    options: Options
    classes: tuple[str, ...]
    slabs: Slabs
    grid: HeadGrid
    logits: np.ndarray
    probabilities: np.ndarray
    gate: np.ndarray
    raw: np.ndarray
    raw_volume: Volume
    scaled: Scaled
    heatmap: Volume
    mask: Volume
    explained: Explained
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def target_words(self) -> str:
        """What is explained, in words: the class, or what speaks against it."""
        return f"against {self.options.target}" if self.options.against else self.options.target

    @property
    def target_index(self) -> int:
        """Column of the explained class."""
        return self.classes.index(self.options.target)

    @property
    def refined(self) -> bool:
        """Whether the mask is the map joined with the HU; if not, it is the map at or above the threshold."""
        return bool(self.options.refine)

    @property
    def positions_mm(self) -> np.ndarray:
        """Position of each canonical slice along the slice normal, in mm, rising toward the head."""
        return slice_positions(to_axial(self.ct)[0])

    def slice_indices(self) -> np.ndarray:
        """The CT's own index, along its slice axis, of each canonical slice."""
        count = self.ct.shape[self.order.axes[0]]
        return np.array([self.order.original_slice(s, self.ct.shape) for s in range(count)])
