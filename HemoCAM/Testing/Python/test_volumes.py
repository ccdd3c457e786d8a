"""Canonical order, slabs and the network's grid: nothing moves."""

import numpy as np
import pytest
from conftest import ball_volume, random_affine
from HemoCAMLib.volumes.axial import AxialOrder, slice_gap, slice_positions, to_axial
from HemoCAMLib.volumes.headgrid import HeadGrid
from HemoCAMLib.volumes.slabs import Slabs
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_canonical_order_keeps_every_voxel_in_place_and_is_undone(seed):
    rng = np.random.default_rng(seed)
    matrix = random_affine(rng, rng.uniform(0.4, 6, 3))
    shape = tuple(rng.integers(2, 6, 3))
    volume = Volume(np.arange(np.prod(shape)).reshape(shape), matrix)
    axial, order = to_axial(volume)
    assert np.array_equal(order.restore(axial.array), volume.array)
    for value in rng.integers(0, volume.array.size, 3):
        here, there = (np.argwhere(v.array == value)[0][::-1] for v in (volume, axial))
        assert np.allclose(volume.ras(here), axial.ras(there), atol=1e-9)
    columns = axial.ijk_to_ras[:3, :3] / axial.spacing
    assert columns[0, 0] < -0.7 and columns[1, 1] < -0.7 and columns[2, 2] > 0.7  # left, posterior, superior
    assert order.original_slice(1, shape) == (shape[order.axes[0]] - 2 if order.flips[0] else 1)


def test_canonical_order_is_a_view():
    volume = Volume(np.zeros((4, 5, 6), np.int16), np.diag([1.0, 2, 3, 1]))
    assert np.shares_memory(to_axial(volume)[0].array, volume.array)


def test_slice_positions_of_a_tilted_gantry_count_along_the_normal():
    matrix = np.diag([-0.5, -0.5, 5.0, 1.0])
    matrix[1, 2] = 5 * np.tan(np.radians(15))
    axial, _ = to_axial(Volume(np.zeros((3, 4, 4)), matrix))
    assert slice_gap(axial) == pytest.approx(5.0)
    assert np.allclose(slice_positions(axial), [0, 5, 10])
    assert axial.spacing[2] == pytest.approx(5 / np.cos(np.radians(15)))


def test_acquired_follows_the_slices():
    acquired = np.array([True, False, True])
    flipped = np.diag([1.0, 1, -3, 1])
    axial, _ = to_axial(Volume(np.zeros((3, 2, 2)), flipped, acquired=np.array([False, True, True])))
    assert axial.acquired.tolist() == [True, True, False]
    sagittal = np.array([[0, 0, 3.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    assert to_axial(Volume(np.zeros((3, 2, 2)), sagittal, acquired=acquired))[0].acquired is None


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)])
def test_a_volume_refuses_an_affine_that_places_nothing(bad):
    with pytest.raises(ValueError, match=r"singular|affine"):
        Volume(np.zeros((2, 2, 2)), bad)


def axial_volume(slices: int, gap: float, acquired=None) -> Volume:
    """Slices whose value is their own number."""
    array = np.broadcast_to(np.arange(slices, dtype=np.float32)[:, None, None], (slices, 2, 2))
    return Volume(array.copy(), np.diag([-1.0, -1, gap, 1]), acquired=acquired)


@given(st.integers(1, 300), st.floats(0.3, 12))
def test_slabs_partition_the_slices_evenly(slices, gap):
    slabs = Slabs.of(axial_volume(slices, gap), 5.0)
    sizes = np.diff(slabs.edges)
    assert sizes.sum() == slices and sizes.min() >= 1 and sizes.max() - sizes.min() <= 1
    if gap >= 5:
        assert len(slabs) == slices  # thick slices pass through
    if slices * gap >= 10 and gap < 2.5:
        assert 3.3 < sizes.mean() * gap < 7.5
    painted = slabs.paint(np.arange(len(slabs)))
    assert len(painted) == slices and (np.diff(painted) >= 0).all()


def test_a_slab_is_the_mean_of_its_acquired_slices():
    acquired = np.array([True, True, False, True, True, True])
    slabs = Slabs.of(axial_volume(6, 1.7, acquired), 5.0)
    assert slabs.edges.tolist() == [0, 3, 6]
    assert slabs.average(axial_volume(6, 1.7, acquired))[:, 0, 0].tolist() == [0.5, 4.0]
    assert slabs.average(axial_volume(6, 1.7))[:, 0, 0].tolist() == [1.0, 4.0]


