"""``hemocam refine``: fits, measures, goes on after a stop, and enters into a bundle only what is better."""

import json
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from HemoCAMLib.doors.cli import main
from HemoCAMLib.doors.refine import WORK, refine_model
from HemoCAMLib.errors import Cancelled, OptionError, OutputError
from HemoCAMLib.evaluation.bootstrap import Estimate
from HemoCAMLib.evaluation.measure import check_unseen
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from HemoCAMLib.pipeline import Options
from HemoCAMLib.refinement import trial, trial_report

ASKED = Options(gate=0.0)
PATIENTS = cache(make_patient)  # the same few in every test


@pytest.fixture(autouse=True)
def small_patients(monkeypatch):
    """Cohorts of tiny patients, all bleeding."""

    def cohort(count, seed):
        return [
            PatientSpec(
                seed=seed * 1_000_000 + n, kinds=("intraparenchymal",), size=64, spacing_mm=3.6, slice_mm=10.0,
                lesion_ml=(40.0, 60.0),
            )
            for n in range(count)
        ]  # fmt: skip

    monkeypatch.setattr(trial, "cohort", cohort)
    monkeypatch.setattr(trial, "make_patient", PATIENTS)


@pytest.fixture
def model(tiny_bundle, tmp_path):
    """A copy of the tiny bundle that a test may write to."""
    return shutil.copytree(tiny_bundle.folder, tmp_path / "tiny")


def better(low):
    return lambda rows: Estimate(low + 0.1, low, low + 0.2, len(rows), len(rows))


def run(folder, model, **options):
    return refine_model(folder, 1, 1, 1, 7000, str(model), ASKED, **options)


def test_a_better_refinement_enters_manifest_and_card_and_leaves_the_weights(model, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_report, "gain", better(0.1))
    before = (model / "weights.safetensors").read_bytes()
    entry, _, entered = run(tmp_path / "out", model, enter=True)
    bundle = Bundle.open(model)
    refiner = bundle.manifest.refiner("hirescam", 2, "any", "gated")
    assert entered and refiner.to_dict() == json.loads((tmp_path / "out" / "refiner.json").read_text("utf-8"))
    assert (model / "weights.safetensors").read_bytes() == before
    assert bundle.manifest.raw["measured"] == [entry]
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "Refined by default" in card and entry["command"] in card and "gain of the refinement" in card
    assert "--patients 1 --validation 1 --test 1 --seed 7000 --model tiny" in entry["command"]
    assert run(tmp_path / "again", model, enter=True)[2]  # a second fit takes the place of the first
    assert len(Bundle.open(model).manifest.raw["explanation"]["refinements"]) == 1
    assert len(Bundle.open(model).manifest.raw["measured"]) == 1


@pytest.mark.parametrize("low", [-0.01, 0.0, float("nan")])
def test_what_is_not_clearly_better_is_not_entered(low, model, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_report, "gain", better(low))
    before = (model / "model.json").read_bytes()
    assert not run(tmp_path / "out", model, enter=True)[2]
    assert (model / "model.json").read_bytes() == before
    assert (tmp_path / "out" / "refinement.md").exists()


def test_a_stopped_run_goes_on_and_gives_the_same(model, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_report, "gain", better(0.1))
    before = (model / "model.json").read_bytes()
    assert not run(tmp_path / "whole", model)[2]
    assert (model / "model.json").read_bytes() == before  # nothing is entered unless asked

    def stop(phase, done, total):
        if phase == "Measuring":
            raise Cancelled

    with pytest.raises(Cancelled):
        run(tmp_path / "out", model, progress=stop)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [WORK]
    assert len(list((tmp_path / "out" / WORK).glob("map-*.npz"))) == 2
    computed = []
    original = trial.analyse
    monkeypatch.setattr(trial, "analyse", lambda *a: computed.append(1) or original(*a))
    run(tmp_path / "out", model)
    assert len(computed) == 1
    for name in ("refiner.json", "refinement.md", "refinement.csv", "patients.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_kept_maps_are_the_maps_to_the_last_bit(model, tmp_path):
    bundle = Bundle.open(model)
    specs = trial.cohort(1, 7000)
    made = [next(trial.Maps(bundle, ASKED, tmp_path).cases(specs, "", lambda *_: None)) for _ in range(2)]
    fresh = next(trial.Maps(bundle, ASKED).cases(specs, "", lambda *_: None))
    assert fresh.case.heatmap.any()
    for one in made:
        assert np.array_equal(one.case.heatmap, fresh.case.heatmap) and one.case.heatmap.dtype == np.float32


def test_a_folder_of_something_else_is_left_alone(model, tmp_path):
    (tmp_path / "out" / WORK).mkdir(parents=True)
    (tmp_path / "out" / WORK / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="choose another --output"):
        run(tmp_path / "out", model)


def test_patients_that_trained_the_model_are_refused(tiny_bundle, tmp_path, monkeypatch):
    raw = {**tiny_bundle.manifest.raw, "training": {"recipe": {"seed": 7001}}}
    trained = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, raw=raw))
    monkeypatch.setattr(Bundle, "open", lambda *_: trained)
    with pytest.raises(OptionError, match="seed 7001 took part in the training"):
        run(tmp_path / "out", "tiny")


def test_patients_that_fitted_the_refinement_are_not_measured_on(model, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_report, "gain", better(0.1))
    run(tmp_path / "out", model, enter=True)
    bundle = Bundle.open(model)
    for seed in (7000, 7001):
        with pytest.raises(OptionError, match=f"seed {seed} took part in the mask refinement"):
            check_unseen(trial.cohort(1, seed), bundle)
    check_unseen(trial.cohort(1, 7002), bundle)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--patients", "0"], "at least one patient"), (["--seed", "-1"], "seed from 0"), (["--stage", "9"], "stage 9"),
     (["--target", "tumor"], "tumor"), (["--model", "nowhere"], "no model")],
)  # fmt: skip
def test_what_cannot_be_done_gets_one_sentence(arguments, word, model, tmp_path, capsys):
    given = ["refine", "--output", str(tmp_path / "out"), "--model", str(model), "--quiet", *arguments]
    assert main(given) == 2
    said = capsys.readouterr().err.strip()
    assert word in said and "\n" not in said


def test_the_command_prints_what_it_found(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(trial_report, "gain", better(-0.3))
    bundle = Bundle.open(model)
    content = json.loads(json.dumps(bundle.manifest.raw))
    content["calibration"]["any"]["threshold"] = 0.0  # every slab passes the gate
    (model / "model.json").write_text(json.dumps(content), encoding="utf-8")
    given = ["refine", "--patients", "1", "--validation", "1", "--test", "1", "--seed", "7000", "--record"]
    assert main([*given, "--model", str(model), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "mean Dice of the refined mask, 1 bleeding patients" in said
    assert "Not entered: the refined masks are not clearly better." in said
