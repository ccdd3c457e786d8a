"""``hemocam bench-cam``: the CAM engine against pytorch-grad-cam."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Cancelled
from ..progress import Progress, silent

if TYPE_CHECKING:
    import torch

    from ..models.manifest import Manifest
    from ..phantoms.patient import Patient

ABLATIONS = "ablations.png"
VOLUME = 32  # slices of the volume that HiResCAM is timed on


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "bench-cam",
        help="time the CAM engine against pytorch-grad-cam",
        description="Compute maps of a virtual patient with HemoCAM's engine and with pytorch-grad-cam, in turn, "
        "each in a process of its own: how many times faster the engine is, and how far its maps lie from the "
        "library's.",
    )
    command.add_argument("--model", metavar="NAME_OR_FOLDER", help="model bundle (default: the one shipped)")
    command.add_argument(
        "--timm",
        metavar="NAME",
        help="a network of timm with random weights and one output, in the model's place",
    )
    command.add_argument("--size", type=int, metavar="PIXELS", help="of the input (default: the model's)")
    command.add_argument("--stages", type=int, nargs="+", default=[4, 5, 6], metavar="N")
    command.add_argument(
        "--slices", type=int, default=4, metavar="N", help="at once for the seven methods (default: 4)"
    )
    command.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each (default: 3)")
    command.add_argument(
        "--without-sweep",
        action="store_true",
        help="leave out all nine methods at all stages, the longest part",
    )
    command.add_argument(
        "--keep-memory",
        action="store_true",
        help="tell malloc to keep what is freed (Linux): what the library waits for then is arithmetic alone",
    )
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the tables")
    command.set_defaults(run=_run)
    return command


def bench_cam(
    output: Path,
    model: str | None = None,
    timm_name: str | None = None,
    size: int | None = None,
    stages: tuple[int, ...] = (4, 5, 6),
    slices: int = 4,
    repeats: int = 3,
    sweep: bool = True,
    device: str = "auto",
    keep: bool = False,
    progress: Progress = silent,
) -> list[str]:
    """Time and compare; write the tables to ``output``; return their Markdown lines.

    Raises
    ------
    OptionError, ModelError, OutputError
        If an option makes no sense, the model is not whole, or the folder cannot be written.
    """
    import torch

    from ..cams.engine import Engine
    from ..cams.stages import Chain
    from ..cams.target import Target
    from ..errors import OptionError, OutputError
    from ..evaluation.cam_bench import bench, whole_volume
    from ..evaluation.cam_pictures import draw_ablations
    from ..evaluation.cam_report import write_bench
    from ..evaluation.cam_sides import can_keep
    from ..models.bundle import DEFAULT_MODEL, Bundle
    from ..phantoms.patient import make_patient
    from ..phantoms.spec import demo_spec
    from ..pipeline import pick_device

    if slices < 1 or repeats < 1 or (size is not None and size < 32):
        raise OptionError("Give --slices and --repeats of 1 or more, and a --size of 32 or more.")
    if keep and not can_keep():
        raise OptionError("malloc cannot be told to keep its memory here; leave out --keep-memory.")
    where = pick_device(device)
    bundle = Bundle.open(model or DEFAULT_MODEL)
    manifest = bundle.manifest if size is None else replace(bundle.manifest, size=size)
    progress("Making a virtual patient", 0, 1)
    patient = make_patient(demo_spec())
    batch = _inputs(patient, manifest, max(slices, VOLUME))
    target = Target(0 if timm_name else manifest.class_index(manifest.target))
    network = (_settled(timm_name, batch) if timm_name else bundle.network()).to(where)
    chain = Chain.of(network)
    for stage in stages:
        chain.check_stage(stage)
    batch = batch.to(where)
    about = {
        "network": f"{timm_name}, random weights"
        if timm_name
        else f"{manifest.name} ({manifest.architecture})",
        "input": f"slices of the demo's virtual patient, {batch.shape[1]} x {manifest.size} x {manifest.size}",
        "device": where,
        "memory": "malloc keeps what is freed" if keep else "as malloc gives it",
    }
    chosen = batch[torch.linspace(0, len(batch) - 1, slices + 2).round().long()[1:-1]]
    volume = whole_volume(network, batch[:VOLUME], target, stages[len(stages) // 2], repeats, keep)
    found = bench(network, chosen, target, stages, repeats, sweep, keep, progress)
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not timm_name:
            draw_ablations(Engine(network), patient, manifest, stages, output / ABLATIONS)
        return write_bench(found, volume, about, output)
    except OSError as error:
        raise OutputError(f"The tables cannot be written to {output} ({error.strerror}).") from None


def _inputs(patient: Patient, manifest: Manifest, count: int) -> torch.Tensor:
    """Network input of ``count`` slices of a patient, evenly spread over the head."""
    import numpy as np
    import torch

    from ..explained import Sampled

    inputs = Sampled.of(patient.ct, manifest).input()
    return torch.from_numpy(inputs[np.linspace(0, len(inputs) - 1, count).round().astype(int)])


def _settled(name: str, batch: torch.Tensor) -> torch.nn.Module:
    """A timm network with random weights (seed 0), its batch norms' statistics those of the batch."""
    import timm
    import torch

    from ..errors import OptionError

    if not timm.is_model(name):
        raise OptionError(f"timm {timm.__version__} knows no network {name!r}.")
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=1, in_chans=batch.shape[1]).train()
    with torch.no_grad():
        for _ in range(10):
            network(batch[::2])
    return network.eval()


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    from .terminal import TerminalProgress

    try:
        with TerminalProgress(options.quiet) as progress:
            lines = bench_cam(
                options.output,
                options.model,
                options.timm,
                options.size,
                tuple(options.stages),
                options.slices,
                options.repeats,
                not options.without_sweep,
                options.device,
                options.keep_memory,
                progress,
            )
    except KeyboardInterrupt:
        raise Cancelled from None
    print("\n".join(lines))
    return 0
