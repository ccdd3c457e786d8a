"""Write a bundle: float16 weights as safetensors, the manifest, the card. Whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError
from ..models.bundle import Bundle
from ..models.card import card
from ..models.manifest import Manifest

if TYPE_CHECKING:
    import torch


def half_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state with matrices and kernels in float16, the few vectors (norms, biases) as they are."""
    return {
        k: (v.half() if v.is_floating_point() and v.ndim > 1 else v).contiguous()
        for k, v in network.state_dict().items()
    }


def write_bundle(network: torch.nn.Module, description: dict, folder: Path) -> Bundle:
    """Write ``folder`` with weights, manifest and card, and open it again as a check.

    Parameters
    ----------
    network:
        The trained network.
    description:
        The manifest's content; its SHA-256 is filled in here.
    folder:
        Must not exist yet.

    Raises
    ------
    OutputError
        If ``folder`` exists.
    ModelError
        If the description is not a valid manifest.
    """
    from safetensors.torch import save_file

    if folder.exists():
        raise OutputError(f"{folder} exists; remove it or choose another folder for the bundle.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        part.chmod(0o755)
        weights = part / description["weights"]["file"]
        save_file(half_weights(network), weights)
        weights.chmod(0o644)  # it was made private
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        description = {**description, "weights": {**description["weights"], "sha256": digest}}
        manifest = Manifest.of(description)
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        (part / "model.json").write_text(text, encoding="utf-8")
        (part / "README.md").write_text(card(manifest), encoding="utf-8")
        Bundle.open(part).network()
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Bundle.open(folder)
