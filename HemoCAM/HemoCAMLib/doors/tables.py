"""The tables and the summary that a run leaves."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from scipy import ndimage

from .. import __version__
from ..comparison.masks import bounding_box
from ..comparison.table import Comparison
from ..models.bundle import Bundle
from ..pipeline import Analysis
from ..scene.analysis import mask_words
from ..scene.content import SliceRow
from ..volumes.volume import Volume

NOT_CLINICAL = "Research software, not for clinical use."


def write_slices(rows: list[SliceRow], path: Path) -> None:
    """Write ``slices.csv``: index, position in mm, acquired, gated in, probability of each class."""
    classes = list(rows[0].probabilities)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["index", "position_mm", "acquired", "gated_in", *classes])
        for row in rows:
            shown = [f"{row.probabilities[c]:.6f}" for c in classes]
            writer.writerow([row.index, f"{row.position_mm:.3f}", int(row.acquired), int(row.gated), *shown])


def summary(
    analysis: Analysis,
    bundle: Bundle,
    reference: Volume | None,
    comparison: Comparison | None,
    timings: dict[str, float],
) -> dict:
    """What went in, what was asked, what was found: JSON values, nothing that names a patient."""
    ct, options = analysis.ct, analysis.options
    target = analysis.probabilities[:, analysis.target_index]
    top = int(target.argmax())
    start, stop = analysis.slabs.edges[top], analysis.slabs.edges[top + 1]
    indices = analysis.slice_indices()
    return {
        "hemocam": __version__,
        "notice": NOT_CLINICAL,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "input": {
            **ct.source,
            "voxels_sha256": voxels_sha256(ct),
            "shape_kji": list(ct.shape),
            "spacing_ijk_mm": [round(float(s), 6) for s in ct.spacing],
            "ijk_to_ras": ct.ijk_to_ras.tolist(),
            "slices_not_acquired": [] if ct.acquired is None else np.flatnonzero(~ct.acquired).tolist(),
        },
        "reference": None if reference is None else {"voxels_sha256": voxels_sha256(reference)},
        "findings": [*ct.findings, *(comparison.findings if comparison else ())],
        "model": {
            "name": bundle.manifest.name,
            "title": bundle.manifest.title,
            "licence": bundle.manifest.licence,
            "sha256": bundle.sha256,
        },
        "options": asdict(options),
        "result": {
            "target": options.target,
            **_of_head(analysis),
            "highest_probability": round(float(target[top]), 6),
            "at_slices": sorted((int(indices[start]), int(indices[stop - 1]))),
            "slices_gated_in": int(analysis.gate[analysis.slabs.of_slice].sum()),
            "slabs": len(analysis.slabs),
            "mask": mask_words(analysis),
            "mask_ml": round(float(analysis.mask.array.sum() * ct.voxel_ml), 3),
            "mask_regions_ml": regions_ml(analysis.mask)[:20],
            "scale": {
                "name": options.scale,
                "raw_at_1": [float(v) for v in analysis.scaled.one],
                "raw_at_0": [float(v) for v in analysis.scaled.zero],
                "raw_minimum": float(analysis.raw.min()),
                "raw_maximum": float(analysis.raw.max()),
            },
        },
        "comparison": None if comparison is None else dict(comparison.rows()),
        "timings_s": {k: round(v, 3) for k, v in timings.items()},
        "versions": _versions(),
    }


def _of_head(analysis: Analysis) -> dict:
    """What a model that knows heads and their intracranial space says of the whole; empty for one that does not."""
    explained, found = analysis.explained, {}
    if explained.head_probability is not None:
        found["head_probability"] = round(explained.head_probability, 6)
    if explained.sampled.intracranial is not None:
        found["slabs_without_intracranial_content"] = int((~explained.sampled.intracranial).sum())
    return found


def regions_ml(mask: Volume) -> list[float]:
    """Volumes in ml of the mask's connected regions (faces touch), the largest first."""
    box = bounding_box(mask.array)
    if box is None:
        return []
    regions, _ = ndimage.label(mask.array[box])
    return sorted(
        (round(float(n * mask.voxel_ml), 3) for n in np.bincount(regions.ravel())[1:]), reverse=True
    )


def voxels_sha256(volume: Volume) -> str:
    """SHA-256 (hex) of a volume's voxels and affine: which input it was, without naming it."""
    digest = hashlib.sha256(np.ascontiguousarray(volume.ijk_to_ras, dtype="<f8").tobytes())
    for part in volume.array:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def write_json(content: dict, path: Path) -> None:
    """Write JSON; numbers that are not finite become null, which every reader understands."""
    path.write_text(json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": platform.system()}
    for package in ("torch", "timm", "grad-cam", "numpy", "scipy", "SimpleITK", "slicer-core", "vtk"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
