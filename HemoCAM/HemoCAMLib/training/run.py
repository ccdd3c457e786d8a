"""One training from start to bundle: patients, loop, calibration, thresholds, measurement, export."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import __version__
from ..cams.methods import METHODS
from ..errors import OutputError
from ..models.bundle import Bundle
from ..models.manifest import Manifest
from ..progress import Progress, silent
from .calibrate import THRESHOLDS, calibrate, choose_thresholds, dice_curve
from .export import write_bundle
from .loop import Recipe, aucs, predict, train
from .samples import Samples, prepare, training_specs

BLUEPRINT = Path(__file__).parent / "blueprint.json"
# AblationCAM and ScoreCAM run the network once a channel: their thresholds come from this many patients.
_SLOW = {"ablationcam": 6, "scorecam": 6}
_BLEEDING = 30


def train_bundle(
    output: Path,
    work: Path,
    recipe: Recipe,
    blueprint: Path = BLUEPRINT,
    stages: tuple[int, ...] = (4, 5, 6),
    workers: int = 2,
    command: str = "hemocam train",
    progress: Progress = silent,
) -> Bundle:
    """Train a bundle from virtual patients alone and write it to ``output``.

    Parameters
    ----------
    output:
        The bundle's folder; must not exist.
    work:
        Patients, checkpoint and log; a run that was killed goes on from here when called again.
    blueprint:
        A manifest whose architecture, input, classes and defaults the new bundle takes.
    stages:
        Stages to choose mask thresholds for.
    """
    if output.exists():
        raise OutputError(f"{output} exists; remove it or choose another folder for the bundle.")
    content = json.loads(blueprint.read_text(encoding="utf-8"))
    content["name"] = output.name
    manifest = Manifest.of(content, str(blueprint))

    def patients(count: int, seed: int) -> Samples:
        return prepare(training_specs(count, seed, manifest), manifest, work / "patients", workers, progress)

    validation = patients(recipe.validation_patients, recipe.seed + 1000)
    test = patients(recipe.validation_patients, recipe.seed + 2000)
    network = train(patients(recipe.patients, recipe.seed), validation, manifest, recipe, work, progress)

    content["calibration"] = calibrate(predict(network, validation, manifest), validation, manifest.classes)
    manifest = Manifest.of(content)
    thresholds = {"default": manifest.thresholds["default"]}
    for method in METHODS:
        some = bleeding(validation, _SLOW.get(method, _BLEEDING))
        wanted = (manifest.stage,) if method in _SLOW else stages
        thresholds |= {
            k: v
            for k, v in choose_thresholds(network, some, manifest, (method,), wanted, progress).items()
            if k != "default"
        }
    content["explanation"]["thresholds"] = thresholds
    manifest = Manifest.of(content)

    content["training"] = {
        **content["training"],
        "command": command,
        "recipe": asdict(recipe),
        "versions": _versions(),
    }
    values = {k: round(v, 4) for k, v in aucs(network, test, manifest).items()}
    values |= operating_point(predict(network, test, manifest), test, manifest)
    curve, hits = dice_curve(network, test, manifest, manifest.method, manifest.stage, progress)
    threshold = manifest.mask_threshold(manifest.method, manifest.stage)
    values["Dice of the default mask, mean over bleeding patients"] = round(
        float(curve[np.abs(THRESHOLDS - threshold).argmin()]), 4
    )
    values["peak of the map inside the bleeding"] = round(hits, 4)
    content["measured"] = [
        {
            "on": f"{recipe.validation_patients} virtual patients that neither trained nor chose anything",
            "command": command,
            "values": values,
        }
    ]
    return write_bundle(network, content, output)


def bleeding(samples: Samples, count: int) -> Samples:
    """The first ``count`` patients with a hemorrhage."""
    chosen = np.unique(samples.patient[samples.labels.any(axis=(1, 2))])[:count]
    rows = np.isin(samples.patient, chosen)
    return Samples(samples.hu[rows], samples.area_mm2[rows], samples.labels[rows], samples.patient[rows])


def operating_point(logits: np.ndarray, samples: Samples, manifest: Manifest) -> dict[str, float]:
    """Sensitivity and specificity for the default target's slabs at the shipped threshold."""
    column = manifest.class_index(manifest.target)
    slope, intercept, threshold = manifest.calibration[manifest.target]
    targets, weights = samples.targets(manifest.classes)
    counted = weights[:, column] > 0
    called = 1 / (1 + np.exp(-(slope * logits[counted, column] + intercept))) >= threshold
    truth = targets[counted, column] > 0
    return {
        "sensitivity, slabs": round(float(called[truth].mean()), 4),
        "specificity, slabs": round(float(1 - called[~truth].mean()), 4),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        "hemocam": __version__,
        **{p: version(p) for p in ("torch", "timm", "grad-cam", "numpy", "scipy")},
    }
