"""The benchmark: refinement, faithfulness, mapped cases, and choices that are refused."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from benchmark_cases import PATIENTS, SPLITS, plan_of, run_on
from benchmark_runs import TEST, data, done, read  # noqa: F401
from HemoCAMLib.benchmark.faithful import some_cases
from HemoCAMLib.benchmark.work import MappedCase, restored
from HemoCAMLib.datasets.finding import open_data_set
from HemoCAMLib.datasets.splits import Splits
from HemoCAMLib.errors import InputError, OptionError, OutputError
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.sweep.results import Results
from HemoCAMLib.sweep.threads import limited_threads


def test_the_refinement_has_rows_of_its_own(data, tiny_bundle, tmp_path):
    plan = plan_of(tiny_bundle, refine=True, rules=(), gate=0.0)
    found = run_on(data, tiny_bundle, tmp_path / "out", plan)
    rules = {(row["scale"], row["rule"]) for row in found.tables["pixels"].to_pylist()}
    assert ("gated", "refined") in rules and ("library", "refined") not in rules
    names = {(r["method"], r["stage"]) for r in found.tables["pixels"].to_pylist() if r["rule"] == "refined"}
    best = max(
        (r for r in found.tables["thresholds"].to_pylist() if (r["scale"], r["rule"]) == ("gated", "chosen")),
        key=lambda r: r["value"],
    )
    assert names == {(best["method"], best["stage"])}
    assert any(row["family"] == "refined masks" for row in found.tables["pairs"].to_pylist())
    assert (tmp_path / "out" / "refiner.json").is_file()
    with pytest.raises(InputError, match="train and in"):
        splits = Splits({name: "train" if n == "validation" else n for name, n in SPLITS.of.items()})
        run_on(data, tiny_bundle, tmp_path / "other", plan, splits)


def test_faithfulness_is_tested_against_maps_that_know_nothing(data, tiny_bundle, tmp_path):
    plan = plan_of(tiny_bundle, methods=("hirescam",), stages=(2,), faithfulness=1, rules=())
    found = run_on(data, tiny_bundle, tmp_path / "out", plan)
    rows = found.tables["faithfulness"].to_pylist()
    assert {row["method"] for row in rows} == {"hirescam", "random"}
    assert {row["metric"] for row in rows} == {"deletion", "insertion", "road"}
    said = read(tmp_path / "out" / "predictions.parquet")
    bleeding = set(said["case"][said["truth_px"] > 0])
    assert all(row["cases"] == len(bleeding) for row in rows)
    lost = found.tables["randomisation"].to_pylist()
    assert {row["depth"] for row in lost} >= {"head", "stem"} and all(abs(r["value"]) <= 1 for r in lost)
    size = {(r["stage"], r["depth"]): r["value"] for r in lost if r["metric"] == "abs_spearman"}
    assert all(size[r["stage"], r["depth"]] >= abs(r["value"]) for r in lost if r["metric"] == "spearman")


def test_faithfulness_of_some_cases_is_that_of_cases_that_bleed(done, data, tiny_bundle, tmp_path):
    said = read(done.output / "predictions.parquet")
    bleeding = set(said["case"][said["truth_px"] > 0])
    assert len(bleeding) > 2
    folder = next((done.output / ".work").glob("maps-*"))
    cases = [MappedCase(case, folder) for case in open_data_set(data).cases if case.name in TEST]
    assert some_cases(cases, plan_of(tiny_bundle, faithfulness=1)) == cases
    drawn = set()
    for seed in range(8):
        plan = plan_of(tiny_bundle, faithfulness=1, faithfulness_cases=2, seed=seed)
        some = some_cases(cases, plan)
        assert len(some) == 2 and some == [case for case in cases if case in some] == some_cases(cases, plan)
        drawn |= {case.name for case in some}
    assert drawn == bleeding
    every = some_cases(cases, plan_of(tiny_bundle, faithfulness=1, faithfulness_cases=99))
    assert {case.name for case in every} == bleeding
    asked = {"methods": ("gradcam",), "stages": (2,), "faithfulness": 1, "rules": ()}
    plan = plan_of(tiny_bundle, faithfulness_cases=1, **asked)
    found = run_on(data, tiny_bundle, tmp_path / "out", plan)
    assert {row["cases"] for row in found.tables["faithfulness"].to_pylist()} == {1}


def test_a_mapped_case_takes_its_maps_along(done, data, tiny_bundle):
    case = next(c for c in open_data_set(data).cases if c.name == TEST[0])
    folder = next((done.output / ".work").glob("maps-*"))
    sent = pickle.loads(pickle.dumps(MappedCase(case, folder)))
    assert isinstance(sent.maps, bytes) and pickle.loads(pickle.dumps(sent)) == sent
    ct = case.read_ct()
    found = restored(sent.packed(), ct, tiny_bundle.manifest, plan_of(tiny_bundle))
    with limited_threads(1):  # as the maps were computed: another number changes last digits
        analysis = analyse(ct, tiny_bundle, Options(method="hirescam", stage=1))
    assert np.array_equal(found.shown("hirescam", 1, "gated"), analysis.order.view(analysis.heatmap.array))
    assert Results(folder).get("nobody") is None
    with pytest.raises(OutputError, match="gone"):
        MappedCase(replace(case, name="nobody"), folder).packed()


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"methods": ("hirescam", "hirescam")}, "twice"),
        ({"methods": ("magic",)}, "no CAM method"),
        ({"stages": (99,)}, "no stage 99"),
        ({"stages": ()}, "at least one stage"),
        ({"scales": ("huge",)}, "no scale"),
        ({"rules": ("median",)}, "no threshold rule"),
        ({"rules": ("percentile:95", "percentile:95.0:slice")}, "twice"),
        ({"percentiles": (90.0, 100.0)}, "no percentile 100"),
        ({"percentiles": (90.0, 85.0)}, "rise"),
        ({"rules": ("chosen",)}, "own options"),
        ({"thresholds": (0.5, 0.2)}, "thresholds"),
        ({"metric": "recall"}, "recall"),
        ({"gate": 2}, "gate"),
        ({"faithfulness": -1}, "from 0"),
        ({"faithfulness_cases": -1}, "from 0"),
        ({"refine": True, "scales": ("library",)}, "gated"),
        ({"target": "stroke"}, "no class"),
    ],
)
def test_choices_that_make_no_sense_are_refused_with_a_sentence(tiny_bundle, choices, words):
    with pytest.raises(OptionError, match=words):
        plan_of(tiny_bundle, **choices)


def test_a_split_without_anybody_is_refused_before_any_work(data, tiny_bundle, tmp_path):
    splits = Splits(dict.fromkeys(PATIENTS, "train"))
    with pytest.raises(InputError, match="Nobody is in the split test"):
        run_on(data, tiny_bundle, tmp_path / "out", splits=splits)
    assert not (tmp_path / "out").exists()
