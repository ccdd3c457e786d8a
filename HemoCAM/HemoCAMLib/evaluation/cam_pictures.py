"""A picture of what the two AblationCAMs see in one slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..cams.engine import Engine
from ..cams.scaling import scale_maps
from ..cams.target import Target
from ..explained import Sampled
from ..models.manifest import Manifest
from ..models.preprocess import window
from ..phantoms.patient import Patient
from ..volumes.headgrid import HeadGrid
from .pictures import Tile, draw_sheet

_NAMES = {"hirescam": "HiResCAM", "ablationcam": "zero ablation", "ablationcam-library": "pytorch-grad-cam's"}


def draw_ablations(
    engine: Engine, patient: Patient, manifest: Manifest, stages: Sequence[int], path: Path
) -> None:
    """Write a PNG: of the slab with the most blood each stage's HiResCAM and both ablations, stretched to 0..1."""
    import torch

    sampled = Sampled.of(patient.ct, manifest)
    blood = sampled.order.view(patient.labels.array) > 0
    shares = np.stack([blood[a:b].mean(axis=0, dtype=np.float32) for a, b in sampled.slab_slices()])
    worst = int(shares.sum(axis=(1, 2)).argmax())
    truth = sampled.grid.sample_values(shares[worst : worst + 1])[0] >= 0.5
    x = torch.from_numpy(sampled.input(worst, worst + 1)).to(engine.device)
    target = Target(manifest.class_index(manifest.target))
    raw = engine.explain(x, target, list(_NAMES), stages).raw
    own, gray = HeadGrid.alone(manifest.size, manifest.field_of_view_mm), window(sampled.hu[worst], 40, 80)
    sections = []
    for stage in stages:
        cells, tiles = engine.cells(stage, manifest.size), []
        for method, name in _NAMES.items():
            shown = scale_maps(raw[method, stage], "library", np.ones(1, bool)).maps
            tiles.append(Tile(gray, f"{name}\nstage {stage}", truth=truth, heat=own.paint(shown, cells)[0]))
        sections.append((f"Stage {stage}", tiles))
    draw_sheet(sections, path, columns=len(_NAMES))
