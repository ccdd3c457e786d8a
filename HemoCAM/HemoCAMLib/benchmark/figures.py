"""The paper's figures, and those beyond it, each for every method and stage with its interval by patient.

All figures are rows of one form, :data:`COLUMNS`. ``over`` says what a figure is a mean of:

``positive slices``
    Mean over the slices with blood, as the paper has it; a value that is not defined (a precision without a mask) is
    left out, and ``cases`` counts those that are.
``positive pixels``, ``all pixels``
    Of the pixels of all slices with blood, or of all slices, taken together (of boxes: of their boxes).
``all slices``
    Mean over all slices, where Dice and IoU of a clean slice are 1 if nothing is shown there and 0 if anything is.
``clean slices``
    Of slices without blood; ``quiet`` is the share of them on which nothing is shown.
``bleeding cases``, ``clean cases``
    Mean over scans with blood, and without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.bootstrap import Bootstrap, Estimate
from ..metrics.pixels import PIXEL_METRICS, PixelCounts
from ..phantoms.patient import KINDS
from .columns import table_of
from .plan import Plan
from .sums import Sums, estimates, ratios, size_names

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "scale", "rule", "method", "stage", "group", "over", "metric", "value", "low", "high", "cases", "patients",
)  # fmt: skip
ALL = "all"  # the group of all slices, or cases; others are a kind or a size
BOX_MEANS = ("box_dice", "box_iou", "box_matched_dice", "box_matched_iou")
# share of boxes that are hit: of the truth's (is a bleed found), of the map's (is what is shown right)
HITS = {
    "hit_loose": ("box_truth_loose", "box_truth_boxes"),
    "hit_strict": ("box_truth_strict", "box_truth_boxes"),
    "right_loose": ("box_test_loose", "box_test_boxes"),
    "right_strict": ("box_test_strict", "box_test_boxes"),
}
POINTING = ("pointing", "pointing_near", "energy_share")
_COUNTS = ("tp", "fp", "fn", "tn")
_ENERGY = ("energy_inside", "energy_total")
SLICE_COLUMNS = (
    *PIXEL_METRICS, *_COUNTS, *BOX_MEANS, *dict.fromkeys(c for pair in HITS.values() for c in pair),
    *POINTING, *_ENERGY,
)  # fmt: skip
VOLUME_COLUMNS = (
    *PIXEL_METRICS, "hd95_mm", "lesion_sensitivity", "lesion_f1", "false_positive_lesions", "absolute_error_ml",
    "error_ml", "relative_error", "mask_ml", "pointing", "energy_share",
)  # fmt: skip
_OF_CLEAN_CASES = ("mask_ml", "false_positive_lesions")
_OF_GROUPS = ("dice", "iou", "precision", "recall", "box_dice", "box_iou", "pointing", "energy_share")
_OF_VOLUME_GROUPS = (
    "dice",
    "iou",
    "recall",
    "hd95_mm",
    "lesion_sensitivity",
    "absolute_error_ml",
    "pointing",
)


@dataclass(frozen=True)
class Figure:
    """One figure of one method and stage; the fields are those of :data:`COLUMNS`."""

    scale: str
    rule: str
    method: str
    stage: int
    group: str
    over: str
    metric: str
    estimate: Estimate


def figure_table(figures: list[Figure]) -> pa.Table:
    """Put figures into a table of :data:`COLUMNS`."""
    columns: dict[str, np.ndarray] = {}
    for name in COLUMNS:
        own = name if name in Figure.__dataclass_fields__ else None
        values = [getattr(f if own else f.estimate, name) for f in figures]
        columns[name] = np.array(values) if values else np.zeros(0, _KINDS.get(name, str))
    return table_of(columns)


_KINDS = {"stage": int, "value": float, "low": float, "high": float, "cases": int, "patients": int}


@dataclass(frozen=True, eq=False)
class PatientMeans:
    """Means of some metrics over each patient's slices with blood, of one scale and rule.

    Parameters
    ----------
    patients:
        Sorted, (P,).
    which:
        (method, stage), K of them.
    values:
        By metric, (P, K); NaN where nothing is defined.
    busiest:
        Which of the K has most rows: the only one that has any, of refined masks.
    """

    patients: np.ndarray
    which: list[tuple[str, int]]
    values: dict[str, np.ndarray]
    busiest: int


@dataclass(frozen=True, eq=False)
class Block:
    """Sums of one scale and rule, and the draws of the patients; makes the figures of them."""

    scale: str
    rule: str
    sums: Sums
    people: Bootstrap

    @classmethod
    def slices(
        cls, path: Path, plan: Plan, scale: str, rule: str, people: Bootstrap, who: list[str]
    ) -> Block:
        """Add up the merged table of slices; ``who`` are the patients of ``people``, sorted."""
        which = [(m, s) for s in plan.stages for m in plan.methods]
        where = {"scale": scale, "rule": rule}
        return cls(scale, rule, Sums.of(path, where, SLICE_COLUMNS, which, who), people)

    @classmethod
    def volumes(
        cls, path: Path, plan: Plan, scale: str, rule: str, people: Bootstrap, who: list[str]
    ) -> Block:
        """Add up the merged table of volumes."""
        which = [(m, s) for s in plan.stages for m in plan.methods]
        where = {"scale": scale, "rule": rule}
        return cls(scale, rule, Sums.of(path, where, VOLUME_COLUMNS, which, who, "truth_ml"), people)

    @property
    def positive(self) -> np.ndarray:
        """Rows with blood, bool."""
        return self.sums.keys["positive"]

    def pixels(self) -> Iterator[Figure]:
        """Pixel Dice, IoU, precision, recall and overlap, over everything they may be a mean of."""
        yield from self._means(PIXEL_METRICS, ALL, "positive slices", self.positive)
        for over, rows in (("positive pixels", self.positive), ("all pixels", None)):
            for metric in PIXEL_METRICS:
                yield from self._figures(ALL, over, metric, self._pooled(metric, rows))
        total, quiet = self.sums.total("rows"), self.sums.total("quiet")
        for metric in ("dice", "iou"):
            part = self.sums.total(metric, self.positive) + quiet
            yield from self._figures(ALL, "all slices", metric, ratios(self.people, part, total))
        clean = self.sums.total("rows", ~self.positive)
        yield from self._figures(ALL, "clean slices", "quiet", ratios(self.people, quiet, clean))

    def boxes(self) -> Iterator[Figure]:
        """Dice and IoU of boxes, and hit rates both ways."""
        yield from self._means(BOX_MEANS, ALL, "positive slices", self.positive)
        for over, rows in (("positive pixels", self.positive), ("all pixels", None)):
            for metric, (hits, boxes) in HITS.items():
                if over == "positive pixels" or metric.startswith("right"):
                    part, whole = (self.sums.total(c, rows) for c in (hits, boxes))
                    yield from self._figures(ALL, over, metric, ratios(self.people, part, whole))

    def pointing(self) -> Iterator[Figure]:
        """Pointing game and energy, which no threshold touches: their ``rule`` is empty."""
        yield from self._means(POINTING, ALL, "positive slices", self.positive, rule="")
        for over, rows in (("positive pixels", self.positive), ("all pixels", None)):
            part, whole = (self.sums.total(c, rows) for c in _ENERGY)
            cases = self.sums.total("rows", rows)
            found = ratios(self.people, part, whole, cases)
            yield from self._figures(ALL, over, "energy_share", found, rule="")

    def groups(self) -> Iterator[Figure]:
        """By kind and by size of the hemorrhage in the slice, over positive slices."""
        yield from self._by_group(_OF_GROUPS, "truth_mm2", "positive slices")

    def cases(self) -> Iterator[Figure]:
        """Means over whole scans, all of them and by kind and size."""
        yield from self._means(VOLUME_COLUMNS, ALL, "bleeding cases", self.positive)
        yield from self._means(_OF_CLEAN_CASES, ALL, "clean cases", ~self.positive)
        clean = self.sums.total("rows", ~self.positive)
        yield from self._figures(
            ALL, "clean cases", "quiet", ratios(self.people, self.sums.total("quiet"), clean)
        )
        yield from self._by_group(_OF_VOLUME_GROUPS, "truth_ml", "bleeding cases")

    def patient_means(self, metrics: Sequence[str]) -> PatientMeans:
        """Return what is left of the block when maps are compared: means over each patient's rows with blood."""
        values = {}
        for metric in metrics:
            part, whole = (self.sums.total(c, self.positive) for c in (metric, f"{metric}/n"))
            values[metric] = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
        busiest = int(self.sums.total("rows").sum(axis=0).argmax())
        return PatientMeans(self.sums.patients, self.sums.which, values, busiest)

    def _by_group(self, metrics: tuple[str, ...], size: str, over: str) -> Iterator[Figure]:
        for key, names in (("kind", KINDS), ("size", size_names(size))):
            for name in names:
                rows = self.positive & (self.sums.keys[key] == name)
                if rows.any():
                    yield from self._means(metrics, name, over, rows)

    def _means(
        self, metrics: object, group: str, over: str, rows: np.ndarray, rule: str | None = None
    ) -> Iterator[Figure]:
        for metric in metrics:
            yield from self._figures(group, over, metric, self.sums.mean(self.people, metric, rows), rule)

    def _pooled(self, metric: str, rows: np.ndarray | None) -> list[Estimate]:
        counts = [self.sums.total(c, rows) for c in _COUNTS]
        shape = counts[0].shape

        def figure(weights: np.ndarray) -> np.ndarray:
            drawn = PixelCounts(*(weights @ c for c in counts))
            return PIXEL_METRICS[metric](drawn).reshape(len(weights), shape[1])

        return estimates(self.people, figure, self.sums.total("rows", rows))

    def _figures(
        self, group: str, over: str, metric: str, found: list[Estimate], rule: str | None = None
    ) -> Iterator[Figure]:
        rule = self.rule if rule is None else rule
        counted = self.sums.total("rows").any(axis=0)  # refined masks there are of one method and stage alone
        for (method, stage), estimate, there in zip(self.sums.which, found, counted, strict=True):
            if there:
                yield Figure(self.scale, rule, method, stage, group, over, metric, estimate)
