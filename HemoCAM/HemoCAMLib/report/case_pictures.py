"""The pixels of the scans that a report shows, from the data set and the maps that the benchmark has kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..benchmark.model import model_of
from ..benchmark.plan import CHOSEN
from ..benchmark.truth import Truth
from ..benchmark.work import MappedCase, restored
from ..datasets.case import Case
from ..datasets.finding import DataSet
from ..errors import InputError, OutputError
from ..explained import Explained, explain_volume
from ..models.bundle import Bundle
from ..models.preprocess import window
from ..progress import Progress, silent
from ..sweep.threads import limited_threads
from .choosing import Choice, Shown
from .source import Benchmarked

BRAIN = (40.0, 80.0)  # window: centre and width in HU
_WORK = ".work"


@dataclass(frozen=True, eq=False)
class CasePicture:
    """One slice of a scan, cut to the square that the network saw.

    Parameters
    ----------
    gray:
        CT in the brain window, 0..1, (rows, columns).
    truth:
        The target's blood, bool, same shape.
    heat, mask:
        By scale: the shown map, 0..1, and the mask at the chosen threshold, bool; same shape.
    aspect:
        Height over width of a pixel.
    """

    gray: np.ndarray
    truth: np.ndarray
    heat: Mapping[str, np.ndarray]
    mask: Mapping[str, np.ndarray]
    aspect: float


def case_pictures(
    found: Benchmarked, choice: Choice, data: DataSet, bundle: Bundle, progress: Progress = silent
) -> list[CasePicture]:
    """Make the picture of each chosen scan, one scan in memory at a time.

    The maps are those that the benchmark has measured; where they are gone, the scan is explained again, which gives
    the same up to rounding.

    Parameters
    ----------
    found, choice:
        The benchmark, and what to show of it.
    data, bundle:
        What it was made of.
    progress:
        Called a scan, and by what takes long within.

    Raises
    ------
    InputError
        If a scan is not in the data set, or cannot be read.
    """
    cases = {case.name: case for case in data.cases}
    pictures = []
    for done, shown in enumerate(choice.shown):
        progress("Drawing cases", done, len(choice.shown))
        if shown.case not in cases:
            raise InputError(
                f"There is no case {shown.case!r} in {data.root}; give the data set of the benchmark."
            )
        pictures.append(_picture(found, choice, shown, cases[shown.case], bundle, progress))
    return pictures


def _picture(
    found: Benchmarked, choice: Choice, shown: Shown, case: Case, bundle: Bundle, progress: Progress
) -> CasePicture:
    truth = Truth.of(case, found.plan)
    explained = _explained(found, choice, case, truth, bundle, progress)
    sampled = explained.sampled
    place = np.flatnonzero(np.asarray(truth.loaded.slice_numbers) == shown.slice)
    if not len(place):
        raise InputError(f"{shown.case} has no slice {shown.slice}; give the data set of the benchmark.")
    plane = int(place[0])
    rows, columns = _square(explained)
    heat, mask = {}, {}
    for scale in found.scales:
        whole = explained.shown(*choice.place, scale, progress)[plane]
        method, stage = choice.place
        row = next(found.rows("thresholds", scale=scale, rule=CHOSEN, method=method, stage=stage))
        heat[scale] = whole[rows, columns]
        mask[scale] = heat[scale] >= np.float32(row["threshold"])
    gray = window(np.asarray(sampled.axial.array[plane, rows, columns], np.float32), *BRAIN)
    spacing = sampled.axial.spacing
    return CasePicture(
        gray, truth.reference.mask[plane, rows, columns], heat, mask, float(spacing[1] / spacing[0])
    )


def _explained(
    found: Benchmarked, choice: Choice, case: Case, truth: Truth, bundle: Bundle, progress: Progress
) -> Explained:
    for folder in _kept(found.folder):
        try:
            return restored(MappedCase(case, folder).packed(), truth.loaded.ct, bundle.manifest, found.plan)
        except OutputError:
            continue
    plan, model = found.plan, model_of(found.plan, bundle.folder.resolve())
    method, stage = choice.place
    with limited_threads(1):
        return explain_volume(
            truth.loaded.ct, model.manifest, model.engine, (method,), (stage,), plan.target, plan.gate, model.device,
            progress,
        )  # fmt: skip


def _kept(folder: Path) -> list[Path]:
    return sorted((folder / _WORK).glob("maps-*"))


def _square(explained: Explained) -> tuple[slice, slice]:
    """Rows and columns of the CT that the network's square covers."""
    grid, found = explained.sampled.grid, []
    for axis in (0, 1):
        low = (grid.centre_mm[axis] - grid.fov_mm / 2) / grid.ct_spacing_mm[axis]
        high = (grid.centre_mm[axis] + grid.fov_mm / 2) / grid.ct_spacing_mm[axis]
        found.append(slice(max(0, int(low)), min(grid.ct_shape[axis], int(np.ceil(high)) + 1)))
    return found[0], found[1]
