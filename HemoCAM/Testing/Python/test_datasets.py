"""Readers of data sets: what `hemocam phantom` and others write comes back, voxel by voxel and slice by slice."""

import pickle
from dataclasses import replace

import bodies
import labelled_sets
import numpy as np
import pytest
from datasets_cases import flags_of
from HemoCAMLib.datasets.case import LabelledCase
from HemoCAMLib.datasets.finding import find, open_data_set
from HemoCAMLib.datasets.folders import Reading
from HemoCAMLib.datasets.layouts import layout
from HemoCAMLib.datasets.phantoms import PhantomSet, specify
from HemoCAMLib.errors import InputError, OptionError
from HemoCAMLib.phantoms.patient import make_patient
from HemoCAMLib.volumes.axial import to_axial
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.volume import Volume
from labelled_sets import write_set

LAYOUTS = ("volumes", "hemorica", "ct-ich")


@pytest.mark.parametrize("name", LAYOUTS)
def test_virtual_patients_come_back_as_they_were_made(tmp_path, name):
    own = layout(name)
    specs = specify(2, 3, slice_mm=[9.0], size=64, healthy=0.0, tilted=own.holds_shear)
    PhantomSet(specs, own, "made by a test").write(tmp_path / "set")
    data, found = find(tmp_path / "set")
    assert (data.layout, found.faults, found.notes) == (name, [], [])
    assert [case.patient for case in data.cases] == [own.patient(1), own.patient(2)] == list(data.patients)
    for spec, case in zip(specs, data.cases, strict=True):
        made, read = make_patient(spec), case.load()
        assert read.ct.array.dtype == np.int16 and np.array_equal(read.ct.array, made.ct.array)
        assert np.array_equal(read.slice_labels, flags_of(made.labels))
        assert list(read.slice_numbers) == list(range(1, len(made.ct.array) + 1))
        assert read.kinds_known == (name != "ct-ich") and read.spacing_known
        expected = made.labels.array if read.kinds_known else (made.labels.array > 0).astype(np.uint8)
        assert read.labels.array.dtype == np.uint8 and np.array_equal(read.labels.array, expected)
        assert read.labels.same_grid(read.ct)
        if name == "hemorica":
            assert read.ct.spacing == pytest.approx(
                made.ct.spacing, rel=0.08
            )  # a tilt shears K, files cannot
            assert read.ct.spacing[:2] == pytest.approx(made.ct.spacing[:2], abs=1e-5)
        else:
            assert read.ct.same_grid(made.ct, 1e-3)


@pytest.mark.parametrize("file_format", ["nii", "nrrd", "mha"])
def test_volumes_in_every_format(tmp_path, file_format):
    patients = write_set(tmp_path, "volumes", file_format=file_format)
    for case, (ct, labels) in zip(open_data_set(tmp_path).cases, patients, strict=True):
        read = case.load()
        assert np.array_equal(read.ct.array, ct.array) and read.ct.same_grid(ct, 1e-3)
        assert np.array_equal(read.labels.array, labels.array)


def test_a_case_is_small_and_travels(tmp_path):
    write_set(tmp_path, "hemorica")
    for case in open_data_set(tmp_path).cases:
        packed = pickle.dumps(case)
        assert pickle.loads(packed) == case and len(packed) < 200 * len(case.images)
        assert isinstance(pickle.loads(packed).load(), LabelledCase)


def test_each_layout_is_recognised_and_can_be_forced(tmp_path):
    for name in LAYOUTS:
        write_set(tmp_path / name, name, count=1)
        assert open_data_set(tmp_path / name).layout == name
        assert open_data_set(tmp_path / name, Reading(layout=name)).layout == name
    (tmp_path / "volumes" / "images" / "a_1.npy").write_bytes(b"")
    with pytest.raises(InputError, match="say with --layout"):
        open_data_set(tmp_path / "volumes")
    assert len(open_data_set(tmp_path / "volumes", Reading(layout="volumes"))) == 1
    with pytest.raises(OptionError, match="no layout 'bids'"):
        open_data_set(tmp_path, Reading(layout="bids"))
    (tmp_path / "empty").mkdir()
    for folder, words in ((tmp_path / "empty", "no folder"), (tmp_path / "nowhere", "no folder .*nowhere")):
        with pytest.raises(InputError, match=words):
            open_data_set(folder)


# ---- masks and their CT's grid


def one_volume(folder, ct, mask, name="a"):
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    write_image(ct, folder / "images" / f"{name}.nrrd")
    write_image(mask, folder / "masks" / f"{name}.nrrd")


