"""The check of data sets: faults of one layout and of splits, and the command."""

import argparse
import shutil

import numpy as np
import pytest
from check_cases import broken, empty, faults_of, good, image, nan, rewrite  # noqa: F401
from HemoCAMLib.datasets.check import inspect_files, inspect_voxels
from HemoCAMLib.datasets.folders import Reading
from HemoCAMLib.doors import check
from HemoCAMLib.errors import Cancelled
from HemoCAMLib.volumes.files import read_image, write_image
from HemoCAMLib.volumes.volume import Volume
from labelled_sets import change_rows

# ---- faults of one layout


def test_a_mask_that_lies_elsewhere(broken):
    folder = broken("volumes")
    path = image(folder, 1, mask=True)
    volume = read_image(path)
    moved = volume.ijk_to_ras.copy()
    moved[2, 3] += 9
    write_image(Volume(volume.array, moved), path)
    assert faults_of(folder) == [
        "masks/phantom-00001.nii.gz has as many voxels as its scan, but lies 9.0 mm beside it; correct the position "
        "in its header."
    ]
    folder = broken("ct-ich")
    write_image(Volume(read_image(image(folder, 1, True)).array, np.eye(4)), image(folder, 1, True))
    inspection = inspect_files(folder)
    assert inspection.faults == [] and "masks/001.nii states another position" in inspection.notes[0]


def test_slices_counted_from_the_other_end(broken):
    folder = broken("volumes")

    def turn(rows):
        for row in rows:
            row["slice_number"] = 17 - int(row["slice_number"])

    change_rows(folder / "slices.csv", turn)
    found = faults_of(folder)
    assert len(found) == 3 and all(
        "counted from the other end; correct the slice numbers" in f for f in found
    )
    for mask in (False, True):
        for number in range(1, 5):  # stored from head to feet: the table's numbers are the file's
            path = image(folder, number, mask)
            volume = read_image(path)
            affine = volume.ijk_to_ras.copy()
            affine[:3, 3] += affine[:3, 2] * (len(volume.array) - 1)
            affine[:3, 2] *= -1
            write_image(Volume(volume.array[::-1].copy(), affine), path)
    found = faults_of(folder)
    assert len(found) == 3 and all("use the option --file-order" in fault for fault in found)
    assert faults_of(folder, reading=Reading(file_order=True)) == []


def test_labels_of_slices_that_are_not_there(broken):
    folder = broken("volumes")
    with (folder / "slices.csv").open("a") as stream:
        stream.write("phantom-00001,17,0,0,0,0,0,0\nphantom-00001,0,0,0,0,0,0,0\n")
    (fault,) = faults_of(folder)
    assert fault.startswith(
        "images/phantom-00001.nii.gz has 16 slices, yet the table labels slice 0 (and 1 more)"
    )


def test_scans_and_slices_under_two_names(broken):
    folder = broken("volumes")
    write_image(read_image(image(folder, 1)), folder / "images" / "phantom-00001.nrrd")
    (fault,) = faults_of(folder)
    assert "images/phantom-00001.nii.gz and images/phantom-00001.nrrd are the same scan" in fault
    folder = broken("hemorica")
    shutil.copy(image(folder, 1), folder / "images" / "phantom-00001_006.npy")
    (fault,) = faults_of(folder)
    assert "phantom-00001_006.npy and images/phantom-00001_6.npy are the same slice" in fault


