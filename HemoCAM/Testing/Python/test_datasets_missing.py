"""Readers of data sets: what is not there, lies elsewhere, or comes from anywhere."""

import json

import bodies
import labelled_sets
import numpy as np
import pytest
from datasets_cases import flags_of
from HemoCAMLib.datasets.case import Case
from HemoCAMLib.datasets.digest import digest
from HemoCAMLib.datasets.finding import find, open_data_set
from HemoCAMLib.datasets.folders import Reading
from HemoCAMLib.datasets.layouts import LABELS
from HemoCAMLib.datasets.slice_table import CLASSES
from HemoCAMLib.errors import Cancelled, InputError, OptionError
from HemoCAMLib.volumes.files import write_image
from labelled_sets import write_set

# ---- what is not there


def test_slices_called_clean_need_no_mask(tmp_path):
    patients = write_set(tmp_path, "hemorica")
    for path in (tmp_path / "masks").glob("phantom-00002_*.npy"):
        path.unlink()
    (tmp_path / "masks" / "phantom-00001_1.npy").unlink()
    cases = open_data_set(tmp_path).cases
    for case, (_, labels) in zip(cases, patients, strict=True):
        assert np.array_equal(case.load().labels.array, labels.array)
    (tmp_path / "masks" / "phantom-00001_6.npy").unlink()
    with pytest.raises(InputError, match=r"images/phantom-00001_6\.npy has no mask in masks\."):
        open_data_set(tmp_path)
    case = open_data_set(tmp_path, Reading(masks_needed=False)).cases[0]
    read = case.load()
    assert read.labels is None and np.array_equal(read.slice_labels, flags_of(patients[0][1]))


def test_without_a_table_the_masks_tell_the_slices(tmp_path):
    patients = write_set(tmp_path)
    (tmp_path / "slices.csv").unlink()
    for case, (_, labels) in zip(open_data_set(tmp_path).cases, patients, strict=True):
        assert np.array_equal(case.load().slice_labels, flags_of(labels))
    (tmp_path / "labels.json").write_text('{"hemorrhage": 1}')
    for path in (tmp_path / "masks").iterdir():
        path.unlink()
    for number, (_, labels) in enumerate(patients, start=1):
        write_image(
            labels.like((labels.array > 0).astype(np.uint8), ""), tmp_path / f"masks/phantom-{number:05d}.nii"
        )
    first = open_data_set(tmp_path).cases[0].load()
    assert not first.kinds_known
    positive = first.slice_labels[:, 0] == 1
    assert np.isnan(first.slice_labels[positive, 1:]).all() and (first.slice_labels[~positive] == 0).all()


def test_a_table_may_name_some_slices_only(tmp_path):
    patients = write_set(tmp_path, "hemorica")
    labelled_sets.change_rows(
        tmp_path / "slices.csv", lambda rows: [r for r in rows if int(r["slice_number"]) % 3 == 1]
    )
    data, found = find(tmp_path)
    assert not found.faults and any("left out" in note for note in found.notes)
    assert any("gaps" in note for note in found.notes)
    read = data.cases[0].load()
    assert list(read.slice_numbers) == [1, 4, 7, 10, 13, 16]
    assert np.array_equal(read.ct.array, patients[0][0].array[::3])
    assert np.array_equal(read.slice_labels, flags_of(patients[0][1])[::3])


# ---- spacing of slices that do not say theirs


def test_spacing_is_asked_for_then_read_then_assumed(tmp_path):
    write_set(tmp_path, "hemorica", count=2)
    asked = open_data_set(tmp_path, Reading(pixel_mm=0.5)).cases[0].load()
    assert asked.ct.spacing == pytest.approx([0.5, 0.5, bodies.SPACING[2]]) and asked.spacing_known
    stated = open_data_set(tmp_path).cases[1].load()
    assert stated.ct.spacing == pytest.approx([bodies.SPACING[0]] * 2 + [bodies.SPACING[2]])
    (tmp_path / "patients.csv").unlink()
    data, found = find(tmp_path)
    assert [note for note in found.notes if "240 mm" in note and "--pixel-mm" in note]
    assumed = data.cases[0].load()
    assert not assumed.spacing_known and assumed.ct.spacing == pytest.approx([240 / 48, 240 / 48, 5])
    assert np.allclose(np.sign(np.diag(assumed.ct.ijk_to_ras)), [-1, -1, 1, 1])
    with pytest.raises(OptionError, match="--slice-mm 0"):
        open_data_set(tmp_path, Reading(slice_mm=0.0))
    (tmp_path / "patients.csv").write_text("patient,pixel_mm,slice_mm\nphantom-00001,none,5\n")
    with pytest.raises(InputError, match=r"patients\.csv gives 'phantom-00001' no spacing"):
        open_data_set(tmp_path)


# ---- other folders, other people


