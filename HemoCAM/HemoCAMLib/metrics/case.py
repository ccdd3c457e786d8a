"""All measures of one case, as two flat tables: a row for each slice and rule, and a row for each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..errors import OptionError
from ..evaluation.peak import peak_inside
from ..progress import Progress, silent
from .boxes import NOTHING, BoxAgreement, boxes_of, compare_boxes
from .kinds import kind_pixels, largest_kind
from .lesions import VolumeAgreement, compare_lesions
from .pixels import PIXEL_METRICS, PixelCounts, check_masks, count
from .pointing import energy, energy_share, points_inside
from .reference import Reference
from .rules import Rule
from .sweep import check_maps

Columns = dict[str, np.ndarray]

_BOX_METRICS = [f.name for f in fields(BoxAgreement)][:4]
_BOX_COUNTS = [f.name for f in fields(BoxAgreement)][4:]


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


def measure_case(
    reference: Reference, maps: np.ndarray, rules: Sequence[Rule], progress: Progress = silent
) -> CaseTables:
    """Measure the maps of one case at some threshold rules.

    Parameters
    ----------
    reference:
        The truth; keep it for further maps of the case, which are then measured faster.
    maps:
        As shown, shape (n, H, W), 0..1.
    rules:
        One or more, of different names.
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
        slices have their own; nothing ``near``), and ``slices``, ``positive_slices``; ``truth_ml``, ``mask_ml``,
        ``error_ml``, ``absolute_error_ml``, ``relative_error``, ``ml_<kind>``; ``hd95_mm`` (:mod:`.distances`);
        ``truth_lesions``, ``test_lesions``, ``lesions_found``, ``lesions_right``, ``lesion_sensitivity``,
        ``false_positive_lesions``, ``lesion_f1`` (:mod:`.lesions`).

        The values on empty masks are those that the measures' own docstrings give.

    Raises
    ------
    ValueError
        If maps and truth differ in shape, or the maps leave 0..1.
    OptionError
        If two rules have one name, or there is none.
    """
    names = [rule.name for rule in rules]
    if not names or len(set(names)) < len(names):
        raise OptionError(
            "Threshold rules must be one or more, of different names; leave out what is there twice."
        )
    maps = _check(reference, maps)
    heat = _heat_columns(reference, maps)
    parts = []
    for done, rule in enumerate(rules):
        progress("Measuring masks", done, len(rules))
        thresholds = rule.thresholds(maps)
        masks = maps >= thresholds[:, None, None]
        parts.append(_measure(reference, rule.name, thresholds.astype(np.float64), masks, *heat))
    progress("Measuring masks", len(rules), len(rules))
    return _joined(parts)


def measure_masks(reference: Reference, maps: np.ndarray, masks: Mapping[str, np.ndarray]) -> CaseTables:
    """Measure masks that were not made by a threshold rule (refined ones, say).

    Parameters
    ----------
    reference:
        The truth.
    maps:
        Where the masks come from, shape (n, H, W), 0..1, for pointing and energy.
    masks:
        By what the column ``rule`` calls them; bool, of the same shape.

    Returns
    -------
    CaseTables
        As :func:`measure_case`; each ``threshold`` is NaN.

    Raises
    ------
    ValueError
        If shapes or types differ, or there is no mask.
    """
    if not masks:
        raise ValueError("there is no mask to measure")
    maps = _check(reference, maps)
    check_masks(reference.mask, *masks.values())
    heat = _heat_columns(reference, maps)
    unknown = np.full(len(maps), np.nan)
    return _joined([_measure(reference, name, unknown, mask, *heat) for name, mask in masks.items()])


def _check(reference: Reference, maps: np.ndarray) -> np.ndarray:
    maps = check_maps(maps)
    if maps.shape != reference.labels.shape:
        raise ValueError(f"maps and labels have one shape, not {maps.shape} and {reference.labels.shape}")
    return maps


def _joined(parts: list[tuple[Columns, dict[str, object]]]) -> CaseTables:
    slices, volumes = zip(*parts, strict=True)
    kinds = {str: np.str_, int: np.int64, float: np.float64}
    return CaseTables(
        {name: np.concatenate([part[name] for part in slices]) for name in slices[0]},
        {
            name: np.array([part[name] for part in volumes], kinds[type(value)])
            for name, value in volumes[0].items()
        },
    )


def _heat_columns(reference: Reference, maps: np.ndarray) -> tuple[Columns, dict[str, float]]:
    """What depends on the map alone: columns of its slices, and of the volume."""
    near = np.full(len(maps), np.nan)
    if reference.spacing is not None:
        near = points_inside(maps, reference.mask, reference.settings.tolerance_mm, reference.spacing)
    inside, total = energy(maps, reference.mask)
    peak = maps.max(axis=(1, 2), initial=0).astype(np.float64)
    slices = {
        "peak": peak,
        "pointing": points_inside(maps, reference.mask).astype(np.float64),
        "pointing_near": near.astype(np.float64),
        "energy_inside": inside,
        "energy_total": total,
        "energy_share": energy_share(inside, total),
    }
    volume = {
        "peak": float(peak.max(initial=0)),
        "pointing": float(maps.size > 0 and peak_inside(maps, reference.mask)),
        "energy_inside": float(inside.sum()),
        "energy_total": float(total.sum()),
        "energy_share": float(energy_share(inside.sum(), total.sum())),
    }
    return slices, volume


def _measure(
    reference: Reference,
    name: str,
    thresholds: np.ndarray,
    masks: np.ndarray,
    heat: Columns,
    volume_heat: dict[str, float],
) -> tuple[Columns, dict[str, object]]:
    """Columns of the slices at one rule, and the row of the volume."""
    kinds, number = reference.kinds, len(masks)
    counts = count(reference.mask, masks)
    covered = kind_pixels(reference.labels, masks & reference.mask, kinds)
    boxes = _box_columns(reference, masks)
    slices = {
        "slice": np.arange(number, dtype=np.int64),
        "rule": np.full(number, name),
        "threshold": thresholds,
        "truth_px": counts.truth,
        "truth_mm2": counts.truth * reference.pixel_mm2,
        "kind": largest_kind(reference.kind_pixels, kinds),
        **{f"px_{kind}": column for kind, column in zip(kinds, reference.kind_pixels.T, strict=True)},
        **{f"covered_{kind}": column for kind, column in zip(kinds, covered.T, strict=True)},
        **_pixel_columns(counts),
        **{f"box_{name}": column for name, column in boxes.items()},
        **heat,
    }
    one = number > 0 and (thresholds == thresholds[0]).all()
    volume = {
        "rule": name,
        "threshold": float(thresholds[0]) if one else np.nan,
        "slices": number,
        "positive_slices": int(np.count_nonzero(counts.truth)),
        **_volume_cells(reference, masks, counts.pooled(), covered.sum(axis=0)),
        **{f"box_{name}": int(boxes[name].sum()) for name in _BOX_COUNTS},
        **volume_heat,
    }
    return slices, volume


def _pixel_columns(counts: PixelCounts) -> Columns:
    own = {f.name: getattr(counts, f.name) for f in fields(counts)}
    return own | {name: metric(counts) for name, metric in PIXEL_METRICS.items()}


def _box_columns(reference: Reference, masks: np.ndarray) -> Columns:
    rows = []
    for truth, mask in zip(reference.boxes, masks, strict=True):
        test = boxes_of(mask, reference.settings.smallest_box)
        some = len(truth) or len(test)
        rows.append(compare_boxes(truth, test, reference.settings.strict_iou) if some else NOTHING)
    columns = {name: np.array([getattr(row, name) for row in rows], np.float64) for name in _BOX_METRICS}
    return columns | {name: np.array([getattr(row, name) for row in rows], np.int64) for name in _BOX_COUNTS}


def _volume_cells(
    reference: Reference, masks: np.ndarray, pooled: PixelCounts, covered: np.ndarray
) -> dict[str, object]:
    kinds, settings = reference.kinds, reference.settings
    pixels = reference.kind_pixels.sum(axis=0)
    size = VolumeAgreement(float(pooled.truth * reference.voxel_ml), float(pooled.test * reference.voxel_ml))
    lesions = compare_lesions(reference.mask, masks, settings.lesion_covered, settings.smallest_lesion)
    surface = reference.surface
    return {
        "truth_px": int(pooled.truth),
        "truth_ml": size.truth_ml,
        "mask_ml": size.test_ml,
        "error_ml": size.error_ml,
        "absolute_error_ml": size.absolute_error_ml,
        "relative_error": size.relative_error,
        "kind": str(largest_kind(pixels[None], kinds)[0]),
        **{f"px_{kind}": int(n) for kind, n in zip(kinds, pixels, strict=True)},
        **{f"ml_{kind}": float(n * reference.voxel_ml) for kind, n in zip(kinds, pixels, strict=True)},
        **{f"covered_{kind}": int(n) for kind, n in zip(kinds, covered, strict=True)},
        **{name: column.item() for name, column in _pixel_columns(pooled).items()},
        "hd95_mm": surface.hausdorff(masks).percentile_95 if surface else np.nan,
        "truth_lesions": lesions.truth_lesions,
        "test_lesions": lesions.test_lesions,
        "lesions_found": lesions.found,
        "lesions_right": lesions.right,
        "lesion_sensitivity": lesions.sensitivity,
        "false_positive_lesions": lesions.false_positives,
        "lesion_f1": lesions.f1,
    }
