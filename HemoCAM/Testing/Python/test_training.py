"""Training: samples are what the pipeline sees, a killed run goes on, the result is a whole bundle."""

import json

import numpy as np
import pytest
import torch
from conftest import tiny_manifest
from HemoCAMLib.errors import Cancelled, ModelError, OutputError
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec
from HemoCAMLib.training.augment import augment
from HemoCAMLib.training.calibrate import calibrate, decision_threshold, dice_curve, platt
from HemoCAMLib.training.export import card, write_bundle
from HemoCAMLib.training.loop import Recipe, aucs, train
from HemoCAMLib.training.run import train_bundle
from HemoCAMLib.training.samples import POSITIVE_MM2, Samples, prepare, sample_patient


def small_manifest(**changes) -> Manifest:
    content = tiny_manifest(**changes)
    content["input"]["size"] = 64
    return Manifest.of(content)


def spots(count: int, seed: int = 0) -> Samples:
    """Discs of tissue, every second with a bright spot: a task that a network learns in seconds."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    hu = np.where((y - 32) ** 2 + (x - 32) ** 2 < 28**2, 30, -1000) + rng.normal(0, 3, (count, 64, 64))
    labels = np.zeros((count, 64, 64), np.uint8)
    for n in range(0, count, 2):
        r, c = rng.integers(18, 46, 2)
        labels[n][(y - r) ** 2 + (x - c) ** 2 < 36] = 2
    hu[labels > 0] += 45
    area = np.zeros((count, len(KINDS)), np.float32)
    area[:, 1] = labels.astype(bool).sum((1, 2)) * 14.0
    return Samples(hu.astype(np.int16), area, labels, np.arange(count) // 4)


def test_a_sample_is_what_the_pipeline_sees_and_its_labels_lie_on_the_blood():
    manifest = small_manifest()
    spec = PatientSpec(seed=11, kinds=("intraparenchymal",), size=128, spacing_mm=1.8, lesion_ml=(40, 60))
    arrays = sample_patient(spec, manifest)
    assert arrays["hu"].shape == arrays["labels"].shape and arrays["hu"].shape[1:] == (64, 64)
    kind = KINDS.index("intraparenchymal")
    inside = arrays["hu"][arrays["labels"] == kind + 1]
    assert 40 < np.median(inside) < 95
    # the same millilitres by the area a slab and by the pixels of the labels
    ml = arrays["area_mm2"][:, kind].sum() * 5 / 1000
    pixels = (arrays["labels"] > 0).sum() * (manifest.field_of_view_mm / 64) ** 2 * 5 / 1000
    assert 35 < ml < 70 and pixels == pytest.approx(ml, rel=0.15)


def test_targets_leave_out_what_is_neither_clean_nor_bleeding():
    area = np.zeros((3, len(KINDS)), np.float32)
    area[1, 1], area[2, 1] = POSITIVE_MM2 / 2, POSITIVE_MM2 * 2
    empty = np.zeros((3, 2, 2))
    targets, weights = Samples(empty, area, empty, np.arange(3)).targets(
        ("any", "subdural", "intraparenchymal")
    )
    assert targets[:, 0].tolist() == [0, 0, 1] and weights[:, 0].tolist() == [1, 0, 1]
    assert targets[:, 1].tolist() == [0, 0, 0] and weights[:, 1].tolist() == [1, 1, 1]
    assert targets[:, 2].tolist() == [0, 0, 1]


def test_patients_are_made_once(tmp_path):
    manifest = small_manifest()
    specs = [PatientSpec(seed=s, size=96, spacing_mm=2.4, slice_mm=12) for s in (1, 2)]
    first = prepare(specs, manifest, tmp_path, workers=1)
    stamps = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    again = prepare(specs, manifest, tmp_path, workers=1)
    assert stamps == {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert np.array_equal(first.hu, again.hu) and set(first.patient) == {1, 2}


def test_augmentation_is_seeded_and_keeps_hu_in_place():
    hu = torch.from_numpy(spots(8).hu).float()
    one, same, other = (augment(hu, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.shape == hu.shape and torch.isfinite(one).all()
    tissue = one[(one > -200)]
    assert 25 < float(tissue.median()) < 36


def test_a_network_learns_and_its_map_finds_the_spot(tmp_path):
    """The loop, calibration and thresholds together, on a task with a known answer."""
    manifest = small_manifest()
    recipe = Recipe(epochs=6, batch=16, learning_rate=4e-3, ema_decay=0.9, label_smoothing=0.0)
    network = train(spots(160), spots(64, 1), manifest, recipe, tmp_path)
    score = aucs(network, spots(64, 2), manifest)
    assert score["auc_any"] > 0.95
    curve, hits = dice_curve(network, spots(64, 2), manifest, "hirescam", 2)
    assert hits > 0.5 and curve.max() > 0.2


def test_a_killed_run_goes_on_at_its_last_whole_epoch(tmp_path):
    manifest, samples = small_manifest(), spots(32)
    recipe = Recipe(epochs=3, batch=16)

    def whole(folder):
        folder.mkdir()
        return train(samples, samples, manifest, recipe, folder)

    def kill(phase, done, total):
        if phase.startswith("Epoch 3"):
            raise Cancelled

    expected = whole(tmp_path / "a").state_dict()
    (tmp_path / "b").mkdir()
    with pytest.raises(Cancelled):
        train(samples, samples, manifest, recipe, tmp_path / "b", kill)
    assert len((tmp_path / "b" / "log.csv").read_text().splitlines()) == 3
    resumed = train(samples, samples, manifest, recipe, tmp_path / "b").state_dict()
    assert len((tmp_path / "b" / "log.csv").read_text().splitlines()) == 4
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name


def test_platt_finds_the_slope_that_made_the_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 20000)
    labels = (rng.random(20000) < 1 / (1 + np.exp(-(0.7 * logits - 0.4)))).astype(float)
    assert platt(logits, labels) == pytest.approx((0.7, -0.4), abs=0.06)


def test_platt_stays_finite_where_the_classes_are_separable():
    slope, intercept = platt(np.array([-2.0, -1, 1, 2]), np.array([0.0, 0, 1, 1]))
    assert np.isfinite([slope, intercept]).all() and slope <= 20


def test_the_decision_threshold_keeps_its_specificity():
    rng = np.random.default_rng(1)
    truth = (rng.random(4000) < 0.3).astype(float)
    probability = np.clip(rng.normal(0.25 + 0.5 * truth, 0.15), 0, 1)
    threshold = decision_threshold(probability, truth)
    called = probability >= threshold
    assert 1 - called[truth == 0].mean() >= 0.98
    assert called[truth == 1].mean() > 0.5


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


def test_the_card_says_first_that_no_patient_trained_it(tiny_bundle):
    text = card(tiny_bundle.manifest)
    assert text.splitlines()[2].startswith("No patient has trained these weights")
    assert tiny_bundle.sha256 in text


def test_training_refuses_to_overwrite_a_bundle(tiny_bundle, tmp_path):
    with pytest.raises(OutputError, match="exists"):
        train_bundle(tiny_bundle.folder, tmp_path, Recipe())


@pytest.mark.slow
def test_from_nothing_to_a_bundle(tmp_path):
    """The whole of `hemocam train`, tiny."""
    content = tiny_manifest()
    content["input"]["size"] = 64
    blueprint = tmp_path / "blueprint.json"
    blueprint.write_text(json.dumps(content), encoding="utf-8")
    recipe = Recipe(patients=3, validation_patients=3, epochs=1, batch=8)
    bundle = train_bundle(
        tmp_path / "models" / "made", tmp_path / "work", recipe, blueprint, stages=(2,), workers=2
    )
    manifest = bundle.manifest
    assert manifest.name == "made" and manifest.raw["training"]["recipe"]["patients"] == 3
    assert manifest.raw["measured"][0]["values"]["auc_any"] >= 0
    assert set(manifest.thresholds) >= {"default", "hirescam", "scorecam"}
    bundle.network()
