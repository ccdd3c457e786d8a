"""All tables of a case in one file: written with one stroke, so that a case is done or not done.

The file is Parquet, a row a table: its name, how many rows it has, and the table as an Arrow stream. Its metadata
hold the case's name and the SHA-256 of all streams (Parquet's own checksums leave the heads of pages out).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_CASE, _DIGEST = b"case", b"sha256"
# all that the bytes of a file depend on beside its rows, so that a new default of the library changes none
PARQUET = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_statistics": True,
    "store_schema": True,
}
# of a case: what is fast, for it is written once and read twice
_FILE = {
    **PARQUET,
    "compression": "snappy",
    "compression_level": None,
    "use_dictionary": False,
    "write_statistics": False,
}


def pack(case: str, tables: Mapping[str, pa.Table]) -> bytes:
    """Return tables as one file: the same rows and types, the same bytes; categories become their values.

    Raises
    ------
    ValueError, TypeError
        If a name is not 1 to 40 of a-z, 0-9, dash and underscore, a letter first, or a value is no table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, rows, streams = sorted(tables), [], []
    for name in names:
        if not isinstance(tables[name], pa.Table):
            raise TypeError(f"the table {name!r} is a {type(tables[name]).__name__}, not a pyarrow.Table")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name for a table: a-z, 0-9, dash and underscore, a letter first"
            )
        table = _plain(tables[name])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        rows.append(table.num_rows)
        streams.append(sink.getvalue().to_pybytes())
    fields = [("table", pa.string()), ("rows", pa.int64()), ("stream", pa.large_binary())]
    marks = {_CASE: case.encode("utf-8", "surrogatepass"), _DIGEST: _digest(names, streams)}
    whole = pa.table([names, rows, streams], schema=pa.schema(fields, marks))
    sink = pa.BufferOutputStream()
    pq.write_table(whole, sink, **_FILE)
    return sink.getvalue().to_pybytes()


def _digest(names: list[str], streams: list[bytes]) -> bytes:
    """SHA-256, hex, of tables and their names."""
    found = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass"))
    for stream in streams:
        found.update(stream)
    return found.hexdigest().encode("ascii")


def _plain(table: pa.Table) -> pa.Table:
    """Return a table in one piece, without metadata and categories: how it was made leaves no trace."""
    import pyarrow as pa

    if any(column.metadata or pa.types.is_dictionary(column.type) for column in table.schema):
        fields = [
            (c.name, c.type.value_type if pa.types.is_dictionary(c.type) else c.type) for c in table.schema
        ]
        table = table.cast(pa.schema(fields))
    return table.replace_schema_metadata(None).combine_chunks()


class Packed:
    """The tables in a file that :func:`pack` made.

    Parameters
    ----------
    content:
        The file.

    Raises
    ------
    ValueError
        If it is none, or is damaged.
    """

    def __init__(self, content: bytes) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            whole = pq.read_table(pa.BufferReader(content), use_threads=False)
            marks = whole.schema.metadata
            self.case = marks[_CASE].decode("utf-8", "surrogatepass")
            names, streams = whole["table"].to_pylist(), whole["stream"].to_pylist()
            if _digest(names, streams) != marks[_DIGEST]:
                raise ValueError("the tables are not those that were written")
            self._streams = dict(zip(names, streams, strict=True))
        except (pa.ArrowException, OSError, KeyError, TypeError) as error:
            raise ValueError(str(error)) from None

    @property
    def names(self) -> list[str]:
        """Names of the tables."""
        return list(self._streams)

    def schema(self, name: str) -> pa.Schema | None:
        """Columns of a table; None if there is none of this name."""
        return None if name not in self._streams else self._open(name).schema

    def table(self, name: str) -> pa.Table | None:
        """Return a table; None if there is none of this name."""
        return None if name not in self._streams else self._open(name).read_all()

    def _open(self, name: str) -> pa.RecordBatchStreamReader:
        import pyarrow as pa

        return pa.ipc.open_stream(pa.BufferReader(self._streams[name]))
