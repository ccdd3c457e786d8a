"""The check of data sets: each kind of fault has its sentence, names the file, and hides no other fault."""

import argparse
import gzip
import json
import re
import shutil

import labelled_sets
import numpy as np
import pytest
from HemoCAMLib.datasets.check import inspect_files, inspect_voxels
from HemoCAMLib.datasets.folders import Reading
from HemoCAMLib.doors import check
from HemoCAMLib.errors import Cancelled
from HemoCAMLib.volumes.files import read_image, write_image
from HemoCAMLib.volumes.volume import Volume
from labelled_sets import IMAGES, SUFFIX, TABLES, change_rows, write_set

LAYOUTS = ("volumes", "hemorica", "ct-ich")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    for name in LAYOUTS:
        write_set(folder / name, name, count=4)
    return folder


@pytest.fixture
def broken(good, tmp_path):
    """Copy the good set of a layout, to be broken."""

    def copy(name):
        shutil.copytree(good / name, tmp_path / name)
        return tmp_path / name

    return copy


def faults_of(folder, splits=None, reading=None):
    inspection = inspect_files(folder, reading, splits)
    inspect_voxels(inspection)
    for sentence in (*inspection.faults, *inspection.notes):
        assert "\n" not in sentence and sentence.endswith(".") and len(sentence) < 300
    return inspection.faults


def image(folder, number, mask=False, slice_number=6):
    """A file of patient ``number`` in a set of any layout."""
    name = folder.name
    stem = f"{number:03d}" if name == "ct-ich" else f"phantom-{number:05d}"
    stem += f"_{slice_number}" if name == "hemorica" else ""
    return folder / ("masks" if mask else IMAGES.get(name, "images")) / f"{stem}.{SUFFIX[name]}"


def called(path):
    return f"{path.parent.name}/{path.name}"


def rewrite(path, change):
    """Change the voxels of a volume or of a slice."""
    if path.suffix == ".npy":
        np.save(path, change(np.load(path)))
    else:
        volume = read_image(path)
        write_image(Volume(change(volume.array), volume.ijk_to_ras), path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_good_set_has_no_fault_and_a_summary(good, name):
    inspection = inspect_files(good / name)
    steps = []
    inspect_voxels(inspection, lambda *step: steps.append(step))
    assert (inspection.faults, inspection.notes) == ([], [])
    expected = np.zeros(6, int)
    for number in range(1, 5):
        labels = labelled_sets.patient(number)[1].array
        expected += [(labels > 0).any((1, 2)).sum(), *((labels == k).any((1, 2)).sum() for k in range(1, 6))]
    assert inspection.slices_with.tolist() == expected.tolist() and inspection.cases_with[0] == 3
    text = "\n".join(inspection.summary())
    assert f"4 scans of 4 patients (layout {name})" in text and f"64 slices, {expected[0]} of them" in text
    assert f"subdural: {expected[5]} slices in 1 scans" in text
    assert steps[-1] == ("Reading voxels", 4, 4)


# ---- faults of files, in every layout


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    data = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(data)[:-999]) if data[:2] == b"\x1f\x8b" else data[:-99])


def garbage(path):
    path.write_bytes(b"GIF89a, and more of that kind" * 30)


def nan(path):
    def change(array):
        array = array.astype(np.float32)
        array.flat[5] = np.nan
        return array

    rewrite(path, change)


def smaller(path):
    rewrite(path, lambda array: array[..., :-1].copy())


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("mask", [False, True], ids=["scan", "mask"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (empty, "is empty"),
        (cut, "is cut off"),
        (garbage, "is (neither NIfTI|no .npy file)"),
        (nan, "that are no numbers"),
    ],
)
def test_a_damaged_file_is_named(broken, name, mask, damage, words):
    folder = broken(name)
    path = image(folder, 1, mask)
    damage(path)
    found = faults_of(folder)
    assert len(found) == 1
    assert found[0].startswith(called(path))
    assert re.search(words, found[0])


@pytest.mark.parametrize("name", LAYOUTS)
def test_shapes_that_differ(broken, name):
    folder = broken(name)
    smaller(image(folder, 3, mask=True))
    (fault,) = faults_of(folder)
    assert fault.startswith(called(image(folder, 3, mask=True))) and "its scan" in fault and "47" in fault


@pytest.mark.parametrize("name", LAYOUTS)
def test_missing_and_stray_files(broken, name):
    folder = broken(name)
    image(folder, 1, mask=True).unlink()
    shutil.copy(image(folder, 2, mask=True), folder / "masks" / f"stranger_1.{SUFFIX[name]}")
    image(folder, 3).unlink()
    found = faults_of(folder)
    table = TABLES.get(name, "slices.csv")
    assert f"{called(image(folder, 1))} has no mask in masks." in found
    assert f"masks/stranger_1.{SUFFIX[name]} is a mask without a scan of the same name." in found
    assert f"{called(image(folder, 3, mask=True))} is a mask without a scan of the same name." in found
    assert any(table in fault and "3" in fault for fault in found) and len(found) == 4


