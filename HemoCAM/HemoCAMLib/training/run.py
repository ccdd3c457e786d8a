"""One training from start to bundle: patients, loop, calibration, thresholds, measurement, export."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import __version__
from ..cams.methods import METHODS, stage_modules
from ..errors import OptionError, OutputError
from ..models.bundle import Bundle
from ..models.manifest import Manifest
from ..phantoms.cohort import cohort
from ..progress import Progress, silent
from .calibrate import THRESHOLDS, calibrate, choose_thresholds, dice_curve
from .capture import READ_CENTRE, READ_WIDTH
from .devices import launch
from .evaluate import PICTURE_FILL, as_pictures, aucs, predict
from .export import write_bundle
from .loop import train
from .recipe import Recipe
from .samples import Samples, prepare
from .sources import VirtualPatients

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

BLUEPRINT = Path(__file__).parent / "blueprint.json"
# AblationCAM and ScoreCAM run the network once a channel: their thresholds come from this many patients.
_SLOW = {"ablationcam": 6, "scorecam": 6}
_BLEEDING = 30


@dataclass(frozen=True)
class Cases:
    """What to train on and to measure with.

    Parameters
    ----------
    patients:
        Virtual patients to train on.
    fresh:
        Never the same virtual patient twice: as many as the run takes, ``patients`` aside.
    validation_patients:
        Virtual patients that score the epochs and choose calibration and thresholds; as many again measure.
    """

    patients: int = 900
    fresh: bool = False
    validation_patients: int = 100

    def __post_init__(self) -> None:
        if self.patients < 1 or self.validation_patients < 2:
            raise OptionError("Training needs at least one virtual patient, validation at least two.")


def train_bundle(
    output: Path,
    work: Path,
    recipe: Recipe,
    cases: Cases | None = None,
    blueprint: Path = BLUEPRINT,
    *,
    fabric: Fabric | None = None,
    stages: tuple[int, ...] | None = None,
    workers: int = 1,
    command: str = "hemocam train",
    progress: Progress = silent,
) -> Bundle | None:
    """Train a bundle and write it to ``output``; None on processes other than the first of several.

    Parameters
    ----------
    output:
        The bundle's folder; must not exist.
    work:
        Patients, checkpoint, log and curves; a run that was killed goes on from here when called again.
    cases:
        What to train on.
    blueprint:
        A manifest whose architecture, input, classes and defaults the new bundle takes.
    fabric:
        Devices and precision, launched; one device otherwise.
    stages:
        Stages to choose mask thresholds for; None: from the fourth on.
    workers:
        Processes that make patients beside the training; 0 makes them in between.
    """
    if output.exists():
        raise OutputError(f"{output} exists; remove it or choose another folder for the bundle.")
    cases = cases or Cases()
    content = json.loads(blueprint.read_text(encoding="utf-8"))
    content["name"] = output.name
    manifest = Manifest.of(content, str(blueprint))
    fabric = fabric or launch()
    cache = work / "patients"

    def hold_out(offset: int) -> Samples:
        specs = cohort(cases.validation_patients, recipe.seed + offset)
        return prepare(specs, manifest, cache, workers, progress)

    validation = hold_out(1000) if fabric.is_global_zero else None
    count = cases.patients
    if cases.fresh:
        count = (recipe.first + int(recipe.inflow * recipe.steps) + recipe.pool) * fabric.world_size
    source = VirtualPatients(cohort(count, recipe.seed), manifest, cache, keep=not cases.fresh)
    network = train(source, validation, manifest, recipe, work, progress, fabric=fabric, workers=workers)
    if not fabric.is_global_zero:
        return None
    network = fabric.to_device(network)
    calibrate_content(content, network, validation, recipe, progress)
    choose_mask_thresholds(content, network, validation, stages, progress)
    content["training"] = {
        **content["training"],
        "command": command,
        "cases": asdict(cases),
        "recipe": asdict(recipe),
        "devices": f"{fabric.world_size} x {fabric.device.type}",
        "versions": _versions(),
    }
    values = measure(network, hold_out(2000), Manifest.of(content), recipe, progress)
    content["measured"] = [
        {
            "on": f"{cases.validation_patients} virtual patients that neither trained nor chose anything",
            "command": command,
            "values": values,
        }
    ]
    return write_bundle(network.cpu(), content, output)


def calibrate_content(
    content: dict, network: torch.nn.Module, validation: Samples, recipe: Recipe, progress: Progress = silent
) -> None:
    """Fit calibration and decision thresholds into ``content``, of CTs and of screen captures each its own."""
    manifest = Manifest.of(content)
    found = []
    pictures = as_pictures(validation, manifest.size, recipe.seed)
    for phase, samples in (("Calibrating", validation), ("Calibrating for pictures", pictures)):
        logits = predict(network, samples, manifest, lambda n: progress(phase, n, len(validation)))  # noqa: B023
        found.append(calibrate(logits, samples, manifest.classes))
    content["calibration"] = found[0]
    content["input"]["picture"] = {
        "centre": READ_CENTRE, "width": READ_WIDTH, "fill": PICTURE_FILL, "calibration": found[1],
    }  # fmt: skip


def choose_mask_thresholds(
    content: dict,
    network: torch.nn.Module,
    validation: Samples,
    stages: tuple[int, ...] | None,
    progress: Progress = silent,
) -> None:
    """Fit a mask threshold a method and stage into ``content``; the default is that of the default map."""
    manifest = Manifest.of(content)
    if not validation.labels.any():
        return
    count = len(stage_modules(network))
    stages = stages or tuple(range(min(4, count), count + 1))
    thresholds = {"default": manifest.thresholds["default"]}
    for method in METHODS:
        some = bleeding(validation, _SLOW.get(method, _BLEEDING))
        wanted = (manifest.stage,) if method in _SLOW else sorted({*stages, manifest.stage})
        found = choose_thresholds(network, some, manifest, (method,), tuple(wanted), progress)
        thresholds[method] = found[method]
    thresholds["default"] = thresholds[manifest.method][str(manifest.stage)]
    content["explanation"]["thresholds"] = thresholds


def measure(
    network: torch.nn.Module, test: Samples, manifest: Manifest, recipe: Recipe, progress: Progress = silent
) -> dict[str, float]:
    """Figures on slabs that neither trained nor chose anything."""
    logits = predict(network, test, manifest, lambda n: progress("Measuring", n, len(test)))
    values = aucs(logits, test, manifest.classes)
    pictures = as_pictures(test, manifest.size, recipe.seed)
    logits_of_pictures = predict(network, pictures, manifest)
    target = f"auc_{manifest.target}"
    values[f"{target} of screen captures"] = aucs(logits_of_pictures, test, manifest.classes)[target]
    for what, z, calibration in (
        ("slabs", logits, manifest.calibration),
        ("screen captures", logits_of_pictures, manifest.picture.calibration),
    ):
        sensitivity, specificity = operating_point(z, test, manifest, calibration)
        values |= {f"sensitivity, {what}": sensitivity, f"specificity, {what}": specificity}
    if test.labels.any():
        curve, hits = dice_curve(network, test, manifest, manifest.method, manifest.stage, progress)
        threshold = manifest.mask_threshold(manifest.method, manifest.stage)
        chosen = np.abs(THRESHOLDS - threshold).argmin()
        values["Dice of the default mask, mean over bleeding patients"] = float(curve[chosen])
        values["peak of the map inside the bleeding"] = hits
    return {k: round(float(v), 4) for k, v in values.items() if np.isfinite(v)}  # a kind may be missing


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
    called = 1 / (1 + np.exp(-(slope * logits[counted, column] + intercept))) >= threshold
    truth = targets[counted, column] > 0
    return float(called[truth].mean()), float(1 - called[~truth].mean())


def default_workers() -> int:
    """Processes to make patients with: all cores but the one that feeds the training."""
    return max(1, (os.cpu_count() or 2) - 1)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("torch", "timm", "lightning-fabric", "grad-cam", "numpy", "scipy")
    return {"hemocam": __version__, **{p: version(p) for p in packages}}
