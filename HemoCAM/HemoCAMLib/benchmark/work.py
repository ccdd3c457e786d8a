"""First half of the work: each case through the network once, and what is kept of it.

Kept are the raw maps at the stages' own resolution, exact and small (16 x 16 cells a slab and method, say), beside
what the classifier said and the counts at every threshold. Thresholds are chosen from these counts; the second half
(:mod:`.measures`) then paints the same maps again instead of explaining the network again, which takes far longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.case import Case
from ..datasets.slice_table import CLASSES
from ..errors import OutputError
from ..explained import Explained, Sampled, explain_volume
from ..metrics.sweep import sweep
from ..models.manifest import Manifest
from ..sweep.attempt import heed
from ..sweep.packing import Packed
from ..sweep.results import Results
from ..volumes.headgrid import Cells
from ..volumes.volume import Volume
from .columns import of_case
from .model import model_of
from .percentiles import percentile_sweep
from .plan import CHOSEN, PERCENTILE, Plan
from .truth import Truth

if TYPE_CHECKING:
    import pyarrow as pa

CURVES = {CHOSEN: "curves", PERCENTILE: "percentiles"}  # table of the counts that a rule's threshold rests on


@dataclass(frozen=True)
class MapWork:
    """Explain a case by all methods at all stages; the ``work`` of a sweep.

    Tables: ``maps`` (a row a method and stage: ``shape`` and ``raw``, float32 little-endian, slab by slab; ``pitch``
    and ``first``, where its cells lie), ``outputs`` (a row a slab: ``logits``), ``predictions`` (a row a slice:
    ``slice`` as the data set numbers it, ``slab``, ``gate``, ``truth_px``, ``truth_mm2``, ``kind``; ``p_<class>``
    0..1 of each of the classes and ``truth_<class>`` 0, 1 or null), ``curves`` (a row a slice and combination:
    ``tp`` and ``fp`` at each of the plan's thresholds, and ``truth_px`` and ``pixels``, which give fn and tn),
    ``percentiles`` (the same at each of the plan's percentiles).

    Parameters
    ----------
    plan:
        What to compute.
    model:
        Folder of the bundle.
    """

    plan: Plan
    model: Path

    def __call__(self, case: Case) -> dict[str, pa.Table]:
        """Return the tables of a case."""
        plan, model = self.plan, model_of(self.plan, self.model)
        truth = Truth.of(case, plan)
        found = explain_volume(
            truth.loaded.ct, model.manifest, model.engine, plan.methods, plan.stages, plan.target, plan.gate,
            model.device, heed,
        )  # fmt: skip
        return {
            **stored(found),
            "predictions": _predictions(case, truth, found),
            **_curves(case, truth, found, plan),
        }


def stored(found: Explained) -> dict[str, pa.Table]:
    """Return the tables from which :func:`restored` makes the same again."""
    import pyarrow as pa

    rows = [
        {
            "method": method,
            "stage": stage,
            "pitch": found.cells[stage].pitch,
            "first": found.cells[stage].first,
            "shape": list(raw.shape),
            "raw": np.ascontiguousarray(raw, "<f4").tobytes(),
        }
        for (method, stage), raw in found.raw.items()
    ]
    kinds = [pa.string(), pa.int64(), pa.float64(), pa.float64(), pa.list_(pa.int64()), pa.large_binary()]
    maps = pa.Table.from_pylist(rows, pa.schema(list(zip(rows[0], kinds, strict=True))))
    logits = pa.array(found.logits.tolist(), pa.list_(pa.float32()))
    return {"maps": maps, "outputs": pa.table({"logits": logits})}


def restored(packed: Packed, ct: Volume, manifest: Manifest, plan: Plan) -> Explained:
    """Return what was found in a case, from its tables and its CT: the very same maps."""
    raw, cells = {}, {}
    for row in packed.table("maps").to_pylist():
        raw[row["method"], row["stage"]] = np.frombuffer(row["raw"], "<f4").reshape(row["shape"])
        cells[row["stage"]] = Cells(row["pitch"], row["first"])
    logits = np.array(packed.table("outputs")["logits"].to_pylist(), np.float32)
    return Explained(Sampled.of(ct, manifest), plan.target, plan.gate, logits, raw, cells)


@dataclass(frozen=True)
class MappedCase:
    """A case and what the first half kept of it; on its way to another process it takes that along.

    ``maps``: folder of the first half's results, or the content of the case's file.
    """

    case: Case
    maps: Path | bytes

    @property
    def name(self) -> str:
        """The case's."""
        return self.case.name

    def packed(self) -> Packed:
        """Return its tables; :class:`OutputError` if they are not there or damaged."""
        if isinstance(self.maps, bytes):
            return Packed(self.maps)
        found = Results(self.maps).get(self.name)
        if found is None:
            raise OutputError(f"The maps of {self.name} are gone; run the same command again.")
        return found

    def __reduce__(self) -> tuple:
        if isinstance(self.maps, bytes):
            return MappedCase, (self.case, self.maps)
        self.packed()  # a damaged file is known here, not on a worker
        return MappedCase, (self.case, Results(self.maps).path(self.name).read_bytes())


def _predictions(case: Case, truth: Truth, found: Explained) -> pa.Table:
    slabs, manifest = found.sampled.slabs, found.sampled.manifest
    said = slabs.paint(found.probabilities)
    own = {}
    for column, name in enumerate(manifest.classes):
        own[f"p_{name}"] = said[:, column].astype(np.float64)
    for name in manifest.classes:
        known = name in CLASSES
        labels = truth.loaded.slice_labels[:, CLASSES.index(name)] if known else np.full(len(said), np.nan)
        own[f"truth_{name}"] = labels.astype(np.float64)
    columns = {
        "slice": truth.loaded.slice_numbers,
        "slab": slabs.of_slice,
        "gate": slabs.paint(found.gate),
        "truth_px": truth.truth_px,
        "truth_mm2": truth.truth_px * truth.reference.pixel_mm2,
        "kind": truth.kinds,
        **own,
    }
    return of_case(case, columns)


def _curves(case: Case, truth: Truth, found: Explained, plan: Plan) -> dict[str, pa.Table]:
    import pyarrow as pa

    mask, slabs = truth.reference.mask, found.sampled.slabs.of_slice
    parts: dict[str, list[pa.Table]] = {name: [] for name in CURVES.values()}
    for scale, method, stage in plan.combinations:
        shown = found.shown(method, stage, scale, heed)
        swept = {
            CHOSEN: sweep(shown, mask, plan.thresholds),
            PERCENTILE: percentile_sweep(shown, mask, plan.percentiles, slabs),
        }
        for rule, name in CURVES.items():
            counts = swept[rule].counts
            columns = {
                "slice": truth.loaded.slice_numbers,
                "truth_px": counts.truth[:, 0],
                "pixels": np.full(len(mask), mask[0].size),
                "tp": counts.tp,
                "fp": counts.fp,
            }
            parts[name].append(of_case(case, columns, scale=scale, method=method, stage=stage))
    return {name: pa.concat_tables(tables) for name, tables in parts.items()}
