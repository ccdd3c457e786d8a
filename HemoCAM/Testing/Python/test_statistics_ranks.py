"""Ranks, Friedman and Nemenyi: against SciPy, Demsar's tables and worked example, and under the null hypothesis."""

import math

import numpy as np
import pytest
from HemoCAMLib.evaluation.method_scores import Scores
from HemoCAMLib.evaluation.ranks import critical_difference, friedman, nemenyi, rank, rank_groups
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

# Demsar 2006, table 6: AUC of C4.5 with its defaults and with m, cf or both tuned, on 14 data sets. The paper
# ranks unrounded values: of the 0.975 twice in one row it has the first one ahead, hence the 0.97501.
TREES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
AUCS = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.97501, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip


def test_demsars_worked_example():
    found = rank(Scores(TREES, np.arange(14), AUCS))
    place = dict(zip(found.methods, found.ranks, strict=True))
    assert [round(place[m], 3) for m in TREES] == [3.143, 2.000, 2.893, 1.964]
    assert found.methods[0] == "C4.5+m+cf" and found.patients == 14
    assert critical_difference(4, 14, 0.05) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(4, 14, 0.10) == pytest.approx(1.12, abs=5e-3)
    # the paper's 9.28 and 3.69 do not correct for ties
    r = np.array([place[m] for m in TREES])
    assert 12 * 14 / 20 * ((r**2).sum() - 4 * 25 / 4) == pytest.approx(9.28, abs=0.01)
    assert found.chi_square == pytest.approx(stats.friedmanchisquare(*AUCS.T).statistic)
    assert found.p_chi_square == pytest.approx(stats.friedmanchisquare(*AUCS.T).pvalue)
    assert found.groups == (
        TREES[::-1][:1] + TREES[1:2] + TREES[2:3] + TREES[:1],
    )  # at 0.05 nobody is told apart
    strict = rank(Scores(TREES, np.arange(14), AUCS), level=0.10)
    # "C4.5+m and C4.5+m+cf are better than C4.5" at 0.10
    assert strict.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5"))


def test_critical_values_are_demsars_table():
    five = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    ten = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]
    for level, table in ((0.05, five), (0.10, ten)):
        for k, q in enumerate(table, 2):
            assert critical_difference(k, 1, level) / math.sqrt(k * (k + 1) / 6) == pytest.approx(q, abs=2e-3)
    assert math.isnan(critical_difference(3, 0))


@given(arrays(np.int8, st.tuples(st.integers(2, 8), st.integers(3, 5)), elements=st.integers(0, 3)))
def test_friedman_is_scipys_with_ties(values):
    ranks = stats.rankdata(values, axis=1)
    chi_square, p, f, p_f = friedman(ranks)
    if (values == values[:, :1]).all():
        assert (chi_square, p, f, p_f) == (0, 1, 0, 1)
        return
    other = stats.friedmanchisquare(*values.T.astype(float))
    assert chi_square == pytest.approx(other.statistic, abs=1e-9) and p == pytest.approx(
        other.pvalue, abs=1e-9
    )
    # Iman and Davenport: the analysis of variance of the ranks, patients as blocks
    n, k = ranks.shape
    between = n * ((ranks.mean(0) - (k + 1) / 2) ** 2).sum() / (k - 1)
    rest = ((ranks - ranks.mean(0)) ** 2).sum() / ((k - 1) * (n - 1))
    if rest > 1e-12:
        assert f == pytest.approx(between / rest) and p_f == pytest.approx(
            stats.f.sf(between / rest, k - 1, (k - 1) * (n - 1))
        )
    else:
        assert f == math.inf and p_f == 0


def test_false_alarms_under_the_null_are_as_many_as_promised():
    rng = np.random.default_rng(0)
    critical = critical_difference(5, 20)
    alarms, apart = [], []
    for _ in range(2000):
        ranks = stats.rankdata(rng.normal(size=(20, 5)), axis=1)
        alarms.append(friedman(ranks)[3] <= 0.05)
        apart.append(np.ptp(ranks.mean(0)) >= critical)
    assert 0.035 < np.mean(alarms) < 0.065
    assert 0.025 < np.mean(apart) < 0.06  # the normal approximation is a little conservative


