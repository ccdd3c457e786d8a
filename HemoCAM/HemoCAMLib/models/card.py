"""The model card, from a bundle's manifest alone: what it is, what trained it, what was measured, where it fails."""

from __future__ import annotations

from collections.abc import Iterable

from .manifest import Manifest

VIRTUAL_ONLY = "Trained on no patient; research only."
DATA_SETS = "Trained on the data sets named below; research only."

_LIMITS = (
    "A map shows where the model looked, not where blood is. A probability is calibrated on the cases named "
    "above and on no others. Numbers on virtual patients say nothing about patients; numbers on a hundred "
    "pictures say little about a hospital."
)
_LIMITS_VIRTUAL = (
    "The model has seen drawings of heads, not heads: it misses what the drawings do not show, and may "
    "answer to what they do not explain."
)


def card(manifest: Manifest) -> str:
    """Write the card in Markdown.

    The first line says whether patients trained the weights: ``training.data_sets`` in the manifest lists the
    data sets on disk that did; without it (or empty), virtual patients alone did. An entry of ``measured`` may
    hold, beside its ``values``, ``tables`` (each with ``title``, ``columns`` and ``rows``), ``notes`` (a text) and
    ``pictures`` (each with ``file``, in the bundle's folder, and ``caption``), which stand under "Known failures".

    Parameters
    ----------
    manifest:
        Of the bundle, checked.

    Returns
    -------
    str
        Markdown, ends with a line feed.
    """
    raw = manifest.raw
    virtual = not raw["training"].get("data_sets")
    parts = [
        [VIRTUAL_ONLY if virtual else DATA_SETS, "", f"# {manifest.name}"],
        [f"{manifest.title}. Licence: {manifest.licence}."],
        ["## Intended use"],
        [
            "For research and teaching: to try class activation maps on head CT, to compare methods, to start "
            "from when training on data of one's own. Not for diagnosis, triage or any decision about a "
            "patient; no authority has seen it."
        ],
        ["## What it takes and gives"],
        _interface(manifest),
        ["## Data"],
        _data(raw["training"], virtual),
        ["## Method"],
        _method(raw["training"]),
        ["## What was measured"],
        *_measured(raw["measured"]),
        *_failures(raw["measured"]),
        ["## Limits"],
        [f"{_LIMITS_VIRTUAL} {_LIMITS}" if virtual else _LIMITS],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def markdown_table(columns: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """Lines of a Markdown table; a ``|`` in a cell is escaped."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"

    columns = list(columns)
    return [line(columns), "|" + "---|" * len(columns), *(line(row) for row in rows)]


def _interface(manifest: Manifest) -> list[str]:
    """Input, output and defaults, a bullet each."""
    options = ", ".join(f"{k} {v}" for k, v in manifest.options.items())
    windows = ", ".join(f"{c:g}/{w:g}" for c, w in manifest.windows)
    lines = [
        f"- Architecture: timm `{manifest.architecture}`" + (f" ({options})" if options else ""),
        f"- Input: axial slabs of about {manifest.slab_mm:g} mm in HU, {manifest.size} x {manifest.size} pixels "
        f"over {manifest.field_of_view_mm:g} mm, centred on the head; channels are the windows {windows} "
        "(centre/width in HU)",
    ]
    picture = manifest.raw["input"].get("picture")
    if picture:
        lines.append(
            "- Single pictures (screen captures of an unknown window): gray 0..1 is read as the window "
            f"{picture['centre']:g}/{picture['width']:g}, the skull's box fills {picture['fill']:.0%} of the "
            "square; they have a calibration of their own"
        )
    hu, captured = manifest.raw["calibration"], (picture or {}).get("calibration", {})
    thresholds = [
        f"{c} {hu[c]['threshold']:g}" + (f" (pictures {captured[c]['threshold']:g})" if c in captured else "")
        for c in manifest.classes
    ]
    shown = (picture or {}).get("mask_threshold")
    of_pictures = "" if shown is None else f" (pictures {shown:g})"
    return [
        *lines,
        f"- Output: calibrated probabilities, positive from these on: {', '.join(thresholds)}",
        f"- Explained by default: `{manifest.target}`, {manifest.method} at stage {manifest.stage}, mask "
        f"threshold {manifest.mask_threshold(manifest.method, manifest.stage):g}{of_pictures}",
        *_refinements(manifest),
        f"- Weights: `{manifest.weights_file}`, SHA-256 `{manifest.sha256}`",
    ]


def _refinements(manifest: Manifest) -> list[str]:
    return [
        f"- Refined by default: masks of {method} at stage {stage}, class `{target}`, scale {scale}, are the map "
        f"joined with the HU under it, from P(blood) = {refiner.high:g} on and what is connected down to "
        f"{refiner.low:g} ({_inline(refiner.about)}); not those of pictures, which have no HU"
        for (method, stage, target, scale), refiner in manifest.refinements.items()
    ]


def _data(training: dict, virtual: bool) -> list[str]:
    if virtual:
        lines = [
            f"Trained on {training['data']}. Calibration, thresholds and every other choice come from further "
            "virtual patients."
        ]
    else:
        lines = [f"Trained on {training['data']}.", ""]
        lines += [f"- {name}" for name in training["data_sets"]]
    return lines


def _method(training: dict) -> list[str]:
    """The command, and every further entry of the manifest's ``training``."""
    lines = [f"`{training['command']}`" if training["command"] else "The command was not recorded."]
    rest = [
        f"- {name}: {_inline(value)}"
        for name, value in training.items()
        if name not in ("data", "data_sets", "command")
    ]
    return [*lines, *([""] if rest else []), *rest]


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_inline(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(v) for v in value) + "]"
    return str(value)


def _measured(entries: list[dict]) -> list[list[str]]:
    if not entries:
        return [["Nothing yet."]]
    parts = []
    for entry in entries:
        parts.append([f"On {entry['on']} (`{entry['command']}`):"])
        if entry["values"]:
            parts.append(markdown_table(("what", "value"), entry["values"].items()))
        for table in entry.get("tables", ()):
            parts.append([f"{table['title']}:"])
            parts.append(markdown_table(table["columns"], table["rows"]))
        if entry.get("notes"):
            parts.append([entry["notes"]])
    return parts


def _failures(entries: list[dict]) -> list[list[str]]:
    """Pictures of what went wrong, under the command that drew them."""
    shown = [entry for entry in entries if entry.get("pictures")]
    if not shown:
        return []
    parts = [["## Known failures"]]
    for entry in shown:
        parts.append([f"On {entry['on']} (`{entry['command']}`):"])
        for picture in entry["pictures"]:
            parts.append([f"![{picture['caption']}]({picture['file']})", "", picture["caption"]])
    return parts
