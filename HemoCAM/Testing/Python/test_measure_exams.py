"""``hemocam measure DATA``: labels find their slices, what does not fit is one sentence, and the command is whole."""

import csv
import json

import numpy as np
import pytest
from conftest import random_affine
from dicom_factory import write_series
from HemoCAMLib.doors.cli import main
from HemoCAMLib.errors import InputError
from HemoCAMLib.evaluation import exams as module
from HemoCAMLib.evaluation.exams import Exam, LabelTable, find_exams
from HemoCAMLib.evaluation.measure import measure_exams
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec, make_patient
from HemoCAMLib.volumes.axial import to_axial
from HemoCAMLib.volumes.dicom import read_dicom
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.volume import Volume


def write_labels(path, rows, header="head,file,any,subdural"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def numbered(count=9, step_mm=5.0, affine=None):
    """A stack whose slice k holds k everywhere."""
    array = np.tile(np.arange(count, dtype=np.int16)[:, None, None], (1, 8, 8))
    return Volume(array, np.diag([2.0, 2.0, step_mm, 1.0]) if affine is None else affine)


def placed(exam, ct):
    """The voxel value of the slice that each label lies on, by file or number, and its truth."""
    labels, aside = exam.slice_labels(ct, "any")
    axial, _ = to_axial(ct)
    values = axial.array[labels.slices, 0, 0]
    return dict(zip(values.tolist(), labels.truth.tolist(), strict=True)), labels, aside


@pytest.mark.parametrize("seed", range(4))
def test_files_find_their_slices_whatever_names_order_and_direction(tmp_path, seed):
    """Missing slices and mixed spacing: a file's place is its position, not its rank."""
    rng = np.random.default_rng(seed)
    places = [0, 2, 4, 6, 7, 8]  # two spacings, as in head CTs of 5 and 2.5 mm
    # with the rows from back to front, the volume's own slices run from superior to inferior
    affine = np.diag([2.0, -2.0 if seed % 2 else 2.0, -2.5 if seed == 3 else 2.5, 1.0])
    affine[:3, 3] = rng.uniform(-50, 50, 3)
    affine[1, 2] = 0.4 if seed > 1 else 0.0  # a tilted gantry
    order = rng.permutation(len(places))
    write_series(tmp_path / "h1", numbered(affine=affine), places=places, order=order)
    rows = [
        ("h1", f"{number:03d}.dcm", int(place in (4, 7)), "")
        for number, place in zip(order, places, strict=True)
    ]
    write_labels(tmp_path / "labels.csv", rng.permutation(np.array(rows, object)))
    (exam,) = find_exams(tmp_path)
    ct = read_dicom(exam.path)
    assert ct.shape[0] == 9 and not ct.acquired.all()
    found, labels, aside = placed(exam, ct)
    assert found == {0: 0, 2: 0, 4: 1, 6: 0, 7: 1, 8: 0} and aside == 0
    assert (np.diff(labels.slices) > 0).all() and len(labels.files) == 6


def test_slice_numbers_count_acquired_slices_from_below(tmp_path):
    write_series(tmp_path / "h1", numbered(), places=[0, 1, 2, 3, 4, 6, 7, 8])
    write_labels(tmp_path / "l.csv", [("h1", n, int(n == 5)) for n in range(8)], "Patient,slice,any")
    (exam,) = find_exams(tmp_path, tmp_path / "l.csv")
    found, labels, _ = placed(exam, read_dicom(exam.path))
    assert found == {n: int(n == 6) for n in (0, 1, 2, 3, 4, 6, 7, 8)} and labels.files == ()


def test_slice_numbers_of_a_volume_count_from_below_however_it_is_stored(tmp_path):
    rng = np.random.default_rng(1)
    for _ in range(6):
        volume = numbered(affine=random_affine(rng, np.array([5.0, 5.0, 5.0])))
        axial, _ = to_axial(volume)
        count = axial.shape[0]
        exam = Exam("v", tmp_path, "slice", {str(n): (float(n == 2), *[0.0] * 5) for n in range(count)})
        labels, _ = exam.slice_labels(volume, "any")
        assert labels.slices.tolist() == list(range(count)) and labels.truth.argmax() == 2


def test_a_class_takes_the_labels_of_its_kind(tmp_path):
    truth = {"0": (1.0, *[0.0] * 4, 1.0), "1": (1.0, *[0.0] * 4, np.nan)}
    exam = Exam("v", tmp_path, "slice", truth)
    labels, _ = exam.slice_labels(numbered(2), "subdural")
    assert labels.truth[0] == 1 and np.isnan(labels.truth[1])
    assert exam.slice_labels(numbered(2), "epidural")[0].truth.tolist() == [0, 0]


def test_files_of_another_series_are_left_aside_and_counted(tmp_path):
    write_series(tmp_path / "h1", numbered())
    write_series(tmp_path / "h1", numbered(3), series="1.200", name="other{:03d}.dcm")
    rows = [("h1", p.name, 0, 0) for p in sorted((tmp_path / "h1").iterdir())]
    write_labels(tmp_path / "labels.csv", rows)
    (exam,) = find_exams(tmp_path)
    found, _, aside = placed(exam, read_dicom(exam.path))
    assert aside == 3 and len(found) == 9


def test_numbers_that_do_not_fit_the_scan_refuse_it(tmp_path):
    for count, words in ((10, "name slice 9"), (8, "lack slice 8")):
        exam = Exam("v", tmp_path, "slice", {str(n): (0.0,) * 6 for n in range(count)})
        with pytest.raises(InputError, match=f"9 slices, but the labels {words}"):
            exam.slice_labels(numbered(), "any")


def test_labels_read_names_and_kinds_of_all_spellings(tmp_path):
    path = write_labels(tmp_path / "l.csv", [("p1", "a.dcm", 1, 1, ""), ("p1", "b.dcm", "0.0", 0, 0)],
                        "Exam,File,Any,SDH,epidural")  # fmt: skip
    table = LabelTable.read(path)
    row = table.exams["p1"]["a.dcm"]
    assert row[0] == 1 and row[1 + KINDS.index("subdural")] == 1 and np.isnan(row[1])
    assert table.by == "file" and table.exams["p1"]["b.dcm"][0] == 0


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        ("head,file,any", [], "has no rows"),
        ("head,file,any,mass", [("h1", "000.dcm", 0, 1)], "'mass', which is no kind"),
        ("head,file,any,SDH,subdural", [("h1", "000.dcm", 0, 0, 0)], "names one twice"),
        ("head,file", [("h1", "000.dcm")], "lacks the column any"),
        ("name,file,any", [("h1", "000.dcm", 0)], "lacks a column head or"),
        ("head,any", [("h1", 0)], "lacks a column file or slice"),
        ("head,file,slice,any", [("h1", "000.dcm", 0, 0)], "more than one of the columns file or slice"),
        ("head,file,any", [("h1", "000.dcm", 2)], "Line 2 of labels.csv has '2'"),
        ("head,file,any", [("h1", "000.dcm", "")], "Line 2 of labels.csv has ''"),
        ("head,file,any", [("h1", "", 0)], "names no file"),
        ("head,file,any", [("h1", "000.dcm", 0), ("h1", "000.dcm", 1)], "a second time"),
        ("head,file,any,SDH", [("h1", "000.dcm", 0, 1)], "yet its any is 0"),
        ("head,slice,any", [("h1", "first", 0)], "'first' for a slice"),
        ("head,file,any", [("h1", "lost.dcm", 0)], "labels the file lost.dcm of h1, which is not there"),
        ("head,file,any", [("h1", f"00{n}.dcm", 0) for n in range(8)], "no row for the file 008.dcm of h1"),
        ("head,file,any", [("h2", "000.dcm", 0)], "labels h2, which is not in"),
    ],
)  # fmt: skip
def test_bad_labels_are_one_sentence(tmp_path, header, rows, words, capsys):
    write_series(tmp_path / "data" / "h1", numbered())
    write_labels(tmp_path / "data" / "labels.csv", rows, header)
    with pytest.raises(InputError, match=r"\.$") as error:
        find_exams(tmp_path / "data")
    assert words in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)