def reordered(volume, axes, flips):
    """The same voxels at the same places, stored with other axes."""
    affine = volume.ijk_to_ras.copy()
    array = volume.array
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, 2 - axis] * (array.shape[axis] - 1)
            affine[:3, 2 - axis] *= -1
            array = np.flip(array, axis)
    columns = [2 - axes[2 - c] for c in range(3)]
    affine[:3, :3] = affine[:3, columns]
    return Volume(np.ascontiguousarray(array.transpose(axes)), affine)


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(True, False, False), (False, True, True)])
def test_a_mask_stored_in_another_order_lies_where_it_lay(tmp_path, axes, flips):
    ct, labels = labelled_sets.patient(1)
    turned = replace(ct, ijk_to_ras=bodies.grid(bodies.SMALL, bodies.SPACING, bodies.LEANING))
    mask = reordered(turned.like((labels.array > 0).astype(np.uint8), "mask"), axes, flips)
    assert mask.ijk_to_ras == pytest.approx(reordered(turned, axes, flips).ijk_to_ras)
    one_volume(tmp_path / "mask", turned, mask)
    read = open_data_set(tmp_path / "mask").cases[0].load()
    assert np.array_equal(read.labels.array, labels.array > 0)
    assert read.labels.same_grid(read.ct)
    # and the other way round: the CT is stored in that order, the mask is not
    one_volume(tmp_path / "ct", reordered(turned, axes, flips), turned.like(labels.array.clip(max=1), "mask"))
    read = open_data_set(tmp_path / "ct").cases[0].load()
    assert np.array_equal(read.labels.array, mask.array)
    assert read.labels.same_grid(read.ct) and read.ct.shape == mask.shape


def test_a_scan_from_head_to_feet_counts_its_slices_from_the_feet_or_as_stored(tmp_path):
    ct, labels = labelled_sets.patient(1)
    down = reordered(ct, (0, 1, 2), (True, False, False))
    mask = reordered(labels, (0, 1, 2), (True, False, False))
    one_volume(tmp_path, down, down.like((mask.array > 0).astype(np.uint8), "mask"))
    positive = np.flatnonzero(labels.array.any(axis=(1, 2)))
    rows = [f"a,{n + 1},{int(n in positive)}" for n in range(len(labels.array))]
    (tmp_path / "slices.csv").write_text("\n".join(["patient_name,slice_number,hemorrhage_binary", *rows]))
    read = open_data_set(tmp_path).cases[0].load()
    assert np.array_equal(np.flatnonzero(read.slice_labels[:, 0]), positive)
    assert np.array_equal(to_axial(read.labels)[0].array > 0, labels.array > 0)
    stored = open_data_set(tmp_path, Reading(file_order=True)).cases[0].load()
    assert list(stored.slice_numbers) == list(range(len(labels.array), 0, -1))
    assert np.array_equal(stored.slice_labels[:, 0], read.slice_labels[::-1, 0])


def test_a_mask_beside_its_scan_or_of_another_size_is_refused(tmp_path):
    ct, labels = labelled_sets.patient(1)
    mask = (labels.array > 0).astype(np.uint8)
    moved = ct.ijk_to_ras.copy()
    moved[0, 3] += 3.0
    one_volume(tmp_path / "moved", ct, Volume(mask, moved))
    with pytest.raises(InputError, match=r"masks/a\.nrrd has as many voxels .* 3\.0 mm beside it"):
        open_data_set(tmp_path / "moved").cases[0].load()
    moved[0, 3] = ct.ijk_to_ras[0, 3] + 0.01  # rounding
    one_volume(tmp_path / "rounded", ct, Volume(mask, moved))
    assert np.array_equal(open_data_set(tmp_path / "rounded").cases[0].load().labels.array, mask)
    one_volume(tmp_path / "smaller", ct, Volume(mask[:-1], ct.ijk_to_ras))
    with pytest.raises(InputError, match=r"masks/a\.nrrd has 48 x 48 x 15 voxels, its scan 48 x 48 x 16"):
        open_data_set(tmp_path / "smaller").cases[0].load()


def test_masks_of_ct_ich_are_laid_voxel_by_voxel(tmp_path):
    (ct, labels), *_ = write_set(tmp_path, "ct-ich", count=1)
    bare = Volume((labels.array > 0).astype(np.uint8) * np.uint8(255), np.eye(4))
    write_image(bare, tmp_path / "masks" / "001.nii")
    read = open_data_set(tmp_path).cases[0].load()
    assert np.array_equal(read.labels.array, labels.array > 0) and read.labels.same_grid(ct, 1e-3)
