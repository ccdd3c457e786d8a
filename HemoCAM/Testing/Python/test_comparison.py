"""Comparison: numbers worked out on paper, independent oracles, properties, empty masks, the table."""

import csv
import math
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from HemoCAMLib.comparison import masks, overlap, surface
from HemoCAMLib.comparison.table import compare, write_csv
from HemoCAMLib.errors import Cancelled, InputError, OutputError
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, directed_hausdorff

RIGID = settings(max_examples=60, deadline=None)


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


# --- overlap -----------------------------------------------------------------------------------------------


def test_counts_and_ratios_worked_out_on_paper():
    counts = overlap.Counts.of(*boxes())
    assert counts == overlap.Counts(
        true_positives=18, false_positives=82, false_negatives=42, true_negatives=290
    )
    assert (counts.reference, counts.test, counts.all) == (60, 100, 432)
    assert overlap.dice(counts) == pytest.approx(36 / 160)
    assert overlap.iou(counts) == pytest.approx(18 / 142)
    assert overlap.sensitivity(counts) == pytest.approx(0.3)
    assert overlap.precision(counts) == pytest.approx(0.18)
    assert overlap.specificity(counts) == pytest.approx(290 / 372)
    assert overlap.percent(counts.true_positives, counts) == pytest.approx(100 * 18 / 432)


def test_centre_worked_out_on_paper():
    reference, test = boxes()
    assert overlap.centre(reference, ct_affine()) == pytest.approx([12, -20 + 3.5 * 0.7, 36])
    assert overlap.centre(test, ct_affine()) == pytest.approx([13, -20 + 5 * 0.7, 40.5])
    box = masks.bounding_box(test)
    assert box == (slice(2, 6), slice(3, 8), slice(4, 9))
    assert overlap.centre(test, ct_affine(), box) == pytest.approx([13, -20 + 5 * 0.7, 40.5])


def test_ratios_agree_with_itk():
    rng = np.random.default_rng(0)
    for _ in range(10):
        reference, test = random_masks(rng)
        counts = overlap.Counts.of(reference, test)
        itk = sitk.LabelOverlapMeasuresImageFilter()
        # ITK's second image is the truth.
        itk.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (test, reference)))
        assert overlap.dice(counts) == pytest.approx(itk.GetDiceCoefficient())
        assert overlap.iou(counts) == pytest.approx(itk.GetJaccardCoefficient())
        assert overlap.sensitivity(counts) == pytest.approx(1 - itk.GetFalseNegativeError())
        assert overlap.precision(counts) == pytest.approx(1 - itk.GetFalseDiscoveryRate())
        assert overlap.specificity(counts) == pytest.approx(1 - itk.GetFalsePositiveError())


def test_centre_and_volume_agree_with_itk():
    rng = np.random.default_rng(1)
    for _ in range(5):
        reference, test = random_masks(rng)
        affine = random_affine(rng, sheared=False)
        image = sitk.GetImageFromArray(reference.astype(np.uint8))
        lps = np.diag([-1, -1, 1, 1]) @ affine
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        shapes = sitk.LabelShapeStatisticsImageFilter()
        shapes.Execute(image)
        found = compare(Volume(reference, affine), Volume(test, affine))
        assert np.array(found.reference_centre) * [-1, -1, 1] == pytest.approx(shapes.GetCentroid(1))
        assert found.reference_ml == pytest.approx(shapes.GetPhysicalSize(1) / 1000)


def test_volume_of_a_sheared_voxel_is_its_determinant():
    affine = ct_affine()
    affine[1, 2] = 0.8  # gantry tilt: slices slide, no volume is won
    reference, test = boxes()
    found = compare(Volume(reference, affine), Volume(test, affine))
    assert found.reference_ml == pytest.approx(60 * 0.5 * 0.7 * 3.0 / 1000)
    assert found.test_ml == pytest.approx(100 * 0.5 * 0.7 * 3.0 / 1000)


