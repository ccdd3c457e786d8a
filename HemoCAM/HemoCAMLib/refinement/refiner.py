"""The refinement as one object: fitted on patients with labels, applied to a CT and its map, stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import InputError, ModelError
from ..progress import Progress, silent
from ..steps import Step, Steps, follow
from ..volumes.volume import Volume
from .cases import Aligned, RefinementCase
from .hysteresis import hysteresis
from .posterior import Posterior, fit_posterior
from .statistics import Statistics
from .thresholds import Sweep
from .tissue import tissue_parts

FORMAT = 1
REFINING = "Refining masks"
_HIGH, _LOW = 0.5, 0.35  # the source's thresholds, until they are chosen on patients


@dataclass(frozen=True)
class Refined:
    """``posterior``: P(blood), float32, 0..1; ``mask``: bool. Both on the CT's own grid, shape (K, J, I)."""

    posterior: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Refiner:
    """A fitted refinement.

    Parameters
    ----------
    model:
        The closed form with its numbers.
    high, low:
        Hysteresis thresholds on the posterior, ``0 < low <= high <= 1``.
    about:
        What it was fitted on, as JSON values: counts and scores, no names.
    """

    model: Posterior
    high: float = _HIGH
    low: float = _LOW
    about: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high <= 1:
            raise ValueError(f"thresholds are 0 < low <= high <= 1, not {self.low:g} and {self.high:g}")

    @classmethod
    def fit(cls, cases: Iterable[RefinementCase], progress: Progress = silent, total: int = 0) -> Refiner:
        """Fit on the training split; the thresholds are the source's until :meth:`tuned` chooses them.

        Parameters
        ----------
        cases:
            Taken one at a time, in one pass; memory does not grow with them. Nothing is random: the same cases in
            the same order give the same refiner.
        progress, total:
            Called a case; how many there are, if it is known.

        Raises
        ------
        InputError
            If a case is wrong, or the cases hold too little to fit on; one sentence says what.
        """
        return cls.of(Statistics.of(cases, progress, total))

    @classmethod
    def of(cls, counted: Statistics) -> Refiner:
        """Fit on counted cases, as ``counted.check()`` lets pass; the same counts give the same refiner."""
        counted.check()
        about = {"fitted on": counted.cases, "of them bleeding": counted.bleeding}
        return cls(fit_posterior(counted), about=about)

    def tuned(self, cases: Iterable[RefinementCase], progress: Progress = silent, total: int = 0) -> Refiner:
        """Return this refiner with the thresholds of the largest mean Dice over the bleeding ones of ``cases``.

        Raises
        ------
        InputError
            If no case bleeds, or one is wrong.
        """
        sweep = Sweep()
        for done, case in enumerate(cases):
            progress("Choosing thresholds", done, max(total, done + 1))
            if case.blood.any():
                sweep.add(self.posterior(case.ct, case.heatmap), case.blood)
        return self.with_thresholds(sweep)

    def with_thresholds(self, sweep: Sweep, *, single: bool = False) -> Refiner:
        """Return this refiner with the best thresholds of a sweep over its posteriors; see :meth:`Sweep.best`."""
        low, high, score = sweep.best(single=single)
        about = {**self.about, "thresholds chosen on": sweep.cases, "mean Dice there": round(score, 4)}
        return replace(self, low=low, high=high, about=about)

    def posterior(
        self,
        ct: Volume | np.ndarray,
        heatmap: Volume | np.ndarray,
        spacing_mm: tuple[float, float, float] | None = None,
        progress: Progress = silent,
    ) -> np.ndarray:
        """P(blood) on the CT's own grid, float32, 0..1; arguments and errors as for :meth:`refine`.

        0 outside the skull's inside, in bone, air and fat, and on slices whose map is 0 throughout: what the gate
        has called clean stays clean.
        """
        return follow(self._posterior(ct, heatmap, spacing_mm), progress)

    def _posterior(
        self,
        ct: Volume | np.ndarray,
        heatmap: Volume | np.ndarray,
        spacing_mm: tuple[float, float, float] | None,
    ) -> Steps[np.ndarray]:
        yield Step(REFINING, 0, 1)
        ct = as_volume(ct, spacing_mm)
        own = Aligned.of(ct, heatmap.array if isinstance(heatmap, Volume) else np.asarray(heatmap))
        out = np.zeros(ct.shape, np.float32)
        canonical = own.order.view(out)
        shown = int(own.shown.sum())
        done = 0
        for tissue in tissue_parts(own.axial, own.shown) if shown else ():
            yield Step(REFINING, done, shown)
            if tissue is None:
                continue
            inside = tissue.inside
            found = np.zeros(inside.shape, np.float32)
            found[inside] = self.model.quick(
                tissue.hu[inside], own.heatmap[tissue.box][inside], tissue.distance_mm[inside]
            )
            canonical[tissue.box] = found
            done += len(inside)
        return out

    def refine(
        self,
        ct: Volume | np.ndarray,
        heatmap: Volume | np.ndarray,
        spacing_mm: tuple[float, float, float] | None = None,
        progress: Progress = silent,
    ) -> Refined:
        """Join a map with the HU under it.

        Parameters
        ----------
        ct:
            HU: a volume of any orientation, or an array of axial slices from inferior to superior, rows from
            front to back, shape (n, rows, columns), with its ``spacing_mm``.
        heatmap:
            The shown map, 0..1, on the CT's grid.
        spacing_mm:
            For an array: mm along columns, rows, slices, in the order of ``Volume.spacing`` (I, J, K).
        progress:
            Called between blocks of slices.

        Returns
        -------
        Refined
            Empty where the map is empty.

        Raises
        ------
        InputError
            If shapes differ, the map leaves 0..1, HU are not numbers, or an array comes without its spacing.
        """
        return follow(self.steps(ct, heatmap, spacing_mm), progress)

    def steps(
        self,
        ct: Volume | np.ndarray,
        heatmap: Volume | np.ndarray,
        spacing_mm: tuple[float, float, float] | None = None,
    ) -> Steps[Refined]:
        """As :meth:`refine`, in short steps."""
        found = yield from self._posterior(ct, heatmap, spacing_mm)
        yield Step(REFINING, 1, 1)
        return Refined(found, hysteresis(found, self.low, self.high))

    def to_dict(self) -> dict:
        """As JSON values, for a manifest."""
        return {
            "format": FORMAT,
            "high": self.high,
            "low": self.low,
            "model": self.model.to_dict(),
            "about": self.about,
        }

    def to_json(self) -> str:
        """As text; :meth:`from_json` gives the same numbers to the last bit."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    @classmethod
    def from_dict(cls, entry: dict, where: str = "The refinement") -> Refiner:
        """Read what :meth:`to_dict` wrote; ``where`` opens error sentences; :class:`ModelError` if it is wrong."""
        try:
            if entry["format"] != FORMAT:
                raise ValueError(f"its format is {entry['format']!r}, not {FORMAT}")
            model, about = Posterior.from_dict(entry["model"]), entry["about"]
            if not isinstance(about, dict):
                raise TypeError("what it was fitted on is no list of names and values")
            json.dumps(about, allow_nan=False)  # or it could not be written again
            return cls(model, float(entry["high"]), float(entry["low"]), dict(about))
        except KeyError as error:
            problem = f"it lacks {error}"
        except (TypeError, ValueError, OverflowError) as error:
            problem = str(error)
        raise ModelError(f"{where} cannot be used: {problem}; fit it again.")

    @classmethod
    def from_json(cls, text: str, where: str = "The refinement") -> Refiner:
        """Read what :meth:`to_json` wrote; :class:`ModelError` with one sentence if it is something else."""
        try:
            entry = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelError(f"{where} is not valid JSON ({error}); fit it again.") from None
        return cls.from_dict(entry, where)


def as_volume(ct: Volume | np.ndarray, spacing_mm: tuple[float, float, float] | None) -> Volume:
    """Place an array of axial slices in canonical order; a volume passes as it is."""
    if isinstance(ct, Volume):
        return ct
    array = np.asarray(ct)
    spacing = np.asarray(spacing_mm if spacing_mm is not None else (), np.float64)
    if array.ndim != 3 or spacing.shape != (3,) or not (np.isfinite(spacing) & (spacing > 0)).all():
        raise InputError(
            f"An array of HU needs 3 axes and 3 spacings in mm above 0, not {array.ndim} axes and {spacing_mm}."
        )
    return Volume(array, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))
