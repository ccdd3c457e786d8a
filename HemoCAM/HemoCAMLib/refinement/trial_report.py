"""Tables of a trial: Dice by mask, what the refinement adds to the plain mask, by kind and by size of hemorrhage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..evaluation.bootstrap import Bootstrap
from ..evaluation.tables import Row, Table
from ..phantoms.patient import KINDS

PLAIN, TUNED, REFINED = "plain", "plain, threshold chosen here", "refined"
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
        found.append(
            Table("Mean Dice of bleeding patients", "mask", ("Dice", "gain on plain"), (*lines,), "patients")
        )
        found.append(_groups("By kind", "kind", bleeding, draws, dice, _by_kind(bleeding)))
        found.append(_groups("By size", "blood", bleeding, draws, dice, _by_size(bleeding)))
    if clean:
        draws = Bootstrap(np.array([r.seed for r in clean]))
        lines = [
            Row(name, (draws.mean(np.array([r.false_ml[name] for r in clean])),), len(clean))
            for name in clean[0].false_ml
        ]
        found.append(
            Table("Masks in patients without hemorrhage", "mask", ("false ml",), (*lines,), "patients")
        )
    return found


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
