"""What tests of training share: a quick recipe, a small manifest, heads, patients and a task in memory."""

import numpy as np
import torch
from conftest import tiny_manifest
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.phantoms.patient import KINDS
from HemoCAMLib.training.recipe import Recipe
from HemoCAMLib.training.samples import Samples

# what the tests of the loop share: seconds an epoch on one core
QUICK = Recipe(epochs=3, steps_per_epoch=4, batch=8, ema_decay=0.9, first=4, learning_rate=4e-3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_manifest(**changes) -> Manifest:
    content = tiny_manifest(**changes)
    content["input"]["size"] = 64
    return Manifest.of(content)


def heads(count=8, size=64):
    """Brain within a ring of bone, in air."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(y / 0.42, x / 0.33) / size
    hu = np.where(radius < 1, 900.0, -1000.0)
    hu[radius < 0.85] = 35.0
    return torch.from_numpy(np.repeat(hu[None], count, 0)).float()


def patients(count, slices=4, size=8):
    """Samples of ``count`` patients: every second slice bleeds; HU tells patient and slice."""
    n = count * slices
    area = np.zeros((n, len(KINDS)), np.float32)
    area[::2, 0] = 100
    hu = np.repeat(np.arange(n), size * size).reshape(n, size, size).astype(np.int16)
    return Samples(hu, area, np.zeros((n, size, size), np.uint8), np.arange(n) // slices)


def spots(count: int, seed: int = 0) -> Samples:
    """Discs of tissue, every second with a bright spot: a task that a network learns in seconds."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    hu = np.where((y - 32) ** 2 + (x - 32) ** 2 < 28**2, 30, -1000) + rng.normal(0, 3, (count, 64, 64))
    labels = np.zeros((count, 64, 64), np.uint8)
    for n in range(0, count, 2):
        r, c = rng.integers(18, 46, 2)
        labels[n][(y - r) ** 2 + (x - c) ** 2 < 36] = 2
    hu[labels > 0] += 45
    area = np.zeros((count, len(KINDS)), np.float32)
    area[:, 1] = labels.astype(bool).sum((1, 2)) * 14.0
    return Samples(hu.astype(np.int16), area, labels, np.arange(count) // 4)
