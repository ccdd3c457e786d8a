"""Data sets on disk of which only slice labels are known: the setting of the paper.

A table says which slices bleed; no label map is read, even where one lies beside. Two layouts, told apart by the
files in ``images/`` (or in the folder itself):

* slices: ``<patient_name>_<slice_number>.npy``, each (rows, columns) in HU, rows from front to back and columns
  from the patient's right to the left, of about a slab's thickness;
* volumes: ``<patient_name>.nii.gz`` (or .nii, .nrrd, .mha), of any slice thickness; slices count from 1, from
  inferior to superior.

The table, ``slices.csv`` or the folder's only CSV file, has the columns ``patient_name``, ``slice_number``,
``hemorrhage_binary`` and, optionally, the kinds; values are 0 or 1, or empty where nobody has looked.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..explained import Sampled
from ..models.manifest import Manifest
from ..phantoms.patient import KINDS
from ..volumes.padding import padding_to_air
from ..volumes.reading import read_ct
from ..volumes.volume import Volume
from .samples import CLASSES, Samples
from .sources import Job

_VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha")
_BINARY = "hemorrhage_binary"


@dataclass(frozen=True)
class Case:
    """One patient: a number in place of the name, the files, and the labels by slice number.

    ``files``: one volume under the key 0, or one .npy a slice under its number. ``truth``: slice number to
    1, 0 or NaN (not known) for each of :data:`~.samples.CLASSES`.
    """

    number: int
    files: dict[int, Path]
    truth: dict[int, tuple[float, ...]]


@dataclass(frozen=True)
class DiskPatients:
    """A :class:`~.sources.Source` of the patients of a data set on disk; read it with :meth:`open`.

    ``pixel_mm`` is the spacing of .npy slices, which do not say theirs; None: they span the network's field of
    view, as most head CTs nearly do.
    """

    cases: tuple[Case, ...]
    manifest: Manifest
    pixel_mm: float | None = None

    @classmethod
    def open(
        cls, folder: Path, manifest: Manifest, labels: Path | None = None, pixel_mm: float | None = None
    ) -> DiskPatients:
        """Find the patients of the data set in ``folder``, sorted by name, without reading any voxel.

        Raises
        ------
        InputError
            With one sentence, if the table or a file is missing or does not make sense.
        """
        table = read_slice_labels(labels or _table(folder))
        images = folder / "images" if (folder / "images").is_dir() else folder
        names = sorted(path.name for path in images.iterdir()) if images.is_dir() else []
        of_slice = {_slice_of(name): name for name in names if name.endswith(".npy")}
        of_volume = {name.removesuffix(s): name for name in names for s in _VOLUMES if name.endswith(s)}
        cases = []
        for number, (patient, truth) in enumerate(sorted(table.items())):
            if of_slice:
                files = {n: of_slice.get((patient, n)) for n in truth}
            else:
                files = {0: of_volume.get(patient)}
            missing = [n for n, name in files.items() if name is None]
            if missing:
                what = f"{patient}_{missing[0]}.npy" if of_slice else f"{patient}{_VOLUMES[0]}"
                raise InputError(f"{images} lacks {what}, which the table of slice labels names.")
            cases.append(Case(number, {n: images / name for n, name in files.items()}, truth))
        sides = {value for case in cases for row in case.truth.values() for value in row[:1]}
        if not {0.0, 1.0} <= sides:
            missing = "without" if 0.0 not in sides else "with"
            raise InputError(f"No slice {missing} a hemorrhage is named in the table of {folder}; add some.")
        return cls(tuple(cases), manifest, pixel_mm)

    def __len__(self) -> int:
        return len(self.cases)

    def job(self, n: int) -> Job:
        """Return what reads patient ``n``."""
        return functools.partial(read_case, self.cases[n], self.manifest, self.pixel_mm)

    def discard(self, n: int) -> None:
        """The data set stays as it is."""

    def split(self, shares: Iterable[float], seed: int) -> list[DiskPatients]:
        """Parts by patient: one for each share of ``shares``, at least one patient each, then the rest."""
        order = np.random.default_rng(seed).permutation(len(self.cases))
        counts = [max(1, round(share * len(order))) for share in shares]
        if sum(counts) >= len(order):
            raise InputError(
                f"{len(order)} patients are too few to train, to validate and to measure; give at least "
                f"{sum(counts) + 1}."
            )
        parts = np.split(order, np.cumsum(counts))
        return [replace(self, cases=tuple(self.cases[k] for k in sorted(part))) for part in parts]


def _slice_of(name: str) -> tuple[str, int]:
    """Patient and number of a file <patient>_<number>.npy; the number may be padded with zeros."""
    patient, _, number = name.removesuffix(".npy").rpartition("_")
    return (patient, int(number)) if number.isdecimal() else (name, -1)


def _table(folder: Path) -> Path:
    if (folder / "slices.csv").is_file():
        return folder / "slices.csv"
    found = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if len(found) != 1:
        raise InputError(
            f"{folder} holds {len(found) or 'no'} CSV files; name the table of slice labels with --labels."
        )
    return found[0]


def read_slice_labels(path: Path) -> dict[str, dict[int, tuple[float, ...]]]:
    """Read a table of slice labels: patient, slice number, 1, 0 or NaN for each of CLASSES.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or holds a slice twice or a label that is not 0 or 1.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows, header = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The slice labels {path} cannot be read ({error}).") from None
    for name in ("patient_name", "slice_number", _BINARY):
        if name not in header:
            raise InputError(f"The slice labels {path} lack the column {name}.")
    table: dict[str, dict[int, tuple[float, ...]]] = {}
    for line, row in enumerate(rows, start=2):
        kinds = [_label(row.get(kind), path, line) for kind in KINDS]
        truth = (_label(row[_BINARY], path, line), *kinds)
        if truth[0] == 0:
            if 1.0 in kinds:
                raise InputError(f"Line {line} of {path} names a kind of hemorrhage, yet {_BINARY} is 0.")
            truth = (0.0,) * len(CLASSES)
        try:
            number = int(row["slice_number"])
        except (TypeError, ValueError):
            raise InputError(f"Line {line} of {path} has no whole slice_number.") from None
        own = table.setdefault(row["patient_name"], {})
        if number in own:
            raise InputError(f"Line {line} of {path} names slice {number} of its patient a second time.")
        own[number] = truth
    return table


