"""`hemocam benchmark` as a command: killed and resumed, and on a cluster that loses a worker: the same bytes."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from benchmark_cases import METHODS, PATIENTS, SPLITS, STAGES, contents, write_data
from HemoCAMLib.doors.cli import main

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="this platform has no process groups")

CASES = sum(SPLITS.of[name] in ("validation", "test") for name in PATIENTS)


@pytest.fixture(scope="module")
def command(tiny_bundle, tmp_path_factory) -> list[str]:
    """All of the command but where to write, and on what."""
    folder = tmp_path_factory.mktemp("killed")
    SPLITS.write(folder / "splits.csv")
    return [
        "benchmark", str(write_data(folder / "data")), "--splits", str(folder / "splits.csv"),
        "--model", str(tiny_bundle.folder), "--methods", *METHODS, "ablationcam",
        "--stages", *map(str, STAGES), "--device", "cpu", "--quiet",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory) -> dict[str, bytes]:
    """What the command writes if nothing happens."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    assert main([*command, "--output", str(output)]) == 0
    return contents(output)


def results(output: Path, sweep: str) -> int:
    """How many cases of a sweep are done."""
    return len(list(output.glob(f".work/{sweep}-*/cases/*.parquet")))


@contextlib.contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen]:
    """A process of Python at the head of a group of its own, which is killed at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(what: Callable[[], bool], process: subprocess.Popen, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()[1].decode()[-2000:]
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.002)


def test_killed_three_times_it_resumes_and_ends_with_the_same_bytes(command, undisturbed, tmp_path):
    """While maps are explained (in a worker), while they are measured, and while tables are written."""
    output, rng = tmp_path / "out", random.Random(5)
    maps, measures = rng.randint(1, CASES - 2), rng.randint(1, 2)
    moments = [
        (["--workers", "1"], lambda: results(output, "maps") >= maps),
        ([], lambda: results(output, "measures") >= measures),
        ([], lambda: (output / "slices.parquet").is_file()),
    ]
    kept, families = [], []
    for options, moment in moments:
        assert not moment()
        with started("HemoCAMLib.doors.cli", *command, "--output", output, *options) as process:
            wait_until(moment, process)
            time.sleep(rng.uniform(0, 0.1))
            families += psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.returncode == -signal.SIGKILL and not (output / "manifest.json").exists()
        kept.append({p: p.stat().st_mtime_ns for p in output.glob(".work/*/cases/*.parquet")})
    assert not psutil.wait_procs(families, timeout=20)[1]
    assert maps <= len(kept[0]) < CASES < len(kept[1]) <= len(kept[2])
    assert main([*command, "--output", str(output)]) == 0
    for before in kept:  # what was done once was not done again
        assert all(path.stat().st_mtime_ns == moment for path, moment in before.items())
    assert contents(output) == undisturbed


def test_a_cluster_that_loses_a_worker_in_the_middle_gives_the_same_bytes(command, undisturbed, tmp_path):
    """A scheduler and two workers of one process each, as on a cluster; nobody starts the lost one again."""
    place, output, lost = tmp_path / "scheduler.json", tmp_path / "out", []

    def lose(worker: subprocess.Popen) -> None:
        wait_until(lambda: results(output, "maps") >= 2, worker)
        os.killpg(worker.pid, signal.SIGKILL)
        lost.append(results(output, "maps"))

    with contextlib.ExitStack() as stack:
        local = ["--host", "127.0.0.1", "--no-dashboard"]
        scheduler = stack.enter_context(
            started("distributed.cli.dask_scheduler", "--scheduler-file", place, "--port", 0, *local)
        )
        wait_until(lambda: place.is_file() and place.read_text().endswith("}"), scheduler)
        address = json.loads(place.read_text())["address"]
        options = ["--nthreads", 1, "--no-nanny", "--local-directory", tmp_path, *local]
        workers = [
            stack.enter_context(started("distributed.cli.dask_worker", address, *options)) for _ in range(2)
        ]
        killer = threading.Thread(target=lose, args=workers[:1])
        killer.start()
        code = main([*command, "--output", str(output), "--dask", address])
        killer.join()
        assert [worker.poll() for worker in workers] == [-signal.SIGKILL, None]
    assert code == 0 and 2 <= lost[0] < CASES
    assert contents(output) == undisturbed
