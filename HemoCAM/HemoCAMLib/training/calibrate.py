"""After training: probabilities that mean what they say, and a mask threshold a method and stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..cams.engine import Engine
from ..cams.scaling import scale_maps
from ..cams.target import Target
from ..models.calibration import slab_probabilities, smoothed_logits
from ..models.manifest import Manifest
from ..models.preprocess import network_input
from ..progress import Progress, silent
from ..volumes.headgrid import HeadGrid
from .samples import Samples

if TYPE_CHECKING:
    import torch

THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.025), 3)
# A decision threshold calls at most one clean slab in fifty: a reader who is called in vain too often stops looking.
MIN_SPECIFICITY = 0.98
# The gate leaves so many clean heads silent. Patients are harder than drawings, so more than the 85% that are wanted.
MIN_SILENT_HEADS = 0.9
NEIGHBOR_WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 1 / 3)


def platt(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Fit probability = sigmoid(slope * logit + intercept) by maximum likelihood (Platt 1999).

    ``logits`` and ``targets`` (0 or 1) have shape (n,). The targets are smoothed as Platt proposes, so that
    separable data give finite numbers. The slope is at least 0.05.
    """
    from scipy.optimize import minimize

    positives, negatives = targets.sum(), (1 - targets).sum()
    smooth = np.where(targets > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(p: np.ndarray) -> float:
        z = p[0] * logits + p[1]
        return float(np.mean(np.logaddexp(0, z) - smooth * z))

    fit = minimize(loss, np.array([1.0, 0.0]), bounds=[(0.05, 20), (-20, 20)], method="L-BFGS-B")
    return float(fit.x[0]), float(fit.x[1])


def decision_threshold(probability: np.ndarray, targets: np.ndarray) -> float:
    """Probability with the largest sensitivity + specificity (Youden 1950) among those specific enough.

    Specific enough: :data:`MIN_SPECIFICITY`. Both arrays have shape (n,); ``targets`` are 0 or 1.
    """
    thresholds = np.unique(np.round(probability, 3))
    bleeding, clean = (np.sort(probability[targets == side]) for side in (1, 0))
    sensitivity = 1 - np.searchsorted(bleeding, thresholds) / len(bleeding)
    specificity = np.searchsorted(clean, thresholds) / len(clean)
    score = np.where(specificity >= MIN_SPECIFICITY, sensitivity + specificity, -1.0)
    chosen = float(thresholds[score.argmax()]) if score.max() >= 0 else 0.5
    return float(np.clip(chosen, 0.05, 0.95))


def by_head(samples: Samples) -> list[np.ndarray]:
    """Rows of each patient's slabs."""
    return [np.flatnonzero(samples.patient == patient) for patient in np.unique(samples.patient)]


def smoothed_by_head(
    logits: np.ndarray, samples: Samples, weight: float, intracranial: np.ndarray | None
) -> np.ndarray:
    """:func:`~..models.calibration.smoothed_logits` of whole heads, (n, classes)."""
    result = np.empty_like(logits)
    for rows in by_head(samples):
        counts = None if intracranial is None else intracranial[rows]
        result[rows] = smoothed_logits(logits[rows], weight, counts)
    return result


def choose_neighbor_weight(
    logits: np.ndarray,
    samples: Samples,
    classes: tuple[str, ...],
    column: int,
    intracranial: np.ndarray | None,
) -> float:
    """Weight of :data:`NEIGHBOR_WEIGHTS` with the lowest log loss after calibration, of one class, over all slabs."""
    targets, weights = samples.targets(classes)
    truth, counted = targets[:, column], weights[:, column] > 0
    if intracranial is not None:
        counted &= intracranial
    losses = []
    for weight in NEIGHBOR_WEIGHTS:
        z = smoothed_by_head(logits, samples, weight, intracranial)[counted, column]
        slope, intercept = platt(z, truth[counted])
        z = slope * z + intercept
        losses.append(np.mean(np.logaddexp(0, z) - truth[counted] * z))
    return round(NEIGHBOR_WEIGHTS[int(np.argmin(losses))], 3)


def calibrate_heads(
    content: dict, logits: np.ndarray, samples: Samples, intracranial: np.ndarray | None
) -> None:
    """Fit the gate of the default target and the probability of a head into ``content``, whose slabs are calibrated.

    The gate is the lowest probability at which :data:`MIN_SILENT_HEADS` of the heads without the target have no slab
    that passes. A head's probability is calibrated on its largest smoothed logit, and its threshold is where that of
    a slab is the gate: a head is called where a slab of it is.

    Parameters
    ----------
    logits:
        Smoothed, (n, classes), of whole validation heads.
    """
    manifest = Manifest.of(content)
    column = manifest.class_index(manifest.target)
    truth = samples.targets(manifest.classes)[0][:, column]
    highest, bleeds, clean = [], [], []
    for rows in by_head(samples):
        own = rows if intracranial is None else rows[intracranial[rows]]
        if len(own):
            highest.append(logits[own, column].max())
            bleeds.append(truth[rows].any())
            # a head with too little blood to count, or nobody knows how much, is not known to be clean
            clean.append(bool((samples.truth[rows, 0] == 0).all()))
    highest, bleeds, clean = np.array(highest), np.array(bleeds, float), np.array(clean)
    slope, intercept, _ = manifest.calibration[manifest.target]
    if clean.any():
        at = np.quantile(highest[clean], MIN_SILENT_HEADS, method="higher")
        gate = 1 / (1 + np.exp(-(slope * np.nextafter(at, np.inf) + intercept)))
        rounded = math.ceil(min(max(float(gate), 0.05), 0.99) * 1000) / 1000
        content["calibration"][manifest.target]["threshold"] = rounded
    gate = content["calibration"][manifest.target]["threshold"]
    known = clean | (bleeds > 0)
    if 0 < bleeds[known].sum() < known.sum():
        a, b = platt(highest[known], bleeds[known])
        at = (np.log(gate / (1 - gate)) - intercept) / slope
        content["head"] = {
            "slope": round(a, 5),
            "intercept": round(b, 5),
            "threshold": round(float(1 / (1 + np.exp(-(a * at + b)))), 4),
        }


def calibrate(
    logits: np.ndarray, samples: Samples, classes: tuple[str, ...], counts: np.ndarray | None = None
) -> dict[str, dict[str, float]]:
    """Calibration of every class, as the manifest holds it, from validation logits (n, classes).

    ``counts``: slabs that are calibrated on, bool (n,); all by default.
    """
    targets, weights = samples.targets(classes)
    if counts is not None:
        weights = weights * counts[:, None]
    result = {}
    for column, name in enumerate(classes):
        counted = weights[:, column] > 0
        z, t = logits[counted, column], targets[counted, column]
        if not 0 < t.sum() < len(t):  # a class that never (or always) occurs here cannot be calibrated
            result[name] = {"slope": 1.0, "intercept": 0.0, "threshold": 0.5}
            continue
        slope, intercept = platt(z, t)
        probability = 1 / (1 + np.exp(-(slope * z + intercept)))
        result[name] = {
            "slope": round(slope, 5),
            "intercept": round(intercept, 5),
            "threshold": round(decision_threshold(probability, t), 3),
        }
    return result


def dice_curves(
    network: torch.nn.Module,
    samples: Samples,
    manifest: Manifest,
    methods: Sequence[str],
    stages: Sequence[int],
    progress: Progress = silent,
) -> dict[tuple[str, int], tuple[np.ndarray, float]]:
    """Mean Dice over patients at every one of THRESHOLDS, and the share of peaks inside the bleeding.

    By method and stage. The maps are scaled and gated as the pipeline shows them, on the network's grid. Only
    patients with a hemorrhage count; one whose slices are all gated out scores 0. The peak is that of the whole
    volume's map.
    """
    import torch

    engine = Engine(network)
    target = Target(manifest.class_index(manifest.target))
    gate_at = manifest.calibration[manifest.target][2]
    grid = HeadGrid.alone(manifest.size, manifest.field_of_view_mm)
    cells = {stage: engine.cells(stage, manifest.size) for stage in stages}
    patients = np.unique(samples.patient[samples.labels.any(axis=(1, 2))])
    found: dict[tuple[str, int], list] = {(m, s): [] for m in methods for s in stages}
    for done, patient in enumerate(patients):
        progress("Measuring maps", done, len(patients))
        rows = np.flatnonzero(samples.patient == patient)
        truth = samples.labels[rows] > 0
        own = samples.rows(rows)
        seen = network_input(own.seen(manifest).hu.astype(np.float32), manifest)
        x = torch.from_numpy(seen).to(engine.device)
        with torch.inference_mode():
            logits = network(x).float().cpu().numpy()
        said = slab_probabilities(logits, manifest, own.intracranial(manifest))
        gate = said[:, target.class_index] >= gate_at
        raw = {}
        if gate.any():
            chosen = x[torch.from_numpy(gate).to(engine.device)]
            raw = engine.explain(chosen, target, methods, stages).raw
        for (method, stage), results in found.items():
            maps = np.zeros(truth.shape, np.float32)
            if gate.any():
                shown = scale_maps(raw[method, stage], "gated", np.ones(gate.sum(), bool)).maps
                maps[gate] = grid.paint(shown, cells[stage])
            hit = bool(maps.any() and truth.flat[maps.argmax()])
            results.append((_dice_at_thresholds(maps, truth), hit))
    return {
        key: (np.mean([c for c, _ in results], axis=0), float(np.mean([h for _, h in results])))
        for key, results in found.items()
    }


def dice_curve(
    network: torch.nn.Module, samples: Samples, manifest: Manifest, progress: Progress = silent
) -> tuple[np.ndarray, float]:
    """:func:`dice_curves` of the default map."""
    method, stage = manifest.method, manifest.stage
    return dice_curves(network, samples, manifest, [method], [stage], progress)[method, stage]


def picture_dice_curve(
    network: torch.nn.Module, pictures: Samples, manifest: Manifest, progress: Progress = silent
) -> tuple[np.ndarray, float]:
    """As :func:`dice_curve`, of the default map on single pictures, each scaled by its own peak, without a gate.

    The mean is over the pictures that are known to bleed; NaN where there is none.
    """
    import torch

    engine, method, stage = Engine(network), manifest.method, manifest.stage
    target = Target(manifest.class_index(manifest.target))
    grid, cells = HeadGrid.alone(manifest.size, manifest.field_of_view_mm), engine.cells(stage, manifest.size)
    rows = np.flatnonzero((pictures.truth[:, 0] == 1) & pictures.labels.any(axis=(1, 2)))
    if not len(rows):
        return np.full(len(THRESHOLDS), np.nan), float("nan")
    curves, hits = [], []
    for done, row in enumerate(rows):
        progress("Measuring maps of pictures", done, len(rows))
        x = torch.from_numpy(network_input(pictures.hu[[row]].astype(np.float32), manifest))
        raw = engine.explain(x, target, [method], [stage]).raw[method, stage]
        shown = grid.paint(scale_maps(raw, "volume", np.ones(1, bool)).maps, cells)
        truth = pictures.labels[[row]] > 0
        curves.append(_dice_at_thresholds(shown, truth))
        hits.append(bool(shown.any() and truth.flat[shown.argmax()]))
    return np.mean(curves, axis=0), float(np.mean(hits))


def _dice_at_thresholds(maps: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice of ``maps >= t`` and ``truth`` (bool, not empty, same shape) at every t of THRESHOLDS."""
    inside, everywhere = (
        np.histogram(m, np.append(THRESHOLDS, np.inf))[0][::-1].cumsum()[::-1] for m in (maps[truth], maps)
    )
    return 2 * inside / (everywhere + truth.sum())