def test_exams_and_labels_have_to_fit(tmp_path):
    data = tmp_path / "data"
    with pytest.raises(InputError, match="no folder"):
        find_exams(data)
    write_series(data / "h1", numbered())
    with pytest.raises(InputError, match=r"There are no labels .*--labels"):
        find_exams(data)
    write_labels(data / "labels.csv", [("h1", f"00{n}.dcm", 0) for n in range(9)], "head,file,any")
    assert [e.name for e in find_exams(data)] == ["h1"]
    write_series(data / "h2", numbered())
    with pytest.raises(InputError, match="no row for the exam h2"):
        find_exams(data)
    write_image(numbered(), tmp_path / "one.nii.gz")
    (tmp_path / "volumes").mkdir()
    (tmp_path / "one.nii.gz").rename(tmp_path / "volumes" / "one.nii.gz")
    write_labels(tmp_path / "volumes" / "labels.csv", [("one", "x.dcm", 0)], "head,file,any")
    with pytest.raises(InputError, match="one file for all slices"):
        find_exams(tmp_path / "volumes")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no exam"):
        find_exams(tmp_path / "empty", data / "labels.csv")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two virtual exams as DICOM, one that bleeds, and a stack that is no head."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for name, seed, kinds in (("bleeds", 5, ("intraparenchymal",)), ("clean", 6, ())):
        patient = make_patient(
            PatientSpec(
                seed=seed, kinds=kinds, size=64, spacing_mm=3.6, slice_mm=10.0,
                lesion_ml=(40.0, 60.0) if kinds else None,
            )
        )  # fmt: skip
        count = patient.ct.shape[0]
        order = np.random.default_rng(seed).permutation(count)
        write_series(folder / name, patient.ct, order=order)
        area = (patient.labels.array > 0).sum(axis=(1, 2))
        for number, place in zip(order, range(count), strict=True):
            blood = int(area[place] > 2)
            rows.append((name, f"{number:03d}.dcm", blood, blood))
    write_series(folder / "nohead", numbered())
    rows += [("nohead", f"{n:03d}.dcm", 0, 0) for n in range(9)]
    write_labels(folder / "labels.csv", rows, "head,file,any,intraparenchymal")
    return folder


