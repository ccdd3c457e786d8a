"""Training: a network learns, a killed run goes on, calibration is right, the result is a whole bundle."""

import csv
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import tiny_manifest
from HemoCAMLib.doors.cli import main
from HemoCAMLib.errors import Cancelled, HemoCAMError, ModelError, OptionError, OutputError
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.phantoms.patient import PatientSpec
from HemoCAMLib.training.calibrate import MIN_SPECIFICITY, calibrate, decision_threshold, dice_curves, platt
from HemoCAMLib.training.evaluate import aucs, predict
from HemoCAMLib.training.export import write_bundle
from HemoCAMLib.training.loop import Recipe, train
from HemoCAMLib.training.run import train_bundle
from HemoCAMLib.training.samples import Samples, prepare
from HemoCAMLib.training.sources import InMemory
from training_cases import QUICK, small_manifest, spots


def test_patients_are_made_once_and_again_where_the_file_is_damaged(tmp_path):
    manifest = small_manifest()
    specs = [PatientSpec(seed=s, size=64, spacing_mm=3.6, slice_mm=15) for s in (1, 2)]
    first = prepare(specs, manifest, tmp_path, workers=0)
    stamps = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    again = prepare(specs, manifest, tmp_path, workers=0)
    assert stamps == {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert np.array_equal(first.hu, again.hu) and set(first.patient) == {1, 2}
    damaged = sorted(tmp_path.iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert np.array_equal(prepare(specs, manifest, tmp_path, workers=0).hu, first.hu)


def test_a_network_learns_and_its_map_finds_the_spot(tmp_path):
    """The loop, calibration and thresholds together, on a task with a known answer."""
    manifest = small_manifest(
        explanation={**tiny_manifest()["explanation"], "stage": 6},
        architecture={"timm": "test_efficientnet", "options": {"output_stride": 8}},
    )
    recipe = Recipe(epochs=5, steps_per_epoch=16, batch=16, learning_rate=4e-3, ema_decay=0.9, captures=0.25)
    network = train(InMemory(spots(160)), spots(64, 1), manifest, recipe, tmp_path)
    test = spots(64, 2)
    score = aucs(predict(network, test, manifest), test, manifest.classes)
    assert score["auc_any"] > 0.95
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert float(rows[-1]["evidence_loss"]) < float(rows[0]["evidence_loss"])
    assert float(rows[-1]["picture_auc_any"]) > 0.8
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    curve, hits = dice_curves(network, test, manifest, ["hirescam"], [6])["hirescam", 6]
    assert hits > 0.2 and curve.max() > 0.1


def test_a_stopped_run_goes_on_at_its_last_whole_epoch(tmp_path):
    manifest, samples = small_manifest(), spots(32)
    recipe = Recipe(**{**QUICK.__dict__, "patience": 3, "schedule": "cosine"})

    def kill(phase, done, total):
        if phase.startswith("Epoch 3") and done == 2:
            raise Cancelled

    expected = train(InMemory(samples), samples, manifest, recipe, tmp_path / "a").state_dict()
    with pytest.raises(Cancelled):
        train(InMemory(samples), samples, manifest, recipe, tmp_path / "b", kill)
    assert len((tmp_path / "b" / "log.csv").read_text().splitlines()) == 3
    resumed = train(InMemory(samples), samples, manifest, recipe, tmp_path / "b").state_dict()
    assert len((tmp_path / "b" / "log.csv").read_text().splitlines()) == 4
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name
    with pytest.raises(OptionError, match="other options"):
        train(InMemory(samples), samples, manifest, QUICK, tmp_path / "b")


def test_training_stops_when_the_score_no_longer_rises(tmp_path, monkeypatch):
    """And returns the weights of the best epoch."""
    from HemoCAMLib.training import evaluate

    scores = iter([0.6, 0.9, 0.8, 0.7])
    seen = []

    def score(self, trainee, size):
        seen.append(trainee.network.conv_stem.weight.detach().clone())
        return {"score": next(scores)}

    monkeypatch.setattr(evaluate.Exam, "score", score)
    recipe = Recipe(**{**QUICK.__dict__, "epochs": 9, "patience": 2, "sizes": ((64, 1.0),)})
    network = train(InMemory(spots(32)), spots(16), small_manifest(), recipe, tmp_path)
    assert len(seen) == 4
    assert torch.equal(network.conv_stem.weight, seen[1])


def test_a_loss_that_is_not_finite_ends_the_training_with_a_sentence(tmp_path):
    samples = spots(32)
    hu = samples.hu.astype(np.float32)
    hu[:] = np.nan
    with pytest.raises(HemoCAMError, match="not finite in epoch 1"):
        bad = Samples(hu, samples.area_mm2, samples.labels, samples.patient)
        train(InMemory(bad), samples, small_manifest(), QUICK, tmp_path)


def test_platt_finds_the_slope_that_made_the_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 20000)
    labels = (rng.random(20000) < 1 / (1 + np.exp(-(0.7 * logits - 0.4)))).astype(float)
    assert platt(logits, labels) == pytest.approx((0.7, -0.4), abs=0.06)


def test_platt_stays_finite_where_the_classes_are_separable():
    slope, intercept = platt(np.array([-2.0, -1, 1, 2]), np.array([0.0, 0, 1, 1]))
    assert np.isfinite([slope, intercept]).all() and slope <= 20


def test_the_decision_threshold_is_the_best_of_those_that_are_specific_enough():
    rng = np.random.default_rng(1)
    truth = (rng.random(4000) < 0.3).astype(float)
    probability = np.clip(rng.normal(0.25 + 0.5 * truth, 0.15), 0, 1)

    def rates(threshold):
        called = probability >= threshold
        return called[truth == 1].mean(), 1 - called[truth == 0].mean()

    sensitivity, specificity = rates(decision_threshold(probability, truth))
    assert specificity >= MIN_SPECIFICITY
    tried = [rates(t) for t in np.arange(0.05, 0.951, 0.001)]
    assert sensitivity + specificity == pytest.approx(
        max(a + b for a, b in tried if b >= MIN_SPECIFICITY), abs=1e-3
    )


def test_a_class_that_never_occurs_keeps_its_raw_probability():
    samples = spots(16)
    result = calibrate(np.random.default_rng(0).normal(size=(16, 6)), samples, small_manifest().classes)
    assert result["subdural"] == {"slope": 1.0, "intercept": 0.0, "threshold": 0.5}


def test_a_bundle_is_written_whole_or_not_at_all(tiny_bundle, tmp_path):
    network = tiny_bundle.network()
    content = tiny_manifest()
    del content["licence"]
    with pytest.raises(ModelError, match="licence"):
        write_bundle(network, content, tmp_path / "bad")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="exists"):
        write_bundle(network, tiny_manifest(), tiny_bundle.folder)


