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

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets.case import Case
from ..datasets.digest import digest as data_digest
from ..datasets.finding import DataSet
from ..datasets.splits import SPLITS, Splits
from ..errors import InputError
from ..evaluation.claims import claim, digest
from ..models.bundle import Bundle
from ..progress import Progress, silent
from ..refinement.refiner import Refiner
from ..sweep.attempt import Work
from ..sweep.merge import table_names
from ..sweep.runner import PHASE, run
from ..sweep.versions import versions
from .faithful import FaithfulWork, some_cases
from .measures import MeasureWork
from .plan import CHOSEN, PERCENTILE, Plan
from .refining import CountWork, TuneWork, best_gated, fitted, tuned
from .summary import summarise
from .thresholds import AllCurves, Best, Swept, choose_all, chosen, curve_table, threshold_table, total_curves
from .work import MappedCase, MapWork
from .writing import Leaving, merge_rows

if TYPE_CHECKING:
    import pyarrow as pa

WORK = ".work"
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
    """One run, step by step; ``failed`` grows."""

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

    @cached_property
    def tuning(self) -> str:
        """The split on which thresholds are chosen."""
        return "validation" if self.splits.patients("validation") else "train"

    @cached_property
    def needed(self) -> list[str]:
        """The splits whose cases are computed."""
        return [self.tuning, "test", *(["train"] if self.plan.refine else [])]

    @cached_property
    def model(self) -> Path:
        return self.bundle.folder.resolve()

    @cached_property
    def identity(self) -> dict:
        """All that the maps depend on, as JSON values; further choices are in the keys of what rests on them."""
        data = {
            "layout": self.data.layout,
            "cases": len(self.data),
            "patients": len(self.data.patients),
            "sha256": data_digest(self.data, self.progress),
        }
        manifest = digest(self.bundle.manifest.raw)
        return {
            "data": data,
            "model": {"name": self.plan.model, "weights": self.plan.sha256, "manifest": manifest},
            "maps": self.plan.of_maps(),
            "threads": self.machine.threads,
            "versions": versions(),
        }

    def run(self) -> Finished:
        """Do it all."""
        plan = self.plan
        self._check_splits()
        claim(self.output, _NOTE, self.identity, "benchmark of other data, maps or versions")
        (self.output / WORK).mkdir(exist_ok=True)
        maps = self._explain()
        curves = {split: self._curves(maps, split) for split in (self.tuning, "test")}
        choices = choose_all(curves[self.tuning], plan)
        refined = best_gated(choices) if plan.refine else None
        refiner = self._refiner(maps, refined).to_json() if refined else None
        sources = self._measure(maps, choices, refined, refiner)
        if plan.faithfulness:
            sources |= self._test_faithfulness(maps)
        merged = merge_rows(sources, self._cases("test"), self.output, self.progress)
        tables = {
            "thresholds": threshold_table(choices, *curves.values(), plan, self.tuning),
            "curves": curve_table(curves),
            **summarise(merged, plan, self.bundle.manifest, self.progress),
        }
        rows = [f"{name}.parquet" for name in sources]
        Leaving(rows, tables, self.splits, refiner).write(self.output, self._content(refined))
        return Finished(self.output, tables, self.failed)

    def _check_splits(self) -> None:
        if self.plan.refine and self.tuning == "train":
            raise InputError(
                "The refinement is fitted on one split and tuned on another: it needs patients in train and in "
                "validation."
            )
        for split in self.needed:
            if not self.splits.patients(split):
                raise InputError(
                    f"Nobody is in the split {split}; a benchmark needs it, so choose other splits."
                )

    def _cases(self, split: str) -> list[Case]:
        """Cases of a split that have not failed."""
        cases = [case for case in self.splits.cases(self.data, split) if case.name not in self.failed]
        if not cases:
            raise InputError(f"No case of the split {split} could be computed; see `hemocam check`.")
        return cases

    def _names(self, split: str) -> list[str]:
        return [case.name for case in self._cases(split)]

    def _mapped(self, maps: Path, split: str) -> list[MappedCase]:
        return [MappedCase(case, maps) for case in self._cases(split)]

    def _explain(self) -> Path:
        wanted = [case for case in self.data.cases if self.splits.of[case.patient] in self.needed]
        work = MapWork(self.plan, self.model)
        return self._sweep("Explaining cases", "maps", wanted, work, self.identity)

    def _curves(self, maps: Path, split: str) -> AllCurves:
        return total_curves(maps, self._names(split), self.plan, self.progress)

    def _refiner(self, maps: Path, refined: tuple[str, int]) -> Refiner:
        plan, model = self.plan, self.model
        work, key = CountWork(plan, model, refined), [self.identity, refined]
        counted = self._sweep("Fitting the refinement", "counts", self._mapped(maps, "train"), work, key)
        refiner = fitted(counted, self._names("train"))
        work, key = TuneWork(plan, model, refined, refiner.to_json()), [*key, refiner.to_json()]
        swept = self._sweep("Tuning the refinement", "tuning", self._mapped(maps, self.tuning), work, key)
        return tuned(refiner, swept, self._names(self.tuning))

    def _measure(
        self, maps: Path, choices: dict[Swept, Best], refined: tuple[str, int] | None, refiner: str | None
    ) -> dict[str, Path]:
        """Return the folder that holds each table."""
        cuts = chosen(choices, CHOSEN), chosen(choices, PERCENTILE)
        work = MeasureWork(self.plan, self.model, *cuts, refiner, refined)
        key = [self.identity, cuts, self.plan.rules, asdict(self.plan.settings), refined, refiner]
        measured = self._sweep("Measuring maps", "measures", self._mapped(maps, "test"), work, key)
        return {"slices": measured, "volumes": measured, "predictions": maps}

    def _test_faithfulness(self, maps: Path) -> dict[str, Path]:
        work = FaithfulWork(self.plan, self.model)
        key = [self.identity, self.plan.faithfulness, self.plan.faithfulness_cases, self.plan.seed]
        cases = some_cases(self._mapped(maps, "test"), self.plan)
        tested = self._sweep("Testing faithfulness", "faithfulness", cases, work, key)
        return dict.fromkeys(table_names(tested, self._names("test")), tested)

    def _sweep(
        self, phase: str, name: str, cases: Sequence[Case | MappedCase], work: Work, key: object
    ) -> Path:
        """Run one list of cases; return the folder of its results, and remember who failed."""
        key = json.loads(json.dumps([name, key]))
        folder = self.output / WORK / f"{name}-{digest(key)[:12]}"
        for other in (self.output / WORK).glob(f"{name}-*"):
            if other != folder:  # of other choices, or of thresholds without a case that failed then
                shutil.rmtree(other, ignore_errors=True)

        def report(own: str, done: int, total: int) -> None:
            self.progress(phase if own == PHASE else own, done, total)

        machine = self.machine
        outcome = run(
            cases, work, folder, key,
            workers=machine.workers, dask=machine.dask, threads=machine.threads, progress=report,
        )  # fmt: skip
        self.failed |= outcome.failed
        outcome.check(self.allow_failures)
        return folder

    def _content(self, refined: tuple[str, int] | None) -> dict:
        """Return what the manifest says beside the files."""
        return {
            "title": "Benchmark of class activation maps",
            "command": self.command,
            **{key: value for key, value in self.identity.items() if key != "maps"},
            "plan": self.plan.to_json(),
            "splits": {
                "sha256": digest(dict(sorted(self.splits.of.items()))),
                "thresholds chosen on": self.tuning,
                "patients": {split: len(self.splits.patients(split)) for split in SPLITS},
                "cases": {split: len(self._cases(split)) for split in self.needed},
            },
            "refined": refined,
            "failed": self.failed,
        }
