"""What a benchmark shows, as sentences that are computed from its tables."""

from __future__ import annotations

from ..benchmark.comparisons import name_of
from ..benchmark.plan import CHOSEN
from ..evaluation.bootstrap import FEWEST
from .blocks import Block, Heading, Paragraph, Points, estimate_text, number
from .further_findings import FEW, further_findings
from .other_tables import hopeless, p_of, signed_difference, significant
from .paper import PUBLISHED, SCALE, STAGE, leads
from .source import Benchmarked, Place, Row
from .words import counted, listed, method_name, place_name


def findings(found: Benchmarked) -> list[str]:
    """Sentences on the best of each scale and the next, stage 5, the scales, and all else that was asked for."""
    said = [
        *(sentence for scale in found.scales for sentence in of_scale(found, scale)),
        *stage_findings(found),
        *_beside_the_paper(found),
        *further_findings(found),
    ]
    return [sentence for sentence in said if sentence]


def findings_chapter(found: Benchmarked) -> list[Block]:
    """The sentences under their heading."""
    row = next(found.rows("pixels", metric="dice", over="positive slices", rule=CHOSEN), None)
    patients = row["patients"] if row else 0
    rest = (
        f"Computed from the tables below, over the positive slices of {counted(patients, 'patient')} of "
        "the test split. What is called best was found best on these patients, so its figure is a little "
        "too good."
    )
    if patients < FEWEST:
        rest += f" Intervals need {FEWEST} patients at least; there are too few here to tell maps apart."
    return [Heading("What it shows"), Points(findings(found)), Paragraph(rest, quiet=True)]


def of_scale(found: Benchmarked, scale: str) -> list[str]:
    """The best method and stage by pixel Dice, the next ones, and whether they are told apart."""
    rows, order = found.figures("pixels", "dice", scale), found.best("pixels", "dice", scale)
    if not order:
        return [f"{scale.capitalize()} scaling: no positive slice has a Dice."]
    best = order[0]
    said = f"{scale.capitalize()} scaling: {place_name(best)} has the highest mean Dice of positive slices"
    said += f", {estimate_text(rows[best])}"
    if len(order) > 1:
        said += f"; next comes {place_name(order[1])} with {estimate_text(rows[order[1]])}"
    parts = [f"{said}."]
    method = next((place for place in order[1:] if place[1] == best[1]), None)
    stage = next((place for place in order[1:] if place[0] == best[0]), None)
    if len(order) > 1 and order[1] not in (method, stage):
        parts.append(_by_ranks(found, scale, best, order[1]))
    for other, name in (
        (method, f"{method_name(method[0])}, the next method at its stage" if method else ""),
        (stage, f"stage {stage[1]}, the next of its own stages" if stage else ""),
    ):
        if other:
            value = "" if other == order[1] else f" ({estimate_text(rows[other])})"
            parts.append(f"Against {name}{value}, {_tested(found, scale, best, other)}.")
    return [" ".join(parts), _choice_without_the_test(found, scale, best)]


def _by_ranks(found: Benchmarked, scale: str, best: Place, second: Place) -> str:
    """Whether two maps of different method and stage are told apart: no pair is tested of them."""
    ranks = {
        r["name"]: r for r in found.rows("ranks", scale=scale, metric="dice", family="all methods and stages")
    }
    one, other = ranks.get(name_of(*best)), ranks.get(name_of(*second))
    if one is None or other is None or one["p"] is None:
        return "Too few patients tell the two apart."
    apart = not set(one["groups"].split()) & set(other["groups"].split())
    told = "differ" if apart else "do not differ significantly"
    return (
        f"By mean ranks over all methods and stages, {number(one['mean_rank'], 2)} and "
        f"{number(other['mean_rank'], 2)}, the two {told} (Nemenyi, critical difference "
        f"{number(one['critical_difference'], 2)}, {counted(one['patients'], 'patient')})."
    )


def _tested(found: Benchmarked, scale: str, best: Place, other: Place) -> str:
    """Whether two maps that share a stage or a method are told apart by their pair's test."""
    pair = pair_of(found, scale, "dice", best, other)
    if pair is None or pair["p_holm"] is None:
        return "the difference was not tested, for want of patients"
    family = found.rows("pairs", scale=scale, metric="dice", family=pair["family"])
    return pair_words(pair, hopeless(family))


def pair_of(found: Benchmarked, scale: str, metric: str, one: Place, other: Place) -> Row | None:
    """The tested pair of two places that share a stage or a method, turned so that ``one`` comes first."""
    if one[1] == other[1]:
        family, names = f"methods at stage {one[1]}", (one[0], other[0])
    elif one[0] == other[0]:
        family, names = "stages of each method", (name_of(*one), name_of(*other))
    else:
        return None
    for row in found.rows("pairs", scale=scale, metric=metric, family=family):
        if (row["first"], row["second"]) == names:
            return row
        if (row["second"], row["first"]) == names:
            return turned(row)
    return None


