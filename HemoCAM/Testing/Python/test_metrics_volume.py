"""Pointing, energy, lesions and distances: against SciPy, SimpleITK, MONAI, Plastimatch and brute force."""

import math
import re
import shutil
import subprocess

import numpy as np
import pytest
import SimpleITK as sitk
from comparison_cases import random_affine, values
from HemoCAMLib.comparison.surface import boundary, hausdorff, rank_95
from HemoCAMLib.evaluation.peak import peak_inside
from HemoCAMLib.metrics.distances import Surface, shell_voxels
from HemoCAMLib.metrics.lesions import LesionAgreement, VolumeAgreement, compare_lesions
from HemoCAMLib.metrics.pointing import energy, energy_share, points_inside
from hypothesis import given
from hypothesis import strategies as st
from metrics_cases import hand_made, maps_3d, masks_3d, smooth_maps
from scipy.ndimage import distance_transform_edt, gaussian_filter


def blobs(seed, level, shape=(10, 24, 22)):
    return gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.3) > level


@given(maps_3d, masks_3d)
def test_pointing_without_tolerance_is_the_peak_of_the_measurement(maps, truth):
    expected = [bool(t.any()) and peak_inside(m, t) for m, t in zip(maps, truth, strict=True)]
    assert points_inside(maps, truth).tolist() == expected


@given(masks_3d, st.integers(0, 4), st.sampled_from([(1, 1), (0.5, 0.5), (0.7, 1.3)]), st.data())
def test_pointing_with_tolerance_is_scipys_distance(truth, tolerance, spacing, data):
    maps = np.zeros(truth.shape, np.float32)
    for k in range(len(maps)):
        maps[k, data.draw(st.integers(0, 5)), data.draw(st.integers(0, 4))] = 0.5
    hits = points_inside(maps, truth, tolerance, spacing)
    for plane, mask, hit in zip(maps, truth, hits, strict=True):
        away = distance_transform_edt(~mask, sampling=spacing)[plane > 0][0] if mask.any() else math.inf
        assert hit == (away <= tolerance + 1e-9)


def test_pointing_on_hand_made_masks():
    for name, mask in hand_made().items():
        middle = np.zeros((1, *mask.shape), np.float32)
        middle[0, 7, 9] = 1
        inside = name in ("pixel", "full")
        assert points_inside(middle, mask[None]).tolist() == [inside], name
        wide = points_inside(middle, mask[None], tolerance=100).tolist()
        assert wide == [name != "empty"], name
        assert points_inside(0 * middle, mask[None], tolerance=100).tolist() == [False], (
            "a dark map points nowhere"
        )


def test_a_tolerance_is_in_the_unit_of_the_spacing():
    maps, truth = np.zeros((2, 1, 30, 30))
    maps[0, 5, 5], truth[0, 5, 15] = 1, 1
    truth = truth.astype(bool)
    assert points_inside(maps, truth, 10).all() and not points_inside(maps, truth, 9.9).any()
    assert (
        points_inside(maps, truth, 5, (3, 0.5)).all() and not points_inside(maps, truth, 4.9, (3, 0.5)).any()
    )
    truth[0, 5, 8] = True  # three pixels away: 3 * 0.1 is 0.30000000000000004
    assert points_inside(maps, truth, 0.3, (9, 0.1)).all()


def test_shared_peaks_point_if_half_of_them_do():
    maps, truth = np.zeros((1, 4, 4), np.float32), np.zeros((1, 4, 4), bool)
    maps[0, 0, :3], truth[0, 0, 0] = 1, True
    assert not points_inside(maps, truth).any()
    assert points_inside(maps, truth, 1).all()  # two of three
    maps[0, 3, 1:] = 1
    assert not points_inside(maps, truth, 1).any()  # two of six
    maps[0, 3], truth[0, 0, 1] = 0, True
    assert points_inside(maps, truth).all()


@given(maps_3d, masks_3d)
def test_energy_is_shared_out(maps, truth):
    inside, total = energy(maps, truth)
    outside, again = energy(maps, ~truth)
    assert np.allclose(inside + outside, total) and np.array_equal(total, again)
    share = energy_share(inside, total)
    assert ((share >= 0) & (share <= 1)).all()
    assert (share[~maps.any(axis=(1, 2))] == 0).all() and (share[~truth.any(axis=(1, 2))] == 0).all()
    for m, t, s in zip(maps, truth, share, strict=True):
        if m.any():
            assert s == pytest.approx(np.average(t, weights=m.astype(np.float64)))


