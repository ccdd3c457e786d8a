"""Paired tests and their corrections: against SciPy, counted out, published, and under the null hypothesis."""

import math
from itertools import combinations, product

import numpy as np
import pytest
from HemoCAMLib.errors import Cancelled, OptionError
from HemoCAMLib.evaluation.figures import classes
from HemoCAMLib.evaluation.method_scores import Scores, by_label
from HemoCAMLib.evaluation.paired import compare
from HemoCAMLib.evaluation.significance import difference, holm, p_text, sign_flip, signed_rank
from HemoCAMLib.models.card import markdown_table
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

# few values, so that zeros and ties are common
few = st.lists(st.integers(-4, 4), min_size=1, max_size=9).map(lambda v: np.array(v, float))
shares = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(few)
def test_signed_rank_counts_out_all_signs(values):
    plus, minus, p = signed_rank(values)
    ranks = stats.rankdata(np.abs(values)) * (values != 0)
    assert plus == ranks[values > 0].sum() and minus == ranks[values < 0].sum()
    sums = [abs(np.dot(signs, ranks)) for signs in product((-1, 1), repeat=len(values))]
    assert p == pytest.approx(np.mean(np.array(sums) >= abs(plus - minus)))


@pytest.mark.parametrize("count", [4, 12, 40])
def test_signed_rank_is_scipys_without_ties(count):
    rng = np.random.default_rng(count)
    values = rng.normal(0.3, 1, count)
    found = stats.wilcoxon(values, method="exact")
    plus, minus, p = signed_rank(values)
    assert min(plus, minus) == found.statistic and p == pytest.approx(found.pvalue, rel=1e-9)


def test_signed_rank_of_many_is_scipys_approximation_and_meets_the_exact_one():
    values = np.round(np.random.default_rng(0).normal(0.1, 1, 230), 1)
    assert signed_rank(values)[2] == pytest.approx(
        stats.wilcoxon(values, zero_method="pratt", method="approx", correction=False).pvalue, rel=1e-9
    )
    exact, normal = signed_rank(values[:205])[2], stats.wilcoxon(values[:205], zero_method="pratt").pvalue
    assert (values[:205] != 0).sum() <= 200 and exact == pytest.approx(normal, abs=2e-3)


def test_signed_rank_of_a_textbook():
    """Demsar, JMLR 7 (2006) 9, table 2: C4.5 against C4.5+m on 14 data sets, R+ 93, R- 12 with zeros split."""
    plain = [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957]
    tuned = [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978]
    plus, minus, p = signed_rank(difference(tuned, plain))
    # of the two zeros' ranks 1 and 2, each side has half in the paper
    assert (plus + 1.5, minus + 1.5) == (93, 12)
    assert p < 0.02


@given(few)
def test_sign_flip_counts_out_all_exchanges(values):
    sums = [abs(np.dot(signs, values)) for signs in product((-1, 1), repeat=len(values))]
    assert sign_flip(values) == pytest.approx(np.mean(np.array(sums) >= abs(values.sum())))


def test_sign_flip_is_scipys_and_its_draws_come_near():
    values = np.random.default_rng(5).normal(0.5, 1, 13)
    found = stats.permutation_test(
        (values, np.zeros(13)), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert sign_flip(values) == pytest.approx(found.pvalue)
    assert sign_flip(values, flips=8000, seed=1) == pytest.approx(found.pvalue, abs=0.01)
    assert sign_flip(values, flips=500, seed=1) == sign_flip(values, flips=500, seed=1)
    assert sign_flip(np.full(30, 1.0), flips=99) == pytest.approx(0.01)  # never 0


def test_tests_without_a_difference_or_a_patient():
    assert signed_rank(np.zeros(7)) == (0, 0, 1) and sign_flip(np.zeros(7)) == 1
    assert math.isnan(signed_rank(np.empty(0))[2]) and math.isnan(sign_flip(np.empty(0)))


def test_rounding_noise_is_no_difference():
    third = np.array([0.1 + 0.2, 0.5, 1.0])
    assert (difference(third, np.array([0.3, 0.5, 1.0 - 1e-15])) == 0).all()
    assert difference(np.array([0.1 + 0.2]), np.array([0.3 - 1e-6]))[0] == pytest.approx(1e-6, rel=1e-4)
    assert (difference(np.zeros(3), np.zeros(3)) == 0).all()
    tied = difference(np.array([0.3, 0.6, 0.9]), np.array([0.2, 0.5, 0.8]))
    assert len(set(tied)) == 1


@given(shares)
def test_holm_is_the_closure_of_bonferroni(p):
    """A hypothesis falls when Bonferroni rejects every set of hypotheses that it is in (Marcus et al. 1976)."""
    closed = [
        max(
            min(1, len(chosen) * min(p[j] for j in chosen))
            for size in range(1, len(p) + 1)
            for chosen in combinations(range(len(p)), size)
            if i in chosen
        )
        for i in range(len(p))
    ]
    assert holm(p) == pytest.approx(closed)


def test_holm_of_a_hand_made_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, math.nan, 0.03]) == pytest.approx([0.04, math.nan, 0.04], nan_ok=True)
    assert holm([]).shape == (0,) and p_text(1e-4) == "<0.001" and p_text(math.nan) == "-"


