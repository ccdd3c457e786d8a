"""The paper's tables: methods as rows by stage, a column a measure, for each scale."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from ..benchmark.plan import CHOSEN, REFINED
from ..phantoms.patient import KINDS
from .blocks import Block, Cell, Fold, Grid, Heading, Line, Paragraph, cell
from .source import Benchmarked, Place, Row
from .words import RULE_NAMES, counted, definitions, label, method_name, place_name, scale_title

PIXELS = ("dice", "iou", "precision", "recall", "overlap")
BOXES = ("box_dice", "box_iou", "hit_loose", "hit_strict", "right_loose", "right_strict")
MATCHED = ("box_matched_dice", "box_matched_iou")
POINTING = ("pointing", "pointing_near", "energy_share")
VOLUMES = (
    "dice",
    "iou",
    "hd95_mm",
    "lesion_sensitivity",
    "lesion_f1",
    "false_positive_lesions",
    "absolute_error_ml",
)
# hits are counted over the boxes of all slices with blood together
OVER_BOXES = dict.fromkeys(("hit_loose", "hit_strict", "right_loose", "right_strict"), "positive pixels")
_SMALL = {"hd95_mm", "false_positive_lesions", "absolute_error_ml", "deletion", "abs_spearman"}
_UNRATED = {"mask_ml", "error_ml", "relative_error"}

Column = tuple[str, dict[Place, Row]]


def best_places(metric: str, found: Mapping[Hashable, Row]) -> set[Hashable]:
    """Keys of the best value, several where it is shared; none where nothing is rated, or all are alike."""
    known = {key: row["value"] for key, row in found.items() if row["value"] is not None}
    if metric in _UNRATED or len(set(known.values())) < 2:
        return set()
    best = (min if metric in _SMALL else max)(known.values())
    return {key for key, value in known.items() if value == best}


def by_stage(
    found: Benchmarked,
    title: str,
    columns: Sequence[Column],
    note: str = "",
    digits: int = 3,
    rate: bool = True,
) -> Grid:
    """A table of methods by stage: columns are (measure, its rows by method and stage)."""
    places = [p for p in found.places if any(p in rows for _, rows in columns)]
    best = [best_places(metric, rows) if rate else set() for metric, rows in columns]
    lines = []
    for place in places:
        cells = [
            cell(rows.get(place), digits, place in winners)
            for (_, rows), winners in zip(columns, best, strict=True)
        ]
        opens = not lines or lines[-1].cells[0] != str(place[1])
        lines.append(Line([str(place[1]), method_name(place[0]), *cells], opens))
    return Grid(title, ["stage", "method", *(label(metric) for metric, _ in columns)], lines, 2, note)


def scale_chapter(found: Benchmarked, scale: str, figures: Block) -> list[Block]:
    """Pixels, boxes, pointing and energy of one scale, with its figures."""
    rest = _rest(found)
    return [
        Heading(f"Maps against masks: {scale_title(scale)}"),
        figures,
        _pixels(found, scale, rest),
        _boxes(found, scale),
        _pointing(found, scale),
        Fold("Over all slices and pixels, and boxes in pairs", _others(found, scale)),
    ]


def _pixels(found: Benchmarked, scale: str, rest: str) -> Grid:
    columns = [(m, found.figures("pixels", m, scale)) for m in PIXELS]
    note = f"Means over positive slices {rest}. {definitions(PIXELS)}"
    return by_stage(found, f"Pixels, {scale} scaling", columns, note)


def _boxes(found: Benchmarked, scale: str) -> Grid:
    columns = [
        (m, found.figures("boxes", m, scale, over=OVER_BOXES.get(m, "positive slices"))) for m in BOXES
    ]
    note = (
        "Box Dice and IoU: means over positive slices; rates: of the boxes of all of them together. "
        f"Strict: IoU of at least {found.plan.settings.strict_iou:g}. {definitions(BOXES)}"
    )
    return by_stage(found, f"Bounding boxes, {scale} scaling", columns, note)


def _pointing(found: Benchmarked, scale: str) -> Grid:
    columns = [(m, found.figures("pointing", m, scale, rule="")) for m in POINTING]
    note = (
        "Means over positive slices, without any threshold; a slice that shows nothing points nowhere. "
        f"Near: within {found.plan.settings.tolerance_mm:g} mm. {definitions(POINTING)}"
    )
    return by_stage(found, f"Pointing and energy, {scale} scaling", columns, note)


def _others(found: Benchmarked, scale: str) -> list[Block]:
    own = []
    for metric, over, name in (
        ("dice", "positive pixels", "Dice, pixels of positive slices"),
        ("dice", "all pixels", "Dice, all pixels"),
        ("precision", "all pixels", "Precision, all pixels"),
        ("dice", "all slices", "Dice, all slices"),
        ("quiet", "clean slices", "Quiet, clean slices"),
    ):
        own.append((name, found.figures("pixels", metric, scale, over=over)))
    pooled = by_stage(
        found, f"Over all slices and pixels, {scale} scaling", own,
        "Pixels: of all slices together. All slices: Dice of a clean slice is 1 if nothing is shown there, "
        "else 0. Quiet: part of the clean slices on which nothing is shown.",
    )  # fmt: skip
    columns = [(m, found.figures("boxes", m, scale)) for m in MATCHED]
    columns += [("right_loose", found.figures("boxes", "right_loose", scale, over="all pixels"))]
    pairs = by_stage(
        found, f"Boxes in pairs, {scale} scaling", columns,
        f"{definitions(MATCHED)} Boxes right are those of all slices here, clean ones too.",
    )  # fmt: skip
    return [pooled, pairs]


def _rest(found: Benchmarked) -> str:
    """On how much the figures rest."""
    row = next(found.rows("pixels", metric="dice", over="positive slices", rule=CHOSEN), None)
    if row is None:
        return ""
    patients = counted(row["patients"], "patient")
    return (
        f"({counted(row['cases'], 'slice')} of {patients}), masks at the threshold chosen on the tuning split"
    )


def rule_chapter(found: Benchmarked) -> list[Block]:
    """Dice at each threshold rule, and the refined masks beside the plain ones."""
    rules = (CHOSEN, *found.plan.rules)
    blocks: list[Block] = []
    if len(rules) > 1:
        for scale in found.scales:
            columns = [
                (RULE_NAMES.get(rule, rule), found.figures("pixels", "dice", scale, rule)) for rule in rules
            ]
            note = "Mean Dice over positive slices. Chosen: on the tuning split. Percentiles, Otsu: of each slice."
            blocks.append(by_stage(found, f"Dice by threshold rule, {scale} scaling", columns, note))
    return [Heading("Other threshold rules"), *blocks] if blocks else []


def refinement_chapter(found: Benchmarked) -> list[Block]:
    """The refined masks beside the plain ones of the same map; nothing if there are none."""
    refined = found.figures("pixels", "dice", "gated", REFINED)
    if not refined:
        return []
    place = next(iter(refined))
    tables = (
        ("pixels", PIXELS, "positive slices", "slices"),
        ("boxes", ("box_dice", "box_iou"), "positive slices", "slices"),
        ("cases", ("dice", "hd95_mm", "lesion_f1", "absolute_error_ml"), "bleeding cases", "scans"),
    )  # fmt: skip
    lines = []
    for table, metrics, over, unit in tables:
        for n, metric in enumerate(metrics):
            values = {
                rule: found.figures(table, metric, "gated", rule, over).get(place)
                for rule in (CHOSEN, REFINED)
            }
            best = best_places(metric, {rule: row for rule, row in values.items() if row})
            cells = [cell(row, marked=rule in best) for rule, row in values.items()]
            lines.append(Line([unit, label(metric), *cells], n == 0))
    note = (
        "The map joined with what the HU say, fitted on the training split; both masks are of the same map."
    )
    title = f"Refined masks: {place_name(place)}, gated scaling"
    return [
        Heading("Masks refined by HU"),
        Grid(title, ["over", "measure", "plain", "refined"], lines, 2, note),
    ]


def group_chapter(found: Benchmarked) -> list[Block]:
    """By kind and by size: Dice of all methods at each scale's best stage, and all measures of the best map."""
    names = list(dict.fromkeys(row["group"] for row in found.rows("groups")))
    if not names:
        return []
    blocks: list[Block] = [Heading("By kind and by size of the hemorrhage")]
    kinds = [n for n in names if n in KINDS]
    for scale in found.scales:
        best = found.best("pixels", "dice", scale)
        if not best:
            continue
        for title, own in (("kind", kinds), ("size in the slice", [n for n in names if n not in kinds])):
            if own:
                blocks.append(_groups(found, scale, best[0][1], title, own))
    blocks.append(
        Paragraph(
            "Slices are counted for the kind with most pixels. All methods, stages and measures are in "
            "tables/groups.csv.",
            quiet=True,
        )
    )
    return blocks


