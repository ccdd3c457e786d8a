"""Figures of a measurement on virtual patients: overall, by kind, by size, with intervals by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..models.manifest import Manifest
from ..phantoms.patient import KINDS
from .bootstrap import UNDEFINED, Bootstrap, Estimate
from .patients import POSITIVE_MM2, PatientResult, target_area
from .tables import Row, Table

# Lower limits; the first area class is what does not count as a bleeding slice elsewhere in the tables.
AREA_MM2 = (0.0, POSITIVE_MM2, 100.0, 300.0, 1000.0)
VOLUME_ML = (0.0, 5.0, 15.0, 30.0, 60.0)


@dataclass(frozen=True)
class Slices:
    """All slices of all patients in one row each; see :class:`~.patients.PatientResult`.

    ``score`` is the target's probability, ``area`` that of the target's blood, ``ml`` that of the slice's patient;
    ``bleeding`` and ``clean`` leave out what lies in between.
    """

    patient: np.ndarray
    probability: np.ndarray
    score: np.ndarray
    gate: np.ndarray
    area_mm2: np.ndarray
    area: np.ndarray
    ml: np.ndarray
    dice: np.ndarray
    peak: np.ndarray

    @classmethod
    def of(cls, results: list[PatientResult], manifest: Manifest) -> Slices:
        """Put the patients' slices one below the other."""

        def rows(name: str) -> np.ndarray:
            return np.concatenate([getattr(r, name) for r in results])

        counts = [len(r.gate) for r in results]
        areas, probability = rows("area_mm2"), rows("probability").astype(np.float64)
        return cls(
            patient=np.repeat(np.arange(len(results)), counts),
            probability=probability,
            score=probability[:, manifest.class_index(manifest.target)],
            gate=rows("gate"),
            area_mm2=areas,
            area=target_area(areas, manifest.target),
            ml=np.repeat([volume(r, manifest) for r in results], counts),
            dice=rows("dice"),
            peak=rows("peak"),
        )

    @property
    def bleeding(self) -> np.ndarray:
        """Slices with blood of the target of at least POSITIVE_MM2, bool."""
        return self.area >= POSITIVE_MM2

    @property
    def clean(self) -> np.ndarray:
        """Slices without any blood of the target, bool."""
        return self.area == 0


def volume(result: PatientResult, manifest: Manifest) -> float:
    """Volume of the target's blood in a patient, ml."""
    return float(target_area(result.ml[None], manifest.target)[0])


def tables(results: list[PatientResult], manifest: Manifest, seed: int = 0) -> list[Table]:
    """Compute every table of the report; ``seed`` is the bootstrap's."""
    slices = Slices.of(results, manifest)
    draws = Bootstrap(slices.patient, seed=seed)
    return [
        _overall(results, slices, manifest, draws, seed),
        _by_kind(slices, manifest, draws),
        _by_area(slices, draws),
        _by_volume(results, slices, manifest, draws, seed),
    ]


def _overall(
    results: list[PatientResult], slices: Slices, manifest: Manifest, draws: Bootstrap, seed: int
) -> Table:
    truth, counted = slices.bleeding, slices.bleeding | slices.clean
    ml = np.array([volume(r, manifest) for r in results])
    highest = np.array([r.probability[:, manifest.class_index(manifest.target)].max() for r in results])
    gate = np.array([r.gate.any() for r in results])
    people = Bootstrap(np.arange(len(results)), seed=seed)
    sick = ml > 0
    shown = truth & slices.gate
    healthy = slices.clean & ~sick[slices.patient]

    def mean(name: str) -> Estimate:
        return people.mean([getattr(r, name) for r in results], sick)

    square_error = (slices.score - truth) ** 2
    lines = {
        f"ROC AUC, slices of {POSITIVE_MM2:g} mm2 and more against clean ones": draws.auc(
            slices.score, truth, counted
        ),
        "ROC AUC, slices with any blood against clean ones": draws.auc(slices.score, slices.area > 0),
        "ROC AUC, patients by their highest slice": people.auc(highest, sick),
        "sensitivity, slices": draws.mean(slices.gate, truth),
        "specificity, clean slices": draws.mean(~slices.gate, slices.clean),
        "specificity, slices of healthy patients": draws.mean(~slices.gate, healthy),
        "sensitivity, patients": people.mean(gate, sick),
        "specificity, patients": people.mean(~gate, ~sick),
        "expected calibration error, slices": draws.calibration_error(slices.score, truth, counted),
        "Brier score, slices": draws.mean(square_error, counted),
        "Dice of the default mask, patients": mean("volume_dice"),
        "IoU of the default mask, patients": mean("volume_iou"),
        "peak of the map inside the bleeding, patients": mean("volume_peak"),
        "Dice of the default mask, bleeding slices": draws.mean(slices.dice, truth),
        "peak inside, bleeding slices": draws.mean(slices.peak, truth),
        "Dice of the default mask, bleeding slices that pass the gate": draws.mean(slices.dice, shown),
        "peak inside, bleeding slices that pass the gate": draws.mean(slices.peak, shown),
    }
    rows = tuple(Row(label, (e,), e.cases, e.patients) for label, e in lines.items())
    return Table("Overall", "figure", ("value (95% interval)",), rows, "cases")


