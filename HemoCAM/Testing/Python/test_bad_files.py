"""What is no image file, or is a damaged one: one sentence each, that names the trouble."""

import gzip
from collections.abc import Callable
from pathlib import Path

import bodies
import dicom_factory
import numpy as np
import pytest
from damage import (
    SROW,
    cut,
    cut_packed_nifti,
    edited,
    name_of,
    nothing,
    picture,
    refused,
    saved,
    small_head,
    written,
)
from HemoCAMLib.errors import InputError
from HemoCAMLib.volumes.files import read_image
from HemoCAMLib.volumes.reading import read_ct


def empty_folder(folder):
    (folder / "d").mkdir()
    return folder / "d"


def folder_of_text(folder):
    written(empty_folder(folder), "notes.txt", "no image")
    return folder / "d"


def empty_file(folder):
    return written(folder, "a.nii.gz", b"")


def random_bytes(folder):
    return written(folder, "a.nrrd", np.random.default_rng(0).bytes(5000))


def cut_nifti(folder):
    return cut(saved(small_head(), folder, "a.nii"))


def nifti_without_checksum(folder):
    path = saved(small_head(), folder, "a.nii.gz")
    path.write_bytes(path.read_bytes()[:-4])
    return path


def damaged_packed_nifti(folder):
    path = saved(small_head(), folder, "a.nii.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


def cut_nifti_header(folder):
    return written(folder, "a.nii.gz", gzip.compress(bodies.nifti_bytes(small_head().array, SROW)[:347]))


def huge_nifti(folder):
    data = bodies.nifti_bytes(small_head().array, SROW, size=(30000, 30000, 30000))
    return written(folder, "a.nii", data)


def bare_large_nifti(folder):
    data = bodies.nifti_bytes(small_head().array, SROW, size=(1000, 1000, 1000))
    return written(folder, "a.nii.gz", gzip.compress(data))


def negative_size_nifti(folder):
    return written(folder, "a.nii", bodies.nifti_bytes(small_head().array, SROW, size=(48, -48, 12)))


def zero_sform(folder):
    return written(folder, "a.nii", bodies.nifti_bytes(small_head().array, np.zeros((3, 4))))


def nan_sform(folder):
    return written(folder, "a.nii", bodies.nifti_bytes(small_head().array, SROW * np.nan))


def flat_sform(folder):
    flat = SROW.copy()
    flat[2, 2], flat[1, 2] = 0, 9
    return written(folder, "a.nii", bodies.nifti_bytes(small_head().array, flat))


def zero_pixdim(folder):
    return written(folder, "a.nii", bodies.nifti_bytes(small_head().array, None, pixdim=(0, 4, 9)))


def cut_nrrd(folder):
    return cut(saved(small_head(), folder))


def cut_packed_nrrd(folder):
    return cut(saved(small_head(), folder, compress=True))


def cut_metaimage(folder):
    return cut(saved(small_head(), folder, "a.mha"))


def metaimage_without_data(folder):
    path = saved(small_head(), folder, "a.mhd")
    (folder / "a.raw").unlink()
    return path


def huge_nrrd(folder):
    return edited(saved(small_head(), folder), "sizes: 48 48 12", "sizes: 48000 48000 12000")


def large_cut_metaimage(folder):
    return edited(saved(small_head(), folder, "a.mha"), "DimSize = 48 48 12", "DimSize = 1000 1000 999")


def zero_spacing_nrrd(folder):
    return edited(saved(small_head(), folder), "(0,0,9)", "(0,0,0)")


def zero_spacing_metaimage(folder):
    return edited(
        saved(small_head(), folder, "a.mha"), "ElementSpacing = 4 4.5 9", "ElementSpacing = 4 4.5 0"
    )


def nan_spacing_metaimage(folder):
    return edited(
        saved(small_head(), folder, "a.mha"), "ElementSpacing = 4 4.5 9", "ElementSpacing = 4 nan 9"
    )


def nrrd_without_end(folder):
    """ITK's reader crashes at it."""
    path = saved(small_head(), folder)
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0])
    return path


