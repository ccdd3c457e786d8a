"""The benchmark end to end on tiny virtual patients: its numbers, stops, failures, and what thresholds rest on."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import SimpleITK as sitk
from benchmark_cases import METHODS, PATIENTS, STAGES, Machine, contents, plan_of, run_on
from benchmark_runs import TEST, data, done, read  # noqa: F401
from HemoCAMLib.benchmark.figures import COLUMNS
from HemoCAMLib.benchmark.summary import pivot
from HemoCAMLib.datasets.finding import open_data_set
from HemoCAMLib.datasets.splits import Splits
from HemoCAMLib.errors import Cancelled, HemoCAMError, OutputError
from HemoCAMLib.evaluation.bootstrap import Bootstrap
from HemoCAMLib.pipeline import Options, analyse


@pytest.fixture(scope="module")
def analysed(data, tiny_bundle):
    """Truth (bool), map and target probability of a patient by scale, from the pipeline that everybody uses."""
    found = {}
    for case in open_data_set(data).cases:
        ct = case.read_ct()
        truth = case.read_mask(ct).array > 0
        for scale in ("library", "gated"):
            options = Options(method="layercam", stage=2, scale=scale)
            analysis = analyse(ct, tiny_bundle, options)
            view = analysis.order.view
            found[case.name, scale] = view(truth), view(analysis.heatmap.array)
    return found


def numpy_dice(truth, mask):
    return 2 * (truth & mask).sum() / (truth.sum() + mask.sum())


def positive_dice(analysed, names, scale, threshold):
    """Dice of each positive slice, and whose it is."""
    values, whose = [], []
    for name in names:
        truth, shown = analysed[name, scale]
        for plane, heat in zip(truth, shown, strict=True):
            if plane.any():
                values.append(numpy_dice(plane, heat >= np.float32(threshold)))
                whose.append(name)
    return np.array(values), np.array(whose)


def row_of(table, **asked):
    rows = [row for row in table.to_pylist() if all(row[k] == v for k, v in asked.items())]
    assert len(rows) == 1, (asked, len(rows))
    return rows[0]


@pytest.mark.parametrize("scale", ["library", "gated"])
def test_the_threshold_is_the_best_of_fifty_on_the_validation_split(done, analysed, scale):
    steps = np.linspace(0.1, 0.9, 50).astype(np.float32)
    curve = [positive_dice(analysed, ["phantom-00002"], scale, t)[0].mean() for t in steps]
    found = row_of(done.tables["thresholds"], scale=scale, rule="chosen", method="layercam", stage=2)
    assert found["threshold"] == pytest.approx(steps[int(np.argmax(curve))])
    assert found["value"] == pytest.approx(max(curve)) and found["split"] == "validation"
    drawn = done.tables["curves"].to_pylist()
    own = [
        r
        for r in drawn
        if (r["split"], r["scale"], r["rule"], r["method"], r["stage"])
        == ("validation", scale, "chosen", "layercam", 2)
    ]
    assert np.allclose([r["dice"] for r in own], curve)


@pytest.mark.parametrize("scale", ["library", "gated"])
def test_the_figures_are_those_of_the_pipelines_own_maps(done, analysed, scale):
    asked = {"scale": scale, "rule": "chosen", "method": "layercam", "stage": 2}
    threshold = row_of(done.tables["thresholds"], **asked)["threshold"]
    values, whose = positive_dice(analysed, TEST, scale, threshold)
    asked["group"] = "all"
    found = row_of(done.tables["pixels"], over="positive slices", metric="dice", **asked)
    assert found["value"] == pytest.approx(values.mean()) and found["cases"] == len(values)
    assert found["patients"] == len(set(whose)) < 5 and found["low"] is None  # too few for an interval
    pairs = [analysed[name, scale] for name in TEST]
    truth = np.concatenate([t.ravel() for t, _ in pairs])
    shown = np.concatenate([s.ravel() for _, s in pairs])
    mask = shown >= np.float32(threshold)
    for metric, value in (
        ("dice", numpy_dice(truth, mask)),
        ("precision", (truth & mask).sum() / mask.sum()),
        ("recall", (truth & mask).sum() / truth.sum()),
        ("iou", (truth & mask).sum() / (truth | mask).sum()),
    ):
        assert row_of(done.tables["pixels"], over="all pixels", metric=metric, **asked)[
            "value"
        ] == pytest.approx(value)
    energy = row_of(
        done.tables["pointing"], over="all pixels", metric="energy_share", **{**asked, "rule": ""}
    )
    assert energy["value"] == pytest.approx(shown[truth].sum(dtype=float) / shown.sum(dtype=float))
    clean = [(s >= np.float32(threshold)).any(axis=(1, 2))[~t.any(axis=(1, 2))] for t, s in pairs]
    quiet = row_of(done.tables["pixels"], over="clean slices", metric="quiet", **asked)
    assert quiet["value"] == pytest.approx(1 - np.concatenate(clean).mean())
    volumes = [numpy_dice(t, s >= np.float32(threshold)) for t, s in pairs if t.any()]
    whole = row_of(done.tables["cases"], over="bleeding cases", metric="dice", **asked)
    assert whole["value"] == pytest.approx(np.mean(volumes)) and whole["cases"] == len(volumes)


def test_rows_of_slices_are_there_once_for_each_map_and_rule(done):
    slices, predictions = (read(done.output / f"{name}.parquet") for name in ("slices", "predictions"))
    keys = list(
        zip(*(slices[k].tolist() for k in ("case", "slice", "method", "stage", "scale", "rule")), strict=True)
    )
    count = len(predictions["case"])
    assert len(set(keys)) == len(keys) == count * len(METHODS) * len(STAGES) * 2 * 3
    assert set(slices["case"]) == set(TEST) and set(slices["rule"]) == {"chosen", "percentile", "otsu"}
    assert ((predictions["truth_px"] > 0) == (predictions["truth_any"] == 1)).all()
    own = (slices["rule"] == "otsu") & (slices["method"] == METHODS[0]) & (slices["stage"] == 1)
    own &= slices["scale"] == "library"
    for name in ("case", "slice", "truth_px", "kind"):
        assert slices[name][own].tolist() == predictions[name].tolist()


def test_tables_have_their_columns_and_the_manifest_names_every_file(done):
    for name in ("pixels", "boxes", "pointing", "groups", "cases"):
        assert tuple(done.tables[name].column_names) == COLUMNS
        assert (
            pq.read_table(done.output / "tables" / f"{name}.parquet").num_rows == done.tables[name].num_rows
        )
    manifest = json.loads((done.output / "manifest.json").read_text())
    files = {name for name in contents(done.output) if name not in ("manifest.json", "benchmark.txt")}
    assert set(manifest["files"]) == files
    assert manifest["splits"]["thresholds chosen on"] == "validation"
    assert manifest["plan"]["methods"] == list(METHODS) and not manifest["failed"]
    assert str(done.output.parent) not in json.dumps(manifest)
    names, rows = pivot(done.tables["pixels"], "dice", "gated")
    assert names == ["method", "stage 1", "stage 2"] and [row[0] for row in rows] == list(METHODS)
    kinds = {row["group"] for row in done.tables["groups"].to_pylist()}
    assert kinds & {"epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"}
    family = {row["family"] for row in done.tables["pairs"].to_pylist()}
    assert family == {"methods at stage 1", "methods at stage 2", "stages of each method", "scales"}
    assert {row["class"] for row in done.tables["classification"].to_pylist()} >= {"any", "subdural"}


def test_intervals_are_those_of_the_bootstrap_by_patient_over_the_slices_themselves(
    data, tiny_bundle, tmp_path
):
    """Sums a patient are an implementation detail: the same draws over the rows give the same interval."""
    splits = Splits({name: "validation" if name == PATIENTS[0] else "test" for name in PATIENTS})
    found = run_on(
        data, tiny_bundle, tmp_path / "out", plan_of(tiny_bundle, methods=("gradcam",), stages=(2,)), splits
    )
    rows = read(tmp_path / "out" / "slices.parquet")
    own = (rows["rule"] == "chosen") & (rows["scale"] == "library")
    rows = {name: values[own] for name, values in rows.items()}
    people, positive = Bootstrap(rows["patient"], seed=0), rows["truth_px"] > 0
    assert len(set(rows["patient"])) == 5
    asked = {"scale": "library", "rule": "chosen"}
    silent = (rows["tp"] + rows["fp"] == 0).astype(float)
    for table, metric, over, estimate in (
        ("pixels", "quiet", "clean slices", people.mean(silent, ~positive)),
        ("pixels", "iou", "positive slices", people.mean(rows["iou"], positive)),
        ("boxes", "box_matched_dice", "positive slices", people.mean(rows["box_matched_dice"], positive)),
    ):
        row = row_of(found.tables[table], over=over, metric=metric, **asked)
        values = [np.nan if row[k] is None else row[k] for k in ("value", "low", "high", "cases", "patients")]
        expected = [getattr(estimate, k) for k in ("value", "low", "high", "cases", "patients")]
        assert values == pytest.approx(expected, nan_ok=True)
    assert not np.isnan(people.mean(silent, ~positive).low)
    hits = row_of(found.tables["boxes"], over="positive pixels", metric="hit_loose", **asked)
    assert hits["value"] == pytest.approx(
        rows["box_truth_loose"][positive].sum() / rows["box_truth_boxes"][positive].sum()
    )


class StopAt:
    """A progress that stops the run when a phase has come so far."""

    def __init__(self, phase, done):
        self.phase, self.done = phase, done

    def __call__(self, phase, done, total):
        if phase == self.phase and done >= self.done:
            raise Cancelled


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(done, data, tiny_bundle, tmp_path):
    output = tmp_path / "out"
    for phase, count in (("Explaining cases", 2), ("Measuring maps", 1), ("Computing figures", 3)):
        with pytest.raises(Cancelled):
            run_on(data, tiny_bundle, output, progress=StopAt(phase, count))
        kept = {path: path.stat().st_mtime_ns for path in output.rglob("cases/*.parquet")}
        assert kept
    run_on(data, tiny_bundle, output)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())  # nothing was done twice
    assert contents(output) == contents(done.output)


def test_workers_give_the_same_bytes(done, data, tiny_bundle, tmp_path):
    run_on(data, tiny_bundle, tmp_path / "out", machine=Machine(workers=1))
    assert contents(tmp_path / "out") == contents(done.output)


def test_thresholds_do_not_know_the_test_split(done, data, tiny_bundle, tmp_path):
    """With other truths in the test split, thresholds stay and the figures change."""
    other = tmp_path / "data"
    shutil.copytree(data, other)
    for name in TEST:
        path = other / "masks" / f"{name}.nii.gz"
        mask = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(mask)
        turned = sitk.GetImageFromArray(np.ascontiguousarray(array[::-1, ::-1]))
        turned.CopyInformation(mask)
        sitk.WriteImage(turned, str(path))
    (other / "slices.csv").unlink()
    found = run_on(other, tiny_bundle, tmp_path / "out")
    for column in ("threshold", "value"):
        assert found.tables["thresholds"][column] == done.tables["thresholds"][column]
    assert found.tables["thresholds"]["test"] != done.tables["thresholds"]["test"]
    changed = [
        (a["value"], b["value"])
        for a, b in zip(found.tables["pixels"].to_pylist(), done.tables["pixels"].to_pylist(), strict=True)
    ]
    assert any(a != b for a, b in changed)


def test_a_case_that_fails_costs_itself_only(done, data, tiny_bundle, tmp_path):
    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    path = broken / "images" / f"{TEST[0]}.nii.gz"
    path.write_bytes(path.read_bytes()[:3000])
    output = tmp_path / "out"
    with pytest.raises(HemoCAMError, match="1 of 5 cases failed"):
        run_on(broken, tiny_bundle, output)
    assert not (output / "manifest.json").exists()
    found = run_on(broken, tiny_bundle, output, allow_failures=True)
    assert (
        list(found.failed) == [TEST[0]]
        and found.tables["thresholds"]["threshold"] == done.tables["thresholds"]["threshold"]
    )
    rows, whole = (pq.read_table(folder / "slices.parquet") for folder in (output, done.output))
    assert set(rows["case"].to_pylist()) == set(TEST[1:])
    assert rows.to_pylist() == [row for row in whole.to_pylist() if row["case"] != TEST[0]]
    assert list(json.loads((output / "manifest.json").read_text())["failed"]) == [TEST[0]]


def test_other_choices_reuse_the_maps_and_other_maps_are_refused(data, tiny_bundle, done, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(done.output, output)
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("maps-*/cases/*.parquet")}
    found = run_on(data, tiny_bundle, output, plan_of(tiny_bundle, rules=("fixed:0.5",)))
    assert {row["rule"] for row in found.tables["pixels"].to_pylist()} == {"chosen", "fixed:0.5"}
    assert kept and all(path.stat().st_mtime_ns == time for path, time in kept.items())
    with pytest.raises(OutputError, match="choose another --output"):
        run_on(data, tiny_bundle, output, plan_of(tiny_bundle, stages=(1,)))
