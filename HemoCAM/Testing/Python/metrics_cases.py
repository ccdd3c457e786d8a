"""Masks and maps that the tests of the metrics share: hand-made ones and random ones."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

SHAPE = (24, 20)


def hand_made() -> dict[str, np.ndarray]:
    """Masks of one slice, bool: the cases at which metrics break."""
    masks = {
        name: np.zeros(SHAPE, bool)
        for name in ("empty", "pixel", "corner", "border", "two", "touching", "ring")
    }
    masks["full"] = np.ones(SHAPE, bool)
    masks["pixel"][7, 9] = True
    masks["corner"][-1, -1] = True
    masks["border"][:5, 12:] = True
    masks["two"][2:6, 3:8] = masks["two"][15:20, 10:18] = True
    masks["touching"][4:8, 4:8] = masks["touching"][8:11, 8:12] = True  # at a corner
    masks["ring"][5:15, 5:15] = True
    masks["ring"][7:13, 7:13] = False
    return masks


def pairs() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Every hand-made mask with every other, and with itself."""
    masks = hand_made()
    return [(f"{a}-{b}", masks[a], masks[b]) for a in masks for b in masks]


def stacks(count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """All hand-made pairs and ``count`` random ones as truth and test, (n, H, W)."""
    rng = np.random.default_rng(5)
    rough = gaussian_filter(rng.standard_normal((2, count, *SHAPE)), (0, 0, 1.5, 1.5)) > 0.12
    truth, test = (np.stack([pair[side] for pair in pairs()]) for side in (1, 2))
    return np.concatenate([truth, rough[0]]), np.concatenate([test, rough[1]])


def smooth_maps(count: int = 3, seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Maps like CAMs, each 0..1, float32, (count, H, W); the last one 0 throughout."""
    maps = gaussian_filter(np.random.default_rng(seed).random((count, *shape)), (0, 2.5, 2.5))
    maps -= maps.min(axis=(1, 2), keepdims=True)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    maps[-1] = 0
    return maps.astype(np.float32)


masks_2d = arrays(bool, (9, 7))
masks_3d = arrays(bool, (4, 6, 5), elements=st.booleans())
# many values of a few, so that pixels and thresholds are often equal
maps_3d = arrays(
    np.float32,
    (4, 6, 5),
    elements=st.one_of(st.sampled_from([0, 0.1, 0.25, 0.5, 1]), st.floats(0, 1, width=32)),
)
threshold_lists = st.lists(
    st.one_of(st.sampled_from([0.1, 0.25, 0.5, 1.0]), st.floats(2**-20, 1, width=32)), min_size=1, max_size=8
).map(lambda values: np.unique(np.float32(values)))
