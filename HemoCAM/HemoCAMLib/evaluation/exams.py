"""Exams with labels per slice: a folder of DICOM or a volume file each, and one CSV of labels for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets.label_code import kind_of
from ..datasets.slice_table import read_rows
from ..errors import InputError
from ..phantoms.patient import KINDS
from ..volumes.axial import AxialOrder, to_axial
from ..volumes.dicom import slice_headers
from ..volumes.dicom_headers import Header
from ..volumes.reading import read_ct
from ..volumes.volume import LPS_RAS, Volume
from .heads import SliceLabels, target_truth

LABELS = "labels.csv"
_VOLUMES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_HEAD = ("head", "patient", "exam", "case")
_SLICE = ("file", "slice")
Truth = tuple[float, ...]  # of any hemorrhage and of each of KINDS: 1, 0, or NaN where nobody looked


@dataclass(frozen=True)
class LabelTable:
    """Labels of slices: exam, then file name or slice number as text, then truth. ``by`` is "file" or "slice"."""

    name: str
    by: str
    exams: Mapping[str, Mapping[str, Truth]]

    @classmethod
    def read(cls, path: Path) -> LabelTable:
        """Read a CSV in UTF-8, with commas or semicolons.

        Columns: ``head`` (or ``patient``, ``exam``, ``case``); ``file``, the DICOM file's name, or ``slice``, counted
        from 0, inferior to superior; ``any``, 0 or 1; and, if wanted, kinds of hemorrhage, 0, 1 or empty.

        Raises
        ------
        InputError
            If it cannot be read, a column is missing or unknown, or a row makes no sense.
        """
        if not path.is_file():
            raise InputError(f"There are no labels {path}; give a CSV with --labels.")
        header, rows = read_rows(path)
        named = {name: name.strip().lower() for name in header}
        head, by = (_one_of(path, named, names) for names in (_HEAD, _SLICE))
        some = next((name for name, plain in named.items() if plain == "any"), None)
        if some is None:
            raise InputError(f"{path.name} lacks the column any (0 or 1: a hemorrhage in the slice).")
        kinds: dict[str, str] = {}
        for name in header:
            kind = kind_of(name)
            if name in (head, by, some):
                continue
            if kind is None or kind in kinds:
                raise InputError(
                    f"{path.name} has a column {name!r}, which is no kind of hemorrhage or names one twice; remove "
                    f"it, or name one of {', '.join(KINDS)}."
                )
            kinds[kind] = name
        if not rows:
            raise InputError(f"{path.name} has no rows.")
        exams: dict[str, dict[str, Truth]] = {}
        for line, row in rows:
            exam, place = ((row.get(column) or "").strip() for column in (head, by))
            where = f"Line {line} of {path.name}"
            if not exam or not place:
                raise InputError(f"{where} names no {head if not exam else by}; correct it.")
            if named[by] == "slice":
                place = _slice_number(place, where)
            truth = (
                _label(row, some, where, needed=True),
                *(_label(row, kinds[kind], where) if kind in kinds else math.nan for kind in KINDS),
            )
            if not truth[0] and 1 in truth[1:]:
                raise InputError(f"{where} names a kind of hemorrhage, yet its {some} is 0; correct one.")
            if place in exams.setdefault(exam, {}):
                raise InputError(f"{where} labels {place} of {exam} a second time; keep one of the two.")
            exams[exam][place] = truth
        return cls(path.name, named[by], exams)


@dataclass(frozen=True)
class Exam:
    """One exam, its scan still on the disk.

    Parameters
    ----------
    name:
        What the labels call it.
    path:
        A folder of DICOM, or a volume file.
    labels:
        Truth by file name or by slice number, as ``by`` says.
    slices:
        Headers of the DICOM slices that make the volume; none for volume files, and where reading fails.
    """

    name: str
    path: Path
    by: str
    labels: Mapping[str, Truth]
    slices: tuple[Header, ...] = ()

    def read(self) -> Volume:
        """Read the scan; errors as :func:`~..volumes.reading.read_ct`."""
        return read_ct(self.path)

    def slice_labels(self, ct: Volume, target: str) -> tuple[SliceLabels, int]:
        """Place the labels on the slices of ``ct``, and count those of files that it does not use.

        A file's place is that of its ImagePositionPatient, never its number: places that were interpolated have no
        label. Slice numbers count the acquired slices, inferior to superior.

        Raises
        ------
        InputError
            If labels and slices do not fit, or the slices were not acquired near the axial plane.
        """
        axial, order = to_axial(ct)
        by_file = self.by == "file"
        files = {header.path.name: header for header in self.slices}
        if by_file:
            if len(files) < len(self.slices):
                raise InputError("Several slices of the scan have one file name; label them by slice.")
            names = [name for name in self.labels if name in files]
            slices = _places(ct, order, [files[name] for name in names])
        else:
            acquired = np.arange(axial.shape[0]) if axial.acquired is None else np.flatnonzero(axial.acquired)
            wrong = sorted(set(self.labels) ^ {str(n) for n in range(len(acquired))}, key=int)
            if wrong:
                raise InputError(
                    f"The scan has {len(acquired)} slices, but the labels "
                    + (f"name slice {wrong[0]}" if wrong[0] in self.labels else f"lack slice {wrong[0]}")
                    + "; slices count from 0."
                )
            names = list(self.labels)
            slices = acquired[[int(name) for name in names]]
        truth = np.array([self.labels[name] for name in names]).reshape(-1, 1 + len(KINDS))
        chosen = np.argsort(slices, kind="stable")
        truth = truth[chosen]
        labels = SliceLabels(
            slices[chosen],
            target_truth(truth[:, 0], truth[:, 1:], target),
            truth[:, 1:],
            tuple(names[n] for n in chosen) if by_file else (),
        )
        return labels, len(self.labels) - len(names)


def find_exams(folder: Path, labels: Path | None = None) -> list[Exam]:
    """List the exams of ``folder``: a sub-folder of DICOM, or a volume file, each; in the order of their names.

    Parameters
    ----------
    folder:
        Hidden files and folders, and files of other formats, are left aside.
    labels:
        See :meth:`LabelTable.read`; ``labels.csv`` of the folder by default.

    Raises
    ------
    InputError
        If the labels cannot be read; or if an exam, a file or a slice has no label, or a label no exam or file. A
        damaged scan is no error here, but when it is read.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; check the path.")
    table = LabelTable.read(folder / LABELS if labels is None else labels)
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        ending = next((e for e in _VOLUMES if path.name.lower().endswith(e)), None)
        if path.name.startswith(".") or not (path.is_dir() or ending):
            continue
        name = path.name if path.is_dir() else path.name[: -len(ending)]
        if name in found:
            raise InputError(f"Two exams are called {name}; rename one.")
        found[name] = path
    if not found:
        raise InputError(
            f"{folder.name} holds no exam: no sub-folder of DICOM, and no NIfTI, NRRD or MetaImage file."
        )
    _same(table.exams, found, f"{table.name} labels %s, which is not in {folder.name}")
    _same(found, table.exams, f"{table.name} has no row for the exam %s")
    return [_exam(name, path, table) for name, path in found.items()]


