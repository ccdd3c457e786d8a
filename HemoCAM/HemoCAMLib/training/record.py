"""What a run leaves while it goes: checkpoint, CSV log and picture of the curves, each whole or not at all."""

from __future__ import annotations

import csv
import io
import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError, OutputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(state: dict, work: Path) -> None:
    """Write ``state`` (tensors, numbers, texts, lists, dicts) to ``work``; a kill leaves the one before."""
    import torch

    part = work / f"{CHECKPOINT}.part"
    torch.save(state, part)
    part.replace(work / CHECKPOINT)


def load_checkpoint(work: Path, identity: dict) -> dict | None:
    """Read the checkpoint, or None if there is none.

    Raises
    ------
    OptionError
        If it belongs to a run with another ``identity`` (recipe, architecture, classes).
    OutputError
        If it cannot be read.
    """
    import torch

    path = work / CHECKPOINT
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise OutputError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}); remove it to train from the start."
        ) from None
    other = sorted(k for k in {*identity, *state["identity"]} if identity.get(k) != state["identity"].get(k))
    if other:
        raise OptionError(
            f"The run in {work} was started with other options ({', '.join(other)}); repeat the command as it "
            "was, or choose another --work."
        )
    return state


def write_log(rows: list[dict], work: Path) -> None:
    """Write ``log.csv``, a row an epoch."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[-1]))
    writer.writeheader()
    writer.writerows(rows)
    part = work / "log.csv.part"
    part.write_text(text.getvalue(), encoding="utf-8", newline="")
    part.replace(work / "log.csv")


def draw_curves(rows: list[dict], work: Path) -> None:
    """Draw ``curves.png``: losses, ranks of slices, peaks on blood, learning rate and size, by epoch.

    Of screen captures dashed, where they are drawn beside CTs.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 7), layout="constrained")
    panels = (
        ("Loss", ("slice_loss", "evidence_loss", "overlap_loss")),
        ("Area under the ROC curve (dashed: screen captures)", [k for k in rows[0] if k.startswith("auc_")]),
        ("Share of bleeding slices whose map peaks on blood (dashed: screen captures)", ("peak",)),
        ("Learning rate", ("learning_rate",)),
    )
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for index, name in enumerate(names):
            color, width = f"C{index}", 2.0 if index == 0 else 1.0
            _curve(
                axes,
                rows,
                name,
                color=color,
                linewidth=width,
                label=name.removeprefix("auc_").replace("_", " "),
            )
            _curve(axes, rows, f"picture_{name}", color=color, linewidth=width, linestyle="--")
        if title in ("Loss", "Learning rate") and axes.lines:
            axes.set_yscale("log", nonpositive="mask")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=7)
    for left, right in itertools.pairwise(rows):
        if left["size"] != right["size"]:
            for axes in figure.axes:
                axes.axvline(left["epoch"] + 0.5, color="gray", linestyle=":", linewidth=1)
            axes.annotate(f"{left['size']} | {right['size']} pixels", (left["epoch"] + 0.5, 0.02),
                          xycoords=("data", "axes fraction"), ha="center", fontsize=8)  # fmt: skip
    part = work / "curves.part.png"
    figure.savefig(part, dpi=110)
    part.replace(work / "curves.png")


def _curve(axes: Axes, rows: list[dict], name: str, **style: object) -> None:
    values = [row.get(name, math.nan) for row in rows]
    if any(math.isfinite(value) for value in values):
        axes.plot([row["epoch"] for row in rows], values, marker=".", **style)