def _row(label: str, chosen: np.ndarray, slices: Slices, draws: Bootstrap, *own: Estimate) -> Row:
    """Figures of the bleeding slices ``chosen``, against all clean slices."""
    return Row(
        label,
        (
            draws.auc(slices.score, chosen, chosen | slices.clean),
            *own,
            draws.mean(slices.gate, chosen),
            draws.mean(slices.dice, chosen),
            draws.mean(slices.peak, chosen),
        ),
        int(chosen.sum()),
        len(np.unique(slices.patient[chosen])),
    )


def _by_kind(slices: Slices, manifest: Manifest, draws: Bootstrap) -> Table:
    rows = []
    for column, kind in enumerate(KINDS):
        own = slices.area_mm2[:, column]
        chosen = slices.bleeding & (own >= POSITIVE_MM2)
        if kind in manifest.classes:
            output = slices.probability[:, manifest.class_index(kind)]
            estimate = draws.auc(output, own >= POSITIVE_MM2, (own >= POSITIVE_MM2) | (own == 0))
        else:
            estimate = UNDEFINED
        rows.append(_row(kind, chosen, slices, draws, estimate))
    columns = (
        f"AUC of {manifest.target}",
        "AUC of the kind's own output",
        "sensitivity",
        "Dice",
        "peak inside",
    )
    return Table(
        f"By kind: slices with {POSITIVE_MM2:g} mm2 and more of it, other kinds beside it or not",
        "kind", columns, tuple(rows),
    )  # fmt: skip


def _by_area(slices: Slices, draws: Bootstrap) -> Table:
    rows = [
        _row(label, (slices.area > 0) & inside, slices, draws)
        for label, inside in classes(slices.area, AREA_MM2, "mm2")
    ]
    return Table("By area of the hemorrhage in the slice", "area", _SLICE_COLUMNS, tuple(rows))


def _by_volume(
    results: list[PatientResult], slices: Slices, manifest: Manifest, draws: Bootstrap, seed: int
) -> Table:
    ml = np.array([volume(r, manifest) for r in results])
    people = Bootstrap(np.arange(len(results)), seed=seed)
    dice, peak = (np.array([getattr(r, n) for r in results]) for n in ("volume_dice", "volume_peak"))
    rows = []
    for (label, inside), (_, whose) in zip(
        classes(slices.ml, VOLUME_ML, "ml"), classes(ml, VOLUME_ML, "ml"), strict=True
    ):
        row = _row(label, slices.bleeding & inside, slices, draws)
        chosen = whose & (ml > 0)
        estimates = (*row.estimates[:2], people.mean(dice, chosen), people.mean(peak, chosen))
        rows.append(Row(label, estimates, row.cases, int(chosen.sum())))
    columns = ("AUC", "sensitivity", "Dice, whole volume", "peak inside, whole volume")
    return Table("By volume of the patient's hemorrhage", "volume", columns, tuple(rows))


_SLICE_COLUMNS = ("AUC", "sensitivity", "Dice", "peak inside")


def classes(values: np.ndarray, limits: tuple[float, ...], unit: str) -> list[tuple[str, np.ndarray]]:
    """Size classes by lower limits: a label and a bool mask of ``values`` each."""
    found = []
    for n, low in enumerate(limits):
        high = limits[n + 1] if n + 1 < len(limits) else np.inf
        label = f"{low:g} to {high:g} {unit}" if np.isfinite(high) else f"{low:g} {unit} and more"
        found.append((f"under {high:g} {unit}" if low == 0 else label, (values >= low) & (values < high)))
    return found
