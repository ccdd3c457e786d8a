"""DICOM that is no stack of CT slices, or damaged: one sentence each; and what is passed over."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dicom_factory
import numpy as np
import pytest
from damage import (
    SMALL,
    cut,
    name_of,
    one_sentence,
    refused,
    series,
    small_head,
)
from HemoCAMLib.errors import InputError
from HemoCAMLib.volumes.reading import read_ct


def mr_series(folder):
    return series(folder, t00080060="MR", t00080016="1.2.840.10008.5.1.4.1.1.4")


def localizer_only(folder):
    return series(folder, t00080008="ORIGINAL\\PRIMARY\\LOCALIZER")


def one_dicom_slice(folder):
    return dicom_factory.write_series(folder / "d", small_head(), places=[5])


def one_dicom_file(folder):
    return one_dicom_slice(folder) / "000.dcm"


def two_dicom_slices(folder):
    return dicom_factory.write_series(folder / "d", small_head(), places=[5, 6])


def cut_dicom(folder):
    cut(series(folder) / "005.dcm", 0.7)
    return folder / "d"


def cut_dicom_file(folder):
    return cut(series(folder) / "005.dcm", 0.7)


def dicom_without_rescale(folder):
    shifted = replace(small_head(), array=small_head().array + np.int16(1024))
    tags = {"t00281052": None, "t00281053": None}
    return dicom_factory.write_series(folder / "d", shifted, **tags)


def scattered_slices(folder):
    head = small_head()
    for place in range(SMALL[0]):
        affine = head.ijk_to_ras.copy()
        affine[0, 3] += 30 * (place % 3)
        dicom_factory.write_slice(folder / f"{place}.dcm", head.array[place], affine, place, number=place + 1)
    return folder


def multiframe_without_positions(folder):
    dicom_factory.write_multiframe(folder / "one.dcm", small_head().array.astype(int) + 1024, None)
    return folder / "one.dcm"


BAD: list[tuple[Callable[[Path], Path], str]] = [
    (mr_series, "modality MR"),
    (localizer_only, "localizers"),
    (one_dicom_slice, "only one slice"),
    (one_dicom_file, "only one slice"),
    (two_dicom_slices, "only 2 axial slices"),
    (cut_dicom, "005.dcm is cut off"),
    (cut_dicom_file, "005.dcm is cut off"),
    (dicom_without_rescale, "HU \\+ 1024"),
    (scattered_slices, "aside; choose another series"),
    (multiframe_without_positions, "multi-frame"),
]


@pytest.mark.parametrize(("build", "pattern"), BAD, ids=name_of)
def test_bad_input_gets_one_sentence(build, pattern, tmp_path):
    refused(build(tmp_path), pattern, tmp_path)


def test_series_that_is_not_there_names_those_that_are(tmp_path):
    dicom_factory.write_series(tmp_path / "a", small_head(), "1.200")
    dicom_factory.write_series(tmp_path / "b", small_head(), "1.300", t00080060="PT")
    with pytest.raises(InputError, match=r"No series here ends in \.7;.*\.200") as caught:
        read_ct(tmp_path, ".7")
    one_sentence(caught.value)
    with pytest.raises(InputError, match=r"\.300 is no CT .*modality PT") as caught:
        read_ct(tmp_path, ".300")


def test_a_loop_of_links_ends(tmp_path):
    folder = series(tmp_path)
    try:
        (folder / "loop").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no symbolic links")
    assert read_ct(folder).shape == SMALL


def test_reports_beside_the_images_are_passed_over(tmp_path):
    folder = series(tmp_path)
    report = bytearray((folder / "003.dcm").read_bytes()[:600])
    report = report.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.88")
    (folder / "report.dcm").write_bytes(report)
    assert read_ct(folder).shape == SMALL


def test_compressed_file_that_was_cut_off(cq500, tmp_path):
    for number in range(60, 66):
        shutil.copyfile(cq500 / f"CT{number:06d}.dcm", tmp_path / f"{number}.dcm")
    cut(tmp_path / "62.dcm")
    with pytest.raises(InputError, match=r"62\.dcm is cut off") as caught:
        read_ct(tmp_path)
    one_sentence(caught.value)