def test_one_exam_after_the_other_and_the_refused_are_named(data, tiny_bundle):
    told = []
    results, refused = measure_exams(find_exams(data), tiny_bundle, progress=lambda *a: told.append(a))
    assert [r.name for r in results] == ["bleeds", "clean"] and [r.number for r in refused] == [3]
    assert results[0].bleeds and results[1].clean and refused[0].reason.endswith(".")
    assert [(done, total) for _, done, total in told] == [(n, 3) for n in range(4)]
    # the slabs that bleed are those that the virtual patient's labels fill, in canonical order
    bleeding = np.flatnonzero(results[0].slab_truth == 1)
    assert (np.diff(bleeding) == 1).all() and len(bleeding) >= 4


def test_the_command_writes_a_whole_result(data, tiny_bundle, tmp_path, capfd):
    out = tmp_path / "out"
    call = ["measure", str(data), "--model", str(tiny_bundle.folder), "--output", str(out), "--quiet"]
    assert main(call) == 0
    said = capfd.readouterr().out
    assert "2 of 3 heads measured, 1 refused." in said and "Refused   head 3: " in said
    names = {p.name for p in out.iterdir()}
    assert names - {"worst.png"} == {"measures.json", "slices.csv", "heads.csv", "profile.csv", "report.md"}
    content = json.loads((out / "measures.json").read_text(encoding="utf-8"))
    assert content["counts"]["refused"] == 1 and content["counts"]["heads"] == 2
    with (out / "slices.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    truth = {}
    with (data / "labels.csv").open(encoding="utf-8", newline="") as stream:
        truth = {(r["head"], r["file"]): r["any"] for r in csv.DictReader(stream)}
    assert {(r["exam"], r["file"]): r["any"] for r in rows} == {
        k: v for k, v in truth.items() if k[0] != "nohead"
    }
    assert main(call) == 3, "a result is not overwritten"
    assert "--force" not in capfd.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_bad_input_leaves_nothing(data, tiny_bundle, tmp_path, capfd):
    labels = write_labels(tmp_path / "l.csv", [("bleeds", "000.dcm", 0, 0)])
    common = ["--model", str(tiny_bundle.folder), "--output", str(tmp_path / "out"), "--quiet"]
    assert main(["measure", str(data), "--labels", str(labels), *common]) == 2
    error = capfd.readouterr().err
    assert "l.csv has no row for the exam clean" in error and error.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["l.csv"]
    for wrong in (["--patients", "3"], ["--seed", "4"], ["--record"]):
        assert main(["measure", str(data), *wrong, *common]) == 2
        assert wrong[0] in capfd.readouterr().err
    assert main(["measure", "--labels", str(labels), *common]) == 2
    assert not (tmp_path / "out").exists()


def test_if_every_exam_is_refused_there_is_no_result(data, tiny_bundle, tmp_path, monkeypatch):
    from HemoCAMLib.doors.measure import measure_data

    def damaged(path):
        raise InputError("The file is damaged.")

    monkeypatch.setattr(module, "read_ct", damaged)
    with pytest.raises(
        InputError, match=r"None of 3 exams could be measured; the first: The file is damaged\."
    ):
        measure_data(data, tmp_path, model=str(tiny_bundle.folder))
    assert not list(tmp_path.iterdir())
