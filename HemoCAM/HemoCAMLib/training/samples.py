"""Training samples: slabs on the network's grid, with what is known of each, and the cache of virtual patients."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OptionError
from ..explained import LEAST_INTRACRANIAL_MM2, Sampled
from ..models.manifest import Manifest
from ..models.preprocess import fill_outside
from ..phantoms import patient as phantom
from ..phantoms.patient import KINDS, PatientSpec, make_patient
from ..progress import Progress, silent
from ..volumes import intracranial

if TYPE_CHECKING:
    from .pool import Workshop

CLASSES = ("any", *KINDS)
# A slab counts as bleeding from this area on, and as clean below a voxel or two; in between it trains nothing.
POSITIVE_MM2 = 30.0
_STORED = ("hu", "area_mm2", "labels", "patient", "inside")


@dataclass(frozen=True)
class Samples:
    """Slabs of one patient or many on the network's grid, those of a patient in canonical order.

    Parameters
    ----------
    hu:
        HU, int16 (float16 where it was read from a picture), shape (n, size, size); or, of slabs that have been
        taken out of their heads, each with its neighbors, (n, neighborhood, size, size): see :meth:`seen`.
    area_mm2:
        Area of each kind in each slab (the mean over its slices), float32, shape (n, len(KINDS)); NaN where no
        label map is known.
    labels:
        uint8 0..len(KINDS), shape (n, size, size): the kind at each pixel; 0 where no label map is known.
    patient:
        A number for the patient each slab comes from, int64, shape (n,).
    inside:
        The intracranial space, bool, of the shape of ``hu``; all True where a model sees the whole slice.
    truth:
        1 bleeding, 0 clean, NaN unknown or too little to count, float32, shape (n, len(CLASSES)); by default
        it follows from the areas.
    """

    hu: np.ndarray
    area_mm2: np.ndarray
    labels: np.ndarray
    patient: np.ndarray
    inside: np.ndarray = None  # type: ignore[assignment]  (filled in below)
    truth: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.inside is None:
            object.__setattr__(self, "inside", np.ones(self.hu.shape, bool))
        if self.truth is None:
            area = np.concatenate([self.area_mm2.sum(1, keepdims=True), self.area_mm2], axis=1)
            truth = np.where(area >= POSITIVE_MM2, 1, np.where(area == 0, 0, np.nan))
            object.__setattr__(self, "truth", truth.astype(np.float32))

    @classmethod
    def of(
        cls,
        sampled: Sampled,
        area_mm2: np.ndarray,
        labels: np.ndarray,
        patient: int,
        truth: np.ndarray | None = None,
    ) -> Samples:
        """Make samples of a whole head; arguments as the fields."""
        hu = np.round(sampled.hu).clip(-1024, 3071).astype(np.int16)
        return cls(hu, area_mm2, labels, np.full(len(hu), patient, np.int64), sampled.inside, truth)

    def __len__(self) -> int:
        return len(self.hu)

    def seen(self, manifest: Manifest, rows: np.ndarray | None = None) -> Samples:
        """Slabs as the network sees them: with their neighbors, filled outside the intracranial space.

        ``rows``: which slabs, all by default. Patients must be whole and in order, as :func:`sample_patient` makes
        them: a neighbor is the next row of the same patient.
        """
        return self.with_neighbors(manifest.neighborhood, rows).filled(manifest)

    def with_neighbors(self, neighborhood: Sequence[int], rows: np.ndarray | None = None) -> Samples:
        """Take slabs out of their heads, each with its neighbors; at the ends the last slab stands in."""
        rows = np.arange(len(self)) if rows is None else np.asarray(rows)
        around = np.repeat(rows[:, None], len(neighborhood), 1)
        # one step after the other, so that the last slab within the patient stands in
        for column, offset in enumerate(neighborhood):
            for _ in range(abs(offset)):
                further = np.clip(around[:, column] + np.sign(offset), 0, len(self) - 1)
                same = self.patient[further] == self.patient[rows]
                around[:, column] = np.where(same, further, around[:, column])
        return dataclasses.replace(self.rows(rows), hu=self.hu[around], inside=self.inside[around])

    def filled(self, manifest: Manifest) -> Samples:
        """Fill what lies outside the intracranial space, if the manifest says so."""
        if manifest.outside is None:
            return self
        flat = self.hu.reshape(-1, *self.hu.shape[-2:]).astype(np.float32)
        hu = fill_outside(flat, self.inside.reshape(flat.shape), manifest).reshape(self.hu.shape)
        return dataclasses.replace(self, hu=hu.astype(self.hu.dtype))

    def intracranial(self, manifest: Manifest) -> np.ndarray | None:
        """Which slabs (n, size, size) show intracranial content, bool (n,); None if the model does not ask."""
        if manifest.outside is None:
            return None
        pixel_mm = manifest.field_of_view_mm / self.inside.shape[-1]
        return self.inside.sum(axis=(1, 2)) * pixel_mm**2 >= LEAST_INTRACRANIAL_MM2

    @property
    def mapped(self) -> np.ndarray:
        """Which slabs have a label map, bool, shape (n,)."""
        return ~np.isnan(self.area_mm2).any(axis=1)

    def targets(self, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Targets 0 or 1 and weights 0 or 1, float32, shape (n, classes): ``any`` or a kind of hemorrhage."""
        truth = self.truth[:, columns(classes)]
        known = ~np.isnan(truth)
        return np.where(known, truth, 0).astype(np.float32), known.astype(np.float32)

    def rows(self, chosen: np.ndarray) -> Samples:
        """The slabs that ``chosen`` (indices or bools) selects."""
        return Samples(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))


