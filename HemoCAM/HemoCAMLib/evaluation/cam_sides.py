"""pytorch-grad-cam and the engine, each in a process of its own, to be timed in turn.

In one process each would find the heap as the other left it: that changed the library's seconds by more than twice,
either way, for what it allocates is large, and fresh pages are what it waits for.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import io
import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cams.engine import Engine
from ..cams.plain import plain_map
from ..cams.target import Target
from ..workers import end_with_parent

if TYPE_CHECKING:
    import torch

VOLUME, CAPTURE = "volume", "capture"
_CHUNK = 4  # slices at once in a volume
_KEEP = {-4: 0, -1: (1 << 31) - 1}  # glibc's M_MMAP_MAX and M_TRIM_THRESHOLD


@dataclass(frozen=True)
class Work:
    """What both sides compute.

    Parameters
    ----------
    name:
        For the table.
    form:
        The engine's: ``torch`` or ``library`` formulas, ``half`` for bfloat16, :data:`CAPTURE` for maps of a capture
        that is there, or :data:`VOLUME`: logits and maps of a volume, against plain forwards of it.
    slices:
        The first so many of the batch.
    methods, stages:
        Of the maps.
    """

    name: str
    form: str
    slices: int
    methods: tuple[str, ...]
    stages: tuple[int, ...]


class Side:
    """One side's process; a context manager.

    Parameters
    ----------
    library:
        pytorch-grad-cam; else the engine.
    network:
        In evaluation mode, on the device to measure.
    batch:
        Network input, (n, channels, H, W).
    target:
        What is explained.
    keep:
        Tell malloc to keep what is freed (glibc alone), so that no side waits for fresh pages.
    """

    def __init__(
        self, library: bool, network: torch.nn.Module, batch: torch.Tensor, target: Target, keep: bool = False
    ) -> None:
        import torch

        device = str(next(network.parameters()).device)
        content = io.BytesIO()
        torch.save((network, batch.cpu(), target), content)
        self._executor = concurrent.futures.ProcessPoolExecutor(
            1,
            multiprocessing.get_context("spawn"),
            _arrive,
            (library, content.getvalue(), device, torch.get_num_threads(), keep),
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def turn(self, work: Work, seconds: float) -> float:
        """Mean seconds of the work, over so many seconds of it, or of doing it once."""
        return self._executor.submit(_turn, work, seconds).result()

    def result(self, work: Work) -> Any:
        """What it gave last: the library's final maps by method and stage, the engine an explanation."""
        return self._executor.submit(_result, work).result()


class _Here:
    """What a side's process holds."""

    library: bool
    network: torch.nn.Module
    batch: torch.Tensor
    target: Target
    engines: dict[str, Engine]
    calls: dict[Work, Callable]
    results: dict[Work, Any]


def _arrive(library: bool, content: bytes, device: str, threads: int, keep: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a turn at once, which may be one of a minute
    end_with_parent()
    if keep:
        for option, value in _KEEP.items():
            ctypes.CDLL("libc.so.6").mallopt(option, value)
    import torch

    torch.set_num_threads(threads)
    network, batch, target = torch.load(io.BytesIO(content), weights_only=False)
    _Here.library, _Here.network, _Here.batch = library, network.to(device), batch.to(device)
    _Here.target, _Here.engines, _Here.calls, _Here.results = target, {}, {}, {}


def _turn(work: Work, seconds: float) -> float:
    if work not in _Here.calls:
        _Here.calls[work] = (_library_call if _Here.library else _engine_call)(work)
    start, count = time.perf_counter(), 0
    while not count or time.perf_counter() - start < seconds:
        _Here.results[work] = _Here.calls[work]()
        count += 1
    return (time.perf_counter() - start) / count


def _result(work: Work) -> Any:
    return _Here.results[work]


def _library_call(work: Work) -> Callable:
    import torch

    network, x = _Here.network, _Here.batch[: work.slices]

    def forwards() -> None:
        with torch.inference_mode():
            for part in x.split(_CHUNK):
                network(part)

    def maps() -> dict:
        return {
            (method, stage): plain_map(network, x, _Here.target, method, stage)
            for stage in work.stages
            for method in work.methods
        }

    return forwards if work.form == VOLUME else maps


def _engine_call(work: Work) -> Callable:
    if work.form not in _Here.engines:
        formulas, half = ("library" if work.form == "library" else "torch"), work.form == "half"
        _Here.engines[work.form] = Engine(_Here.network, formulas=formulas, half=half)
    engine, x, target = _Here.engines[work.form], _Here.batch[: work.slices], _Here.target
    if work.form == CAPTURE:
        captured = engine.capture(x, target, work.stages, gradients=False)
        call = lambda: engine.maps(captured, work.methods, work.stages)  # noqa: E731
    elif work.form == VOLUME:

        def call() -> None:
            for part in x.split(_CHUNK):
                engine.explain(part, target, work.methods, work.stages)
    else:
        call = lambda: engine.explain(x, target, work.methods, work.stages)  # noqa: E731
    call()  # the engine's copies and its bookkeeping are made once a network, not once a run
    return call


def can_keep() -> bool:
    """Tell whether malloc can be told to keep its memory here."""
    with contextlib.suppress(OSError):
        return hasattr(ctypes.CDLL("libc.so.6"), "mallopt")
    return False
