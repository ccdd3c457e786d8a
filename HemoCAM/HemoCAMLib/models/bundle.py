"""Find a model bundle, check it, and make its classifier. Weights come from safetensors only, never pickle."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError
from .manifest import Manifest, allowed_options

if TYPE_CHECKING:
    import torch

DEFAULT_MODEL = "phantom-v2s-half"

MOST_PARAMETERS = 500_000_000  # the largest EfficientNet that timm trains has 480 million

_HERE = Path(__file__).resolve()


def model_folders() -> list[Path]:
    """Where bundles are looked for by name, in order: HEMOCAM_MODELS, the package, the source tree."""
    listed = os.environ.get("HEMOCAM_MODELS", "")
    folders = [Path(p) for p in listed.split(os.pathsep) if p]
    return [*folders, _HERE.parents[1] / "bundles", _HERE.parents[3] / "models"]


def find_bundle(name_or_folder: str | Path) -> Path:
    """Return the folder of a bundle, given its name or the folder itself."""
    folder = Path(name_or_folder)
    if (folder / "model.json").is_file():
        return folder
    if folder.name == str(name_or_folder):
        for place in model_folders():
            if (place / folder / "model.json").is_file():
                return place / folder
    known = sorted({p.parent.name for place in model_folders() for p in place.glob("*/model.json")})
    raise ModelError(
        f"There is no model {str(name_or_folder)!r}; give a folder that holds model.json, or one of the "
        f"models here: {', '.join(known) or 'none'}."
    )


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: its folder, its manifest, and the SHA-256 of its weights (hex)."""

    folder: Path
    manifest: Manifest
    sha256: str

    @classmethod
    def open(cls, name_or_folder: str | Path = DEFAULT_MODEL) -> Bundle:
        """Find and check a bundle; raise :class:`ModelError` with one sentence if it is not whole."""
        folder = find_bundle(name_or_folder)
        manifest = Manifest.read(folder / "model.json")
        weights = folder / manifest.weights_file
        if not weights.is_file():
            raise ModelError(
                f"The model {manifest.name} lacks its weights, {weights}; copy the whole folder."
            )
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != manifest.sha256:
            raise ModelError(
                f"The weights of the model {manifest.name} do not match the SHA-256 in its manifest; "
                f"the file is damaged or was exchanged, so get the bundle again."
            )
        return cls(folder, manifest, digest)

    def network(self) -> torch.nn.Module:
        """Build the timm network with the bundle's weights, float32, in evaluation mode, on the CPU.

        Raises
        ------
        ModelError
            If timm does not know the architecture or the weights do not fit it.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        network = build_network(self.manifest)
        try:
            state = load_file(self.folder / self.manifest.weights_file)
        except SafetensorError as error:
            raise ModelError(
                f"The weights of the model {self.manifest.name} cannot be read ({error}); get the bundle again."
            ) from None
        broken = [name for name, tensor in state.items() if not tensor.isfinite().all()]
        if broken:
            raise ModelError(
                f"The weights of the model {self.manifest.name} hold values that are not finite, the first in "
                f"{broken[0]}; get the bundle again."
            )
        own = network.state_dict()
        odd = sorted(
            k
            for k in set(own) | set(state)
            if k not in own or k not in state or own[k].shape != state[k].shape
        )
        if odd:
            raise ModelError(
                f"The weights of the model {self.manifest.name} do not fit {self.manifest.architecture}: "
                f"{len(odd)} tensors differ, the first is {odd[0]}."
            )
        network.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})
        return network.eval()


def build_network(manifest: Manifest, **training_options: float) -> torch.nn.Module:
    """Build the timm network that ``manifest`` names, with fresh random weights.

    ``training_options`` (``drop_rate``, ``drop_path_rate``) matter while it is trained only.
    """
    import timm
    import torch

    if not timm.is_model(manifest.architecture):
        raise ModelError(
            f"The model {manifest.name} asks for the architecture {manifest.architecture!r}, "
            f"which this timm ({timm.__version__}) does not know."
        )
    options = {**manifest.options, **training_options}
    strange = sorted(set(options) - allowed_options())
    if strange:  # a manifest that nobody checked: an option of timm may open a file
        raise ModelError(
            f"The model {manifest.name} gives timm the option {strange[0]!r}, which is not allowed."
        )

    def create() -> torch.nn.Module:
        return timm.create_model(
            manifest.architecture,
            pretrained=False,
            checkpoint_path=None,
            in_chans=len(manifest.windows),
            num_classes=len(manifest.classes),
            **options,
        )

    try:
        with torch.device("meta"):  # counted before any memory is taken
            parameters = sum(p.numel() for p in create().parameters())
        if parameters > MOST_PARAMETERS:
            raise ModelError(
                f"The model {manifest.name} would have {parameters / 1e6:,.0f} million parameters, more than the "
                f"{MOST_PARAMETERS / 1e6:.0f} million that HemoCAM takes."
            )
        return create()
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise ModelError(
            f"timm cannot build {manifest.architecture} with the options of the model {manifest.name} ({error})."
        ) from None
