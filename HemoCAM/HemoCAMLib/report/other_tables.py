"""The further tables: thresholds, classifier, statistics, faithfulness."""

from __future__ import annotations

from collections.abc import Iterable

from ..benchmark.plan import CHOSEN, PERCENTILE
from ..evaluation.significance import p_text
from .blocks import Block, Cell, Fold, Grid, Heading, Line, Paragraph, cell, estimate_text, number
from .measure_tables import by_stage
from .source import Benchmarked, Row
from .words import counted, definitions, label, method_name, named_pair, scale_title

LEVEL = 0.05
_BRIEF = ("dice", "box_dice")  # the measures whose tests are printed; tables/ has the others


def threshold_chapter(found: Benchmarked, fixed: Block, percentiles: Block | None) -> list[Block]:
    """The chosen thresholds and what they gave, with the curves; percentiles behind a fold, where they were tried."""
    steps = found.plan.thresholds
    blocks: list[Block] = [
        Heading("Thresholds"),
        Paragraph(
            f"Of {len(steps)} fixed thresholds from {steps[0]:g} to {steps[-1]:g}, the one with the best "
            f"{label(found.plan.metric)} on the tuning split ({found.tuning}) was taken for each method, "
            "stage and scale, and applied to the test split as it was."
        ),
        *(_thresholds(found, scale, CHOSEN) for scale in found.scales),
        fixed,
    ]
    if PERCENTILE in found.plan.rules:
        own = [_thresholds(found, scale, PERCENTILE) for scale in found.scales]
        blocks.append(
            Fold("Percentiles of each slice's own map, chosen in the same way", [*own, percentiles])
        )
    return blocks


def _thresholds(found: Benchmarked, scale: str, rule: str) -> Grid:
    lines: list[Line] = []
    for row in sorted(found.rows("thresholds", scale=scale, rule=rule), key=lambda row: row["stage"]):
        edge = " (edge)" if row["at_edge"] else ""
        threshold = Cell(f"{row['threshold']:{'g' if rule == PERCENTILE else '.3f'}}{edge}")
        cells = [threshold, *(Cell(number(row[name])) for name in ("value", "test", "best_test"))]
        opens = not lines or lines[-1].cells[0] != str(row["stage"])
        lines.append(Line([str(row["stage"]), method_name(row["method"]), *cells], opens))
    note = (
        "Best possible: had it been chosen on the test split itself, which shows what the choice has cost. "
        "Edge: the lowest or highest that was tried; a better one may lie beyond."
    )
    what = "percentile" if rule == PERCENTILE else "threshold"
    columns = ["stage", "method", what, "tuning split", "test split", "best possible"]
    return Grid(f"Chosen {what}s, {scale} scaling", columns, lines, 2, note)


def classification_chapter(found: Benchmarked) -> list[Block]:
    """How good the classifier was: a row a class and unit; the target's slices by kind and size."""
    whole, groups = {}, {}
    for row in found.rows("classification"):
        if row["group"] == "all":
            whole.setdefault((row["class"], row["unit"]), []).append(row)
        else:
            groups.setdefault(row["group"], []).append(row)
    blocks: list[Block] = [Heading("The classifier behind the maps")]
    blocks.append(
        _figures(
            "On the test split", ["class", "unit"], whole, "Positive from the threshold of the model on."
        )
    )
    if groups:
        title = f"Slices with {found.plan.target}, each group against the clean slices"
        blocks.append(
            Fold("By kind and by size", [_figures(title, ["group"], {(g,): r for g, r in groups.items()})])
        )
    return blocks


def _figures(title: str, heads: list[str], groups: dict[tuple, list[Row]], note: str = "") -> Grid:
    figures = list(dict.fromkeys(row["figure"] for rows in groups.values() for row in rows))
    lines = []
    for names, rows in groups.items():
        own = {row["figure"]: row for row in rows}
        counts = [str(rows[0]["cases"]), str(rows[0]["positives"])]
        cells = [cell(own.get(figure)) for figure in figures]
        lines.append(Line([*names, *(Cell(c) for c in counts), *cells]))
    return Grid(title, [*heads, "cases", "positive", *figures], lines, len(heads), note)


def statistics_chapter(found: Benchmarked, figures: Block) -> list[Block]:
    """Ranks and paired tests; nothing where one map alone was measured."""
    if "ranks" not in found.tables and "pairs" not in found.tables:
        return []
    blocks: list[Block] = [
        Heading("Statistics"),
        Paragraph(
            "The unit is the patient: measures are averaged over a patient's positive slices first. Pairs "
            "are compared by Wilcoxon's signed-rank test, and p is corrected after Holm within each family "
            "(the methods at a stage, the stages of each method, the scales). Ranks: Friedman's test in "
            "its F form; names that share a letter are not told apart (Nemenyi, 5%)."
        ),
        figures,
    ]
    for scale in found.scales:
        ranked: list[Block] = [
            _ranks(list(rows), family, metric)
            for metric in _BRIEF
            for family, rows in _families(found, "ranks", scale, metric).items()
        ]
        if ranked:
            blocks.append(Fold(f"Mean ranks, {scale_title(scale)}", ranked))
        paired: list[Block] = [
            _pairs(list(rows), family, metric)
            for metric in _BRIEF
            for family, rows in _families(found, "pairs", scale, metric).items()
        ]
        if paired:
            blocks.append(Fold(f"Paired tests, {scale_title(scale)}", paired))
    blocks.append(
        Paragraph(
            "Ranks and pairs of the other measures are in tables/ranks.csv and tables/pairs.csv.", quiet=True
        )
    )
    return blocks


