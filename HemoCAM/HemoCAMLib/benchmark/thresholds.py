"""The threshold of each method, stage and scale: chosen on the tuning split, never on the test split.

Of two rules: ``chosen``, one fixed threshold for all slices, and ``percentile``, one percentile, whose threshold is
each slice's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OutputError
from ..metrics.curves import MEANS, Curves, choose
from ..metrics.pixels import PIXEL_METRICS, PixelCounts
from ..metrics.sweep import Sweep, check_thresholds
from ..progress import Progress, silent
from ..sweep.packing import Packed
from ..sweep.results import Results
from .columns import lists, numbers, table_of
from .plan import CHOSEN, PERCENTILE, Plan
from .work import CURVES

if TYPE_CHECKING:
    import pyarrow as pa

Swept = tuple[str, str, str, int]  # rule, scale, method, stage
AllCurves = dict[Swept, Curves]


@dataclass(frozen=True)
class Best:
    """The best of the thresholds, or percentiles, that were tried.

    Parameters
    ----------
    threshold:
        It.
    value:
        What the metric is there, on the split that it was chosen on.
    at_edge:
        Whether it is the first or the last: a better one may lie beyond.
    """

    threshold: float
    value: float
    at_edge: bool


def swept_rules(plan: Plan) -> dict[str, np.ndarray]:
    """The rules whose threshold is chosen, and what is tried for each, as float32."""
    found = {CHOSEN: check_thresholds(plan.thresholds)}
    if PERCENTILE in plan.rules:
        found[PERCENTILE] = np.array(plan.percentiles, np.float32)
    return found


def case_curves(packed: Packed, plan: Plan) -> AllCurves:
    """Sum up the slices of a case, for each rule and combination."""
    found = {}
    for rule, steps in swept_rules(plan).items():
        table = packed.table(CURVES[rule])
        shape = len(plan.combinations), -1, len(steps)
        tp, fp = (lists(table, name).reshape(shape) for name in ("tp", "fp"))
        truth, pixels = (
            numbers(table, name).astype(np.int64).reshape(*shape[:2], 1) for name in ("truth_px", "pixels")
        )
        for n, combination in enumerate(plan.combinations):
            missed = truth[n] - tp[n]
            counts = PixelCounts(tp[n], fp[n], missed, pixels[n] - tp[n] - fp[n] - missed)
            found[rule, *combination] = Curves.of(Sweep(steps, counts))
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


def choose_all(curves: AllCurves, plan: Plan) -> dict[Swept, Best]:
    """Choose the threshold, or percentile, of each rule and combination by the plan's metric.

    Raises
    ------
    OptionError
        If no slice of the split has truth.
    """
    found = {}
    for key, own in curves.items():
        if key[0] == CHOSEN:
            choice = choose(own, plan.metric, plan.over)
            found[key] = Best(choice.rule.value, choice.value, choice.at_edge)
        else:
            values = own.curve(plan.metric, plan.over)
            best = int(np.nanargmax(values))
            found[key] = Best(plan.percentiles[best], float(values[best]), best in (0, len(values) - 1))
    return found


def chosen(choices: dict[Swept, Best], rule: str) -> tuple[float, ...]:
    """What was chosen for a rule, in the order of the plan's combinations; empty if the rule is not asked for."""
    return tuple(best.threshold for key, best in choices.items() if key[0] == rule)


def threshold_table(
    choices: dict[Swept, Best], tuning: AllCurves, test: AllCurves, plan: Plan, split: str
) -> pa.Table:
    """A row a rule and combination: the threshold, the metric there on the split it was chosen on, and on the test.

    ``threshold`` is a percentile where ``rule`` is ``percentile``. ``at_edge`` tells that a better one may lie beyond
    those tried; ``best_test`` is what the metric could have been, had the threshold been chosen on the test split:
    how much the choice has cost.
    """
    rows = []
    for key, choice in choices.items():
        own, (rule, scale, method, stage) = tuning[key], key
        place = int(np.argmin(np.abs(own.thresholds - np.float32(choice.threshold))))
        curve = test[key].curve(plan.metric, plan.over)
        best = float(np.nanmax(curve)) if not np.isnan(curve).all() else np.nan
        rows.append(
            {
                "scale": scale, "rule": rule, "method": method, "stage": stage, "metric": plan.metric,
                "over": plan.over, "threshold": choice.threshold, "at_edge": choice.at_edge, "split": split,
                "slices": own.slices, "positive_slices": own.positive, "value": choice.value,
                "test": float(curve[place]), "best_test": best,
            }
        )  # fmt: skip
    return table_of({name: np.array([row[name] for row in rows]) for name in rows[0]})


def curve_table(curves: dict[str, AllCurves]) -> pa.Table:
    """All curves, by split: a row a rule, combination and threshold (or percentile), a column a metric and mean.

    Columns ``<metric>`` are means over positive slices, ``<metric>_pixels`` of their pixels together,
    ``<metric>_all_pixels`` of the pixels of all slices.
    """
    parts: list[dict[str, np.ndarray]] = []
    for split, own in curves.items():
        for (rule, scale, method, stage), curve in own.items():
            rows = len(curve.thresholds)
            names = {"split": split, "scale": scale, "rule": rule, "method": method, "stage": stage}
            part = {name: np.full(rows, value) for name, value in names.items()}
            part["threshold"] = curve.thresholds.astype(np.float64)
            for over, ending in zip(MEANS, ("", "_pixels", "_all_pixels"), strict=True):
                part |= {f"{metric}{ending}": curve.curve(metric, over) for metric in PIXEL_METRICS}
            parts.append(part)
    return table_of({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
