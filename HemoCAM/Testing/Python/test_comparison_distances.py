"""Distances between masks: on paper, against brute force, SciPy and ITK; and what always holds."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from comparison_cases import brute_force, ct_affine, random_affine, random_masks, values
from HemoCAMLib.comparison import surface
from HemoCAMLib.comparison.table import compare
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, directed_hausdorff

RIGID = settings(max_examples=60, deadline=None)


def test_two_voxels_lie_as_far_apart_as_pythagoras_says():
    reference, test = np.zeros((2, 9, 9, 9), dtype=bool)
    reference[1, 2, 3] = True
    test[1, 6, 6] = True  # 3 voxels along I, 4 along J
    for distances in surface.hausdorff(reference, test, ct_affine((2.0, 2.0, 7.0))):
        assert values(distances) == pytest.approx((10, 10, 10))


def test_row_and_point_worked_out_on_paper():
    reference, test = np.zeros((2, 3, 3, 22), dtype=bool)
    reference[1, 1, 1:21] = True  # 20 voxels, 0 to 19 steps from the point
    test[1, 1, 1] = True
    for distances in surface.hausdorff(reference, test, ct_affine((0.5, 1, 1))):
        # forward: 0, 0.5, ... 9.5, mean 4.75, the 19th smallest of 20 is 9; backward: 0.
        assert values(distances) == pytest.approx((9.5, 4.75 / 2, 9.0 / 2))


def test_nested_cubes_worked_out_on_paper():
    outer, inner = np.zeros((2, 7, 7, 7), dtype=bool)
    outer[1:6, 1:6, 1:6] = True
    inner[3, 3, 3] = True
    volume, shell = surface.hausdorff(outer, inner, np.eye(4))
    # By squared distance from the centre of a 5 cube: how many of its 125 voxels, how many of its 98 on the
    # surface.
    everywhere = {0: 1, 1: 6, 2: 12, 3: 8, 4: 6, 5: 24, 6: 24, 8: 12, 9: 24, 12: 8}
    outermost = {n: count for n, count in everywhere.items() if n >= 4}
    assert (sum(everywhere.values()), sum(outermost.values())) == (125, 98)
    mean = sum(count * math.sqrt(n) for n, count in everywhere.items()) / 125
    mean_outermost = sum(count * math.sqrt(n) for n, count in outermost.items()) / 98
    # Rank 118 of 125 and rank 93 of 98: both among the 8 corners or just below them (117 and 90 are nearer).
    assert values(volume) == pytest.approx((math.sqrt(12), mean / 2, math.sqrt(12) / 2))
    # The way back, from the centre to the surface, is 2 mm, though the centre lies inside the outer cube.
    assert values(shell) == pytest.approx((math.sqrt(12), (mean_outermost + 2) / 2, (math.sqrt(12) + 2) / 2))


def test_boundary_is_where_a_face_neighbour_is_outside():
    cube = np.zeros((7, 7, 7), dtype=bool)
    cube[1:6, 1:6, 1:6] = True
    assert np.count_nonzero(surface.boundary(cube)) == 98
    assert np.count_nonzero(surface.boundary(np.ones((3, 3, 3), dtype=bool))) == 26  # the grid's edge counts
    assert np.count_nonzero(surface.boundary(np.ones((1, 4, 5), dtype=bool))) == 20  # also of a single slice
    notch = cube.copy()
    notch[1, 1, 1] = False
    assert not surface.boundary(notch)[2, 2, 2]  # a missing corner is no face


@pytest.mark.parametrize(
    ("count", "rank"), [(1, 1), (2, 1), (3, 2), (19, 18), (20, 19), (21, 19), (39, 37), (40, 38), (100, 95)]
)
def test_rank_95_is_rounded_down(count, rank):
    shuffled = np.random.default_rng(count).permutation(count) + 1.0
    assert surface.rank_95(shuffled) == rank


@pytest.mark.parametrize("sheared", [0, 0.3, 3])
def test_distances_agree_with_brute_force(sheared):
    rng = np.random.default_rng(2)
    for _ in range(25):
        reference, test = random_masks(rng, tuple(rng.integers(1, 9, 3)))
        affine = random_affine(rng, sheared)
        volume, shell = surface.hausdorff(reference, test, affine)
        assert values(volume) == pytest.approx(
            brute_force(reference, test, affine, shell=False), rel=1e-5, abs=1e-9
        )
        assert values(shell) == pytest.approx(
            brute_force(reference, test, affine, shell=True), rel=1e-5, abs=1e-9
        )


def test_maximum_agrees_with_scipy_and_itk():
    rng = np.random.default_rng(3)
    for _ in range(10):
        reference, test = random_masks(rng)
        spacing = rng.uniform(0.4, 5, 3)
        volume, _ = surface.hausdorff(reference, test, np.diag([*spacing, 1]))
        points = [np.argwhere(mask)[:, ::-1] * spacing for mask in (reference, test)]
        both_ways = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
        assert volume.maximum == pytest.approx(both_ways, rel=1e-5)
        itk = sitk.HausdorffDistanceImageFilter()
        images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (reference, test)]
        for image in images:
            image.SetSpacing(spacing.tolist())
        itk.Execute(*images)
        assert volume.maximum == pytest.approx(itk.GetHausdorffDistance(), rel=1e-5)


def test_far_small_masks_take_the_tree_and_near_large_ones_the_map(monkeypatch):
    """Both ways to the distances are one function to the caller: they must agree on the same masks."""
    rng = np.random.default_rng(4)
    reference, test = random_masks(rng, (12, 13, 14), 0.1)
    affine = random_affine(rng, sheared=False)
    results = []
    for voxels_per_point in (0, 10**9):
        monkeypatch.setattr(surface, "_MAP_VOXELS_PER_POINT", voxels_per_point)
        results.append([values(d) for d in surface.hausdorff(reference, test, affine)])
    assert results[0] != results[1]  # float64 against float32: two ways were taken indeed
    assert np.array(results[0]) == pytest.approx(np.array(results[1]), rel=1e-5)


def test_gantry_tilt_gives_true_millimetres():
    affine = ct_affine((0.5, 0.5, 5.0), (0, 0, 0))
    affine[1, 2] = 5 * math.tan(math.radians(20))
    reference, test = np.zeros((2, 5, 9, 9), dtype=bool)
    reference[0, 4, 4] = test[4, 4, 4] = True
    volume, shell = surface.hausdorff(reference, test, affine)
    assert volume.maximum == shell.average == pytest.approx(20 / math.cos(math.radians(20)))


def test_when_the_boundary_holds_the_nearest_voxel():
    assert surface._shell_is_nearest(np.diag([0.4, 0.4, 5.0]))
    for tilt, safe in ((29, True), (31, False)):
        columns = np.diag([0.4, 0.4, 5.0])
        columns[1, 2] = 5 * math.tan(math.radians(tilt))
        assert surface._shell_is_nearest(columns) is safe


def test_nearest_voxel_inside_an_extremely_sheared_mask():
    """Slices slide by ten columns each: the voxel right above lies in another column, beyond the boundary."""
    affine = np.eye(4)
    affine[:3, :3] = [[0.4, 0, 4.0], [0, 0.4, 0], [0, 0, 0.6]]
    block, point = np.zeros((2, 5, 5, 20), dtype=bool)
    block[1:4, 1:4, 14:17] = True
    point[3, 2, 5] = True  # ten columns back, one slice up: 0.6 mm above the middle of the block
    volume, shell = surface.hausdorff(block, point, affine)
    exact = brute_force(block, point, affine, shell=False)
    assert values(volume) == pytest.approx(exact)
    assert values(shell) == pytest.approx(brute_force(block, point, affine, shell=True))
    back = (
        volume.average * 2
        - cdist(*(np.argwhere(m)[:, ::-1] @ affine[:3, :3].T for m in (block, point))).mean()
    )
    assert back == pytest.approx(0.6)


def test_masks_that_are_all_boundary_and_fill_their_box():
    for shape in ((1, 1, 1), (2, 2, 2), (1, 5, 6)):
        full = np.ones(shape, dtype=bool)
        assert [values(d) for d in surface.hausdorff(full, full, ct_affine())] == [(0, 0, 0), (0, 0, 0)]


def test_a_hole_counts_for_the_boundary():
    full = np.ones((9, 9, 9), dtype=bool)
    hollow = full.copy()
    hollow[4, 4, 4] = False
    found = compare(Volume(full, np.eye(4)), Volume(hollow, np.eye(4)))
    assert found.volume.maximum == 1  # from the hole to its wall
    assert found.boundary.maximum == 3  # from the hole's wall to the outside of the full cube
    cell = dict(found.rows())
    assert cell["Maximum (mm)"] == 3 and cell["HemoCAM: Hausdorff maximum, all voxels (mm)"] == 1


seeds = st.integers(0, 2**32 - 1)


@RIGID
@given(seeds, st.booleans())
def test_symmetry_and_range(seed, sheared):
    rng = np.random.default_rng(seed)
    reference, test = random_masks(rng)
    affine = random_affine(rng, sheared)
    there, back = (
        compare(Volume(a, affine), Volume(b, affine)) for a, b in ((reference, test), (test, reference))
    )
    assert there.dice == back.dice and there.iou == back.iou
    assert there.sensitivity == back.precision and there.precision == back.sensitivity
    assert values(there.volume) == pytest.approx(values(back.volume), rel=1e-6)
    assert values(there.boundary) == pytest.approx(values(back.boundary), rel=1e-6)
    for ratio in (there.dice, there.iou, there.sensitivity, there.precision, there.specificity):
        assert 0 <= ratio <= 1
    assert there.iou == pytest.approx(there.dice / (2 - there.dice))
    assert there.iou <= there.dice <= max(there.sensitivity, there.precision)
    for distances in (there.volume, there.boundary):
        assert 0 <= distances.average <= distances.maximum * (1 + 1e-6)
        assert 0 <= distances.percentile_95 <= distances.maximum * (1 + 1e-6)
    assert sum(v for n, v in there.rows() if n.endswith("(%)")) == pytest.approx(100)


@RIGID
@given(seeds, st.booleans())
def test_identity(seed, sheared):
    rng = np.random.default_rng(seed)
    mask = Volume(random_masks(rng)[0], random_affine(rng, sheared))
    found = compare(mask, mask)
    assert found.dice == found.iou == found.sensitivity == found.precision == 1
    assert found.counts.false_positives == found.counts.false_negatives == 0
    assert values(found.volume) == values(found.boundary) == (0, 0, 0)
    assert found.reference_centre == found.test_centre


@RIGID
@given(seeds, st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.booleans())
def test_voxel_order_does_not_matter(seed, order, flips, sheared):
    """The same voxels stored along other axes or backwards give the same numbers."""
    rng = np.random.default_rng(seed)
    pair = random_masks(rng)
    affine = random_affine(rng, sheared)
    other = affine.copy()
    for axis, flip in enumerate(flips):  # numpy axis; the affine's column is 2 - axis
        if flip:
            other[:3, 3] += other[:3, 2 - axis] * (pair.shape[axis + 1] - 1)
            other[:3, 2 - axis] *= -1
    other[:3, :3] = other[:3, [2 - order[2], 2 - order[1], 2 - order[0]]]
    turned = [np.flip(m, [a for a in range(3) if flips[a]]).transpose(order) for m in pair]
    before = compare(*(Volume(m, affine) for m in pair))
    after = compare(*(Volume(m, other) for m in turned))
    assert after.counts == before.counts
    assert after.reference_centre == pytest.approx(before.reference_centre, abs=1e-6)
    assert values(after.volume) == pytest.approx(values(before.volume), rel=1e-5)
    assert values(after.boundary) == pytest.approx(values(before.boundary), rel=1e-5)


@RIGID
@given(seeds, st.tuples(*[st.integers(0, 4)] * 3), st.tuples(*[st.integers(0, 4)] * 3))
def test_translation_and_margin_do_not_matter(seed, before, after):
    rng = np.random.default_rng(seed)
    pair = random_masks(rng)
    affine = random_affine(rng, sheared=False)
    padded = [np.pad(m, list(zip(before, after, strict=True))) for m in pair]
    moved = affine.copy()
    moved[:3, 3] += [11, -7, 3]
    here = compare(*(Volume(m, affine) for m in pair))
    there = compare(*(Volume(m, moved) for m in padded))
    assert (there.dice, there.iou, there.sensitivity) == (here.dice, here.iou, here.sensitivity)
    assert there.boundary == here.boundary and there.volume == here.volume
    step = affine[:3, :3] @ before[::-1] + [11, -7, 3]
    assert np.subtract(there.test_centre, here.test_centre) == pytest.approx(step, abs=1e-6)


@RIGID
@given(seeds, st.floats(0.1, 10), st.booleans())
def test_scaling_of_the_grid_scales_distances(seed, factor, sheared):
    rng = np.random.default_rng(seed)
    pair = random_masks(rng)
    affine = random_affine(rng, sheared)
    larger = affine.copy()
    larger[:3] *= factor
    here = compare(*(Volume(m, affine) for m in pair))
    there = compare(*(Volume(m, larger) for m in pair))
    assert there.counts == here.counts
    assert there.reference_ml == pytest.approx(here.reference_ml * factor**3)
    assert values(there.volume) == pytest.approx(np.multiply(values(here.volume), factor), rel=1e-5)
    assert values(there.boundary) == pytest.approx(np.multiply(values(here.boundary), factor), rel=1e-5)
