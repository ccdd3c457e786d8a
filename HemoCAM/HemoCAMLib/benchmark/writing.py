"""What a benchmark leaves in its folder: merged rows, tables, splits, refiner, and the manifest that names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets.case import Case
from ..datasets.splits import Splits
from ..errors import OutputError
from ..evaluation.tables import write_text
from ..progress import Progress, silent
from ..sweep.merge import merge
from .summary import Merged, write_tables

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
_SPLITS, _REFINER = "splits.csv", "refiner.json"


def merge_rows(
    sources: Mapping[str, Path], cases: Sequence[Case], output: Path, progress: Progress = silent
) -> Merged:
    """Write the rows of cases as ``<table>.parquet``; tables of an earlier run that are gone now are removed.

    Parameters
    ----------
    sources:
        Folder of the results that hold each table.
    cases:
        Whose rows, in their order.
    output:
        Folder of the files.
    progress:
        Called a case and table.
    """
    for path in output.glob("*.parquet"):
        if path.stem not in sources:
            path.unlink()
    names = [case.name for case in cases]
    for table, place in sources.items():
        merge(place, table, output / f"{table}.parquet", names, progress)
    return Merged(output, tuple(sorted({case.patient for case in cases})))


@dataclass(frozen=True)
class Leaving:
    """All that is written when everything is computed.

    Parameters
    ----------
    rows:
        Names of the merged files, which are there.
    tables:
        Of :mod:`.summary` and :mod:`.thresholds`, by name.
    splits:
        Who was in which split.
    refiner:
        As JSON, or None.
    """

    rows: Sequence[str]
    tables: Mapping[str, pa.Table]
    splits: Splits
    refiner: str | None = None

    def write(self, output: Path, content: Mapping[str, object]) -> None:
        """Write it, and ``content`` with the SHA-256 of every file as the manifest, last of all.

        Raises
        ------
        OutputError
            If ``output`` cannot be written.
        """
        try:
            self.splits.write(output / _SPLITS)
            (output / _REFINER).unlink(missing_ok=True)
            if self.refiner is not None:
                write_text(self.refiner + "\n", output / _REFINER)
            files = [*self.rows, *write_tables(dict(self.tables), output), _SPLITS]
            files += [_REFINER] if self.refiner is not None else []
            whole = {**content, "files": {name: _sha256(output / name) for name in sorted(files)}}
            write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", output / MANIFEST)
        except OSError as error:
            raise OutputError(
                f"Cannot write to {output} ({error.strerror}); choose another --output."
            ) from None


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            found.update(chunk)
    return found.hexdigest()
