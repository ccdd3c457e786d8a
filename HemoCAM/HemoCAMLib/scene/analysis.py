"""From an analysis to what a scene is to show: the one place where the two floors meet."""

from __future__ import annotations

from ..comparison.table import Comparison
from ..models.bundle import Bundle
from ..pipeline import Analysis
from ..volumes.volume import Volume
from .content import SceneContent, SliceRow


def slice_rows(analysis: Analysis) -> list[SliceRow]:
    """Return one row a slice, from inferior to superior."""
    acquired = analysis.ct.acquired
    along = analysis.order.axes[0] == 0  # `acquired` speaks of the CT's own K axis
    rows = []
    of_slice, positions, indices = analysis.slabs.of_slice, analysis.positions_mm, analysis.slice_indices()
    for slab, position, index in zip(of_slice, positions, indices, strict=True):
        values = dict(zip(analysis.classes, map(float, analysis.probabilities[slab]), strict=True))
        real = True if acquired is None or not along else bool(acquired[index])
        rows.append(SliceRow(int(index), float(position), values, bool(analysis.gate[slab]), real))
    return rows


def mask_words(analysis: Analysis) -> str:
    """Say in words how the mask was made."""
    if analysis.refined:
        return "refined: the map joined with the HU"
    return f"plain: the map at or above {analysis.options.threshold:g}"


def content_of(
    analysis: Analysis,
    bundle: Bundle,
    reference: Volume | None = None,
    comparison: Comparison | None = None,
) -> SceneContent:
    """Return what :func:`~.results.add_results` shows of an analysis.

    ``reference``: labels on the CT's grid; ``comparison``: how the mask compares with them.
    """
    options = analysis.options
    return SceneContent(
        ct=analysis.ct,
        heatmap=analysis.heatmap,
        mask=analysis.mask,
        slices=slice_rows(analysis),
        classes=analysis.classes,
        target=options.target,
        raw_map=analysis.raw_volume,
        reference=reference,
        comparison=None if comparison is None else comparison.rows(),
        description={
            "model": bundle.manifest.name,
            "modelSha256": bundle.sha256,
            "method": options.method,
            "stage": options.stage,
            "target": options.target,
            "threshold": options.threshold,
            "gate": options.gate,
            "scale": options.scale,
            "mask": mask_words(analysis),
            **({"against": 1} if options.against else {}),
        },
    )
