"""A finished benchmark as a report needs it: its manifest and tables, checked to be the ones that belong together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..benchmark.plan import CHOSEN, Plan
from ..errors import InputError
from ..metrics.reference import Settings

MANIFEST = "manifest.json"
TITLE = "Benchmark of class activation maps"  # by it a manifest is known
TABLES = "tables"
NEEDED = ("pixels", "boxes", "pointing", "groups", "cases", "thresholds", "curves", "classification")
OPTIONAL = ("pairs", "ranks", "faithfulness", "randomisation")
ROWS = ("slices", "volumes", "predictions")  # merged, a row a slice or scan: too large to hold

# what each table must have, for benchmarks of other versions may not
_FIGURES = {
    "scale",
    "rule",
    "method",
    "stage",
    "group",
    "over",
    "metric",
    "value",
    "low",
    "high",
    "cases",
    "patients",
}
_COLUMNS = {
    **dict.fromkeys(("pixels", "boxes", "pointing", "groups", "cases"), _FIGURES),
    "thresholds": {"scale", "rule", "method", "stage", "threshold", "at_edge", "value", "test", "best_test"},
    "curves": {"split", "scale", "rule", "method", "stage", "threshold"},
    "classification": {"class", "unit", "group", "figure", "value", "low", "high", "cases", "positives"},
}
_OTHER_VERSION = "{} is of a benchmark by another version of HemoCAM; run `hemocam benchmark` again."

Row = dict[str, object]
Place = tuple[str, int]  # method and stage


@dataclass(frozen=True)
class Benchmarked:
    """A finished benchmark.

    Parameters
    ----------
    folder:
        Its output.
    manifest:
        Content of ``manifest.json``.
    plan:
        What was computed.
    tables:
        Rows of each table of ``tables/`` that is there, by name; a missing number is None.
    """

    folder: Path
    manifest: dict
    plan: Plan
    tables: dict[str, list[Row]]

    @classmethod
    def read(cls, folder: Path) -> Benchmarked:
        """Read a folder that ``hemocam benchmark`` has finished.

        Raises
        ------
        InputError
            If it is none, or a table is missing or is not the one that its manifest names.
        """
        manifest = _manifest(folder)
        plan = _plan(manifest, folder / MANIFEST)
        names = [*NEEDED, *(n for n in OPTIONAL if f"{TABLES}/{n}.parquet" in manifest["files"])]
        tables = {name: _table(folder, f"{TABLES}/{name}.parquet", manifest["files"]) for name in names}
        for name, columns in _COLUMNS.items():
            if any(not columns <= row.keys() for row in tables[name][:1]):
                raise InputError(_OTHER_VERSION.format(folder / TABLES / f"{name}.parquet"))
        for name in ROWS:
            _check(folder, f"{name}.parquet", manifest["files"])
        return cls(folder, manifest, plan, tables)

    @property
    def scales(self) -> tuple[str, ...]:
        """Scales in the order of the tables."""
        return self.plan.scales

    @property
    def places(self) -> list[Place]:
        """(method, stage), stages rising, methods in the plan's order."""
        return [(method, stage) for stage in sorted(self.plan.stages) for method in self.plan.methods]

    def rows(self, table: str, **asked: object) -> Iterator[Row]:
        """Rows of a table with these values; none of a table that is not there."""
        for row in self.tables.get(table, ()):
            if all(row[name] == value for name, value in asked.items()):
                yield row

    def figures(
        self,
        table: str,
        metric: str,
        scale: str,
        rule: str = CHOSEN,
        over: str = "positive slices",
        group: str = "all",
    ) -> dict[Place, Row]:
        """Rows of one figure (:data:`~..benchmark.figures.COLUMNS`) by method and stage."""
        asked = {"metric": metric, "scale": scale, "rule": rule, "over": over, "group": group}
        return {(row["method"], row["stage"]): row for row in self.rows(table, **asked)}

    @property
    def tuning(self) -> str:
        """The split on which thresholds were chosen."""
        return str(self.manifest["splits"].get("thresholds chosen on", "validation"))

    def best(self, table: str, metric: str, scale: str, **asked: str) -> list[Place]:
        """Methods and stages from the highest value to the lowest; the plan's order among equals."""
        found = self.figures(table, metric, scale, **asked)
        known = [p for p in self.places if p in found and found[p]["value"] is not None]
        return sorted(known, key=lambda place: -found[place]["value"])

    @property
    def name(self) -> str:
        """SHA-256, hex, of the manifest's files: equal where all that a report shows is equal."""
        text = json.dumps(self.manifest, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _manifest(folder: Path) -> dict:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; name the --output of a finished `hemocam benchmark`.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no finished benchmark, for it has no {MANIFEST}; name the --output of one, or "
            "let `hemocam benchmark` end."
        ) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); run the same `hemocam benchmark` again."
        ) from None
    whole = isinstance(content, dict) and content.get("title") == TITLE
    if not whole or not all(
        isinstance(content.get(k), dict) for k in ("data", "model", "plan", "splits", "files")
    ):
        raise InputError(
            f"{path} is not that of a benchmark; name the --output of a finished `hemocam benchmark`."
        )
    return content


def _plan(manifest: dict, path: Path) -> Plan:
    try:
        said = dict(manifest["plan"])
        settings = Settings(**said.pop("settings"))
        lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
        return Plan(**{**said, **lists, "settings": settings})
    except (KeyError, TypeError, ValueError):
        raise InputError(_OTHER_VERSION.format(path)) from None


def _check(folder: Path, name: str, files: dict) -> Path:
    """Return the path of a file that is the one the manifest names."""
    path = folder / name
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        raise InputError(
            f"There is no {path}, which a report needs; run the same `hemocam benchmark` again."
        ) from None
    if found != files.get(name):
        raise InputError(
            f"{path} is not the file that {MANIFEST} names; run the same `hemocam benchmark` again until "
            "it ends."
        )
    return path


def _table(folder: Path, name: str, files: dict) -> list[Row]:
    import pyarrow.parquet as pq

    return pq.read_table(_check(folder, name, files)).to_pylist()
