"""Everything that is wrong with a data set, a sentence each, before hours are spent on it.

First what names, tables and headers tell, in seconds (:func:`inspect_files`); then every voxel
(:func:`inspect_voxels`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..phantoms.patient import KINDS
from ..progress import Progress, silent
from ..volumes.axial import AxialOrder
from ..volumes.volume import Volume
from .case import Case, drawn_labels, file_name
from .finding import DataSet, find
from .folders import Findings, Reading, more
from .grids import on_ct, read_grid
from .npy import npy_shape, read_npy
from .slice_table import CLASSES
from .splits import SPLITS, Splits, read_splits
from .twins import Twins

_AIR_HU = -200
_SHOWN = 5


@dataclass
class Inspection(Findings):
    """What was found in a data set so far.

    ``sound``: the cases whose headers are in order. ``counts``: of the cases whose voxels were read, the number of
    cases, slices, and of both with each of :data:`~.slice_table.CLASSES`.
    """

    data: DataSet | None = None
    splits: Splits | None = None
    sound: list[Case] = field(default_factory=list)
    cases: int = 0
    slices: int = 0
    cases_with: np.ndarray = field(default_factory=lambda: np.zeros(len(CLASSES), int))
    slices_with: np.ndarray = field(default_factory=lambda: np.zeros(len(CLASSES), int))
    bleeding: set[str] = field(default_factory=set)

    def summary(self) -> list[str]:
        """Lines: how many cases, patients and slices there are, and how many of them with each kind."""
        patients = len(self.data.patients)
        lines = [
            f"{len(self.data)} scans of {patients} patients (layout {self.data.layout}); {self.cases} could be read: "
            f"{self.slices} slices, {self.slices_with[0]} of them with a hemorrhage, in {self.cases_with[0]} scans."
        ]
        by_kind = zip(KINDS, self.slices_with[1:], self.cases_with[1:], strict=True)
        lines += [f"  {kind}: {slices} slices in {cases} scans" for kind, slices, cases in by_kind if slices]
        if self.splits is not None:
            parts = {name: self.splits.patients(name) for name in SPLITS}
            sizes = (f"{len(p)} {name} ({len(self.bleeding & set(p))} bleeding)" for name, p in parts.items())
            lines.append(f"  patients by split: {', '.join(sizes)}")
        return lines


def inspect_files(
    folder: Path, reading: Reading | None = None, splits: Path | None = None, progress: Progress = silent
) -> Inspection:
    """Find what is wrong with names, tables, headers and splits; no voxel is read.

    Parameters
    ----------
    folder, reading:
        As for :func:`~.finding.find`.
    splits:
        A splits file, if there is one.
    progress:
        Called a case.

    Raises
    ------
    InputError
        If there is no data set at all.
    """
    data, found = find(folder, reading)
    inspection = Inspection(found.faults, found.notes, data)
    if splits is not None:
        try:
            inspection.splits, faults = read_splits(splits, data.patients)
            inspection.faults += faults
        except InputError as error:
            inspection.faults.append(str(error))
    for done, case in enumerate(data.cases):
        progress("Reading headers", done, len(data.cases))
        faults = _stack_headers(case) if case.is_stack else _volume_headers(case, inspection.notes)
        inspection.faults += faults
        if not faults:
            inspection.sound.append(case)
    progress("Reading headers", len(data.cases), len(data.cases))
    return inspection


def inspect_voxels(inspection: Inspection, progress: Progress = silent) -> None:
    """Read every sound case, one at a time, and add to ``inspection`` what is wrong and what there is.

    ``progress`` is called between the files of a case.
    """
    twins, total = Twins(), len(inspection.sound)
    for done, case in enumerate(inspection.sound):
        progress("Reading voxels", done, total)
        ct, grid = _attempt(case.read_ct, inspection.faults, lambda c=case: _bad_slices(c)), case.grid()
        progress("Reading voxels", done, total)
        labels = None
        if case.lacking:  # told already; the masks that are there may have faults of their own
            inspection.faults += _bad_masks(case, grid)
        else:
            labels = _attempt(
                lambda c=case, g=grid: c.read_mask(g),
                inspection.faults,
                lambda c=case, g=grid: _bad_masks(c, g),
            )
        if labels is not None:
            inspection.faults += _contradictions(case, grid, labels, inspection.data)
            if ct is not None:
                inspection.faults += _implausible(case, ct, labels)
        if ct is not None:
            inspection.faults += twins.see(case, ct)
            _count(inspection, case, ct, labels)
    progress("Reading voxels", total, total)
    if inspection.cases and not inspection.slices_with[0]:
        inspection.faults.append(
            f"{inspection.data.root.name} has no slice with a hemorrhage: there is nothing to measure overlap on."
        )
    elif inspection.splits is not None and inspection.cases == len(inspection.data):
        inspection.faults += [
            f"The split {name} has no patient with a hemorrhage; move one there."
            for name in SPLITS
            if inspection.splits.patients(name)
            and not inspection.bleeding & set(inspection.splits.patients(name))
        ]


def _attempt(read, faults: list[str], explain):  # noqa: ANN001
    """Return ``read()``; if it fails, None, and the faults that ``explain()`` finds, or the one it fails with."""
    try:
        return read()
    except InputError as error:
        faults += explain() or [str(error)]
        return None


def _volume_headers(case: Case, notes: list[str]) -> list[str]:
    faults, grids = [], []
    for path in case.files:
        try:
            grids.append(read_grid(path, file_name(path)))
        except InputError as error:
            faults.append(str(error))
    if faults:
        return faults
    ct = grids[0][0]
    count = ct.shape[AxialOrder.of(ct.ijk_to_ras).axes[0]]
    strange = sorted(n for n in case.truth if not 1 <= n <= count)
    if strange:
        faults.append(
            f"{file_name(case.images[0])} has {count} slices, yet the table labels slice {strange[0]}"
            f"{more(strange)}; slices count from 1."
        )
    if len(grids) > 1:
        (mask, stated), name = grids[1], file_name(case.files[1])
        loose = case.by_index or not stated
        try:
            on_ct(mask, ct, name, loose)
        except InputError as error:
            faults.append(str(error))
        else:
            if loose and not mask.same_grid(ct, 0.1 * float(ct.spacing.min())):
                notes.append(
                    f"{name} states another position than its scan: it is laid on it voxel by voxel."
                )
    return faults


def _stack_headers(case: Case) -> list[str]:
    faults, shapes = [], {}
    for path in case.files:
        try:
            shapes[path] = npy_shape(path, file_name(path))
        except InputError as error:
            faults.append(str(error))
    first = next((shapes[path] for path in case.images if path in shapes), None)
    for image, mask in zip(case.images, case.masks, strict=True):
        own = shapes.get(image)
        if own and own != first:
            faults.append(
                f"{file_name(image)} is {_text(own)}, other slices of its patient are {_text(first)} pixels."
            )
        if own and shapes.get(mask, own) != own:
            faults.append(f"{file_name(mask)} is {_text(shapes[mask])}, its scan {_text(own)} pixels.")
    return faults


def _bad_slices(case: Case) -> list[str]:
    """Each slice of a stack that cannot be read, where the whole cannot."""
    return _each(lambda path: read_npy(path, file_name(path)), case.images if case.is_stack else ())


def _bad_masks(case: Case, grid: Volume) -> list[str]:
    masks = [path for path in case.masks if path is not None] if case.is_stack else ()
    return _each(lambda path: case.read_mask_slice(path, grid.shape[1:]), masks)


def _each(read, paths) -> list[str]:  # noqa: ANN001
    faults = []
    for path in paths:
        try:
            read(path)
        except InputError as error:
            faults.append(str(error))
    return faults


def _contradictions(case: Case, grid: Volume, labels: Volume, data: DataSet) -> list[str]:
    """Slices where the table and the mask do not agree; a sentence for each class and direction."""
    if not case.truth:
        return []
    said, drawn = case.slice_labels(grid, None), drawn_labels(labels, case.code.kinds_known)
    wrong = np.abs(said - drawn) == 1  # NaN is no difference
    if not wrong.any():
        return []
    name = file_name(next((path for path in case.masks if path is not None), case.images[0]))
    table = data.tables[0].name if data.tables else "the table"
    if wrong[:, 0].any() and not case.is_stack and not (np.abs(said[::-1] - drawn) == 1).any():
        order = AxialOrder.of(grid.ijk_to_ras)
        helps = order.axes[0] == 0 and order.flips[0] and not case.file_order
        todo = "use the option --file-order" if helps else "correct the slice numbers"
        return [f"{name} fits {table} only if slices are counted from the other end; {todo}."]
    faults, numbers = [], case.slice_numbers(grid)
    for column, kind in enumerate(CLASSES):
        what = "a hemorrhage" if column == 0 else f"{kind} hemorrhage"
        # a slice that is wrong as a whole is not told again for its kinds
        own = wrong[:, column] if column == 0 else wrong[:, column] & ~wrong[:, 0]
        for is_drawn, words in ((True, f"shows {what}"), (False, f"does not show {what}")):
            there = sorted(int(n) for n in numbers[own & ((drawn[:, column] == 1) == is_drawn)])
            if there:
                faults.append(f"{name} {words} on {_listed(there)}, {table} says otherwise.")
    return faults


def _implausible(case: Case, ct: Volume, labels: Volume) -> list[str]:
    """A mask that lies on air, or over most of the scan: flipped, inverted, or of somebody else."""
    blood = labels.array > 0
    count = int(np.count_nonzero(blood))
    if not count:
        return []
    name = file_name(next(path for path in case.masks if path is not None))
    if count > 0.5 * blood.size:
        return [f"{name} labels {100 * count / blood.size:.0f}% of all voxels: it is inverted, or no mask."]
    typical = float(np.median(ct.array[blood]))
    if typical < _AIR_HU:
        return [f"{name} labels air ({typical:.0f} HU at the median): it is flipped, or of another scan."]
    return []


def _count(inspection: Inspection, case: Case, ct: Volume, labels: Volume | None) -> None:
    flags = case.slice_labels(ct, labels) == 1
    inspection.cases += 1
    inspection.slices += len(flags)
    inspection.slices_with += flags.sum(axis=0)
    inspection.cases_with += flags.any(axis=0)
    if flags[:, 0].any():
        inspection.bleeding.add(case.patient)


def _listed(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"slice {numbers[0]}"
    shown = numbers[:_SHOWN]
    rest = len(numbers) - len(shown)
    end = f" and {rest} more" if rest else f" and {shown.pop()}"
    return f"slices {', '.join(map(str, shown))}{end}"


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
