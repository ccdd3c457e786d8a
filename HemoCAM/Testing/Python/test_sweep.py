"""Lists of cases in this process: resumed, failing, stopped, merged, flat in memory."""

import gc
import json
import os
import time
from itertools import pairwise

import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from HemoCAMLib.errors import Cancelled, HemoCAMError, InputError, OptionError, OutputError
from HemoCAMLib.sweep import merge as merging
from HemoCAMLib.sweep.attempt import heed
from HemoCAMLib.sweep.merge import merge, read_all, stream, table_names
from HemoCAMLib.sweep.packing import Packed, pack
from HemoCAMLib.sweep.results import Results, whole_file
from HemoCAMLib.sweep.runner import run
from HemoCAMLib.sweep.threads import VARIABLES, limited_threads
from sweep_work import TinyCase, TinyWork, cases, digests


def rows_of(*sizes: int):
    """Work whose case n has a table of sizes[n] rows."""
    return lambda case: {
        "t": pa.table({"case": [case.seed] * sizes[case.seed], "row": range(sizes[case.seed])})
    }


def test_tables_come_in_the_order_of_the_list(tmp_path):
    order = cases(12)[::-1]
    run(order[4:8], TinyWork(), tmp_path, "k")
    outcome = run(order, TinyWork(), tmp_path, "k")
    assert (outcome.cases, outcome.computed, outcome.failed) == (12, 8, {})
    assert read_all(tmp_path, "volumes")["case"].to_pylist() == [case.name for case in order]
    assert table_names(tmp_path) == ["slices", "volumes"]
    # and in any other that is asked for
    assert read_all(tmp_path, "volumes", ["Patient 3", "Patient 1"])["case"].to_pylist() == [
        "Patient 3",
        "Patient 1",
    ]
    expected = [row for case in order for row in TinyWork()(case)["slices"].to_pylist()]
    assert read_all(tmp_path, "slices").to_pylist() == expected


def test_what_is_done_is_not_computed_again(tmp_path):
    seen = []

    def work(case):
        seen.append(case.seed)
        return TinyWork()(case)

    run(cases(3), work, tmp_path, "k")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cases").iterdir()}
    run(cases(5), work, tmp_path, "k")
    assert seen == [0, 1, 2, 3, 4]
    assert all(p.stat().st_mtime_ns == before[p] for p in before)
    assert not list(tmp_path.rglob("*.part"))


def test_another_key_is_refused(tmp_path):
    run(cases(1), TinyWork(), tmp_path / "a", {"model": "1", "stages": [4, 5]})
    run(cases(2), TinyWork(), tmp_path / "a", {"stages": [4, 5], "model": "1"})
    before = digests(tmp_path / "a")
    with pytest.raises(OutputError, match="holds the results of another model") as caught:
        run(cases(2), TinyWork(), tmp_path / "a", {"model": "2", "stages": [4, 5]})
    assert "\n" not in str(caught.value) and digests(tmp_path / "a") == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        run(cases(1), TinyWork(), tmp_path / "b", "k")


def test_a_failing_case_costs_itself_only(tmp_path):
    outcome = run(cases(6), TinyWork(failing=(4, 1)), tmp_path / "a", "k")
    assert list(outcome.failed) == ["Patient 1", "Patient 4"]
    assert outcome.lines()[0] == "Patient 1: Seed 1 is unlucky; take another."
    with pytest.raises(HemoCAMError, match="2 of 6 cases failed, first Patient 1: Seed 1"):
        outcome.check()
    outcome.check(allow_failures=True)
    assert read_all(tmp_path / "a", "volumes")["case"].to_pylist() == [f"Patient {n}" for n in (0, 2, 3, 5)]
    again = run(cases(6), TinyWork(failing=(4,)), tmp_path / "a", "k")
    assert again.computed == 2 and list(again.failed) == ["Patient 4"]
    healed = run(cases(6), TinyWork(), tmp_path / "a", "k")
    assert healed.computed == 1 and not healed.failed
    run(cases(6), TinyWork(), tmp_path / "b", "k")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_no_memory_is_a_failure_and_a_fault_is_none(tmp_path):
    def work(case):
        if case.seed == 1:
            raise MemoryError
        if case.seed == 2:
            raise ZeroDivisionError("a fault of the program")
        return {}

    outcome = run(cases(2), work, tmp_path, "k")
    assert "memory" in outcome.failed["Patient 1"]
    with pytest.raises(ZeroDivisionError):
        run(cases(4), work, tmp_path, "k")
    assert Results(tmp_path).is_done("Patient 0") and not Results(tmp_path).is_done("Patient 3")


