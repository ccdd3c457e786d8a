"""The trial of the refinement: on a few virtual patients end to end, and its tables by hand."""

import csv

import numpy as np
import pytest
from HemoCAMLib.refinement.refiner import Refiner
from HemoCAMLib.refinement.synthetic import synthetic_map
from HemoCAMLib.refinement.trial import main
from HemoCAMLib.refinement.trial_report import Measured, tables
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("plain", "plain, threshold chosen here", "refined")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial") / "new"
    arguments = ["--patients", "4", "--validation", "3", "--maps", "synthetic", "--output", str(folder)]
    assert main(arguments) == 0
    return folder


def test_a_trial_writes_its_refiner_tables_and_patients(trial):
    assert {p.name for p in trial.iterdir()} == {"refiner.json", "trial.md", "trial.csv", "patients.csv"}
    refiner = Refiner.from_json((trial / "refiner.json").read_text(encoding="utf-8"))
    assert refiner.about["fitted on"] == 4
    text = (trial / "trial.md").read_text(encoding="utf-8")
    assert f"low {refiner.low:g}, high {refiner.high:g}" in text
    with (trial / "patients.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4
    bleeding = [r for r in rows if float(r["ml"]) > 0]
    gain = [float(r["Dice: refined"]) - float(r["Dice: plain"]) for r in bleeding]
    assert np.mean(gain) > 0.1  # on maps made of the truth it has to win
    with (trial / "trial.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = (
            r for r in csv.DictReader(stream) if (r["group"], r["figure"]) == ("refined", "gain on plain")
        )
    assert float(row["value"]) == pytest.approx(np.mean(gain), abs=2e-4)


def test_a_trial_does_not_overwrite(trial, capsys):
    assert main(["--maps", "synthetic", "--output", str(trial)]) == 3
    assert capsys.readouterr().err.endswith("is not empty; choose another --output.\n")


def test_a_trial_of_nobody_is_refused(tmp_path, capsys):
    assert main(["--patients", "0", "--output", str(tmp_path / "new")]) == 2
    assert "at least one patient" in capsys.readouterr().err


def test_patients_that_trained_the_model_are_refused(tmp_path, tiny_bundle, monkeypatch, capsys):
    from dataclasses import replace

    from HemoCAMLib.models.bundle import Bundle

    raw = {**tiny_bundle.manifest.raw, "training": {"recipe": {"seed": 41}}}
    trained = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, raw=raw))
    monkeypatch.setattr(Bundle, "open", lambda *_: trained)
    assert main(["--patients", "1", "--seed", "10", "--output", str(tmp_path / "new")]) == 2
    assert "seed 41 took part in the training" in capsys.readouterr().err


def test_tables_by_hand():
    rows = [
        Measured(n, ("subdural",) if n % 2 else ("epidural", "subdural"), 3.0 + 10 * n,
                 dict(zip(NAMES, (0.2, 0.3, 0.5 + 0.05 * n), strict=True)), dict.fromkeys(NAMES, 0.0))
        for n in range(6)
    ]  # fmt: skip
    clean = Measured(9, (), 0.0, dict.fromkeys(NAMES, 0.0), dict(zip(NAMES, (4.0, 3.0, 1.0), strict=True)))
    whole, kinds, sizes, without = tables([*rows, clean])
    gain = {row.label: row.estimates[1] for row in whole.rows}
    assert gain["refined"].value == pytest.approx(0.425)
    assert gain["refined"].low > 0.3  # paired: the interval is that of the differences
    assert gain["plain"].low == gain["plain"].high == 0
    assert {row.label: row.cases for row in kinds.rows}["epidural"] == 3
    assert {row.label: row.cases for row in kinds.rows}["subdural"] == 6
    assert [row.cases for row in sizes.rows] == [1, 2, 3]
    assert sizes.rows[0].estimates[3].value == pytest.approx(0.5 - 0.3)
    assert [row.estimates[0].value for row in without.rows] == [4.0, 3.0, 1.0]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_synthetic_map_is_a_map(seed):
    blood = np.zeros((8, 60, 50), bool)
    blood[2:6, 20:34, 25:35] = True
    found = synthetic_map(blood, (4.0, 4.0, 5.0), np.random.default_rng(seed))
    assert found.shape == blood.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() in (0, 1)
    np.testing.assert_array_equal(found, synthetic_map(blood, (4.0, 4.0, 5.0), np.random.default_rng(seed)))
    if found[2:6].any():
        assert found[blood].mean() > found[~blood].mean()
