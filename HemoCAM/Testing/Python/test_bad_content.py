"""Files that hold no CT of a head in HU, or no label map: one sentence each, that names the reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bodies
import numpy as np
import pytest
import SimpleITK as sitk
from damage import (
    SMALL,
    SROW,
    cut_packed_nifti,
    name_of,
    nothing,
    one_sentence,
    picture,
    refused,
    saved,
    series,
    small_head,
    written,
)
from HemoCAMLib.errors import InputError
from HemoCAMLib.volumes.reading import read_labels
from HemoCAMLib.volumes.volume import Volume


def one_slice_file(folder):
    return saved(Volume(small_head().array[5:6], np.eye(4)), folder)


def two_dimensional(folder):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((64, 64), np.int16)), str(folder / "a.nrrd"))
    return folder / "a.nrrd"


def time_series(folder):
    sitk.WriteImage(
        sitk.GetImageFromArray(np.zeros((3, 8, 16, 16), np.int16), isVector=False), str(folder / "a.nrrd")
    )
    return folder / "a.nrrd"


def time_series_nifti(folder):
    data = bodies.nifti_bytes(np.zeros((24, 4, 4)), SROW, size=(4, 4, 8, 3), pixdim=(1, 1, 1))
    return written(folder, "a.nii", data)


def colours(folder):
    image = sitk.GetImageFromArray(np.zeros((8, 16, 16, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(folder / "a.nrrd"))
    return folder / "a.nrrd"


def complex_numbers(folder):
    image = sitk.GetImageFromArray(np.zeros((8, 16, 16), np.complex64))
    sitk.WriteImage(image, str(folder / "a.mha"))
    return folder / "a.mha"


def nan_voxels(folder):
    array = small_head().array.astype(np.float32)
    array[3, 4, 5] = np.nan
    return saved(replace(small_head(), array=array), folder)


def infinite_voxels(folder):
    array = small_head().array.astype(np.float32)
    array[3, 4, 5] = np.inf
    return saved(replace(small_head(), array=array), folder, "a.nii.gz")


def chest(folder):
    return saved(bodies.torso("chest"), folder)


def childs_chest(folder):
    return saved(bodies.torso("chest", size=0.5, fat=False), folder)


def belly(folder):
    return saved(bodies.torso("belly"), folder)


def slim_belly(folder):
    return saved(bodies.torso("belly", size=0.6, fat=False), folder)


def water(folder):
    return saved(bodies.bottle(), folder)


def water_on_a_headrest(folder):
    return saved(bodies.on_dense_headrest(bodies.bottle()), folder)


def empty_headrest(folder):
    bottle = bodies.bottle()
    return saved(bodies.on_dense_headrest(replace(bottle, array=np.full_like(bottle.array, -1000))), folder)


def childs_chest_on_a_headrest(folder):
    return saved(bodies.on_dense_headrest(bodies.torso("chest", size=0.5, fat=False)), folder)


def tiny_extent(folder):
    return saved(replace(small_head(), ijk_to_ras=bodies.grid(SMALL, (0.4, 0.45, 0.9))), folder)


def coarse_pixels(folder):
    return saved(replace(small_head(), ijk_to_ras=bodies.grid(SMALL, (10, 10, 9))), folder)


def mr_values(array):
    return np.where(array < -300, np.random.default_rng(0).integers(0, 30, array.shape), abs(array) * 4 + 200)


def changed(function):
    def build(folder):
        head = bodies.head()
        return saved(replace(head, array=function(head.array)), folder)

    return build


BAD: list[tuple[Callable[[Path], Path], str]] = [
    (one_slice_file, "single slice"),
    (two_dimensional, "not one volume with three axes"),
    (time_series, "not one volume with three axes"),
    (time_series_nifti, "not one volume with three axes"),
    (colours, "3 numbers a voxel"),
    (complex_numbers, "complex numbers|2 numbers a voxel"),
    (nan_voxels, "1 voxels that are no numbers"),
    (infinite_voxels, "1 voxels that are no numbers"),
    (chest, "chest"),
    (childs_chest, "chest"),
    (belly, "too wide for a head"),
    (slim_belly, "No brain within a skull"),
    (water, "no bone"),
    (water_on_a_headrest, "No brain within a skull"),
    (empty_headrest, "No brain within a skull"),
    (childs_chest_on_a_headrest, "chest|No brain within a skull"),
    (tiny_extent, "covers only 19 x 22 x 11 mm"),
    (coarse_pixels, "too coarse"),
]
CHANGED = {
    "constant": (lambda a: np.full_like(a, 40), "every voxel has the value 40"),
    "mr": (mr_values, "no value below 0"),
    "shifted": (lambda a: a + np.int16(1024), "HU \\+ 1024"),
    "windowed": (lambda a: np.clip((a + 10) * 3, 0, 255).astype(np.uint8), "windowed picture"),
    "normalised": (lambda a: np.clip((a + 10) / 80, 0, 1).astype(np.float32), "windowed picture"),
    "z-scores": (lambda a: ((a - a.mean()) / a.std()).astype(np.float32), "normalised"),
    "without skull": (lambda a: np.where((a > -5) & (a < 100), a, -1000), "no bone"),
}
BAD += [(changed(function), pattern) for function, pattern in CHANGED.values()]


@pytest.mark.parametrize(("build", "pattern"), BAD, ids=name_of)
def test_bad_input_gets_one_sentence(build, pattern, tmp_path):
    refused(build(tmp_path), pattern, tmp_path)


def fractions(folder):
    return saved(Volume(np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10), np.eye(4)), folder)


def negative_labels(folder):
    return saved(Volume(np.full((4, 5, 6), -1, np.int16), np.eye(4)), folder)


@pytest.mark.parametrize(
    ("build", "pattern"),
    [
        (fractions, "no label map"),
        (negative_labels, "no label map"),
        (nothing, "no file or folder"),
        (series, "one NIfTI, NRRD or MetaImage file"),
        (picture, "neither DICOM"),
        (cut_packed_nifti, "cut off"),
        (nan_voxels, "no numbers"),
    ],
    ids=name_of,
)
def test_bad_labels_get_one_sentence(build, pattern, tmp_path):
    with pytest.raises(InputError, match=pattern) as caught:
        read_labels(build(tmp_path))
    one_sentence(caught.value)
