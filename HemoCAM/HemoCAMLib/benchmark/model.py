"""The model in a process: read, built and folded once, and kept for all cases that come."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..cams.backends import make_engine
from ..cams.engine import CamEngine
from ..errors import ModelError
from ..faithfulness.forward import Forward
from ..models.bundle import Bundle
from ..models.manifest import Manifest
from ..pipeline import pick_device
from .plan import Plan

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Model:
    """A bundle with what is made of it when it is first asked for: network, CAM engine, plain classifier."""

    bundle: Bundle
    engine_name: str
    device_name: str

    @property
    def manifest(self) -> Manifest:
        """The bundle's."""
        return self.bundle.manifest

    @cached_property
    def device(self) -> str:
        """Where the network is: ``cpu`` or ``cuda``."""
        return pick_device(self.device_name)

    @cached_property
    def network(self) -> torch.nn.Module:
        """The network; nobody changes it."""
        return self.bundle.network().to(self.device)

    @cached_property
    def engine(self) -> CamEngine:
        """The CAM engine of the network."""
        return make_engine(self.network, self.engine_name)

    @cached_property
    def forward(self) -> Forward:
        """Logits of many pictures."""
        return Forward(self.network)


def model_of(plan: Plan, folder: Path) -> Model:
    """Return the plan's model, the same object at every call in a process.

    Raises
    ------
    ModelError
        If ``folder`` holds another model than the plan names, or none that is whole.
    """
    return _kept(str(folder), plan.model, plan.sha256, plan.engine, plan.device)


@lru_cache(maxsize=1)
def _kept(folder: str, name: str, sha256: str, engine: str, device: str) -> Model:
    bundle = Bundle.open(Path(folder))
    if bundle.sha256 != sha256:
        raise ModelError(f"{folder} does not hold the weights of {name} that this benchmark began with.")
    return Model(bundle, engine, device)
