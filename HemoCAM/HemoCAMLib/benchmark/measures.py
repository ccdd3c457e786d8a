"""Second half of the work: every measure of a case's maps, at the thresholds that were chosen without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..explained import Explained
from ..metrics.case import CaseTables, measure_case, measure_masks
from ..metrics.rules import Fixed, Percentile, rule_named
from ..refinement.refiner import Refiner
from ..sweep.attempt import heed
from .columns import of_case
from .model import model_of
from .plan import CHOSEN, PERCENTILE, REFINED, Combination, Plan
from .truth import Truth
from .work import MappedCase, restored

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class MeasureWork:
    """Measure a case; the ``work`` of a sweep.

    Tables: ``slices`` and ``volumes``, as :func:`~..metrics.case.measure_case` has them, a row for each combination
    and rule and, in ``slices``, each slice (``slice`` as the data set numbers them; ``kind`` as in
    :class:`~.truth.Truth`). ``rule`` is ``chosen``, one of the plan's, or ``refined``; ``threshold`` is the value
    from which a slice's map is its mask.

    Parameters
    ----------
    plan, model:
        As for :class:`~.work.MapWork`.
    thresholds:
        Of each combination, in the plan's order.
    percentiles:
        Of each combination, too; empty without the rule ``percentile``.
    refiner:
        As JSON (:meth:`~..refinement.refiner.Refiner.to_json`), or None.
    refined:
        Method and stage whose gated map it is for.
    """

    plan: Plan
    model: Path
    thresholds: tuple[float, ...]
    percentiles: tuple[float, ...] = ()
    refiner: str | None = None
    refined: tuple[str, int] | None = None

    def __call__(self, case: MappedCase) -> dict[str, pa.Table]:
        """Return the tables of a case."""
        import pyarrow as pa

        plan, manifest = self.plan, model_of(self.plan, self.model).manifest
        truth = Truth.of(case.case, plan)
        found = restored(case.packed(), truth.loaded.ct, manifest, plan)
        others = [rule_named(name) for name in plan.rules if name != PERCENTILE]
        percents = self.percentiles or (None,) * len(plan.combinations)
        parts: dict[str, list[pa.Table]] = {"slices": [], "volumes": []}
        for combination, threshold, percent in zip(plan.combinations, self.thresholds, percents, strict=True):
            scale, method, stage = combination
            shown = found.shown(method, stage, scale, heed)
            # as a rule of its own: a fixed one of the same value may be among the others
            measured = [(CHOSEN, measure_case(truth.reference, shown, [Fixed(threshold)], heed))]
            if percent is not None:
                own = measure_case(truth.reference, shown, [Percentile(percent)], heed)
                measured.append((PERCENTILE, own))
            if others:
                measured.append((None, measure_case(truth.reference, shown, others, heed)))
            if self.refiner is not None and (scale, method, stage) == ("gated", *self.refined):
                measured.append((REFINED, self._refined(truth, found, shown)))
            for name, tables in measured:
                own = _tables(case, truth, combination, name, tables)
                for table, rows in own.items():
                    parts[table].append(rows)
        return {name: pa.concat_tables(tables) for name, tables in parts.items()}

    def _refined(self, truth: Truth, found: Explained, shown: np.ndarray) -> CaseTables:
        order = found.sampled.order
        mask = (
            Refiner.from_json(self.refiner).refine(truth.loaded.ct, order.restore(shown), progress=heed).mask
        )
        return measure_masks(truth.reference, shown, {REFINED: np.ascontiguousarray(order.view(mask))})


def _tables(
    case: MappedCase, truth: Truth, combination: Combination, rule: str | None, tables: CaseTables
) -> dict[str, pa.Table]:
    """One combination's tables; ``rule`` is what the rule is called, None for its own name."""
    scale, method, stage = combination
    found = {}
    for name, columns in (("slices", dict(tables.slices)), ("volumes", dict(tables.volumes))):
        rows = len(columns["rule"])
        if rule is not None:
            columns["rule"] = np.full(rows, rule)
        if name == "slices":
            columns["slice"] = truth.loaded.slice_numbers[columns["slice"]]
            columns["kind"] = np.tile(truth.kinds, rows // len(truth.kinds))
        found[name] = of_case(case.case, columns, scale=scale, method=method, stage=stage)
    return found
