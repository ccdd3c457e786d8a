"""Figures of a model on labelled single slices, and the sheet of those that it got wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..comparison.overlap import Counts, dice, iou
from ..errors import InputError
from ..models.preprocess import window
from ..progress import Progress, silent
from .bootstrap import DRAWS, UNDEFINED, Bootstrap, Estimate
from .labelled import Labelled, read_map, read_mask
from .peak import peak_inside
from .pictures import Tile, draw_sheet
from .roc import delong, wilson
from .tables import Row, Table

MAP, MASK = "_map.png", "_mask.png"
WORST = 12  # tiles a section of the sheet, at most


@dataclass(frozen=True)
class Scored:
    """Labelled slices with, for those that have a reference mask, overlap and peak.

    Parameters
    ----------
    slices:
        The joined tables.
    dice, iou, peak:
        Of the default mask and of the map, shape (n,); NaN where there is no reference mask.
    maps, references:
        Folders of maps and of reference masks; None if not given.
    reference:
        File of the reference mask by row.
    """

    slices: Labelled
    dice: np.ndarray
    iou: np.ndarray
    peak: np.ndarray
    maps: Path | None = None
    reference: dict[int, Path] = field(default_factory=dict)

    @property
    def masked(self) -> np.ndarray:
        """Slices with a reference mask, bool (n,)."""
        return ~np.isnan(self.dice)


def score(
    slices: Labelled, maps: Path | None = None, masks: Path | None = None, progress: Progress = silent
) -> Scored:
    """Compare default masks and maps with reference masks.

    Parameters
    ----------
    slices:
        The joined tables.
    maps:
        Folder of ``<stem>_map.png`` and ``<stem>_mask.png``.
    masks:
        Folder of reference masks, PNG with 0 and 255, named like the slices; not every slice needs one.
    progress:
        Called a slice.

    Raises
    ------
    InputError
        If masks are given without maps, a file is missing or not what it should be, or sizes differ.
    """
    values = np.full((3, len(slices)), np.nan)
    if masks is None:
        return Scored(slices, *values, maps)
    if maps is None:
        raise InputError("Masks are compared with maps; give the folder of `hemocam classify --maps`, too.")
    found = slices.masks(masks)
    for done, (row, path) in enumerate(found.items()):
        progress("Comparing maps with masks", done, len(found))
        truth, stem = read_mask(path), slices.stems[row]
        mask, heat = read_mask(maps / (stem + MASK)), read_map(maps / (stem + MAP))
        for name, other in ((stem + MASK, mask), (stem + MAP, heat)):
            if other.shape != truth.shape:
                raise InputError(
                    f"{name} has {other.shape[1]} x {other.shape[0]} pixels and the mask {path.name} "
                    f"{truth.shape[1]} x {truth.shape[0]}; give masks of the slices' own size."
                )
        if not truth.any():
            raise InputError(f"The mask {path.name} is empty; remove it or draw the bleeding.")
        counts = Counts.of(truth[None], mask[None])
        values[:, row] = dice(counts), iou(counts), peak_inside(heat, truth)
    return Scored(slices, *values, maps, found)


def table(scored: Scored, seed: int = 0) -> Table:
    """Compute all figures, each with a bootstrap interval and, where there is one, a closed one.

    Closed: DeLong's for the area, Wilson's for shares; both take slices for independent of each other.
    """
    slices, masked = scored.slices, scored.masked
    truth, called = slices.truth, slices.positive
    draws = Bootstrap(slices.patient, seed=seed)
    rows = []

    def add(label: str, own: Estimate, closed: Estimate = UNDEFINED) -> None:
        rows.append(Row(label, (own, closed), own.cases, own.patients if slices.patients_known else None))

    def share(label: str, values: np.ndarray, counted: np.ndarray) -> None:
        own = draws.mean(values, counted)
        low, high = wilson(int(np.nansum(values[counted])), own.cases)
        add(label, own, Estimate(own.value, low, high, own.cases, own.patients))

    area = draws.auc(slices.score, truth)
    add("ROC AUC", area, Estimate(*delong(slices.score, truth), area.cases, area.patients))
    share("sensitivity", called, truth)
    share("specificity", ~called, ~truth)
    add("expected calibration error", draws.calibration_error(slices.score, truth))
    add("Brier score", draws.mean((slices.score - truth) ** 2))
    if masked.any():
        add("Dice of the default mask", draws.mean(scored.dice, masked))
        add("IoU of the default mask", draws.mean(scored.iou, masked))
        share("peak of the map inside the mask", scored.peak, masked)
    columns = ("value (95%, bootstrap)", "value (95%, DeLong or Wilson)")
    return Table("Figures", "figure", columns, tuple(rows))


NOTES = (
    f"Bootstrap: percentiles of {DRAWS} draws of patients where the labels name them, else of slices. DeLong and "
    "Wilson take every slice for independent. Dice, IoU and peak are of the slices that have a reference mask, "
    "whatever their probability."
)


def misses(scored: Scored) -> dict[str, list[int]]:
    """Rows of what went wrong, the worst first: missed, false alarms, lowest Dice, peak outside."""
    slices = scored.slices

    def ranked(rows: np.ndarray, by: np.ndarray) -> list[int]:
        chosen = np.flatnonzero(rows)
        return chosen[np.argsort(by[chosen], kind="stable")].tolist()

    return {
        "missed: hemorrhage below the threshold": ranked(slices.truth & ~slices.positive, slices.score),
        "false alarms: no hemorrhage, above the threshold": ranked(
            ~slices.truth & slices.positive, -slices.score
        ),
        "lowest Dice of the default mask": ranked(scored.masked, scored.dice)[:WORST],
        "map highest outside the mask": ranked(scored.peak == 0, -slices.score),
    }


def draw_misses(
    scored: Scored, path: Path, picture: Callable[[str], np.ndarray], progress: Progress = silent
) -> bool:
    """Write a contact sheet of :func:`misses`, map and outlines over each; tell whether there was any.

    It shows the slices themselves: where they are patients', the sheet is data of patients.

    Parameters
    ----------
    scored:
        What to show.
    path:
        PNG to write.
    picture:
        Returns a file's picture, gray, 0..1, shape (rows, columns).
    progress:
        Called a section.
    """
    sections = []
    found = misses(scored)
    for done, (heading, rows) in enumerate(found.items()):
        progress("Drawing the misses", done, len(found))
        shown = rows[:WORST]
        if len(rows) > len(shown):
            heading = f"{heading} (the worst {len(shown)} of {len(rows)})"
        sections.append((heading, list(_tiles(scored, shown, picture))))
    if not any(tiles for _, tiles in sections):
        return False
    draw_sheet(sections, path, inches=2.1)
    return True


def _tiles(scored: Scored, rows: list[int], picture: Callable[[str], np.ndarray]) -> Iterable[Tile]:
    slices = scored.slices
    for row in rows:
        gray = picture(slices.files[row])
        second = f"p = {slices.score[row]:.2f}"
        mask = heat = truth = None
        if scored.maps is not None:
            mask = read_mask(scored.maps / (slices.stems[row] + MASK))
            heat = read_map(scored.maps / (slices.stems[row] + MAP))
        if row in scored.reference:
            truth = read_mask(scored.reference[row])
            second += f", Dice {scored.dice[row]:.2f}, peak {'in' if scored.peak[row] else 'out'}side"
        for other in (mask, heat):
            if other is not None and other.shape != gray.shape:
                raise InputError(
                    f"{slices.files[row]} has {gray.shape[1]} x {gray.shape[0]} pixels and its map "
                    f"{other.shape[1]} x {other.shape[0]}; give the pictures that were classified."
                )
        yield Tile(gray, f"{Path(slices.files[row]).name}\n{second}", mask, truth, heat)


def read_gray(path: Path) -> np.ndarray:
    """Read a slice to look at: a picture as it is, a DICOM slice in the brain window; gray 0..1.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    from ..volumes.dicom_headers import is_dicom
    from ..volumes.dicom_slice import read_slice
    from ..volumes.picture import read_picture

    try:
        with path.open("rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be opened ({error.strerror}); say where the slices are with --slices."
        ) from None
    return window(read_slice(path).array[0], 40, 80) if is_dicom(head) else read_picture(path)
