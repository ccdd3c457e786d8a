"""Which scans a report shows: the best, the worst, and the loudest false alarms, each at one slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..benchmark.plan import CHOSEN
from .source import Benchmarked, Place

EACH = 3  # scans of each sort
SORTS = {
    "best": "Best: scans with the highest Dice, at the slice with most blood",
    "worst": "Worst: bleeding scans with the lowest Dice, at the slice with most blood",
    "alarm": "False alarms: scans without hemorrhage on which most is shown, at the slice with most of it",
}


@dataclass(frozen=True)
class Shown:
    """A scan to show.

    Parameters
    ----------
    sort:
        Of :data:`SORTS`.
    case:
        Name in the data set.
    slice:
        Number of the slice, as the data set counts.
    slab:
        Which slab of the scan it lies in, from 0 at the lower end.
    dice:
        Of the whole scan's mask; None for a false alarm.
    truth_ml, mask_ml:
        Volumes, None where voxels have no known size.
    probability:
        Of the target, of the slab.
    """

    sort: str
    case: str
    slice: int
    slab: int
    dice: float | None
    truth_ml: float | None
    mask_ml: float | None
    probability: float


@dataclass(frozen=True)
class Choice:
    """The map that is shown, the scale whose Dice puts scans in order, and the scans."""

    scale: str
    place: Place
    shown: tuple[Shown, ...]


def choose_cases(found: Benchmarked, each: int = EACH) -> Choice | None:
    """Choose the scans to show, by the best map of the scale ``gated``, or of the first one; None without any map."""
    scale = "gated" if "gated" in found.scales else found.scales[0]
    order = found.best("pixels", "dice", scale)
    if not order:
        return None
    place = order[0]
    rows = _volumes(found.folder / "volumes.parquet", scale, place)
    bleeding = [row for row in rows if row["truth_px"] > 0]
    best = sorted(bleeding, key=lambda row: (-row["dice"], row["case"]))
    some = best[: min(each, (len(best) + 1) // 2)]
    names = {row["case"] for row in some}
    # among scans of equal Dice, 0 say, the largest hemorrhage is the worst to miss
    rest = [row for row in bleeding if row["case"] not in names]
    worst = sorted(rest, key=lambda row: (row["dice"], -row["truth_px"], row["case"]))[:each]
    loud = [row for row in rows if row["truth_px"] == 0 and row["fp"] > 0]
    loud = sorted(loud, key=lambda row: (-row["fp"], row["case"]))[:each]
    shown = []
    for sort, own in (("best", some), ("worst", worst), ("alarm", loud)):
        shown += [_shown(found, scale, place, sort, row) for row in own]
    return Choice(scale, place, tuple(shown))


def _volumes(path: Path, scale: str, place: Place) -> list[dict]:
    """A row a scan."""
    names = ["case", "truth_px", "truth_ml", "mask_ml", "fp", "dice"]
    return _rows(path, names, scale=scale, rule=CHOSEN, method=place[0], stage=place[1])


def _shown(found: Benchmarked, scale: str, place: Place, sort: str, row: dict) -> Shown:
    said = _rows(
        found.folder / "predictions.parquet",
        ["slice", "slab", "truth_px", f"p_{found.plan.target}"],
        case=row["case"],
    )
    by_number = {line["slice"]: line for line in said}
    weight = {number: line["truth_px"] for number, line in by_number.items()}
    if sort == "alarm":
        own = _rows(
            found.folder / "slices.parquet", ["slice", "fp"],
            case=row["case"], scale=scale, rule=CHOSEN, method=place[0], stage=place[1],
        )  # fmt: skip
        weight = {line["slice"]: line["fp"] for line in own}
    top = max(weight, key=weight.__getitem__)
    line = by_number[top]
    return Shown(
        sort, row["case"], top, line["slab"], None if sort == "alarm" else row["dice"], row["truth_ml"],
        row["mask_ml"], line[f"p_{found.plan.target}"],
    )  # fmt: skip


def _rows(path: Path, names: list[str], **where: object) -> list[dict]:
    """Some columns of the rows with these values, block by block."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    chosen = None
    for name, value in where.items():
        one = pc.field(name) == value
        chosen = one if chosen is None else chosen & one
    return ds.dataset(path, format="parquet").scanner(names, chosen, use_threads=False).to_table().to_pylist()
