"""From merged rows to the tables of the paper: figures with intervals, comparisons, ranks, and what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.bootstrap import Bootstrap, Estimate
from ..models.manifest import Manifest
from ..progress import Progress, silent
from .classifying import classification_table
from .columns import numbers, table_of, texts, write
from .comparisons import TESTED, pair_table, rank_table
from .figures import ALL, Block, Figure, PatientMeans, figure_table
from .plan import CHOSEN, REFINED, Plan

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "tables"


@dataclass(frozen=True)
class Merged:
    """The merged tables of the test split.

    Parameters
    ----------
    folder:
        Holds ``slices.parquet``, ``volumes.parquet``, ``predictions.parquet`` and, where they were asked for,
        ``faithfulness.parquet`` and ``randomisation.parquet``.
    patients:
        Those of the test split that have results.
    """

    folder: Path
    patients: tuple[str, ...]

    def path(self, name: str) -> Path:
        """File of a merged table."""
        return self.folder / f"{name}.parquet"

    def read(self, name: str) -> pa.Table | None:
        """Return a merged table, None if it was not asked for."""
        import pyarrow.parquet as pq

        return pq.read_table(self.path(name)) if self.path(name).is_file() else None


def summarise(
    merged: Merged, plan: Plan, manifest: Manifest, progress: Progress = silent
) -> dict[str, pa.Table]:
    """Compute every table of the test split.

    Returns
    -------
    dict
        ``pixels``, ``boxes``, ``pointing``, ``groups`` (by kind and size, slices), ``cases`` (whole scans, also by
        kind and size): figures, with the columns :data:`~.figures.COLUMNS`. ``pairs`` and ``ranks``
        (:mod:`.comparisons`), unless there is one map alone. ``classification`` (:mod:`.classifying`).
        ``faithfulness`` and ``randomisation`` where they were asked for.
    """
    who = sorted(merged.patients)
    people = Bootstrap(np.arange(len(who)), seed=plan.seed)
    keys = [(scale, rule) for scale in plan.scales for rule in (CHOSEN, *plan.rules)]
    if plan.refine:
        keys.append(("gated", REFINED))
    figures: dict[str, list[Figure]] = {
        name: [] for name in ("pixels", "boxes", "pointing", "groups", "cases")
    }
    compared: dict[tuple[str, str], PatientMeans] = {}
    for done, (scale, rule) in enumerate(keys):
        progress("Computing figures", done, len(keys))
        block = Block.slices(merged.path("slices"), plan, scale, rule, people, who)
        volume = Block.volumes(merged.path("volumes"), plan, scale, rule, people, who)
        figures["pixels"] += block.pixels()
        figures["boxes"] += block.boxes()
        figures["pointing"] += block.pointing() if rule == CHOSEN else ()
        figures["groups"] += block.groups()
        figures["cases"] += volume.cases()
        if rule in (CHOSEN, REFINED):
            compared[scale, rule] = block.patient_means(TESTED)
    tables = {name: figure_table(own) for name, own in figures.items()}
    tables["pairs"] = pair_table(compared, plan, progress)
    tables["ranks"] = rank_table(compared, plan)
    predictions = merged.read("predictions")
    tables["classification"] = classification_table(predictions, manifest, plan)
    for name, key, values in (
        ("faithfulness", "", ("deletion", "insertion", "road")),
        ("randomisation", "depth", ("spearman", "abs_spearman", "pearson")),
    ):
        rows = merged.read(name)
        if rows is not None and name == "randomisation":  # a random head may turn a map's sign
            rows = rows.append_column("abs_spearman", [np.abs(numbers(rows, "spearman"))])
        tables[name] = None if rows is None else _means(rows, key, values, plan)
    return {name: table for name, table in tables.items() if table is not None}


def write_tables(
    tables: dict[str, pa.Table], folder: Path, say: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Write tables to ``folder/tables`` as CSV and Parquet; tables of an earlier run that are gone now are removed.

    Returns the names of the files, relative to ``folder``, sorted.
    """
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    for name, table in tables.items():
        say(name)
        write(table, place / f"{name}.csv")
    for path in place.iterdir():
        if path.suffix in (".csv", ".parquet") and path.stem not in tables:
            path.unlink()
    return sorted(f"{FOLDER}/{name}.{ending}" for name in tables for ending in ("csv", "parquet"))


def pivot(
    figures: pa.Table,
    metric: str,
    scale: str,
    rule: str = CHOSEN,
    over: str = "positive slices",
    group: str = ALL,
    digits: int = 3,
) -> tuple[list[str], list[list[str]]]:
    """Lay out one metric as the paper does: a row a method, a column a stage, each with its interval.

    Parameters
    ----------
    figures:
        A table of :data:`~.figures.COLUMNS`.
    metric, scale, rule, over, group:
        Which figures; pointing and energy have the rule ``""``.
    digits:
        After the point.

    Returns
    -------
    tuple
        Column names and rows as text; no rows if there is no such figure.
    """
    asked = {"metric": metric, "scale": scale, "rule": rule, "over": over, "group": group}
    rows = [row for row in figures.to_pylist() if all(row[k] == v for k, v in asked.items())]
    methods, stages = (list(dict.fromkeys(row[key] for row in rows)) for key in ("method", "stage"))
    cells = {(row["method"], row["stage"]): _estimate(row).text(digits) for row in rows}
    names = ["method", *(f"stage {stage}" for stage in stages)]
    return names, [[m, *(cells.get((m, s), "-") for s in stages)] for m in methods]


def _estimate(row: dict) -> Estimate:
    value, low, high = (np.nan if row[k] is None else row[k] for k in ("value", "low", "high"))
    return Estimate(value, low, high, row["cases"], row["patients"])


def _means(rows: pa.Table, key: str, values: Sequence[str], plan: Plan) -> pa.Table:
    """Means of some columns by method, stage and ``key``, with intervals by patient."""
    people = Bootstrap(texts(rows, "patient"), seed=plan.seed)
    method, stage = texts(rows, "method"), numbers(rows, "stage").astype(int)
    groups = texts(rows, key) if key else np.full(len(method), "")
    found = []
    for own in dict.fromkeys(zip(method.tolist(), stage.tolist(), groups.tolist(), strict=True)):
        inside = (method == own[0]) & (stage == own[1]) & (groups == own[2])
        for name in values:
            column = numbers(rows, name)
            estimate = people.mean(column, inside & ~np.isnan(column))
            head = {"method": own[0], "stage": own[1], **({key: own[2]} if key else {}), "metric": name}
            figures = {n: getattr(estimate, n) for n in ("value", "low", "high", "cases", "patients")}
            found.append(head | figures)
    return table_of({name: np.array([row[name] for row in found]) for name in found[0]})