@pytest.mark.parametrize("stop", [Cancelled, KeyboardInterrupt])
def test_stopped_between_cases(tmp_path, stop):
    def progress(phase, done, total):
        assert phase == "Computing cases" and total == 8
        if done == 3:
            raise stop

    with pytest.raises(stop):
        run(cases(8), TinyWork(), tmp_path / "a", "k", progress=progress)
    done = [case.name for case in cases(8) if Results(tmp_path / "a").is_done(case.name)]
    assert done == [f"Patient {n}" for n in range(3)] and not list(tmp_path.rglob("*.part"))
    assert run(cases(8), TinyWork(), tmp_path / "a", "k").computed == 5
    run(cases(8), TinyWork(), tmp_path / "b", "k")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_stopped_within_a_case(tmp_path):
    since = time.monotonic()

    def progress(phase, done, total):
        if time.monotonic() - since > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(cases(3), TinyWork(endless=(1,)), tmp_path, "k", progress=progress)
    assert time.monotonic() - since < 2
    assert not Results(tmp_path).failures(["Patient 1"]) and not list(tmp_path.rglob("*.part"))
    run(cases(3), TinyWork(), tmp_path, "k")
    assert read_all(tmp_path, "volumes").num_rows == 3
    heed("Outside", 0, 1)  # nobody to stop it


def test_progress_counts_what_is_to_be_done(tmp_path):
    run(cases(4), TinyWork(), tmp_path, "k")
    said = []
    run(cases(7), TinyWork(failing=(5,)), tmp_path, "k", progress=lambda *what: said.append(what))
    assert said == [("Computing cases", done, 3) for done in range(4)]


def test_options(tmp_path):
    for options in ({"workers": -1}, {"threads": 0}, {"workers": 2, "dask": "127.0.0.1:8786"}):
        with pytest.raises(OptionError):
            run(cases(1), TinyWork(), tmp_path / "a", "k", **options)
    with pytest.raises(InputError, match="Two cases"):
        run(cases(2) * 2, TinyWork(), tmp_path / "a", "k")
    assert not (tmp_path / "a").exists()
    assert run([], TinyWork(), tmp_path / "a", "k").cases == 0


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    run(cases(1), TinyWork(), tmp_path, "k")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"Cannot write .* \(No space left on device\)"):
        run(cases(40), TinyWork(), tmp_path, "k")
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.part"))
    assert run(cases(40), TinyWork(), tmp_path, "k").computed == 39


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(Cancelled), whole_file(path) as stream_:
        stream_.write(b"ne")
        raise Cancelled
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_found(tmp_path):
    run(cases(2), TinyWork(), tmp_path, "k")
    path = Results(tmp_path).path("Patient 1")
    good = path.read_bytes()
    expected = read_all(tmp_path, "slices")
    found = 0
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
        try:
            # what is read is what was written: a flip in what nobody reads does no harm
            assert read_all(tmp_path, "slices").equals(expected)
        except OutputError as error:
            assert path.name in str(error) and "is damaged; remove it" in str(error)
            found += 1
    assert found > len(good) / 7 / 3
    # another case's file in its place
    path.write_bytes(Results(tmp_path).path("Patient 0").read_bytes())
    with pytest.raises(OutputError, match="is damaged"):
        read_all(tmp_path, "slices")


