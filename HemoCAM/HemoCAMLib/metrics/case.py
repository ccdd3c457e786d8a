"""All measures of one case, as two flat tables: a row for each slice and rule, and a row for each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..errors import OptionError
from ..evaluation.peak import peak_inside
from ..progress import Progress, silent
from .boxes import NOTHING, STRICT_IOU, BoxAgreement, boxes_of, compare_boxes
from .kinds import kind_pixels, largest_kind
from .lesions import VolumeAgreement, compare_lesions, hd95
from .pixels import PIXEL_METRICS, PixelCounts, count
from .pointing import energy, energy_share, points_inside
from .rules import Rule
from .sweep import check_maps

Columns = dict[str, np.ndarray]

_BOX_COUNTS = [f.name for f in fields(BoxAgreement)][4:]
_BOX_METRICS = [f.name for f in fields(BoxAgreement)][:4]


@dataclass(frozen=True)
class Settings:
    """What the measures leave open.

    Parameters
    ----------
    strict_iou:
        IoU from which a box is hit strictly.
    smallest_box:
        Components of fewer pixels have no box.
    tolerance_mm:
        How far beside the truth the peak of a map may lie to be near: by default half a cell of a map at 1/16
        of the input, whose cells are 15 mm.
    lesion_covered:
        Part of a lesion that must be covered to be found; 0: any overlap.
    smallest_lesion:
        Smaller components, in voxels, are no lesions.
    distances:
        Whether Hausdorff distances are measured, which take the longest; their column is NaN if not.
    """

    strict_iou: float = STRICT_IOU
    smallest_box: int = 1
    tolerance_mm: float = 7.5
    lesion_covered: float = 0.0
    smallest_lesion: int = 1
    distances: bool = True


@dataclass(frozen=True)
class CaseTables:
    """Columns by name, in an order that never changes: whole numbers int64, others float64, names as text.

    Parameters
    ----------
    slices:
        A row for each rule and slice, n slices of the first rule first.
    volumes:
        A row for each rule.
    """

    slices: Columns
    volumes: Columns


@dataclass(frozen=True)
class _Case:
    """What does not depend on the rule."""

    maps: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    ijk_to_ras: np.ndarray | None
    kinds: Mapping[str, int]
    settings: Settings
    boxes: list[np.ndarray]
    kind_pixels: np.ndarray  # (n, kinds)
    pointing: Columns
    volume_pointing: dict[str, float]

    @property
    def pixel_mm2(self) -> float:
        if self.ijk_to_ras is None:
            return np.nan
        return float(np.linalg.norm(np.cross(*self.ijk_to_ras[:3, :2].T)))

    @property
    def voxel_ml(self) -> float:
        return np.nan if self.ijk_to_ras is None else abs(np.linalg.det(self.ijk_to_ras[:3, :3])) / 1000


def measure_case(
    maps: np.ndarray,
    labels: np.ndarray,
    ijk_to_ras: np.ndarray | None,
    rules: Sequence[Rule],
    kinds: Mapping[str, int],
    settings: Settings | None = None,
    progress: Progress = silent,
) -> CaseTables:
    """Measure the maps of one case at some threshold rules.

    Parameters
    ----------
    maps:
        As shown, shape (n, H, W), 0..1.
    labels:
        Truth on the same grid: whole numbers, every value but 0 is hemorrhage; or bool.
    ijk_to_ras:
        Affine of the grid, shape (4, 4), mm, whose voxel (i, j, k) is ``maps[k, j, i]``; None where sizes are not
        known: whatever is in mm or ml is NaN then.
    rules:
        One or more, of different names.
    kinds:
        Label of each kind of hemorrhage (:data:`~..datasets.layouts.LABELS`, say); empty where the labels tell none.
    settings:
        What the measures leave open.
    progress:
        Called between rules.

    Returns
    -------
    CaseTables
        ``slices`` has ``slice`` (from 0), ``rule``, ``threshold`` (infinite: the rule takes nothing);
        ``truth_px``, ``truth_mm2``, ``kind`` (the one with most pixels, the first of equals; empty without) and
        ``px_<kind>``; ``covered_<kind>``, those of them in the mask; ``tp``, ``fp``, ``fn``, ``tn`` and
        :data:`~.pixels.PIXEL_METRICS`; ``box_`` and the fields of :class:`~.boxes.BoxAgreement`; and, alike for
        all rules, ``peak`` (largest value of the map), ``pointing``, ``pointing_near`` (with the tolerance; 1 or
        0), ``energy_inside``, ``energy_total``, ``energy_share`` (:mod:`.pointing`).

        ``volumes`` has the same of all voxels together (numbers of boxes summed up; ``threshold`` is NaN where
        slices have their own), and ``slices``, ``positive_slices``; ``truth_ml``, ``mask_ml``, ``error_ml``,
        ``absolute_error_ml``, ``relative_error``, ``ml_<kind>``; ``hd95_mm``; ``truth_lesions``, ``test_lesions``,
        ``lesions_found``, ``lesions_right``, ``lesion_sensitivity``, ``false_positive_lesions``,
        ``lesion_f1`` (:mod:`.lesions`).

        The values on empty masks are those that the measures' own docstrings give.

    Raises
    ------
    ValueError
        If shapes, types or values are others.
    OptionError
        If two rules have one name, or there is none.
    """
    case = _prepare(maps, labels, ijk_to_ras, kinds, settings or Settings())
    names = [rule.name for rule in rules]
    if not names or len(set(names)) < len(names):
        raise OptionError(
            "Threshold rules must be one or more, of different names; leave out what is there twice."
        )
    parts = []
    for done, rule in enumerate(rules):
        progress("Measuring masks", done, len(rules))
        parts.append(_measure_rule(case, rule))
    progress("Measuring masks", len(rules), len(rules))
    slices, volumes = zip(*parts, strict=True)
    return CaseTables(
        {name: np.concatenate([part[name] for part in slices]) for name in slices[0]},
        {name: _column([part[name] for part in volumes]) for name in volumes[0]},
    )


def _prepare(
    maps: np.ndarray,
    labels: np.ndarray,
    ijk_to_ras: np.ndarray | None,
    kinds: Mapping[str, int],
    settings: Settings,
) -> _Case:
    maps = check_maps(maps)
    if labels.shape != maps.shape or labels.dtype.kind not in "bui" or (labels.size and labels.min() < 0):
        raise ValueError(
            f"labels are whole numbers from 0 of the maps' shape {maps.shape}, not {labels.shape}"
        )
    truth = labels if labels.dtype == bool else labels != 0
    pixels = kind_pixels(labels, truth, kinds)
    near = np.full(len(maps), np.nan)
    if ijk_to_ras is not None:
        spacing = np.linalg.norm(ijk_to_ras[:3, [1, 0]], axis=0)  # between rows, between columns
        near = points_inside(maps, truth, settings.tolerance_mm, spacing).astype(np.float64)
    inside, total = energy(maps, truth)
    peak = maps.max(axis=(1, 2), initial=0).astype(np.float64)
    pointing = {
        "peak": peak,
        "pointing": points_inside(maps, truth).astype(np.float64),
        "pointing_near": near,
        "energy_inside": inside,
        "energy_total": total,
        "energy_share": energy_share(inside, total),
    }
    whole = {
        "peak": float(peak.max(initial=0)),
        "pointing": float(maps.size > 0 and peak_inside(maps, truth)),
        "energy_inside": float(inside.sum()),
        "energy_total": float(total.sum()),
        "energy_share": float(energy_share(inside.sum(), total.sum())),
    }
    boxes = [boxes_of(mask, settings.smallest_box) for mask in truth]
    return _Case(maps, labels, truth, ijk_to_ras, kinds, settings, boxes, pixels, pointing, whole)


def _measure_rule(case: _Case, rule: Rule) -> tuple[Columns, dict[str, object]]:
    thresholds = rule.thresholds(case.maps)
    masks = case.maps >= thresholds[:, None, None]
    counts = count(case.truth, masks)
    covered = kind_pixels(case.labels, masks & case.truth, case.kinds)
    boxes = _box_columns(case, masks)
    number = len(masks)
    slices = {
        "slice": np.arange(number),
        "rule": np.full(number, rule.name),
        "threshold": thresholds.astype(np.float64),
        "truth_px": counts.truth,
        "truth_mm2": counts.truth * case.pixel_mm2,
        "kind": largest_kind(case.kind_pixels, case.kinds),
        **{f"px_{kind}": column for kind, column in zip(case.kinds, case.kind_pixels.T, strict=True)},
        **{f"covered_{kind}": column for kind, column in zip(case.kinds, covered.T, strict=True)},
        **_pixel_columns(counts),
        **{f"box_{name}": column for name, column in boxes.items()},
        **case.pointing,
    }
    return slices, _volume_row(case, rule, thresholds, masks, counts, covered, boxes)


def _pixel_columns(counts: PixelCounts) -> Columns:
    own = {f.name: getattr(counts, f.name) for f in fields(counts)}
    return own | {name: metric(counts) for name, metric in PIXEL_METRICS.items()}


def _box_columns(case: _Case, masks: np.ndarray) -> Columns:
    rows = []
    for truth, mask in zip(case.boxes, masks, strict=True):
        test = boxes_of(mask, case.settings.smallest_box)
        some = len(truth) or len(test)
        rows.append(compare_boxes(truth, test, case.settings.strict_iou) if some else NOTHING)
    columns = {name: np.array([getattr(row, name) for row in rows], np.float64) for name in _BOX_METRICS}
    return columns | {name: np.array([getattr(row, name) for row in rows], np.int64) for name in _BOX_COUNTS}


def _volume_row(
    case: _Case,
    rule: Rule,
    thresholds: np.ndarray,
    masks: np.ndarray,
    counts: PixelCounts,
    covered: np.ndarray,
    boxes: Columns,
) -> dict[str, object]:
    pooled, settings = counts.pooled(), case.settings
    volume = VolumeAgreement(float(pooled.truth * case.voxel_ml), float(pooled.test * case.voxel_ml))
    lesions = compare_lesions(case.truth, masks, settings.lesion_covered, settings.smallest_lesion)
    one = len(thresholds) and (thresholds == thresholds[0]).all()
    pixels = case.kind_pixels.sum(axis=0)
    measured = settings.distances and case.ijk_to_ras is not None
    return {
        "rule": rule.name,
        "threshold": float(thresholds[0]) if one else np.nan,
        "slices": len(masks),
        "positive_slices": int(np.count_nonzero(counts.truth)),
        "truth_px": int(pooled.truth),
        "truth_ml": volume.truth_ml,
        "mask_ml": volume.test_ml,
        "error_ml": volume.error_ml,
        "absolute_error_ml": volume.absolute_error_ml,
        "relative_error": volume.relative_error,
        "kind": str(largest_kind(pixels[None], case.kinds)[0]),
        **{f"px_{kind}": int(n) for kind, n in zip(case.kinds, pixels, strict=True)},
        **{f"ml_{kind}": float(n * case.voxel_ml) for kind, n in zip(case.kinds, pixels, strict=True)},
        **{f"covered_{kind}": int(n) for kind, n in zip(case.kinds, covered.sum(axis=0), strict=True)},
        **{name: column.item() for name, column in _pixel_columns(pooled).items()},
        **{f"box_{name}": int(boxes[name].sum()) for name in _BOX_COUNTS},
        **case.volume_pointing,
        "hd95_mm": hd95(case.truth, masks, case.ijk_to_ras) if measured else np.nan,
        "truth_lesions": lesions.truth_lesions,
        "test_lesions": lesions.test_lesions,
        "lesions_found": lesions.found,
        "lesions_right": lesions.right,
        "lesion_sensitivity": lesions.sensitivity,
        "false_positive_lesions": lesions.false_positives,
        "lesion_f1": lesions.f1,
    }


def _column(values: list) -> np.ndarray:
    kind = {str: np.str_, int: np.int64, float: np.float64}[type(values[0])]
    return np.array(values, kind)
