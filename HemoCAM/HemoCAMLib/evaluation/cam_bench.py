"""The engine against pytorch-grad-cam, side by side: how many times faster, and how far apart the maps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..cams.engine import Engine, Explanation
from ..cams.methods import NINE, SHARED
from ..cams.plain import plain_map
from ..cams.scaling import library_maps
from ..cams.target import Target
from ..progress import Progress, silent

if TYPE_CHECKING:
    import torch

_TURN_S = 1.0

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
    progress: Progress = silent,
) -> Bench:
    """Time library and engine in turn, in this process, on the same inputs.

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
    """
    engine, exact, half = Engine(network), Engine(network, formulas="library"), Engine(network, half=True)
    one, middle = batch[:1], stages[len(stages) // 2]
    works: list[tuple[str, Engine, torch.Tensor, Sequence[str], Sequence[int]]] = [
        ("seven methods, library formulas", exact, batch, SHARED, stages),
        ("seven methods, torch formulas", engine, batch, SHARED, stages),
        *(("AblationCAM", engine, one, ["ablationcam"], [stage]) for stage in stages),
        ("AblationCAM as in the library", engine, one, ["ablationcam-library"], stages),
        ("ScoreCAM", engine, one, ["scorecam"], [middle]),
        ("ScoreCAM in bfloat16", half, one, ["scorecam"], [middle]),
    ]
    if sweep:
        works += [
            ("nine methods", engine, one, NINE, stages),
            ("nine methods, ScoreCAM in bfloat16", half, one, NINE, stages),
            ("eight methods, all but ScoreCAM", engine, one, NINE[:8], stages),
        ]
    lines, agreements = [], []
    for done, (name, used, x, methods, at) in enumerate(works):
        progress(f"Timing {name}", done, len(works) + 1)
        work = f"{name}, stage{'s' if len(at) > 1 else ''} {', '.join(map(str, at))}"
        theirs: Maps = {}

        def library(x=x, methods=methods, at=at, theirs=theirs) -> None:  # noqa: ANN001
            for stage in at:
                for method in methods:
                    theirs[method, stage] = plain_map(network, x, target, method, stage)

        def ours(x=x, methods=methods, at=at, used=used):  # noqa: ANN001
            return used.explain(x, target, methods, at)

        found = ours()  # the engine's folded copy and its bookkeeping are made once a network, not once a run
        lines.append(Line(work, len(x), *_interleaved(library, ours, repeats)))
        if not name.startswith(("nine", "eight")):
            agreements += _agreements(work, found, theirs, target, tuple(x.shape[-2:]))
    progress("Timing AblationCAM on a capture", len(works), len(works) + 1)
    last = stages[-1]
    captured = engine.capture(one, target, [last], gradients=False)
    times = _interleaved(
        lambda: plain_map(network, one, target, "ablationcam", last),
        lambda: engine.maps(captured, ["ablationcam"], [last]),
        repeats,
    )
    lines.append(Line(f"AblationCAM on a capture that is there, stage {last}", 1, *times))
    return Bench(lines, agreements)


def whole_volume(
    network: torch.nn.Module,
    batch: torch.Tensor,
    target: Target,
    stage: int,
    repeats: int = 3,
    chunk: int = 4,
) -> Line:
    """HiResCAM of a whole volume, logits included, against plain forwards of it: the ratio is below 1."""
    import torch

    engine = Engine(network)

    def forwards() -> None:
        with torch.inference_mode():
            for part in batch.split(chunk):
                network(part)

    def explain() -> None:
        for part in batch.split(chunk):
            engine.explain(part, target, ["hirescam"], [stage])

    forwards()
    explain()
    times = _interleaved(forwards, explain, repeats)
    return Line(f"HiResCAM at stage {stage} against plain forwards", len(batch), *times)


def _interleaved(one: Callable, other: Callable, repeats: int) -> tuple[float, float, float, float]:
    """Median seconds of each, run in turn, and the extreme ratios of neighbours."""
    first, second = np.array([[_turn(call) for call in (one, other)] for _ in range(repeats)]).T
    ratios = first / second
    return float(np.median(first)), float(np.median(second)), float(ratios.min()), float(ratios.max())


def _turn(call: Callable) -> float:
    """Mean seconds of a call, over a second of calls, or one: the first finds the memory as the other left it."""
    start, count = time.perf_counter(), 0
    while not count or time.perf_counter() - start < _TURN_S:
        call()
        count += 1
    return (time.perf_counter() - start) / count


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
