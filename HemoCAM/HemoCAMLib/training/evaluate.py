"""How well a network in training does: ranks of slices, and whether its evidence peaks inside the blood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from ..models.manifest import Manifest
from ..models.preprocess import network_input
from ..phantoms.patient import KINDS
from .augment import Draw, Frames, shows_brain, warp
from .capture import capture
from .samples import Samples
from .trainee import Trainee

PICTURE_FILL = 0.92  # share of the square that the skull fills where a picture's skull has been found
_BATCH = 32


def resized(samples: Samples, size: int) -> Samples:
    """Bring samples to ``size`` pixels, their field of view unchanged."""
    return samples if samples.hu.shape[-1] == size else _framed(samples, size, None)


def as_pictures(samples: Samples, size: int, seed: int) -> Samples:
    """Make screen captures of samples, read back as pictures are: the skull fills :data:`PICTURE_FILL`.

    Slab by slab, (n, size, size), each alone and whole: ``hu`` comes back as (n, 1, size, size). Those that show too
    little brain for anyone to capture them count as unknown.
    """
    pictures = _framed(samples, size, torch.Generator().manual_seed(seed))
    shown = np.array([bool(shows_brain(torch.from_numpy(hu)[None].float())) for hu in samples.hu])
    return replace(pictures, truth=np.where(shown[:, None], samples.truth, np.float32(np.nan)))


def _framed(samples: Samples, size: int, generator: torch.Generator | None) -> Samples:
    hu, labels, inside = [], [], []
    for start in range(0, len(samples), _BATCH):
        part = slice(start, start + _BATCH)
        x, y, within = (torch.from_numpy(a[part]) for a in (samples.hu, samples.labels, samples.inside))
        if x.ndim == 3:
            x, within = x[:, None], within[:, None]
        picture = torch.full((len(x),), generator is not None)
        theta = Frames.upright(x[:, x.shape[1] // 2].float(), picture, PICTURE_FILL)
        x, y, within = warp(x.float(), y, within, theta, size)
        if generator is not None:
            x = capture(x[:, 0], Draw(len(x), generator, x.device))[:, None]
            within = torch.ones_like(within)
        for parts, values in ((hu, x.half()), (labels, y), (inside, within)):
            parts.append(values.numpy())
    return replace(
        samples, hu=np.concatenate(hu), labels=np.concatenate(labels), inside=np.concatenate(inside)
    )


def predict(
    network: torch.nn.Module, samples: Samples, manifest: Manifest, done: Callable[[int], None] | None = None
) -> np.ndarray:
    """Logits, float32 (n, classes), of every slab by a plain network; ``done`` is told how many.

    ``samples``: whole heads, (n, size, size), or slabs as the network sees them, (n, neighborhood, size, size).
    """
    network.eval()
    device = next(network.parameters()).device
    out = []
    with torch.inference_mode():
        for start in range(0, len(samples), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(samples)))
            part = samples.seen(manifest, rows) if samples.hu.ndim == 3 else samples.rows(rows)
            x = torch.from_numpy(network_input(part.hu.astype(np.float32), manifest))
            out.append(network(x.to(device)).float().cpu().numpy())
            if done:
                done(start)
    return np.concatenate(out)


def aucs(logits: np.ndarray, samples: Samples, classes: tuple[str, ...]) -> dict[str, float]:
    """Area under the ROC curve a class over the slabs that count for it; NaN where one side is missing."""
    from scipy.stats import mannwhitneyu

    targets, weights = samples.targets(classes)
    result = {}
    for column, name in enumerate(classes):
        counted = weights[:, column] > 0
        positive = logits[counted & (targets[:, column] > 0), column]
        negative = logits[counted & (targets[:, column] == 0), column]
        if len(positive) and len(negative):
            u = mannwhitneyu(positive, negative).statistic
            result[f"auc_{name}"] = float(u / (len(positive) * len(negative)))
        else:
            result[f"auc_{name}"] = float("nan")
    return result


def examine(trainee: Trainee, samples: Samples, manifest: Manifest) -> dict[str, float]:
    """``auc_<class>``, and ``peak``: share of bleeding slabs whose target evidence peaks on blood.

    ``peak`` is NaN where no label map is known or the network's head lays no evidence open.
    """
    trainee.eval()
    device = next(trainee.parameters()).device
    target, size = manifest.class_index(manifest.target), samples.hu.shape[-1]
    blood = (1, len(KINDS)) if manifest.target == "any" else (KINDS.index(manifest.target) + 1,) * 2
    mask = (samples.labels >= blood[0]) & (samples.labels <= blood[1])
    cells = trainee.cells(size)
    logits, hits = [], []
    with torch.inference_mode():
        for start in range(0, len(samples), _BATCH):
            part = slice(start, start + _BATCH)
            z, evidence = trainee(torch.from_numpy(samples.hu[part]).float().to(device))
            logits.append(z.cpu().numpy())
            if evidence is None:
                continue
            peaks = evidence[:, target].flatten(1).argmax(1).cpu().numpy()
            place = np.stack(np.divmod(peaks, evidence.shape[-1]), 1) * cells.pitch + cells.first
            row, column = np.clip(np.round(place), 0, size - 1).astype(int).T
            own = mask[part]
            hits.append(own[np.arange(len(own)), row, column][own.any(axis=(1, 2))])
    result = aucs(np.concatenate(logits), samples, manifest.classes)
    hits = np.concatenate(hits) if hits else np.zeros(0)
    return {**result, "peak": float(hits.mean()) if len(hits) else float("nan")}


def some(samples: Samples, count: int, seed: int) -> np.ndarray:
    """Rows of at most ``count`` slabs that are known to bleed or to be clean, half of each if there are enough."""
    rng = np.random.default_rng(seed)
    counts = samples.inside.any(axis=(1, 2))
    sides = [rng.permutation(np.flatnonzero(counts & (samples.truth[:, 0] == value))) for value in (1, 0)]
    half = [min(len(side), max(count // 2, count - len(other))) for side, other in (sides, sides[::-1])]
    return np.sort(np.concatenate([side[:n] for side, n in zip(sides, half, strict=True)]))


class Exam:
    """Validation slabs that score a network in training, as CTs and as screen captures, at each size.

    ``count`` slabs at most, chosen by ``seed``.
    """

    def __init__(self, validation: Samples, manifest: Manifest, count: int, seed: int) -> None:
        self.manifest, self.seed = manifest, seed
        rows = some(validation, count, seed)
        self.slabs = validation.rows(rows)
        self.in_heads = validation.with_neighbors(manifest.neighborhood, rows)
        self._views: dict[int, tuple[Samples, Samples]] = {}

    def score(self, trainee: Trainee, size: int) -> dict[str, float]:
        """Ranks and peaks, as CTs and as pictures, and ``score``: the mean of the target's two areas."""
        if size not in self._views:
            ct = resized(self.in_heads, size).filled(self.manifest)
            self._views = {size: (ct, as_pictures(self.slabs, size, self.seed))}
        ct, picture = (examine(trainee, view, self.manifest) for view in self._views[size])
        key = f"auc_{self.manifest.target}"
        score = float(np.nan_to_num(np.mean([ct[key], picture[key]])))
        return {**ct, **{f"picture_{k}": v for k, v in picture.items()}, "score": score}