def test_training_refuses_to_overwrite_a_bundle(tiny_bundle, tmp_path):
    with pytest.raises(OutputError, match="exists"):
        train_bundle(tiny_bundle.folder, tmp_path, Recipe())


def blueprint(folder):
    content = tiny_manifest()
    content["input"] |= {"size": 64, "slab_mm": 20}  # few slabs
    del content["input"]["picture"]
    path = folder / "blueprint.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_from_nothing_to_a_bundle_through_a_kill(tmp_path, capsys):
    """The whole of `hemocam train`, tiny: killed in its second epoch, called again, a bundle comes out."""
    command = [
        "train", "--output", str(tmp_path / "made"), "--work", str(tmp_path / "work"),
        "--blueprint", str(blueprint(tmp_path)), "--patients", "2", "--validation-patients", "4",
        "--epochs", "2", "--steps", "6", "--batch", "4", "--device", "cpu",
    ]  # fmt: skip
    checkpoint = tmp_path / "work" / "checkpoint.pt"
    first = subprocess.Popen(
        [sys.executable, "-m", "HemoCAMLib.doors.cli", *command, "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    first.kill()
    _, errors = first.communicate()  # returns when its workers have ended, too: they hold the pipe
    assert checkpoint.exists() and not (tmp_path / "made").exists(), errors.decode()
    assert main([*command, "--workers", "0"]) == 0
    said = capsys.readouterr()
    assert "Epoch 1 of 2" not in said.err and "auc_any" in said.out
    rows = list(csv.DictReader((tmp_path / "work" / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    manifest = Manifest.read(tmp_path / "made" / "model.json")
    assert manifest.name == "made" and manifest.raw["training"]["recipe"]["epochs"] == 2
    assert manifest.raw["training"]["command"] == (
        "hemocam train --patients 2 --validation-patients 4 --epochs 2 --steps 6 --batch 4"
    )
    assert manifest.picture.calibration.keys() == manifest.calibration.keys()
    assert manifest.for_pictures().mask_threshold("hirescam", 2) == manifest.picture.mask_threshold
    assert set(manifest.thresholds) >= {"default", "hirescam", "scorecam"}
