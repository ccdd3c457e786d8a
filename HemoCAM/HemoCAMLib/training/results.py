"""What a trained network is worth: its calibration and thresholds, into the manifest, and its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..cams.methods import METHODS
from ..cams.stages import stage_modules
from ..models.manifest import Manifest
from ..progress import Progress, silent
from .calibrate import (
    THRESHOLDS,
    by_head,
    calibrate,
    calibrate_heads,
    choose_neighbor_weight,
    dice_curve,
    dice_curves,
    picture_dice_curve,
    smoothed_by_head,
)
from .capture import READ_CENTRE, READ_WIDTH
from .evaluate import PICTURE_FILL, as_pictures, aucs, predict
from .recipe import Recipe
from .samples import Samples

if TYPE_CHECKING:
    import torch

# Mask thresholds come from this many bleeding patients; those of ScoreCAM, which runs the whole network once a
# channel, from fewer, and at the default stage only.
_BLEEDING = 12
_BLEEDING_SLOW = 2


def calibrate_content(
    content: dict, network: torch.nn.Module, validation: Samples, recipe: Recipe, progress: Progress = silent
) -> None:
    """Fit calibration and decision thresholds into ``content``, of CTs and of screen captures each its own.

    ``validation``: whole heads. Those of CTs are fitted on logits that are smoothed over a slab's neighbors, and the
    gate by the head; see :func:`~.calibrate.calibrate_heads`.
    """
    manifest = Manifest.of(content)
    column = manifest.class_index(manifest.target)
    logits = predict(network, validation, manifest, lambda n: progress("Calibrating", n, len(validation)))
    intracranial = validation.intracranial(manifest)
    weight = choose_neighbor_weight(logits, validation, manifest.classes, column, intracranial)
    logits = smoothed_by_head(logits, validation, weight, intracranial)
    content["neighbor_weight"] = weight
    content["calibration"] = calibrate(logits, validation, manifest.classes, intracranial)
    calibrate_heads(content, logits, validation, intracranial)
    pictures = as_pictures(validation, manifest.size, recipe.seed)
    logits = predict(
        network, pictures, manifest, lambda n: progress("Calibrating for pictures", n, len(pictures))
    )
    content["input"]["picture"] = {
        "centre": READ_CENTRE,
        "width": READ_WIDTH,
        "fill": PICTURE_FILL,
        "calibration": calibrate(logits, pictures, manifest.classes),
    }


def choose_mask_thresholds(
    content: dict,
    network: torch.nn.Module,
    validation: Samples,
    stages: tuple[int, ...] | None,
    seed: int,
    progress: Progress = silent,
) -> None:
    """Fit a mask threshold a method and stage into ``content``, and one for pictures, captured with ``seed``.

    The default is that of the default map. ``content`` has been calibrated.
    """
    manifest = Manifest.of(content)
    if not validation.labels.any():
        return
    count = len(stage_modules(network))
    stages = stages or tuple(range(min(4, count), count + 1))
    thresholds = {"default": manifest.thresholds["default"]}
    fast = [method for method in METHODS if method != "scorecam"]
    some = bleeding(validation, _BLEEDING)
    curves = dice_curves(network, some, manifest, fast, sorted({*stages, manifest.stage}), progress)
    fewer = bleeding(validation, _BLEEDING_SLOW)
    curves |= dice_curves(network, fewer, manifest, ["scorecam"], [manifest.stage], progress)
    for (method, stage), (curve, _) in curves.items():
        thresholds.setdefault(method, {})[str(stage)] = float(THRESHOLDS[curve.argmax()])
    thresholds["default"] = thresholds[manifest.method][str(manifest.stage)]
    content["explanation"]["thresholds"] = thresholds
    pictures = as_pictures(bleeding(validation, _BLEEDING), manifest.size, seed)
    curve, _ = picture_dice_curve(network, pictures, manifest, progress)
    if np.isfinite(curve).all():
        content["input"]["picture"]["mask_threshold"] = float(THRESHOLDS[curve.argmax()])


def measure(
    network: torch.nn.Module, test: Samples, manifest: Manifest, recipe: Recipe, progress: Progress = silent
) -> dict[str, float]:
    """Figures on slabs that neither trained nor chose anything."""
    logits = predict(network, test, manifest, lambda n: progress("Measuring", n, len(test)))
    intracranial = test.intracranial(manifest)
    logits = smoothed_by_head(logits, test, manifest.neighbor_weight, intracranial)
    if intracranial is not None:  # probability 0 by construction
        logits[~intracranial] = np.finfo(np.float32).min
    values = aucs(logits, test, manifest.classes)
    pictures = as_pictures(test, manifest.size, recipe.seed)
    logits_of_pictures = predict(network, pictures, manifest)
    target = f"auc_{manifest.target}"
    values[f"{target} of screen captures"] = aucs(logits_of_pictures, pictures, manifest.classes)[target]
    for what, samples, z, calibration in (
        ("slabs", test, logits, manifest.calibration),
        ("screen captures", pictures, logits_of_pictures, manifest.picture.calibration),
    ):
        sensitivity, specificity = operating_point(z, samples, manifest, calibration)
        values |= {f"sensitivity, {what}": sensitivity, f"specificity, {what}": specificity}
    values |= heads_called(logits, test, manifest)
    if test.labels.any():
        curve, hits = dice_curve(network, test, manifest, progress)
        threshold = manifest.mask_threshold(manifest.method, manifest.stage)
        chosen = np.abs(THRESHOLDS - threshold).argmin()
        values["Dice of the plain mask, mean over bleeding patients"] = float(curve[chosen])
        values["peak of the map inside the bleeding"] = hits
        curve, hits = picture_dice_curve(network, pictures, manifest, progress)
        chosen = np.abs(THRESHOLDS - manifest.for_pictures().mask_threshold(manifest.method, manifest.stage))
        values["Dice of the plain mask, mean over bleeding screen captures"] = float(curve[chosen.argmin()])
        values["peak of the map inside the bleeding, screen captures"] = hits
    return {k: round(float(v), 4) for k, v in values.items() if np.isfinite(v)}  # a kind may be missing


def heads_called(logits: np.ndarray, test: Samples, manifest: Manifest) -> dict[str, float]:
    """Shares 0..1 of clean heads without a slab that passes the gate, and of bleeding heads with one that bleeds.

    ``logits``: of the calibrated slabs of whole heads, (n, classes).
    """
    column = manifest.class_index(manifest.target)
    slope, intercept, gate = manifest.calibration[manifest.target]
    with np.errstate(over="ignore"):
        called = 1 / (1 + np.exp(-(slope * logits[:, column].astype(float) + intercept))) >= gate
    silent, found = [], []
    for rows in by_head(test):
        truth = test.truth[rows, column]
        if (truth == 0).all():
            silent.append(not called[rows].any())
        elif (truth == 1).any():
            found.append(called[rows][truth == 1].any())
    shares = {
        "clean heads without a slab above the gate": silent,
        "bleeding heads with a bleeding slab above it": found,
    }
    return {name: float(np.mean(values)) for name, values in shares.items() if values}


def bleeding(samples: Samples, count: int) -> Samples:
    """The first ``count`` patients with a hemorrhage."""
    chosen = np.unique(samples.patient[samples.labels.any(axis=(1, 2))])[:count]
    return samples.rows(np.isin(samples.patient, chosen))


def operating_point(
    logits: np.ndarray,
    samples: Samples,
    manifest: Manifest,
    calibration: dict[str, tuple[float, float, float]],
) -> tuple[float, float]:
    """Sensitivity and specificity for the default target's slabs at the shipped threshold."""
    column = manifest.class_index(manifest.target)
    slope, intercept, threshold = calibration[manifest.target]
    targets, weights = samples.targets(manifest.classes)
    counted = weights[:, column] > 0
    with np.errstate(over="ignore"):
        called = 1 / (1 + np.exp(-(slope * logits[counted, column].astype(float) + intercept))) >= threshold
    truth = targets[counted, column] > 0
    return float(called[truth].mean()), float(1 - called[~truth].mean())