def _families(found: Benchmarked, table: str, scale: str, metric: str) -> dict[str, list[Row]]:
    families: dict[str, list[Row]] = {}
    for row in found.rows(table, scale=scale, metric=metric):
        families.setdefault(row["family"], []).append(row)
    return families


def _ranks(rows: list[Row], family: str, metric: str) -> Grid:
    lines = [
        Line([named_pair(r["name"]), cell(r), Cell(number(r["mean_rank"], 2)), Cell(r["groups"] or "-")])
        for r in rows
    ]
    first = rows[0]
    note = f"{first['patients']} patients: too few to rank."
    if first["p"] is not None:
        f = number(first["f"], 2)
        note = (
            f"Friedman: chi-square {first['chi_square']:.2f}, F {f}, p {p_text(first['p'])}; critical "
            f"difference {number(first['critical_difference'], 2)}; {first['patients']} patients."
        )
    return Grid(
        f"Ranks by {label(metric)}: {family}",
        ["name", "mean over patients", "mean rank", "group"],
        lines,
        1,
        note,
    )


def _pairs(rows: list[Row], family: str, metric: str) -> Grid:
    lines = []
    for row in rows:
        value = {"value": row["median_difference"], "low": row["low"], "high": row["high"]}
        lines.append(
            Line(
                [
                    named_pair(row["first"]), named_pair(row["second"]), Cell(str(row["patients"])), cell(value),
                    Cell(f"{row['larger']} / {row['equal']} / {row['smaller']}"),
                    Cell(number(row["rank_biserial"], 2)), Cell(p_of(row["p"])),
                    Cell(p_of(row["p_holm"]), marked=significant(row)),
                ]
            )
        )  # fmt: skip
    columns = [
        "first",
        "second",
        "patients",
        "median difference",
        "larger / equal / smaller",
        "rank-biserial",
    ]
    return Grid(f"Pairs by {label(metric)}: {family}", [*columns, "p", "p (Holm)"], lines, 2)


def p_of(p: float | None) -> str:
    """A p as text; a dash for None."""
    return "-" if p is None else p_text(p)


def significant(row: Row) -> bool:
    """Whether a pair differs after correction."""
    return row["p_holm"] is not None and row["p_holm"] <= LEVEL


def hopeless(rows: Iterable[Row]) -> bool:
    """Whether no test of a family could have been significant, for want of patients, whatever the maps.

    The smallest p of a signed-rank test of n patients is 2 / 2^n, and Holm takes it times the number of tests.
    """
    patients = [row["patients"] for row in rows if row["p_holm"] is not None]
    return bool(patients) and len(patients) * 2.0 ** (1 - max(patients)) > LEVEL


def signed_difference(row: Row) -> str:
    """Median difference of a pair with its interval."""
    return estimate_text({"value": row["median_difference"], "low": row["low"], "high": row["high"]})


def faithfulness_chapter(found: Benchmarked) -> list[Block]:
    """Whether maps are faithful to the model, and what is left of them without its weights; nothing if not asked."""
    blocks: list[Block] = []
    if "faithfulness" in found.tables:
        metrics = ("deletion", "insertion", "road")
        columns = [
            (m, {(r["method"], r["stage"]): r for r in found.rows("faithfulness", metric=m)}) for m in metrics
        ]
        row = next(found.rows("faithfulness"))
        rest = f"{counted(row['cases'], 'bleeding slice')} of {counted(row['patients'], 'patient')}"
        note = (
            f"In probability, over {rest}, drawn from the test split. {definitions(metrics)} Random numbers go "
            "along: what a map gets that knows nothing."
        )
        blocks.append(_with_random(found, columns, note))
    if "randomisation" in found.tables:
        blocks.append(_randomisation(found))
    head = "Are the maps faithful to the model?"
    return [Heading(head), *blocks] if blocks else []


def _with_random(found: Benchmarked, columns: list, note: str) -> Grid:
    """The table by stage with the random map as a row of its own at each stage."""
    plain = by_stage(found, "Faithfulness", columns, note)
    lines: list[Line] = []
    for place, line in zip(plain.lines, [*plain.lines[1:], None], strict=True):
        lines.append(place)
        stage = place.cells[0]
        if line is None or line.cells[0] != stage:
            key = ("random", int(stage))
            lines.append(Line([stage, method_name("random"), *(cell(rows.get(key)) for _, rows in columns)]))
    return Grid(plain.title, plain.columns, lines, plain.heads, plain.note)


def _randomisation(found: Benchmarked) -> Grid:
    rows = list(found.rows("randomisation", metric="abs_spearman"))
    depths = list(dict.fromkeys(row["depth"] for row in rows))
    columns = [
        (depth, {(r["method"], r["stage"]): r for r in rows if r["depth"] == depth}) for depth in depths
    ]
    note = (
        "Size of the rank correlation between each map and that of the model whose weights are lost from "
        "the head down to the named layer. A map that stays alike (near 1) does not show what the model "
        "has learnt (Adebayo et al., NeurIPS 2018)."
    )
    return by_stage(found, "Maps after weights are lost", columns, note, digits=2, rate=False)
