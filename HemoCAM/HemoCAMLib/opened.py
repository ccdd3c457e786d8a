"""A model made ready: its network on a device, and the CAM engines of it, opened in short steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .cams.backends import make_engine
from .cams.engine import CamEngine, Engine
from .cams.stages import stage_module
from .errors import OptionError
from .models.bundle import Bundle
from .models.manifest import Manifest
from .steps import Step, Steps

if TYPE_CHECKING:
    import torch

LOADING = "Loading the model"


def pick_device(name: str) -> str:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a torch device; :class:`OptionError` if it is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise OptionError(f"There is no device {name!r}; choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionError("No CUDA device can be used here; run with --device cpu.")
    return name


@dataclass(frozen=True, eq=False)
class Opened:
    """A bundle's network on a device, and its engines by name, made when they are first asked for.

    Parameters
    ----------
    manifest:
        The bundle's.
    network:
        Nobody changes it.
    device:
        Where it is: ``cpu`` or ``cuda``.
    """

    manifest: Manifest
    network: torch.nn.Module
    device: str
    _engines: dict[str, CamEngine] = field(default_factory=dict)

    def engine(self, name: str, method: str, stage: int) -> Steps[CamEngine]:
        """Return the engine of that name, ready for a method at a stage.

        Raises
        ------
        OptionError
            If there is no such engine or stage.
        """
        stage_module(self.network, stage)  # a wrong stage is known before any work
        if name not in self._engines:
            yield Step(LOADING, 0, 1)
            self._engines[name] = make_engine(self.network, name)
        engine = self._engines[name]
        if isinstance(engine, Engine):
            channels = len(self.manifest.windows)
            yield from engine.prepare((channels, self.manifest.size, self.manifest.size), method, stage)
        return engine


def open_steps(bundle: Bundle, device: str) -> Steps[Opened]:
    """Open a bundle on a device, ``auto``, ``cpu`` or ``cuda``; the first time in a process imports take seconds.

    Raises
    ------
    OptionError, ModelError
        If the device is not there or the bundle is not whole.
    """
    yield Step(LOADING, 0, 4)
    device = pick_device(device)
    yield Step(LOADING, 1, 4)
    import timm  # noqa: F401  (a step of its own)

    yield Step(LOADING, 2, 4)
    import torch

    with torch.inference_mode(False):  # whatever mode the caller is in: it can be differentiated later
        network = bundle.network()
    yield Step(LOADING, 3, 4)
    with torch.inference_mode(False):
        return Opened(bundle.manifest, network.to(device), device)