def _exam(name: str, path: Path, table: LabelTable) -> Exam:
    labels = table.exams[name]
    if not path.is_dir():
        if table.by == "file":
            raise InputError(
                f"{path.name} is one file for all slices, but {table.name} labels files; give a column slice."
            )
        return Exam(name, path, table.by, labels)
    if table.by == "slice":
        return Exam(name, path, table.by, labels)
    there = {p.name for p in path.rglob("*") if p.is_file()}
    _same(labels, there, f"{table.name} labels the file %s of {name}, which is not there")
    try:
        slices = slice_headers(path)
    except InputError:  # a scan that cannot be read is refused when its turn comes
        return Exam(name, path, table.by, labels)
    _same([s.path.name for s in slices], labels, f"{table.name} has no row for the file %s of {name}")
    return Exam(name, path, table.by, labels, tuple(slices))


def _same(wanted: Sequence[str] | Mapping, there: object, sentence: str) -> None:
    """Raise an error that names the first of ``wanted`` that is not ``there``."""
    missing = sorted(name for name in wanted if name not in there)
    if missing:
        more = f" ({len(missing)} in all)" if len(missing) > 1 else ""
        raise InputError(sentence % missing[0] + f"{more}; labels and exams have to fit.")


def _places(ct: Volume, order: AxialOrder, headers: Sequence[Header]) -> np.ndarray:
    """Canonical index of the slice of each header, by its position."""
    if order.axes[0] != 0:
        raise InputError("The slices were not acquired near the axial plane, so labels per slice do not fit.")
    if not headers:
        raise InputError("No labelled file is a slice of the scan that was read.")
    lps = np.array([header.position for header in headers])
    along = ct.ijk(lps @ LPS_RAS[:3, :3].T)[:, 2]
    acquired = np.arange(ct.shape[0]) if ct.acquired is None else np.flatnonzero(ct.acquired)
    nearest = acquired[np.abs(along[:, None] - acquired).argmin(axis=1)]
    return np.array([order.original_slice(int(k), ct.shape) for k in nearest])


def _one_of(path: Path, named: Mapping[str, str], names: tuple[str, ...]) -> str:
    found = [name for name, plain in named.items() if plain in names]
    if len(found) != 1:
        what = "lacks a column" if not found else "has more than one of the columns"
        raise InputError(f"{path.name} {what} {' or '.join(names)}; give one of them.")
    return found[0]


def _label(row: Mapping, column: str, where: str, needed: bool = False) -> float:
    text = (row.get(column) or "").strip()
    if not text and not needed:
        return math.nan
    if text not in ("0", "1", "0.0", "1.0"):
        raise InputError(f"{where} has {text[:40]!a} in the column {column}; labels are 0 or 1.")
    return float(text)


def _slice_number(text: str, where: str) -> str:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise InputError(f"{where} has {text[:40]!a} for a slice; slices count from 0.")
    return str(int(text))