@pytest.mark.parametrize("test", [lambda d: signed_rank(d)[2], lambda d: sign_flip(d, 400)])
def test_false_alarms_under_the_null_are_as_many_as_promised(test):
    """Ratios of few voxels under two equal methods: ties and zeros included."""
    rng = np.random.default_rng(2)
    p = np.array([test(np.round(rng.normal(0, 0.2, 18), 1)) for _ in range(1500)])
    for level in (0.05, 0.2):
        assert 0.6 * level < np.mean(p <= level) < level + 3 * math.sqrt(level * (1 - level) / len(p))


def scores(shift=(0.0, 0.1, 0.0), people=24, cases=3, seed=0, noise=0.05):
    """Cases of patients who differ much, methods that differ by ``shift``."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(people), cases)
    own = rng.uniform(0, 1, people)[patient]
    values = own[:, None] + np.array(shift) + rng.normal(0, noise, (people * cases, len(shift)))
    return Scores(tuple("abc"[: len(shift)]), patient, values)


def test_the_familys_false_alarms_stay_below_the_level():
    null = [compare(scores((0, 0, 0), 10, 2, seed), draws=20) for seed in range(400)]
    wrong = np.mean([min(pair.adjusted for pair in found.pairs) <= 0.05 for found in null])
    assert 0.01 < wrong < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    unadjusted = np.mean([min(pair.p for pair in found.pairs) <= 0.05 for found in null])
    assert unadjusted > 0.08  # what the correction is for


def test_the_interval_of_the_median_covers_it():
    covered = []
    for seed in range(200):
        pair = compare(scores((0.2, 0.0), 25, 2, seed), draws=300).pairs[0]
        covered.append(pair.median.low <= 0.2 <= pair.median.high)
    assert 0.90 < np.mean(covered) < 0.99


def test_a_pair_is_what_its_parts_say():
    given_scores = scores()
    found = compare(given_scores, seed=4)
    assert [(p.first, p.second) for p in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    pair = found.pairs[0]
    means = given_scores.values.reshape(24, 3, 3).mean(1)
    differences = means[:, 0] - means[:, 1]
    assert pair.median.value == pytest.approx(np.median(differences))
    assert (pair.larger, pair.equal, pair.smaller) == ((differences > 0).sum(), 0, (differences < 0).sum())
    assert pair.p == pytest.approx(stats.wilcoxon(differences).pvalue)
    ranks = stats.rankdata(np.abs(differences))
    assert pair.rank_biserial == pytest.approx((np.sign(differences) * ranks).sum() / ranks.sum())
    assert [p.adjusted for p in found.pairs] == pytest.approx(holm([p.p for p in found.pairs]))
    assert pair.median.low < -0.1 < pair.median.high < 0 and pair.median.patients == 24
    assert pair.median.cases == 72 and pair.adjusted < 0.001 < found.pairs[1].adjusted
    assert not found.findings and found == compare(given_scores, seed=4)
    swapped = compare(given_scores, [("b", "a")], seed=4).pairs[0]
    assert swapped.median.value == -pair.median.value and swapped.p == pair.p
    by_mean = compare(given_scores, test="permutation", seed=4)
    assert by_mean.pairs[0].p == pytest.approx(sign_flip(differences, seed=4))


def test_the_interval_of_the_median_is_scipys():
    found = compare(scores((0.0, 0.0), 30, 1), draws=4000).pairs[0].median
    values = scores((0.0, 0.0), 30, 1).values
    other = stats.bootstrap(
        (values[:, 0] - values[:, 1],),
        np.median,
        method="percentile",
        n_resamples=4000,
        rng=0,
        vectorized=True,
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(other), abs=4e-3)


def test_patients_count_not_their_slices():
    """A patient's slices copied a hundredfold change nothing: they are no new evidence."""
    once, often = scores(cases=2), scores(cases=2)
    often = Scores(often.methods, np.tile(often.patient, 100), np.tile(often.values, (100, 1)))
    for one, other in zip(compare(once).pairs, compare(often).pairs, strict=True):
        assert one.p == pytest.approx(other.p) and one.median.low == pytest.approx(other.median.low)


