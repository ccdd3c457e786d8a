"""How good the classifier was on the test split: each class, slices and patients, by kind and by size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.bootstrap import Bootstrap
from ..evaluation.classification import COLUMNS, Classification, classify
from ..models.manifest import Manifest
from ..phantoms.patient import KINDS
from .columns import numbers, table_of, texts
from .figures import ALL
from .plan import Plan
from .sums import size_labels, size_names

if TYPE_CHECKING:
    import pyarrow as pa

Line = tuple[str, str, str, Classification]


def classification_table(predictions: pa.Table, manifest: Manifest, plan: Plan) -> pa.Table:
    """A row a class, unit, group and figure of :class:`~..evaluation.classification.Classification`.

    Parameters
    ----------
    predictions:
        Rows of the test split, as :class:`~.work.MapWork` makes them.
    manifest:
        Of the model: its classes, and the probability from which each is called.
    plan:
        With the target, whose slices are told apart by kind and size, each group against the clean slices.
    """
    rows: list[dict[str, object]] = []
    for name, unit, group, found in _lines(predictions, manifest, plan):
        for figure, estimate in zip(COLUMNS, found.estimates, strict=True):
            rows.append(
                {
                    "class": name, "unit": unit, "group": group, "figure": figure, "threshold": found.threshold,
                    "value": estimate.value, "low": estimate.low, "high": estimate.high,
                    "cases": found.cases, "positives": found.true_positives + found.false_negatives,
                    "patients": found.patients,
                }
            )  # fmt: skip
    return table_of({name: np.array([row[name] for row in rows]) for name in rows[0]})


def _lines(predictions: pa.Table, manifest: Manifest, plan: Plan) -> Iterator[Line]:
    patient = texts(predictions, "patient")
    people = Bootstrap(patient, seed=plan.seed)
    names, own = np.unique(patient, return_inverse=True)
    persons = Bootstrap(names, seed=plan.seed)
    for name in manifest.classes:
        said, truth = numbers(predictions, f"p_{name}"), numbers(predictions, f"truth_{name}")
        known, threshold = ~np.isnan(truth), manifest.calibration[name][2]
        if not known.any():
            continue
        truth = np.where(known, truth, 0).astype(int)
        yield name, "slices", ALL, classify(said, truth, people, threshold, known)
        highest, worst = np.zeros(len(names)), np.zeros(len(names), int)
        np.maximum.at(highest, own, said)
        np.maximum.at(worst, own, truth)
        # a patient of whom a slice is unknown is positive for sure, or unknown
        doubtful = np.bincount(own[~known], minlength=len(names)) > 0
        yield name, "patients", ALL, classify(highest, worst, persons, threshold, (worst == 1) | ~doubtful)
        if name == plan.target:
            clean = known & (truth == 0)
            for group, inside in _groups(predictions):
                chosen = known & (truth == 1) & inside
                if chosen.any():
                    yield name, "slices", group, classify(said, truth, people, threshold, chosen | clean)


def _groups(predictions: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    kinds = texts(predictions, "kind")
    sizes = size_labels(numbers(predictions, "truth_mm2"), "truth_mm2")
    yield from ((kind, kinds == kind) for kind in KINDS)
    yield from ((size, sizes == size) for size in size_names("truth_mm2"))
