"""Whether maps are faithful to the model, on a few bleeding slabs of each test case, by all methods at all stages.

Deletion and insertion areas, ROAD, and the model-randomisation check; sources and definitions in
:mod:`~..faithfulness`. A map of random numbers, as coarse as each stage's, goes along as the method ``random``:
what a map gets that knows nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..cams.backends import make_engine
from ..cams.target import Target
from ..explained import Explained
from ..faithfulness.baselines import baseline
from ..faithfulness.curves import curves
from ..faithfulness.forward import random_maps
from ..faithfulness.randomisation import cascade
from ..faithfulness.road import road
from ..sweep.attempt import heed
from ..volumes.headgrid import HeadGrid
from .columns import numbers, of_case
from .model import Model, model_of
from .plan import Plan
from .truth import Truth
from .work import MappedCase, restored

if TYPE_CHECKING:
    import pyarrow as pa

RANDOM = "random"
# of ROAD, in percent of pixels kept: those below 50 cost most, and remove so much that little is left to tell
ROAD_KEPT = (50, 70, 90)


@dataclass(frozen=True)
class FaithfulWork:
    """Test a case's maps against the model; the ``work`` of a sweep.

    Tables, absent where the case does not bleed: ``faithfulness`` (a row a slab, method and stage: ``slice``, the
    number of the slab's middle slice; ``probability`` of the target; ``deletion`` and ``insertion``, areas in
    probability; ``road``, combined, in probability) and ``randomisation`` (a row a slab, method, stage and depth to
    which weights are lost: ``spearman`` and ``pearson`` of the raw maps before and after).

    ``plan`` and ``model`` are as for :class:`~.work.MapWork`.
    """

    plan: Plan
    model: Path

    def __call__(self, case: MappedCase) -> dict[str, pa.Table]:
        """Return the tables of a case."""
        plan, model = self.plan, model_of(self.plan, self.model)
        truth = Truth.of(case.case, plan)
        found = restored(case.packed(), truth.loaded.ct, model.manifest, plan)
        slabs = some_slabs(case.name, truth, found, plan)
        if not len(slabs):
            return {}
        numbers = truth.loaded.slice_numbers
        middle = [numbers[sum(found.sampled.slab_slices()[s]) // 2] for s in slabs]
        first = {"slab": slabs, "slice": np.array(middle)}
        return {
            "faithfulness": _faithfulness(case, found, model, plan, slabs, first),
            "randomisation": _randomisation(case, found, model, plan, slabs, first),
        }


def some_cases(cases: Sequence[MappedCase], plan: Plan) -> list[MappedCase]:
    """Draw up to ``plan.faithfulness_cases`` of the cases that bleed (0: all cases); in the order of the list."""
    if not plan.faithfulness_cases:
        return list(cases)
    drawn: list[int] = []
    for place in np.random.default_rng([plan.seed, len(cases)]).permutation(len(cases)).tolist():
        if numbers(cases[place].packed().table("predictions"), "truth_px").any():
            drawn.append(place)
        if len(drawn) == plan.faithfulness_cases:
            break
    return [cases[place] for place in sorted(drawn)]


def some_slabs(name: str, truth: Truth, found: Explained, plan: Plan) -> np.ndarray:
    """Draw up to ``plan.faithfulness`` of the slabs with the target's blood: sorted indices, int64."""
    blood = truth.truth_px
    bleeding = [n for n, (a, b) in enumerate(found.sampled.slab_slices()) if blood[a:b].any()]
    rng = np.random.default_rng([plan.seed, zlib.crc32(name.encode("utf-8", "surrogatepass"))])
    drawn = rng.permutation(np.array(bleeding, np.int64))[: plan.faithfulness]
    return np.sort(drawn)


def _faithfulness(
    case: MappedCase, found: Explained, model: Model, plan: Plan, slabs: np.ndarray, first: dict
) -> pa.Table:
    import pyarrow as pa
    import torch

    manifest = model.manifest
    index = manifest.class_index(plan.target)
    calibration = manifest.calibration[plan.target][:2]
    batch = torch.from_numpy(found.sampled.input()[slabs])
    empty = baseline("tissue", batch, manifest)
    own = HeadGrid.alone(manifest.size, manifest.field_of_view_mm)
    parts = []
    for stage in plan.stages:
        for method in (*plan.methods, RANDOM):
            if method == RANDOM:
                shape = found.raw[plan.methods[0], stage].shape
                raw = random_maps(shape, [plan.seed, zlib.crc32(case.name.encode("utf-8", "surrogatepass"))])
            else:
                raw = found.raw[method, stage]
            maps = own.paint(raw[slabs], found.cells[stage])
            way = curves(model.forward, batch, maps, Target(index), empty, seed=plan.seed, progress=heed)
            way = way.probabilities(calibration)
            removed = road(
                model.forward, batch, maps, Target(index), ROAD_KEPT, seed=plan.seed, progress=heed
            )
            removed = removed.probabilities(calibration)
            columns = {
                **first,
                "probability": removed.original.astype(np.float64),
                "deletion": way.deletion_area.astype(np.float64),
                "insertion": way.insertion_area.astype(np.float64),
                "road": removed.combined.astype(np.float64),
            }
            parts.append(of_case(case.case, columns, method=method, stage=stage))
    return pa.concat_tables(parts)


def _randomisation(
    case: MappedCase, found: Explained, model: Model, plan: Plan, slabs: np.ndarray, first: dict
) -> pa.Table:
    import pyarrow as pa
    import torch

    batch = torch.from_numpy(found.sampled.input()[slabs]).to(model.device)
    target = Target(model.manifest.class_index(plan.target))
    lost = cascade(
        model.network, batch, target, plan.methods, plan.stages, seed=plan.seed,
        make_engine=lambda network: make_engine(network, plan.engine), progress=heed,
    )  # fmt: skip
    parts = []
    for stage in plan.stages:
        for method in plan.methods:
            for place, depth in enumerate(lost.depths):
                columns = {
                    **first,
                    "depth": np.full(len(slabs), depth),
                    "spearman": lost.spearman[method, stage][0, place],
                    "pearson": lost.pearson[method, stage][0, place],
                }
                parts.append(of_case(case.case, columns, method=method, stage=stage))
    return pa.concat_tables(parts)