def test_energy_of_an_even_map_is_the_area_and_scale_does_not_matter():
    truth = np.stack(list(hand_made().values()))
    even = np.full(truth.shape, 0.25, np.float32)
    assert np.allclose(energy_share(*energy(even, truth)), truth.mean(axis=(1, 2)))
    maps = smooth_maps(len(truth))
    assert np.allclose(energy_share(*energy(maps, truth)), energy_share(*energy(maps / 4, truth)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("smallest", [1, 6])
@pytest.mark.parametrize("covered", [0.0, 0.3, 1.0])
def test_lesions_are_simple_itks_components(seed, smallest, covered):
    truth, test = blobs(seed, 0.16), blobs(seed, 0.16) & blobs(seed + 50, -0.05) | blobs(seed + 100, 0.22)

    def hits(mask, other):
        components = sitk.ConnectedComponentImageFilter()
        components.FullyConnectedOn()
        labels = sitk.GetArrayFromImage(components.Execute(sitk.GetImageFromArray(mask.astype(np.uint8))))
        parts = [labels == n for n in range(1, labels.max() + 1)]
        parts = [part for part in parts if part.sum() >= smallest]
        return len(parts), sum(
            (part & other).any() and (part & other).sum() >= covered * part.sum() for part in parts
        )

    found = compare_lesions(truth, test, covered, smallest)
    assert (found.truth_lesions, found.found) == hits(truth, test)
    assert (found.test_lesions, found.right) == hits(test, truth)
    assert found.truth_lesions > 1 and found.test_lesions > 1, "the example is worth it"


def test_lesions_agree_with_scikit_image():
    measure = pytest.importorskip(
        "skimage.measure", reason="scikit-image is not installed: not compared with it"
    )
    truth, test = blobs(3, 0.2), blobs(4, 0.2)
    labels = measure.label(truth, connectivity=3)
    found = compare_lesions(truth, test)
    assert found.truth_lesions == labels.max()
    assert found.found == len(set(labels[test].tolist()) - {0})


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert compare_lesions(mask, mask) == LesionAgreement(1, 1, 1, 1)
    mask[1, 1, 1], mask[2, 2, 2] = False, True
    assert compare_lesions(mask, mask) == LesionAgreement(2, 2, 2, 2)


def test_lesion_measures_worked_out_on_paper():
    found = LesionAgreement(truth_lesions=4, test_lesions=7, found=3, right=5)
    assert found.sensitivity == 0.75
    assert found.false_positives == 2
    assert found.f1 == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    nothing = LesionAgreement(0, 0, 0, 0)
    assert math.isnan(nothing.sensitivity) and math.isnan(nothing.f1) and nothing.false_positives == 0
    assert LesionAgreement(0, 2, 0, 0).f1 == 0 and LesionAgreement(2, 0, 0, 0).f1 == 0


def test_a_mask_on_a_bleed_too_small_to_count_is_not_false():
    truth, test = np.zeros((2, 3, 9, 9), bool)
    truth[1, 1, 1] = True
    test[1, 1:4, 1:4] = True
    assert compare_lesions(truth, test, smallest=5) == LesionAgreement(0, 1, 0, 1)


def test_seven_of_a_hundred_voxels_are_seven_percent():
    truth, test = np.zeros((2, 1, 10, 10), bool)
    truth[...] = True
    test[0, 0, :7] = True
    assert compare_lesions(truth, test, covered=0.07).found == 1, "though 0.07 * 100 is 7.000000000000001"
    assert compare_lesions(truth, test, covered=0.071).found == 0


@given(masks_3d, masks_3d, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_laws_of_lesions(truth, test, covered):
    found, swapped = compare_lesions(truth, test, covered), compare_lesions(test, truth, covered)
    assert (found.truth_lesions, found.found) == (swapped.test_lesions, swapped.right)
    turned = compare_lesions(truth[::-1].transpose(2, 0, 1), test[::-1].transpose(2, 0, 1), covered)
    assert turned == found
    if covered == 0:
        assert (found.found > 0) == (found.right > 0) == bool((truth & test).any())
    itself = compare_lesions(truth, truth, covered)
    assert itself.found == itself.right == itself.truth_lesions == itself.test_lesions
    assert math.isnan(found.f1) or 0 <= found.f1 <= 1


def affine(spacing):
    return np.diag([*spacing, 1.0])


def hd95(truth, mask, ijk_to_ras):
    return Surface(truth, ijk_to_ras).hausdorff(mask).percentile_95


@pytest.mark.parametrize("seed", range(10))
def test_distances_are_those_of_the_comparison(seed):
    """Of small masks and large ones (found by a tree, by a map), upright, oblique and sheared."""
    rng = np.random.default_rng(seed)
    truth = blobs(seed, 0.2)
    for sheared in (0, 0.4):
        matrix = random_affine(rng, sheared)
        surface = Surface(truth, matrix)
        pixel = np.zeros_like(truth)
        pixel[tuple(rng.integers(0, truth.shape))] = True
        for mask in (blobs(seed + 1, 0.3), blobs(seed + 2, 0.02), ~truth, np.ones_like(truth), pixel, truth):
            expected = values(hausdorff(truth, mask, matrix)[1])
            assert values(surface.hausdorff(mask)) == pytest.approx(expected, rel=2e-6, abs=1e-6)


@given(masks_3d, masks_3d)
def test_distances_of_any_masks(truth, mask):
    matrix = affine((0.5, 0.7, 4))
    found = values(Surface(truth, matrix).hausdorff(mask))
    assert found == pytest.approx(values(hausdorff(truth, mask, matrix)[1]), rel=2e-6, nan_ok=True)
    assert found == pytest.approx(values(Surface(mask, matrix).hausdorff(truth)), rel=2e-6, nan_ok=True)
    assert np.array_equal(shell_voxels(mask), np.argwhere(boundary(mask)))


@pytest.mark.parametrize("seed", range(5))
def test_hd95_of_monais_distances(seed):
    """MONAI's distances between boundaries; of these the ranks and their mean are Plastimatch's."""
    monai = pytest.importorskip("monai.metrics.utils", reason="MONAI is not installed: not compared with it")
    one, other = blobs(seed, 0.15), blobs(seed + 20, 0.15)
    spacing = np.array([0.5, 0.7, 4.0])
    edges = monai.get_mask_edges(one, other, crop=False)
    ways = [
        np.asarray(monai.get_surface_distance(*pair, spacing=spacing[::-1].tolist()))
        for pair in (edges, edges[::-1])
    ]
    expected = sum(rank_95(way) for way in ways) / 2
    assert hd95(one, other, affine(spacing)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(
    shutil.which("plastimatch") is None, reason="plastimatch is not installed: not compared with it"
)
@pytest.mark.parametrize("seed", range(3))
def test_hd95_is_plastimatchs(seed, tmp_path):
    spacing = (0.8, 0.9, 3.0)
    pair = np.zeros((2, 12, 26, 24), bool)
    for mask, middle in zip(pair, ((5, 12, 11), (6, 13 + seed, 12)), strict=True):
        away = [(np.arange(n) - m) * s for n, m, s in zip(mask.shape, middle, spacing[::-1], strict=True)]
        mask[sum(a**2 for a in np.meshgrid(*away, indexing="ij")) < 60] = True
    for mask, name in zip(pair, ("reference", "test"), strict=True):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(spacing)
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    text = subprocess.run(
        ["plastimatch", "dice", "--all", str(tmp_path / "reference.nrrd"), str(tmp_path / "test.nrrd")],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    printed = float(re.search(r"Percent \(0\.95\) Hausdorff distance \(boundary\)\s*=\s*(\S+)", text)[1])
    assert hd95(*pair, affine(spacing)) == pytest.approx(printed, rel=0.03)  # its own map errs by up to 3%
    assert hd95(*pair, affine(spacing)) <= printed + 1e-4


def test_hd95_of_one_voxel_each_and_of_empty_masks():
    one, other, none = np.zeros((3, 5, 6, 7), bool)
    one[1, 2, 3] = other[3, 2, 3] = True
    assert hd95(one, other, affine((0.5, 0.5, 5))) == pytest.approx(10)
    assert hd95(one, one, affine((0.5, 0.5, 5))) == 0
    for pair in ((one, none), (none, one), (none, none)):
        assert math.isnan(hd95(*pair, affine((1, 1, 1))))
    full = np.ones((5, 6, 7), bool)
    assert hd95(full, full, affine((1, 1, 1))) == 0


def test_volume_errors():
    more = VolumeAgreement(20.0, 25.0)
    assert (more.error_ml, more.absolute_error_ml, more.relative_error) == (5, 5, 0.25)
    less = VolumeAgreement(20.0, 0.0)
    assert (less.error_ml, less.absolute_error_ml, less.relative_error) == (-20, 20, -1)
    assert math.isnan(VolumeAgreement(0.0, 3.0).relative_error) and VolumeAgreement(0.0, 3.0).error_ml == 3
    assert math.isnan(VolumeAgreement(math.nan, math.nan).relative_error)


def test_bad_values_are_refused():
    mask, map_ = np.ones((1, 2, 2), bool), np.ones((1, 2, 2), np.float32)
    with pytest.raises(ValueError, match="covered"):
        compare_lesions(mask, mask, covered=1.2)
    with pytest.raises(ValueError, match="shape"):
        compare_lesions(mask, np.ones((2, 2, 2), bool))
    with pytest.raises(ValueError, match="shape"):
        Surface(mask, np.eye(4)).hausdorff(np.ones((2, 2, 2), bool))
    with pytest.raises(ValueError, match="tolerance"):
        points_inside(map_, mask, -1)
    for game in (points_inside, energy):
        with pytest.raises(ValueError, match="bool"):
            game(map_, map_)
