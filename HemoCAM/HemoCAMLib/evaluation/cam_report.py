"""What ``hemocam bench-cam`` leaves: Markdown and CSV."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from ..models.card import markdown_table
from .cam_bench import Bench, Line
from .tables import write_rows, write_text

TABLE, RATIOS, DIFFERENCES = "bench-cam.md", "bench-cam-ratios.csv", "bench-cam-differences.csv"


def write_bench(found: Bench, volume: Line, about: dict[str, str], folder: Path) -> list[str]:
    """Write the tables to ``folder``, each whole or not at all; return the Markdown lines.

    Parameters
    ----------
    found, volume:
        From :func:`~.cam_bench.bench` and :func:`~.cam_bench.whole_volume`.
    about:
        What was measured on what: a line each.
    """
    lines = ["# The CAM engine against pytorch-grad-cam", ""]
    lines += [f"- {name}: {value}" for name, value in {**about, **environment()}.items()]
    lines += [
        "",
        "Seconds are medians of interleaved turns, the library and the engine each in a process of its own; a turn",
        "is one run, or a second of runs and their mean. In brackets the extremes of the ratio.",
        "",
    ]
    ratios = []
    for r in found.lines:
        faster = f"**{r.ratio:.3g}** ({r.low:.3g} to {r.high:.3g})"
        ratios.append([r.work, str(r.slices), f"{r.library_s:.3f}", f"{r.engine_s:.4f}", faster])
    lines += markdown_table(["work", "slices", "library, s", "engine, s", "times faster"], ratios)
    lines += [
        "",
        f"{volume.work}, {volume.slices} slices: {volume.engine_s:.2f} s and {volume.library_s:.2f} s, "
        f"{1 / volume.ratio:.2f} times a plain forward.",
        "",
        "Largest and mean difference of the final maps, 0..1 (`=`: identical, bit by bit).",
        "",
    ]
    differences = []
    for a in found.agreements:
        away = ["=", "="] if a.identical else [f"{a.largest:.1e}", f"{a.mean:.1e}"]
        differences.append([a.work, a.method, str(a.stage), *away])
    lines += markdown_table(["work", "method", "stage", "largest", "mean"], differences)
    write_text("\n".join(lines) + "\n", folder / TABLE)
    rows: list[list] = [["work", "slices", "library_s", "engine_s", "ratio", "ratio_low", "ratio_high"]]
    for r in [*found.lines, volume]:
        rows.append(
            [r.work, r.slices, *(f"{v:.6g}" for v in (r.library_s, r.engine_s, r.ratio, r.low, r.high))]
        )
    write_rows(rows, folder / RATIOS)
    rows = [["work", "method", "stage", "largest", "mean", "identical"]]
    for a in found.agreements:
        rows.append([a.work, a.method, a.stage, f"{a.largest:.3e}", f"{a.mean:.3e}", int(a.identical)])
    write_rows(rows, folder / DIFFERENCES)
    return lines


def environment() -> dict[str, str]:
    """Machine and versions that the seconds depend on."""
    import torch

    packages = ("torch", "timm", "grad-cam", "numpy")
    found = {"processor": _processor(), "threads": str(torch.get_num_threads())}
    if torch.cuda.is_available():
        found["GPU"] = torch.cuda.get_device_name()
    found["versions"] = ", ".join(f"{name} {version(name)}" for name in packages)
    return found


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