def nrrd_of_another_folder(folder):
    header = saved(small_head(), folder, "a.nhdr")
    return edited(header, "data file: ", "data file: ../secret/")


def metaimage_of_another_folder(folder):
    return edited(
        saved(small_head(), folder, "a.mhd"), "ElementDataFile = a.raw", "ElementDataFile = /etc/a.raw"
    )


def metaimage_of_a_list(folder):
    return edited(saved(small_head(), folder, "a.mhd"), "ElementDataFile = a.raw", "ElementDataFile = LIST")


def giant_spacing(folder):
    return edited(saved(small_head(), folder), "(0,0,9)", "(0,0,9000)")


BAD: list[tuple[Callable[[Path], Path], str]] = [
    (nothing, "no file or folder none.nii.gz"),
    (empty_folder, "no DICOM image"),
    (folder_of_text, "no DICOM image"),
    (empty_file, "is empty"),
    (picture, "neither DICOM, NIfTI"),
    (random_bytes, "neither DICOM, NIfTI"),
    (cut_nifti, "cut off or damaged"),
    (cut_packed_nifti, "cut off or damaged"),
    (nifti_without_checksum, "cut off or damaged"),
    (damaged_packed_nifti, "cut off or damaged"),
    (cut_nifti_header, "cut off within its header"),
    (huge_nifti, "more than 4 GiB"),
    (bare_large_nifti, "far smaller"),
    (negative_size_nifti, "not one volume"),
    (zero_sform, "impossible voxel spacing"),
    (nan_sform, "no number"),
    (flat_sform, "in one plane"),
    (zero_pixdim, "impossible voxel spacing"),
    (cut_nrrd, "cannot be read as NRRD"),
    (cut_packed_nrrd, "cannot be read as NRRD"),
    (cut_metaimage, "cannot be read as MetaImage"),
    (metaimage_without_data, "cannot be read as MetaImage"),
    (huge_nrrd, "more than 4 GiB"),
    (large_cut_metaimage, "far smaller"),
    (zero_spacing_nrrd, "no number|impossible voxel spacing"),
    (zero_spacing_metaimage, "impossible voxel spacing"),
    (nan_spacing_metaimage, "no number|impossible voxel spacing"),
    (giant_spacing, "impossible voxel spacing"),
    (nrrd_without_end, "header that cannot be read"),
    (nrrd_of_another_folder, "another folder"),
    (metaimage_of_another_folder, "another folder"),
    (metaimage_of_a_list, "several files"),
]


@pytest.mark.parametrize(("build", "pattern"), BAD, ids=name_of)
def test_bad_input_gets_one_sentence(build, pattern, tmp_path):
    refused(build(tmp_path), pattern, tmp_path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "000.dcm"])
def test_damaged_headers_never_end_otherwise(name, tmp_path):
    """Thirty files with a few random bytes in their headers: read, or refused with one sentence."""
    if name == "000.dcm":
        folder = dicom_factory.write_series(tmp_path, small_head(), places=range(3))
    else:
        saved(small_head(), tmp_path, name, compress=True)
    rng = np.random.default_rng(len(name))
    whole = (tmp_path / name).read_bytes()
    for _ in range(30):
        data = bytearray(whole)
        for place in rng.integers(0, 400, 3):
            data[place] = rng.integers(0, 256)
        (tmp_path / name).write_bytes(data)
        try:
            read_ct(folder if name == "000.dcm" else tmp_path / name)
        except InputError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 250


def test_reading_is_quiet_about_damage(tmp_path, capfd):
    for build in (cut_nifti, cut_packed_nrrd, nan_sform, zero_sform):
        folder = tmp_path / build.__name__
        folder.mkdir()
        with pytest.raises(InputError):
            read_image(build(folder))
    out, err = capfd.readouterr()
    assert out + err == ""