def test_folders_and_tables_may_lie_elsewhere(tmp_path):
    patients = write_set(tmp_path / "a", "hemorica", count=2)
    (tmp_path / "a" / "masks").rename(tmp_path / "drawn")
    rows = (tmp_path / "a" / "slices.csv").read_text().splitlines()
    half = 1 + len(patients[0][0].array)
    (tmp_path / "train.csv").write_text("\n".join(rows[:half]))
    (tmp_path / "test.csv").write_text("\n".join([rows[0], *rows[half:]]))
    (tmp_path / "a" / "slices.csv").unlink()
    reading = Reading(masks=tmp_path / "drawn", tables=(tmp_path / "train.csv", tmp_path / "test.csv"))
    data = open_data_set(tmp_path / "a", reading)
    assert len(data) == 2 and np.array_equal(data.cases[1].load().labels.array, patients[1][1].array)
    (tmp_path / "test.csv").write_text("\n".join([rows[0], rows[1], *rows[half:]]))
    with pytest.raises(InputError, match="both name slice 1 of phantom-00001"):
        open_data_set(tmp_path / "a", reading)


def test_several_scans_of_a_patient(tmp_path):
    write_set(tmp_path)
    (tmp_path / "cases.csv").write_text("case,patient\nphantom-00001,Q\nphantom-00003,Q\n")
    data = open_data_set(tmp_path)
    assert [case.patient for case in data.cases] == ["Q", "phantom-00002", "Q"]
    assert data.patients == ("Q", "phantom-00002")


def test_links_hidden_files_and_strangers(tmp_path):
    write_set(tmp_path)
    (tmp_path / "images" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "images" / "notes.txt").write_text("x")
    data, found = find(tmp_path)
    assert (
        len(data) == 3
        and found.faults == []
        and found.notes == ["images/notes.txt is no scan and is passed over."]
    )


# ---- the fingerprint


def test_the_fingerprint_is_of_the_content(tmp_path):
    for name in ("one", "two"):
        write_set(tmp_path / name)
    first, second = (open_data_set(tmp_path / name) for name in ("one", "two"))
    steps = []
    known = digest(first, lambda *step: steps.append(step))
    assert digest(second) == known and len(known) == 64 and steps
    assert all(done <= total for _, done, total in steps)
    (tmp_path / "two" / "overview.png").write_bytes(b"nothing that a result depends on")
    assert digest(open_data_set(tmp_path / "two")) == known
    path = tmp_path / "two" / "masks" / "phantom-00002.nii.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    changed = digest(second)
    assert changed != known
    (tmp_path / "two" / "labels.json").write_text(json.dumps(LABELS))
    assert digest(second) not in (known, changed)

    def stop(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        digest(first, stop)
    path.unlink()
    with pytest.raises(InputError, match=r"masks/phantom-00002\.nii\.gz cannot be read"):
        digest(second)


def test_classes_are_those_of_the_model():
    from HemoCAMLib.training.samples import CLASSES as TRAINED

    assert tuple(CLASSES) == tuple(TRAINED)


# ---- headers from anywhere


def secret_beside(tmp_path):
    """A good raw file outside the data set."""
    ct, _ = labelled_sets.patient(1)
    ct.array.tofile(tmp_path / "secret.raw")
    return ct


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_voxels_in_another_file_are_not_fetched(tmp_path, name):
    secret_beside(tmp_path)
    text = {
        "a.nrrd": "NRRD0004\ntype: short\ndimension: 3\nsizes: 48 48 16\nencoding: raw\nendian: little\n"
        "data file: ../../secret.raw\n\n",
        "a.mha": "ObjectType = Image\nNDims = 3\nDimSize = 48 48 16\nElementType = MET_SHORT\n"
        "ElementDataFile = ../../secret.raw\n",
    }[name]
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "images" / name).write_text(text)
    case = open_data_set(tmp_path / "set", Reading(masks_needed=False)).cases[0]
    with pytest.raises(InputError, match=rf"images/{name} keeps its voxels in another file"):
        case.load()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_damaged_headers_never_end_otherwise(tmp_path, name):
    """A header without its end crashes ITK's reader of NRRD: it must not get there."""
    ct, _ = labelled_sets.patient(1)
    path = tmp_path / name
    write_image(ct, path)
    whole, rng = path.read_bytes(), np.random.default_rng(len(name))
    contents = [whole.replace(b"\n\n", b"\n1"), whole.replace(b"LOCAL\n", b"LOCAL")]
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, min(400, len(whole)), 4):
            content[place] = rng.integers(0, 256)
        contents.append(bytes(content))
    case = Case("a", "a", (path,), (None,), truth={1: (0,) * 6})
    refused = 0
    for content in contents:
        path.write_bytes(content)
        try:
            case.load()
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{tmp_path.name}/{name}") and "\n" not in str(error)
    assert refused > 5
