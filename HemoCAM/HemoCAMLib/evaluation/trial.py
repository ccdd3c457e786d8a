"""Figures of one network, on held-out virtual patients in memory and on labelled slices in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..comparison.overlap import Counts, dice, iou
from ..errors import InputError
from ..models.bundle import Bundle
from ..progress import Progress, silent
from .bootstrap import Bootstrap, Estimate
from .labelled import Labelled, label_rows, read_mask
from .peak import peak_inside
from .scoring import Scored, table
from .tables import write_rows

if TYPE_CHECKING:
    from ..training.samples import Samples

_CAPTURES_SEED = 7  # of the screen captures of the test patients: the same for every network


def examine_phantoms(
    bundle: Bundle, samples: Samples, device: str = "cpu", progress: Progress = silent
) -> dict[str, tuple[float, float, float]]:
    """Area, sensitivity and specificity of the target on slabs and on screen captures of them, Dice, peak.

    Parameters
    ----------
    bundle:
        The network, calibrated.
    samples:
        Slabs with label maps, of patients that it has not seen.
    device:
        Of torch.

    Returns
    -------
    dict
        A figure's name: (value, low, high), the interval by patient.
    """
    from scipy.special import expit

    from ..training.calibrate import THRESHOLDS, dice_curve, picture_dice_curve
    from ..training.evaluate import as_pictures, predict

    manifest = bundle.manifest
    network = bundle.network().to(device)
    column = manifest.class_index(manifest.target)
    targets, weights = samples.targets(manifest.classes)
    truth, counted = targets[:, column] > 0, weights[:, column] > 0
    draws = Bootstrap(samples.patient)
    found: dict[str, Estimate] = {}
    captures = as_pictures(samples, manifest.size, _CAPTURES_SEED)
    calibrations = ("phantoms", samples, manifest), ("captures", captures, manifest.for_pictures())
    for what, own, calibrated in calibrations:
        progress(f"Measuring on {what}", 0, 1)
        z = predict(network, own, manifest)[:, column].astype(np.float64)
        slope, intercept, threshold = calibrated.calibration[manifest.target]
        called = expit(slope * z + intercept) >= threshold
        found[f"{what}: AUC"] = draws.auc(z, truth, counted)
        found[f"{what}: sensitivity"] = draws.mean(called, truth & counted)
        found[f"{what}: specificity"] = draws.mean(~called, ~truth & counted)
    figures = {name: (e.value, e.low, e.high) for name, e in found.items()}
    if samples.labels.any():
        curves = {
            "phantoms": dice_curve(network, samples, manifest, progress),
            "captures": picture_dice_curve(network, captures, manifest, progress),
        }
        for (what, _, calibrated), (curve, hits) in zip(calibrations, curves.values(), strict=True):
            threshold = calibrated.mask_threshold(manifest.method, manifest.stage)
            overlap = float(curve[np.abs(THRESHOLDS - threshold).argmin()])
            figures |= {f"{what}: Dice": (overlap, np.nan, np.nan), f"{what}: peak": (hits, np.nan, np.nan)}
    return figures


def examine_slices(
    bundle: Bundle, folder: Path, scores: Path, device: str = "auto", progress: Progress = silent
) -> dict[str, tuple[float, float, float]]:
    """Figures on labelled slices, as ``hemocam classify`` and ``hemocam score`` would give them.

    Parameters
    ----------
    bundle:
        The network, calibrated; one that takes pictures if they are pictures.
    folder:
        ``labels.csv``, the slices that it names and, if there are any, ``masks``.
    scores:
        Where the table of probabilities goes.

    Raises
    ------
    InputError
        If labels, slices or masks cannot be read, or do not fit.
    """
    from ..slices import Slice, SliceClassifier

    labels = folder / "labels.csv"
    files = [row["file"] for row in label_rows(labels)]
    given = (folder / "masks").is_dir()
    classifier = SliceClassifier(bundle, maps=given, device=device)
    rows: list[list] = [["file", *bundle.manifest.classes, "positive"]]
    maps = {}
    for start in range(0, len(files), classifier.batch):
        progress("Classifying slices", start, len(files))
        batch = files[start : start + classifier.batch]
        found = classifier([Slice.read(folder / file, bundle.manifest) for file in batch])
        for file, one in zip(batch, found, strict=True):
            rows.append([file, *(f"{p:.6g}" for p in one.probabilities), int(one.positive)])
            if given and (folder / "masks" / file).with_suffix(".png").is_file():
                maps[file] = one
    write_rows(rows, scores)
    slices = Labelled.read(scores, labels, bundle.manifest.target)
    values = np.full((3, len(slices)), np.nan)
    for row, path in (slices.masks(folder / "masks") if given else {}).items():
        truth, one = read_mask(path), maps[slices.files[row]]
        if truth.shape != one.mask.shape:
            raise InputError(f"The mask {path.name} is not of its slice's size; draw it on the slice.")
        counts = Counts.of(truth[None], one.mask[None])
        values[:, row] = dice(counts), iou(counts), peak_inside(one.heatmap, truth)
    short = {
        "ROC AUC": "AUC", "sensitivity": "sensitivity", "specificity": "specificity",
        "Dice of the default mask": "Dice", "peak of the map inside the mask": "peak",
    }  # fmt: skip
    return {
        f"slices: {short[row.label]}": (e.value, e.low, e.high)
        for row in table(Scored(slices, *values)).rows
        if row.label in short
        for e in row.estimates[:1]
    }
