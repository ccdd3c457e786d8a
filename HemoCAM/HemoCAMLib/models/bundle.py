"""Find a model bundle, check it, and make its classifier. Weights come from safetensors only, never pickle."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError
from .files import one_line, printable, read_file
from .manifest import Manifest, allowed_options

if TYPE_CHECKING:
    import torch

DEFAULT_MODEL = "phantom-v2s-half"

MOST_PARAMETERS = 500_000_000  # the largest EfficientNet that timm trains has 480 million
LARGEST_WEIGHTS = (
    4 * MOST_PARAMETERS + 100_000_000
)  # bytes: float32, running statistics and the file's header

_HERE = Path(__file__).resolve()


def model_folders() -> list[Path]:
    """Where bundles are looked for by name, in order: HEMOCAM_MODELS, the package, the source tree."""
    listed = os.environ.get("HEMOCAM_MODELS", "")
    folders = [Path(p) for p in listed.split(os.pathsep) if p]
    return [*folders, _HERE.parents[1] / "bundles", _HERE.parents[3] / "models"]


def find_bundle(name_or_folder: str | Path) -> Path:
    """Return the folder of a bundle, given its name or the folder itself."""
    folder = Path(name_or_folder)
    if _holds_manifest(folder):
        return folder
    if folder.name == str(name_or_folder):
        for place in model_folders():
            if _holds_manifest(place / folder):
                return place / folder
    known = sorted({p.parent.name for place in model_folders() for p in place.glob("*/model.json")})
    raise ModelError(
        f"There is no model {str(name_or_folder)!r}; give a folder that holds model.json, or one of the "
        f"models here: {', '.join(known) or 'none'}."
    )


def _holds_manifest(folder: Path) -> bool:
    try:
        return (folder / "model.json").is_file()
    except (OSError, ValueError):  # a name that no folder can have
        return False


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
        if not weights.exists():
            raise ModelError(
                f"The model {manifest.name} lacks its weights, {printable(weights)}; copy the whole folder."
            )
        _read_weights(folder, manifest)
        return cls(folder, manifest, manifest.sha256)

    def network(self) -> torch.nn.Module:
        """Build the timm network with the bundle's weights, float32, in evaluation mode, on the CPU.

        Raises
        ------
        ModelError
            If timm does not know the architecture, or the weights are damaged, are not its, or hold NaN.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        name = self.manifest.name
        data = _read_weights(self.folder, self.manifest)  # again: what is checked is what is used
        try:
            state = load(data)
        except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise ModelError(
                f"The weights of the model {name} cannot be read ({one_line(error)}); get the bundle again."
            ) from None
        _check_fit(
            state, outline(self.manifest).state_dict(), self.manifest
        )  # before the network takes memory
        network = build_network(self.manifest)
        own = network.state_dict()
        state = {key: tensor.to(own[key].dtype) for key, tensor in state.items()}
        for key, tensor in state.items():
            if not tensor.isfinite().all():
                raise ModelError(
                    f"The weights of the model {name} hold NaN or infinity, values that are not finite, the "
                    f"first in {key}; get the bundle again."
                )
            if key.endswith("running_var") and (tensor < 0).any():
                raise ModelError(f"The weights of the model {name} hold a negative variance in {key}.")
        network.load_state_dict(state)
        return network.eval()


def outline(manifest: Manifest) -> torch.nn.Module:
    """Build the timm network that ``manifest`` names without memory for its tensors (torch's device ``meta``).

    Raises
    ------
    ModelError
        If timm cannot build it, or it has more than :data:`MOST_PARAMETERS` parameters.
    """
    import torch

    try:
        with torch.device("meta"):
            network = _create(manifest, let_through=NotImplementedError)
    except (
        NotImplementedError
    ):  # timm 1.0.26 to 1.0.30 compute RegNets' widths with torch: no option enlarges them
        network = _create(manifest)
    parameters = sum(p.numel() for p in network.parameters())
    if parameters > MOST_PARAMETERS:
        raise ModelError(
            f"The model {manifest.name} would have {parameters / 1e6:,.0f} million parameters, more than the "
            f"{MOST_PARAMETERS / 1e6:.0f} million that HemoCAM takes."
        )
    return network


def build_network(manifest: Manifest, **training_options: float) -> torch.nn.Module:
    """Build the timm network that ``manifest`` names, with fresh random weights.

    ``training_options`` (``drop_rate``, ``drop_path_rate``) matter while it is trained only.

    Raises
    ------
    ModelError
        If timm does not know the architecture, cannot build it, or it is too large.
    """
    outline(manifest)  # counted before any memory is taken
    return _create(manifest, **training_options)


def _create(
    manifest: Manifest, let_through: type[Exception] | tuple = (), **training_options: float
) -> torch.nn.Module:
    """Call timm, with no argument from the manifest that could open a file or reach the network."""
    import timm

    if not timm.is_model(manifest.architecture) or set(manifest.architecture) & set("/\\:"):
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
    try:
        return timm.create_model(
            manifest.architecture,
            pretrained=False,
            pretrained_cfg=None,
            pretrained_cfg_overlay=None,
            checkpoint_path=None,
            cache_dir=None,
            in_chans=len(manifest.windows),
            num_classes=len(manifest.classes),
            **options,
        )
    except let_through:
        raise
    except Exception as error:  # timm checks little: a list that is too short is an IndexError, and so on
        raise ModelError(
            f"timm cannot build {manifest.architecture} with the options of the model {manifest.name} "
            f"({one_line(error)})."
        ) from None


def _read_weights(folder: Path, manifest: Manifest) -> bytes:
    """Read the weights, once they match the manifest's SHA-256."""
    data = read_file(folder / manifest.weights_file, LARGEST_WEIGHTS, folder)
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise ModelError(
            f"The weights of the model {manifest.name} do not match the SHA-256 in its manifest; "
            f"the file is damaged or was exchanged, so get the bundle again."
        )
    return data


def _check_fit(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor], manifest: Manifest) -> None:
    """Refuse tensors whose names, shapes or kinds (floating, whole, complex) are not the network's."""

    def fits(key: str) -> bool:
        if key not in own or key not in state:
            return False
        theirs, ours = state[key], own[key]
        return (theirs.shape, theirs.is_floating_point(), theirs.is_complex()) == (
            ours.shape,
            ours.is_floating_point(),
            ours.is_complex(),
        )

    odd = sorted(key for key in set(own) | set(state) if not fits(key))
    if odd:
        raise ModelError(
            f"The weights of the model {manifest.name} do not fit {manifest.architecture}: "
            f"{len(odd)} tensors differ, the first is {one_line(odd[0])}."
        )
