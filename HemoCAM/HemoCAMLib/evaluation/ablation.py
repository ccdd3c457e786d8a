"""What each group of the generator's random features brings: short trainings without it, all else equal.

The full generator is trained several times, with other patients, weights and order each: what these trainings
differ by is the noise that any difference has to be held against.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OptionError
from ..models.bundle import Bundle
from ..models.manifest import Manifest
from ..phantoms.cohort import cohort
from ..progress import Progress, silent
from ..training.recipe import Recipe
from ..training.run import BLUEPRINT
from .claims import claim, generator_digest
from .ingredients import PARTS, generator_part, without
from .tables import write_text
from .trial import examine_phantoms, examine_slices

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

    from ..training.pool import Workshop
    from ..training.samples import Samples

Figures = dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Plan:
    """What to train and to measure on.

    Parameters
    ----------
    groups:
        Of :data:`~.ingredients.PARTS`, each left out in a training of its own; ``a+b`` leaves out both.
    recipe:
        Of every training; its seed is that of the first training, the others' follow it.
    seeds, repeats:
        Trainings with the full generator, at least 2, and without each group, with the same seeds, at least 1.
    patients, validation_patients, test_patients:
        Virtual patients of each training, and, of the full generator and the same for all trainings, those that
        choose thresholds and those that measure.
    blueprint:
        A manifest whose architecture, input, classes and defaults the networks take.
    size:
        Edge of their input in pixels instead of the blueprint's, for shorter trainings.
    """

    groups: tuple[str, ...]
    recipe: Recipe = field(default_factory=Recipe)
    seeds: int = 3
    repeats: int = 1
    patients: int = 400
    validation_patients: int = 60
    test_patients: int = 100
    blueprint: Path = BLUEPRINT
    size: int | None = None

    def __post_init__(self) -> None:
        unknown = [part for group in self.groups for part in group.split("+") if part not in PARTS]
        if unknown:
            raise OptionError(
                f"There is no group of features {unknown[0]!r}; choose from {', '.join(PARTS)}."
            )
        if len(set(self.groups)) != len(self.groups):
            raise OptionError("A group of features is named twice; name each once.")
        if self.seeds < 2:
            raise OptionError(
                "One training of the full generator tells nothing of the noise; give --seeds 2 or more."
            )
        if not 1 <= self.repeats <= self.seeds:
            raise OptionError(f"Each group needs 1 to {self.seeds} trainings (--seeds); correct --repeats.")
        if min(self.patients, self.validation_patients, self.test_patients) < 2:
            raise OptionError("Training, validation and test need at least two patients each.")

    def trials(self) -> list[Trial]:
        """All trainings: the full ones first."""
        first = self.recipe.seed
        full = [Trial((), first + n) for n in range(self.seeds)]
        left_out = [tuple(group.split("+")) for group in self.groups]
        return [*full, *(Trial(parts, first + n) for parts in left_out for n in range(self.repeats))]


@dataclass(frozen=True)
class Trial:
    """One training: what the generator leaves out, and the seed of patients, weights and order."""

    without: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and bundle."""
        return f"without-{'-'.join(self.without)}-{self.seed}" if self.without else f"full-{self.seed}"

    @property
    def group(self) -> str:
        """What is left out, as :class:`Plan` names it; empty for the full generator."""
        return "+".join(self.without)


@dataclass(frozen=True)
class Outcome:
    """A trial's figures by name: value, and low and high of its 95% interval over the test cases."""

    trial: Trial
    figures: Figures


