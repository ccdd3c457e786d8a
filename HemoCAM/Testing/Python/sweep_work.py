"""Cases and work for the tests of sweeps: importable by worker processes."""

import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from HemoCAMLib.errors import InputError
from HemoCAMLib.sweep.attempt import heed
from HemoCAMLib.sweep.merge import merge


@dataclass(frozen=True)
class TinyCase:
    name: str
    seed: int


def cases(count: int) -> list[TinyCase]:
    return [TinyCase(f"Patient {n}", n) for n in range(count)]


@dataclass(frozen=True)
class TinyWork:
    """Two small tables from random numbers of the case's seed.

    It takes ``seconds``. Of the cases with these seeds: ``failing`` ones fail, ``deadly`` ones kill their process,
    ``once`` ones do so the first time (a file in ``marks`` remembers), ``endless`` ones never end.
    """

    seconds: float = 0.0
    failing: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    once: tuple[int, ...] = ()
    endless: tuple[int, ...] = ()
    marks: Path | None = None

    def __call__(self, case: TinyCase) -> dict[str, pa.Table]:
        until = time.perf_counter() + self.seconds
        if case.seed in self.failing:
            raise InputError(f"Seed {case.seed} is unlucky; take another.")
        if case.seed in self.deadly:
            self.die(case)
        if case.seed in self.once and not (self.marks / f"{case.seed}").exists():
            self.die(case)
        while case.seed in self.endless:
            self.mark(case)
            time.sleep(0.01)
            heed("Going on", 0, 1)
        rng = np.random.default_rng(case.seed)
        rows = int(rng.integers(0, 40))
        slices = pa.table(
            {
                "case": pa.array([case.name] * rows, pa.string()),
                "slice": np.arange(rows),
                "dice": rng.random(rows),
            }
        )
        volumes = pa.table(
            {"case": [case.name], "hd95": [None if case.seed % 3 == 0 else float(rng.random())]}
        )
        while time.perf_counter() < until:
            rng.random(100)
        return {"slices": slices, "volumes": volumes}

    def mark(self, case: TinyCase) -> None:
        if self.marks:
            (self.marks / f"{case.seed}").write_text(str(os.getpid()))

    def die(self, case: TinyCase) -> None:
        self.mark(case)
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        time.sleep(60)


def surroundings(case: TinyCase) -> dict[str, pa.Table]:
    """What the process was given by who started it."""
    names = [name for name in os.environ if name.startswith(("MALLOC", "OMP"))]
    return {"environment": pa.table({"name": names, "value": [os.environ[name] for name in names]})}


def digests(output: Path) -> dict[str, str]:
    """SHA-256 of the merged tables of a folder, in both formats."""
    found = {}
    for name in ("slices.csv", "slices.parquet", "volumes.csv", "volumes.parquet"):
        merge(output, name.partition(".")[0], output / name)
        found[name] = hashlib.sha256((output / name).read_bytes()).hexdigest()
    return found


class Unloadable:
    """Work that this process can pickle and no other can load."""

    def __call__(self, case: TinyCase) -> dict[str, pa.Table]:
        return {}

    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise ImportError("No module named 'elsewhere'")


def main() -> None:
    """Run cases in a process that a test can kill: folder, cases, workers, seconds a case."""
    from HemoCAMLib.sweep.runner import run
    from sweep_work import TinyWork, cases  # not of __main__: the workers import it by its name

    output, count, workers, seconds = (
        Path(sys.argv[1]),
        int(sys.argv[2]),
        int(sys.argv[3]),
        float(sys.argv[4]),
    )
    try:
        run(cases(count), TinyWork(seconds=seconds), output, "killed", workers=workers)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