def test_counting_refuses_what_is_no_pair_of_masks():
    with pytest.raises(ValueError, match="bool"):
        overlap.Counts.of(np.ones((2, 2, 2), dtype=np.uint8), np.ones((2, 2, 2), dtype=np.uint8))
    with pytest.raises(ValueError, match="shape"):
        overlap.Counts.of(np.ones((2, 2, 2), dtype=bool), np.ones((2, 2, 3), dtype=bool))
    with pytest.raises(ValueError, match="shape"):
        surface.hausdorff(np.ones((2, 2, 2), dtype=bool), np.ones((2, 2, 3), dtype=bool), np.eye(4))


# --- distances ---------------------------------------------------------------------------------------------


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


# --- properties --------------------------------------------------------------------------------------------

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


# --- empty masks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference_full", "test_full", "sensitivity", "precision"),
    [(False, False, math.nan, math.nan), (True, False, 0, math.nan), (False, True, math.nan, 0)],
)
def test_every_metric_on_empty_masks(reference_full, test_full, sensitivity, precision):
    some = boxes()[0]
    reference = some & reference_full
    test = some & test_full
    found = compare(Volume(reference, ct_affine()), Volume(test, ct_affine()))
    assert found.dice == found.iou == 0
    assert found.sensitivity == pytest.approx(sensitivity, nan_ok=True)
    assert found.precision == pytest.approx(precision, nan_ok=True)
    assert found.specificity == pytest.approx(372 / 432 if test_full else 1)
    assert found.reference_ml == pytest.approx(60 * 0.5 * 0.7 * 3 / 1000 * reference_full)
    assert np.isnan(found.reference_centre).all() == (not reference_full)
    assert np.isnan(found.test_centre).all() == (not test_full)
    assert np.isnan(values(found.volume)).all() and np.isnan(values(found.boundary)).all()
    empty = [name for name, full in (("Reference", reference_full), ("HemoCAM", test_full)) if not full]
    assert [finding.split()[0] for finding in found.findings] == empty
    assert sum(v for n, v in found.rows() if n.endswith("(%)")) == pytest.approx(100)


def test_specificity_is_undefined_without_background():
    full = np.ones((2, 2, 2), dtype=bool)
    assert math.isnan(overlap.specificity(overlap.Counts.of(full, full)))


# --- labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float32])
def test_every_label_but_zero_is_foreground(dtype):
    labels = np.array([[[0, 1], [3, 0]]]).astype(dtype)
    assert (masks.foreground(Volume(labels, np.eye(4))) == [[[False, True], [True, False]]]).all()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(-1024.0, "negative"), (math.nan, "undefined"), (0.5, "fractions"), (-1, "negative")],
)
def test_an_image_is_no_label_map(value, sentence):
    array = np.zeros((2, 3, 4), dtype=np.int16 if isinstance(value, int) else np.float32)
    array[1, 1, 1] = value
    with pytest.raises(InputError, match=f"Bleed is not a label map.*{sentence}"):
        masks.foreground(Volume(array, np.eye(4), "Bleed"))


def test_bounding_box():
    mask = np.zeros((4, 5, 6), dtype=bool)
    assert masks.bounding_box(mask) is None
    assert masks.union_box(None, None) is None
    mask[1, 2, 3] = mask[3, 2, 5] = True
    box = masks.bounding_box(mask)
    assert box == (slice(1, 4), slice(2, 3), slice(3, 6))
    assert masks.union_box(box, None) == masks.union_box(None, box) == box
    assert masks.union_box(box, (slice(0, 2), slice(4, 5), slice(4, 5))) == (
        slice(0, 4),
        slice(2, 5),
        slice(3, 6),
    )


# --- the table ---------------------------------------------------------------------------------------------


