"""Single slices: pictures and DICOM files in, probabilities, maps and masks on each one's own pixels out.

    picture -> its skull on the network's square, gray read as HU ---+
    DICOM slice -> HU -> the network's grid, as a volume goes -------+-> classifier -> map -> mask, each by itself

Each slice is a volume of its own: its map runs from raw 0 to the slice's own largest value, whatever its
probability (the scale ``volume``, without the gate), so that there is a map to look at just below the threshold,
too. Read it together with the probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cams.engine import Engine
from .cams.scaling import scale_maps
from .cams.target import Target
from .errors import InputError
from .explained import Sampled
from .models.bundle import Bundle
from .models.calibration import probabilities
from .models.manifest import Manifest
from .models.preprocess import network_input
from .pipeline import Options, pick_device
from .volumes.axial import AxialOrder
from .volumes.dicom_headers import is_dicom
from .volumes.dicom_slice import read_slice
from .volumes.files import file_format
from .volumes.headgrid import Cells, HeadGrid
from .volumes.picture import SIGNATURES, picture_grid, picture_hu, read_picture

LEVELS = 65535  # a map's values are multiples of 1 / 65535, as a 16-bit picture holds them


@dataclass(frozen=True)
class Slice:
    """One slice on the network's square.

    Parameters
    ----------
    hu:
        HU, or for a picture what its gray is read as; float32, shape (size, size).
    grid:
        Where the square lies on the slice's pixels.
    order:
        How a DICOM slice's rows and columns were flipped or swapped; None for a picture.
    intracranial:
        False for a DICOM slice without intracranial content: the probability of blood in the head is 0.
    """

    hu: np.ndarray
    grid: HeadGrid
    order: AxialOrder | None = None
    intracranial: bool = True

    @property
    def is_picture(self) -> bool:
        """Tell whether the HU are those of a gray picture, and the calibration of pictures holds."""
        return self.order is None

    @classmethod
    def of_picture(cls, gray: np.ndarray, manifest: Manifest) -> Slice:
        """Bring a picture, 0..1, shape (rows, columns), to the square; :class:`ModelError` if it takes none."""
        grid = picture_grid(gray, manifest.size, manifest.for_pictures().picture.fill)
        return cls(picture_hu(gray, grid, manifest), grid)

    @classmethod
    def read(cls, path: Path, manifest: Manifest) -> Slice:
        """Read a PNG, JPEG or DICOM file, told apart by content.

        Raises
        ------
        InputError
            With one sentence, if it cannot be read or holds no single CT slice.
        ModelError
            If it is a picture and the model takes none.
        """
        try:
            with path.open("rb") as stream:
                head = stream.read(1024)
        except OSError as error:
            raise InputError(f"{path.name} cannot be opened ({error.strerror}).") from None
        if head.startswith(SIGNATURES):
            return cls.of_picture(read_picture(path), manifest)
        if is_dicom(head):
            sampled = Sampled.of(read_slice(path), manifest)
            counts = sampled.intracranial is None or bool(sampled.intracranial[0])
            return cls(sampled.seen[0], sampled.grid, sampled.order, counts)
        if not head:
            raise InputError(f"{path.name} is empty.")
        if file_format(path):
            raise InputError(f"{path.name} is a volume, not a single slice; analyse it with `hemocam run`.")
        raise InputError(f"{path.name} is neither PNG, JPEG nor DICOM, or is damaged at its beginning.")

    def paint(self, shown: np.ndarray, cells: Cells) -> np.ndarray:
        """Lay a map (h, w) over the slice's own pixels: float32, shape (rows, columns) as in the file."""
        painted = self.grid.paint(shown[None], cells)
        return painted[0] if self.order is None else self.order.restore(painted)[0]


@dataclass(frozen=True)
class Finding:
    """What the model says of one slice.

    Parameters
    ----------
    probabilities:
        Calibrated, a class, shape (classes,).
    positive:
        Whether the target's probability reaches the shipped threshold.
    heatmap:
        Float32, 0..1 in steps of 1/65535, on the slice's own pixels; None if no map was asked for.
    mask:
        ``heatmap >= threshold`` (the bundle's, of pictures or of volumes), bool, same shape; None with it.
    """

    probabilities: np.ndarray
    positive: bool
    heatmap: np.ndarray | None = None
    mask: np.ndarray | None = None


class SliceClassifier:
    """A bundle made ready to classify slices and, if wanted, to explain its default target by its default method.

    Parameters
    ----------
    bundle:
        The model.
    maps:
        Whether to compute maps, too.
    device:
        ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    OptionError, ModelError
        If the device is not there or the bundle is not whole.
    """

    def __init__(self, bundle: Bundle, maps: bool = True, device: str = "auto") -> None:
        self.manifest = bundle.manifest
        self.options = Options(device=device).resolved(bundle.manifest)
        self.device = pick_device(device)
        self.maps = maps
        self.network = bundle.network().to(self.device)
        self.engine = Engine(self.network)
        self.batch = 8 if self.device == "cpu" else 64
        self._target = self.manifest.class_index(self.options.target)
        self._cells = self.engine.cells(self.options.stage, self.manifest.size) if maps else None

    def __call__(self, slices: Sequence[Slice]) -> list[Finding]:
        """Classify a batch of slices; :attr:`batch` of them is a step of about a second on a CPU."""
        import torch

        batch = torch.from_numpy(network_input(np.stack([s.hu for s in slices]), self.manifest)).to(
            self.device
        )
        method, stage = self.options.method, self.options.stage
        if self.maps:
            explained = self.engine.explain(batch, Target(self._target), [method], [stage])
            logits, raws = explained.logits, explained.raw[method, stage]
        else:
            with torch.inference_mode():
                logits, raws = self.network(batch).float().cpu().numpy(), [None] * len(slices)
        found = []
        for one, logit, raw in zip(slices, logits, raws, strict=True):
            manifest = self.manifest.for_pictures() if one.is_picture else self.manifest
            probability = probabilities(logit[None], manifest)[0] * one.intracranial
            positive = bool(probability[self._target] >= manifest.calibration[self.options.target][2])
            heatmap = None if raw is None else self._heatmap(one, raw)
            at = manifest.mask_threshold(method, stage)
            found.append(Finding(probability, positive, heatmap, None if raw is None else heatmap >= at))
        return found

    def _heatmap(self, one: Slice, raw: np.ndarray) -> np.ndarray:
        shown = scale_maps(raw[None], "volume", np.ones(1, bool)).maps[0]
        return np.rint(one.paint(shown, self._cells) * LEVELS) / np.float32(LEVELS)