@pytest.mark.parametrize("name", LAYOUTS)
def test_values_that_are_no_hu(broken, name):
    folder = broken(name)
    for path in (folder / IMAGES.get(name, "images")).iterdir():
        if f"{1:03d}" in path.name:
            rewrite(path, lambda array: (array + 1024).astype(np.int16))
    (fault,) = faults_of(folder)
    assert called(image(folder, 1, slice_number=1)) in fault and "HU" in fault


@pytest.mark.parametrize("name", LAYOUTS)
def test_unknown_labels(broken, name):
    folder = broken(name)
    rewrite(image(folder, 1, mask=True), lambda array: np.where(array > 0, 9, array).astype(np.uint8))
    (fault,) = faults_of(folder)
    assert fault.startswith(f"{called(image(folder, 1, mask=True))} holds the label 9, which nothing names")


@pytest.mark.parametrize("name", LAYOUTS)
def test_slice_labels_against_masks(broken, name):
    folder = broken(name)
    number = "PatientNumber" if name == "ct-ich" else "patient_name"
    kinds = ["Subdural", "Epidural"] if name == "ct-ich" else ["subdural", "epidural"]

    def change(rows):
        for row in rows:
            slice_number = int(row.get("slice_number") or row.get("SliceNumber"))
            if int(row[number][-3:]) == 3 and slice_number in (2, 7):  # free, and bleeding
                row[kinds[0]] = int(slice_number == 2)
                row["No_Hemorrhage" if name == "ct-ich" else "hemorrhage_binary"] = int(
                    (slice_number == 2) != (name == "ct-ich")
                )
            if int(row[number][-3:]) == 1 and slice_number == 8:  # epidural and intraparenchymal
                row[kinds[1]] = 0

    table = folder / TABLES.get(name, "slices.csv")
    change_rows(table, change)
    found = faults_of(folder)
    first = called(image(folder, 3, mask=True, slice_number=1))
    assert f"{first} shows a hemorrhage on slice 7, {table.name} says otherwise." in found
    assert f"{first} does not show a hemorrhage on slice 2, {table.name} says otherwise." in found
    if name != "ct-ich":  # its masks do not tell kinds
        kind = called(image(folder, 1, mask=True, slice_number=1))
        assert f"{kind} shows epidural hemorrhage on slice 8, {table.name} says otherwise." in found
    assert len(found) == (2 if name == "ct-ich" else 3)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_scan_twice(broken, name):
    folder = broken(name)
    for number in range(1, 17) if name == "hemorica" else (1,):
        for mask in (False, True):
            first, third = (image(folder, n, mask, number) for n in (1, 3))
            shutil.copy(first, third)
    found = [fault for fault in faults_of(folder) if "the same" in fault]
    assert len(found) == 1 and called(image(folder, 3, slice_number=1)) in found[0]
    assert called(image(folder, 1, slice_number=1)) in found[0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_hemorrhage_at_all(broken, name):
    folder = broken(name)
    (folder / TABLES.get(name, "slices.csv")).unlink()
    for path in (folder / "masks").iterdir():
        rewrite(path, np.zeros_like)
    rows = {
        "hemorica": ["patient_name,slice_number,hemorrhage_binary"]
        + [f"phantom-{p:05d},{n},0" for p in range(1, 5) for n in range(1, 17)],
        "ct-ich": [
            "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,No_Hemorrhage"
        ]
        + [f"{p},{n},0,0,0,0,0,1" for p in range(1, 5) for n in range(1, 17)],
    }
    if name in rows:
        (folder / TABLES.get(name, "slices.csv")).write_text("\n".join(rows[name]))
    (fault,) = faults_of(folder)
    assert fault.startswith(f"{name} has no slice with a hemorrhage")


@pytest.mark.parametrize("name", ["volumes", "hemorica"])
def test_masks_that_cannot_be_theirs(broken, name):
    folder = broken(name)
    (folder / "labels.json").write_text(json.dumps({"hemorrhage": 1}))
    (folder / TABLES.get(name, "slices.csv")).unlink()

    def of(value, corner):
        def change(array):
            array = np.full_like(array, 1 - value)
            array[..., corner : corner + 3, corner : corner + 3] = value
            return array

        return change

    for path in (folder / "masks").iterdir():
        number = int(path.name[12])
        rewrite(path, of(0, 20) if number == 1 else of(1, 0) if number == 2 else of(1, 24))
    if name == "hemorica":
        rows = [f"phantom-{p:05d},{n},1" for p in range(1, 5) for n in range(1, 17)]
        (folder / "slices.csv").write_text("\n".join(["patient_name,slice_number,hemorrhage_binary", *rows]))
    inverted, air = faults_of(folder)
    assert called(image(folder, 1, True, 1)) in inverted and "inverted" in inverted
    assert called(image(folder, 2, True, 1)) in air and "labels air" in air


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
