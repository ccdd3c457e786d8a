"""From millions of rows to sums a patient, block by block: all that means with intervals by patient need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.bootstrap import FEWEST, Bootstrap, Estimate
from ..evaluation.figures import AREA_MM2, VOLUME_ML, classes
from .columns import numbers, texts

if TYPE_CHECKING:
    import pyarrow as pa

_KEYS = ("patient", "method", "stage", "positive", "kind", "size")
# what a size is, by its column, and where classes of it begin
SIZES = {"truth_mm2": (AREA_MM2, "mm2"), "truth_ml": (VOLUME_ML, "ml")}


def size_labels(values: np.ndarray, column: str) -> np.ndarray:
    """Name the size class of each value above 0; empty for 0 and NaN."""
    limits, unit = SIZES[column]
    labels = np.full(len(values), "", dtype="U40")
    for label, inside in classes(values, limits, unit):
        labels[inside & (values > 0)] = label
    return labels


def size_names(column: str) -> list[str]:
    """All size classes, from small to large."""
    limits, unit = SIZES[column]
    return [label for label, _ in classes(np.zeros(0), limits, unit)]


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of columns, a row for each patient, method, stage, and group of slices (or cases).

    Parameters
    ----------
    patients:
        All of them, sorted, (P,).
    which:
        (method, stage) in the order of the tables, K of them.
    own, place:
        Patient and (method, stage) of each row, as indices.
    keys:
        Of each row: ``positive`` (bool), ``kind``, ``size``.
    values:
        By column, ``<name>`` its sum and ``<name>/n`` the number of its values that are defined; ``rows``.
    """

    patients: np.ndarray
    which: list[tuple[str, int]]
    own: np.ndarray
    place: np.ndarray
    keys: dict[str, np.ndarray]
    values: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        path: Path,
        where: dict[str, str],
        columns: Sequence[str],
        which: list[tuple[str, int]],
        patients: Sequence[str],
        size: str = "truth_mm2",
    ) -> Sums:
        """Add up a merged table.

        Parameters
        ----------
        path:
            ``.parquet`` of slices or volumes.
        where:
            Rows that count, by value of a column: ``scale`` and ``rule``.
        columns:
            What to add up.
        which, patients:
            Methods and stages, and everybody in the split, whether or not there is a row of theirs.
        size:
            Column of the size of the hemorrhage, of :data:`SIZES`.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        wanted = [
            *dict.fromkeys([*columns, "patient", "method", "stage", "kind", "truth_px", "tp", "fp", size])
        ]
        chosen = None
        for name, value in where.items():
            one = pc.field(name) == value
            chosen = one if chosen is None else chosen & one
        parts = []
        scanner = ds.dataset(path, format="parquet").scanner(
            wanted, chosen, batch_readahead=1, fragment_readahead=1, use_threads=False
        )
        for batch in scanner.to_batches():
            if batch.num_rows:
                parts.append(_collapsed(pa.Table.from_batches([batch]), columns, size))
        people = np.array(sorted(patients), dtype=str)
        if not parts:
            none = np.zeros(0, np.int64)
            keys = {"positive": none.astype(bool), "kind": none.astype(str), "size": none.astype(str)}
            names = [*columns, *(f"{c}/n" for c in columns), "rows", "quiet"]
            return cls(people, which, none, none, keys, dict.fromkeys(names, none.astype(float)))
        table = pa.concat_tables(parts)
        index = {key: n for n, key in enumerate(which)}
        pairs = zip(table["method"].to_pylist(), table["stage"].to_pylist(), strict=True)
        return cls(
            people,
            which,
            np.searchsorted(people, texts(table, "patient")),
            np.array([index[pair] for pair in pairs], np.int64),
            {
                "positive": np.array(table["positive"].to_pylist(), bool),
                "kind": texts(table, "kind"),
                "size": texts(table, "size"),
            },
            # the sum of nothing but nulls is null
            {n: np.nan_to_num(numbers(table, n)) for n in table.column_names if n not in _KEYS},
        )

    def total(self, name: str, rows: np.ndarray | None = None) -> np.ndarray:
        """Sum of a column a patient, method and stage, over some rows (bool; all by default): (P, K)."""
        chosen = slice(None) if rows is None else rows
        out = np.zeros((len(self.patients), len(self.which)))
        np.add.at(out, (self.own[chosen], self.place[chosen]), self.values[name][chosen])
        return out

    def mean(self, people: Bootstrap, name: str, rows: np.ndarray | None = None) -> list[Estimate]:
        """Mean of a column over the rows in which it is defined, for each method and stage."""
        return ratios(people, self.total(name, rows), self.total(f"{name}/n", rows))


def ratios(
    people: Bootstrap, part: np.ndarray, whole: np.ndarray, cases: np.ndarray | None = None
) -> list[Estimate]:
    """Ratios of two sums over patients, with intervals by patient.

    Parameters
    ----------
    people:
        Draws of the patients, one case each.
    part, whole:
        (P, K).
    cases:
        What ``whole`` counts, if it is not cases itself, (P, K).

    Returns
    -------
    list of Estimate
        K of them; undefined where ``whole`` adds up to 0.
    """

    def figure(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (weights @ part) / (weights @ whole)

    return estimates(people, figure, whole if cases is None else cases)


def estimates(people: Bootstrap, figure, cases: np.ndarray) -> list[Estimate]:  # noqa: ANN001
    """Estimates of K figures of weights of the patients.

    Parameters
    ----------
    people:
        Draws of the patients, one case each.
    figure:
        From weights (draws, P) to figures (draws, K); NaN where one is not defined.
    cases:
        On how many cases of each patient they rest, (P, K); patients without any do not count.
    """
    count = len(people.patient)
    values, drawn = figure(np.ones((1, count)))[0], figure(people.weights)
    found = []
    for n, value in enumerate(values):
        patients, number = int(np.count_nonzero(cases[:, n])), round(float(cases[:, n].sum()))
        own = drawn[:, n][np.isfinite(drawn[:, n])]
        low = high = np.nan
        if len(own) and patients >= FEWEST and np.isfinite(value):
            low, high = np.percentile(own, (2.5, 97.5))
        found.append(Estimate(float(value), float(low), float(high), number, patients))
    return found


def _collapsed(table: pa.Table, columns: Sequence[str], size: str) -> pa.Table:
    """Sums of one block by all of the keys."""
    truth, shown = numbers(table, "truth_px"), numbers(table, "tp") + numbers(table, "fp")
    table = table.append_column("positive", [truth > 0])
    table = table.append_column("size", [size_labels(numbers(table, size), size).tolist()])
    table = table.append_column("quiet", [((truth == 0) & (shown == 0)).astype(np.float64)])
    sums = [
        *((c, "sum") for c in columns),
        *((c, "count") for c in columns),
        ("quiet", "sum"),
        ("quiet", "count"),
    ]
    found = table.group_by(list(_KEYS), use_threads=False).aggregate(sums)
    names = {f"{c}_sum": c for c in (*columns, "quiet")} | {f"{c}_count": f"{c}/n" for c in columns}
    names["quiet_count"] = "rows"
    found = found.rename_columns([names.get(name, name) for name in found.column_names])
    return found.select(sorted(found.column_names))
