"""What was run, in one paragraph, and the run's manifest at the end of the report."""

from __future__ import annotations

from .blocks import Block, Code, File, Grid, Heading, Line, Paragraph, Points
from .model_facts import ModelFacts
from .source import TABLES, Benchmarked
from .words import SCALE_MEANINGS, counted, listed, method_name

_MEANINGS = {
    "pixels": "pixel measures of every method, stage, scale and rule",
    "boxes": "bounding boxes",
    "pointing": "pointing game and energy",
    "groups": "by kind and by size",
    "cases": "whole scans",
    "thresholds": "chosen thresholds",
    "curves": "all threshold curves",
    "classification": "the classifier",
    "pairs": "paired tests of all families and measures",
    "ranks": "mean ranks",
    "faithfulness": "deletion, insertion, ROAD",
    "randomisation": "maps after weights are lost",
}


def title(found: Benchmarked) -> str:
    """Of the report."""
    return f"Class activation maps of {found.manifest['model'].get('name', '')} against masks of hemorrhage"


def run_chapter(found: Benchmarked, facts: ModelFacts | None) -> list[Block]:
    """One paragraph on what was run, and what the scales are."""
    data, splits, plan = found.manifest["data"], found.manifest["splits"], found.plan
    patients = splits.get("patients", {})
    who = listed([f"{count} for {split}" for split, count in patients.items() if count])
    known = f" ({facts.title}; timm network {facts.architecture})" if facts else ""
    methods = listed([method_name(m) for m in plan.methods])
    stages = listed([str(s) for s in sorted(plan.stages)])
    text = [
        f"The data set has the layout {data.get('layout')}, {counted(int(data.get('cases', 0)), 'case')} of "
        f"{counted(int(data.get('patients', 0)), 'patient')}, split by patient: {who}. Thresholds were "
        f"chosen on the {splits.get('thresholds chosen on')} split; every figure is of the test split. The "
        "model is ",
        Code(plan.model),
        f"{known}. Its output for the class {plan.target} was explained by {methods} at "
        f"{'stages' if len(plan.stages) > 1 else 'stage'} {stages}; slabs pass the gate from a probability "
        f"of {plan.gate:.3f} on.",
    ]
    scales = [f"{scale.capitalize()} scaling: {SCALE_MEANINGS.get(scale, '')}." for scale in found.scales]
    failed = found.manifest.get("failed") or {}
    left = f"{counted(len(failed), 'case')} failed and {'is' if len(failed) == 1 else 'are'} left out; see the end."
    return [
        Heading("What was run"), Paragraph(text), Points(scales), *([Paragraph(left)] if failed else []),
        Paragraph(
            "Figures stand with their 95% interval by bootstrap over patients; none is given of fewer than "
            "five. A map shows where the model looked, not where blood is.",
            quiet=True,
        ),
    ]  # fmt: skip


def manifest_chapter(found: Benchmarked) -> list[Block]:
    """Command, fingerprints, versions, failures, and where every number is."""
    manifest = found.manifest
    data, model, splits = manifest["data"], manifest["model"], manifest["splits"]
    rows = [
        ("command", Code(str(manifest.get("command", "")))),
        ("data set, SHA-256", Code(str(data.get("sha256", "")))),
        ("weights, SHA-256", Code(str(model.get("weights", "")))),
        ("model's manifest, SHA-256", Code(str(model.get("manifest", "")))),
        ("splits, SHA-256", Code(str(splits.get("sha256", "")))),
        (
            "engine, device, threads",
            f"{found.plan.engine}, {found.plan.device}, {manifest.get('threads', '')}",
        ),
        ("seed", str(found.plan.seed)),
        *((name, version or "not installed") for name, version in manifest.get("versions", {}).items()),
    ]
    blocks: list[Block] = [
        Heading("Run manifest"),
        Grid("What the figures depend on", ["what", "value"], [Line(row) for row in rows], 2),
    ]
    failed = manifest.get("failed") or {}
    if failed:
        lines = [Line([Code(name), str(sentence)]) for name, sentence in failed.items()]
        blocks.append(Grid("Cases that failed and are left out", ["case", "why"], lines, 2))
    else:
        blocks.append(Paragraph("No case failed."))
    tables = [
        [File(f"{TABLES}/{name}.csv"), f": {_MEANINGS[name]}"] for name in _MEANINGS if name in found.tables
    ]
    rows_too = [File("slices.parquet"), ", ", File("volumes.parquet"), " and ", File("predictions.parquet")]
    return [
        *blocks, Heading("All numbers", 3), Points([*tables, [*rows_too, ": a row a slice, or scan, map and rule"]]),
    ]  # fmt: skip