@pytest.mark.parametrize("sizes", [(0, 0), (7, 7), (3, 4, 1), (30,), (1, 20, 0, 6), (6, 1, 14)])
def test_blocks_hold_the_same_rows_always(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(merging, "BLOCK", 7)
    run(cases(len(sizes)), rows_of(*sizes), tmp_path, "k")
    blocks = list(stream(tmp_path, "t"))
    assert [b.num_rows for b in blocks[:-1]] == [7] * (len(blocks) - 1) and blocks[-1].num_rows <= 7
    whole = pa.concat_tables(blocks)
    assert whole["case"].to_pylist() == [n for n, size in enumerate(sizes) for _ in range(size)]
    assert whole["row"].to_pylist() == [row for size in sizes for row in range(size)]


def test_merged_files(tmp_path):
    order = cases(9)
    run(order, TinyWork(), tmp_path, "k")
    for suffix in (".csv", ".parquet"):
        merge(tmp_path, "volumes", tmp_path / f"volumes{suffix}")
    whole = read_all(tmp_path, "volumes")
    assert pq.read_table(tmp_path / "volumes.parquet").equals(whole)
    text = (tmp_path / "volumes.csv").read_bytes()
    assert text.startswith(b'"case","hd95"\n') and b"\r" not in text
    assert pyarrow.csv.read_csv(tmp_path / "volumes.csv").equals(whole)  # to the last digit
    with pytest.raises(OptionError, match=r"\.xlsx"):
        merge(tmp_path, "volumes", tmp_path / "volumes.xlsx")
    with pytest.raises(OutputError, match="No case"):
        merge(tmp_path, "lesions", tmp_path / "lesions.csv")
    with pytest.raises(OutputError, match="holds no results"):
        read_all(tmp_path / "nowhere", "volumes")
    assert not (tmp_path / "lesions.csv").exists()

    def progress(phase, done, total):
        if phase.startswith("Merging") and done == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        merge(tmp_path, "volumes", tmp_path / "late.csv", progress=progress)
    assert not (tmp_path / "late.csv").exists() and not list(tmp_path.rglob("*.part"))


def test_columns_of_cases_fit_or_are_refused(tmp_path):
    tables = [
        {"x": pa.nulls(2)},
        {"x": [1.5]},
        {"x": pa.array(["a"]).dictionary_encode()},
        {"y": [1.5]},
    ]

    def work(case):
        return {"t": pa.table(tables[case.seed])}

    run(cases(4), work, tmp_path, "k")
    both = read_all(tmp_path, "t", ["Patient 0", "Patient 1"])
    assert both["x"].to_pylist() == [None, None, 1.5] and both.schema.field("x").type == pa.float64()
    with pytest.raises(ValueError, match="other types in 'Patient 2' than in 'Patient 0'"):
        read_all(tmp_path, "t", ["Patient 0", "Patient 1", "Patient 2"])
    with pytest.raises(ValueError, match="other columns"):
        read_all(tmp_path, "t", ["Patient 1", "Patient 3"])
    assert read_all(tmp_path, "t", ["Patient 2"])["x"].to_pylist() == ["a"]


def test_the_same_rows_are_the_same_bytes():
    plain = pa.table({"x": ["a", "b", "a"], "y": [1.0, 2.0, None]})
    other = pa.table(
        {
            "x": pa.chunked_array([["a"], ["b", "a"]]).dictionary_encode(),
            "y": pa.chunked_array([[1.0, 2.0], pa.nulls(1, pa.float64())]),
        }
    ).replace_schema_metadata({"made": "now"})
    assert pack("case", {"t": plain, "u": plain}) == pack("case", {"u": other, "t": other})
    packed = Packed(pack("case é", {"t": plain}))
    assert packed.case == "case é" and packed.names == ["t"] and packed.table("t").equals(plain)
    assert packed.table("u") is None and packed.schema("u") is None
    for bad in ({"../t": plain}, {"": plain}, {"T": plain}):
        with pytest.raises(ValueError, match="no name for a table"):
            pack("case", bad)
    with pytest.raises(TypeError, match=r"not a pyarrow\.Table"):
        pack("case", {"t": {"x": [1]}})


def test_failed_record_holds_any_sentence(tmp_path):
    def work(case):
        raise InputError("Größe “x”\nof \ud800 no use.")

    run([TinyCase("ü/..", 0)], work, tmp_path, "k")
    (path,) = (tmp_path / "cases").iterdir()
    assert json.loads(path.read_text(encoding="ascii"))["case"] == "ü/.."
    assert Results(tmp_path).failures(["ü/.."]) == {"ü/..": "Größe “x”\nof \ud800 no use."}


def test_threads_are_limited_and_given_back(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    with limited_threads(1):
        assert {os.environ[name] for name in VARIABLES} == {"1"} and torch.get_num_threads() == 1
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ
    assert torch.get_num_threads() == before


def test_memory_stays_flat_and_the_machinery_is_cheap(tmp_path):
    """Of 2,000 cases, after 500; less than 1 ms a case, 5% of one of 20 ms."""
    process, resident, spent = psutil.Process(), {}, []
    inside = 0.0

    def work(case):
        nonlocal inside
        since = time.thread_time()
        tables = TinyWork()(case)
        inside += time.thread_time() - since
        return tables

    def progress(phase, done, total):
        if done % 100 == 0:
            spent.append(time.process_time() - inside)
        if done in (500, 2000):
            gc.collect()
            resident[done] = process.memory_info().rss

    run(cases(2000), work, tmp_path, "k", progress=progress)
    assert (resident[2000] - resident[500]) / 1e6 < 4
    # the quietest hundred: what else the machine does is not ours
    each = min(b - a for a, b in pairwise(spent)) / 100
    assert each < 1e-3, f"{1e3 * each:.2f} ms a case"
    merge(tmp_path, "slices", tmp_path / "slices.csv")
    assert (process.memory_info().rss - resident[2000]) / 1e6 < 40
