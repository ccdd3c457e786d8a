"""What a benchmark shows beyond the best map: scales, refinement, thresholds, faithfulness, classifier."""

from __future__ import annotations

from ..benchmark.plan import CHOSEN, REFINED
from .blocks import estimate_text, number
from .other_tables import hopeless, p_of, signed_difference, significant
from .source import Benchmarked
from .words import counted, listed, method_name, place_name

_SAME = 0.995  # rank correlation from which a map is said to stay the same
FEW = ", as it must be with so few patients"


def further_findings(found: Benchmarked) -> list[str]:
    """Sentences on all that was asked for."""
    return [*_scales(found), *_refined(found), *_thresholds(found), *_faithful(found), *_classifier(found)]


def _scales(found: Benchmarked) -> list[str]:
    """How many maps another scale makes better or worse."""
    said = []
    for scale in found.scales[1:]:
        rows = [
            r
            for r in found.rows("pairs", scale=scale, metric="dice", family="scales")
            if r["p_holm"] is not None
        ]
        if not rows:
            continue
        better = sum(significant(r) and (r["rank_biserial"] or 0) > 0 for r in rows)
        worse = sum(significant(r) and (r["rank_biserial"] or 0) < 0 for r in rows)
        said.append(
            f"Against {found.scales[0]} scaling, {scale} scaling raises the Dice of positive slices in "
            f"{better} of {len(rows)} maps and lowers it in {worse}, significantly after correction"
            f"{FEW if hopeless(rows) else ''}."
        )
    for scale in found.scales:
        rows = [
            r
            for r in found.figures("pixels", "quiet", scale, over="clean slices").values()
            if r["value"] is not None
        ]
        if rows:
            low, high = min(r["value"] for r in rows), max(r["value"] for r in rows)
            span = f"{low:.0%}" if f"{low:.0%}" == f"{high:.0%}" else f"{low:.0%} to {high:.0%}"
            said.append(f"With {scale} scaling, masks are empty on {span} of the slices without hemorrhage.")
    return said


def _refined(found: Benchmarked) -> list[str]:
    refined = found.figures("pixels", "dice", "gated", REFINED)
    if not refined:
        return []
    place, row = next(iter(refined.items()))
    plain = found.figures("pixels", "dice", "gated")[place]
    head = (
        f"Refining the masks of {place_name(place)} by HU brings the Dice of positive slices from "
        f"{estimate_text(plain)} to {estimate_text(row)}."
    )
    pair = next(found.rows("pairs", scale="gated", metric="dice", family="refined masks"), None)
    if pair is None or pair["p_holm"] is None:
        return [head]
    told = "significant" if significant(pair) else "not significant"
    return [f"{head} The difference is {told} (median {signed_difference(pair)}, p {p_of(pair['p_holm'])})."]


def _thresholds(found: Benchmarked) -> list[str]:
    rows = list(found.rows("thresholds", rule=CHOSEN))
    edges = sum(bool(row["at_edge"]) for row in rows)
    if not edges:
        return []
    return [
        f"{edges} of {counted(len(rows), 'chosen threshold')} {'lies' if edges == 1 else 'lie'} at the "
        "edge of those tried: a better one may lie beyond."
    ]


def _faithful(found: Benchmarked) -> list[str]:
    """The most faithful maps, and whether random numbers do as well."""
    said = []
    for metric, name, best in (
        ("road", "ROAD", max),
        ("deletion", "deletion", min),
        ("insertion", "insertion", max),
    ):
        rows = [r for r in found.rows("faithfulness", metric=metric) if r["value"] is not None]
        real = [r for r in rows if r["method"] != "random"]
        if not real:
            continue
        top = best(real, key=lambda row: row["value"])
        words = f"by {name}, {place_name((top['method'], top['stage']))} is best with {estimate_text(top)}"
        chance = [r["value"] for r in rows if r["method"] == "random" and r["stage"] == top["stage"]]
        said.append(words + (f" (random numbers there: {number(chance[0])})" if chance else ""))
    sentences = [f"Faithfulness to the model: {'; '.join(said)}."] if said else []
    return [*sentences, *_without_weights(found)]


def _without_weights(found: Benchmarked) -> list[str]:
    """Which maps do not notice that the head is lost, and which stays most like itself when all is."""
    rows = [r for r in found.rows("randomisation", metric="abs_spearman") if r["value"] is not None]
    if not rows:
        return []
    depths = list(dict.fromkeys(row["depth"] for row in rows))
    shallow: dict[str, list[float]] = {}
    for row in rows:
        if row["depth"] == depths[0]:
            shallow.setdefault(row["method"], []).append(row["value"])
    deaf = [method_name(method) for method, values in shallow.items() if min(values) >= _SAME]
    said = []
    if deaf:
        said.append(
            f"The maps of {listed(deaf)} stay the same when the weights of the network's {depths[0]} are lost: they "
            "do not show what the class depends on."
        )
    kept = max((r for r in rows if r["depth"] == depths[-1]), key=lambda row: row["value"])
    place = place_name((kept["method"], kept["stage"]))
    said.append(
        f"With all weights lost, the map that stays most like itself is {place}, rank correlation "
        f"{estimate_text(kept, 2)}."
    )
    return said


def _classifier(found: Benchmarked) -> list[str]:
    rows = {r["unit"]: r for r in found.rows("classification", group="all", figure="AUC")
            if r["class"] == found.plan.target and r["value"] is not None}  # fmt: skip
    if not rows:
        return []
    parts = [f"{estimate_text(row)} over {unit}" for unit, row in rows.items()]
    return [f"The classifier behind the maps has an AUC of {listed(parts)} for {found.plan.target}."]
