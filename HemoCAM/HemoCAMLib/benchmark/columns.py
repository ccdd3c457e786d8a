"""Arrow tables from numpy columns, always alike: NaN is null, texts are strings, a case's name comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.case import Case
from ..sweep.packing import PARQUET
from ..sweep.results import whole_file

if TYPE_CHECKING:
    import pyarrow as pa


def arrow(values: np.ndarray | Sequence) -> pa.Array:
    """Return a column: int64, float64 (NaN as null), bool, or string; (n, T) becomes lists of T int32."""
    import pyarrow as pa

    values = np.asarray(values)
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.int32()), values.shape[1])
    kinds = {"i": pa.int64(), "u": pa.int64(), "f": pa.float64(), "b": pa.bool_(), "U": pa.string()}
    if values.dtype.kind not in kinds:
        return pa.array(values.tolist(), pa.string())
    return pa.array(values, kinds[values.dtype.kind], from_pandas=values.dtype.kind == "f")


def table_of(columns: Mapping[str, np.ndarray | Sequence]) -> pa.Table:
    """Return a table of columns of one length."""
    import pyarrow as pa

    return pa.table({name: arrow(values) for name, values in columns.items()})


def of_case(case: Case, columns: Mapping[str, np.ndarray | Sequence], **constant: str | int) -> pa.Table:
    """Return a table of a case: its name and patient, what is the same in all rows, then the columns."""
    rows = len(next(iter(columns.values())))
    first = {"case": case.name, "patient": case.patient, **constant}
    return table_of({name: np.full(rows, value) for name, value in first.items()} | dict(columns))


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return a numeric column as float64, null as NaN."""
    import pyarrow as pa

    return table[name].cast(pa.float64()).to_numpy().astype(np.float64)


def texts(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of texts as an array of str."""
    return np.array(table[name].to_pylist(), dtype=str)


def lists(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of lists of one length T as int64, (rows, T)."""
    column = table[name].combine_chunks()
    return np.asarray(column.flatten()).astype(np.int64).reshape(len(column), column.type.list_size)


def rounded(table: pa.Table, digits: int = 12) -> pa.Table:
    """Round every float to ``digits`` significant ones: the last ones depend on the order in which a library adds."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            values = [
                None if v is None else float(f"{v:.{digits}g}") for v in table.column(place).to_pylist()
            ]
            table = table.set_column(place, field, pa.array(values, field.type))
    return table


def write(table: pa.Table, path: Path) -> None:
    """Write a table as ``.csv`` and ``.parquet`` beside each other, each whole or not at all.

    The same rows give the same bytes: floats in 12 digits, nulls empty.
    """
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    table = rounded(table)
    with whole_file(path.with_suffix(".parquet")) as sink:
        pq.write_table(table, sink, **PARQUET)
    with whole_file(path.with_suffix(".csv")) as sink:
        pc.write_csv(table, sink, pc.WriteOptions(quoting_style="needed"))
