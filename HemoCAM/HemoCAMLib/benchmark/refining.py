"""The refinement within a benchmark: fitted on the training split, its thresholds chosen on the tuning split.

Both are sweeps of their own, so that a stopped run goes on; what cases give is added up in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..refinement.cases import RefinementCase
from ..refinement.refiner import Refiner
from ..refinement.statistics import Statistics
from ..refinement.thresholds import Sweep, hysteresis_dice
from ..sweep.attempt import heed
from ..sweep.results import Results
from .model import model_of
from .plan import CHOSEN, Plan
from .thresholds import Best, Swept
from .truth import Truth
from .work import MappedCase, restored

if TYPE_CHECKING:
    import pyarrow as pa


def best_gated(choices: Mapping[Swept, Best]) -> tuple[str, int]:
    """Method and stage of the gated map whose fixed threshold is best on the tuning split; the first of equals."""
    gated = {key: choice.value for key, choice in choices.items() if key[:2] == (CHOSEN, "gated")}
    return max(gated, key=gated.__getitem__)[2:]


@dataclass(frozen=True)
class CountWork:
    """Count a training case for the fit; the ``work`` of a sweep.

    Its table ``statistics`` has one row: the arrays of :class:`~..refinement.statistics.Statistics`, flattened.

    ``refined``: method and stage whose gated map is refined; ``plan`` and ``model`` as for :class:`~.work.MapWork`.
    """

    plan: Plan
    model: Path
    refined: tuple[str, int]

    def __call__(self, case: MappedCase) -> dict[str, pa.Table]:
        """Return the table of a case."""
        own = Statistics()
        own.add(_case(case, self.plan, self.model, self.refined))
        return {"statistics": _row({f.name: getattr(own, f.name) for f in fields(own)})}


@dataclass(frozen=True)
class TuneWork:
    """Dice of a tuning case at every pair of hysteresis thresholds; the ``work`` of a sweep.

    Its table ``tuning`` has one row: ``dice``, flattened, and ``cases``, 0 where the case does not bleed.
    ``refiner`` is JSON; the others are as for :class:`CountWork`.
    """

    plan: Plan
    model: Path
    refined: tuple[str, int]
    refiner: str

    def __call__(self, case: MappedCase) -> dict[str, pa.Table]:
        """Return the table of a case."""
        own = _case(case, self.plan, self.model, self.refined)
        dice, cases = np.zeros_like(Sweep().total), 0
        if own.blood.any():
            posterior = Refiner.from_json(self.refiner).posterior(own.ct, own.heatmap, progress=heed)
            dice, cases = hysteresis_dice(posterior, own.blood), 1
        return {"tuning": _row({"dice": dice, "cases": cases})}


def fitted(folder: Path, names: Sequence[str]) -> Refiner:
    """Fit on what :class:`CountWork` counted; :class:`InputError` if it is too little."""
    whole = Statistics()
    for row in _rows(folder, "statistics", names):
        for field in fields(whole):
            own = getattr(whole, field.name)
            if isinstance(own, np.ndarray):
                own += np.reshape(row[field.name], own.shape)
            else:
                setattr(whole, field.name, own + int(row[field.name][0]))
    # as `Statistics.of` would say it, which sees the cases themselves
    if not all(t.sum() > 0 for t in (whole.blood, whole.rest, whole.blood_prior, whole.rest_prior)):
        raise InputError(
            f"The refinement cannot be fitted on the {whole.cases} cases of the training split: none has blood that "
            "the gated map shows; choose other splits, or leave --refine out."
        )
    return Refiner.of(whole)


def tuned(refiner: Refiner, folder: Path, names: Sequence[str]) -> Refiner:
    """Return the refiner with the thresholds that are best on the cases of :class:`TuneWork`."""
    swept = Sweep()
    for row in _rows(folder, "tuning", names):
        swept.total += np.reshape(row["dice"], swept.total.shape)
        swept.cases += int(row["cases"][0])
    return refiner.with_thresholds(swept)


def _case(case: MappedCase, plan: Plan, model: Path, refined: tuple[str, int]) -> RefinementCase:
    truth = Truth.of(case.case, plan)
    found = restored(case.packed(), truth.loaded.ct, model_of(plan, model).manifest, plan)
    order = found.sampled.order
    heat = order.restore(found.shown(*refined, "gated", heed))
    return RefinementCase(truth.loaded.ct, heat, order.restore(truth.reference.mask))


def _row(values: dict[str, object]) -> pa.Table:
    import pyarrow as pa

    kind = pa.list_(pa.float64())
    return pa.table(
        {name: pa.array([np.ravel(v).astype(float).tolist()], kind) for name, v in values.items()}
    )


def _rows(folder: Path, table: str, names: Sequence[str]):
    results = Results(folder)
    for name in names:
        packed = results.get(name)
        if packed is not None:
            yield packed.table(table).to_pylist()[0]
