"""The picture of a data set of virtual patients: one slice of each of the first, bleedings outlined."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..evaluation.pictures import Tile, draw_sheet
from ..models.preprocess import window
from ..phantoms.patient import KINDS, Patient

PICTURED = 24  # patients, the first ones
_PIXELS = 256  # along an edge are enough to look at


def keep_tile(patient: Patient, name: str, path: Path) -> None:
    """Keep what the picture needs of a patient: the slice with the most blood, or with the most brain.

    The window is 40/80. Volumes of virtual patients run from inferior to superior, and their rows from the front
    to the back.
    """
    hu, labels = patient.ct.array, patient.labels.array
    blood = (labels > 0).sum(axis=(1, 2))
    shown = blood if blood.any() else ((hu > 0) & (hu < 80)).sum(axis=(1, 2))
    k, step = int(shown.argmax()), max(1, hu.shape[1] // _PIXELS)
    counts = np.bincount(labels.ravel(), minlength=len(KINDS) + 1)[1:]
    largest = sorted(zip(counts.tolist(), KINDS, strict=True), key=lambda own: -own[0])
    kinds = [f"{kind} {n * patient.ct.voxel_ml:.0f} ml" for n, kind in largest if n]
    partial = path.with_suffix(".part.npz")
    np.savez(
        partial,
        picture=np.round(window(hu[k, ::step, ::step], 40, 80) * 255).astype(np.uint8),
        truth=labels[k, ::step, ::step] > 0,
        caption="\n".join([name, *(kinds[:2] or ["no hemorrhage"])]),
        section=KINDS[int(counts.argmax())] if counts.any() else "none",
    )
    partial.replace(path)


def draw_overview(tiles: list[Path], path: Path) -> None:
    """Write a PNG of kept tiles, a section for each kind of the largest hemorrhage and one for patients without."""
    sections: dict[str, list[Tile]] = {kind: [] for kind in (*KINDS, "none")}
    for tile in tiles:
        with np.load(tile, allow_pickle=False) as kept:
            own = Tile(kept["picture"], str(kept["caption"]), truth=kept["truth"])
            sections[str(kept["section"])].append(own)
    headings = {kind: f"Largest hemorrhage: {kind}" for kind in KINDS} | {"none": "No hemorrhage"}
    draw_sheet([(headings[name], own) for name, own in sections.items()], path)
