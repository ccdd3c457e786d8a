"""How much memory a sweep of nine methods over a volume takes, measured from outside, in a process of its own.

    python -m HemoCAMLib.evaluation.cam_memory --timm tf_efficientnetv2_s --size 384 --slices 32

AblationCAM and ScoreCAM are stopped after some chunks: they take no more for their hundredth than for their third.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import psutil

from ..cams.engine import Engine
from ..cams.memory import DEFAULT_MEMORY
from ..cams.methods import NINE, SHARED
from ..cams.target import Target
from ..errors import Cancelled

_ENOUGH = 96  # channels


def sweep_memory(
    timm_name: str,
    size: int,
    slices: int,
    stages: Sequence[int],
    bound: int = DEFAULT_MEMORY,
    threads: int = 1,
) -> tuple[int, int]:
    """Bytes of this process before a sweep over random slices, and at its peak; call it in a fresh process.

    Not on Windows, which keeps no such record.
    """
    import timm
    import torch

    torch.set_num_threads(threads)
    engine = Engine(timm.create_model(timm_name, num_classes=1).eval(), memory=bound)
    batch = torch.randn(slices, 3, size, size)
    engine.explain(batch[:1, :, :64, :64], Target(0), NINE, stages)  # so that all copies are there
    before = psutil.Process().memory_info().rss
    engine.explain(batch, Target(0), SHARED, stages)
    for method, stage in itertools.product(NINE[len(SHARED) :], stages):
        try:
            engine.explain(batch, Target(0), [method], [stage], _enough)
        except Cancelled:
            continue
    return before, _peak()


def _enough(phase: str, done: int, total: int) -> None:
    if "CAM" in phase and done >= _ENOUGH:
        raise Cancelled


def _peak() -> int:
    import resource
    import sys
    from pathlib import Path

    status = Path("/proc/self/status")
    if status.exists():  # getrusage would begin with the peak of the process that started this one
        high = next(line for line in status.read_text(encoding="ascii").splitlines() if "VmHWM" in line)
        return int(high.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: list[str] | None = None) -> None:
    """Print the peak above the model in MiB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timm", default="tf_efficientnetv2_s", metavar="NAME")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--stages", type=int, nargs="+", default=[4, 5, 6])
    parser.add_argument("--bound", type=int, default=DEFAULT_MEMORY >> 20, metavar="MIB", help="the engine's")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args(arguments)
    before, after = sweep_memory(
        chosen.timm, chosen.size, chosen.slices, chosen.stages, chosen.bound << 20, chosen.threads
    )
    print(f"{(after - before) / 2**20:.0f} MiB above the model, batch and copies ({before / 2**20:.0f} MiB)")


if __name__ == "__main__":
    main()
