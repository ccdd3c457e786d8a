"""One head beside its labels per slice: the common form of real exams and virtual patients."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..models.manifest import Manifest
from ..phantoms.patient import KINDS
from ..pipeline import Analysis
from ..volumes.levels import level_of
from .failures import Failure, draw_failure
from .findings import Findings, findings_of
from .patients import POSITIVE_MM2, PatientResult, target_area


@dataclass(frozen=True)
class SliceLabels:
    """What is known of m slices of a head. 1 bleeds, 0 is clean, NaN is unknown or in between and is left out.

    Parameters
    ----------
    slices:
        Canonical index of each, inferior to superior, shape (m,).
    truth:
        Blood of the model's target class, shape (m,).
    kinds:
        Of each of ``KINDS``, shape (m, 5).
    files:
        Names of the files, if the labels name them.
    """

    slices: np.ndarray
    truth: np.ndarray
    kinds: np.ndarray
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeadResult:
    """What was found in one head of n slabs, and what is known of its m labelled slices.

    Parameters
    ----------
    number:
        From 1: what reports call it.
    name:
        What the labels call it.
    found:
        What the model says.
    labels:
        What is known.
    slab:
        The slab of each labelled slice, shape (m,).
    left_aside:
        How many labels belong to files that the volume does not use (another series, a repeated position).
    failures:
        The worst slab that was "missed" and the worst "false alarm", where there is one; ``failed_slab`` says which.
    """

    number: int
    name: str
    found: Findings
    labels: SliceLabels
    slab: np.ndarray
    left_aside: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)
    failed_slab: dict[str, int] = field(default_factory=dict)

    @cached_property
    def slab_truth(self) -> np.ndarray:
        """1 for slabs of which a labelled slice bleeds, 0 where all labelled ones are clean, else NaN; (n,)."""
        return slab_truth(self.labels.truth, self.slab, len(self.found.gate))

    @cached_property
    def false_slabs(self) -> np.ndarray:
        """Slabs of clean slices that pass the gate, bool (n,)."""
        return self.found.gate & (self.slab_truth == 0)

    @cached_property
    def level(self) -> np.ndarray:
        """Index into :data:`~..volumes.levels.LEVELS` of each slab, (n,)."""
        return level_of(self.found.below_mm)

    @property
    def bleeds(self) -> bool:
        """Whether a labelled slice bleeds."""
        return bool((self.labels.truth == 1).any())

    @property
    def clean(self) -> bool:
        """Whether all labelled slices are clean, and there are some. A head may be neither clean nor bleeding."""
        return bool(len(self.slab)) and bool((self.labels.truth == 0).all())

    @property
    def silent(self) -> bool:
        """Whether no slab passes the gate."""
        return not self.found.gate.any()

    @property
    def found_on_bleeding(self) -> bool:
        """Whether a bleeding slice passes the gate."""
        return bool((self.found.gate[self.slab] & (self.labels.truth == 1)).any())


def slab_truth(truth: np.ndarray, slab: np.ndarray, count: int) -> np.ndarray:
    """Truth of each slab: a slab bleeds if any slice of it does, and is clean if all labelled ones are.

    Parameters
    ----------
    truth, slab:
        Truth 0, 1 or NaN, and slab, of each labelled slice, shape (m,).
    count:
        Of slabs.

    Returns
    -------
    numpy.ndarray
        0, 1 or NaN (no label, or none that is 1 and one that is NaN), shape (count,).
    """
    found = np.full(count, np.nan)
    found[slab[truth == 0]] = 0
    found[slab[np.isnan(truth)]] = np.nan
    found[slab[truth == 1]] = 1
    return found


def head_result(
    number: int, name: str, analysis: Analysis, labels: SliceLabels, left_aside: int = 0
) -> HeadResult:
    """Put an analysis beside the labels of its slices, and draw the worst slab of each kind of failure."""
    slab = analysis.slabs.of_slice[labels.slices]
    result = HeadResult(number, name, findings_of(analysis), labels, slab, left_aside)
    probability = analysis.probabilities[:, analysis.target_index]
    weights = {
        "missed": np.where((result.slab_truth == 1) & ~analysis.gate, 1 - probability, 0),
        "false alarm": np.where(result.false_slabs, probability, 0),
    }
    for kind, weight in weights.items():
        if weight.any():
            result.failed_slab[kind] = worst = int(weight.argmax())
            result.failures[kind] = draw_failure(analysis, worst, weight[worst])
    return result


def of_patient(number: int, patient: PatientResult, manifest: Manifest) -> HeadResult:
    """Return a virtual patient as a head whose slices are its slabs.

    A slab with :data:`~.patients.POSITIVE_MM2` of blood bleeds, one without any is clean, and what lies between is
    left out; so for the target and for each kind.
    """
    area = target_area(patient.area_mm2, manifest.target)
    rows = np.arange(len(area))
    labels = SliceLabels(rows, _by_area(area), _by_area(patient.area_mm2))
    found = Findings(patient.probability, patient.gate, patient.below_mm, patient.mask_ml, patient.score)
    return HeadResult(number, str(patient.seed), found, labels, rows)


def _by_area(area_mm2: np.ndarray) -> np.ndarray:
    return np.where(area_mm2 >= POSITIVE_MM2, 1.0, np.where(area_mm2 == 0, 0.0, np.nan))


def target_truth(some: np.ndarray, kinds: np.ndarray, target: str) -> np.ndarray:
    """Truth of a class from labels of any hemorrhage (m,) and of the kinds (m, 5): its kind's, or of any."""
    return kinds[:, KINDS.index(target)] if target in KINDS else some