def test_the_grid_is_centred_on_the_head_wherever_it_lies():
    volume = ball_volume((5, 120, 120), np.diag([-2.0, -2, 5, 1]), 60)
    moved = Volume(np.roll(volume.array, (14, -9), axis=(1, 2)), volume.ijk_to_ras)
    grid = HeadGrid.of(moved, moved.array.astype(np.float32), 128, 240)
    assert grid.centre_mm == pytest.approx(((59.5 + 14) * 2, (59.5 - 9) * 2), abs=2.1)


@given(seeds)
def test_sampling_and_painting_keep_the_centre_of_a_spot(seed):
    """No half-pixel shift on the way in or out, whatever the two grids' pixel sizes."""
    rng = np.random.default_rng(seed)
    shape, spacing = rng.integers(200, 300, 2), rng.uniform(0.7, 2.0, 2)
    extent = shape * spacing
    grid = HeadGrid(
        int(rng.integers(64, 300)), 200.0, tuple(extent / 2), tuple(map(int, shape)), tuple(spacing)
    )
    spot = extent / 2 + rng.uniform(-25, 25, 2)
    rows, columns = (np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    image = np.exp(-((rows[:, None] - spot[0]) ** 2 + (columns[None] - spot[1]) ** 2) / (2 * 9.0**2))

    inner = grid.sample_values(image[None])[0]
    axis_mm = [grid.centres_mm(a) for a in (0, 1)]
    assert centroid(inner, *axis_mm) == pytest.approx(spot, abs=0.05)
    outer = grid.paint(inner[None])[0]
    assert centroid(outer, rows, columns) == pytest.approx(spot, abs=0.05)


def centroid(image, rows, columns):
    """Centre of mass in mm."""
    return (image.sum(1) @ rows / image.sum(), image.sum(0) @ columns / image.sum())


def test_what_lies_outside_the_ct_is_air_and_outside_the_grid_is_zero():
    grid = HeadGrid(50, 200.0, (20.0, 20.0), (41, 41), (1.0, 1.0))
    sampled = grid.sample(np.full((1, 41, 41), 40.0))[0]
    assert sampled[25, 25] == pytest.approx(40, abs=0.01) and sampled[0, 0] == pytest.approx(-1024)
    wide = HeadGrid(10, 20.0, (50.0, 50.0), (101, 101), (1.0, 1.0))
    painted = wide.paint(np.ones((1, 10, 10)))[0]
    assert painted[50, 50] == pytest.approx(1) and painted[0, 0] == 0 and painted[50, 61] == 0
    assert painted[50, 59] == pytest.approx(1)


def test_the_raw_map_has_a_place_of_its_own():
    """A cell of the coarse map lies where its paint is brightest."""
    rng = np.random.default_rng(5)
    matrix = random_affine(rng, np.array([2.0, 2.0, 2.0]))
    axial, _ = to_axial(ball_volume((100, 101, 99), matrix))
    slabs = Slabs.of(axial, 5.0)
    grid = HeadGrid.of(axial, slabs.average(axial), 128, 160)
    maps = np.zeros((len(slabs), 8, 8), np.float32)
    maps[20, 5, 3] = 1
    raw = grid.cells_volume(maps, axial, slabs.edges, "raw")
    painted = np.zeros(axial.shape, np.float32)
    for slab, (start, stop) in enumerate(zip(slabs.edges[:-1], slabs.edges[1:], strict=True)):
        painted[start:stop] = grid.paint(maps[slab : slab + 1])[0]
    index = np.argwhere(painted > 0)[:, ::-1]
    weight = painted[painted > 0]
    centre = axial.ras((index * weight[:, None]).sum(0) / weight.sum())
    cell = raw.ijk(centre)
    assert cell[:2] == pytest.approx([3, 5], abs=0.02)
    assert cell[2] == pytest.approx(20, abs=0.26)  # slabs of 2 and 3 slices: up to half a slice off


def test_axial_order_of_identity_matrix_flips_left_and_posterior():
    assert AxialOrder.of(np.eye(4)) == AxialOrder((0, 1, 2), (False, True, True))
