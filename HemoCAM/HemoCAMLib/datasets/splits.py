"""Who trains, who chooses thresholds, who is tested: splits by patient, drawn from a seed or read from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, OptionError
from ..progress import Progress, silent
from .case import Case
from .finding import DataSet
from .layouts import write_table
from .slice_table import read_rows

SPLITS = ("train", "validation", "test")
FRACTIONS = (0.6, 0.2, 0.2)
_NAMES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
} | {name: name for name in SPLITS}


@dataclass(frozen=True)
class Splits:
    """Which of :data:`SPLITS` each patient belongs to; every patient to exactly one.

    ``of``: patient to split.
    """

    of: Mapping[str, str]

    @classmethod
    def drawn(cls, bleeding: Mapping[str, bool], seed: int, fractions: Sequence[float] = FRACTIONS) -> Splits:
        """Draw splits, those with a hemorrhage and those without apart, so that each split has its share of both.

        The same patients, seed and fractions give the same splits, in whatever order the patients come.

        Parameters
        ----------
        bleeding:
            Whether each patient has a hemorrhage; see :func:`bleeding_patients`.
        seed:
            From 0.
        fractions:
            Of the patients for each of :data:`SPLITS`, with sum 1; 0 leaves a split empty. Each of the two groups
            is shared out to the nearest patient (largest remainder), with one patient at least for each split
            that wants any, where the group has so many.

        Raises
        ------
        OptionError
            If the fractions make no sense.
        InputError
            If there are fewer patients with a hemorrhage than splits that want one.
        """
        if len(fractions) != len(SPLITS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise OptionError(
                "The fractions of training, validation and test are three numbers with the sum 1."
            )
        if seed < 0:
            raise OptionError(f"The seed of the splits is a number from 0, not {seed}.")
        wanted, ill = sum(f > 0 for f in fractions), sum(bleeding.values())
        if ill < wanted:
            raise InputError(
                f"{ill} patients with a hemorrhage are too few for {wanted} splits; give more, or a splits file."
            )
        of = {}
        for stratum in (False, True):
            names = sorted(name for name, ill in bleeding.items() if bool(ill) is stratum)
            order = np.random.default_rng([seed, int(stratum)]).permutation(len(names))
            split = np.repeat(np.arange(len(SPLITS)), _shares(len(names), fractions))
            of |= {names[n]: SPLITS[s] for n, s in zip(order, split, strict=True)}
        return cls(dict(sorted(of.items())))

    @classmethod
    def read(cls, path: Path, patients: Iterable[str]) -> Splits:
        """Read a CSV with the columns ``patient`` and ``split`` (train, validation or val, test).

        Raises
        ------
        InputError
            With the first fault that :func:`read_splits` finds.
        """
        splits, faults = read_splits(path, patients)
        if faults:
            others = (
                f"; and {len(faults) - 1} more faults, which `hemocam check --splits` lists."
                if faults[1:]
                else "."
            )
            raise InputError(faults[0].removesuffix(".") + others)
        return splits

    def write(self, path: Path) -> None:
        """Write what :meth:`read` reads, sorted by patient, whole or not at all."""
        write_table([["patient", "split"], *([name, self.of[name]] for name in sorted(self.of))], path)

    def patients(self, split: str) -> tuple[str, ...]:
        """Return the patients of a split, sorted."""
        return tuple(sorted(name for name, own in self.of.items() if own == split))

    def cases(self, data: DataSet, split: str) -> tuple[Case, ...]:
        """Return the cases of a split, in the order of the data set."""
        return tuple(case for case in data.cases if self.of[case.patient] == split)


def read_splits(path: Path, patients: Iterable[str]) -> tuple[Splits, list[str]]:
    """Read a splits file and list all that is wrong with it, a sentence each.

    Parameters
    ----------
    path:
        As for :meth:`Splits.read`; the column may be named ``patient_name``, too, and a patient may have several
        lines, if they agree.
    patients:
        Those of the data set. One that is missing in the file is a fault, and so is one that is only there.

    Raises
    ------
    InputError
        If the file cannot be read, or lacks a column.
    """
    header, rows = read_rows(path)
    column = next((name for name in ("patient", "patient_name") if name in header), None)
    if column is None or "split" not in header:
        raise InputError(
            f"{path.name} lacks the column {'split' if column else 'patient'}; it has patient, split."
        )
    of: dict[str, str] = {}
    faults, known, leaking = [], set(patients), set()
    for line, row in rows:
        name, text = ((row.get(c) or "").strip() for c in (column, "split"))
        split = _NAMES.get(text.lower())
        if split is None:
            faults.append(
                f"Line {line} of {path.name} has the split {text[:40]!a}; there are {', '.join(SPLITS)}."
            )
        elif name not in known:
            faults.append(
                f"Line {line} of {path.name} names the patient {name[:80]!a}, who is not in the data set."
            )
        elif of.setdefault(name, split) != split and name not in leaking:
            leaking.add(name)
            faults.append(
                f"{path.name} puts the patient {name} into {of[name]} and {split}: it leaks; choose one."
            )
    named = {(row.get(column) or "").strip() for _, row in rows}
    faults += [f"{path.name} does not say in which split {name} is." for name in sorted(known - named)]
    return Splits(of), faults


def bleeding_patients(data: DataSet, progress: Progress = silent) -> dict[str, bool]:
    """Tell of every patient whether there is a hemorrhage: by the table of slices, else by the masks, which are read.

    Raises
    ------
    InputError
        If a mask is needed and missing or cannot be read.
    """
    found: dict[str, bool] = dict.fromkeys(data.patients, False)
    for done, case in enumerate(data.cases):
        progress("Looking who has a hemorrhage", done, len(data.cases))
        said = case.bleeds
        if said is None and not found[case.patient]:
            ct = case.grid()
            drawn = None if case.lacking else case.read_mask(ct)
            labels = case.slice_labels(ct, drawn)[:, 0]
            if np.isnan(labels).any() and not (labels == 1).any():
                raise InputError(f"Neither a table nor a mask tells whether {case.name} has a hemorrhage.")
            said = bool((labels == 1).any())
        found[case.patient] |= bool(said)
    return found


def _shares(count: int, fractions: Sequence[float]) -> np.ndarray:
    """Share ``count`` out by largest remainder, int, shape (3,); ties go to the later split, the test first."""
    exact = np.array(fractions, float) / sum(fractions) * count
    shares = np.floor(exact + 1e-9).astype(int)
    remainders = exact - shares
    for n in sorted(range(len(shares)), key=lambda n: (-round(float(remainders[n]), 9), -n))[
        : count - shares.sum()
    ]:
        shares[n] += 1
    wanting = [n for n in range(len(shares)) if fractions[n] > 0]
    if count >= len(wanting):
        for n in wanting:
            if shares[n] == 0:
                shares[int(shares.argmax())] -= 1
                shares[n] = 1
    return shares
