"""The check of data sets: each kind of fault has its sentence, names the file, and hides no other fault."""

import gzip
import json
import re
import shutil

import labelled_sets
import numpy as np
import pytest
from check_cases import LAYOUTS, broken, empty, faults_of, good, image, nan, rewrite  # noqa: F401
from HemoCAMLib.datasets.check import inspect_files, inspect_voxels
from labelled_sets import IMAGES, SUFFIX, TABLES, change_rows


def called(path):
    return f"{path.parent.name}/{path.name}"


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


def cut(path):
    data = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(data)[:-999]) if data[:2] == b"\x1f\x8b" else data[:-99])


def garbage(path):
    path.write_bytes(b"GIF89a, and more of that kind" * 30)


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
