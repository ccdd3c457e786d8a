"""Find the cases of a data set: which layout it has, which files and labels belong together, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .case import Case, file_name
from .folders import (
    TABLE,
    VOLUMES,
    Findings,
    Reading,
    check_complete,
    check_reading,
    files_of,
    images_folder,
    masks_folder,
    more,
    recognise,
    usual_tables,
)
from .label_code import LabelCode, read_label_code
from .slice_table import (
    CT_ICH_TABLE,
    SliceTable,
    is_plain_name,
    read_ct_ich_table,
    read_rows,
    read_slice_table,
)
from .spacing import FIELD_OF_VIEW_MM, SLICE_MM, Spacing, read_spacings


@dataclass(frozen=True)
class DataSet:
    """The cases of a folder, sorted by name, and the tables that describe them."""

    root: Path
    layout: str
    cases: tuple[Case, ...]
    tables: tuple[Path, ...] = ()

    @property
    def patients(self) -> tuple[str, ...]:
        """Everybody in it, sorted."""
        return tuple(sorted({case.patient for case in self.cases}))

    def __len__(self) -> int:
        return len(self.cases)


def open_data_set(folder: Path, reading: Reading | None = None) -> DataSet:
    """Find the cases of ``folder`` without reading a voxel.

    Raises
    ------
    InputError
        With the first fault that :func:`find` finds.
    OptionError
        If a setting makes no sense.
    """
    data, found = find(folder, reading)
    if found.faults:
        others = len(found.faults) - 1
        hint = f"; `hemocam check` lists it and {others} more." if others else "."
        raise InputError(found.faults[0].removesuffix(".") + hint)
    return data


def find(folder: Path, reading: Reading | None = None) -> tuple[DataSet, Findings]:
    """Find the cases of ``folder`` and whatever does not fit, without reading a voxel.

    Links are followed: data sets are often folders of links. No name out of a table is ever used as a path.

    Raises
    ------
    InputError
        If there is no data set at all.
    OptionError
        If a setting makes no sense.
    """
    reading = reading or Reading()
    check_reading(reading)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; a data set is a folder of scans and masks.")
    root = folder.resolve()
    found = Findings()
    images = images_folder(root, reading)
    layout = reading.layout or recognise(root, images)
    masks = masks_folder(root, reading, found)
    check_complete(root, found)
    finder = _Finder(root, layout, reading, found, images, masks)
    cases = finder.stacks() if layout == "hemorica" else finder.volumes()
    if not cases and not found.faults:
        found.faults.append(f"{images.name} holds no scan of the layout {layout}.")
    names = sorted(cases, key=lambda case: case.name)
    return DataSet(root, layout, tuple(names), tuple(finder.used)), found


@dataclass
class _Finder:
    """Join images, masks and tables of one data set."""

    root: Path
    layout: str
    reading: Reading
    found: Findings
    images: Path
    masks: Path | None
    used: list[Path] = field(default_factory=list)

    def volumes(self) -> list[Case]:
        """One case a volume."""
        scans = self._by_stem(self.images, "scan")
        drawn = self._by_stem(self.masks, "mask") if self.masks else {}
        table = self._table(required=self.layout == "ct-ich")
        code = LabelCode() if self.layout == "ct-ich" else self._code()
        patients = self._patients()
        self._strays(drawn, scans)
        keys = {(str(int(s)) if self.layout == "ct-ich" and s.isdecimal() else s): s for s in scans}
        if table:
            self.found.faults += [
                f"{table.name} labels slices of {key}, but {self.images.name} holds no such scan."
                for key in sorted(set(table.patients) - set(keys))
            ]
        cases = []
        for key, stem in keys.items():
            truth = table.patients.get(key, {}) if table else {}
            if table and not truth:
                words = f"{file_name(scans[stem])} is not in {table.name}"
                if self.layout == "ct-ich":
                    self.found.faults.append(f"{words}; add its slices, or remove the scan.")
                else:
                    self.found.notes.append(f"{words}; its slices are labelled by its mask.")
            own = (scans[stem],), (drawn.get(stem),)
            case = Case(
                stem, patients.get(stem, stem), *own, truth=truth, code=code,
                file_order=self.reading.file_order or self.layout == "ct-ich", by_index=self.layout == "ct-ich",
            )  # fmt: skip
            self._need_masks(case)
            cases.append(case)
        return cases

    def stacks(self) -> list[Case]:
        """One case a patient, of the slices that the table names."""
        scans = self._by_slice(self.images, "slice")
        drawn = self._by_slice(self.masks, "mask") if self.masks else {}
        table = self._table(required=True)
        code, spacings = self._code(), self._spacings()
        self._strays(drawn, scans)
        named = table.patients if table else {}
        unused = sum(number not in named.get(patient, {}) for patient, number in scans)
        if table and unused:
            self.found.notes.append(
                f"{unused} slices in {self.images.name} are not in {table.name}: left out."
            )
        cases = []
        for patient, truth in sorted(named.items()):
            there = sorted(n for n in truth if (patient, n) in scans)
            missing = sorted(set(truth) - set(there))
            if missing:
                self.found.faults.append(
                    f"{self.images.name} lacks {patient}_{missing[0]}.npy{more(missing)}, which {table.name} names."
                )
            if not there:
                continue
            case = Case(
                patient, patient, tuple(scans[patient, n] for n in there),
                tuple(drawn.get((patient, n)) for n in there), tuple(there), truth, code,
                spacings.get(patient, Spacing(self.reading.pixel_mm, self.reading.slice_mm)),
            )  # fmt: skip
            self._need_masks(case)
            cases.append(case)
        self._note_stacks(cases)
        return cases

    def _note_stacks(self, cases: list[Case]) -> None:
        assumed = sum(not case.spacing.known for case in cases)
        if assumed:
            self.found.notes.append(
                f"The voxels of {assumed} of {len(cases)} patients have no known size: a field of view of "
                f"{FIELD_OF_VIEW_MM:g} mm and slices of {SLICE_MM:g} mm are assumed, mm and ml are estimates; give "
                "--pixel-mm and --slice-mm, or columns pixel_mm and slice_mm in patients.csv."
            )
        gaps = [c for c in cases if len(c.numbers) < c.numbers[-1] - c.numbers[0] + 1]
        if gaps:
            self.found.notes.append(
                f"Slice numbers of {len(gaps)} patients have gaps; the slices that are there are taken as neighbours."
            )

    def _need_masks(self, case: Case) -> None:
        lacking = case.lacking
        if lacking and self.masks is not None:
            text = f"{file_name(lacking[0])}{more(lacking)} has no mask in {self.masks.name}."
            (self.found.faults if self.reading.masks_needed else self.found.notes).append(text)

    def _strays(self, drawn: dict, scans: dict) -> None:
        self.found.faults += [
            f"{file_name(path)} is a mask without a scan of the same name."
            for key, path in drawn.items()
            if key not in scans
        ]

    def _by_stem(self, folder: Path, what: str) -> dict[str, Path]:
        """Volumes of a folder by their names without extension, sorted."""
        files: dict[str, Path] = {}
        for path in files_of(folder):
            ending = next((e for e in VOLUMES if path.name.lower().endswith(e)), None)
            stem = path.name[: -len(ending)] if ending else ""
            self._enter(files, stem if is_plain_name(stem) else None, path, what)
        return files

    def _by_slice(self, folder: Path, what: str) -> dict[tuple[str, int], Path]:
        """Files <patient>_<number>.npy of a folder by patient and number; the number may have leading zeros."""
        files: dict[tuple[str, int], Path] = {}
        for path in files_of(folder):
            patient, _, number = path.stem.rpartition("_")
            good = path.suffix.lower() == ".npy" and is_plain_name(patient) and len(number) <= 9
            key = (patient, int(number)) if good and number.isascii() and number.isdecimal() else None
            self._enter(files, key, path, what)
        return files

    def _enter(self, files: dict, key: object, path: Path, what: str) -> None:
        if key is None:
            self.found.notes.append(f"{ascii(file_name(path))[1:-1]} is no {what} and is passed over.")
        elif key in files:
            self.found.faults.append(
                f"{file_name(files[key])} and {file_name(path)} are the same {what}; keep one of the two."
            )
        else:
            files[key] = path

    def _code(self) -> LabelCode:
        path = self.reading.labels or self.root / "labels.json"
        if self.reading.labels is None and not path.is_file():
            return LabelCode()
        self.used.append(path)
        return self._kept(lambda: read_label_code(path)) or LabelCode()

    def _table(self, required: bool) -> SliceTable | None:
        """The table of slice labels; faults where one is needed and there is none."""
        read = read_ct_ich_table if self.layout == "ct-ich" else read_slice_table
        paths = list(self.reading.tables) or usual_tables(self.root, self.layout)
        if len(paths) > 1 and not self.reading.tables:
            found = ", ".join(path.name for path in paths[:3])
            words = f"{self.root.name} holds several CSV files ({found}) and no {TABLE}; name the table of slices."
            (self.found.faults if required else self.found.notes).append(words)
            return None
        if not paths and required:
            name = CT_ICH_TABLE if self.layout == "ct-ich" else TABLE
            self.found.faults.append(f"{self.root.name} lacks {name}, the table of slice labels.")
        tables = [table for path in paths if (table := self._kept(lambda path=path: read(path)))]
        self.used += paths
        return _joined(tables, self.found) if tables else None

    def _patients(self) -> dict[str, str]:
        """Whose the cases are, from cases.csv; where it is silent each is a patient's own."""
        rows = self._rows("cases.csv", "case", "patient")
        return {row["case"]: row["patient"] for row in rows if row["case"] and row["patient"]}

    def _spacings(self) -> dict[str, Spacing]:
        """Spacing of the patients of patients.csv that states one; the settings come first."""
        rows = self._rows("patients.csv", "patient", "pixel_mm", "slice_mm")
        spacings, faults = read_spacings(rows, Spacing(self.reading.pixel_mm, self.reading.slice_mm))
        self.found.faults += faults
        return spacings

    def _rows(self, name: str, *columns: str) -> list[dict[str, str]]:
        path = self.root / name
        header, rows = (self._kept(lambda: read_rows(path)) if path.is_file() else None) or ([], [])
        if not set(columns) <= set(header):
            return []
        self.used.append(path)
        return [{c: (row.get(c) or "").strip() for c in columns} for _, row in rows]

    def _kept(self, read):  # noqa: ANN001
        """Return ``read()``, or None and a fault if it cannot be read."""
        try:
            return read()
        except InputError as error:
            self.found.faults.append(str(error))
            return None


def _joined(tables: Sequence[SliceTable], found: Findings) -> SliceTable:
    """Several tables as one; a slice in two of them is a fault."""
    whole = SliceTable(" and ".join(table.name for table in tables))
    for table in tables:
        found.faults += table.faults
        for patient, slices in table.patients.items():
            own = whole.patients.setdefault(patient, {})
            twice = sorted(set(own) & set(slices))
            if twice:
                found.faults.append(f"{whole.name} both name slice {twice[0]}{more(twice)} of {patient}.")
            own.update(slices)
    return whole
