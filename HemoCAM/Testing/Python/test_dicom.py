"""DICOM series: every voxel stays where the headers say, and what was done to it is told."""

import json
from dataclasses import replace
from itertools import permutations, product

import bodies
import dicom_factory
import numpy as np
import pytest
import SimpleITK as sitk
from bodies import SMALL, SPACING, rotation, same_place
from HemoCAMLib.errors import Cancelled, InputError
from HemoCAMLib.volumes.axial import slice_positions, to_axial
from HemoCAMLib.volumes.dicom import read_dicom
from HemoCAMLib.volumes.reading import read_ct
from HemoCAMLib.volumes.slice_stack import fit_stack
from HemoCAMLib.volumes.volume import Volume

# ---- DICOM: geometry


def test_series_comes_back_with_its_voxels_and_affine(head, tmp_path):
    volume = read_ct(dicom_factory.write_series(tmp_path, head))
    assert volume.array.dtype == np.int16
    assert volume.same_grid(head, 1e-6)
    assert (volume.array == head.array).all()
    assert volume.acquired is None
    assert volume.findings == ()


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_any_orientation_and_order_of_slices(head, tmp_path, axes):
    array = head.array.transpose(axes)
    matrix = np.eye(4)
    matrix[:3, 3] = head.ijk_to_ras[:3, 3]
    for k, axis in enumerate(axes):
        matrix[:3, 2 - k] = head.ijk_to_ras[:3, 2 - axis]
    turned = Volume(array, matrix)
    order = np.random.default_rng(1).permutation(turned.shape[0])
    volume = read_dicom(dicom_factory.write_series(tmp_path, turned, order=order))
    assert same_place(volume, head)


@pytest.mark.parametrize("seed", range(4))
def test_oblique_planes_keep_their_place(head, tmp_path, seed):
    turned = replace(head, ijk_to_ras=bodies.grid(SMALL, SPACING, rotation(seed)))
    volume = read_dicom(dicom_factory.write_series(tmp_path, turned))
    assert volume.same_grid(turned, 1e-3) or same_place(volume, turned, 1e-3)


@pytest.mark.parametrize("tilt", [-25, 15])
def test_gantry_tilt_stays_as_shear(head, tmp_path, tilt):
    turn = np.deg2rad(tilt)
    affine = head.ijk_to_ras.copy()
    affine[:3, 1] = SPACING[1] * np.array([0, -np.cos(turn), np.sin(turn)])  # planes lean, the table does not
    leaning = replace(head, ijk_to_ras=affine)
    volume = read_ct(dicom_factory.write_series(tmp_path, leaning))
    assert volume.same_grid(leaning, 1e-3)
    assert abs(volume.ijk_to_ras[:3, 1] @ volume.ijk_to_ras[:3, 2]) > 5
    assert volume.findings == ()


def test_missing_slices_leave_the_others_in_place(head, tmp_path):
    places = [p for p in range(SMALL[0]) if p not in (4, 9, 10)]
    volume = read_ct(dicom_factory.write_series(tmp_path, head, places=places))
    assert volume.same_grid(head, 1e-3)
    assert (volume.array[places] == head.array[places]).all()
    assert np.flatnonzero(~volume.acquired).tolist() == [4, 9, 10]
    expected = head.array[8] + (head.array[11].astype(float) - head.array[8]) / 3
    assert np.abs(volume.array[9] - expected).max() <= 1
    at = slice_positions(to_axial(volume)[0])[[4, 9, 10]]
    assert all(f"{position:.1f}" in volume.findings[0] for position in at)
    assert volume.source["slices_interpolated"] == 3


def test_two_slice_gaps_in_one_series_become_one_grid(head, tmp_path):
    places = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14]  # thin below, thick above
    volume = read_dicom(dicom_factory.write_series(tmp_path, head, places=places))
    assert np.flatnonzero(volume.acquired).tolist() == places
    assert (volume.array[places] == head.array[places]).all()


def test_uneven_spacing_is_stated_in_mm(head, tmp_path):
    places = np.arange(SMALL[0], dtype=float)
    places[7] += 0.15  # 1.35 mm of 9
    volume = read_dicom(dicom_factory.write_series(tmp_path, head, places=places))
    assert volume.shape == SMALL
    true = head.ijk_to_ras[2, 3] + places * SPACING[2]
    here = volume.ijk_to_ras[2, 3] + np.arange(SMALL[0]) * volume.ijk_to_ras[2, 2]
    stated = volume.source["largest_deviation_mm"]
    assert stated == pytest.approx(np.abs(true - here).max(), abs=1e-3)
    assert 0.9 < stated < 1.35
    assert f"{stated:.2f} mm" in volume.findings[0]


