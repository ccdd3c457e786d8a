"""Where the parts of a data set lie: its folders and tables, by what the user says or by their usual names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, OptionError
from .layouts import LAYOUTS
from .slice_table import CT_ICH_TABLE
from .spacing import LIMITS_MM

VOLUMES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha")
_IMAGES = {
    "ct-ich": ("ct_scans",),
    "volumes": ("images", "imagesTr", "scans"),
    "hemorica": ("images", "scans"),
}
_MASKS = ("masks", "ground truths", "labelsTr", "segmentations", "labels")
TABLE = "slices.csv"
_OTHER_TABLES = ("patients.csv", "cases.csv", "splits.csv")


@dataclass(frozen=True)
class Reading:
    """How a data set is to be read, where its folder does not say.

    Parameters
    ----------
    layout:
        One of :data:`~.layouts.LAYOUTS`; None: recognised from the folder.
    images, masks:
        Folders, within the data set's or anywhere; None: by their usual names.
    tables:
        Tables of slice labels, joined; empty: ``slices.csv``, or the folder's only CSV with such columns.
    labels:
        Mapping file of the masks' values; None: ``labels.json``, if it is there.
    pixel_mm, slice_mm:
        Spacing of .npy slices; before what ``patients.csv`` says, which is before the assumptions of
        :class:`~.spacing.Spacing`.
    file_order:
        Slice numbers of volumes count as the file stores the slices, not from inferior to superior. Always so in
        CT-ICH, whose authors count like that.
    masks_needed:
        Whether an image without mask is a fault.
    """

    layout: str | None = None
    images: Path | None = None
    masks: Path | None = None
    tables: tuple[Path, ...] = ()
    labels: Path | None = None
    pixel_mm: float | None = None
    slice_mm: float | None = None
    file_order: bool = False
    masks_needed: bool = True


@dataclass
class Findings:
    """What there is to say of a data set: ``faults`` make results wrong or impossible, ``notes`` are to be known."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_reading(reading: Reading) -> None:
    """Raise an error if a setting makes no sense."""
    if reading.layout not in (None, *LAYOUTS):
        raise OptionError(f"There is no layout {reading.layout!r}; choose one of {', '.join(LAYOUTS)}.")
    for name, value in (("--pixel-mm", reading.pixel_mm), ("--slice-mm", reading.slice_mm)):
        if value is not None and not LIMITS_MM[0] <= value <= LIMITS_MM[1]:
            raise OptionError(f"{name} {value:g} is no spacing of a head CT; give mm.")
    for path in (*reading.tables, *([reading.labels] if reading.labels else [])):
        if not path.is_file():
            raise InputError(f"There is no file {path}; check the path.")


def images_folder(root: Path, reading: Reading) -> Path:
    """Find the folder of the scans; :class:`InputError` if there is none."""
    if reading.images is not None:
        return _asked(root, reading.images)
    names = _IMAGES.get(reading.layout or "", ("ct_scans", "images", "imagesTr", "scans"))
    there = [root / name for name in names if (root / name).is_dir()]
    if not there:
        raise InputError(f"{root.name} holds no folder {' or '.join(names)}; name the folder of the scans.")
    return there[0]


def masks_folder(root: Path, reading: Reading, found: Findings) -> Path | None:
    """Find the folder of the masks; None, and a fault, if there is none."""
    if reading.masks is not None:
        return _asked(root, reading.masks)
    there = [root / name for name in _MASKS if (root / name).is_dir()]
    if not there:
        text = f"{root.name} holds no folder of masks ({_MASKS[0]}); name it."
        (found.faults if reading.masks_needed else found.notes).append(text)
        return None
    return there[0]


def _asked(root: Path, folder: Path) -> Path:
    for path in (root / folder, folder):
        if path.is_dir():
            return path.resolve()
    raise InputError(f"There is no folder {folder}, neither in the data set nor here.")


def recognise(root: Path, images: Path) -> str:
    """Tell the layout from what lies in the folder; :class:`InputError` if it is in doubt."""
    if images.name == "ct_scans" or (root / CT_ICH_TABLE).is_file():
        return "ct-ich"
    names = [path.name.lower() for path in files_of(images)]
    slices = any(name.endswith(".npy") for name in names)
    volumes = any(name.endswith(VOLUMES) for name in names)
    if slices == volumes:
        what = "both slices (.npy) and volumes" if slices else "neither slices (.npy) nor volumes"
        raise InputError(f"{images.name} holds {what}; say with --layout which data set this is.")
    return "hemorica" if slices else "volumes"


def check_complete(root: Path, found: Findings) -> None:
    """Note a set of virtual patients whose making was stopped."""
    path = root / "dataset.json"
    if not path.is_file() or path.stat().st_size > 2**28:
        return
    try:
        complete = json.loads(path.read_text(encoding="utf-8")).get("complete")
    except (ValueError, OSError, AttributeError, RecursionError):
        return  # another program's file of that name
    if complete is False:
        found.faults.append("dataset.json says that the making was stopped; run `hemocam phantom` again.")


def usual_tables(root: Path, layout: str) -> list[Path]:
    """Find the table of slices by its name, else by its columns; several if it is in doubt."""
    own = root / (CT_ICH_TABLE if layout == "ct-ich" else TABLE)
    if own.is_file() or layout == "ct-ich":
        return [own] if own.is_file() else []
    tables = [p for p in files_of(root) if p.suffix.lower() == ".csv" and p.name.lower() not in _OTHER_TABLES]
    fitting = [path for path in tables if _has_slices(path)]
    return fitting or (tables if layout == "hemorica" else [])


def _has_slices(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return "slice_number" in stream.readline(10_000)
    except (OSError, UnicodeDecodeError):
        return False


def files_of(folder: Path) -> Iterable[Path]:
    """Plain files of a folder, sorted by name; hidden ones are nobody's data."""
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file())
    except OSError as error:
        raise InputError(f"The folder {folder.name} cannot be read ({error.strerror}).") from None


def more(items: Sequence) -> str:
    """How many there are beyond the first, for a sentence."""
    return f" (and {len(items) - 1} more)" if len(items) > 1 else ""
