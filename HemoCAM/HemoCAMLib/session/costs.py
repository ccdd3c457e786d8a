"""How long the phases of an analysis are expected to take: what a progress bar is divided by."""

from __future__ import annotations

from ..explained import EXPLAINING, PAINTING, SAMPLING
from ..opened import LOADING
from ..refinement.refiner import REFINING
from ..volumes.axial import to_axial
from ..volumes.slabs import Slabs
from ..volumes.volume import Volume
from .recall import Recall

# Seconds with the shipped model on two cores; only their proportions matter, and only to the bar.
_OPENING, _OPEN = 3.0, 0.05
_SLAB = 0.02  # forward and backward
_CHANNELS = {"scorecam": 0.4, "ablationcam": 0.2, "ablationcam-library": 0.2}
_AGAIN = 0.001  # of a slab, where its maps are kept
_VOXEL = {SAMPLING: 1.5e-9, PAINTING: 3e-9, REFINING: 2e-8}


def expected_costs(recall: Recall, ct: Volume) -> dict[str, float]:
    """Return seconds by phase, in order; what is kept already is foreseen."""
    opened, sampled, known = recall.known()
    options, manifest = recall.options, recall.bundle.manifest
    slabs = len(Slabs.of(to_axial(ct)[0], manifest.slab_mm))
    each = _AGAIN if known else _SLAB + _CHANNELS.get(options.method, 0.0)
    voxels = {phase: cost * ct.array.size for phase, cost in _VOXEL.items()}
    return {
        LOADING: _OPEN if opened or known else _OPENING,
        SAMPLING: _OPEN if sampled else _OPEN + voxels[SAMPLING],
        EXPLAINING: slabs * each,
        PAINTING: _OPEN + voxels[PAINTING],
        REFINING: voxels[REFINING] if options.refine else 0.0,
    }
