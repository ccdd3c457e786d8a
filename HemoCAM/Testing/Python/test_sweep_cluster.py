"""Lists of cases in other processes: killed and resumed, lost workers, a cluster, prompt stops."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from HemoCAMLib.errors import Cancelled, HemoCAMError, OptionError
from HemoCAMLib.sweep import cluster as clusters
from HemoCAMLib.sweep.merge import read_all
from HemoCAMLib.sweep.results import Results
from HemoCAMLib.sweep.runner import run
from HemoCAMLib.sweep.versions import difference, versions
from sweep_work import TinyWork, Unloadable, cases, digests, surroundings

pytest.importorskip("distributed")
needs_sigkill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this platform has no SIGKILL")


def start(output: Path, count: int, workers: int, seconds: float) -> subprocess.Popen:
    script = Path(__file__).with_name("sweep_work.py")
    command = [sys.executable, script, output, str(count), str(workers), str(seconds)]
    return subprocess.Popen(
        [str(part) for part in command],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def done(output: Path) -> int:
    return len(list((output / "cases").glob("*.parquet")))


def wait_until(what, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)


def family(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


def own_workers() -> list[psutil.Process]:
    """Processes below this one but for Python's own, which outlives its first use."""
    children = psutil.Process().children(recursive=True)
    return [p for p in children if p.is_running() and "resource_tracker" not in " ".join(p.cmdline())]


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The tables of 40 cases, undisturbed, in this process."""
    output = tmp_path_factory.mktemp("expected") / "output"
    run(cases(40), TinyWork(), output, "killed")
    return output, digests(output)


@needs_sigkill
def test_killed_three_times_it_ends_with_the_same_bytes(tmp_path, expected):
    output, rng = tmp_path / "output", random.Random()
    orphans = []
    for workers in (0, 2, 0):
        before = done(output)
        process = start(output, 40, workers, 0.1)
        try:
            wait_until(lambda before=before: done(output) > before)
            time.sleep(rng.uniform(0, 0.2))
            orphans += family(process)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert 3 <= done(output) < 40
    rest = run(cases(40), TinyWork(), output, "killed")
    assert rest.computed < 38 and not rest.failed
    assert digests(output) == expected[1]
    assert not list(output.rglob("*.part"))
    assert_gone(orphans)  # workers end with the process that started them


@needs_sigkill
def test_interrupted_at_the_keyboard(tmp_path):
    process = start(tmp_path / "output", 4000, 2, 0.05)
    try:
        wait_until(lambda: done(tmp_path / "output") > 2)
        workers = family(process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert_gone(workers)
    assert not list((tmp_path / "output").rglob("*.part"))


@needs_sigkill
def test_lost_workers_deadly_and_failing_cases(tmp_path, expected):
    work = TinyWork(seconds=0.02, failing=(3,), deadly=(5,), once=(11,), marks=tmp_path)
    outcome = run(cases(40), work, tmp_path / "output", "killed", workers=2)
    assert (tmp_path / "11").exists()  # it died of it, and it was run again
    assert list(outcome.failed) == ["Patient 3", "Patient 5"]
    assert outcome.failed["Patient 3"] == "Seed 3 is unlucky; take another."
    assert "ended its worker process again and again" in outcome.failed["Patient 5"]
    names = [case.name for case in cases(40) if case.seed not in (3, 5)]
    whole, _ = expected
    found = read_all(tmp_path / "output", "slices")
    assert found.equals(read_all(whole, "slices", names))
    healed = run(cases(40), TinyWork(), tmp_path / "output", "killed")
    assert healed.computed == 2 and digests(tmp_path / "output") == expected[1]
    assert not own_workers()


def test_a_stop_ends_workers_that_never_would(tmp_path):
    stopped = []

    def progress(phase, ready, total):
        if (tmp_path / "3").exists() and ready >= 3:
            stopped.append(time.monotonic())
            raise Cancelled

    before = dict(os.environ)
    with pytest.raises(Cancelled):
        run(
            cases(20),
            TinyWork(endless=(3,), marks=tmp_path),
            tmp_path / "o",
            "k",
            workers=2,
            progress=progress,
        )
    assert time.monotonic() - stopped[0] < 5
    assert not own_workers() and dict(os.environ) == before
    assert done(tmp_path / "o") >= 3 and not list((tmp_path / "o").rglob("*.part"))
    assert not Results(tmp_path / "o").failures(["Patient 3"])


@pytest.fixture(scope="module")
def cluster():
    """A cluster that is there already, of two processes with two threads each."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=None, host="127.0.0.1", memory_limit=0
    ) as found:
        yield found


