"""How good the classifier is: all figures of one output at one threshold, with intervals by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bootstrap import DRAWS, FEWEST, Bootstrap, Estimate
from .reliability import BINS
from .roc import check
from .tables import Row, Table


@dataclass(frozen=True)
class Classification:
    """Figures of one output. TP, FP, FN, TN count cases; positive is a probability of ``threshold`` or more.

    Parameters
    ----------
    threshold:
        In probability.
    true_positives, false_positives, false_negatives, true_negatives:
        Cases.
    patients:
        Of how many.
    auc:
        Area under the ROC curve, 0 to 1 (:func:`~.roc.auc`); NaN without positives or without negatives.
    f1:
        2 TP / (2 TP + FP + FN), 0 to 1 (C. J. van Rijsbergen, Information Retrieval, 1979); NaN where nothing is
        positive and nothing is called so.
    sensitivity, specificity:
        TP / (TP + FN) and TN / (TN + FP), 0 to 1; NaN without positives, negatives.
    precision:
        TP / (TP + FP), 0 to 1; NaN where nothing is called positive. It depends on how common the positives are.
    accuracy:
        (TP + TN) / all, 0 to 1; NaN of no cases.
    brier:
        Mean squared distance of probability and truth, 0 (best) to 1 (:func:`~.reliability.brier`).
    calibration_error:
        Expected, 0 (best) to 1 (:func:`~.reliability.calibration_error`).
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    patients: int
    auc: Estimate
    f1: Estimate
    sensitivity: Estimate
    specificity: Estimate
    precision: Estimate
    accuracy: Estimate
    brier: Estimate
    calibration_error: Estimate

    @property
    def cases(self) -> int:
        """All of them."""
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The figures in the order of :data:`COLUMNS`."""
        return tuple(getattr(self, name) for name in _FIGURES)

    def row(self, label: str) -> Row:
        """The line of a table whose columns are :data:`COLUMNS`."""
        return Row(label, self.estimates, self.cases, self.patients)


_FIGURES = ("auc", "f1", "sensitivity", "specificity", "precision", "accuracy", "brier", "calibration_error")
COLUMNS = (
    "AUC", "F1", "sensitivity", "specificity", "precision", "accuracy", "Brier score", "calibration error",
)  # fmt: skip


def classify(
    probability: np.ndarray,
    truth: np.ndarray,
    patient: np.ndarray | Bootstrap,
    threshold: float,
    counted: np.ndarray | None = None,
    bins: int = BINS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Classification:
    """Compute every figure of one output.

    Parameters
    ----------
    probability:
        Calibrated, 0 to 1, shape (n,).
    truth:
        0 or 1, shape (n,).
    patient:
        Whose each case is, shape (n,); or a :class:`~.bootstrap.Bootstrap` of it, so that figures of several
        outputs and groups rest on the same draws.
    threshold:
        A case is called positive from this probability on.
    counted:
        Cases that count, bool, shape (n,); all by default. A kind or size against the healthy, say.
    bins:
        Of the calibration error.
    draws, seed:
        Of the bootstrap, if ``patient`` is none yet.

    Raises
    ------
    ValueError
        If shapes differ, a probability is not in 0 to 1, or a truth is neither 0 nor 1.
    """
    probability, truth = check(probability, truth)
    if probability.size and (probability.min() < 0 or probability.max() > 1):
        raise ValueError("a probability lies outside 0 to 1")
    people = patient if isinstance(patient, Bootstrap) else Bootstrap(patient, draws, seed)
    if len(people.patient) != len(truth):
        raise ValueError(f"{len(truth)} cases have {len(people.patient)} patients")
    counted = np.ones(len(truth), bool) if counted is None else np.asarray(counted, bool)
    called = probability >= threshold
    right = called == truth
    return Classification(
        threshold=float(threshold),
        true_positives=int((called & truth & counted).sum()),
        false_positives=int((called & ~truth & counted).sum()),
        false_negatives=int((~called & truth & counted).sum()),
        true_negatives=int((~called & ~truth & counted).sum()),
        patients=len(np.unique(people.patient[counted])),
        auc=people.auc(probability, truth, counted),
        f1=_f1(called, truth, counted, people),
        sensitivity=people.mean(right, counted & truth),
        specificity=people.mean(right, counted & ~truth),
        precision=people.mean(right, counted & called),
        accuracy=people.mean(right, counted),
        brier=people.mean((probability - truth) ** 2, counted),
        calibration_error=people.calibration_error(probability, truth, counted, bins),
    )


def table(title: str, group: str, lines: list[tuple[str, Classification]], unit: str = "slices") -> Table:
    """A table of several outputs or groups, a label each; see :class:`~.tables.Table`."""
    return Table(title, group, COLUMNS, tuple(found.row(label) for label, found in lines), unit)


def _f1(called: np.ndarray, truth: np.ndarray, counted: np.ndarray, people: Bootstrap) -> Estimate:
    """F1 is no mean over cases but a ratio of two sums, each a sum over patients."""
    count = people.weights.shape[1]
    shared = np.bincount(people.patient, 2.0 * (called & truth & counted), count)
    both = np.bincount(people.patient, (called.astype(int) + truth) * counted, count)
    if not both.any():
        return Estimate(float("nan"), float("nan"), float("nan"), 0, 0)
    low = high = float("nan")
    patients = int(np.count_nonzero(both))
    if patients >= FEWEST:
        with np.errstate(invalid="ignore"):
            drawn = (people.weights @ shared) / (people.weights @ both)
        low, high = (float(v) for v in np.percentile(drawn[np.isfinite(drawn)], (2.5, 97.5)))
    cases = int(((called | truth) & counted).sum())
    return Estimate(float(shared.sum() / both.sum()), low, high, cases, patients)
