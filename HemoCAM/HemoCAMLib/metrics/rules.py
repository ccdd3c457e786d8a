"""From a map to a mask: named threshold rules.

A mask is ``map >= t``. A pixel of value 0 never belongs to it, whatever the rule: nothing was shown there.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ..errors import OptionError
from .sweep import check_maps

# The paper's fixed thresholds (Rafati et al. 2025): 50 values from 0.1 to 0.9.
PAPER_THRESHOLDS = np.linspace(0.1, 0.9, 50)

_OTSU_BINS = 256
_LEAST = np.nextafter(np.float32(0), np.float32(1))


class Rule(ABC):
    """How thresholds are found. Rules of one name are equal; :func:`rule_named` makes them from it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call the rule, without spaces."""

    @abstractmethod
    def raw_thresholds(self, maps: np.ndarray) -> np.ndarray:
        """Thresholds of checked maps, shape (n,); they may still be 0."""

    def thresholds(self, maps: np.ndarray) -> np.ndarray:
        """Return a threshold for each slice.

        Parameters
        ----------
        maps:
            Shape (n, H, W), 0..1.

        Returns
        -------
        np.ndarray
            Shape (n,), float32, above 0; infinite where the rule takes nothing.

        Raises
        ------
        ValueError
            If the maps have another shape or leave 0..1.
        """
        maps = check_maps(maps)
        if not maps.size:
            return np.full(len(maps), np.inf, np.float32)
        return np.maximum(self.raw_thresholds(maps).astype(np.float32), _LEAST)

    def masks(self, maps: np.ndarray) -> np.ndarray:
        """Return the masks of maps (n, H, W), bool of the same shape; empty where a map is 0 throughout."""
        return np.asarray(maps, np.float32) >= self.thresholds(maps)[:, None, None]


@dataclass(frozen=True)
class Fixed(Rule):
    """One threshold for all slices, as the paper does.

    Parameters
    ----------
    value:
        Above 0 and up to 1.

    Raises
    ------
    OptionError
        For another value.
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 < self.value <= 1:
            raise OptionError(f"A threshold of {self.value:g} makes no sense; give one above 0 and up to 1.")

    @property
    def name(self) -> str:
        """``fixed:0.35``, with as many digits as it takes to tell float32 values apart."""
        return f"fixed:{np.format_float_positional(np.float32(self.value), trim='-')}"

    def raw_thresholds(self, maps: np.ndarray) -> np.ndarray:
        """Return the value for each slice."""
        return np.full(len(maps), self.value, np.float32)


@dataclass(frozen=True)
class Percentile(Rule):
    """The pixels at or above a percentile: a fixed area, whatever the map's values (more where values are equal).

    Parameters
    ----------
    percent:
        Of all pixels, those of value 0 included, 0 to below 100; interpolated linearly, as numpy does.
    over:
        ``slice``: each slice has its own, and so its mask. ``volume``: one for the volume, and slices
        with low maps have none.

    Raises
    ------
    OptionError
        For other values.
    """

    percent: float
    over: str = "slice"

    def __post_init__(self) -> None:
        if not 0 <= self.percent < 100:
            raise OptionError(
                f"There is no percentile {self.percent:g} to cut at; give one of 0 to below 100."
            )
        _check_over(self.over)

    @property
    def name(self) -> str:
        """``percentile:95``, ``percentile:99:volume``."""
        return f"percentile:{self.percent:.9g}" + (":volume" if self.over == "volume" else "")

    def raw_thresholds(self, maps: np.ndarray) -> np.ndarray:
        """Return the percentile of each slice, or of all of them."""
        if self.over == "volume":
            return np.full(len(maps), np.percentile(maps, self.percent))
        return np.array([np.percentile(plane, self.percent) if plane.any() else 0 for plane in maps])


@dataclass(frozen=True)
class Otsu(Rule):
    """The threshold that parts the pixels into two classes of the largest variance between them.

    N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62, on a histogram of 256 bins from
    the smallest to the largest value; the threshold is the middle of a bin, as in scikit-image. Where all
    pixels are alike there are no two classes, and the mask is empty.

    Parameters
    ----------
    over:
        ``slice`` or ``volume``, as for :class:`Percentile`.

    Raises
    ------
    OptionError
        For another value.
    """

    over: str = "slice"

    def __post_init__(self) -> None:
        _check_over(self.over)

    @property
    def name(self) -> str:
        """``otsu`` or ``otsu:volume``."""
        return "otsu" + (":volume" if self.over == "volume" else "")

    def raw_thresholds(self, maps: np.ndarray) -> np.ndarray:
        """Return Otsu's threshold of each slice, or of all of them."""
        if self.over == "volume":
            return np.full(len(maps), otsu(maps))
        return np.array([otsu(plane) for plane in maps])


def otsu(values: np.ndarray) -> float:
    """Otsu's threshold of values of any shape; infinite where all are alike. See :class:`Otsu`."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return math.inf
    number, edges = np.histogram(values, _OTSU_BINS, (low, high))
    middle = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(number)[:-1], np.cumsum(number * middle)
    above = values.size - below  # neither is ever 0: the first and the last bin hold the extremes
    between = below * above * (total[:-1] / below - (total[-1] - total[:-1]) / above) ** 2
    return float(middle[np.argmax(between)])


def rule_named(name: str) -> Rule:
    """Return the rule of a name: ``fixed:T``, ``percentile:P[:volume]``, ``otsu[:volume]``.

    Raises
    ------
    OptionError
        If there is none of that name, or its number makes no sense.
    """
    found = re.fullmatch(r"(?:(fixed|percentile):([0-9.eE+-]+)|otsu)(?::(slice|volume))?", name)
    over = found[3] if found else None
    if found and not (found[1] == "fixed" and over):
        try:
            if found[1] == "fixed":
                return Fixed(float(found[2]))
            if found[1] == "percentile":
                return Percentile(float(found[2]), over or "slice")
            return Otsu(over or "slice")
        except ValueError:
            pass  # "1.2.3" is no number
    raise OptionError(
        f"There is no threshold rule {name!r}; give fixed:0.35, percentile:95, percentile:99:volume, otsu or "
        "otsu:volume."
    )


def _check_over(over: str) -> None:
    if over not in ("slice", "volume"):
        raise OptionError(f"A threshold over {over!r} is unknown; choose slice or volume.")