def columns(classes: tuple[str, ...]) -> list[int]:
    """Column of each class in :attr:`Samples.truth`; raise :class:`OptionError` for one that has no labels."""
    unknown = [name for name in classes if name not in CLASSES]
    if unknown:
        raise OptionError(
            f"There are no labels for the class {unknown[0]!r}; train with classes of {', '.join(CLASSES)}."
        )
    return [CLASSES.index(name) for name in classes]


def join(parts: Sequence[Samples]) -> Samples:
    """All slabs of several samples, in order."""
    fields = [field.name for field in dataclasses.fields(Samples)]
    return Samples(*(np.concatenate([getattr(p, name) for p in parts]) for name in fields))


def sample_patient(spec: PatientSpec, manifest: Manifest, device: str = "cpu") -> Samples:
    """Make one virtual patient, on a torch device, and bring it to the network's grid."""
    patient = make_patient(spec, device)
    sampled = Sampled.of(patient.ct, manifest)
    labels = sampled.order.view(patient.labels.array)
    pixel_mm2 = float(sampled.axial.spacing[0] * sampled.axial.spacing[1])
    areas, masks = [], []
    for start, stop in sampled.slab_slices():
        own = labels[start:stop]
        areas.append([(own == k + 1).sum() * pixel_mm2 / (stop - start) for k in range(len(KINDS))])
        # each kind's share of the slab's thickness, sampled like the CT; the pixel goes to the largest over half
        shares = np.stack([(own == k + 1).mean(axis=0, dtype=np.float32) for k in range(len(KINDS))])
        shares = sampled.grid.sample_values(shares)
        masks.append(np.where(shares.max(0) >= 0.5, shares.argmax(0) + 1, 0))
    return Samples.of(sampled, np.array(areas, np.float32), np.array(masks, np.uint8), spec.seed)


def cache_file(spec: PatientSpec, manifest: Manifest, cache: Path) -> Path:
    """Where a virtual patient is kept: named by all that it depends on, the generator's source included."""
    depends = [
        dataclasses.asdict(spec),
        [manifest.size, manifest.field_of_view_mm, manifest.slab_mm, manifest.outside is not None],
        _generator(),
    ]
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    return cache / f"patient-{spec.seed}-{digest[:12]}.npz"


@functools.cache
def _generator() -> str:
    """SHA-256 of the source files of the generator and of the intracranial space."""
    files = [*sorted(Path(phantom.__file__).parent.glob("*.py")), Path(intracranial.__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def cached_patient(spec: PatientSpec, manifest: Manifest, cache: Path, device: str = "cpu") -> Samples:
    """Load a virtual patient from ``cache``; make it and put it there if it is missing or damaged."""
    path = cache_file(spec, manifest, cache)
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Samples(**{name: stored[name] for name in _STORED})
    except FileNotFoundError:
        pass
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError):
        path.unlink(missing_ok=True)  # another program's file, or a disk that lied
    samples = sample_patient(spec, manifest, device)
    handle, name = tempfile.mkstemp(dir=cache, suffix=".part")
    with (
        os.fdopen(handle, "wb") as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
    ):
        for (
            key
        ) in _STORED:  # as np.savez_compressed does, which takes five times as long for a tenth of the size
            with file.open(f"{key}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, getattr(samples, key), allow_pickle=False)
    Path(name).replace(path)  # a killed run leaves no half-written patient
    return samples


def prepare(
    specs: Sequence[PatientSpec],
    manifest: Manifest,
    cache: Path,
    workers: int | Workshop = 1,
    progress: Progress = silent,
) -> Samples:
    """Make every patient once, in ``cache``, and load them all; a second call takes up where one was killed.

    ``workers``: processes that make them; 0 makes them in this one.
    """
    from .pool import hire

    cache.mkdir(parents=True, exist_ok=True)
    made = []
    with hire(workers) as workshop:
        jobs = [functools.partial(cached_patient, spec, manifest, cache) for spec in specs]
        for samples in workshop.stream(jobs):
            made.append(samples)
            progress("Making virtual patients", len(made), len(specs))
    return join(made)
