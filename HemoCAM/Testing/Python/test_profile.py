"""Figures of heads with labels per slice, against scikit-learn and against counting by hand."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import tiny_manifest
from HemoCAMLib.evaluation.findings import Findings, findings_of
from HemoCAMLib.evaluation.head_report import HeadReport, draw_worst, write_slices
from HemoCAMLib.evaluation.heads import HeadResult, SliceLabels, head_result, of_patient, slab_truth
from HemoCAMLib.evaluation.measure import Refused
from HemoCAMLib.evaluation.patients import judge
from HemoCAMLib.evaluation.profile import most_called, profile, wilson_share
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec, make_patient
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.volumes.levels import LEVELS
from sklearn import metrics

MANIFEST = Manifest.of(tiny_manifest())
GATE = 0.5


def head(number, probability, truth, kinds=None, per_slab=1, below_mm=None, ml=0.0, score=None):
    """A head of slabs with this probability of the target, and ``per_slab`` labelled slices in each."""
    probability = np.asarray(probability, float)
    count = len(probability)
    output = np.zeros((count, len(MANIFEST.classes)), np.float32)
    output[:, MANIFEST.class_index("any")] = probability
    below = np.arange(count)[::-1] * 10.0 + 5 if below_mm is None else np.asarray(below_mm, float)
    slab = np.repeat(np.arange(count), per_slab)
    truth = np.asarray(truth, float)
    found = Findings(
        output, probability >= GATE, below, ml, float(probability.max()) if score is None else score
    )
    kinds = np.zeros((len(truth), len(KINDS))) if kinds is None else kinds
    return HeadResult(
        number, f"secret-{number}", found, SliceLabels(np.arange(len(truth)), truth, kinds), slab
    )


def many(seed=0, count=12):
    """Heads at random: two labelled slices a slab, every second head bleeds."""
    rng = np.random.default_rng(seed)
    heads = []
    for n in range(1, count + 1):
        truth = rng.random(32) < 0.3 * (n % 2)
        kinds = (rng.random((32, 5)) < 0.4) & truth[:, None]
        one = head(n, rng.integers(0, 20, 16) / 20, truth, kinds.astype(float), per_slab=2, ml=n / 10)
        one.found.probability[:, 1:] = rng.random((16, len(MANIFEST.classes) - 1))
        heads.append(one)
    return heads


def flat(heads):
    score = np.concatenate([h.found.probability[h.slab, MANIFEST.class_index("any")] for h in heads]).astype(
        float
    )
    return score, np.concatenate([h.labels.truth for h in heads])


def test_a_slab_bleeds_if_one_of_its_slices_does():
    truth = np.array([0, 1, 0, 0, np.nan, 0, np.nan, 1])
    slab = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = slab_truth(truth, slab, 5)
    assert found[:2].tolist() == [1, 0] and np.isnan(found[[2, 4]]).all() and found[3] == 1


def test_figures_of_slices_are_those_of_scikit_learn():
    heads = many()
    score, truth = flat(heads)
    found = profile(heads, MANIFEST, GATE).slices
    assert found.auc.value == pytest.approx(metrics.roc_auc_score(truth, score))
    assert found.sensitivity.value == pytest.approx(metrics.recall_score(truth, score >= GATE))
    assert found.specificity.value == pytest.approx(metrics.recall_score(1 - truth, score < GATE))
    assert found.brier.value == pytest.approx(metrics.brier_score_loss(truth, score))
    assert found.auc.low < found.auc.value < found.auc.high and found.auc.patients == 12


def test_reliability_is_scikit_learns_curve():
    from sklearn.calibration import calibration_curve

    heads = many(3)
    score, truth = flat(heads)
    bins = profile(heads, MANIFEST, GATE).reliability
    filled = bins.slices > 0
    # scikit-learn's bins are closed above; a hair moves scores off the bounds
    share, said = calibration_curve(truth, np.minimum(score + 1e-9, 1), n_bins=10)
    assert bins.share[filled] == pytest.approx(share) and bins.probability[filled] == pytest.approx(said)
    assert bins.slices.sum() == len(truth)


def test_a_kind_is_held_against_clean_slices_only():
    heads = many(1)
    score, truth = flat(heads)
    kinds = np.concatenate([h.labels.kinds for h in heads])
    own = np.concatenate(
        [h.found.probability[h.slab, MANIFEST.class_index("subdural")] for h in heads]
    ).astype(float)
    chosen = kinds[:, KINDS.index("subdural")] == 1
    counted = chosen | (truth == 0)
    found = next(k for k in profile(heads, MANIFEST, GATE).kinds if k.kind == "subdural")
    assert found.auc.value == pytest.approx(metrics.roc_auc_score(chosen[counted], score[counted]))
    assert found.own_auc.value == pytest.approx(metrics.roc_auc_score(chosen[counted], own[counted]))
    assert found.sensitivity.value == pytest.approx((score[chosen] >= GATE).mean())
    assert found.slices == chosen.sum() < (truth == 1).sum()


def test_levels_add_up_and_rates_are_counted_by_hand():
    heads = many(2)
    found = profile(heads, MANIFEST, GATE)
    for row in found.levels:
        alarms = clean = slabs = 0
        called = dict.fromkeys(KINDS, 0)
        for h in heads:
            for n, slab in enumerate(h.slab):
                if row.level.top_mm <= h.found.below_mm[slab] < row.level.bottom_mm and not h.labels.truth[n]:
                    clean += 1
                    alarms += bool(h.found.gate[slab])
            for slab, below in enumerate(h.found.below_mm):
                truths = h.labels.truth[h.slab == slab]
                here = row.level.top_mm <= below < row.level.bottom_mm
                if here and not truths.any() and h.found.gate[slab]:
                    slabs += 1
                    for kind in KINDS:
                        p = h.found.probability[slab, MANIFEST.class_index(kind)]
                        called[kind] += bool(p >= MANIFEST.calibration[kind][2])
        assert row.false_alarms.cases == clean and row.false_slabs == slabs and row.called == called
        assert np.isnan(row.false_alarms.value) if not clean else row.false_alarms.value == alarms / clean
    assert sum(row.false_slabs for row in found.levels) == sum(int(h.false_slabs.sum()) for h in heads)
    assert sum(row.false_alarms.cases for row in found.levels) == found.slices.specificity.cases
    assert found.levels[1].false_alarms.cases > 0, "the vertex holds some"


def test_heads_by_hand():
    clean_silent = head(1, [0.1, 0.2, 0.3], [0, 0, 0], ml=0.0)
    clean_loud = head(2, [0.9, 0.2, 0.8], [0, 0, 0], ml=3.0)
    hit = head(3, [0.1, 0.9, 0.1], [0, 1, 0], ml=9.0)
    beside = head(4, [0.7, 0.1, 0.1], [0, 1, 0])
    missed = head(5, [0.1, 0.4, 0.1], [0, 1, 0])
    neither = head(6, [0.9, 0.9, 0.9], [0, np.nan, 0])
    found = profile([clean_silent, clean_loud, hit, beside, missed, neither], MANIFEST, GATE).heads
    assert (found.silent.value, found.silent.cases) == (0.5, 2)
    assert (found.found.value, found.found.cases) == (pytest.approx(1 / 3), 3)
    assert found.found_anywhere.value == pytest.approx(2 / 3)
    assert found.false_slabs.value == 1 and found.false_ml.value == 1.5
    assert found.auc.value == pytest.approx(metrics.roc_auc_score([0, 0, 1, 1, 1], [0.3, 0.9, 0.9, 0.7, 0.4]))


def test_the_score_of_a_head_may_be_another_than_its_highest_slab():
    heads = [head(1, [0.9], [0], score=0.1), head(2, [0.2], [1], score=0.8)]
    assert profile(heads, MANIFEST, GATE).heads.auc.value == 1


def test_wilson_against_published_values():
    """Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3."""
    share = wilson_share(np.arange(263) < 81)
    assert (share.low, share.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert np.isnan(wilson_share(np.zeros(0, bool)).value)


def test_intervals_are_by_head_not_by_slice():
    """All slices of a head alike: the more slices, the same interval."""
    rng = np.random.default_rng(5)
    score = rng.random(20)
    few = profile([head(n, [s] * 2, [0] * 2) for n, s in enumerate(score)], MANIFEST, GATE)
    much = profile([head(n, [s] * 20, [0] * 20) for n, s in enumerate(score)], MANIFEST, GATE)
    a, b = few.slices.specificity, much.slices.specificity
    assert (a.low, a.high) == pytest.approx((b.low, b.high)) and b.high - b.low > 0.3


def test_the_kind_called_most():
    assert most_called({"epidural": 1, "subdural": 3}) == "subdural"
    assert most_called({"epidural": 0}) == most_called({}) == ""


@pytest.fixture(scope="module")
def analysed(tiny_bundle):
    """A virtual patient and its analysis, with all slabs above the gate."""
    spec = PatientSpec(
        seed=5, kinds=("intraparenchymal",), size=64, spacing_mm=3.6, slice_mm=10.0, lesion_ml=(40.0, 60.0)
    )
    patient = make_patient(spec)
    return patient, analyse(patient.ct, tiny_bundle, Options(gate=0.0))


def test_a_virtual_patient_is_a_head_whose_slices_are_its_slabs(analysed, tiny_bundle):
    result = judge(*analysed)
    one = of_patient(3, result, tiny_bundle.manifest)
    area = result.area_mm2.sum(axis=1)
    assert (one.labels.truth == 1).tolist() == (area >= 30).tolist()
    assert (one.labels.truth == 0).tolist() == (area == 0).tolist()
    assert one.bleeds and not one.clean and one.number == 3
    assert (one.slab_truth == one.labels.truth)[~np.isnan(one.labels.truth)].all()
    ml = np.count_nonzero(analysed[1].mask.array) * analysed[0].ct.voxel_ml
    assert one.found.mask_ml == pytest.approx(ml) and one.found.score == pytest.approx(
        result.probability[:, tiny_bundle.manifest.class_index("any")].max()
    )


def test_the_top_of_a_head_is_where_its_cavity_ends(analysed):
    patient, analysis = analysed
    below = findings_of(analysis).below_mm
    brain = ((patient.ct.array > 20) & (patient.ct.array < 60)).sum(axis=(1, 2)) * 3.6**2 > 2000
    top = np.flatnonzero(brain)[-1]
    assert -5 <= below[top] <= 30 and np.allclose(np.diff(below), -10)


def test_the_worst_slabs_are_drawn(analysed, tiny_bundle, tmp_path):
    _, analysis = analysed
    count = analysis.ct.shape[0]
    labels = SliceLabels(np.arange(count), np.zeros(count), np.zeros((count, 5)))
    loud = head_result(1, "a", analysis, labels)
    probability = analysis.probabilities[:, analysis.target_index]
    assert loud.failed_slab == {"false alarm": int(probability.argmax())} and loud.failures.keys() == {
        "false alarm"
    }
    silent = replace(analysis, gate=np.zeros_like(analysis.gate))
    bleeds = replace(labels, truth=np.ones(count))
    missed = head_result(2, "b", silent, bleeds)
    assert missed.failed_slab == {"missed": int(probability.argmin())}
    assert draw_worst([loud, missed], tiny_bundle, tmp_path / "worst.png")
    assert not draw_worst([head(1, [0.1], [0])], tiny_bundle, tmp_path / "none.png")
    assert [p.name for p in tmp_path.iterdir()] == ["worst.png"]


def test_the_files_agree_and_only_tables_name_exams(tiny_bundle, tmp_path):
    heads = many()
    options = Options(gate=GATE).resolved(tiny_bundle.manifest)
    refused = [Refused(13, "secret-13", "It is no head.")]
    report = HeadReport(heads, refused, tiny_bundle, options, "hemocam measure", "12 exams", "Slices.")
    report.write(tmp_path)
    write_slices(heads, tiny_bundle, tmp_path / "slices.csv")
    content = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))
    assert content["refused"] == [{"head": 13, "reason": "It is no head."}]
    assert content["counts"]["slices"] == 12 * 32 and content["counts"]["clean_heads"] == 6
    assert content["slices"]["auc"]["value"] == pytest.approx(report.found.slices.auc.value, abs=1e-6)
    with (tmp_path / "profile.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["level"] for row in rows] == [level.name for level in LEVELS]
    assert [int(row["clean_slices"]) for row in rows] == [
        row["false_alarms"]["cases"] for row in content["levels"]
    ]
    with (tmp_path / "heads.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[-1]["refused"] == "It is no head." and rows[0]["exam"] == "secret-1" and len(rows) == 13
    with (tmp_path / "slices.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    passed = [r for r in rows if r["any"] == "0" and r["positive"] == "1"]
    assert len(rows) == 12 * 32 and len(passed) == report.found.slices.false_positives
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "head 13: It is no head." in text and "| vertex |" in text
    for name in ("report.md", "measures.json", "profile.csv"):
        assert "secret" not in (tmp_path / name).read_text(encoding="utf-8")
