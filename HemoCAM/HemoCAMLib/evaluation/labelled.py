"""Scores of single slices beside their reference: two tables joined, and the maps and masks that go with them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Labelled:
    """Slices with scores and labels, in the order of the labels.

    Parameters
    ----------
    files:
        As the table of labels names them.
    stems:
        Of the files that maps and masks are named after: ``<stem>_map.png``.
    score:
        Probability of the target, float64, shape (n,), 0..1.
    positive:
        What the model calls positive, bool (n,).
    truth:
        Hemorrhage, bool (n,).
    patient:
        Whose each slice is, str (n,); each its own where the labels do not say.
    patients_known:
        Whether the labels say it.
    """

    files: tuple[str, ...]
    stems: tuple[str, ...]
    score: np.ndarray
    positive: np.ndarray
    truth: np.ndarray
    patient: np.ndarray
    patients_known: bool = False

    def __len__(self) -> int:
        return len(self.files)

    @classmethod
    def read(cls, scores: Path, labels: Path, target: str = "any") -> Labelled:
        """Join what ``hemocam classify`` wrote with reference labels.

        Parameters
        ----------
        scores:
            CSV with the columns ``file``, ``positive`` (0 or 1) and ``target`` (a probability).
        labels:
            CSV with the columns ``file`` and ``hemorrhage`` (0 or 1), and, if wanted, ``patient``. Files are
            matched by the whole name; if the two tables name them differently, by the name without folders.
        target:
            The class to judge by.

        Raises
        ------
        InputError
            If a file or a column is missing, a value makes no sense, or a file stands in one table only.
        """
        said = _table(scores, ("file", target, "positive"))
        known = _table(labels, ("file", "hemorrhage"))
        if said.keys() != known.keys():
            said, known = _by_last_name(said, scores), _by_last_name(known, labels)
        for there, here, name in ((known, said, scores), (said, known, labels)):
            missing = [file for file in there if file not in here]
            if missing:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise InputError(
                    f"{name.name} has no row for {missing[0]}{more}; give tables of the same files."
                )
        rows = [(known[file], said[file]) for file in known]
        return cls(
            files=tuple(label["file"] for label, _ in rows),
            stems=tuple(PurePosixPath(score["file"].replace("\\", "/")).stem for _, score in rows),
            score=np.array([_probability(s, target, scores) for _, s in rows]),
            positive=np.array([_binary(s, "positive", scores) for _, s in rows]),
            truth=np.array([_binary(label, "hemorrhage", labels) for label, _ in rows]),
            patient=np.array([label.get("patient") or f"file {label['file']}" for label, _ in rows]),
            patients_known=all(label.get("patient") for label, _ in rows),
        )

    def masks(self, folder: Path) -> dict[int, Path]:
        """Find the reference masks: the row of each slice that has one, and the file.

        A mask is a PNG with the slice's name in ``folder``.

        Raises
        ------
        InputError
            If there is none, or one that belongs to no slice, or to one without hemorrhage.
        """
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}; check --masks.")
        rows = {Path(file).stem.casefold(): row for row, file in enumerate(self.files)}
        found = {}
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() == ".png"):
            row = rows.get(path.stem.casefold())
            if row is None:
                raise InputError(
                    f"The mask {path.name} belongs to no file of the labels; remove or rename it."
                )
            if not self.truth[row]:
                raise InputError(
                    f"The mask {path.name} shows a hemorrhage, but the labels say that there is none; correct one."
                )
            found[row] = path
        if not found:
            raise InputError(f"{folder} holds no mask (PNG, named like the slice); check --masks.")
        return found


def label_rows(labels: Path) -> list[dict[str, str]]:
    """Rows of a table of labels, as :meth:`Labelled.read` takes it."""
    return list(_table(labels, ("file", "hemorrhage")).values())


def _table(path: Path, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Rows of a CSV by their ``file``."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path.name} has no column {missing[0]!r}; it needs {', '.join(columns)}.")
            rows = list(reader)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; check the path.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as a CSV in UTF-8 ({error}).") from None
    if not rows:
        raise InputError(f"{path.name} has no rows.")
    return _unique(((row["file"], row) for row in rows), path)


def _unique(rows: Iterator[tuple[str, dict]], path: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for file, row in rows:
        if not file:
            raise InputError(f"{path.name} has a row without a file name; correct it.")
        if file in found:
            raise InputError(f"{path.name} has two rows for {file}; keep one.")
        found[file] = row
    return found


def _by_last_name(rows: dict[str, dict], path: Path) -> dict[str, dict[str, str]]:
    return _unique(((file.replace("\\", "/").rpartition("/")[2], row) for file, row in rows.items()), path)


def _binary(row: dict, column: str, path: Path) -> bool:
    value = (row[column] or "").strip()
    if value not in ("0", "1"):
        raise InputError(f"{path.name} has {column} {value!r} for {row['file']}; it is 0 or 1.")
    return value == "1"


def _probability(row: dict, column: str, path: Path) -> float:
    try:
        value = float(row[column] or "")
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InputError(
            f"{path.name} has {column} {row[column]!r} for {row['file']}; it lies between 0 and 1."
        )
    return value


def read_mask(path: Path) -> np.ndarray:
    """Read a mask: bool, shape (rows, columns), from a gray PNG of 0 and 255.

    Raises
    ------
    InputError
        If it cannot be read or holds other values.
    """
    values = _gray(path)
    if not np.isin(values, (0, 255)).all():
        raise InputError(
            f"The mask {path.name} holds values other than 0 and 255; give a mask, not a picture."
        )
    return values > 0


def read_map(path: Path) -> np.ndarray:
    """Read a map: float32, 0..1, shape (rows, columns), from a gray PNG of 16 bits.

    Raises
    ------
    InputError
        If it cannot be read or has another depth.
    """
    values = _gray(path)
    if values.dtype not in (np.uint16, np.int32):
        raise InputError(f"The map {path.name} has not 16 bits; give what `hemocam classify --maps` wrote.")
    return values.astype(np.float32) / np.float32(65535)


def _gray(path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("PNG",)) as picture:
            values = np.asarray(picture.convert("L") if picture.mode in ("1", "P") else picture)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; classify again with --maps.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise InputError(f"{path.name} is no PNG picture, or is damaged.") from None
    if values.ndim != 2:
        raise InputError(f"{path.name} is in colour; maps and masks are gray.")
    return values
