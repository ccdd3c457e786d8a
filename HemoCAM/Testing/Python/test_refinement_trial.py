"""The trial of the refinement: on a few virtual patients end to end, and its tables by hand."""

import csv
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from HemoCAMLib.phantoms.cohort import cohort
from HemoCAMLib.refinement import trial as trial_module
from HemoCAMLib.refinement.refiner import Refiner
from HemoCAMLib.refinement.synthetic import synthetic_map
from HemoCAMLib.refinement.trial import Maps, run
from HemoCAMLib.refinement.trial_report import Measured, gain, tables, write
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("plain", "plain, threshold chosen here", "refined")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A trial on maps made of the truth: its folder, refiner and entry."""
    folder = tmp_path_factory.mktemp("trial")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_module, "cohort", partial(cohort, size=128, slice_mm=8.0, healthy=0.0))
        refiner, rows = run(5, 3, 3, 5120, Maps(None))
    return folder, refiner, write(folder, refiner, rows, "hemocam refine ...")


def test_a_trial_writes_its_refiner_tables_and_patients(trial):
    folder, refiner, entry = trial
    assert {p.name for p in folder.iterdir()} == {
        "refiner.json",
        "refinement.md",
        "refinement.csv",
        "patients.csv",
    }
    assert Refiner.from_json((folder / "refiner.json").read_text(encoding="utf-8")) == refiner
    assert refiner.about["fitted on"] == 5
    assert refiner.about["seeds"] == [5120, 5121]  # those who must not be measured on
    text = (folder / "refinement.md").read_text(encoding="utf-8")
    assert f"low {refiner.low:g}, high {refiner.high:g}" in text
    with (folder / "patients.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(r["seed"]) // 1_000_000 for r in rows] == [5122] * 3
    bleeding = [r for r in rows if float(r["ml"]) > 0]
    gain = [float(r["Dice: refined"]) - float(r["Dice: plain"]) for r in bleeding]
    assert np.mean(gain) > 0.1  # on maps made of the truth it has to win
    with (folder / "refinement.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = (
            r for r in csv.DictReader(stream) if (r["group"], r["figure"]) == ("refined", "gain on plain")
        )
    assert float(row["value"]) == pytest.approx(np.mean(gain), abs=2e-4)
    plain = np.mean([float(r["Dice: plain"]) for r in bleeding])
    shown = entry["values"][f"mean Dice of the plain mask, {len(bleeding)} bleeding patients"]
    assert float(shown.split()[0]) == pytest.approx(plain, abs=1e-3)


def test_the_gain_is_that_of_the_table():
    rows = [
        Measured(n, ("subdural",), 9.0, dict(zip(NAMES, (0.2, 0.3, 0.5), strict=True)), dict.fromkeys(NAMES, 0.0))
        for n in range(6)
    ]  # fmt: skip
    assert gain(rows).low == pytest.approx(0.3)
    assert gain([replace(r, ml=0.0) for r in rows]) is None


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
