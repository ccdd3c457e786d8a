"""The report of a trial: Dice by mask, what the refinement adds to the plain mask, by kind and size of hemorrhage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..evaluation.bootstrap import DRAWS, FEWEST, Bootstrap, Estimate
from ..evaluation.tables import Row, Table, write_csv, write_rows, write_text
from ..phantoms.patient import KINDS
from .refiner import Refiner

# What a measurement of a refinement was made on: the same words replace it in a card.
HELD_OUT = "virtual patients held out of the mask refinement's fit"
PLAIN, TUNED, REFINED = "plain", "plain, threshold chosen here", "refined"
BLEEDING, CLEAN = "Mean Dice of bleeding patients", "Masks in patients without hemorrhage"
SIZES_ML = (0.0, 5.0, 30.0, math.inf)


@dataclass(frozen=True)
class Measured:
    """A test patient: seed, kinds of blood, its volume in ml, and of each mask Dice and ml where no blood is.

    Dice is that of the whole volume; it counts in patients with blood only.
    """

    seed: int
    kinds: tuple[str, ...]
    ml: float
    dice: dict[str, float]
    false_ml: dict[str, float]


def tables(rows: list[Measured]) -> list[Table]:
    """Make the tables of measured patients: those who bleed, by kind and size, and those who do not."""
    bleeding, clean = [r for r in rows if r.ml > 0], [r for r in rows if r.ml == 0]
    found = []
    if bleeding:
        draws = Bootstrap(np.array([r.seed for r in bleeding]))
        dice = {name: np.array([r.dice[name] for r in bleeding]) for name in bleeding[0].dice}
        lines = [
            Row(name, (draws.mean(values), draws.mean(values - dice[PLAIN])), len(values))
            for name, values in dice.items()
        ]
        found.append(Table(BLEEDING, "mask", ("Dice", "gain on plain"), (*lines,), "patients"))
        found.append(_groups("By kind", "kind", bleeding, draws, dice, _by_kind(bleeding)))
        found.append(_groups("By size", "blood", bleeding, draws, dice, _by_size(bleeding)))
    if clean:
        draws = Bootstrap(np.array([r.seed for r in clean]))
        lines = [
            Row(name, (draws.mean(np.array([r.false_ml[name] for r in clean])),), len(clean))
            for name in clean[0].false_ml
        ]
        found.append(Table(CLEAN, "mask", ("false ml",), (*lines,), "patients"))
    return found


def gain(rows: list[Measured]) -> Estimate | None:
    """Mean Dice that refined masks have above plain ones, paired by patient; None where nobody bleeds."""
    of_masks = [row for table in tables(rows) if table.title == BLEEDING for row in table.rows]
    return next((row.estimates[1] for row in of_masks if row.label == REFINED), None)


def write(folder: Path, refiner: Refiner, rows: list[Measured], command: str) -> dict:
    """Write ``refiner.json``, ``refinement.md``, ``refinement.csv`` and ``patients.csv``, each whole or not at all.

    Returns the measurement as a manifest's ``measured`` holds it (see :func:`~..models.card.card`).
    """
    found = tables(rows)
    about = (
        f"Fitted on {refiner.about['fitted on']} virtual patients, thresholds chosen on "
        f"{refiner.about['thresholds chosen on']} bleeding others (low {refiner.low:g}, high {refiner.high:g}), "
        f"measured on {len(rows)} others. Dice is of whole volumes. Intervals hold 95%: percentiles of {DRAWS} "
        f"bootstrap draws of patients, of differences paired; none where fewer than {FEWEST} patients stand behind."
    )
    lines = ["# Refined masks against plain ones, on virtual patients", "", f"`{command}`", "", about, ""]
    lines += [line for table in found for line in table.markdown()]
    names = list(rows[0].dice)
    head = ["seed", "kinds", "ml", *(f"Dice: {n}" for n in names), *(f"false ml: {n}" for n in names)]
    listed = [
        [r.seed, " ".join(r.kinds), f"{r.ml:.3f}"]
        + [f"{v[n]:.4f}" for v in (r.dice, r.false_ml) for n in names]
        for r in rows
    ]
    write_text(refiner.to_json() + "\n", folder / "refiner.json")
    write_text("\n".join(lines), folder / "refinement.md")
    write_csv(found, folder / "refinement.csv")
    write_rows([head, *listed], folder / "patients.csv")
    return {
        "on": HELD_OUT,
        "command": command,
        "values": _values(found),
        "tables": [table.entry() for table in found],
        "notes": about,
    }


def _values(found: list[Table]) -> dict[str, str]:
    """The few figures that a card begins with."""
    values = {}
    for table in found:
        own = {row.label: row for row in table.rows}
        if table.title == BLEEDING:
            for label in (PLAIN, REFINED):
                values[f"mean Dice of the {label} mask, {own[label].cases} bleeding patients"] = (
                    own[label].estimates[0].text()
                )
            values["gain of the refinement"] = own[REFINED].estimates[1].text()
        if table.title == CLEAN:
            for label in (PLAIN, REFINED):
                values[f"ml in the {label} mask, {own[label].cases} patients without hemorrhage"] = (
                    own[label].estimates[0].text(1)
                )
    return values


def _groups(
    title: str,
    group: str,
    rows: list[Measured],
    draws: Bootstrap,
    dice: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
) -> Table:
    columns = (PLAIN, TUNED, REFINED)
    lines = []
    for name, counted in groups.items():
        gain = dice[REFINED] - dice[TUNED]
        figures = (*(draws.mean(dice[c], counted) for c in columns), draws.mean(gain, counted))
        lines.append(Row(name, figures, int(counted.sum())))
    return Table(title, group, (*columns, "gain on the chosen threshold"), (*lines,), "patients")


def _by_kind(rows: list[Measured]) -> dict[str, np.ndarray]:
    """Patients that have a kind, among others perhaps."""
    return {kind: np.array([kind in r.kinds for r in rows]) for kind in KINDS}


def _by_size(rows: list[Measured]) -> dict[str, np.ndarray]:
    ml = np.array([r.ml for r in rows])
    names = ("under 5 ml", "5 to 30 ml", "from 30 ml")
    return {
        name: (ml >= low) & (ml < high)
        for name, low, high in zip(names, SIZES_ML[:-1], SIZES_ML[1:], strict=True)
    }
