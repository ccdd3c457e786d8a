"""What the numbers in a mask stand for: one hemorrhage, or its kinds as a mapping file names them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..phantoms.patient import KINDS
from .layouts import LABELS

_BINARY = (1, 255)
_LARGEST_FILE = 2**20
# the abbreviations of the literature; Hemorica writes EPH where others write EDH
_SHORT = {
    "edh": "epidural",
    "eph": "epidural",
    "extradural": "epidural",
    "iph": "intraparenchymal",
    "ivh": "intraventricular",
    "sah": "subarachnoid",
    "sdh": "subdural",
}


def kind_of(name: str) -> str | None:
    """Return which of ``KINDS`` a column or label means ("Epidural", "EDH", "subdural_hemorrhage"), or None."""
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    for ending in ("_binary", "_hemorrhage", "_haemorrhage", "_hematoma"):
        plain = plain.removesuffix(ending)
    plain = _SHORT.get(plain, plain)
    return plain if plain in KINDS else None


@dataclass(frozen=True)
class LabelCode:
    """How a mask's values are read.

    ``kinds``: pairs of a value above 0 and its number in :data:`~.layouts.LABELS`, 1 to 5; None for masks that
    tell hemorrhage from none only, as 0 and 1 or 0 and 255.
    """

    kinds: tuple[tuple[int, int], ...] | None = None

    @property
    def kinds_known(self) -> bool:
        """Whether masks tell the kinds apart."""
        return self.kinds is not None

    def unknown(self, array: np.ndarray) -> list[int]:
        """Return the values of a mask (whole numbers, any shape) that mean nothing here, sorted."""
        known = _BINARY if self.kinds is None else [value for value, _ in self.kinds]
        present = np.unique(array[array != 0])
        return [int(value) for value in present if value not in known]

    def decode(self, array: np.ndarray, name: str) -> np.ndarray:
        """Return labels as in :data:`~.layouts.LABELS`, uint8, same shape; 1 for blood of an unknown kind.

        Parameters
        ----------
        array:
            Whole numbers of 0 and above.
        name:
            Of the file, for the sentence.

        Raises
        ------
        InputError
            If a value has no meaning.
        """
        strange = self.unknown(array)
        if strange:
            several = (
                "labels " + ", ".join(map(str, strange[:5])) if len(strange) > 1 else f"label {strange[0]}"
            )
            raise InputError(
                f"{name} holds the {several}, which nothing names; "
                + (
                    "add its meaning to the mapping file."
                    if self.kinds_known
                    else 'name the kinds in a mapping file, labels.json: {"epidural": 1, ...}.'
                )
            )
        if self.kinds is None:
            return (array != 0).astype(np.uint8)
        out = np.zeros(array.shape, np.uint8)
        for value, number in self.kinds:
            out[array == value] = number
        return out


def read_label_code(path: Path) -> LabelCode:
    """Read a mapping file: JSON, an object of kinds (or their abbreviations) and values, or the other way round.

    ``{"epidural": 1, "subdural": [2, 7], "background": 0}`` and ``{"1": "EDH", "2": "SDH"}`` are both understood;
    ``{"hemorrhage": 1}`` stands for masks without kinds.

    Raises
    ------
    InputError
        If it is no such file, names a kind that there is not, or gives one value two meanings.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError("it is far too large")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The mapping file {path.name} cannot be read ({error}).") from None
    if not isinstance(content, dict):
        raise InputError(f"The mapping file {path.name} holds no object of kinds and their numbers.")
    meaning: dict[int, str] = {}
    for key, value in content.items():
        name, numbers = (value, key) if isinstance(value, str) else (key, value)
        for number in numbers if isinstance(numbers, list) else [numbers]:
            label = _number(number, path)
            if meaning.setdefault(label, name) != name:
                raise InputError(f"The mapping file {path.name} gives the label {label} two meanings.")
    return _code(meaning, path)


def _number(value: object, path: Path) -> int:
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    except ValueError:
        number = -1
    if number < 0:
        raise InputError(
            f"The mapping file {path.name} has the label {value!r}; labels are whole numbers from 0."
        )
    return number


def _code(meaning: dict[int, str], path: Path) -> LabelCode:
    pairs, plain = [], []
    for label, name in sorted(meaning.items()):
        if label == 0:
            if kind_of(name):
                raise InputError(
                    f"The mapping file {path.name} calls the label 0 {name}; 0 is the background."
                )
        elif kind_of(name):
            pairs.append((label, LABELS[kind_of(name)]))
        elif name.strip().lower() in ("hemorrhage", "haemorrhage", "any", "ich"):
            plain.append(label)
        else:
            raise InputError(
                f"The mapping file {path.name} names {name!r}, which is no kind of hemorrhage; choose from "
                f"{', '.join(KINDS)}."
            )
    if pairs and plain:
        raise InputError(
            f"The mapping file {path.name} names kinds and a hemorrhage without kind; masks hold the one or the "
            "other."
        )
    if not pairs and not set(plain) <= set(_BINARY):
        raise InputError(f"The mapping file {path.name}: masks without kinds hold 0 and 1, or 0 and 255.")
    return LabelCode(tuple(pairs) or None)
