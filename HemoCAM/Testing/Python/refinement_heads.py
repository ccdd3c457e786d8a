"""Synthetic heads for the tests of refinement: a skull, a bleed on it, calcium beside it, and coarse maps."""

import numpy as np
from HemoCAMLib.refinement.cases import RefinementCase
from HemoCAMLib.refinement.mixtures import Mixture
from HemoCAMLib.refinement.posterior import Posterior
from HemoCAMLib.refinement.prior import DISTANCE_KNOTS_MM, MAP_KNOTS, Prior
from HemoCAMLib.volumes.volume import Volume

SPACING = (1.2, 1.2, 5.0)
SHAPE = (5, 150, 130)


def head(seed=0, shape=SHAPE, spacing=SPACING, bleed=(12.0, 52.0), radius=14.0, hu=66.0, noise=3.0):
    """A head of slices alike: skull as an oval ring, brain in it, a bleed at (y, x) mm, a calcium spot beside.

    Returns HU (float32), blood (bool), calcium (bool), bone (bool).
    """
    y, x = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape[1:], spacing[1::-1], strict=True))
    y, x = y[:, None], x[None]
    r = np.hypot(x / 62, y / 76)
    plane = np.full(shape[1:], -1000.0)
    plane[r < 1.16] = 35  # scalp
    bone = (r < 1.09) & (r >= 1.0)
    plane[r < 1.0] = 31
    plane[(np.abs(x) < 8) & (np.abs(y) < 22)] = 8
    plane[bone] = 1000
    blood = (np.hypot(y - bleed[0], x - bleed[1]) < radius) & (r < 0.985)
    plane[blood] = hu
    calcium = np.hypot(y - bleed[0] - radius - 6, x - bleed[1] + radius + 2) < 2.5
    plane[calcium] = 320
    out = np.repeat(plane[None], shape[0], axis=0)
    out[0, blood] = 31  # the bleed spares the first and the last slice
    out[-1, blood] = 31
    everywhere = [np.repeat(m[None], shape[0], axis=0) for m in (blood, calcium, bone)]
    everywhere[0][[0, -1]] = False
    out += np.random.default_rng(seed).normal(0, noise, shape)
    return out.astype(np.float32), *everywhere


def coarse(blood, cell=12, shift=(0, 0)):
    """The share of blood in square cells, shifted, spread over the cells beside: 0..1, 0 in slices without blood."""
    from scipy import ndimage

    n, rows, columns = blood.shape
    pad = [(0, 0), (0, -rows % cell), (0, -columns % cell)]
    padded = np.pad(blood, pad).astype(np.float32)
    cells = padded.reshape(n, padded.shape[1] // cell, cell, padded.shape[2] // cell, cell).mean((2, 4))
    fine = np.kron(cells, np.ones((1, cell, cell), np.float32))[:, :rows, :columns]
    fine = ndimage.gaussian_filter(np.roll(fine, shift, axis=(1, 2)), (0, cell / 2, cell / 2))
    fine[~blood.any(axis=(1, 2))] = 0
    return (fine / fine.max()).astype(np.float32) if fine.any() else fine


def case(seed, **options):
    """A case to fit on, the bleed somewhere else for each seed."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    place = (rng.uniform(0.3, 0.85) * 70 * np.sin(angle), rng.uniform(0.3, 0.85) * 56 * np.cos(angle))
    settings = {"bleed": place, "radius": rng.uniform(8, 16), "hu": rng.uniform(56, 78), **options}
    hu, blood, _, _ = head(seed, **settings)
    return RefinementCase(axial(hu), coarse(blood, shift=rng.integers(-4, 5, 2).tolist()), blood)


def axial(hu, spacing=SPACING):
    """A volume in canonical axial order."""
    return Volume(hu, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))


def by_hand(share=0.8):
    """A closed form with plain numbers, fitted to nothing."""
    return Posterior(
        blood=Mixture((0.6, 0.4), (60.0, 75.0), (8.0, 6.0)),
        bone=Mixture((0.5, 0.5), (60.0, 150.0), (15.0, 30.0)),
        background=Mixture((1.0,), (31.0,), (6.0,)),
        bone_share=tuple(np.linspace(share, 0.02, len(DISTANCE_KNOTS_MM)).tolist()),
        prior=Prior(
            tuple(np.linspace(-5, 1, len(MAP_KNOTS)).tolist()),
            tuple(np.linspace(-0.5, 0.3, len(DISTANCE_KNOTS_MM)).tolist()),
        ),
    )
