"""The figures themselves: areas, intervals, calibration, peaks, tables, and the card that shows them."""

import csv
import math

import numpy as np
import pytest
from conftest import tiny_manifest
from HemoCAMLib.errors import ModelError
from HemoCAMLib.evaluation.bootstrap import FEWEST, UNDEFINED, Bootstrap, Estimate
from HemoCAMLib.evaluation.figures import AREA_MM2, classes
from HemoCAMLib.evaluation.peak import peak_inside
from HemoCAMLib.evaluation.pictures import Tile, draw_sheet
from HemoCAMLib.evaluation.record import record
from HemoCAMLib.evaluation.reliability import brier, calibration_error, reliability
from HemoCAMLib.evaluation.roc import auc, curve, delong, wilson
from HemoCAMLib.evaluation.tables import Row, Table, write_csv
from HemoCAMLib.models.card import DATA_SETS, VIRTUAL_ONLY, card
from HemoCAMLib.models.manifest import Manifest
from hypothesis import given
from hypothesis import strategies as st

# few values, so that ties are common; both sides present
cases = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40).filter(
    lambda rows: 2 <= sum(t for _, t in rows) <= len(rows) - 2
)


def kernel(positive, negative):
    """1 for a pair in the right order, 1/2 for a tie: (positives, negatives)."""
    difference = np.subtract.outer(positive, negative)
    return (difference > 0) + 0.5 * (difference == 0)


@given(cases)
def test_area_and_its_variance_are_those_of_all_pairs(rows):
    scores, truth = np.array([s for s, _ in rows]), np.array([t for _, t in rows])
    won = kernel(scores[truth], scores[~truth])
    area, low, high = delong(scores, truth)
    assert area == pytest.approx(won.mean()) and auc(scores, truth) == area
    variance = won.mean(1).var(ddof=1) / truth.sum() + won.mean(0).var(ddof=1) / (~truth).sum()
    reach = 1.959964 * math.sqrt(variance)
    assert low == pytest.approx(max(0, area - reach), abs=1e-6)
    assert high == pytest.approx(min(1, area + reach), abs=1e-6)
    false, true = curve(scores, truth)
    assert (np.diff(false) * (true[1:] + true[:-1]) / 2).sum() == pytest.approx(area)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (np.diff(false) >= 0).all() and (np.diff(true) >= 0).all()


def test_delong_on_the_published_ratings_of_109_ct_scans():
    """Hanley and McNeil 1982, table I: area 0.893; with DeLong's variance, Stata's roctab prints 0.83295, 0.95339."""
    scores = np.repeat([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], [33, 6, 6, 11, 2, 3, 2, 2, 11, 33])
    truth = np.repeat([0, 1], [58, 51])
    assert delong(scores, truth) == pytest.approx((0.893171, 0.83295, 0.95339), abs=1e-5)


def test_an_area_without_one_side_is_not_a_number():
    assert math.isnan(auc(np.array([0.2, 0.4]), np.array([1, 1])))
    area, low, high = delong(np.array([0.2, 0.4, 0.1]), np.array([0, 1, 0]))
    assert area == 1 and math.isnan(low) and math.isnan(high)
    with pytest.raises(ValueError, match="positives and negatives"):
        curve(np.array([0.2]), np.array([1]))
    for scores, truth in (([0.1, math.nan], [0, 1]), ([0.1, 0.2], [0, 2]), ([0.1, 0.2], [0])):
        with pytest.raises(ValueError):
            auc(np.array(scores), np.array(truth))


