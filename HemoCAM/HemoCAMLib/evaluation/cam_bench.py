"""The engine against pytorch-grad-cam, side by side: how many times faster, and how far apart the maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..cams.engine import Explanation
from ..cams.methods import NINE, SHARED
from ..cams.scaling import library_maps
from ..cams.target import Target
from ..progress import Progress, silent
from .cam_sides import CAPTURE, VOLUME, Side, Work

if TYPE_CHECKING:
    import torch

_TURN_S = 1.0  # of a turn, at least: the first of many short runs pays for what the processor forgot

Maps = dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class Line:
    """One comparison.

    Parameters
    ----------
    work:
        What was computed.
    slices:
        How many slices at once.
    library_s, engine_s:
        Median seconds of the interleaved runs.
    low, high:
        The smallest and the largest ratio of neighbouring runs.
    """

    work: str
    slices: int
    library_s: float
    engine_s: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """How many times faster the engine is: library seconds by engine seconds."""
        return self.library_s / self.engine_s


@dataclass(frozen=True)
class Agreement:
    """How far the engine's final maps, 0..1, lie from the library's, a work, method and stage.

    The maps of the eigenvector methods are turned to the library's sign first, and those of zero ablation
    divided by the score, as the library does.
    """

    work: str
    method: str
    stage: int
    largest: float
    mean: float
    identical: bool


@dataclass(frozen=True)
class Bench:
    """What :func:`bench` found."""

    lines: list[Line]
    agreements: list[Agreement]


def bench(
    network: torch.nn.Module,
    batch: torch.Tensor,
    target: Target,
    stages: Sequence[int],
    repeats: int = 3,
    sweep: bool = True,
    keep: bool = False,
    progress: Progress = silent,
) -> Bench:
    """Time library and engine in turn, each in its own process, on the same inputs.

    Parameters
    ----------
    network:
        In evaluation mode, on the device to measure.
    batch:
        Network input, (n, channels, H, W): the seven methods take all of it, the slow ones its first slice.
    target:
        What is explained.
    stages:
        Three of them, as in the paper: 4, 5, 6.
    repeats:
        Turns of each; the medians count. What takes less than a second is repeated for one, and its mean counts. The
        engine runs once before, uncounted.
    sweep:
        Whether to time all nine methods at all stages, too: minutes with the library.
    keep:
        See :class:`~.cam_sides.Side`.
    """
    stages, nine = tuple(stages), tuple(NINE)
    middle = stages[len(stages) // 2 : len(stages) // 2 + 1]
    works = [
        Work("seven methods, library formulas", "library", len(batch), tuple(SHARED), stages),
        Work("seven methods, torch formulas", "torch", len(batch), tuple(SHARED), stages),
        *(Work("AblationCAM", "torch", 1, ("ablationcam",), (stage,)) for stage in stages),
        Work("AblationCAM as in the library", "torch", 1, ("ablationcam-library",), stages),
        Work("ScoreCAM", "torch", 1, ("scorecam",), middle),
        Work("ScoreCAM in bfloat16", "half", 1, ("scorecam",), middle),
    ]
    compared = len(works)
    if sweep:
        works += [
            Work("nine methods", "torch", 1, nine, stages),
            Work("nine methods, ScoreCAM in bfloat16", "half", 1, nine, stages),
            Work("eight methods, all but ScoreCAM", "torch", 1, nine[:8], stages),
        ]
    works.append(Work("AblationCAM on a capture that is there", CAPTURE, 1, ("ablationcam",), stages[-1:]))
    lines, agreements = [], []
    with (
        Side(True, network, batch, target, keep) as library,
        Side(False, network, batch, target, keep) as engine,
    ):
        for done, work in enumerate(works):
            progress(f"Timing {work.name}", done, len(works))
            at = f"stage{'s' if len(work.stages) > 1 else ''} {', '.join(map(str, work.stages))}"
            name = f"{work.name}, {at}"
            lines.append(Line(name, work.slices, *_interleaved(library, engine, work, repeats)))
            if done < compared:
                agreements += _agreements(
                    name, engine.result(work), library.result(work), target, tuple(batch.shape[-2:])
                )
    return Bench(lines, agreements)


def whole_volume(
    network: torch.nn.Module,
    batch: torch.Tensor,
    target: Target,
    stage: int,
    repeats: int = 3,
    keep: bool = False,
) -> Line:
    """HiResCAM of a whole volume, logits included, against plain forwards of it: the ratio is below 1."""
    work = Work("HiResCAM", VOLUME, len(batch), ("hirescam",), (stage,))
    with (
        Side(True, network, batch, target, keep) as plain,
        Side(False, network, batch, target, keep) as engine,
    ):
        plain.turn(work, 0)  # as the engine's, its first run does not count
        times = _interleaved(plain, engine, work, repeats)
    return Line(f"HiResCAM at stage {stage} against plain forwards", len(batch), *times)


def _interleaved(library: Side, engine: Side, work: Work, repeats: int) -> tuple[float, float, float, float]:
    """Median seconds of each, run in turn, and the extreme ratios of neighbours."""
    turns = [[side.turn(work, _TURN_S) for side in (library, engine)] for _ in range(repeats)]
    first, second = np.array(turns).T
    ratios = first / second
    return float(np.median(first)), float(np.median(second)), float(ratios.min()), float(ratios.max())


def _agreements(
    work: str, found: Explanation, theirs: Maps, target: Target, size: tuple[int, int]
) -> list[Agreement]:
    scores = target.sign * found.logits[:, target.class_index]
    rows = []
    for (method, stage), expected in theirs.items():
        raw = found.raw[method, stage]
        if method == "ablationcam":
            raw = raw / scores[:, None, None]
        final = library_maps(raw, size[::-1])
        if method.startswith("eigen"):
            turned = library_maps(-raw, size[::-1])
            near = [np.abs(m - expected).max((1, 2)) for m in (final, turned)]
            final = np.where((near[1] < near[0])[:, None, None], turned, final)
        away = np.abs(final - expected)
        rows.append(
            Agreement(
                work, method, stage, float(away.max()), float(away.mean()), np.array_equal(final, expected)
            )
        )
    return rows