def cohort(shift, people=30, cases=2, seed=0):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(people), cases)
    values = (
        rng.uniform(0, 1, people)[patient][:, None] + shift + rng.normal(0, 0.02, (len(patient), len(shift)))
    )
    return Scores(tuple("abcd"[: len(shift)]), patient, values)


def test_clear_differences_are_told_apart_and_equals_are_not():
    found = rank(cohort([0.0, 0.5, 0.5, 1.0]))
    assert (
        found.methods[0] == "d" and found.methods[-1] == "a" and found.ranks[0] == 1 and found.ranks[3] == 4
    )
    assert [set(g) for g in found.groups] == [{"d"}, {"b", "c"}, {"a"}]
    assert found.p < 1e-6 and found.p_chi_square < 1e-6
    assert nemenyi(found, "d", "a") < 0.001 and nemenyi(found, "b", "c") > 0.05
    assert nemenyi(found, "a", "d") == nemenyi(found, "d", "a")
    means = cohort([0.0, 0.5, 0.5, 1.0]).values.reshape(30, 2, 4).mean((0, 1))
    assert found.averages[0].value == pytest.approx(means[3]) and found.averages[0].patients == 30
    assert [row[-1] for row in found.cells()[1]] == ["A", "B", "B", "C"]
    assert "30 patients" in found.text() and found == rank(cohort([0.0, 0.5, 0.5, 1.0]))


def test_smaller_is_better_for_distances():
    there = cohort([0.0, 0.5, 1.0])
    found = rank(Scores(there.methods, there.patient, there.values, larger_is_better=False))
    assert found.methods == ("a", "b", "c")


def test_groups_may_overlap_and_none_lies_in_another():
    found = rank(cohort([0.0, 0.012, 0.024], people=25, seed=3))
    assert set().union(*found.groups) == {"a", "b", "c"}
    for one in found.groups:
        assert not any(set(one) < set(other) for other in found.groups)
    spans = [dict(zip(found.methods, found.ranks, strict=True)) for _ in found.groups]
    for group, place in zip(found.groups, spans, strict=True):
        assert place[group[-1]] - place[group[0]] < found.critical_difference
    assert len(found.groups) == 2 and len(found.groups[0]) == 2


def test_incomplete_cases_are_left_out_of_every_rank():
    there = cohort([0.0, 0.5, 1.0])
    values = there.values.copy()
    values[:2, 1] = math.nan
    found = rank(Scores(there.methods, there.patient, values))
    assert (
        found.patients == 29
        and "2 of 60 cases" in found.findings[0]
        and "1 of 30 patients" in found.findings[0]
    )
    nothing = rank(Scores(there.methods, there.patient, np.full_like(values, math.nan)))
    assert nothing.patients == 0 and math.isnan(nothing.p) and "too few" in nothing.text()
    assert nothing.groups == (("a", "b", "c"),) and nothing.cells()[1][0][1:3] == ["-", "-"]
    with pytest.raises(ValueError, match="two methods"):
        rank(Scores(("a",), np.arange(3), np.zeros((3, 1))))


def test_all_methods_equal_in_all_patients():
    found = rank(Scores(("a", "b", "c"), np.arange(6), np.full((6, 3), 0.1)))
    assert found.ranks == (2, 2, 2) and found.p == 1 and found.groups == (("a", "b", "c"),)


def test_by_kind_each_has_its_own_ranks():
    there = cohort([0.0, 0.5])
    half = np.arange(60) < 30
    values = np.where(half[:, None], there.values, there.values[:, ::-1])
    found = dict(rank_groups(Scores(there.methods, there.patient, values), [("one", half), ("other", ~half)]))
    assert found["one"].methods == ("b", "a") and found["other"].methods == ("a", "b")
    assert found["one"].patients == 15