def test_strays_beyond_a_hole_are_left_aside(head, tmp_path):
    dicom_factory.write_series(tmp_path, head)
    dicom_factory.write_slice(tmp_path / "stray", head.array[0], head.ijk_to_ras, 40, number=99)
    volume = read_dicom(tmp_path)
    assert volume.same_grid(head, 1e-6)
    assert "hole" in volume.findings[0]


@pytest.mark.parametrize("seed", range(20))
def test_grid_holds_every_slice_at_its_place(seed):
    rng = np.random.default_rng(seed)
    count, gap = int(rng.integers(8, 300)), rng.uniform(0.4, 6)
    gone = rng.choice(np.arange(1, count - 1), int(rng.integers(0, count // 5)), replace=False)
    kept = np.setdiff1d(np.arange(count), gone)
    normal = rotation(seed)[:, 0]
    step = normal * gap + rotation(seed)[:, 1] * rng.uniform(-0.3, 0.3) * gap
    positions = np.round(rng.normal(size=3) * 50 + kept[:, None] * step, 3)
    stack = fit_stack(positions, normal)
    assert stack.index.tolist() == kept.tolist()
    assert stack.missing.tolist() == sorted(gone.tolist())
    assert np.abs(stack.first + stack.index[:, None] * stack.step - positions).max() < 2e-3
    assert stack.deviation < 2e-3


def test_jitter_is_not_filled_with_invented_slices():
    rng = np.random.default_rng(0)
    positions = np.zeros((40, 3))
    positions[:, 2] = np.arange(40) * 2 + rng.uniform(-0.3, 0.3, 40)
    stack = fit_stack(positions, np.array([0, 0, 1.0]))
    assert stack.count == 40
    assert 0.2 < stack.deviation < 0.5


# ---- DICOM: which slices


def test_largest_axial_series_is_taken_and_others_named(head, tmp_path):
    dicom_factory.write_series(tmp_path / "a", head, "1.200")
    dicom_factory.write_series(tmp_path / "b" / "c", head, "1.300", places=range(5), name="IM{:d}")
    scout = {"t00080008": "ORIGINAL\\PRIMARY\\LOCALIZER"}
    dicom_factory.write_series(tmp_path / "b", head, "1.400", places=range(2), **scout)
    (tmp_path / "readme.txt").write_text("no DICOM")
    volume = read_ct(tmp_path)
    assert volume.source["series_uid"].endswith(".200")
    assert ".300 (5 slices)" in volume.findings[0]
    assert ".400 (2 slices)" in volume.findings[0]
    assert read_dicom(tmp_path, "1.300").shape[0] == 5
    assert read_dicom(tmp_path / "b" / "c" / "IM2").shape[0] == 5
    assert read_dicom(tmp_path, f"{dicom_factory.ROOT}.1.300").shape[0] == 5
    with pytest.raises(InputError, match=r"3 series end in 00; .*\.200"):
        read_dicom(tmp_path, "00")


def test_axial_goes_before_more_coronal_slices(head, tmp_path):
    dicom_factory.write_series(tmp_path / "a", head, "1.200")
    coronal = Volume(head.array.transpose(1, 0, 2), head.ijk_to_ras[:, [0, 2, 1, 3]])
    dicom_factory.write_series(tmp_path / "b", coronal, "1.300")
    assert read_dicom(tmp_path).source["series_uid"].endswith(".200")


def test_repeated_positions_keep_the_first(head, tmp_path):
    dicom_factory.write_series(tmp_path, head)
    dicom_factory.write_slice(tmp_path / "again", head.array[3] + 50, head.ijk_to_ras, 3, number=70)
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "005.dcm").read_bytes())
    volume = read_dicom(tmp_path)
    assert (volume.array == head.array).all()
    assert volume.findings[0].startswith("1 slice at a position")


def test_of_two_phases_the_larger_is_read(head, tmp_path):
    second = replace(head, array=head.array + np.int16(7))
    dicom_factory.write_series(tmp_path / "a", head, places=range(1, 15), t00200012="1")
    for place in range(SMALL[0]):
        path = tmp_path / f"{place}.dcm"
        tags = {"t00200012": "2"}
        dicom_factory.write_slice(
            path, second.array[place], head.ijk_to_ras, place, number=100 + place, **tags
        )
    volume = read_dicom(tmp_path)
    assert (volume.array == second.array).all()
    assert "2 acquisitions; number 2 (16 slices)" in volume.findings[0]


def test_slices_of_another_orientation_are_left_aside(head, tmp_path):
    dicom_factory.write_series(tmp_path, head)
    other = bodies.grid(SMALL, SPACING, rotation(5))
    dicom_factory.write_slice(tmp_path / "odd.dcm", head.array[0], other, 0, number=50)
    volume = read_dicom(tmp_path)
    assert volume.same_grid(head, 1e-6)
    assert volume.findings[0].startswith("1 slice of the series left aside")


# ---- DICOM: values


def test_rescale_is_applied_once(head, tmp_path):
    dicom_factory.write_series(tmp_path, head, t00281053="2", t00281052="-1100")
    stored = np.frombuffer((tmp_path / "008.dcm").read_bytes()[-SMALL[1] * SMALL[2] * 2 :], "<i2")
    volume = read_dicom(tmp_path)
    assert (volume.array[8].ravel() == stored * 2 - 1100).all()
    assert np.abs(volume.array.astype(int) - head.array).max() <= 1


def test_padding_becomes_air(head, tmp_path):
    array = head.array.copy()
    array[:, :6, :6] = -3024
    volume = read_dicom(dicom_factory.write_series(tmp_path, replace(head, array=array)))
    assert (volume.array[:, :6, :6] == -1024).all()
    assert volume.source["padding_voxels"] == SMALL[0] * 36


def test_padding_tag_is_believed_at_the_corners_only(head, tmp_path):
    array = head.array.copy()
    for rows, columns in product((slice(0, 3), slice(-3, None)), repeat=2):
        array[:, rows, columns] = 1500
    padded = replace(head, array=array)
    volume = read_dicom(dicom_factory.write_series(tmp_path / "a", padded, t00280120="2524"))
    assert (volume.array[:, :3, :3] == -1024).all()
    tissue = read_dicom(dicom_factory.write_series(tmp_path / "b", head, t00280120="1058"))  # 34 HU: brain
    assert (tissue.array == head.array).all()


@pytest.mark.parametrize("heights", [(0, 9, 18, 27, 36), (36, 27, 18, 9, 0), (0, 9, 18, 36, 45)])
def test_multiframe_file(head, tmp_path, heights):
    raw = head.array[5:10].astype(int) + 1024
    positions = [(-90, -100 + 0.2 * z, z) for z in heights]
    dicom_factory.write_multiframe(tmp_path / "one", raw, positions, spacing=SPACING[1::-1])
    volume = read_dicom(tmp_path)
    for frame, position in enumerate(positions):
        i, j, k = volume.ijk(np.array(position) * [-1, -1, 1])
        assert (round(i), round(j)) == (0, 0)
        assert abs(k - round(k)) < 1e-6
        assert (volume.array[round(k)] == head.array[5 + frame]).all()
    assert volume.spacing[:2] == pytest.approx(SPACING[:2])


def test_fractions_of_hu_are_kept_as_floats(tmp_path):
    raw = np.arange(4 * 8 * 8).reshape(4, 8, 8)
    dicom_factory.write_multiframe(tmp_path / "one", raw, [(0, 0, z) for z in (0, 5, 10, 15)], slope="0.5")
    volume = read_dicom(tmp_path)
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.array, raw * 0.5 - 1024)


