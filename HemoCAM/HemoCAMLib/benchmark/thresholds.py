"""The fixed threshold of each method, stage and scale: chosen on the tuning split, never on the test split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OutputError
from ..metrics.curves import MEANS, Choice, Curves, choose
from ..metrics.pixels import PIXEL_METRICS, PixelCounts
from ..metrics.sweep import Sweep, check_thresholds
from ..progress import Progress, silent
from ..sweep.packing import Packed
from ..sweep.results import Results
from .columns import lists, numbers, table_of
from .plan import Combination, Plan

if TYPE_CHECKING:
    import pyarrow as pa

AllCurves = dict[Combination, Curves]


def case_curves(packed: Packed, plan: Plan) -> AllCurves:
    """Sum up the slices of a case, for each combination."""
    table = packed.table("curves")
    steps = check_thresholds(plan.thresholds)
    shape = len(plan.combinations), -1, len(steps)
    tp, fp = (lists(table, name).reshape(shape) for name in ("tp", "fp"))
    truth, pixels = (
        numbers(table, name).astype(np.int64).reshape(*shape[:2], 1) for name in ("truth_px", "pixels")
    )
    found = {}
    for n, combination in enumerate(plan.combinations):
        missed = truth[n] - tp[n]
        counts = PixelCounts(tp[n], fp[n], missed, pixels[n] - tp[n] - fp[n] - missed)
        found[combination] = Curves.of(Sweep(steps, counts))
    return found


def total_curves(maps: Path, names: Sequence[str], plan: Plan, progress: Progress = silent) -> AllCurves:
    """Add up the curves of cases in their order, one case in memory at a time.

    Parameters
    ----------
    maps:
        Folder of the first half's results.
    names:
        Cases, one at least, all of them with results.
    plan:
        What was computed.
    progress:
        Called a case.

    Raises
    ------
    OutputError
        If a case's results are not there, or damaged.
    """
    results, total = Results(maps), {}
    for done, name in enumerate(names):
        progress("Adding up threshold curves", done, len(names))
        packed = results.get(name)
        if packed is None:
            raise OutputError(f"The maps of {name} are gone; run the same command again.")
        own = case_curves(packed, plan)
        total = {key: total[key] + own[key] for key in total} or own
    return total


def choose_all(curves: AllCurves, plan: Plan) -> dict[Combination, Choice]:
    """Choose the threshold of each combination by the plan's metric.

    Raises
    ------
    OptionError
        If no slice of the split has truth.
    """
    return {key: choose(own, plan.metric, plan.over) for key, own in curves.items()}


def threshold_table(
    choices: dict[Combination, Choice], tuning: AllCurves, test: AllCurves, plan: Plan, split: str
) -> pa.Table:
    """A row a combination: the threshold, the metric there on the split it was chosen on, and on the test split.

    ``at_edge`` tells that a better threshold may lie beyond those tried; ``best_test`` is what the metric could have
    been, had the threshold been chosen on the test split: how much the choice has cost.
    """
    rows = []
    for (scale, method, stage), choice in choices.items():
        own = tuning[scale, method, stage]
        place = int(np.argmin(np.abs(own.thresholds - np.float32(choice.rule.value))))
        curve = test[scale, method, stage].curve(plan.metric, plan.over)
        best = float(np.nanmax(curve)) if not np.isnan(curve).all() else np.nan
        rows.append(
            {
                "scale": scale, "method": method, "stage": stage, "metric": plan.metric, "over": plan.over,
                "threshold": choice.rule.value, "at_edge": choice.at_edge, "split": split,
                "slices": own.slices, "positive_slices": own.positive, "value": choice.value,
                "test": float(curve[place]), "best_test": best,
            }
        )  # fmt: skip
    return table_of({name: np.array([row[name] for row in rows]) for name in rows[0]})


def curve_table(curves: dict[str, AllCurves]) -> pa.Table:
    """All curves, by split: a row a combination and threshold, a column a metric and mean.

    Columns ``<metric>`` are means over positive slices, ``<metric>_pixels`` of their pixels together,
    ``<metric>_all_pixels`` of the pixels of all slices.
    """
    parts: list[dict[str, np.ndarray]] = []
    for split, own in curves.items():
        for (scale, method, stage), curve in own.items():
            rows = len(curve.thresholds)
            names = {"split": split, "scale": scale, "method": method, "stage": stage}
            part = {name: np.full(rows, value) for name, value in names.items()}
            part["threshold"] = curve.thresholds.astype(np.float64)
            for over, ending in zip(MEANS, ("", "_pixels", "_all_pixels"), strict=True):
                part |= {f"{metric}{ending}": curve.curve(metric, over) for metric in PIXEL_METRICS}
            parts.append(part)
    return table_of({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