class TestCluster:
    """On a cluster that is there already, and that stays."""

    def test_the_same_bytes(self, cluster, tmp_path, expected):
        said = []
        outcome = run(
            cases(40),
            TinyWork(failing=(7,)),
            tmp_path,
            "killed",
            dask=cluster.scheduler_address,
            progress=lambda *what: said.append(what[1:]),
        )
        assert list(outcome.failed) == ["Patient 7"] and said[-1] == (40, 40)
        run(cases(40), TinyWork(), tmp_path, "killed", dask=cluster.scheduler_address)
        assert digests(tmp_path) == expected[1]

    def test_a_fault_of_the_program_passes_through(self, cluster, tmp_path):
        with pytest.raises(TypeError, match="fault"):
            run(cases(9), _faulty, tmp_path, "k", dask=cluster.scheduler_address)

    def test_work_that_cannot_be_loaded(self, cluster, tmp_path):
        with pytest.raises(
            OptionError, match=r"cannot load the work \(ImportError: No module named 'elsewhere'\)"
        ):
            run(cases(3), Unloadable(), tmp_path, "k", dask=cluster.scheduler_address)

    def test_other_versions(self, cluster, tmp_path, monkeypatch):
        monkeypatch.setattr(clusters, "versions", lambda: {**versions(), "numpy": "0.1"})
        with pytest.raises(OptionError, match=r"has numpy \d.* and not 0\.1; install the same versions"):
            run(cases(3), TinyWork(), tmp_path, "k", dask=cluster.scheduler_address)

    def test_a_stop_ends_the_case_and_leaves_the_cluster(self, cluster, tmp_path, expected):
        def progress(phase, ready, total):
            if (tmp_path / "0").exists() and (tmp_path / "1").exists():
                raise Cancelled

        address = cluster.scheduler_address
        with pytest.raises(Cancelled):
            work = TinyWork(endless=(0, 1), marks=tmp_path)
            run(cases(20), work, tmp_path / "a", "k", dask=address, progress=progress)
        time.sleep(0.5)
        marks = [(tmp_path / name).stat().st_mtime_ns for name in "01"]
        run(cases(40), TinyWork(), tmp_path / "b", "killed", dask=address)
        assert marks == [
            (tmp_path / name).stat().st_mtime_ns for name in "01"
        ]  # nobody works on them any more
        assert digests(tmp_path / "b") == expected[1]

    def test_a_lost_scheduler_is_one_sentence(self, cluster, tmp_path):
        # last in this class: it ends the cluster
        def end():
            wait_until(lambda: (tmp_path / "0").exists())
            cluster.close()

        killer = threading.Thread(target=end)
        killer.start()
        with pytest.raises(HemoCAMError, match=r"The Dask cluster was lost .* the same command goes on"):
            work = TinyWork(endless=(0,), marks=tmp_path)
            run(cases(3), work, tmp_path / "a", "k", dask=cluster.scheduler_address)
        killer.join()


def _faulty(case):
    raise TypeError("a fault of the program")


@pytest.mark.parametrize("address", ["nonsense", "tls://127.0.0.1:1", "tcp://127.0.0.1:1"])
def test_no_scheduler(tmp_path, monkeypatch, address):
    monkeypatch.setattr(clusters, "_CONNECT_S", 0.5)
    with pytest.raises(OptionError, match="No Dask scheduler answers at"):
        run(cases(1), TinyWork(), tmp_path, "k", dask=address)


def test_versions_are_compared():
    ours = versions()
    assert ours["numpy"] and difference(ours, dict(ours)) == ""
    assert difference({"a": "1", "b": ""}, {"a": "2", "b": "3"}) == "a 2 and not 1, b 3 and not missing"
    assert difference({"a": "1"}, {}) == "a missing and not 1"


def test_workers_keep_their_memory_and_their_threads(tmp_path, monkeypatch):
    """Dask's own MALLOC_TRIM_THRESHOLD_ makes networks slow, and its OMP_NUM_THREADS is not what was asked for."""
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    run(cases(1), surroundings, tmp_path, "k", workers=1, threads=2)
    found = read_all(tmp_path, "environment")
    environment = dict(zip(found["name"].to_pylist(), found["value"].to_pylist(), strict=True))
    assert "MALLOC_TRIM_THRESHOLD_" not in environment and environment["OMP_NUM_THREADS"] == "2"


def test_memory_stays_flat(tmp_path):
    """Of 2,000 cases on two workers, in this process and in theirs, after 500."""
    resident = {}

    def total():
        return sum(p.memory_info().rss for p in [psutil.Process(), *own_workers()])

    def progress(phase, ready, count):
        if ready in (500, 2000) and ready not in resident:
            resident[ready] = total()

    run(cases(2000), TinyWork(), tmp_path, "k", workers=2, progress=progress)
    assert (resident[2000] - resident[500]) / 1e6 < 12
