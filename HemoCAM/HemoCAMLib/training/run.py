"""One training from start to bundle: patients, loop, calibration, thresholds, measurement, export."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import OptionError, OutputError
from ..models.bundle import Bundle
from ..models.manifest import Manifest
from ..phantoms.cohort import cohort
from ..pipeline import pick_device
from ..progress import Progress, silent
from .devices import launch
from .disk import DiskPatients
from .export import write_bundle
from .loop import train
from .pool import Workshop
from .recipe import Recipe
from .results import bleeding, calibrate_content, choose_mask_thresholds, measure
from .samples import Samples, join, prepare
from .sources import Mixed, Source, VirtualPatients

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["BLUEPRINT", "Cases", "bleeding", "calibrate_content", "default_workers", "train_bundle"]

BLUEPRINT = Path(__file__).parent / "blueprint.json"
_AHEAD = 256  # more than any number of workers makes before their turn
_HELD_OUT = 0.15  # share of a data set's patients that validates, and that measures


@dataclass(frozen=True)
class Cases:
    """What to train on and to measure with.

    Parameters
    ----------
    patients:
        Virtual patients to train on; 0 with ``data`` alone.
    fresh:
        Never the same virtual patient twice: as many as the run takes, ``patients`` aside.
    validation_patients:
        Virtual patients that score the epochs and choose calibration and thresholds; as many again measure.
    render:
        Where virtual patients to train on are rendered, ``cpu`` or ``cuda``.
    data:
        Folder of a data set with slice labels; see :mod:`.disk`. Its patients are split by ``seed``: 15 % score
        and calibrate, 15 % measure, the rest train. Mask thresholds, which labels of slices cannot give, still
        come from virtual patients.
    labels, pixel_mm:
        Of the data set, where it does not say so itself.
    data_share:
        Share of each batch that comes from ``data`` where virtual patients train beside it.
    """

    patients: int = 900
    fresh: bool = False
    validation_patients: int = 100
    render: str = "cpu"
    data: Path | None = None
    labels: Path | None = None
    pixel_mm: float | None = None
    data_share: float = 0.5

    def __post_init__(self) -> None:
        if self.validation_patients < 2 or self.patients < 0:
            raise OptionError("Validation needs at least two virtual patients; training none or more.")
        if self.patients == 0 and self.data is None:
            raise OptionError("There is nothing to train on; give virtual patients or a data set.")
        if not 0 < self.data_share < 1:
            raise OptionError(f"The share of the data set is {self.data_share:g}; give one between 0 and 1.")
        if self.pixel_mm is not None and not 0.1 <= self.pixel_mm <= 5:
            raise OptionError(f"Pixels of {self.pixel_mm:g} mm are none of a head CT; check --pixel-mm.")


def train_bundle(
    output: Path,
    work: Path,
    recipe: Recipe,
    cases: Cases | None = None,
    blueprint: Path = BLUEPRINT,
    *,
    initial: Bundle | None = None,
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
    initial:
        A model whose weights the network starts from.
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
    parts = _split(cases, manifest, recipe)
    fabric = fabric or launch()
    cache = work / "patients"
    with Workshop(workers) as workshop:

        def virtual(offset: int) -> Samples:
            specs = cohort(cases.validation_patients, recipe.seed + offset)
            return prepare(specs, manifest, cache, workshop, progress)

        held = validation = None
        if fabric.is_global_zero:
            held = virtual(1000)
            validation = _read(parts[0], workshop, progress) if parts else held
        source = _source(cases, parts, manifest, recipe, cache, fabric.world_size)
        network = train(
            source,
            validation,
            manifest,
            recipe,
            work,
            progress,
            initial=initial,
            fabric=fabric,
            workers=workshop,
        )
        if not fabric.is_global_zero:
            return None
        network = fabric.to_device(network)
        calibrate_content(content, network, validation, recipe, progress)
        choose_mask_thresholds(content, network, held, stages, recipe.seed, progress)
        content["training"] = {
            **content["training"],
            "command": command,
            **({"initial": {"name": initial.manifest.name, "sha256": initial.sha256}} if initial else {}),
            # no path of a machine
            "cases": {k: v for k, v in asdict(cases).items() if k not in ("data", "labels")},
            "recipe": asdict(recipe),
            "devices": f"{fabric.world_size} x {fabric.device.type}",
            "versions": _versions(),
        }
        if parts:
            _name_data(content, cases, parts)
        tests = {f"{cases.validation_patients} virtual patients": virtual(2000)}
        if parts:
            tests[f"{len(parts[1])} patients of the data set"] = _read(parts[1], workshop, progress)
        content["measured"] = [
            {
                "on": f"{what} that neither trained nor chose anything",
                "command": command,
                "values": measure(network, test, Manifest.of(content), recipe, progress),
            }
            for what, test in tests.items()
        ]
        return write_bundle(network.cpu(), content, output)


def _source(
    cases: Cases, parts: list[DiskPatients], manifest: Manifest, recipe: Recipe, cache: Path, ranks: int
) -> Mixed:
    """What trains: the data set's part, virtual patients, or both."""
    sources: list[tuple[Source, float]] = [(parts[2], cases.data_share)] if parts else []
    if cases.patients:
        count = cases.patients
        if cases.fresh:  # all that will ever enter, and those made ahead
            count = (recipe.first + int(recipe.inflow * recipe.steps) + recipe.pool + _AHEAD) * ranks
        specs = cohort(count, recipe.seed)
        made = VirtualPatients(specs, manifest, cache, not cases.fresh, pick_device(cases.render))
        sources.append((made, 1 - cases.data_share))
    return Mixed(tuple(sources))


def _split(cases: Cases, manifest: Manifest, recipe: Recipe) -> list[DiskPatients]:
    """The data set's patients that validate, measure and train; empty without a data set."""
    if cases.data is None:
        return []
    return DiskPatients.open(cases.data, manifest, cases.labels, cases.pixel_mm).split(
        (_HELD_OUT, _HELD_OUT), recipe.seed
    )


def _read(part: DiskPatients, workshop: Workshop, progress: Progress) -> Samples:
    read = []
    for samples in workshop.stream([part.job(n) for n in range(len(part))]):
        read.append(samples)
        progress("Reading patients", len(read), len(part))
    return join(read)


def _name_data(content: dict, cases: Cases, parts: list[DiskPatients]) -> None:
    """Say in ``content`` that patients, not only drawings, have trained the weights."""
    beside = f", and {cases.patients} virtual patients of HemoCAM's generator" if cases.patients else ""
    slices = sum(len(case.truth) for case in parts[2].cases)
    content["training"]["data"] = f"the slice labels of a data set on disk{beside}"
    content["training"]["data_sets"] = [
        f"{len(parts[2])} patients with {slices} labelled slices; {len(parts[0])} further patients scored and "
        f"calibrated, {len(parts[1])} measured"
    ]
    content["title"] = f"{content['architecture']['timm']}, trained on a data set on disk{beside}"


def default_workers() -> int:
    """Processes to make patients with: all cores but the one that feeds the training."""
    return max(1, (os.cpu_count() or 2) - 1)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("torch", "timm", "lightning-fabric", "grad-cam", "numpy", "scipy")
    return {"hemocam": __version__, **{p: version(p) for p in packages}}
