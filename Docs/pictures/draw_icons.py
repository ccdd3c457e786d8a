"""Draw the module's icon and the thumbnails of the sample data, from numbers: no picture of anybody is in them.

python Docs/pictures/draw_icons.py HemoCAM/Resources/Icons
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from HemoCAMLib.panel.sample_data import COLORS, SAMPLES, Sample
from HemoCAMLib.phantoms.patient import KINDS, make_patient
from HemoCAMLib.scene.colors import heat_rgb
from PIL import Image

SIZE = 128  # what the Extensions Manager asks for
FINE = 8  # points drawn along a pixel
THUMBNAIL = (192, 128)  # columns and rows, in the shape that Slicer gives thumbnails


def main() -> None:
    """Write ``HemoCAM.png`` and a thumbnail a sample into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    Image.fromarray(icon()).save(folder / "HemoCAM.png", optimize=True)
    for sample in SAMPLES:
        picture = Image.fromarray(thumbnail(sample))
        picture.quantize(128, dither=Image.Dither.NONE).save(folder / sample.thumbnail, optimize=True)


def icon() -> np.ndarray:
    """Return a head slice with a heat map and its outline, shape (128, 128, 4), uint8, clear around the head."""
    y, x = (np.mgrid[: SIZE * FINE, : SIZE * FINE] + 0.5) / (SIZE * FINE / 2) - 1.0
    head = np.hypot(x / 0.80, y / 0.96)
    rgb = np.full((*head.shape, 3), 0.97)  # skull
    brain = head < 0.86
    rgb[brain] = 0.36 + 0.05 * (1 - head[brain, None])
    rgb[brain & (np.abs(x) < 0.012)] = 0.55  # falx
    for side in (-1, 1):
        across, along = side * x - 0.16, y - 0.03
        turned = np.hypot((across - 0.35 * along**2 - 0.1 * along) / 0.07, along / 0.34)
        rgb[turned < 1] = 0.12  # ventricles
    far = np.hypot((x - 0.36) / 0.36, (y + 0.14) / 0.32)
    heat = np.exp(-1.6 * far**2)
    colors = heat_rgb(256)[np.minimum((heat * 255).astype(int), 255)]
    share = (np.clip((heat - 0.08) / 0.35, 0, 1) * brain)[..., None] ** 0.8
    rgb = rgb * (1 - share) + colors * share
    rgb[np.abs(far - 0.78) < 0.05] = 1.0  # outline of the mask
    alpha = (head < 1).astype(float)[..., None]
    fine = np.concatenate([rgb * alpha, alpha], axis=-1)
    mean = fine.reshape(SIZE, FINE, SIZE, FINE, 4).mean(axis=(1, 3))
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-6)
    return np.round(255 * mean.clip(0, 1)).astype(np.uint8)


def thumbnail(sample: Sample) -> np.ndarray:
    """Return the slice with most kinds and most blood, tinted by kind, shape (rows, columns, 3), uint8."""
    patient = make_patient(sample.spec())
    labels = patient.labels.array
    kinds = [[len(np.unique(plane)) * 1e6 + (plane > 0).sum()] for plane in labels]
    k = int(np.argmax(kinds))
    head = patient.ct.array[k] > -300
    rows = np.flatnonzero(head.mean(axis=1) > 0.1)[[0, -1]]
    columns = np.flatnonzero(head.mean(axis=0) > 0.1)[[0, -1]]
    half = 1.05 * max((rows[1] - rows[0]) / 2, (columns[1] - columns[0]) / 2 * THUMBNAIL[1] / THUMBNAIL[0])
    # rows run to the back and columns to the patient's left, as in Slicer's axial views
    down = np.linspace(rows.mean() - half, rows.mean() + half, 2 * THUMBNAIL[1])
    half *= THUMBNAIL[0] / THUMBNAIL[1]
    right = np.linspace(columns.mean() - half, columns.mean() + half, 2 * THUMBNAIL[0])
    inside = np.ix_(*[np.clip(np.round(at).astype(int), 0, labels.shape[1] - 1) for at in (down, right)])
    gray = np.clip(patient.ct.array[k][inside] / 80.0, 0, 1)
    rgb = np.repeat(gray[..., None], 3, axis=-1)
    plane = labels[k][inside]
    for label, kind in enumerate(KINDS, start=1):
        rgb[plane == label] = 0.5 * rgb[plane == label] + 0.5 * np.array(COLORS[kind])
    mean = rgb.reshape(THUMBNAIL[1], 2, THUMBNAIL[0], 2, 3).mean(axis=(1, 3))
    return np.round(255 * mean).astype(np.uint8)


if __name__ == "__main__":
    main()
