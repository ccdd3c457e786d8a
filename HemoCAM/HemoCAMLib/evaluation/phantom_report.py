"""The report of a measurement on virtual patients: Markdown, tables, curves, and the sheet of what went wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..models.bundle import Bundle
from ..models.manifest import Manifest
from ..phantoms.patient import KINDS
from .bootstrap import DRAWS, FEWEST
from .figures import Slices, tables
from .patients import PatientResult
from .pictures import Tile, closer, draw_curves, draw_sheet
from .tables import write_csv, write_rows, write_text

NOTES = (
    "Slices are slabs of about 5 mm, what the classifier sees. Intervals hold 95%: percentiles of "
    f"{DRAWS} bootstrap draws of patients, none where fewer than {FEWEST} patients stand behind a figure.",
    "A slice below the probability threshold shows no map: its Dice and its peak count as 0.",
)
FAILURE_HEADINGS = {
    "missed": "missed: bleeding slices below the threshold",
    "false alarm": "false alarms: clean slices above the threshold",
    "beside": "beside: bleeding slices whose map is highest elsewhere",
}


def write_report(
    results: list[PatientResult],
    bundle: Bundle,
    command: str,
    folder: Path,
    on: str,
    seed: int = 0,
    refined: bool = False,
) -> dict:
    """Write the report to ``folder`` and return it as the manifest's ``measured`` holds it.

    ``measurement.md``, ``measurement.csv`` (every figure), ``slices.csv`` (every slice), ``curves.png``, and
    ``failures.png`` where something went wrong; each whole or not at all.

    Parameters
    ----------
    results:
        Of the patients.
    bundle:
        What was measured.
    command:
        That makes the same figures again.
    folder:
        Exists.
    on:
        What it was measured on, as words for "On ...".
    seed:
        Of the bootstrap.
    refined:
        Whether the masks are refined.
    """
    manifest = bundle.manifest
    masks = "the map joined with the HU (refined)" if refined else "the map at or above its threshold (plain)"
    notes = (*NOTES, f"Masks: {masks}.")
    found, slices = tables(results, manifest, seed), Slices.of(results, manifest)
    write_csv(found, folder / "measurement.csv")
    write_rows(_slice_rows(results, slices, manifest), folder / "slices.csv")
    draw_curves(slices, manifest.target, folder / "curves.png")
    failures = failure_sheet(results, folder / "failures.png")
    lines = [
        f"# {manifest.name} on {on}", "",
        f"`{command}`", "",
        f"Model SHA-256 `{bundle.sha256}`; class `{manifest.target}`; {manifest.method}, stage {manifest.stage}, "
        f"mask threshold {manifest.mask_threshold(manifest.method, manifest.stage):g}, probability threshold "
        f"{manifest.calibration[manifest.target][2]:g}.", "",
        *notes, "",
        *[line for table in found for line in table.markdown()],
        "![ROC and reliability curves](curves.png)", "",
        *(["![What went wrong](failures.png)", ""] if failures else []),
        "Whole heads, and false alarms by level of the head: [report.md](report.md).", "",
    ]  # fmt: skip
    write_text("\n".join(lines), folder / "measurement.md")
    overall, *others = found
    entry = {
        "on": on,
        "command": command,
        "values": {row.label: row.estimates[0].text() for row in overall.rows},
        "tables": [table.entry() for table in others],
        "notes": " ".join(notes),
    }
    if failures:
        entry["pictures"] = [{"file": "failures.png", "caption": failures}]
    return entry


def failure_sheet(results: list[PatientResult], path: Path) -> str | None:
    """Write the sheet of the worst failures; return its caption, or None where nothing went wrong."""
    sections, said = [], []
    for name, heading in FAILURE_HEADINGS.items():
        failed = [r for r in results if name in r.failures]
        failed.sort(key=lambda r: -r.failures[name].weight)
        tiles = []
        for result in failed:
            f = closer(result.failures[name])
            unit = f"p = {f.weight:.2f}" if name == "false alarm" else f"{f.weight:.0f} mm² of blood"
            heat = None if name == "missed" else f.heat / 255
            mask = None if name == "missed" else f.mask
            tiles.append(Tile(f.picture, f"patient {result.seed}\n{unit}", mask, f.truth, heat))
        sections.append((heading, tiles))
        if tiles:
            said.append(heading)
    if not said:
        return None
    draw_sheet(sections, path, shades=128)  # it may be kept with the model: a third of the size
    return f"Virtual patients, window 40/80, the worst slices: {'; '.join(said)}."


def _slice_rows(results: list[PatientResult], slices: Slices, manifest: Manifest) -> list[list]:
    head = ["patient", "slice", *(f"p_{c}" for c in manifest.classes), "positive"]
    rows = [[*head, *(f"mm2_{kind}" for kind in KINDS), "dice", "peak_inside"]]
    number = np.concatenate([np.arange(len(r.gate)) for r in results])
    for n, patient in enumerate(slices.patient):
        known = not np.isnan(slices.dice[n])
        rows.append(
            [
                results[patient].seed,
                number[n],
                *(f"{p:.6f}" for p in slices.probability[n]),
                int(slices.gate[n]),
                *(f"{a:.1f}" for a in slices.area_mm2[n]),
                *((f"{slices.dice[n]:.4f}", int(slices.peak[n])) if known else ("", "")),
            ]
        )
    return rows
