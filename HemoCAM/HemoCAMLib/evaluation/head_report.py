"""The report of heads with labels per slice: tables, JSON, Markdown, and the sheet of what went wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from .. import __version__
from ..models.bundle import Bundle
from ..models.card import markdown_table
from ..phantoms.patient import KINDS
from ..pipeline import Options
from ..volumes.levels import LEVELS
from .bootstrap import DRAWS, FEWEST, Estimate
from .classification import COLUMNS
from .heads import HeadResult
from .measure import Refused
from .pictures import Tile, closer, draw_sheet
from .profile import Profile, most_called, number, profile
from .tables import Row, Table, write_rows, write_text

SHEET = "worst.png"
HEAD_LABELS = {
    "silent": "clean heads that stay silent",
    "found": "bleeding heads found on a slice that bleeds",
    "found_anywhere": "bleeding heads found anywhere",
    "auc": "ROC AUC of heads",
    "false_slabs": "false slabs per clean head",
    "false_ml": "false ml of mask per clean head",
}
_HEADINGS = {
    "false alarm": "false alarms: slabs of clean slices above the gate, most probable first",
    "missed": "missed: slabs of bleeding slices below the gate, least probable first",
}


@dataclass(frozen=True)
class HeadReport:
    """What was measured on which heads. Of its files only ``heads.csv`` and ``slices.csv`` name exams.

    Parameters
    ----------
    heads, refused:
        What was measured, at least one head, and what could not be.
    bundle, options:
        The model, and resolved options.
    command:
        That makes the same figures again.
    on:
        What it was measured on, as words for "On ...".
    slices:
        What a slice is, and when it bleeds, as a sentence.
    seed:
        Of the bootstrap.
    """

    heads: Sequence[HeadResult]
    refused: Sequence[Refused]
    bundle: Bundle
    options: Options
    command: str
    on: str
    slices: str
    seed: int = 0

    @cached_property
    def found(self) -> Profile:
        """All figures."""
        return profile(self.heads, self.bundle.manifest, self.options.gate, self.seed)

    @property
    def aside(self) -> int:
        """Labels of files that the volumes do not use."""
        return sum(head.left_aside for head in self.heads)

    def write(self, folder: Path) -> None:
        """Write ``measures.json``, ``heads.csv``, ``profile.csv`` and ``report.md`` to a folder that exists."""
        text = json.dumps(_content(self), indent=2, allow_nan=False) + "\n"
        write_text(text, folder / "measures.json")
        write_rows(_head_rows(self), folder / "heads.csv")
        write_rows(_profile_rows(self.found), folder / "profile.csv")
        lines = _lines(self)
        if (folder / SHEET).exists():
            lines += [f"![What went wrong]({SHEET})", ""]
        write_text("\n".join(lines), folder / "report.md")


def write_slices(heads: Sequence[HeadResult], bundle: Bundle, path: Path) -> None:
    """Write a CSV of all labelled slices: labels, slab, level, probabilities, and whether the gate passes."""
    classes = bundle.manifest.classes
    rows: list[list] = [
        [
            "head",
            "exam",
            "slice",
            "file",
            "slab",
            "level",
            "below_top_mm",
            "any",
            *KINDS,
            *(f"p_{c}" for c in classes),
            "positive",
        ]
    ]
    for head in heads:
        labels, slab = head.labels, head.slab
        for n, own in enumerate(slab):
            rows.append(
                [
                    head.number,
                    head.name,
                    labels.slices[n],
                    labels.files[n] if labels.files else "",
                    own,
                    LEVELS[head.level[own]].name,
                    _plain(head.found.below_mm[own], 1),
                    _plain(labels.truth[n], 0),
                    *(_plain(v, 0) for v in labels.kinds[n]),
                    *(f"{p:.6f}" for p in head.found.probability[own]),
                    int(head.found.gate[own]),
                ]
            )
    write_rows(rows, path)


def draw_worst(heads: Sequence[HeadResult], bundle: Bundle, path: Path) -> bool:
    """Write the sheet of the worst failures, with numbers of heads only; tell whether something went wrong."""
    target = bundle.manifest.class_index(bundle.manifest.target)
    sections = []
    for name, heading in _HEADINGS.items():
        failed = sorted((h for h in heads if name in h.failures), key=lambda h: -h.failures[name].weight)
        tiles = []
        for head in failed:
            slab, drawn = head.failed_slab[name], closer(head.failures[name])
            level = LEVELS[head.level[slab]].name.partition(" and ")[0].partition(" (")[0]
            below = head.found.below_mm[slab]
            place = level if np.isnan(below) else f"{level}, {below:.0f} mm"
            words = f"head {head.number}, p = {head.found.probability[slab, target]:.2f}\n{place}"
            heat = drawn.heat / 255 if drawn.heat.any() else None
            outline = None if heat is None else drawn.mask
            tiles.append(Tile(drawn.picture, words, outline, None, heat))
        sections.append((heading, tiles))
    if not any(tiles for _, tiles in sections):
        return False
    draw_sheet(sections, path)
    return True


def _content(report: HeadReport) -> dict:
    found, heads, options = report.found, report.heads, report.options
    r = found.reliability
    return {
        "software": f"hemocam {__version__}",
        "command": report.command,
        "on": report.on,
        "slices_are": report.slices,
        "model": {
            "name": report.bundle.manifest.name,
            "sha256": report.bundle.sha256,
            "target": options.target,
            "gate": options.gate,
            "refined": bool(options.refine),
        },
        "counts": {
            "heads": len(heads),
            "clean_heads": sum(h.clean for h in heads),
            "bleeding_heads": sum(h.bleeds for h in heads),
            "slices": found.slices.cases,
            "bleeding_slices": found.slices.true_positives + found.slices.false_negatives,
            "labels_left_aside": report.aside,
            "refused": len(report.refused),
        },
        "slices": dict(zip(map(_key, COLUMNS), map(_json, found.slices.estimates), strict=True)),
        "kinds": {
            k.kind: {
                "slices": k.slices,
                "heads": k.heads,
                **{name: _json(getattr(k, name)) for name in ("auc", "own_auc", "sensitivity")},
            }
            for k in found.kinds
        },
        "heads": {f.name: _json(getattr(found.heads, f.name)) for f in fields(found.heads)},
        "levels": [
            {
                "level": row.level.name,
                "top_mm": number(row.level.top_mm),
                "bottom_mm": number(row.level.bottom_mm),
                "false_alarms": _json(row.false_alarms),
                "sensitivity": _json(row.sensitivity),
                "false_slabs": row.false_slabs,
                "called": row.called,
            }
            for row in found.levels
        ],
        "called_in_false_slabs": found.called,
        "reliability": [
            {"probability": number(p), "share": number(s), "slices": int(n)}
            for p, s, n in zip(r.probability, r.share, r.slices, strict=True)
        ],
        "refused": [{"head": r.number, "reason": r.reason} for r in report.refused],
    }


def _json(e: Estimate) -> dict:
    return {
        "value": number(e.value),
        "low": number(e.low),
        "high": number(e.high),
        "cases": e.cases,
        "heads": e.patients,
    }


def _key(column: str) -> str:
    return column.lower().replace(" ", "_")


def _head_rows(report: HeadReport) -> list[list]:
    bundle = report.bundle
    target = bundle.manifest.class_index(bundle.manifest.target)
    names = [
        "head",
        "exam",
        "bleeds",
        "labelled_slices",
        "bleeding_slices",
        "labels_left_aside",
        "slabs",
        "score",
    ]
    names += ["highest_probability", "slabs_above_gate", "found", "found_anywhere", "false_slabs", "mask_ml"]
    rows: list[list] = [[*names, "refused"]]
    found = [
        [
            head.number,
            head.name,
            1 if head.bleeds else 0 if head.clean else "",
            len(head.slab),
            int((head.labels.truth == 1).sum()),
            head.left_aside,
            len(head.found.gate),
            f"{head.found.score:.6f}",
            f"{head.found.probability[:, target].max():.6f}",
            int(head.found.gate.sum()),
            int(head.found_on_bleeding) if head.bleeds else "",
            int(not head.silent) if head.bleeds else "",
            int(head.false_slabs.sum()),
            f"{head.found.mask_ml:.3f}",
            "",
        ]
        for head in report.heads
    ]
    found += [[r.number, r.name, *[""] * (len(names) - 2), r.reason] for r in report.refused]
    return rows + sorted(found, key=lambda row: row[0])


def _profile_rows(found: Profile) -> list[list]:
    kinds = list(found.called)
    rows: list[list] = [
        [
            "level",
            "top_mm",
            "bottom_mm",
            "clean_slices",
            "heads",
            "false_alarm_rate",
            "low",
            "high",
            "bleeding_slices",
            "sensitivity",
            "false_slabs",
            "most_called",
            *(f"called_{kind}" for kind in kinds),
        ]
    ]
    for row in found.levels:
        alarms, hits = row.false_alarms, row.sensitivity
        rows.append(
            [row.level.name, *(_plain(v, 0) for v in (row.level.top_mm, row.level.bottom_mm))]
            + [
                alarms.cases,
                alarms.patients,
                *(_plain(v, 6) for v in (alarms.value, alarms.low, alarms.high)),
            ]
            + [hits.cases, _plain(hits.value, 6), row.false_slabs, row.most_called]
            + [row.called[kind] for kind in kinds]
        )
    return rows


def _plain(value: float, digits: int) -> str:
    return "" if number(value) is None else f"{value:.{digits}f}"


def _lines(report: HeadReport) -> list[str]:
    found, heads, refused = report.found, report.heads, report.refused
    s, h = found.slices, found.heads
    rows = [Row(name, (e,), e.cases, e.patients) for name, e in zip(COLUMNS, s.estimates, strict=True)]
    of_slices = Table("Slices", "figure", ("value (95% interval)",), tuple(rows))
    kinds = Table(
        "By kind, against the clean slices", "kind", ("AUC", "AUC of its own output", "sensitivity"),
        tuple(Row(k.kind, (k.auc, k.own_auc, k.sensitivity), k.slices, k.heads) for k in found.kinds),
    )  # fmt: skip
    rows = [
        Row(label, (getattr(h, name),), getattr(h, name).cases, None) for name, label in HEAD_LABELS.items()
    ]
    of_heads = Table("Heads", "figure", ("value (95% interval)",), tuple(rows), "heads")
    levels = [
        [
            row.level.name,
            _range(row.level.top_mm, row.level.bottom_mm),
            str(row.false_alarms.cases),
            row.false_alarms.text(),
            str(row.sensitivity.cases),
            row.sensitivity.text(),
            str(row.false_slabs),
            f"{row.most_called} ({row.called[row.most_called]})" if row.most_called else "-",
        ]
        for row in found.levels
        if row.false_alarms.cases or row.sensitivity.cases
    ]
    columns = ["level", "mm below the top", "clean slices", "false alarms", "bleeding slices", "sensitivity"]
    r = found.reliability
    bins = [
        [
            f"{n / len(r.slices):.1f} to {(n + 1) / len(r.slices):.1f}",
            str(r.slices[n]),
            f"{r.probability[n]:.3f}",
            f"{r.share[n]:.3f}",
        ]
        for n in np.flatnonzero(r.slices)
    ]
    called = ", ".join(f"{kind} {count}" for kind, count in found.called.items())
    said = f"{len(refused)} refused." if refused else "None refused."
    if report.aside:
        said += f" {report.aside} labels belong to files that the volumes do not use."
    return [
        f"# {report.bundle.manifest.name} on {report.on}", "",
        f"`{report.command}`", "",
        f"Model SHA-256 `{report.bundle.sha256}`; class `{report.options.target}`; gate {report.options.gate:g}.", "",
        f"{report.slices} Intervals hold 95%: percentiles of {DRAWS} bootstrap draws of heads, none where fewer than "
        f"{FEWEST} heads stand behind a figure; of shares of heads, Wilson's.", "",
        f"{len(heads)} heads measured: {sum(x.bleeds for x in heads)} bleed, {sum(x.clean for x in heads)} are "
        f"clean. {said}", "",
        *([f"- head {one.number}: {one.reason}" for one in refused] + [""] if refused else []),
        *of_heads.markdown(), *of_slices.markdown(), *kinds.markdown(),
        "## By level of the head", "",
        *markdown_table([*columns, "false slabs", "kind called most"], levels), "",
        f"Kinds called in false slabs, by their own thresholds: {called or 'none'}"
        + (f"; most often {most_called(found.called)}." if most_called(found.called) else "."), "",
        "## Reliability", "",
        *markdown_table(["probability", "slices", "mean probability", "share that bleeds"], bins), "",
    ]  # fmt: skip


def _range(top: float, bottom: float) -> str:
    if np.isnan(top):
        return "-"
    if np.isinf(top):
        return f"above {bottom:g}"
    return f"{top:g} to {bottom:g}" if np.isfinite(bottom) else f"{top:g} and more"