def test_wilson_against_published_values():
    """Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert all(math.isnan(v) for v in wilson(0, 0))


def test_calibration_of_a_hand_made_case():
    probability = np.array([0.05, 0.05, 0.05, 0.05, 0.95, 0.95, 1.0])
    truth = np.array([0, 0, 0, 1, 1, 0, 1])
    said, true, count = reliability(probability, truth)
    assert count.tolist() == [4, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert true[0] == 0.25 and said[9] == pytest.approx(2.9 / 3) and math.isnan(said[5])
    assert calibration_error(probability, truth) == pytest.approx((4 * 0.20 + 3 * abs(2 / 3 - 2.9 / 3)) / 7)
    assert brier(probability, truth) == pytest.approx((3 * 0.05**2 + 2 * 0.95**2 + 0.05**2) / 7)
    assert math.isnan(brier(np.array([]), np.array([]))) and math.isnan(calibration_error([], []))


def test_a_probability_that_is_drawn_from_itself_is_calibrated():
    rng = np.random.default_rng(0)
    probability = rng.random(20_000)
    truth = rng.random(20_000) < probability
    assert calibration_error(probability, truth) < 0.02
    assert calibration_error(np.sqrt(probability), truth) > 0.1
    assert brier(probability, truth) == pytest.approx(1 / 6, abs=0.005)


def test_every_draw_is_the_figure_of_the_patients_drawn():
    """The weights stand for copies of slices: do it with copies and compare the intervals."""
    rng = np.random.default_rng(1)
    patient = rng.integers(0, 9, 80)
    truth, scores = rng.random(80) < 0.4, rng.integers(0, 12, 80) / 12
    draws = Bootstrap(patient, draws=60, seed=5)
    areas, means, errors = [], [], []
    for weights in draws.weights.astype(int):
        rows = np.concatenate([np.flatnonzero(patient == p).repeat(w) for p, w in enumerate(weights)])
        areas.append(auc(scores[rows], truth[rows]))
        means.append(scores[rows].mean())
        errors.append(calibration_error(scores[rows], truth[rows]))
    found = (draws.auc(scores, truth), draws.mean(scores), draws.calibration_error(scores, truth))
    for estimate, values in zip(found, (areas, means, errors), strict=True):
        assert (estimate.low, estimate.high) == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))))
        assert estimate.cases == 80 and estimate.patients == 9
    assert found[0].value == auc(scores, truth) and found[1].value == pytest.approx(scores.mean())


def test_what_is_not_counted_does_not_count():
    rng = np.random.default_rng(2)
    patient, scores, truth = rng.integers(0, 20, 200), rng.random(200), rng.random(200) < 0.5
    counted = rng.random(200) < 0.6
    draws = Bootstrap(patient)
    other = scores.copy()
    other[~counted] = rng.random((~counted).sum())
    assert draws.auc(scores, truth, counted) == draws.auc(other, truth, counted)
    assert draws.calibration_error(scores, truth, counted) == draws.calibration_error(other, truth, counted)
    other[~counted] = np.nan
    assert draws.mean(scores, counted) == draws.mean(other, counted)
    with pytest.raises(ValueError, match="not a number"):
        draws.mean(other)


def test_intervals_by_patient_cover_where_intervals_by_slice_do_not():
    """Slices of a patient are alike: 40 patients of 12 slices are not 480 cases."""
    rng = np.random.default_rng(3)
    patient = np.arange(40).repeat(12)
    by_patient = by_slice = 0
    for run in range(120):
        values = rng.normal(0, 1, 40)[patient] + rng.normal(0, 0.5, 480)
        own = Bootstrap(patient, draws=300, seed=run).mean(values)
        naive = 1.96 * values.std() / math.sqrt(480)
        by_patient += own.low <= 0 <= own.high
        by_slice += abs(values.mean()) <= naive
    assert 0.87 <= by_patient / 120 <= 1 and by_slice / 120 < 0.6


def test_the_interval_of_an_area_covers_the_true_area():
    from scipy.stats import norm

    rng = np.random.default_rng(4)
    true = norm.cdf(1.2 / math.sqrt(2))
    covered = 0
    for run in range(100):
        truth = np.arange(120) % 2 == 0
        found = Bootstrap(np.arange(120), draws=300, seed=run).auc(rng.normal(1.2 * truth), truth)
        covered += found.low <= true <= found.high
    assert covered >= 87


def test_no_interval_where_few_patients_stand_behind():
    few = np.arange(FEWEST - 1).repeat(10)
    scores = np.linspace(0, 1, len(few))
    found = Bootstrap(few).mean(scores)
    assert found.value == pytest.approx(0.5) and math.isnan(found.low) and found.text() == "0.500"
    truth = np.zeros(200, bool)
    truth[:30] = True  # all positives are of the first three patients
    assert math.isnan(Bootstrap(np.arange(200) // 10).auc(np.random.default_rng(0).random(200), truth).low)
    assert UNDEFINED.text() == "-" and Bootstrap([]).mean([]).text() == "-"
    assert Estimate(0.5, 0.25, 0.75, 8, 8).text(2) == "0.50 (0.25 to 0.75)"


def test_same_seed_same_interval():
    rng = np.random.default_rng(6)
    patient, values = np.arange(50).repeat(4), rng.random(200)
    assert Bootstrap(patient, seed=1).mean(values) == Bootstrap(patient, seed=1).mean(values)
    assert Bootstrap(patient, seed=1).mean(values) != Bootstrap(patient, seed=2).mean(values)


def test_the_peak():
    heat, truth = np.zeros((6, 7)), np.zeros((6, 7), bool)
    truth[2:4, 2:4] = True
    assert not peak_inside(heat, truth), "a map without a value points nowhere"
    heat[3, 3] = 1
    assert peak_inside(heat, truth) and not peak_inside(heat, ~truth)
    heat[3, 4] = 1
    assert peak_inside(heat, truth), "half of the highest lies inside"
    heat[3, 5] = 1
    assert not peak_inside(heat, truth)
    assert peak_inside(heat[None], ~truth[None])


@given(st.lists(st.floats(0, 5000), max_size=50))
def test_size_classes_divide_all(values):
    values = np.array(values)
    inside = np.array([mask for _, mask in classes(values, AREA_MM2, "mm2")])
    assert (inside.sum(0) == 1).all()
    assert [label for label, _ in classes(values, (0, 5, 15), "ml")] == [
        "under 5 ml", "5 to 15 ml", "15 ml and more",
    ]  # fmt: skip


def test_tables_say_the_same_in_markdown_and_csv(tmp_path):
    found = Estimate(0.91234, 0.85, 0.96, 30, 7)
    rows = (Row("a|b", (found, UNDEFINED), 12, 3), Row("c", (UNDEFINED, found), 30, 7))
    table = Table("Title", "kind", ("one", "two"), rows)
    assert table.markdown()[:5] == [
        "## Title", "",
        "| kind | slices | patients | one | two |",
        "|---|---|---|---|---|",
        "| a\\|b | 12 | 3 | 0.912 (0.850 to 0.960) | - |",
    ]  # fmt: skip
    write_csv([table], tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert lines[0] == {
        "table": "Title", "group": "a|b", "figure": "one", "value": "0.912340", "low": "0.850000",
        "high": "0.960000", "cases": "30", "patients": "7",
    }  # fmt: skip
    assert lines[1]["value"] == "" and len(lines) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_sheet_shows_the_outlines(tmp_path):
    from PIL import Image

    truth = np.zeros((60, 40), bool)
    truth[20:40, 10:30] = True
    green = []
    for shown in (None, truth):
        tile = Tile(np.full((60, 40), 0.4, np.float32), "one", None, shown)
        draw_sheet([("empty", []), ("found", [tile] * 4)], tmp_path / "s.png", columns=3, shades=64)
        with Image.open(tmp_path / "s.png") as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        green.append((pixels[..., 1] > pixels[..., 0] + 40).sum())
    assert green[1] > green[0] + 200, "more green than in the legend"
    with pytest.raises(ValueError, match="tile"):
        draw_sheet([("empty", [])], tmp_path / "none.png")


def test_the_first_line_of_the_card_says_who_trained_it():
    content = tiny_manifest()
    text = card(Manifest.of(content))
    assert text.splitlines()[0] == VIRTUAL_ONLY == "Trained on no patient; research only."
    assert "not for diagnosis" in text.lower() and text.endswith("\n") and "\n\n\n" not in text
    content["training"]["data_sets"] = ["my-hospital: 12 patients"]
    lines = card(Manifest.of(content)).splitlines()
    assert lines[0] == DATA_SETS and "- my-hospital: 12 patients" in lines
    assert not any("no patient" in line.lower() and "trained" in line.lower() for line in lines[:1])


def test_a_measurement_enters_the_card_once(tiny_bundle, tmp_path):
    import shutil

    folder = tmp_path / "mine"
    shutil.copytree(tiny_bundle.folder, folder)
    drawn = tmp_path / "elsewhere.png"
    drawn.write_bytes(b"a picture")
    entry = {
        "on": "9 drawings",
        "command": "hemocam measure",
        "values": {"ROC AUC": "0.9"},
        "tables": [{"title": "By kind", "columns": ["kind", "AUC"], "rows": [["subdural", "0.8"]]}],
        "notes": "Of slices.",
        "pictures": [{"file": "failures.png", "caption": "the worst"}],
    }
    record(folder, entry, {"failures.png": drawn})
    record(folder, {**entry, "values": {"ROC AUC": "0.95"}}, {"failures.png": drawn})
    manifest = Manifest.read(folder / "model.json")
    assert [e["values"] for e in manifest.raw["measured"]] == [{"ROC AUC": "0.95"}]
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text == card(manifest)
    for part in (
        "| ROC AUC | 0.95 |",
        "| subdural | 0.8 |",
        "Of slices.",
        "![the worst](failures.png)",
        "`hemocam measure`",
    ):
        assert part in text
    assert (folder / "failures.png").read_bytes() == b"a picture"
    record(folder, {"on": "pictures", "command": "hemocam score", "values": {}})
    assert len(Manifest.read(folder / "model.json").raw["measured"]) == 2
    with pytest.raises(ModelError, match="command"):
        record(folder, {"on": "nothing", "values": {}})
    assert len(Manifest.read(folder / "model.json").raw["measured"]) == 2