def ablate(
    plan: Plan,
    folder: Path,
    slices: Path | None = None,
    *,
    fabric: Fabric | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> list[Outcome]:
    """Train and measure all trials of ``plan``; what ``folder`` holds of an earlier, stopped run is not done again.

    Parameters
    ----------
    plan:
        The trials. More groups or slices can be asked for later.
    folder:
        A folder a trial, with its bundle, log and figures.
    slices:
        Folder with ``labels.csv`` (file, hemorrhage), the slices named in it and, if there are any, ``masks``.
    fabric:
        The device; the GPU if there is one by default.
    workers:
        Processes that make patients; 0 makes them in this one.

    Raises
    ------
    OutputError
        If ``folder`` holds the trials of another plan.
    InputError
        If the slices or their labels cannot be read.
    """
    from ..training.devices import launch
    from ..training.pool import Workshop

    content = json.loads(plan.blueprint.read_text(encoding="utf-8"))
    if plan.size is not None:
        content["input"]["size"] = plan.size
    Manifest.of(content, str(plan.blueprint))
    taken = [content[k] for k in ("input", "architecture", "classes", "explanation")]
    settled = {k: v for k, v in asdict(plan).items() if k not in ("groups", "seeds", "repeats", "blueprint")}
    claim(
        folder, "ablation.txt", [settled, taken, generator_digest()], "ablation of another plan or generator"
    )
    with Workshop(workers) as workshop:
        bench = _Bench(plan, folder, content, fabric or launch(), workshop, progress)
        return [Outcome(trial, bench.figures(trial, slices)) for trial in plan.trials()]


# Offsets of the cohorts' seeds, those of `hemocam train`.
VALIDATION, TEST = 1000, 2000
WORK = "work"


class _Bench:
    """What all trials share: the plan, the held-out patients, the device."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        blueprint: dict,
        fabric: Fabric,
        workshop: Workshop,
        progress: Progress,
    ) -> None:
        self.plan, self.folder, self.blueprint = plan, folder, blueprint
        self.fabric, self.workshop, self.progress = fabric, workshop, progress
        self._held: dict[int, Samples] = {}

    def held_out(self, offset: int) -> Samples:
        """Patients of the full generator, made when first needed."""
        from ..training.samples import prepare

        if offset not in self._held:
            plan = self.plan
            count = plan.validation_patients if offset == VALIDATION else plan.test_patients
            specs = cohort(count, plan.recipe.seed + offset)
            manifest, cache = Manifest.of(self.blueprint), self.folder / "patients"
            self._held[offset] = prepare(specs, manifest, cache, self.workshop, self.progress)
        return self._held[offset]

    def figures(self, trial: Trial, slices: Path | None) -> Figures:
        """Train and measure a trial, as far as that has not been done."""
        folder, device = self.folder / trial.name, self.fabric.device.type
        folder.mkdir(exist_ok=True)

        def told(phase: str, done: int, total: int) -> None:
            self.progress(f"{trial.name}: {phase}", done, total)

        if not (folder / "bundle" / "model.json").exists():
            self.train(trial, folder, told)
        _tidy(folder)
        bundle = Bundle.open(folder / "bundle")
        found = _kept(
            folder / "phantoms.json",
            [self.plan.test_patients],
            lambda: examine_phantoms(bundle, self.held_out(TEST), device, told),
        )
        if slices is not None:
            found |= _kept(
                folder / "slices.json",
                _slices_digest(slices),
                lambda: examine_slices(bundle, slices, folder / "scores.csv", device, told),
            )
        return found

    def train(self, trial: Trial, folder: Path, progress: Progress) -> None:
        """Train a network, calibrate it on the full generator's patients and write ``folder/bundle``.

        A training that was killed goes on after its last whole epoch.
        """
        from ..training.export import write_bundle
        from ..training.loop import train
        from ..training.run import calibrate_content
        from ..training.sources import VirtualPatients

        plan, validation = self.plan, self.held_out(VALIDATION)
        recipe, content = without(replace(plan.recipe, seed=trial.seed), self.blueprint, trial.without)
        content["name"] = trial.name
        manifest = Manifest.of(content)
        left_out = generator_part(trial.without)
        specs = [replace(spec, without=left_out) for spec in cohort(plan.patients, trial.seed)]
        work = folder / WORK
        # those of the full generator serve several trainings
        source = VirtualPatients(specs, manifest, (work if left_out else self.folder) / "patients")
        network = train(
            source, validation, manifest, recipe, work, progress, fabric=self.fabric, workers=self.workshop
        )
        network = self.fabric.to_device(network)
        calibrate_content(content, network, validation, recipe, progress)
        _choose_mask_thresholds(content, network, validation, recipe.seed, progress)
        named = ", ".join(trial.without) or "nothing"
        content["training"] = {
            "data": f"virtual patients of HemoCAM's generator, left out: {named}; no patient data of any kind",
            "command": "hemocam ablate",
            "recipe": asdict(recipe),
        }
        write_bundle(network.cpu(), content, folder / "bundle")


def _choose_mask_thresholds(
    content: dict, network: torch.nn.Module, validation: Samples, seed: int, progress: Progress
) -> None:
    """Fit mask thresholds of the default map alone: all nine methods would take longer than the training."""
    from ..training.calibrate import THRESHOLDS, dice_curve, picture_dice_curve
    from ..training.evaluate import as_pictures
    from ..training.run import bleeding

    manifest = Manifest.of(content)
    some = bleeding(validation, 30)
    if not len(some):
        return
    curve, _ = dice_curve(network, some, manifest, progress)
    best = float(THRESHOLDS[curve.argmax()])
    content["explanation"]["thresholds"] = {"default": best, manifest.method: {str(manifest.stage): best}}
    curve, _ = picture_dice_curve(network, as_pictures(some, manifest.size, seed), manifest, progress)
    if np.isfinite(curve).all():
        content["input"]["picture"]["mask_threshold"] = float(THRESHOLDS[curve.argmax()])


def _tidy(folder: Path) -> None:
    """Once there is a bundle: keep log and curves, remove the patients (gigabytes a trial) and the checkpoint."""
    work = folder / WORK
    for name in ("log.csv", "curves.png"):
        if (work / name).exists():
            (work / name).replace(folder / name)
    shutil.rmtree(work, ignore_errors=True)


def _kept(path: Path, depends: list, work: Callable[[], Figures]) -> Figures:
    """Read figures that were computed from the same, or compute and keep them."""
    depends = json.loads(json.dumps(depends))
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["depends"] == depends:
            return {k: tuple(np.nan if v is None else v for v in f) for k, f in stored["figures"].items()}
    figures = work()
    plain = {k: [None if np.isnan(v) else v for v in f] for k, f in figures.items()}
    write_text(json.dumps({"depends": depends, "figures": plain}, indent=1), path)
    return figures


def _slices_digest(folder: Path) -> list:
    """What the figures on slices depend on: labels, and the names and sizes of slices and masks."""
    labels = folder / "labels.csv"
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p != labels)
    found = [[p.relative_to(folder).as_posix(), p.stat().st_size] for p in files]
    digest = hashlib.sha256(json.dumps(found).encode())
    if labels.is_file():
        digest.update(labels.read_bytes())
    return [digest.hexdigest()]