def test_missing_values_are_left_out_and_said():
    whole = scores()
    values = whole.values.copy()
    values[0, 0] = values[1, 0] = values[2, 0] = math.nan  # all of patient 0
    values[3, 1] = math.nan  # one case of patient 1
    found = compare(Scores(whole.methods, whole.patient, values))
    ab, ac, bc = found.pairs
    assert [(p.left_out_cases, p.left_out_patients) for p in (ab, ac, bc)] == [(4, 1), (3, 1), (1, 0)]
    kept = whole.within(np.arange(72) >= 4)
    assert ab.p == compare(kept, [("a", "b")]).pairs[0].p and ab.median.patients == 23
    assert found.findings[0] == (
        "a and b: 4 of 72 cases lack a value and are left out, and with them 1 of 24 patients."
    )
    assert len(found.findings) == 3


def test_groups_share_one_family():
    whole = scores()
    kinds = np.where(np.arange(72) % 2, "subdural", "")
    size = np.linspace(0, 400, 72)
    groups = [*by_label(kinds), *classes(size, (0.0, 100.0), "mm2")]
    found = compare(whole, [("a", "b")], groups)
    assert [p.group for p in found.pairs] == ["subdural", "under 100 mm2", "100 mm2 and more"]
    assert found.pairs[0].median.cases == 36 and found.pairs[1].median.patients == 6
    assert [p.adjusted for p in found.pairs] == pytest.approx(holm([p.p for p in found.pairs]))
    alone = compare(whole.within(kinds == "subdural"), [("a", "b")]).pairs[0]
    assert alone.p == found.pairs[0].p and alone.median == found.pairs[0].median
    text = markdown_table(*found.cells())
    assert text[0].startswith("| group | first | second | patients |") and "subdural" in text[2]
    assert "group" not in compare(whole).cells()[0]


def test_too_few_patients_have_no_interval_and_none_have_nothing():
    pair = compare(scores((0.0, 0.1), 4)).pairs[0]
    assert math.isnan(pair.median.low) and pair.p >= 0.125
    empty = compare(scores((0.0, 0.1)), groups=[("none", np.zeros(72, bool))]).pairs[0]
    assert math.isnan(empty.p) and math.isnan(empty.adjusted) and math.isnan(empty.rank_biserial)
    assert (
        empty.median.patients == 0
        and "-" in compare(scores(), groups=[("none", np.zeros(72, bool))]).cells()[1][0]
    )


def test_what_is_no_comparison_is_refused():
    with pytest.raises(OptionError, match=r"no paired test 't'; choose one of wilcoxon"):
        compare(scores(), test="t")
    with pytest.raises(OptionError, match="no values of d"):
        compare(scores(), [("a", "d")])
    with pytest.raises(ValueError, match="shape"):
        Scores(("a",), np.arange(3), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="twice"):
        Scores(("a", "a"), np.arange(3), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="infinite"):
        Scores(("a", "b"), np.arange(1), np.array([[0, np.inf]]))

    def stop(phase, done, total):
        assert (phase, total) == ("Comparing methods", 3)
        raise Cancelled

    with pytest.raises(Cancelled):
        compare(scores(), progress=stop)
