"""One table of many cases: in the order of their list, with memory for one case and one block of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError, OutputError
from ..progress import Progress, silent
from .packing import PARQUET
from .results import Results, whole_file

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 65_536  # rows of a row group


def table_names(output: Path, names: Sequence[str] | None = None) -> list[str]:
    """Names of all tables that any case of ``names`` (all by default) has, sorted."""
    results = Results(output)
    found = (results.get(name) for name in _names(results, names))
    return sorted({table for packed in found if packed for table in packed.names})


def stream(
    output: Path,
    table: str,
    names: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """Yield a table of all cases in blocks of :data:`BLOCK` rows, the last one shorter; at least one block.

    Which rows a block holds depends on the rows alone, never on who computed them when.

    Parameters
    ----------
    output:
        Folder of :func:`~.runner.run`.
    table:
        Name of the table.
    names:
        Cases and their order; those of the last run by default. Cases without results (they failed, or are still
        to come) and cases without this table are left out.
    progress:
        Called before each case.

    Raises
    ------
    OutputError
        If the folder holds no results, no case has this table, or a file is damaged.
    ValueError
        If the columns of two cases differ in name, order or type; a column of nulls fits every type.
    """
    import pyarrow as pa

    results = Results(output)
    names = _names(results, names)
    schema = _schema(results, table, names, progress)
    held, rows, blocks = [schema.empty_table()], 0, 0
    for place, name in enumerate(names):
        progress(f"Merging {table}", place, len(names))
        packed = results.get(name)
        part = packed and packed.table(table)
        if part is None:
            continue
        held.append(part.cast(schema))
        rows += part.num_rows
        if rows >= BLOCK:
            whole = pa.concat_tables(held).combine_chunks()
            for start in range(0, rows - BLOCK + 1, BLOCK):
                yield whole.slice(start, BLOCK)
                blocks += 1
            rows %= BLOCK
            held = [whole.slice(whole.num_rows - rows)]
    if rows or not blocks:
        yield pa.concat_tables(held).combine_chunks()


def read_all(
    output: Path, table: str, names: Sequence[str] | None = None, progress: Progress = silent
) -> pa.Table:
    """Return a table of all cases, in memory; parameters and errors as for :func:`stream`."""
    import pyarrow as pa

    return pa.concat_tables(list(stream(output, table, names, progress))).combine_chunks()


def merge(
    output: Path,
    table: str,
    path: Path,
    names: Sequence[str] | None = None,
    progress: Progress = silent,
) -> None:
    """Write a table of all cases to one file, whole or not at all; the same rows give the same bytes.

    Parameters
    ----------
    output, table, names, progress:
        As for :func:`stream`.
    path:
        ``.parquet``, or ``.csv``: UTF-8, LF, a header, text quoted where it must be, floats with as many digits as
        it takes to read the same float again, nulls empty.

    Raises
    ------
    OptionError
        If ``path`` ends otherwise.
    OutputError
        As for :func:`stream`, or if ``path`` cannot be written.
    """
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    if path.suffix not in (".parquet", ".csv"):
        raise OptionError(f"Tables are written as .parquet or .csv, not as {path.suffix or path.name!r}.")
    blocks = stream(output, table, names, progress)
    first = next(blocks)
    with whole_file(path) as sink:
        if path.suffix == ".parquet":
            writer = pq.ParquetWriter(sink, first.schema, **PARQUET)
        else:
            writer = pc.CSVWriter(sink, first.schema, write_options=pc.WriteOptions(quoting_style="needed"))
        with writer:
            writer.write_table(first)
            for block in blocks:
                writer.write_table(block)


def _names(results: Results, names: Sequence[str] | None) -> list[str]:
    return results.order() if names is None else list(names)


def _schema(results: Results, table: str, names: Sequence[str], progress: Progress) -> pa.Schema:
    """Columns of the table: those of its first case, where they are null there those of a later one."""
    import pyarrow as pa

    common = first = None
    for place, name in enumerate(names):
        progress(f"Looking through {table}", place, len(names))
        packed = results.get(name)
        own = packed and packed.schema(table)
        if own is None:
            continue
        if common is None:
            common, first = own, name
        elif own != common:
            if own.names != common.names:
                raise ValueError(f"the table {table!r} has other columns in {name!r} than in {first!r}")
            try:
                common = pa.unify_schemas([common, own])
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                raise ValueError(
                    f"the table {table!r} has other types in {name!r} than in {first!r}"
                ) from None
    if common is None:
        raise OutputError(f"No case in {results.output} has a table {table!r}; run the cases first.")
    return common
