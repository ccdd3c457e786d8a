"""What the fit keeps of its cases: histograms, the same few kilobytes whatever the number of voxels and cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import InputError
from ..progress import Progress, silent
from .cases import Aligned, RefinementCase
from .mixtures import BIN_HU, CENTRES_HU, LOW_HU
from .prior import DISTANCE_CENTRES_MM, TABLE_SHAPE, distance_cell, map_cell
from .tissue import tissue_blocks

# Less blood than this in a case says more of the labels' edges than of blood.
_LEAST_ML = 0.2


@dataclass
class Statistics:
    """Weights of voxels of soft tissue inside the skull; every patient counts as one, large bleedings or small.

    Parameters
    ----------
    blood:
        By HU, shape (HU bins,).
    rest:
        By distance to bone and HU, without blood, shape (distances, HU bins).
    blood_prior, rest_prior:
        By map and distance, on slices that the map shows, shape :data:`~.prior.TABLE_SHAPE`.
    cases, bleeding:
        How many were counted, and how many of them bleed.
    """

    blood: np.ndarray = field(default_factory=lambda: np.zeros(len(CENTRES_HU)))
    rest: np.ndarray = field(default_factory=lambda: np.zeros((len(DISTANCE_CENTRES_MM), len(CENTRES_HU))))
    blood_prior: np.ndarray = field(default_factory=lambda: np.zeros(TABLE_SHAPE))
    rest_prior: np.ndarray = field(default_factory=lambda: np.zeros(TABLE_SHAPE))
    cases: int = 0
    bleeding: int = 0

    @classmethod
    def of(cls, cases: Iterable[RefinementCase], progress: Progress = silent, total: int = 0) -> Statistics:
        """Count cases one after the other; none is kept.

        Raises
        ------
        InputError
            If a case is wrong, or the cases are not enough: blood, tissue without it, and maps that show slices
            with both.
        """
        found = cls()
        for done, case in enumerate(cases):
            progress("Counting voxels of blood and tissue", done, max(total, done + 1))
            found.add(case)
        found.check()
        return found

    def check(self) -> None:
        """Raise :class:`InputError` if these are no counts, or too little to fit on: one sentence says what."""
        empty = Statistics()
        for name, what in (
            ("blood", "any blood"),
            ("rest", "tissue without blood"),
            ("blood_prior", "a map that shows a slice with blood"),
            ("rest_prior", "a map that shows tissue without blood"),
        ):
            table, shape = np.asarray(getattr(self, name)), getattr(empty, name).shape
            if table.shape != shape or not np.isfinite(table).all() or table.min() < 0:
                raise InputError(
                    f"The counts {name!r} of the refinement are not weights of 0 and above in the shape {shape}; "
                    "count the cases again."
                )
            if not table.sum() > 0:
                raise InputError(
                    f"The refinement cannot be fitted: none of its {self.cases} cases has {what} inside the skull."
                )

    def add(self, case: RefinementCase) -> None:
        """Count one case."""
        own = Aligned.of(case.ct, case.heatmap, case.blood)
        one = Statistics()
        for tissue in tissue_blocks(own.axial, np.ones(own.axial.shape[0], bool)):
            inside = tissue.inside
            blood, maps = own.blood[tissue.box][inside], own.heatmap[tissue.box][inside]
            shown = np.broadcast_to(own.shown[tissue.box[0], None, None], inside.shape)[inside]
            bins = hu_bin(tissue.hu[inside])
            away = distance_cell(tissue.distance_mm[inside])
            one.blood += np.bincount(bins[blood], minlength=len(one.blood))
            one.rest += _joint(away[~blood], bins[~blood], one.rest.shape)
            for table, who in ((one.blood_prior, blood & shown), (one.rest_prior, ~blood & shown)):
                table += _joint(map_cell(maps[who]), away[who], table.shape)
        self._take(one, case.ct.voxel_ml)

    def without_distance(self) -> Statistics:
        """The same counts as if nobody knew the distance to bone: at every distance the mean of all."""
        spread = [
            np.broadcast_to(t.mean(axis=1, keepdims=True), t.shape)
            for t in (self.blood_prior, self.rest_prior)
        ]
        rest = np.broadcast_to(self.rest.mean(axis=0), self.rest.shape)
        return replace(self, rest=rest, blood_prior=spread[0], rest_prior=spread[1])

    def _take(self, one: Statistics, voxel_ml: float) -> None:
        bleeds = one.blood.sum() * voxel_ml >= _LEAST_ML
        if bleeds:
            self.blood += one.blood / one.blood.sum()
        if one.rest.any():
            self.rest += one.rest / one.rest.sum()
        shown = one.blood_prior.sum() + one.rest_prior.sum()
        if shown:
            self.blood_prior += one.blood_prior / shown
            self.rest_prior += one.rest_prior / shown
        self.cases += 1
        self.bleeding += int(bleeds)


def hu_bin(hu: np.ndarray) -> np.ndarray:
    """Bin around :data:`~.mixtures.CENTRES_HU` of HU, intp; the outermost take what lies beyond."""
    return np.clip((hu - LOW_HU) / BIN_HU, 0, len(CENTRES_HU) - 1).astype(np.intp)


def _joint(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
