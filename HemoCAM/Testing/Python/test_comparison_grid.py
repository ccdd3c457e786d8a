"""Labels onto a CT's grid: against brute force, exact where nothing is to be resampled, errors."""

import math

import numpy as np
import pytest
from HemoCAMLib.comparison.grid import extents_overlap, on_grid_of
from HemoCAMLib.comparison.table import compare
from HemoCAMLib.errors import InputError
from HemoCAMLib.volumes.volume import Volume


def affine(spacing=(1, 1, 1), origin=(0, 0, 0), rotation=None, tilt=0.0):
    matrix = np.eye(4)
    columns = np.diag(spacing).astype(float)
    columns[1, 2] = spacing[2] * math.tan(math.radians(tilt))
    matrix[:3, :3] = (np.eye(3) if rotation is None else rotation) @ columns
    matrix[:3, 3] = origin
    return matrix


def rotations(rng):
    """A random rotation, one in two with a reflection (left-handed order of the axes)."""
    return np.linalg.qr(rng.standard_normal((3, 3)))[0] * rng.choice([-1, 1], 3)


def brute_force(reference, ct):
    """Ask for each CT voxel alone which reference voxel holds its centre."""
    result = np.zeros(ct.shape, dtype=reference.array.dtype)
    for k, j, i in np.ndindex(*ct.shape):
        found = np.floor(reference.ijk(ct.ras((i, j, k))) + 0.5 + 1e-6).astype(int)
        if (found >= 0).all() and (found < reference.shape[::-1]).all():
            result[k, j, i] = reference.array[tuple(found[::-1])]
    return result


@pytest.mark.parametrize("seed", range(12))
def test_every_voxel_takes_the_label_whose_voxel_holds_it(seed):
    """Oblique, sheared, left-handed, finer and coarser grids, each CT voxel checked alone."""
    rng = np.random.default_rng(seed)
    ct_shape, label_shape = rng.integers(4, 9, (2, 3))
    middle = rng.uniform(-100, 100, 3)

    def centred(shape):
        matrix = affine(rng.uniform(0.5, 4, 3), rotation=rotations(rng), tilt=rng.uniform(-30, 30))
        matrix[:3, 3] = middle + rng.uniform(-2, 2, 3) - matrix[:3, :3] @ ((shape[::-1] - 1) / 2)
        return matrix

    ct = Volume(np.zeros(ct_shape, dtype=np.int16), centred(ct_shape))
    labels = Volume(rng.integers(0, 6, label_shape, dtype=np.uint8), centred(label_shape), "Labels")
    moved = on_grid_of(labels, ct)
    assert moved.same_grid(ct) and moved.name == "Labels" and moved.array.dtype == np.uint8
    expected = brute_force(labels, ct)
    assert expected.any()
    assert (moved.array == expected).all()
    assert "resampled" in moved.findings[0]


def test_one_grid_needs_no_resampling():
    labels = Volume(
        np.arange(24, dtype=np.int64).reshape(2, 3, 4), affine((0.5, 0.5, 5)), "Labels", findings=("a",)
    )
    ct = Volume(np.zeros((2, 3, 4)), affine((0.5, 0.5, 5), (1e-4, 0, 0)), findings=("b",))
    same = on_grid_of(labels, ct)
    assert same.array is labels.array and same.findings == ("a",)
    assert (same.ijk_to_ras == ct.ijk_to_ras).all()


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int16, np.int32, np.int64, np.float16, np.float32, ">i2"]
)
def test_flipped_and_turned_storage_is_undone_exactly(dtype):
    rng = np.random.default_rng(5)
    array = rng.integers(0, 3, (4, 5, 6)).astype(dtype)
    ct = Volume(np.zeros((4, 5, 6)), affine((0.5, 0.7, 3), (4, 5, 6), rotations(rng), tilt=15))
    other = ct.ijk_to_ras.copy()
    other[:3, 3] += other[:3, 2] * 3  # slices backwards
    other[:3, 2] *= -1
    other = other[:, [1, 0, 2, 3]]  # rows for columns
    moved = on_grid_of(Volume(array[::-1].transpose(0, 2, 1), other), ct)
    assert moved.array.dtype == array.dtype
    assert (moved.array == array).all()


def test_halfway_voxels_all_go_the_same_way():
    """A CT voxel on the border between two labels takes the higher index, whatever the rounding noise."""
    rng = np.random.default_rng(6)
    turn = rotations(rng)
    ct = Volume(np.zeros((2, 8, 8)), affine((0.45, 0.45, 5), (31, -17, 8), turn))
    labels = np.zeros((2, 4, 4), dtype=np.uint8)
    labels[:, :, 2:] = 1  # the border lies at index 1.5, that is CT index 3
    moved = on_grid_of(Volume(labels, affine((0.9, 0.9, 5), (31, -17, 8), turn)), ct)
    assert (moved.array[:, :7] == [0, 0, 0, 1, 1, 1, 1, 0]).all()


