"""Small labelled data sets on disk for tests: synthetic heads with drawn hemorrhages, in each layout."""

import csv

import bodies
import numpy as np
from HemoCAMLib.datasets.layouts import LABELS, layout, write_table

# what each patient has: kind, slices from and to, rows, columns
BLEEDINGS = (
    (("epidural", 5, 8, 14, 30), ("intraparenchymal", 7, 10, 20, 22)),
    (),
    (("subdural", 6, 9, 24, 28),),
    (("intraventricular", 8, 9, 22, 24), ("subarachnoid", 4, 6, 26, 20)),
)
TABLES = {"ct-ich": "hemorrhage_diagnosis_raw_ct.csv"}
IMAGES = {"ct-ich": "ct_scans"}
SUFFIX = {"ct-ich": "nii", "hemorica": "npy", "volumes": "nii.gz"}


def patient(number):
    """CT and labels of patient ``number``, counted from 1."""
    ct = bodies.head(bodies.SMALL, bodies.SPACING, seed=number)
    labels = np.zeros(ct.shape, np.uint8)
    for kind, first, last, row, column in BLEEDINGS[(number - 1) % len(BLEEDINGS)]:
        labels[first:last, row : row + 4, column : column + 4] = LABELS[kind]
    return ct, ct.like(labels, "hemorrhage")


def write_set(folder, name="volumes", count=3, file_format=None):
    """Write ``count`` patients; return their CTs and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    own, slices, patients = layout(name, file_format), [], []
    for number in range(1, count + 1):
        ct, labels = patient(number)
        slices += own.write_case(ct, labels, own.patient(number), folder)
        patients.append((ct, labels))
    own.write_tables(slices, folder)
    if name == "hemorica":
        rows = [[own.patient(n), bodies.SPACING[0], bodies.SPACING[2]] for n in range(1, count + 1)]
        write_table([["patient", "pixel_mm", "slice_mm"], *rows], folder / "patients.csv")
    return patients


def change_rows(path, change):
    """Rewrite a CSV: ``change`` gets the list of rows (dicts) and changes or returns it."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows, header = list(reader), reader.fieldnames
    rows = change(rows) or rows
    write_table([header, *([row[name] for name in header] for row in rows)], path)