def test_huge_headers_are_refused_at_once(broken):
    folder = broken("ct-ich")
    path = image(folder, 1)
    data = bytearray(path.read_bytes())
    data[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    path.write_bytes(data)
    inspection = inspect_files(folder)
    assert inspection.faults == [
        "ct_scans/001.nii claims to hold 30000 x 30000 x 30000 voxels, more than 4 GiB: too large, or damaged."
    ]


def test_a_stopped_set_of_virtual_patients(broken):
    folder = broken("volumes")
    (folder / "dataset.json").write_text('{"complete": false}')
    assert faults_of(folder) == [
        "dataset.json says that the making was stopped; run `hemocam phantom` again."
    ]


def test_several_tables_and_none(broken):
    folder = broken("hemorica")
    (folder / "slices.csv").rename(folder / "a.csv")
    assert faults_of(folder) == []
    shutil.copy(folder / "a.csv", folder / "b.csv")
    assert "several CSV files (a.csv, b.csv)" in faults_of(folder)[0]
    for name in "ab":
        (folder / f"{name}.csv").unlink()
    assert faults_of(folder) == ["hemorica lacks slices.csv, the table of slice labels."]


# ---- splits


def splits_file(folder, text):
    path = folder / "splits.csv"
    path.write_text("patient,split\n" + text)
    return path


def test_splits_that_leak_or_lack(good, tmp_path):
    text = "".join(f"phantom-{n:05d},{s}\n" for n, s in ((1, "train"), (1, "test"), (2, "test"), (9, "val")))
    found = faults_of(good / "volumes", splits_file(tmp_path, text))
    assert len(found) == 5
    assert "puts the patient phantom-00001 into train and test: it leaks" in found[0]
    assert "'phantom-00009', who is not in the data set" in found[1]
    assert "does not say in which split phantom-00003" in found[2]
    assert "phantom-00004" in found[3] and found[4].startswith(
        "The split test has no patient with a hemorrhage"
    )
    assert faults_of(good / "volumes", tmp_path / "nowhere.csv") == [
        "nowhere.csv cannot be read as CSV (No such file or directory)."
    ]


def test_good_splits_are_in_the_summary(good, tmp_path):
    text = "".join(f"phantom-{n:05d},{s}\n" for n, s in ((1, "train"), (2, "train"), (3, "val"), (4, "test")))
    inspection = inspect_files(good / "hemorica", None, splits_file(tmp_path, text))
    inspect_voxels(inspection)
    assert inspection.faults == []
    assert "2 train (1 bleeding), 1 validation (1 bleeding), 1 test (1 bleeding)" in inspection.summary()[-1]


# ---- the command


def command(arguments):
    parser = argparse.ArgumentParser()
    own = check.add_to(parser.add_subparsers())
    own.add_argument("--quiet", action="store_true")
    options = parser.parse_args(["check", *map(str, arguments), "--quiet"])
    return options.run(options, arguments)


def test_the_command_lists_everything_and_ends_with_2(good, broken, capsys):
    assert command([good / "hemorica"]) == 0
    assert "No fault found." in capsys.readouterr().out
    folder = broken("hemorica")
    empty(image(folder, 1))
    nan(image(folder, 3))
    nan(image(folder, 3, slice_number=9))
    image(folder, 4, mask=True, slice_number=5).unlink()
    rewrite(image(folder, 4, mask=True, slice_number=9), lambda m: np.full_like(m, 77))
    rewrite(image(folder, 4, mask=True, slice_number=1), lambda m: np.full_like(m, 78))
    assert command([folder, "--layout", "hemorica"]) == 2
    lines = capsys.readouterr().out.splitlines()
    for wanted in (
        "images/phantom-00001_6.npy is empty.",
        "images/phantom-00003_6.npy holds 1 pixels that are no numbers (NaN or infinite).",
        "images/phantom-00003_9.npy holds 1 pixels that are no numbers (NaN or infinite).",
        "images/phantom-00004_5.npy has no mask in masks.",
        "masks/phantom-00004_9.npy holds the label 77, which nothing names; add its meaning to the mapping file.",
        "masks/phantom-00004_1.npy holds the label 78, which nothing names; add its meaning to the mapping file.",
    ):
        assert wanted in lines
    assert len(lines) > 8 and lines[-1] == "6 faults found."


def test_options_of_reading_reach_the_reader(good, capsys):
    options = ["--pixel-mm", "0.5", "--slice-mm", "5", "--images", "images", "--masks", "masks"]
    tables = ["--tables", good / "hemorica" / "slices.csv", "--labels", good / "hemorica" / "labels.json"]
    assert command([good / "hemorica", *options, *tables]) == 0


def test_a_stop_is_a_stop(good):
    def stop(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        inspect_files(good / "volumes", progress=stop)
    with pytest.raises(Cancelled):
        inspect_voxels(inspect_files(good / "volumes"), stop)
