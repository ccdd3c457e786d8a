"""Training samples: virtual patients brought to the network's grid, with one label a kind and slab."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..models.manifest import Manifest
from ..phantoms.patient import KINDS, PatientSpec, make_patient
from ..pipeline import network_slabs
from ..progress import Progress, silent

# A slab counts as bleeding from this area on, and as clean below a voxel or two; in between it trains nothing.
POSITIVE_MM2 = 30.0


@dataclass(frozen=True)
class Samples:
    """Slabs of many patients on the network's grid.

    Parameters
    ----------
    hu:
        int16, shape (n, size, size).
    area_mm2:
        Area of each kind in each slab (the mean over its slices), float32, shape (n, len(KINDS)).
    labels:
        uint8 0..len(KINDS), shape (n, size, size): the kind at each pixel, for thresholds and measurements.
        The loss never sees it.
    patient:
        Seed of the patient each slab comes from, shape (n,).
    """

    hu: np.ndarray
    area_mm2: np.ndarray
    labels: np.ndarray
    patient: np.ndarray

    def __len__(self) -> int:
        return len(self.hu)

    def targets(self, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Targets 0 or 1 and weights 0 or 1, float32, shape (n, classes): ``any`` or a kind of hemorrhage."""
        columns = [self.area_mm2.sum(1) if c == "any" else self.area_mm2[:, KINDS.index(c)] for c in classes]
        area = np.stack(columns, axis=1)
        positive = area >= POSITIVE_MM2
        return positive.astype(np.float32), (positive | (area == 0)).astype(np.float32)


def sample_patient(spec: PatientSpec, manifest: Manifest) -> dict[str, np.ndarray]:
    """Make one patient and bring it to the network's grid: the arrays of :class:`Samples`."""
    patient = make_patient(spec)
    axial, order, slabs, grid, hu = network_slabs(patient.ct, manifest)
    labels = order.view(patient.labels.array)
    pixel_mm2 = float(axial.spacing[0] * axial.spacing[1])
    areas, masks = [], []
    for start, stop in zip(slabs.edges[:-1], slabs.edges[1:], strict=True):
        own = labels[start:stop]
        areas.append([(own == k + 1).sum() * pixel_mm2 / (stop - start) for k in range(len(KINDS))])
        # each kind's share of the slab's thickness, sampled like the CT; the pixel goes to the largest over half
        shares = np.stack([(own == k + 1).mean(axis=0, dtype=np.float32) for k in range(len(KINDS))])
        shares = grid.sample_values(shares)
        masks.append(np.where(shares.max(0) >= 0.5, shares.argmax(0) + 1, 0))
    return {
        "hu": np.round(hu).clip(-1024, 3071).astype(np.int16),
        "area_mm2": np.array(areas, np.float32),
        "labels": np.array(masks, np.uint8),
        "patient": np.full(len(hu), spec.seed, np.int64),
    }


def _make_file(spec: PatientSpec, manifest: Manifest, path: Path) -> None:
    arrays = sample_patient(spec, manifest)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "wb") as stream:
        np.savez_compressed(stream, **arrays)
    Path(name).replace(path)  # a killed run leaves no half-written patient


def prepare(
    specs: list[PatientSpec], manifest: Manifest, cache: Path, workers: int = 2, progress: Progress = silent
) -> Samples:
    """Make every patient once, in ``cache``, and load them all; a second call takes up where one was killed."""
    cache.mkdir(parents=True, exist_ok=True)
    paths = [cache / f"patient-{spec.seed}.npz" for spec in specs]
    todo = [(s, p) for s, p in zip(specs, paths, strict=True) if not p.exists()]
    if todo:
        # spawn, not fork: torch and its threads may already be loaded
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
            jobs = [pool.submit(_make_file, spec, manifest, path) for spec, path in todo]
            try:
                for done, job in enumerate(concurrent.futures.as_completed(jobs)):
                    job.result()
                    progress("Making virtual patients", done + 1, len(todo))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return _load(paths, manifest.size)


def _load(paths: list[Path], size: int) -> Samples:
    """Fill arrays of the final size, so that the patients are in memory once."""
    counts = []
    for path in paths:
        with np.load(path, allow_pickle=False) as stored:
            counts.append(len(stored["patient"]))
    total = sum(counts)
    arrays = {
        "hu": np.empty((total, size, size), np.int16),
        "area_mm2": np.empty((total, len(KINDS)), np.float32),
        "labels": np.empty((total, size, size), np.uint8),
        "patient": np.empty(total, np.int64),
    }
    start = 0
    for path, count in zip(paths, counts, strict=True):
        with np.load(path, allow_pickle=False) as stored:
            for name, array in arrays.items():
                array[start : start + count] = stored[name]
        start += count
    return Samples(**arrays)


def training_specs(count: int, seed: int, manifest: Manifest) -> list[PatientSpec]:
    """Specify ``count`` patients: a third healthy, the others with one kind of bleeding or two.

    Slice thickness and pixel size vary as scanners do.
    """
    specs = []
    for n in range(count):
        rng = np.random.default_rng([seed, n])
        number = int(rng.choice([0, 1, 2], p=[0.34, 0.46, 0.20]))
        specs.append(
            PatientSpec(
                seed=seed * 1_000_000 + n,
                kinds=tuple(str(k) for k in rng.choice(KINDS, number, replace=False)),
                size=256,
                spacing_mm=float(rng.uniform(0.85, 1.0)),
                slice_mm=float(rng.choice([4.0, 5.0, 5.0, 6.0])) * manifest.slab_mm / 5.0,
            )
        )
    return specs