def _label(text: str | None, path: Path, line: int) -> float:
    if text is None or not text.strip():
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value not in (0.0, 1.0):
        raise InputError(f"Line {line} of {path} has the label {text!r}; labels are 0, 1 or empty.")
    return value


def read_case(case: Case, manifest: Manifest, pixel_mm: float | None = None) -> Samples:
    """Read one patient and bring it to the network's grid; a slab takes the labels of its slices."""
    if 0 in case.files and case.files[0].suffix != ".npy":
        ct = read_ct(case.files[0])
        numbers = range(1, ct.array.size + 1)  # as many as there may be; cut to the slices below
    else:
        ct = _stack(case, manifest, pixel_mm)
        numbers = sorted(case.files)
    sampled = Sampled.of(ct, manifest)
    edges = sampled.slabs.edges
    numbers = list(numbers[: edges[-1]])
    strange = sorted(set(case.truth) - set(numbers))
    if strange:
        raise InputError(
            f"{case.files[0]} has {len(numbers)} slices, yet the table labels slice {strange[0]}; slices count "
            "from 1."
        )
    nothing = (float("nan"),) * len(CLASSES)
    of_slice = np.array([case.truth.get(n, nothing) for n in numbers], np.float32)
    truth = [_together(of_slice[start:stop]) for start, stop in sampled.slab_slices()]
    count = len(sampled.hu)
    return Samples.of(
        sampled,
        np.full((count, len(KINDS)), np.nan, np.float32),
        np.zeros(sampled.hu.shape, np.uint8),
        case.number,
        np.array(truth, np.float32),
    )


def _together(labels: np.ndarray) -> np.ndarray:
    """Labels (slices, classes) of a slab as one: 1 if any is 1, else 0 if all are 0, else NaN."""
    return np.where((labels == 1).any(axis=0), 1.0, np.where((labels == 0).all(axis=0), 0.0, np.nan))


def _stack(case: Case, manifest: Manifest, pixel_mm: float | None) -> Volume:
    """The .npy slices of a patient as one volume, each as thick as a slab."""
    slices = []
    for number in sorted(case.files):
        path = case.files[number]
        try:
            hu = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"The slice {path} cannot be read ({error}).") from None
        if hu.ndim != 2 or not np.issubdtype(hu.dtype, np.number) or not np.isfinite(hu).all():
            raise InputError(f"The slice {path} is no picture in HU: its shape is {hu.shape}, of {hu.dtype}.")
        if slices and hu.shape != slices[0].shape:
            raise InputError(f"The slice {path} is {hu.shape}, others of its patient are {slices[0].shape}.")
        slices.append(hu.astype(np.float32))
    array = np.stack(slices)
    padding_to_air(array)
    spacing = pixel_mm or manifest.field_of_view_mm / array.shape[2]
    affine = np.diag([-spacing, -spacing, manifest.slab_mm, 1.0])
    return Volume(array, affine)