def _groups(found: Benchmarked, scale: str, stage: int, title: str, names: list[str]) -> Grid:
    columns, heads = [], []
    for name in names:
        rows = {p: r for p, r in found.figures("groups", "dice", scale, group=name).items() if p[1] == stage}
        count = max((row["cases"] for row in rows.values()), default=0)
        columns.append(rows)
        heads.append(f"{name} (n={count})")
    lines = []
    for method in found.plan.methods:
        place = (method, stage)
        cells: list[Cell | str] = [
            cell(rows.get(place), marked=place in best_places("dice", rows)) for rows in columns
        ]
        lines.append(Line([method_name(method), *cells]))
    return Grid(f"Slice Dice by {title}, {scale} scaling, stage {stage}", ["method", *heads], lines)


def volume_chapter(found: Benchmarked) -> list[Block]:
    """Whole scans."""
    blocks: list[Block] = [Heading("Whole scans")]
    for scale in found.scales:
        columns = [(m, found.figures("cases", m, scale, over="bleeding cases")) for m in VOLUMES]
        columns.append(("Quiet, clean scans", found.figures("cases", "quiet", scale, over="clean cases")))
        row = next(found.rows("cases", scale=scale, over="bleeding cases", metric="dice", rule=CHOSEN), None)
        rest = f"Means over {counted(row['cases'], 'bleeding scan')}" if row else "There is no bleeding scan"
        note = f"{rest}. {definitions(VOLUMES[2:])} Quiet: part of the clean scans on which nothing is shown at all."
        blocks.append(by_stage(found, f"Whole scans, {scale} scaling", columns, note))
    return blocks
