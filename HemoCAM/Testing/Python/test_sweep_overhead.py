"""The measurement of a sweep's overhead: it counts what it should, and says so."""

import pytest
from HemoCAMLib.errors import OptionError
from HemoCAMLib.sweep.merge import read_all
from HemoCAMLib.sweep.overhead import SLICES, Overhead, Spin, SpinCase, main, measure_overhead


def test_the_work_takes_its_time_and_leaves_tables_of_a_real_size():
    tables = Spin(0.05)(SpinCase("a", 1))
    (spent,) = tables["spent"]["seconds"].to_pylist()
    assert 0.05 <= spent < 0.5
    assert tables["curves"].num_rows == 2 * SLICES and tables["percentiles"].num_rows == 2 * SLICES
    assert Spin(0.001)(SpinCase("a", 1))["maps"].equals(tables["maps"])


@pytest.mark.parametrize("workers", [0, 1])
def test_computing_and_machinery_are_told_apart(tmp_path, workers):
    seen = []
    found = measure_overhead(60, 0.02, workers, tmp_path, lambda *what: seen.append(what[1:]))
    assert seen[-1] == (60, 60) and (6, 6) in seen
    assert 60 * 0.02 <= found.computing < 60 * 0.06
    assert abs(found.machinery) < 60 * 0.04  # below nothing where little of it meets a noisy clock
    if not workers:
        assert found.machinery > 0 and found.share < 0.5
    assert found.case_bytes > 4 * SLICES * 16**2  # the raw maps alone
    assert found.merging > 0 and abs(found.growth) < 200e6
    assert read_all(tmp_path / "many", "curves").num_rows == 60 * 2 * SLICES


def test_what_it_says():
    found = Overhead(2000, 200.0, 2.0, 1_500_000, 70_000, 3.0)
    assert found.share == 0.01
    text = "\n".join(found.lines())
    assert (
        "2.00 s, 1.00 ms a case, 1.00% of the computing" in text and "+1.5 MB at most, from case 500" in text
    )


def test_options_that_make_no_sense(tmp_path, capsys):
    with pytest.raises(OptionError, match="20 cases"):
        measure_overhead(10, 0.1, 0, tmp_path)
    with pytest.raises(SystemExit):
        main(["--cases", "100", "--seconds", "0"])
    assert "more than 0 seconds" in capsys.readouterr().err
