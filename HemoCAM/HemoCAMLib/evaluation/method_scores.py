"""One metric of several methods on the same cases, and its means a patient: what the comparisons start from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Groups = Iterable[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class PatientMeans:
    """A metric's mean a patient and method, from the cases that have a value of every method compared.

    Parameters
    ----------
    patients:
        Names, sorted, shape (p,).
    values:
        Means, shape (p, k), no NaN.
    cases:
        How many cases the means come from.
    left_out_cases, left_out_patients:
        Cases without a value of at least one of the methods, and patients of whom no other case is left.
    """

    patients: np.ndarray
    values: np.ndarray
    cases: int
    left_out_cases: int
    left_out_patients: int

    def finding(self, what: str) -> tuple[str, ...]:
        """A sentence on what is left out, if anything is."""
        if not self.left_out_cases:
            return ()
        return (
            f"{what}: {self.left_out_cases} of {self.cases + self.left_out_cases} cases lack a value and are left "
            f"out, and with them {self.left_out_patients} of {len(self.patients) + self.left_out_patients} patients.",
        )


@dataclass(frozen=True)
class Scores:
    """One metric of several methods on the same cases.

    Parameters
    ----------
    methods:
        Names, k of them, all different: CAM methods, or method and stage.
    patient:
        Whose each case is, shape (n,).
    values:
        Shape (n, k); NaN where the metric has no value.
    larger_is_better:
        False for distances and errors.

    Raises
    ------
    ValueError
        If shapes do not fit, a name occurs twice, or a value is infinite.
    """

    methods: tuple[str, ...]
    patient: np.ndarray
    values: np.ndarray
    larger_is_better: bool = True

    def __post_init__(self) -> None:
        values = np.asarray(self.values, np.float64)
        object.__setattr__(self, "methods", tuple(self.methods))
        object.__setattr__(self, "patient", np.asarray(self.patient))
        object.__setattr__(self, "values", values)
        if values.shape != (len(self.patient), len(self.methods)):
            raise ValueError(
                f"values of {len(self.patient)} cases and {len(self.methods)} methods have the shape {values.shape}"
            )
        if len(set(self.methods)) != len(self.methods):
            raise ValueError("a method is named twice")
        if np.isinf(values).any():
            raise ValueError("a value is infinite; give NaN where a metric has no value")

    def within(self, chosen: np.ndarray) -> Scores:
        """The cases in ``chosen`` (bool, (n,)) alone."""
        return replace(self, patient=self.patient[chosen], values=self.values[chosen])

    def means(self, methods: Sequence[str] | None = None) -> PatientMeans:
        """Mean a patient over the cases that have a value of all ``methods`` (all of them by default)."""
        columns = [self.methods.index(m) for m in (self.methods if methods is None else methods)]
        values = self.values[:, columns]
        whole = ~np.isnan(values).any(axis=1)
        patients, own = np.unique(self.patient[whole], return_inverse=True)
        sums = np.zeros((len(patients), len(columns)))
        np.add.at(sums, own, values[whole])
        counts = np.bincount(own, minlength=len(patients))
        left = len(np.unique(self.patient)) - len(patients)
        return PatientMeans(
            patients, sums / counts[:, None], int(whole.sum()), int((~whole).sum()), int(left)
        )


def by_label(labels: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Groups of cases from one label each, shape (n,): sorted; cases with an empty label are in none."""
    labels = np.asarray(labels, dtype=str)
    return [(str(label), labels == label) for label in np.unique(labels) if label]
