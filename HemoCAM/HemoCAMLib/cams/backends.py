"""The engines by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OptionError

if TYPE_CHECKING:
    import torch

    from .engine import CamEngine

# hemocam: ours. hemocam-bf16: ours, with ScoreCAM in bfloat16. library: pytorch-grad-cam, the reference.
BACKENDS = ("hemocam", "hemocam-bf16", "library")


def check_backend(name: str) -> str:
    """Return ``name`` if there is an engine of that name; raise :class:`OptionError` naming them if not."""
    if name not in BACKENDS:
        raise OptionError(f"There is no engine {name!r}; choose one of {', '.join(BACKENDS)}.")
    return name


def make_engine(network: torch.nn.Module, name: str = BACKENDS[0]) -> CamEngine:
    """Make the engine of that name for a network."""
    from .engine import Engine
    from .library import LibraryEngine

    if check_backend(name) == "library":
        return LibraryEngine(network)
    return Engine(network, half=name == "hemocam-bf16")