def test_rows_carry_the_names_and_the_order_of_slicerrt():
    reference, test = boxes()
    found = compare(
        Volume(reference.astype(np.uint8), ct_affine(), "Labels"), Volume(test, ct_affine(), "Mask"), "Expert"
    )
    rows = found.rows()
    assert [name for name, _ in rows][:16] == [
        "Reference segmentation",
        "Reference segment",
        "Compare segmentation",
        "Compare segment",
        "Dice coefficient",
        "True positives (%)",
        "True negatives (%)",
        "False positives (%)",
        "False negatives (%)",
        "Reference center",
        "Compare center",
        "Reference volume (cc)",
        "Compare volume (cc)",
        "Maximum (mm)",
        "Average (mm)",
        "95% (mm)",
    ]
    assert all(name.startswith("HemoCAM: ") for name, _ in rows[16:]) and len(rows) > 16
    assert len(dict(rows)) == len(rows)
    cell = dict(rows)
    assert cell["Reference segmentation"] == "Labels" and cell["Compare segmentation"] == "Mask"
    assert cell["Reference segment"] == "Expert" and cell["Compare segment"] == "HemoCAM"
    assert cell["True positives (%)"] == pytest.approx(100 * 18 / 432)
    assert cell["True negatives (%)"] == pytest.approx(100 * 290 / 432)
    assert cell["False positives (%)"] == pytest.approx(100 * 82 / 432)
    assert cell["False negatives (%)"] == pytest.approx(100 * 42 / 432)
    assert cell["Reference center"] == "(12, -17.55, 36)" and cell["Compare center"] == "(13, -16.5, 40.5)"
    assert cell["Reference volume (cc)"] == pytest.approx(0.063)
    assert cell["Maximum (mm)"] == found.boundary.maximum != 0
    assert cell["95% (mm)"] == found.boundary.percentile_95
    assert cell["Average (mm)"] == found.boundary.average != found.volume.average
    assert cell["HemoCAM: Hausdorff average, all voxels (mm)"] == found.volume.average


def test_csv_gives_the_table_back(tmp_path):
    reference, test = boxes()
    found = compare(
        Volume(reference, ct_affine()), Volume(test, ct_affine()), reference_name='Dr. "Ä", expert'
    )
    write_csv(found, tmp_path / "comparison.csv")
    with (tmp_path / "comparison.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["Metric name", "Metric value"]
    assert [name for name, _ in rows] == [name for name, _ in found.rows()]
    for (_, text), (_, value) in zip(rows, found.rows(), strict=True):
        assert text == value if isinstance(value, str) else float(text) == pytest.approx(value, rel=1e-8)


def test_csv_of_empty_masks_says_nan(tmp_path):
    empty = Volume(np.zeros((3, 3, 3), dtype=bool), np.eye(4))
    write_csv(compare(empty, empty), tmp_path / "comparison.csv")
    text = (tmp_path / "comparison.csv").read_text(encoding="utf-8")
    assert "Maximum (mm),nan" in text and 'Reference center,"(nan, nan, nan)"' in text


def test_csv_that_cannot_be_written_is_one_sentence(tmp_path):
    some = Volume(boxes()[0], ct_affine())
    with pytest.raises(OutputError, match=r"cannot be written to comparison\.csv.*choose another folder\.$"):
        write_csv(compare(some, some), tmp_path / "absent" / "comparison.csv")


@pytest.mark.parametrize("phase", ["Comparing", "Measuring distances"])
def test_progress_is_told_and_can_cancel(phase):
    reference, test = (Volume(mask, ct_affine()) for mask in boxes())
    calls = []
    compare(reference, test, progress=lambda *call: calls.append(call))
    assert all(0 <= done <= total for _, done, total in calls)
    assert calls[-1] == ("Comparing", 4, 4)

    def stop(name, done, total):
        if name == phase:
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(reference, test, progress=stop)


def test_comparison_stands_on_the_lowest_floor():
    code = (
        "import sys, HemoCAMLib.comparison.table\n"
        "print([m for m in ('vtk', 'slicer', 'qt', 'torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
