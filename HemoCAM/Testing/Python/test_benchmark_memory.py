"""Thresholds are chosen with memory for one case, however many there are."""

import gc

import numpy as np
import psutil
import pytest
from benchmark_cases import plan_of
from HemoCAMLib.benchmark.columns import table_of
from HemoCAMLib.benchmark.thresholds import choose_all, total_curves
from HemoCAMLib.sweep.attempt import Reply
from HemoCAMLib.sweep.packing import pack
from HemoCAMLib.sweep.results import Results

CASES, SLICES = 600, 40


@pytest.fixture(scope="module")
def plan(tiny_bundle):
    return plan_of(tiny_bundle, scales=("library",))


@pytest.fixture(scope="module")
def maps(plan, tmp_path_factory):
    """What explaining leaves of many cases: drawn counts of true pixels, none false."""
    folder, rng = tmp_path_factory.mktemp("memory") / "maps", np.random.default_rng(0)
    results = Results.claimed(folder, "k")
    rows = len(plan.combinations) * SLICES
    tables = {}
    for name, steps in (("curves", len(plan.thresholds)), ("percentiles", len(plan.percentiles))):
        tp = np.sort(rng.integers(0, 900, (rows, steps)))[:, ::-1]
        columns = {"truth_px": np.full(rows, 900), "pixels": np.full(rows, 4096), "tp": tp, "fp": 0 * tp}
        tables[name] = table_of(columns)
    for case in range(CASES):
        results.put(Reply(f"case-{case}", pack(f"case-{case}", tables)))
    return folder


def test_memory_stays_flat_while_curves_are_added_up(maps, plan):
    process, resident = psutil.Process(), {}

    def progress(phase, done, total):
        if done in (100, CASES - 1):
            gc.collect()
            resident[done] = process.memory_info().rss

    names = [f"case-{case}" for case in range(CASES)]
    total = total_curves(maps, names, plan, progress)
    tables = Results(maps).get(names[0])
    size = sum(tables.table(name).nbytes for name in tables.names)
    grown = resident[CASES - 1] - resident[100]
    assert grown < 8e6 < 0.2 * (CASES - 101) * size, (
        f"{grown / 1e6:.1f} MB"
    )  # all of them are many times as much
    assert all(curves.slices == CASES * SLICES for curves in total.values())
    # the lowest threshold finds most: with nothing false it is the best
    assert all(best.at_edge for best in choose_all(total, plan).values())
    rules = {key[0]: best.threshold for key, best in choose_all(total, plan).items()}
    assert rules == {"chosen": pytest.approx(plan.thresholds[0]), "percentile": plan.percentiles[0]}
