"""Methods, stages and scales against each other, on patient means of positive slices (:mod:`~..evaluation.paired`).

A family is what one question tests, and Holm's correction holds within it: the methods at one stage; the stages of
each method; gated against library maps; refined against plain masks. Each metric has families of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.method_scores import Scores
from ..evaluation.paired import Comparisons, compare
from ..evaluation.ranks import Ranking, rank
from ..progress import Progress, silent
from .columns import table_of
from .figures import PatientMeans
from .plan import CHOSEN, REFINED, Plan

if TYPE_CHECKING:
    import pyarrow as pa

TESTED = ("dice", "iou", "box_dice", "pointing", "energy_share")
Family = tuple[str, Scores, list[tuple[str, str]] | None]


def name_of(method: str, stage: int) -> str:
    """What tables call a method at a stage."""
    return f"{method} @{stage}"


def families(
    blocks: dict[tuple[str, str], PatientMeans], plan: Plan, scale: str, metric: str
) -> Iterator[Family]:
    """Name, scores and pairs (None: all) of each family of one scale and metric."""
    block = blocks[scale, CHOSEN]
    which, values = block.which, block.values[metric]
    known = ~np.isnan(values).all(axis=1)
    patients, values = block.patients[known], values[known]
    if len(plan.methods) > 1:
        for stage in plan.stages:
            own = [n for n, (_, s) in enumerate(which) if s == stage]
            yield f"methods at stage {stage}", Scores(plan.methods, patients, values[:, own]), None
    names = tuple(name_of(*w) for w in which)
    if len(plan.stages) > 1:
        pairs = [
            (name_of(m, a), name_of(m, b))
            for m in plan.methods
            for n, a in enumerate(plan.stages)
            for b in plan.stages[n + 1 :]
        ]
        yield "stages of each method", Scores(names, patients, values), pairs
    if scale != plan.scales[0]:
        other = blocks[plan.scales[0], CHOSEN].values[metric][known]
        both = tuple(f"{n}, {s}" for s in (scale, plan.scales[0]) for n in names)
        pairs = [(f"{n}, {scale}", f"{n}, {plan.scales[0]}") for n in names]
        yield "scales", Scores(both, patients, np.hstack([values, other])), pairs
    refined = blocks.get((scale, REFINED))
    if refined is not None and metric not in ("pointing", "energy_share"):
        masks, place = refined.values[metric][known], refined.busiest
        pair = (f"{names[place]}, refined", f"{names[place]}, plain")
        yield (
            "refined masks",
            Scores(pair, patients, np.stack([masks[:, place], values[:, place]], 1)),
            [pair],
        )


def pair_table(
    blocks: dict[tuple[str, str], PatientMeans], plan: Plan, progress: Progress = silent
) -> pa.Table | None:
    """Every pair of every family, a row each; None if there is nothing to compare."""
    parts = []
    for scale in plan.scales:
        for metric in TESTED:
            for family, scores, pairs in families(blocks, plan, scale, metric):
                found = compare(scores, pairs, seed=plan.seed, progress=progress)
                parts.append(_pair_columns(scale, metric, family, found))
    return _joined(parts)


def rank_table(blocks: dict[tuple[str, str], PatientMeans], plan: Plan) -> pa.Table | None:
    """Mean ranks of the methods at each stage, and of all methods at all stages, a row each; None of one alone.

    ``groups``: letters; those that share one are not told apart. Friedman's test and the critical difference stand in
    every row of their family.
    """
    parts = []
    for scale in plan.scales:
        for metric in TESTED:
            block = blocks[scale, CHOSEN]
            values = block.values[metric]
            known = ~np.isnan(values).all(axis=1)
            names = tuple(name_of(*w) for w in block.which)
            whole = Scores(names, block.patients[known], values[known])
            asked = [(f, s) for f, s, pairs in families(blocks, plan, scale, metric) if pairs is None]
            if len(names) > 1:
                asked.append(("all methods and stages", whole))
            for family, scores in asked:
                parts.append(_rank_columns(scale, metric, family, rank(scores, seed=plan.seed)))
    return _joined(parts)


def _pair_columns(scale: str, metric: str, family: str, found: Comparisons) -> dict[str, np.ndarray]:
    pairs = found.pairs
    return _named(scale, metric, family, len(pairs)) | {
        "first": np.array([p.first for p in pairs]),
        "second": np.array([p.second for p in pairs]),
        "patients": np.array([p.median.patients for p in pairs]),
        "median_difference": np.array([p.median.value for p in pairs], float),
        "low": np.array([p.median.low for p in pairs], float),
        "high": np.array([p.median.high for p in pairs], float),
        "rank_biserial": np.array([p.rank_biserial for p in pairs], float),
        "larger": np.array([p.larger for p in pairs]),
        "equal": np.array([p.equal for p in pairs]),
        "smaller": np.array([p.smaller for p in pairs]),
        "p": np.array([p.p for p in pairs], float),
        "p_holm": np.array([p.adjusted for p in pairs], float),
    }


def _rank_columns(scale: str, metric: str, family: str, found: Ranking) -> dict[str, np.ndarray]:
    count = len(found.methods)
    letters = [row[-1] for row in found.cells()[1]]
    return _named(scale, metric, family, count) | {
        "name": np.array(found.methods),
        "mean_rank": np.array(found.ranks, float),
        "groups": np.array(letters),
        "value": np.array([e.value for e in found.averages], float),
        "low": np.array([e.low for e in found.averages], float),
        "high": np.array([e.high for e in found.averages], float),
        "patients": np.full(count, found.patients),
        "chi_square": np.full(count, float(found.chi_square)),
        "f": np.full(count, float(found.f)),
        "p": np.full(count, float(found.p)),
        "critical_difference": np.full(count, float(found.critical_difference)),
    }


def _named(scale: str, metric: str, family: str, rows: int) -> dict[str, np.ndarray]:
    return {
        "scale": np.full(rows, scale),
        "rule": np.full(rows, CHOSEN),
        "metric": np.full(rows, metric),
        "family": np.full(rows, family),
    }


def _joined(parts: list[dict[str, np.ndarray]]) -> pa.Table | None:
    if not parts:
        return None
    return table_of({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
