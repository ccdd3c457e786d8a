"""What a training runs on: Lightning Fabric, set up from a few words."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..errors import OptionError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
STRATEGIES = ("auto", "ddp")


def launch(
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    precision: str = "bf16-mixed",
) -> Fabric:
    """Set up the devices and start the processes that they need.

    Parameters
    ----------
    device:
        ``auto`` (the GPU if there is one), ``cpu`` or ``cuda``.
    devices:
        Devices a machine; each is a process of its own.
    nodes:
        Machines. Each runs the same command under SLURM, torchrun or with the variables that Lightning names
        (MASTER_ADDR, MASTER_PORT, NODE_RANK).
    strategy:
        ``auto``, or ``ddp``: every process holds the whole network and the gradients are averaged.
    precision:
        One of :data:`PRECISIONS`.

    Raises
    ------
    OptionError
        If there are no such devices.
    """
    from lightning_fabric import Fabric

    if device not in ("auto", "cpu", "cuda"):
        raise OptionError(f"There is no device {device!r}; choose auto, cpu or cuda.")
    if precision not in PRECISIONS or strategy not in STRATEGIES:
        raise OptionError(
            f"Precision {precision!r} with strategy {strategy!r} cannot train here; choose of "
            f"{', '.join(PRECISIONS)} and of {', '.join(STRATEGIES)}."
        )
    if devices < 1 or nodes < 1:
        raise OptionError(f"{devices} devices on {nodes} machines cannot train; give 1 or more of each.")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        fabric = Fabric(
            accelerator=device, devices=devices, num_nodes=nodes, strategy=strategy, precision=precision
        )
    except Exception as error:
        raise OptionError(
            f"{devices} x {device} cannot be had here ({error}); choose other --device and --devices."
        ) from None
    fabric.launch()
    return fabric