def turned(row: Row) -> Row:
    """A pair seen from its second method."""

    def less(value: float | None) -> float | None:
        return None if value is None else -value

    return {
        **row,
        "first": row["second"], "second": row["first"], "median_difference": less(row["median_difference"]),
        "low": less(row["high"]), "high": less(row["low"]), "rank_biserial": less(row["rank_biserial"]),
        "larger": row["smaller"], "smaller": row["larger"],
    }  # fmt: skip


def pair_words(pair: Row, never: bool = False) -> str:
    """What a pair's test says whose first has the higher mean; ``never``: none of its family could be significant."""
    where = f"p {p_of(pair['p_holm'])} after Holm's correction, {counted(pair['patients'], 'patient')}"
    where = f"median difference {signed_difference(pair)}, {where}"
    if not significant(pair):
        why = ", and of so few patients none could be" if never else ""
        return f"the difference is not significant{why} ({where})"
    if pair["rank_biserial"] is not None and pair["rank_biserial"] < 0:
        return (
            f"it is significantly worse patient by patient, for its mean is carried by few slices ({where})"
        )
    return f"the difference is significant ({where})"


def _choice_without_the_test(found: Benchmarked, scale: str, best: Place) -> str:
    """What the tuning split alone would have chosen, a fair figure."""
    rows = [row for row in found.rows("thresholds", scale=scale, rule=CHOSEN) if row["value"] is not None]
    if len(rows) < 2:
        return ""
    chosen = max(rows, key=lambda row: row["value"])
    place = (chosen["method"], chosen["stage"])
    figure = found.figures("pixels", "dice", scale).get(place)
    if figure is None or figure["value"] is None:
        return ""
    if place == best:
        return "The tuning split alone would have chosen the same."
    return (
        f"The tuning split alone would have chosen {place_name(place)}, which gives "
        f"{estimate_text(figure)} on the test split."
    )


def stage_findings(found: Benchmarked) -> list[str]:
    """Whether stage 5, the paper's best, wins here, for each scale."""
    stages = sorted(found.plan.stages)
    if STAGE not in stages:
        return [
            f"Stage {STAGE}, the paper's best, was not among the stages {listed([str(s) for s in stages])}."
        ]
    if len(stages) < 2:
        return [f"Stage {STAGE}, the paper's best, was the only one."]
    said = []
    for scale in found.scales:
        rows, order = found.figures("pixels", "dice", scale), found.best("pixels", "dice", scale)
        if not order:
            continue
        own = {m: [p for p in order if p[0] == m] for m in found.plan.methods}
        won = [m for m, places in own.items() if places and places[0][1] == STAGE]
        wins = order[0][1] == STAGE
        head = f"Stage {STAGE}, the paper's best, {'wins' if wins else 'does not win'} on {scale} scaling"
        best = f"the best map is at stage {order[0][1]}"
        count = ""
        if len(own) > 1:
            have = "has its" if len(won) == 1 else "have their"
            count = f", and {len(won)} of {len(own)} methods {have} highest Dice at stage {STAGE}"
        tests = _stage_tests(found, scale, list(rows))
        said.append(f"{head}: {best}{count}{tests}.")
    return said


def _stage_tests(found: Benchmarked, scale: str, places: list[Place]) -> str:
    """How often stage 5 is better or worse than another stage of the same method, after correction."""
    better = worse = tested = 0
    for method, stage in places:
        if stage == STAGE or (method, STAGE) not in places:
            continue
        pair = pair_of(found, scale, "dice", (method, STAGE), (method, stage))
        if pair is None or pair["p_holm"] is None:
            continue
        tested += 1
        if significant(pair):
            better += (pair["rank_biserial"] or 0) > 0
            worse += (pair["rank_biserial"] or 0) < 0
    if not tested:
        return ""
    family = found.rows("pairs", scale=scale, metric="dice", family="stages of each method")
    few = FEW if hopeless(family) else ""
    return (
        f"; of {counted(tested, 'comparison')} of it with another stage of the same method, it is better "
        f"in {better} and worse in {worse} after correction{few}"
    )


def _beside_the_paper(found: Benchmarked) -> list[str]:
    """Whether the paper's best methods lead here, by measure."""
    same: dict[str, list[str]] = {}
    others: dict[tuple[str, str], list[str]] = {}
    for published in PUBLISHED:
        lead = leads(found, published)
        if lead is None:
            continue
        if lead[0] == published.method:
            same.setdefault(lead[0], []).append(published.words)
        else:
            others.setdefault((published.method, lead[0]), []).append(published.words)
    said = [
        f"As in the paper, {method_name(method)} leads by {listed(words)} on {SCALE} scaling."
        for method, words in same.items()
    ]
    said += [
        f"Unlike in the paper, where it is {method_name(there)}, {method_name(here)} leads by "
        f"{listed(words)} on {SCALE} scaling."
        for (there, here), words in others.items()
    ]
    return said
