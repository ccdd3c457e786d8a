"""What stands in the place of a deleted pixel.

Deleting asks what the network says without a region, so the stand-in must not itself be a finding, nor leave the
finding in. On windowed head CT a blurred picture fails the second: a bleed is a bright area, not a texture, and stays
one: to a network trained on virtual patients, 15 bleeding slices stayed at a probability of 0.92 to 0.96 when blurred
with a sigma of up to 20 of 256 pixels, and fell to 0.02 when filled with tissue. The window's floor fails the first:
black holes in the brain look like old infarcts. Hence the default, ``tissue``: normal brain in every window. Whatever
the choice, a picture with holes is one that the network has not learnt from; :mod:`.road` depends on it less.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OptionError
from ..models.manifest import Manifest
from ..models.preprocess import network_input

if TYPE_CHECKING:
    from torch import Tensor

BASELINES = ("tissue", "mean", "zero", "blur")
TISSUE_HU = 32.0  # between white matter (about 28) and grey (about 37)
BLUR_SIGMA = 5 / 224  # of the input's edge, as in the reference code of Petsiuk et al.


def baseline(name: str, batch: Tensor, manifest: Manifest | None = None) -> Tensor:
    """Make the picture that deletion ends with and insertion begins with, for each slice.

    Parameters
    ----------
    name:
        ``tissue``: 32 HU in every window, as normalised; needs the manifest. ``mean``: each channel's own mean in the
        slice. ``zero``: 0 after normalisation, which is what the manifest calls the mean. ``blur``: the slice under a
        Gaussian with a sigma of 5/224 of its edge, as Petsiuk et al. insert into.
    batch:
        Network input, (n, channels, H, W).
    manifest:
        Of the model; needed for ``tissue`` only.

    Returns
    -------
    Tensor
        Of the shape and on the device of ``batch``.

    Raises
    ------
    OptionError
        For another name, or ``tissue`` without a manifest of as many windows as there are channels.
    """
    import torch

    if name not in BASELINES:
        raise OptionError(f"There is no baseline {name!r}; choose one of {', '.join(BASELINES)}.")
    if name == "zero":
        return torch.zeros_like(batch)
    if name == "mean":
        return batch.mean(dim=(2, 3), keepdim=True).expand_as(batch)
    if name == "blur":
        from torchvision.transforms.functional import gaussian_blur

        sigma = BLUR_SIGMA * max(batch.shape[2:])
        reach = min(math.ceil(3 * sigma), min(batch.shape[2:]) - 1)
        return gaussian_blur(batch, [2 * reach + 1] * 2, [sigma] * 2)
    if manifest is None or len(manifest.windows) != batch.shape[1]:
        raise OptionError(
            f"The baseline tissue needs a manifest with a window for each of the {batch.shape[1]} channels; give it, "
            f"or choose another baseline."
        )
    value = network_input(np.full((1, 1, 1), TISSUE_HU, np.float32), manifest)
    return torch.from_numpy(value).to(batch).expand_as(batch)
