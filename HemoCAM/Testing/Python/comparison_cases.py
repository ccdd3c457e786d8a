"""Masks, affines and brute force that the tests of the comparison share."""

import math
from itertools import product

import numpy as np
from scipy.spatial.distance import cdist


def boxes():
    """Two boxes of 3 x 4 x 5 and 4 x 5 x 5 voxels that share 2 x 3 x 3, on a grid of 6 x 8 x 9."""
    reference = np.zeros((6, 8, 9), dtype=bool)
    test = reference.copy()
    reference[1:4, 2:6, 2:7] = True
    test[2:6, 3:8, 4:9] = True
    return reference, test


def ct_affine(spacing=(0.5, 0.7, 3.0), origin=(10.0, -20.0, 30.0)):
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = origin
    return matrix


def random_affine(rng, sheared):
    """Rotated, with spacings of 0.4 to 5 mm; slices slide by up to ``sheared`` times their distance."""
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag(rng.uniform(0.4, 5, 3))
    if sheared:
        slide = rng.uniform(-sheared, sheared, 2) * np.linalg.norm(matrix[:3, 2])
        matrix[:3, 2] += matrix[:3, :2] / np.linalg.norm(matrix[:3, :2], axis=0) @ slide
    matrix[:3, 3] = rng.uniform(-200, 200, 3)
    return matrix


def random_masks(rng, shape=(6, 7, 8), density=None):
    density = rng.uniform(0.05, 0.6) if density is None else density
    pair = rng.random((2, *shape)) < density
    pair[:, 0, 0, 0] = True  # never empty
    return pair


def brute_force(one, other, affine, shell):
    """All distances one by one: the definition, without grid, tree or distance map."""

    def points(mask):
        if shell:
            mask = np.array(
                [
                    [
                        [on_the_edge(mask, (k, j, i)) for i in range(mask.shape[2])]
                        for j in range(mask.shape[1])
                    ]
                    for k in range(mask.shape[0])
                ]
            )
        ijk = np.argwhere(mask)[:, ::-1]
        return ijk @ affine[:3, :3].T + affine[:3, 3]

    table = cdist(points(one), points(other))
    forward, backward = np.sort(table.min(axis=1)), np.sort(table.min(axis=0))
    ranks = [max(math.floor(0.95 * len(d) + 1e-9), 1) for d in (forward, backward)]
    return (
        max(forward[-1], backward[-1]),
        (forward.mean() + backward.mean()) / 2,
        (forward[ranks[0] - 1] + backward[ranks[1] - 1]) / 2,
    )


def on_the_edge(mask, index):
    if not mask[index]:
        return False
    for axis, step in product(range(3), (-1, 1)):
        neighbour = list(index)
        neighbour[axis] += step
        outside = not 0 <= neighbour[axis] < mask.shape[axis]
        if outside or not mask[tuple(neighbour)]:
            return True
    return False


def values(distances):
    return distances.maximum, distances.average, distances.percentile_95
