"""The layouts in which data sets of head CTs with hemorrhage labels are stored, and how a case is written in each.

``volumes``
    ``images/<patient>.nii.gz`` and ``masks/<patient>.nii.gz``, labels by kind (``labels.json`` names them),
    ``slices.csv``; as BHSD and the 3-D part of Hemorica.
``hemorica``
    ``images/<patient>_<slice>.npy`` in HU and ``masks/<patient>_<slice>.npy``, labels by kind (``labels.json``),
    ``slices.csv``; as the slices of Hemorica are kept by those who train on them.
``ct-ich``
    ``ct_scans/<number>.nii``, ``masks/<number>.nii`` (0 and 255) and ``hemorrhage_diagnosis_raw_ct.csv``; as
    PhysioNet's "Computed Tomography Images for Intracranial Hemorrhage Detection and Segmentation" 1.3.1
    (Hssayeni 2020).

Slices count from 1, from inferior to superior; rows run from front to back, columns from the patient's right to the
left. A slice is positive if any of its pixels is labelled.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import OptionError
from ..phantoms.patient import KINDS
from ..volumes.files import write_image
from ..volumes.volume import Volume

LABELS = {kind: number for number, kind in enumerate(KINDS, start=1)}
FORMATS = ("nii.gz", "nii", "nrrd", "mha")
_CT_ICH_KINDS = ("intraventricular", "intraparenchymal", "subarachnoid", "epidural", "subdural")


@dataclass(frozen=True)
class SliceLabels:
    """The labels of one slice: patient, number from 1, and which kinds (by name) it shows."""

    patient: str
    number: int
    kinds: frozenset[str]

    def flags(self, kinds: Sequence[str] = KINDS) -> list[int]:
        """Return 0 or 1 for each of ``kinds``."""
        return [int(kind in self.kinds) for kind in kinds]


@dataclass(frozen=True)
class Layout:
    """A layout to write in; make it with :func:`layout`.

    ``images`` and ``masks`` are the names of its two folders, ``suffix`` the extension of their files.
    """

    name: str
    images: str
    masks: str
    suffix: str

    @property
    def holds_shear(self) -> bool:
        """Whether a tilted gantry's sheared volume can be stored: not as NIfTI, which few programs read sheared."""
        return not self.suffix.startswith("nii")

    def patient(self, number: int) -> str:
        """Name of the ``number``-th patient, counted from 1."""
        return f"{number:03d}" if self.name == "ct-ich" else f"phantom-{number:05d}"

    def write_case(self, ct: Volume, labels: Volume, patient: str, folder: Path) -> list[SliceLabels]:
        """Write the files of a case below ``folder``, which exists, and return its slices' labels.

        Parameters
        ----------
        ct, labels:
            HU, int16, and labels as in :data:`LABELS`, uint8, on one grid in canonical axial order.
        patient:
            From :meth:`patient`.
        folder:
            The data set's, or one to move the files from.

        Raises
        ------
        OutputError
            If a file cannot be written, or the format cannot hold a sheared volume (gantry tilt).
        """
        for name in (self.images, self.masks):
            (folder / name).mkdir(exist_ok=True)
        if self.name == "hemorica":
            for number, (hu, mask) in enumerate(zip(ct.array, labels.array, strict=True), start=1):
                np.save(folder / self.images / f"{patient}_{number}.npy", np.ascontiguousarray(hu))
                np.save(folder / self.masks / f"{patient}_{number}.npy", np.ascontiguousarray(mask))
        else:
            mask = labels
            if self.name == "ct-ich":
                mask = labels.like((labels.array > 0).astype(np.uint8) * np.uint8(255), "hemorrhage")
            write_image(ct, folder / self.images / f"{patient}.{self.suffix}")
            write_image(mask, folder / self.masks / f"{patient}.{self.suffix}")
        return [
            SliceLabels(
                patient, number, frozenset(k for k, value in LABELS.items() if (plane == value).any())
            )
            for number, plane in enumerate(labels.array, start=1)
        ]

    def write_tables(self, slices: Iterable[SliceLabels], folder: Path) -> None:
        """Write the table of slices and the names of the labels, each whole or not at all."""
        if self.name == "ct-ich":
            header = ["PatientNumber", "SliceNumber", *(k.capitalize() for k in _CT_ICH_KINDS)]
            rows = ([int(s.patient), s.number, *s.flags(_CT_ICH_KINDS), int(not s.kinds), 0] for s in slices)
            write_table(
                [[*header, "No_Hemorrhage", "Fracture_Yes_No"], *rows],
                folder / "hemorrhage_diagnosis_raw_ct.csv",
            )
            return
        rows = ([s.patient, s.number, int(bool(s.kinds)), *s.flags()] for s in slices)
        write_table(
            [["patient_name", "slice_number", "hemorrhage_binary", *KINDS], *rows], folder / "slices.csv"
        )
        write_text(json.dumps(LABELS, indent=2) + "\n", folder / "labels.json")


_LAYOUTS = {
    "volumes": ("images", "masks", "nii.gz"),
    "hemorica": ("images", "masks", "npy"),
    "ct-ich": ("ct_scans", "masks", "nii"),
}
LAYOUTS = tuple(_LAYOUTS)


def layout(name: str, file_format: str | None = None) -> Layout:
    """Return a layout by its name, one of :data:`LAYOUTS`.

    ``file_format``, one of :data:`FORMATS`, replaces the layout's own; :class:`OptionError` where it cannot.
    """
    if name not in _LAYOUTS:
        raise OptionError(f"There is no layout {name!r}; choose one of {', '.join(LAYOUTS)}.")
    images, masks, own = _LAYOUTS[name]
    if file_format not in (None, own) and name != "volumes":
        raise OptionError(f"The layout {name} holds .{own} files; leave --format out.")
    if file_format not in (None, own, *FORMATS):
        raise OptionError(f"There is no format {file_format!r}; choose one of {', '.join(FORMATS)}.")
    return Layout(name, images, masks, file_format or own)


def write_table(rows: Iterable[Sequence[object]], path: Path) -> None:
    """Write a CSV file (UTF-8, lines end with LF), whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    part.replace(path)


def write_text(text: str, path: Path) -> None:
    """Write a text file (UTF-8, lines end with LF), whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
