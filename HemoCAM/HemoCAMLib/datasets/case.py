"""One scan of a data set, as paths that travel to any worker, and what it holds once it is loaded.

A data set is a tuple of :class:`Case`; voxels are read when a case is loaded, one at a time, and belong to nobody
afterwards. Find the cases of a folder with :func:`~.finding.open_data_set`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..phantoms.patient import KINDS
from ..progress import Progress, silent
from ..volumes.axial import AxialOrder
from ..volumes.padding import padding_to_air
from ..volumes.reading import read_ct, read_labels
from ..volumes.volume import Volume
from .grids import on_ct, read_grid
from .label_code import LabelCode
from .npy import npy_shape, read_npy
from .slice_table import CLASSES, UNSEEN, Truth
from .spacing import Spacing

_HU_SPAN = 50
_NOT_BELOW = -20


@dataclass(frozen=True)
class Case:
    """One scan: files and labels, no voxels; small, picklable, and good on any machine that sees the files.

    Parameters
    ----------
    name:
        Unique within its data set.
    patient:
        Whose it is; all cases of a patient belong to one split.
    images:
        One volume, or one .npy a slice, from inferior to superior.
    masks:
        The mask of each of ``images``, or None where there is none.
    numbers:
        Slice number of each .npy; empty for a volume, whose slices are numbered from 1.
    truth:
        What the table of slices says: number to 1, 0 or None for each of :data:`~.slice_table.CLASSES`.
    code:
        What the masks' values mean.
    spacing:
        Of .npy slices.
    file_order:
        Number the slices of a volume as the file stores them, not from inferior to superior.
    by_index:
        Lay the mask on the volume voxel by voxel, whatever position its header states.
    """

    name: str
    patient: str
    images: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    numbers: tuple[int, ...] = ()
    truth: dict[int, Truth] = field(default_factory=dict)
    code: LabelCode = field(default_factory=LabelCode)
    spacing: Spacing = field(default_factory=Spacing)
    file_order: bool = False
    by_index: bool = False

    @property
    def is_stack(self) -> bool:
        """Whether it is a stack of .npy slices."""
        return bool(self.numbers)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that belongs to it."""
        return (*self.images, *(mask for mask in self.masks if mask is not None))

    @property
    def lacking(self) -> tuple[Path, ...]:
        """Images without a mask that need one: those that the table does not call free of hemorrhage."""
        pairs = zip(self.images, self.masks, strict=True)
        return tuple(image for n, (image, mask) in enumerate(pairs) if mask is None and not self._clean(n))

    @property
    def bleeds(self) -> bool | None:
        """Whether the table calls any slice bleeding; None if it does not say so of all slices it names."""
        said = [truth[0] for truth in self.truth.values()]
        return True if 1 in said else False if said and None not in said else None

    def load(self, progress: Progress = silent) -> LabelledCase:
        """Read the voxels.

        Returns
        -------
        LabelledCase
            With a volume's HU as :func:`~..volumes.reading.read_ct` gives them (padding is air), on its own grid.

        Raises
        ------
        InputError
            If a file cannot be read, is no head CT in HU, or does not fit the others; it names the file.
        """
        ct = self.read_ct(progress)
        labels = None if self.lacking else self.read_mask(ct)
        return LabelledCase(self, ct, labels, self.slice_labels(ct, labels), self.slice_numbers(ct))

    def grid(self) -> Volume:
        """Read where the CT's voxels lie, from headers only; its voxels are a zero that takes no memory."""
        path = self.images[0]
        if not self.is_stack:
            return read_grid(path, file_name(path))[0]
        shape = (len(self.images), *npy_shape(path, file_name(path)))
        return Volume(np.broadcast_to(np.uint8(0), shape), self.spacing.affine(shape[2]))

    def read_ct(self, progress: Progress = silent) -> Volume:
        """Read the CT alone; errors as in :meth:`load`."""
        if self.is_stack:
            return self._stack()
        self.grid()  # refuses the headers that a reader in C++ must not see
        return naming(self.images[0], read_ct, self.images[0], None, progress)

    def read_mask(self, ct: Volume) -> Volume:
        """Read the labels, uint8 as in :data:`~.layouts.LABELS`, on the grid of ``ct``; errors as in :meth:`load`.

        A slice without a mask is free of hemorrhage.
        """
        if self.is_stack:
            array = np.zeros(ct.shape, np.uint8)
            for plane, path in zip(array, self.masks, strict=True):
                if path is not None:
                    plane[:] = self.read_mask_slice(path, plane.shape)
            return ct.like(array, "Reference")
        path = self.masks[0]
        if path is None:
            return ct.like(np.zeros(ct.shape, np.uint8), "Reference")
        stated = read_grid(path, file_name(path))[1]
        mask = naming(path, read_labels, path)
        array = on_ct(mask, ct, file_name(path), self.by_index or not stated)
        return ct.like(self.code.decode(array, file_name(path)), "Reference")

    def read_mask_slice(self, path: Path, shape: tuple[int, int]) -> np.ndarray:
        """Read the mask of one .npy slice of ``shape``, uint8, decoded; errors as in :meth:`load`."""
        name = file_name(path)
        mask = read_npy(path, name)
        if mask.shape != shape:
            raise InputError(f"{name} is {_text(mask.shape)}, its scan {_text(shape)} pixels.")
        fractions = mask.dtype.kind == "f" and not (mask == np.rint(mask)).all()
        if fractions or mask.min() < 0:
            raise InputError(f"{name} is no label map: it holds fractions or negative numbers.")
        return self.code.decode(mask, name)

    def slice_numbers(self, ct: Volume) -> np.ndarray:
        """Number of each slice in the tables, in canonical order (inferior to superior), int, shape (S,)."""
        if self.is_stack:
            return np.array(self.numbers)
        order = AxialOrder.of(ct.ijk_to_ras)
        numbers = np.arange(1, ct.shape[order.axes[0]] + 1)
        # a stack of sagittal slices has no axial order of its own: there the patient's counts
        backwards = self.file_order and order.axes[0] == 0 and order.flips[0]
        return numbers[::-1].copy() if backwards else numbers

    def slice_labels(self, ct: Volume, labels: Volume | None) -> np.ndarray:
        """Labels of the slices, in canonical order: float32, shape (S, 6), as in :class:`LabelledCase`."""
        said = [self.truth.get(int(n), UNSEEN) for n in self.slice_numbers(ct)]
        found = np.array([[np.nan if v is None else v for v in row] for row in said], np.float32)
        if labels is not None:
            drawn = drawn_labels(labels, self.code.kinds_known)
            found = np.where(np.isnan(found), drawn, found)
        return found.astype(np.float32)

    def _stack(self) -> Volume:
        slices = [read_npy(path, file_name(path)) for path in self.images]
        odd = [n for n, plane in enumerate(slices) if plane.shape != slices[0].shape]
        if odd:
            raise InputError(
                f"{file_name(self.images[odd[0]])} is {_text(slices[odd[0]].shape)}, other slices of its patient "
                f"are {_text(slices[0].shape)} pixels."
            )
        array = _as_hu(np.stack(slices))
        low, high = float(array.min()), float(array.max())
        if low >= _NOT_BELOW or high - low < _HU_SPAN:
            raise InputError(
                f"{file_name(self.images[0])} and the other slices of its patient hold values from {low:g} to "
                f"{high:g}: they are not in HU, where air is -1000."
            )
        padding_to_air(array)
        return Volume(array, self.spacing.affine(array.shape[2]), source={"format": "npy"})

    def _clean(self, image: int) -> bool:
        if self.is_stack:
            return self.truth.get(self.numbers[image], UNSEEN)[0] == 0
        return bool(self.truth) and all(truth[0] == 0 for truth in self.truth.values())


