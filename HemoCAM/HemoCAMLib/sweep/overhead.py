"""What the machinery of a sweep costs: its share of the computing time, and whether memory grows with the cases.

    python -m HemoCAMLib.sweep.overhead --cases 2000 --seconds 0.5 --workers 2

computes cases that do nothing for a known time, and leaves tables as large as those of a real case: the counts and
raw maps of one CAM method at one stage. Times are of the processors, not of the clock, so that what else a machine
does hardly matters. A real case takes a second and more (a minute with all nine methods at three stages): the
machinery is so much the smaller a part of it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from ..errors import OptionError
from ..progress import Progress, silent
from .attempt import heed
from .merge import merge, read_all
from .results import Results
from .runner import run

if TYPE_CHECKING:
    import pyarrow as pa

SLICES = 32
_COUNTS = {"curves": 50, "percentiles": 25}  # thresholds, as a benchmark sweeps them
_CELLS = 16
_LOOK_S = 1.0  # between two looks at the memory


@dataclass(frozen=True)
class SpinCase:
    """A case without data; ``seed`` draws its tables."""

    name: str
    seed: int


@dataclass(frozen=True)
class Spin:
    """Work that takes ``seconds`` of the processor.

    Its tables are as large as a case's of a benchmark of one method and stage; ``spent`` says what it took.
    """

    seconds: float

    def __call__(self, case: SpinCase) -> dict[str, pa.Table]:
        """Return the tables of a case."""
        import pyarrow as pa

        since = time.thread_time()
        rng = np.random.default_rng(case.seed)
        tables = {"maps": pa.table({"raw": [rng.random(SLICES * _CELLS**2, np.float32).tobytes()]})}
        for name, steps in _COUNTS.items():
            counts = {
                column: pa.FixedSizeListArray.from_arrays(
                    pa.array(rng.integers(0, 5000, 2 * SLICES * steps), pa.int32()), steps
                )
                for column in ("tp", "fp")
            }
            names = {"case": [case.name] * (2 * SLICES), "slice": np.tile(np.arange(SLICES), 2)}
            tables[name] = pa.table(names | counts)
        while time.thread_time() - since < self.seconds:
            rng.random(10_000)
            heed("Spinning", 0, 1)
        return tables | {"spent": pa.table({"seconds": [time.thread_time() - since]})}


@dataclass(frozen=True)
class Overhead:
    """What was measured.

    Parameters
    ----------
    cases:
        How many.
    computing:
        Seconds of the processors in the work of all cases.
    machinery:
        And in all else, without the start and the end of processes; in all processes of this machine.
    growth:
        By how many bytes the memory of all processes grew at most, from a quarter of the cases on.
    case_bytes:
        Mean size of a case's file.
    merging:
        Seconds of the processor to merge the rows of all cases into one table.
    """

    cases: int
    computing: float
    machinery: float
    growth: int
    case_bytes: float
    merging: float

    @property
    def share(self) -> float:
        """The machinery as a part of the computing."""
        return self.machinery / self.computing

    def lines(self) -> list[str]:
        """What a person reads."""
        each = 1e3 * self.machinery / self.cases
        return [
            f"{self.cases} cases, each {self.computing / self.cases:.3f} s of computing and a file of "
            f"{self.case_bytes / 1e3:.0f} kB",
            f"computing: {self.computing:.1f} s of the processors",
            f"machinery: {self.machinery:.2f} s, {each:.2f} ms a case, {100 * self.share:.2f}% of the computing",
            f"memory of all processes: {self.growth / 1e6:+.1f} MB at most, from case {self.cases // 4} on",
            f"merging one table: {1e3 * self.merging / self.cases:.2f} ms a case",
        ]


def measure_overhead(
    cases: int, seconds: float, workers: int, folder: Path, progress: Progress = silent
) -> Overhead:
    """Run some cases, and a tenth of them: the difference knows nothing of how processes start.

    Parameters
    ----------
    cases:
        How many, 20 at least.
    seconds:
        Of the processor, that each takes.
    workers:
        Processes; 0: this one.
    folder:
        Empty, or not there; takes the results.
    progress:
        As for :func:`~.runner.run`.

    Raises
    ------
    OptionError
        If there are too few cases, or ``seconds`` is not above 0.
    """
    if cases < 20 or seconds <= 0:
        raise OptionError("The machinery is measured on 20 cases or more, of more than 0 seconds.")
    few, many = cases // 10, cases
    first = _sweep(few, seconds, workers, folder / "few", progress)
    second = _sweep(many, seconds, workers, folder / "many", progress)
    output, since = folder / "many", time.process_time()
    merge(output, "curves", folder / "curves.parquet")
    merging = time.process_time() - since
    files = [Results(output).path(case.name).stat().st_size for case in _cases(many)]
    extra = (second.total - first.total) - (second.inside - first.inside)
    machinery = extra * many / (many - few)
    return Overhead(many, second.inside, machinery, second.growth, float(np.mean(files)), merging)


def _cases(count: int) -> list[SpinCase]:
    return [SpinCase(f"case-{n:06d}", n) for n in range(count)]


@dataclass(frozen=True)
class _Run:
    total: float
    inside: float
    growth: int


def _sweep(cases: int, seconds: float, workers: int, folder: Path, progress: Progress) -> _Run:
    watch = _Watch(cases, progress)
    before = watch.seconds()
    run(_cases(cases), Spin(seconds), folder, "overhead", workers=workers, progress=watch)
    inside = float(np.sum(read_all(folder, "spent")["seconds"].to_numpy()))
    return _Run(watch.total - before - watch.own, inside, max(watch.sizes) - watch.sizes[0])


class _Watch:
    """The progress of a run, which looks at all of its processes now and then, and knows what that costs."""

    def __init__(self, cases: int, progress: Progress) -> None:
        self._cases, self._progress, self._this = cases, progress, psutil.Process()
        self._looked = -_LOOK_S
        self.sizes: list[int] = []
        self.total = self.own = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        self._progress(phase, done, total)
        last = done == total
        if last or (done >= self._cases // 4 and time.monotonic() - self._looked > _LOOK_S):
            since = time.thread_time()
            self._looked = time.monotonic()
            self.sizes.append(sum(_resident(p) for p in self._family()))
            if last:  # workers are still there: afterwards their times are gone
                self.total = self.seconds()
            self.own += time.thread_time() - since

    def seconds(self) -> float:
        """Seconds of the processors of all processes that are there."""
        return sum(_seconds(p) for p in self._family())

    def _family(self) -> list[psutil.Process]:
        return [self._this, *self._this.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:  # it has ended
        return 0.0
    return times.user + times.system


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the options say, and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m HemoCAMLib.sweep.overhead", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--cases", type=int, default=2000, metavar="N", help="how many (default: 2000)")
    parser.add_argument(
        "--seconds", type=float, default=0.5, metavar="S", help="of the processor, a case (default: 0.5)"
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes (default: 0, this one)"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hemocam-") as folder:
        try:
            found = measure_overhead(options.cases, options.seconds, options.workers, Path(folder))
        except OptionError as error:
            parser.error(str(error))
    print("\n".join(found.lines()))
    return 0


if __name__ == "__main__":
    from .overhead import main as main_  # not of __main__: workers import the work by its name

    sys.exit(main_())
