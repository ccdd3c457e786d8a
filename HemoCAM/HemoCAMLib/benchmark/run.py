"""The benchmark from a data set to tables: sweeps one after the other, each resumed where it was stopped.

OUTPUT/manifest.json            what was computed, from what, with what
OUTPUT/splits.csv               patient and split
OUTPUT/slices.parquet           every measure of the test split, a row a slice, map and rule
OUTPUT/volumes.parquet          a row a scan, map and rule
OUTPUT/predictions.parquet      a row a slice: what the classifier said
OUTPUT/tables/                  the tables of :mod:`.summary`, CSV and Parquet
OUTPUT/refiner.json             with the refinement
OUTPUT/.work/                   the cases' own results: what a stopped run goes on from
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..datasets.case import Case
from ..datasets.digest import digest as data_digest
from ..datasets.finding import DataSet
from ..datasets.splits import SPLITS, Splits
from ..errors import InputError, OutputError
from ..evaluation.claims import claim, digest
from ..evaluation.tables import write_text
from ..models.bundle import Bundle
from ..progress import Progress, silent
from ..sweep.attempt import Work
from ..sweep.merge import merge, table_names
from ..sweep.runner import PHASE, Outcome, run
from ..sweep.versions import versions
from .faithful import FaithfulWork
from .measures import MeasureWork
from .plan import Plan
from .refining import CountWork, TuneWork, best_gated, fitted, tuned
from .summary import Merged, summarise, write_tables
from .thresholds import choose_all, curve_table, threshold_table, total_curves
from .work import MappedCase, MapWork

if TYPE_CHECKING:
    import pyarrow as pa

WORK = ".work"
MANIFEST = "manifest.json"
_NOTE = "benchmark.txt"


@dataclass(frozen=True)
class Machine:
    """Where cases are computed; as :func:`~..sweep.runner.run` takes them. Results do not depend on ``workers``."""

    workers: int = 0
    dask: str | None = None
    threads: int = 1


@dataclass(frozen=True)
class Finished:
    """What a benchmark gave.

    Parameters
    ----------
    output:
        Its folder.
    tables:
        Of :mod:`.summary`, with ``thresholds`` and ``curves``, by name.
    failed:
        Sentences of the cases that failed, by name.
    """

    output: Path
    tables: dict[str, pa.Table]
    failed: dict[str, str] = field(default_factory=dict)


def benchmark(
    data: DataSet,
    splits: Splits,
    plan: Plan,
    bundle: Bundle,
    output: Path,
    command: str = "",
    machine: Machine = Machine(),
    allow_failures: bool = False,
    progress: Progress = silent,
) -> Finished:
    """Measure all maps of the plan on a data set's test split, thresholds chosen on its tuning split.

    The same data, plan, model and versions give the same tables to the last byte, on any number of workers, stopped
    and resumed or not. Memory does not grow with the cases but for sums a patient.

    Parameters
    ----------
    data, splits:
        The cases, and who is in which split. Thresholds are chosen on ``validation``, or on ``train`` where nobody is
        in ``validation``; the refinement is fitted on ``train``.
    plan, bundle:
        What to compute, with which model.
    output:
        Folder, made if it is not there; one that holds this very benchmark is gone on with.
    command:
        For the manifest: the command that gives the same.
    machine:
        Where to compute.
    allow_failures:
        Make the tables without the cases that fail.
    progress:
        Called between cases, and by what takes long within them.

    Raises
    ------
    InputError
        If a split that is needed has nobody in it, or all of its cases failed.
    HemoCAMError
        If a case failed and that is not allowed; the others are kept, and the same command tries again.
    OutputError
        If ``output`` holds something else, or cannot be written.
    """
    return _Benchmark(data, splits, plan, bundle, output, command, machine, allow_failures, progress).run()


@dataclass
class _Benchmark:
    data: DataSet
    splits: Splits
    plan: Plan
    bundle: Bundle
    output: Path
    command: str
    machine: Machine
    allow_failures: bool
    progress: Progress
    failed: dict[str, str] = field(default_factory=dict)

    def run(self) -> Finished:
        plan, folder = self.plan, self.bundle.folder.resolve()
        tuning = "validation" if self.splits.patients("validation") else "train"
        needed = [tuning, "test", *(["train"] if plan.refine else [])]
        self._check_splits(tuning, needed)
        identity = self._identity()
        claim(self.output, _NOTE, identity, "benchmark of other data, maps or versions")
        self.splits.write(self.output / "splits.csv")
        (self.output / WORK).mkdir(exist_ok=True)
        cases = {split: self.splits.cases(self.data, split) for split in SPLITS}
        listed = [case for case in self.data.cases if self.splits.of[case.patient] in needed]
        maps = self._sweep("Explaining cases", "maps", listed, MapWork(plan, folder), identity)
        cases = {split: [c for c in own if c.name not in self.failed] for split, own in cases.items()}
        for split in needed:
            if not cases[split]:
                raise InputError(f"No case of the split {split} could be computed; see `hemocam check`.")
        names = {split: [case.name for case in own] for split, own in cases.items()}

        curves = {tuning: total_curves(maps, names[tuning], plan, self.progress)}
        choices = choose_all(curves[tuning], plan)
        curves["test"] = total_curves(maps, names["test"], plan, self.progress)
        tables = {
            "thresholds": threshold_table(choices, curves[tuning], curves["test"], plan, tuning),
            "curves": curve_table(curves),
        }

        def mapped(split: str) -> list[MappedCase]:
            return [MappedCase(case, maps) for case in cases[split]]

        thresholds = tuple(choice.rule.value for choice in choices.values())
        refiner = refined = None
        if plan.refine:
            refined = best_gated(choices)
            work = CountWork(plan, folder, refined)
            counted = self._sweep(
                "Fitting the refinement", "counts", mapped("train"), work, [identity, refined]
            )
            refiner = fitted(counted, names["train"])
            work = TuneWork(plan, folder, refined, refiner.to_json())
            key = [identity, refined, refiner.to_json()]
            swept = self._sweep("Tuning the refinement", "tuning", mapped(tuning), work, key)
            refiner = tuned(refiner, swept, names[tuning])
        text = None if refiner is None else refiner.to_json()
        work = MeasureWork(plan, folder, thresholds, text, refined)
        key = [identity, thresholds, plan.rules, asdict(plan.settings), refined, text]
        measured = self._sweep("Measuring maps", "measures", mapped("test"), work, key)
        sources = {"slices": measured, "volumes": measured, "predictions": maps}
        if plan.faithfulness:
            work = FaithfulWork(plan, folder)
            tested = self._sweep(
                "Testing faithfulness",
                "faithfulness",
                mapped("test"),
                work,
                [identity, plan.faithfulness, plan.seed],
            )
            sources |= dict.fromkeys(table_names(tested, names["test"]), tested)
        test = [case for case in cases["test"] if case.name not in self.failed]
        if not test:
            raise InputError("No case of the split test could be measured.")
        for table in ("faithfulness", "randomisation"):  # of an earlier run that asked for them
            (self.output / f"{table}.parquet").unlink(missing_ok=True)
        for table, place in sources.items():
            merge(place, table, self.output / f"{table}.parquet", [c.name for c in test], self.progress)
        merged = Merged(self.output, tuple(sorted({case.patient for case in test})))
        tables |= summarise(merged, plan, self.bundle.manifest, self.progress)
        files = [f"{name}.parquet" for name in sources] + ["splits.csv"]
        if text is not None:
            write_text(text + "\n", self.output / "refiner.json")
            files.append("refiner.json")
        files += write_tables(tables, self.output)
        self._write_manifest(identity, tuning, names, refined, files)
        return Finished(self.output, tables, self.failed)

    def _check_splits(self, tuning: str, needed: list[str]) -> None:
        if self.plan.refine and tuning == "train":
            raise InputError(
                "The refinement is fitted on one split and tuned on another: it needs patients in train and in "
                "validation."
            )
        for split in needed:
            if not self.splits.patients(split):
                raise InputError(
                    f"Nobody is in the split {split}; a benchmark needs it, so choose other splits."
                )

    def _identity(self) -> dict:
        """All that the maps depend on, as JSON values; further choices are in the keys of what rests on them."""
        manifest = self.bundle.manifest.raw
        return {
            "data": {
                "layout": self.data.layout,
                "cases": len(self.data),
                "patients": len(self.data.patients),
                "sha256": data_digest(self.data, self.progress),
            },
            "model": {
                "name": self.plan.model,
                "weights": self.plan.sha256,
                "manifest": digest(manifest),
            },
            "maps": self.plan.of_maps(),
            "threads": self.machine.threads,
            "versions": versions(),
        }

    def _sweep(
        self, phase: str, name: str, cases: Sequence[Case | MappedCase], work: Work, key: object
    ) -> Path:
        """Run one list of cases; return the folder of its results, and remember who failed."""
        key = json.loads(json.dumps([name, key]))
        folder = self.output / WORK / f"{name}-{digest(key)[:12]}"
        for other in (self.output / WORK).glob(f"{name}-*"):
            if other != folder:  # of thresholds that a case which failed then has changed since
                shutil.rmtree(other, ignore_errors=True)

        def report(own: str, done: int, total: int) -> None:
            self.progress(phase if own == PHASE else own, done, total)

        done: Outcome = run(
            cases, work, folder, key, workers=self.machine.workers, dask=self.machine.dask,
            threads=self.machine.threads, progress=report,
        )  # fmt: skip
        self.failed |= done.failed
        done.check(self.allow_failures)
        return folder

    def _write_manifest(
        self,
        identity: dict,
        tuning: str,
        names: dict[str, list[str]],
        refined: tuple[str, int] | None,
        files: list[str],
    ) -> None:
        content = {
            "title": "Benchmark of class activation maps",
            "command": self.command,
            "hemocam": __version__,
            **{key: value for key, value in identity.items() if key != "maps"},
            "plan": self.plan.to_json(),
            "splits": {
                "sha256": digest(dict(sorted(self.splits.of.items()))),
                "thresholds chosen on": tuning,
                "patients": {split: len(self.splits.patients(split)) for split in SPLITS},
                "cases computed": {split: len(own) for split, own in names.items()},
            },
            "refined": refined,
            "failed": self.failed,
            "files": {name: _sha256(self.output / name) for name in sorted(files)},
        }
        try:
            write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", self.output / MANIFEST)
        except OSError as error:
            raise OutputError(f"Cannot write to {self.output} ({error.strerror}).") from None


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            found.update(chunk)
    return found.hexdigest()
