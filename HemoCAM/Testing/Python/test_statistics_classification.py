"""All figures of a classifier at a threshold: against scikit-learn, and with intervals by patient."""

import math

import numpy as np
import pytest
from HemoCAMLib.evaluation.bootstrap import Bootstrap
from HemoCAMLib.evaluation.classification import COLUMNS, classify, table
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

cases = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=4, max_size=40).filter(
    lambda rows: 0 < sum(t for _, t in rows) < len(rows)
)


@given(cases, st.integers(0, 20))
def test_every_figure_is_scikit_learns(rows, cut):
    probability, truth = np.array([p / 20 for p, _ in rows]), np.array([int(t) for _, t in rows])
    found = classify(probability, truth, np.arange(len(rows)), cut / 20, draws=2)
    called = probability >= cut / 20
    tn, fp, fn, tp = metrics.confusion_matrix(truth, called, labels=[0, 1]).ravel()
    assert (found.true_positives, found.false_positives) == (tp, fp)
    assert (found.false_negatives, found.true_negatives) == (fn, tn)
    assert found.auc.value == pytest.approx(metrics.roc_auc_score(truth, probability))
    assert found.f1.value == pytest.approx(metrics.f1_score(truth, called))
    assert found.sensitivity.value == pytest.approx(metrics.recall_score(truth, called))
    assert found.specificity.value == pytest.approx(metrics.recall_score(truth, called, pos_label=0))
    if called.any():
        assert found.precision.value == pytest.approx(metrics.precision_score(truth, called))
    else:
        assert math.isnan(found.precision.value)
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(truth, called))
    assert found.brier.value == pytest.approx(metrics.brier_score_loss(truth, probability))
    assert found.cases == len(rows) and found.patients == len(rows)


def test_calibration_error_is_that_of_scikit_learns_curve():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0, 1, 500)
    truth = rng.uniform(0, 1, 500) < probability**2
    said, true = metrics_curve(probability, truth)
    count = np.bincount(np.minimum((probability * 10).astype(int), 9), minlength=10)
    found = classify(probability, truth, np.arange(500) // 5, 0.5)
    assert found.calibration_error.value == pytest.approx((np.abs(said - true) * count).sum() / 500)
    assert found.calibration_error.low < found.calibration_error.value < found.calibration_error.high


def metrics_curve(probability, truth):
    from sklearn.calibration import calibration_curve

    true, said = calibration_curve(truth, probability, n_bins=10)
    return said, true


def cohort(people=40, cases=6, seed=0):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(people), cases)
    truth = rng.uniform(0, 1, people * cases) < 0.4
    probability = 1 / (
        1 + np.exp(-(2 * truth - 1 + rng.normal(0, 1.2, len(truth)) + rng.normal(0, 1, people)[patient]))
    )
    return probability, truth, patient


def test_f1_interval_is_that_of_drawing_patients_one_by_one():
    probability, truth, patient = cohort()
    found = classify(probability, truth, patient, 0.5, draws=3000)
    rng, drawn = np.random.default_rng(9), []
    for _ in range(600):
        rows = np.concatenate([np.flatnonzero(patient == p) for p in rng.integers(0, 40, 40)])
        drawn.append(metrics.f1_score(truth[rows], probability[rows] >= 0.5))
    low, high = np.percentile(drawn, (2.5, 97.5))
    assert (found.f1.low, found.f1.high) == pytest.approx((low, high), abs=0.02)
    assert found.f1.patients <= 40 and found.f1.cases == ((probability >= 0.5) | truth).sum()
    assert found == classify(probability, truth, patient, 0.5, draws=3000)


def test_groups_count_their_own_cases_and_may_share_draws():
    probability, truth, patient = cohort()
    people = Bootstrap(patient, draws=200)
    counted = (np.arange(len(truth)) % 3 == 0) | ~truth
    found = classify(probability, truth, people, 0.5, counted)
    called = probability[counted] >= 0.5
    assert found.cases == counted.sum() and found.f1.value == pytest.approx(
        metrics.f1_score(truth[counted], called)
    )
    assert found.auc.value == pytest.approx(metrics.roc_auc_score(truth[counted], probability[counted]))
    shown = table("By kind", "kind", [("all", classify(probability, truth, people, 0.5)), ("some", found)])
    names, rows = shown.cells()
    assert names == ["kind", "slices", "patients", *COLUMNS] and rows[1][:2] == ["some", str(counted.sum())]
    assert all(" to " in cell for cell in rows[0][3:])


def test_nothing_to_find_and_nothing_called():
    healthy = classify(np.full(12, 0.1), np.zeros(12), np.arange(12), 0.5)
    for name in ("auc", "f1", "sensitivity", "precision"):
        assert math.isnan(getattr(healthy, name).value), name
    assert healthy.specificity.value == healthy.accuracy.value == 1 and healthy.f1.patients == 0
    assert healthy.brier.value == pytest.approx(0.01) and healthy.calibration_error.value == pytest.approx(
        0.1
    )
    missed = classify(np.full(4, 0.1), np.ones(4), np.arange(4), 0.5)
    assert missed.f1.value == 0 and math.isnan(missed.f1.low) and math.isnan(missed.precision.value)
    at = classify(np.array([0.5]), np.array([1]), np.array(["p"]), 0.5)
    assert at.true_positives == 1  # the threshold itself is positive
    empty = classify(np.empty(0), np.empty(0), np.empty(0), 0.5)
    assert empty.cases == 0 and all(math.isnan(e.value) for e in empty.estimates)


@pytest.mark.parametrize(
    ("probability", "truth", "patient", "sentence"),
    [
        ([1.2], [1], [0], "outside 0 to 1"),
        ([-0.1], [1], [0], "outside 0 to 1"),
        ([math.nan], [1], [0], "not a number"),
        ([0.5], [2], [0], "0 or 1"),
        ([0.5], [1], [0, 1], "2 patients"),
    ],
)
def test_what_is_no_classification_is_refused(probability, truth, patient, sentence):
    with pytest.raises(ValueError, match=sentence):
        classify(np.array(probability), np.array(truth), np.array(patient), 0.5)