def test_labels_outside_the_ct_are_reported_in_ml():
    ct = Volume(np.zeros((10, 10, 10)), affine((2, 2, 2)))
    labels = np.ones((10, 10, 10), dtype=np.uint8)
    moved = on_grid_of(Volume(labels, affine((2, 2, 2), (6, 0, 0)), "Labels"), ct)  # 3 of 10 columns outside
    assert moved.findings[1] == "2.40 of 8.00 ml of Labels lie outside the CT and do not count."
    assert np.count_nonzero(moved.array) == 700
    inside = np.zeros_like(labels)
    inside[:, :, 2] = 1
    assert len(on_grid_of(Volume(inside, affine((2, 2, 2), (6, 0, 0))), ct).findings) == 1


def test_comparison_of_different_grids_equals_that_on_the_common_one():
    rng = np.random.default_rng(7)
    ct = affine((0.6, 0.6, 2.5), (5, 6, 7), rotations(rng), tilt=12)
    fine = ct.copy()
    fine[:3, :3] /= 3  # 3 x 3 x 3 label voxels in each CT voxel, their middle ones at its centre
    fine[:3, 3] -= fine[:3, :3].sum(axis=1)
    reference, test = rng.random((2, 5, 6, 7)) < 0.4
    on_fine = np.kron(reference, np.ones((3, 3, 3), dtype=np.uint8))
    expected = compare(Volume(reference, ct), Volume(test, ct))
    found = compare(Volume(on_fine, fine), Volume(test, ct))
    assert found.counts == expected.counts and found.reference_ml == expected.reference_ml
    assert found.boundary == expected.boundary and found.volume == expected.volume
    assert found.findings == ("CT was resampled to the CT's grid, nearest neighbour.",)


def test_a_reference_of_another_place_is_an_error():
    ct = Volume(np.zeros((4, 4, 4)), affine((2, 2, 2)))
    labels = Volume(np.ones((4, 4, 4), dtype=np.uint8), affine((2, 2, 2), (100, 0, 0)), "Labels")
    with pytest.raises(InputError, match=r"^Labels does not overlap the CT: .*\.$"):
        compare(labels, ct)


@pytest.mark.parametrize(
    ("origin", "overlap"),
    [((7.9, 0, 0), True), ((8, 0, 0), False), ((0, -7.9, 0), True), ((0, -8, 0), False), ((7, 7, 7), True)],
)
def test_extents_reach_to_the_voxels_outer_faces(origin, overlap):
    one = Volume(np.zeros((4, 4, 4)), affine((2, 2, 2)))
    other = Volume(np.zeros((4, 4, 4)), affine((2, 2, 2), origin))
    assert extents_overlap(one, other) is extents_overlap(other, one) is overlap


def test_crossed_bars_are_told_apart_by_their_edges():
    """Two long bars pass each other: only the cross product of their long edges separates them."""
    half = math.sqrt(0.5)
    along_x = Volume(np.zeros((1, 1, 41)), affine((1, 1, 1), (-20, 0, 0), _turn_about(0, half)))
    along_y = Volume(np.zeros((1, 41, 1)), affine((1, 1, 1), (0, -20, 0), _turn_about(1, half)))
    for gap, overlap in ((1.3, True), (1.5, False)):  # each is sqrt(2) / 2 high from its middle to its edge
        lifted = along_y.ijk_to_ras.copy()
        lifted[2, 3] += gap
        assert extents_overlap(along_x, Volume(along_y.array, lifted)) is overlap


def _turn_about(axis, cosine):
    first, second = [a for a in range(3) if a != axis]
    rotation = np.eye(3)
    rotation[[first, second], [first, second]] = cosine
    rotation[first, second], rotation[second, first] = -cosine, cosine
    return rotation


def test_extents_agree_with_sampling():
    """Against points spread densely through both: what they find in common must be found, and never more."""
    rng = np.random.default_rng(8)
    seen = {True: 0, False: 0}
    for _ in range(60):
        shape = rng.integers(2, 6, 3)
        pair = [
            Volume(
                np.zeros(shape),
                affine(rng.uniform(1, 4, 3), origin, rotations(rng), tilt=rng.uniform(-30, 30)),
            )
            for origin in (np.zeros(3), rng.uniform(-14, 14, 3))
        ]
        steps = [np.linspace(-0.5 + 1e-9, n - 0.5 - 1e-9, 25) for n in shape[::-1]]
        points = pair[0].ras(np.stack(np.meshgrid(*steps), axis=-1))
        there = pair[1].ijk(points)
        common = ((there > -0.5) & (there < shape[::-1] - 0.5)).all(axis=-1).any()
        found = extents_overlap(*pair)
        assert found or not common
        # Where sampling finds nothing, shrinking both by a sample's width must leave nothing either.
        if found and not common:
            assert not extents_overlap(*(_shrunk(v, 0.9) for v in pair))
        seen[found] += 1
    assert min(seen.values()) > 5


def _shrunk(volume, factor):
    matrix = volume.ijk_to_ras.copy()
    middle = volume.ras((np.array(volume.shape[::-1]) - 1) / 2)
    matrix[:3, :3] *= factor
    matrix[:3, 3] = middle - matrix[:3, :3] @ ((np.array(volume.shape[::-1]) - 1) / 2)
    return Volume(volume.array, matrix)
