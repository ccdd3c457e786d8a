"""The training loop: AdamW, one cycle, moving average of the weights, a checkpoint an epoch."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import HemoCAMError
from ..models.bundle import build_network
from ..models.manifest import Manifest
from ..models.preprocess import network_input
from ..progress import Progress, silent
from .augment import augment
from .samples import Samples

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Recipe:
    """How to train; every value enters the manifest.

    Parameters
    ----------
    patients, validation_patients:
        Virtual patients to train on, and to choose calibration and thresholds on.
    epochs, batch, learning_rate, weight_decay, label_smoothing, ema_decay:
        The usual.
    seed:
        Of patients, weights, order and augmentation.
    """

    patients: int = 900
    validation_patients: int = 100
    epochs: int = 6
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.02
    ema_decay: float = 0.998
    seed: int = 1


def as_input(hu: torch.Tensor, manifest: Manifest) -> torch.Tensor:
    """Turn HU on the network's grid, (n, size, size), into network input, by the pipeline's own definition."""
    import torch

    return torch.from_numpy(network_input(hu.numpy(), manifest)).contiguous(memory_format=torch.channels_last)


def train(
    samples: Samples,
    validation: Samples,
    manifest: Manifest,
    recipe: Recipe,
    work: Path,
    progress: Progress = silent,
) -> torch.nn.Module:
    """Train a network and return it with averaged weights, in evaluation mode.

    A run that was killed takes up at its last whole epoch: ``work`` holds ``checkpoint.pt`` (its own, written
    whole or not at all) and ``log.csv`` with a row an epoch.

    Raises
    ------
    HemoCAMError
        If the loss is no longer finite.
    """
    import torch
    from timm.utils import ModelEmaV3

    torch.manual_seed(recipe.seed)
    network = build_network(manifest, drop_rate=0.2, drop_path_rate=0.1).to(memory_format=torch.channels_last)
    average = ModelEmaV3(network, decay=recipe.ema_decay, use_warmup=True)
    decay = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
    )
    steps = len(samples) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps * recipe.epochs, pct_start=0.25
    )
    targets, weights = (torch.from_numpy(a) for a in samples.targets(manifest.classes))
    # kinds are rare: weigh their positives up, so that each class's two sides pull alike, within reason
    share = (targets * weights).sum(0) / weights.sum(0)
    positive_weight = ((1 - share) / share.clamp_min(1e-3)).clamp(1, 6)
    hu = torch.from_numpy(samples.hu)

    first = 0
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["epoch"]
    for epoch in range(first, recipe.epochs):
        generator = torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
        torch.manual_seed(recipe.seed * 1000 + epoch)  # dropout, too, goes on alike after a kill
        order = torch.randperm(len(samples), generator=generator)
        network.train()
        total = 0.0
        for step in range(steps):
            progress(f"Epoch {epoch + 1} of {recipe.epochs}", step, steps)
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            batch = as_input(augment(hu[rows].float(), generator), manifest)
            wanted = targets[rows] * (1 - 2 * recipe.label_smoothing) + recipe.label_smoothing
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = network(batch)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits.float(), wanted, weight=weights[rows], pos_weight=positive_weight
            )
            if not torch.isfinite(loss):
                raise HemoCAMError(f"The loss is not finite in epoch {epoch + 1}; lower the learning rate.")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
            schedule.step()
            average.update(network, step=epoch * steps + step)
            total += float(loss.detach())
        score = {"epoch": epoch + 1, "loss": total / steps, **aucs(average.module, validation, manifest)}
        _log(work / "log.csv", score)
        part = checkpoint.with_suffix(".part")
        torch.save(
            {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "epoch": epoch + 1,
            },
            part,
        )
        os.replace(part, checkpoint)  # noqa: PTH105
    return average.module.eval()


def predict(network: torch.nn.Module, samples: Samples, manifest: Manifest, batch: int = 32) -> np.ndarray:
    """Logits, float32 (n, classes), of every slab, without augmentation."""
    import torch

    network.eval()
    out = []
    with torch.inference_mode():
        for hu in torch.from_numpy(samples.hu).split(batch):
            out.append(network(as_input(hu.float(), manifest)).float().numpy())
    return np.concatenate(out)


def aucs(network: torch.nn.Module, samples: Samples, manifest: Manifest) -> dict[str, float]:
    """Area under the ROC curve a class over the slabs that count for it; NaN where one side is missing."""
    from scipy.stats import mannwhitneyu

    logits = predict(network, samples, manifest)
    targets, weights = samples.targets(manifest.classes)
    result = {}
    for column, name in enumerate(manifest.classes):
        counted = weights[:, column] > 0
        positive = logits[counted & (targets[:, column] > 0), column]
        negative = logits[counted & (targets[:, column] == 0), column]
        if len(positive) and len(negative):
            u = mannwhitneyu(positive, negative).statistic
            result[f"auc_{name}"] = float(u / (len(positive) * len(negative)))
        else:
            result[f"auc_{name}"] = float("nan")
    return result


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
