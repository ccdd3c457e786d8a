"""The percentile rule of a benchmark: counted as the rule itself would, chosen on one split, applied to the other."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmark_cases import PATIENTS, SPLITS, contents, plan_of, run_on, write_data
from HemoCAMLib.benchmark.percentiles import PERCENTILES, percentile_sweep
from HemoCAMLib.datasets.finding import open_data_set
from HemoCAMLib.metrics.pixels import count, dice
from HemoCAMLib.metrics.rules import Percentile
from HemoCAMLib.pipeline import Options, analyse
from hypothesis import given
from hypothesis import strategies as st

STAGE = 2


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([(1, 1), (3, 5), (16, 16), (20, 25)]), st.integers(1, 6),
    st.sampled_from([2, 8, 1024, 2**20]), st.lists(st.floats(0, 99.9), min_size=1, max_size=6, unique=True),
)  # fmt: skip
def test_counts_are_those_of_the_rules_own_masks(seed, shape, slabs, shades, drawn):
    """Whatever the maps: empty ones, ties, slices that share one, truths that are empty or full."""
    rng = np.random.default_rng(seed)
    alike = np.repeat(np.arange(slabs), rng.integers(1, 4, slabs))
    own = np.round(rng.random((slabs, *shape)) ** 3 * shades) / shades * (rng.random((slabs, 1, 1)) < 0.8)
    maps = own.astype(np.float32)[alike]
    truth = rng.random(maps.shape) < rng.choice([0, 0.1, 1], (len(maps), 1, 1))
    percentiles = sorted({*drawn, 80.0, 95.0})
    found = percentile_sweep(maps, truth, percentiles, alike)
    assert np.array_equal(found.thresholds, np.float32(percentiles))
    for place, percent in enumerate(percentiles):
        expected = count(truth, Percentile(percent).masks(maps))
        for name in ("tp", "fp", "fn", "tn"):
            assert np.array_equal(getattr(found.counts, name)[:, place], getattr(expected, name))
    alone = percentile_sweep(maps, truth, percentiles)
    assert np.array_equal(alone.counts.tp, found.counts.tp) and np.array_equal(
        alone.counts.fp, found.counts.fp
    )


def test_no_slices_have_no_counts():
    none = np.zeros((0, 4, 4), np.float32)
    assert percentile_sweep(none, none > 0, (90.0,)).counts.tp.shape == (0, 1)


def test_the_default_percentiles_rise_from_a_fifth_of_the_slice_to_a_two_hundredth():
    assert PERCENTILES[0] == 80 and PERCENTILES[-1] == 99.5 and 95.0 in PERCENTILES
    assert (np.diff(PERCENTILES) > 0).all() and np.diff(PERCENTILES).max() == 1


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("percentiles") / "data")


@pytest.fixture(scope="module")
def plan(tiny_bundle):
    return plan_of(
        tiny_bundle, methods=("layercam",), stages=(STAGE,), gate=0.0, rules=("percentile", "percentile:95")
    )


@pytest.fixture(scope="module")
def done(data, tiny_bundle, plan, tmp_path_factory):
    return run_on(data, tiny_bundle, tmp_path_factory.mktemp("percentiles") / "out", plan)


@pytest.mark.parametrize("scale", ["library", "gated"])
def test_the_best_percentile_of_the_validation_split_is_applied_to_the_test_split(
    done, data, tiny_bundle, plan, scale
):
    found = {}
    for case in open_data_set(data).cases:
        ct = case.read_ct()
        truth = case.read_mask(ct).array > 0
        options = Options(method="layercam", stage=STAGE, scale=scale, gate=0.0)
        analysis = analyse(ct, tiny_bundle, options)
        view = analysis.order.view
        found[case.name] = (
            np.ascontiguousarray(view(truth)),
            np.ascontiguousarray(view(analysis.heatmap.array)),
        )

    def mean_dice(names, percent):
        values = []
        for truth, shown in (found[name] for name in names):
            own = dice(count(truth, Percentile(percent).masks(shown)))
            values += own[truth.any(axis=(1, 2))].tolist()
        return np.mean(values)

    tuning, test = ([n for n in PATIENTS if SPLITS.of[n] == s and n in found] for s in ("validation", "test"))
    curve = [mean_dice(tuning, p) for p in PERCENTILES]
    asked = {"scale": scale, "rule": "percentile"}
    rows = [r for r in done.tables["thresholds"].to_pylist() if all(r[k] == v for k, v in asked.items())]
    assert len(rows) == 1 and rows[0]["threshold"] == PERCENTILES[int(np.argmax(curve))]
    assert rows[0]["value"] == pytest.approx(max(curve)) and rows[0]["split"] == "validation"
    assert rows[0]["test"] == pytest.approx(mean_dice(test, rows[0]["threshold"]))
    assert rows[0]["best_test"] == pytest.approx(max(mean_dice(test, p) for p in PERCENTILES))
    drawn = [
        r
        for r in done.tables["curves"].to_pylist()
        if (r["split"], r["scale"], r["rule"]) == ("validation", scale, "percentile")
    ]
    assert [r["threshold"] for r in drawn] == list(PERCENTILES)
    assert np.allclose([r["dice"] for r in drawn], curve)
    for rule, percent in (("percentile", rows[0]["threshold"]), ("percentile:95", 95)):
        (figure,) = (
            r
            for r in done.tables["pixels"].to_pylist()
            if (r["scale"], r["rule"], r["metric"], r["over"]) == (scale, rule, "dice", "positive slices")
        )
        assert figure["value"] == pytest.approx(mean_dice(test, percent))


def test_without_the_rule_its_tables_are_gone_and_the_maps_stay(done, data, tiny_bundle, plan):
    before = contents(done.output)
    kept = {p: p.stat().st_mtime_ns for p in done.output.rglob("maps-*/cases/*.parquet")}
    other = plan_of(tiny_bundle, methods=plan.methods, stages=plan.stages, gate=0.0, rules=("percentile:95",))
    found = run_on(data, tiny_bundle, done.output, other)
    assert set(found.tables["thresholds"]["rule"].to_pylist()) == {"chosen"}
    assert set(found.tables["curves"]["rule"].to_pylist()) == {"chosen"}
    rules = set(pq.read_table(done.output / "slices.parquet")["rule"].to_pylist())
    assert rules == {"chosen", "percentile:95"}
    assert kept and all(path.stat().st_mtime_ns == time for path, time in kept.items())
    run_on(data, tiny_bundle, done.output, plan)
    assert contents(done.output) == before