@dataclass(frozen=True)
class LabelledCase:
    """A case in memory; S slices in canonical order, inferior to superior, as :class:`~..pipeline.Analysis` counts.

    Parameters
    ----------
    case:
        What it was loaded from.
    ct:
        HU, int16 or float32, shape (K, J, I), on the file's own grid. Of .npy slices: a stack of those that there
        are, as neighbours; see :attr:`spacing_known`.
    labels:
        On the same grid, uint8: 0 for none, 1 to 5 as in :data:`~.layouts.LABELS`, or 1 for any where
        :attr:`kinds_known` is False. None if a mask is missing where one is needed.
    slice_labels:
        float32, shape (S, 6): 1, 0 or NaN (not known) for each of :data:`~.slice_table.CLASSES`; what the table
        says, else what the mask shows.
    slice_numbers:
        How tables and file names number the slices, int, shape (S,).
    """

    case: Case
    ct: Volume
    labels: Volume | None
    slice_labels: np.ndarray
    slice_numbers: np.ndarray

    @property
    def kinds_known(self) -> bool:
        """Whether ``labels`` tells the kinds apart."""
        return self.case.code.kinds_known

    @property
    def spacing_known(self) -> bool:
        """Whether mm and ml are the scan's own, and not assumed."""
        return not self.case.is_stack or self.case.spacing.known


def drawn_labels(labels: Volume, kinds_known: bool) -> np.ndarray:
    """Read the slice labels off a mask, canonical order: float32, shape (S, 6); NaN for kinds that are not known."""
    planes = AxialOrder.of(labels.ijk_to_ras).view(labels.array)
    flags = np.full((len(planes), len(CLASSES)), np.nan, np.float32)
    for row, plane in zip(flags, planes, strict=True):
        blood = plane[plane > 0]
        row[0] = blood.size > 0
        if kinds_known or not blood.size:
            row[1:] = np.bincount(blood, minlength=len(KINDS) + 1)[1:] > 0
    return flags


def file_name(path: Path) -> str:
    """Return what sentences call a file: its folder's name and its own."""
    return f"{path.parent.name}/{path.name}"


def naming(path: Path, read, *arguments: object):  # noqa: ANN001, ANN201  (passes on what ``read`` returns)
    """Return ``read(*arguments)``; an :class:`InputError` out of it names ``path`` with its folder."""
    try:
        return read(*arguments)
    except InputError as error:
        text, name = str(error), file_name(path)
        raise InputError(
            name + text.removeprefix(path.name) if text.startswith(path.name) else f"{name}: {text}"
        ) from None


def _as_hu(array: np.ndarray) -> np.ndarray:
    limits = np.iinfo(np.int16)
    whole = array.dtype.kind in "biu" or bool((array == np.rint(array)).all())
    fits = array.min() >= limits.min and array.max() <= limits.max
    return array.astype(np.int16 if whole and fits else np.float32)


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
