"""``hemocam measure``: patients one by one, kept, compared with their labels; a stopped run goes on."""

import csv
import json
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
from HemoCAMLib.doors import measure as door
from HemoCAMLib.doors.cli import main
from HemoCAMLib.errors import Cancelled, OptionError, OutputError
from HemoCAMLib.evaluation import measure as measuring
from HemoCAMLib.evaluation.failures import Failure
from HemoCAMLib.evaluation.figures import tables
from HemoCAMLib.evaluation.measure import SHOWN, WORK, KeptBundle, fingerprint, measure
from HemoCAMLib.evaluation.patients import FAILURES, PatientResult, judge, of_target, target_area
from HemoCAMLib.evaluation.phantom_report import failure_sheet
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec, make_patient
from HemoCAMLib.pipeline import Options, analyse
from PIL import Image


def small(seed, kinds=("intraparenchymal",), ml=(40.0, 60.0)):
    return PatientSpec(
        seed=seed, kinds=kinds, size=64, spacing_mm=3.6, slice_mm=10.0, lesion_ml=ml if kinds else None
    )


SPECS = [small(5), small(6, ()), small(7, ("subdural",))]


@pytest.fixture(scope="module")
def results(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return measure(SPECS, tiny_bundle, folder), folder


@pytest.fixture(scope="module")
def judged(tiny_bundle):
    """A patient whose analysis is exchanged for a perfect one, and for one that sees nothing."""
    patient = make_patient(small(5))
    analysis = analyse(patient.ct, tiny_bundle, Options(gate=0.0))
    truth = (patient.labels.array > 0).astype(np.uint8)
    perfect = replace(
        analysis,
        mask=patient.ct.like(truth, "mask"),
        heatmap=patient.ct.like(truth.astype(np.float32), "map"),
    )
    blind = replace(
        analysis,
        gate=np.zeros_like(analysis.gate),
        mask=patient.ct.like(0 * truth, "mask"),
        heatmap=patient.ct.like(0 * truth.astype(np.float32), "map"),
    )
    return patient, judge(patient, perfect), judge(patient, blind)


def same(one: PatientResult, other: PatientResult) -> bool:
    names = [f.name for f in fields(PatientResult) if f.name != "failures"]
    return all(np.array_equal(getattr(one, n), getattr(other, n), equal_nan=True) for n in names)


def test_a_perfect_map_scores_one_and_a_blind_one_nothing(judged):
    _, perfect, blind = judged
    bleeding = ~np.isnan(perfect.dice)
    assert perfect.volume_dice == perfect.volume_iou == perfect.volume_peak == 1
    assert (perfect.dice[bleeding] == 1).all() and bleeding.sum() >= 2
    assert blind.volume_dice == blind.volume_peak == 0 and (blind.peak[bleeding] == 0).all()
    assert "beside" not in perfect.failures and "missed" in blind.failures


def test_areas_add_up_to_the_volume(judged):
    patient, result, _ = judged
    voxels = (patient.labels.array > 0).sum()
    assert result.ml.sum() == pytest.approx(voxels * patient.ct.voxel_ml)
    assert result.area_mm2.sum() * 10 / 1000 == pytest.approx(result.ml.sum(), rel=1e-5)  # slabs of 10 mm
    assert result.ml[KINDS.index("intraparenchymal")] == result.ml.sum()
    assert ((result.area_mm2.sum(1) > 0) == ~np.isnan(result.dice)).all()


def test_a_failure_shows_the_bleeding_where_it_is(judged):
    _, _, blind = judged
    missed = blind.failures["missed"]
    assert missed.weight == pytest.approx(blind.area_mm2.sum(1).max(), rel=1e-6)
    pixel = (240 / missed.truth.shape[0]) ** 2
    assert missed.truth.sum() * pixel == pytest.approx(missed.weight, rel=0.25)
    brain = (missed.picture > 40) & (missed.picture < 250) & ~missed.truth
    assert np.median(missed.picture[missed.truth]) > np.median(missed.picture[brain]) + 20


def test_a_class_stands_for_its_blood():
    labels = np.array([0, 1, 2, 5])
    assert of_target(labels, "any").tolist() == of_target(labels, "hemorrhage").tolist() == [0, 1, 1, 1]
    assert of_target(labels, KINDS[1]).tolist() == [0, 0, 1, 0]
    area = np.arange(10.0).reshape(2, 5)
    assert target_area(area, "any").tolist() == [10, 35] and target_area(area, KINDS[2]).tolist() == [2, 7]


def test_results_come_back_from_their_file(judged, tmp_path):
    for result in judged[1:]:
        result.save(tmp_path / "p.npz")
        loaded = PatientResult.load(tmp_path / "p.npz")
        assert same(result, loaded) and loaded.failures.keys() == result.failures.keys()
        for name, failure in result.failures.items():
            for f in fields(Failure):
                assert np.array_equal(getattr(failure, f.name), getattr(loaded.failures[name], f.name))
    assert [p.name for p in tmp_path.iterdir()] == ["p.npz"]


def test_a_stopped_run_goes_on_and_gives_the_same(results, tiny_bundle, tmp_path, monkeypatch):
    whole, _ = results

    def stop(phase, done, total):
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure(SPECS, tiny_bundle, tmp_path, progress=stop)
    kept = sorted((tmp_path / WORK).glob("*.npz"))
    assert len(kept) == 2
    stamps = [p.stat().st_mtime_ns for p in kept]
    (tmp_path / WORK / "tmpx.part").write_bytes(b"what a kill leaves")
    examined = []
    original = measuring.examine
    monkeypatch.setattr(measuring, "examine", lambda s, *a: examined.append(s.seed) or original(s, *a))
    again = measure(SPECS, tiny_bundle, tmp_path)
    assert examined == [7] and [p.stat().st_mtime_ns for p in kept] == stamps
    assert all(same(one, other) for one, other in zip(whole, again, strict=True))


def test_another_model_or_calibration_does_not_go_on(results, tiny_bundle, tmp_path):
    _, folder = results
    shutil.copytree(tiny_bundle.folder, tmp_path / "tiny")
    content = json.loads((tmp_path / "tiny" / "model.json").read_text(encoding="utf-8"))
    content["calibration"]["any"]["intercept"] = 0.5
    (tmp_path / "tiny" / "model.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(OutputError, match="another model"):
        measure(SPECS, Bundle.open(tmp_path / "tiny"), folder)
    options = Options().resolved(tiny_bundle.manifest)
    mark = fingerprint(tiny_bundle, options)
    assert mark == fingerprint(tiny_bundle, replace(options, device="cuda"))
    assert mark != fingerprint(tiny_bundle, replace(options, threshold=0.9))


def test_patients_of_the_training_are_refused(tiny_bundle, tmp_path):
    content = json.loads(json.dumps(tiny_bundle.manifest.raw))
    content["training"]["recipe"] = {"seed": 3}
    manifest = type(tiny_bundle.manifest).of(content)
    bundle = Bundle(tiny_bundle.folder, manifest, tiny_bundle.sha256)
    for seed in (3, 1003, 2003):
        with pytest.raises(OptionError, match=f"seed {seed} took part"):
            measure([small(seed * 1_000_000 + 4)], bundle, tmp_path)
    measuring.check_unseen([small(4_000_000)], bundle)
    with pytest.raises(OptionError, match="at least one"):
        measure([], bundle, tmp_path)


def test_the_network_is_built_once(tiny_bundle):
    kept = KeptBundle(tiny_bundle.folder, tiny_bundle.manifest, tiny_bundle.sha256)
    assert kept.network() is kept.network() and tiny_bundle.network() is not tiny_bundle.network()


def test_only_the_worst_pictures_stay_in_memory(judged):
    _, _, blind = judged
    many = [
        replace(blind, failures={"missed": replace(blind.failures["missed"], weight=float(n))})
        for n in range(SHOWN + 5)
    ]
    measuring._keep_worst(many)
    assert [bool(r.failures) for r in many] == [False] * 5 + [True] * SHOWN


def made_up(rng, count=60):
    """Results of a model that is better the larger the bleeding."""
    found = []
    for n in range(count):
        area = np.zeros((12, 5), np.float32)
        if n % 2:
            area[3:9, n % 5] = rng.uniform(20, 1500, 6)
        total = area.sum(1)
        score = 1 / (1 + np.exp(-(rng.normal(-1.5, 1, 12) + total / 200)))
        blood = total > 0
        dice = np.where(blood, np.minimum(total / 2000, 1), np.nan)
        found.append(
            PatientResult(
                n, np.column_stack([score] * 6), score >= 0.5, area, dice, (dice > 0.2) * np.where(blood, 1, np.nan),
                area.sum(0) * 5 / 1000, *([float(np.nanmean(dice))] * 3 if n % 2 else [np.nan] * 3),
                np.arange(12)[::-1] * 5.0, 0.0, float(score.max()),
            )
        )  # fmt: skip
    return found


def test_the_tables_divide_what_they_should(tiny_bundle):
    from scipy.stats import mannwhitneyu

    found = made_up(np.random.default_rng(0))
    overall, kinds, areas, volumes = tables(found, tiny_bundle.manifest)
    rows = {row.label: row for row in overall.rows}
    score = np.concatenate([r.probability[:, 0] for r in found]).astype(np.float64)
    area = np.concatenate([r.area_mm2.sum(1) for r in found])
    positive, clean = score[area >= 30], score[area == 0]
    first = overall.rows[0].estimates[0]
    assert first.value == pytest.approx(mannwhitneyu(positive, clean).statistic / len(positive) / len(clean))
    assert first.low < first.value < first.high
    sensitivity = rows["sensitivity, slices"]
    assert sensitivity.estimates[0].value == pytest.approx((positive >= 0.5).mean())
    assert rows["specificity, clean slices"].estimates[0].value == pytest.approx((clean < 0.5).mean())
    assert rows["specificity, slices of healthy patients"].cases == 30 * 12
    assert rows["Dice of the default mask, patients"].cases == 30
    assert sum(r.cases for r in kinds.rows) == (area >= 30).sum()
    assert sum(r.cases for r in areas.rows) == (area > 0).sum()
    assert (
        sum(r.cases for r in volumes.rows) == (area >= 30).sum()
        and sum(r.patients for r in volumes.rows) == 30
    )
    sensitivities = [r.estimates[1].value for r in areas.rows]
    assert sensitivities == sorted(sensitivities), "the larger, the easier"


def test_the_sheet_of_failures_names_what_it_shows(judged, tmp_path):
    _, perfect, blind = judged
    assert failure_sheet([replace(perfect, failures={})], tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()
    caption = failure_sheet([blind], tmp_path / "some.png")
    assert "missed" in caption and "false alarms" not in caption
    with Image.open(tmp_path / "some.png") as sheet:
        assert sheet.mode == "P" and sheet.width == 990
    assert (tmp_path / "some.png").stat().st_size < 60_000


def test_the_command_leaves_a_report_and_enters_it_into_the_card(tiny_bundle, tmp_path, monkeypatch, capsys):
    shutil.copytree(tiny_bundle.folder, tmp_path / "tiny")
    monkeypatch.setattr("HemoCAMLib.phantoms.cohort.cohort", lambda count, seed: SPECS[:count])
    out = tmp_path / "out"
    call = [
        "measure",
        "--patients",
        "3",
        "--model",
        str(tmp_path / "tiny"),
        "--output",
        str(out),
        "--record",
        "--quiet",
    ]
    assert main(call) == 0
    assert "sensitivity, slices: " in capsys.readouterr().out
    names = {p.name for p in out.iterdir()}
    of_heads = {"heads.csv", "profile.csv", "measures.json", "report.md"}
    patients = {"measurement.md", "measurement.csv", "slices.csv", "curves.png"}
    assert names - {"failures.png"} == {WORK} | of_heads | patients
    text = (out / "measurement.md").read_text(encoding="utf-8")
    assert "## By kind" in text and "| subdural |" in text and f"--seed {door.SEED}" in text
    with (out / "slices.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {r["patient"] for r in rows} == {"5", "6", "7"} and 0 <= float(rows[0]["p_any"]) <= 1
    entry = json.loads((tmp_path / "tiny" / "model.json").read_text(encoding="utf-8"))["measured"][-1]
    assert entry["command"].startswith("hemocam measure --patients 3") and len(entry["tables"]) == 3
    assert "By kind" in (tmp_path / "tiny" / "README.md").read_text(encoding="utf-8")
    for picture in entry.get("pictures", ()):
        assert (tmp_path / "tiny" / picture["file"]).is_file()
    assert main(call) == 0, "again: nothing is examined anew, though the card has changed"


@pytest.mark.parametrize("failure", FAILURES)
def test_every_failure_has_a_heading(failure):
    from HemoCAMLib.evaluation.phantom_report import FAILURE_HEADINGS

    assert failure in FAILURE_HEADINGS


def test_no_patients_is_one_sentence(tmp_path, capsys):
    assert main(["measure", "--patients", "0", "--output", str(tmp_path / "x"), "--quiet"]) == 2
    assert "--patients" in capsys.readouterr().err and not (tmp_path / "x").exists()