def test_nothing_of_the_patient_is_passed_on(head, tmp_path):
    volume = read_ct(dicom_factory.write_series(tmp_path / "Jane_Doe", head))
    text = json.dumps(volume.source) + " ".join(volume.findings) + volume.name
    for secret in ("Jane", "Doe", "4711", "1950", str(tmp_path)):
        assert secret not in text


def test_progress_counts_files_and_may_cancel(head, tmp_path):
    dicom_factory.write_series(tmp_path, head)
    calls = []
    read_ct(tmp_path, progress=lambda *call: calls.append(call))
    assert calls.count(("Reading slices", 16, 16)) == 1
    assert len(calls) >= 2 * SMALL[0]

    def cancel(phase, done, total):
        if phase == "Reading slices" and done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        read_ct(tmp_path, progress=cancel)


def test_real_case_with_a_missing_slice_and_oblique_planes(cq500):
    volume = read_ct(cq500)
    assert volume.shape == (239, 512, 512)
    assert volume.array.min() == -1024
    assert np.count_nonzero(~volume.acquired) == 1
    assert volume.source["files"] == 238
    assert volume.source["series_uid"].endswith(".2032152")
    assert ".2079631 (1 slice)" in volume.findings[0]
    assert volume.ijk_to_ras[:3, 1] / volume.spacing[1] == pytest.approx([0, -0.989016, -0.147809], abs=1e-6)
    reader = sitk.ImageFileReader()
    for number in (1, 60, 120, 238):
        reader.SetFileName(str(cq500 / f"CT{number:06d}.dcm"))
        image = reader.Execute()
        ras = np.array(image.GetOrigin()) * [-1, -1, 1]
        i, j, k = volume.ijk(ras)
        assert (i, j, k) == pytest.approx((0, 0, round(k)), abs=2e-3)
        pixels = sitk.GetArrayFromImage(image)[0]
        assert (volume.array[round(k)] == np.where(pixels <= -2000, -1024, pixels)).all()
