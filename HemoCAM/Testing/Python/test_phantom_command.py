"""Data sets of virtual patients: their layouts, the same bits from the same seed, resuming, and refusing."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk
from HemoCAMLib.datasets.layouts import LABELS, layout
from HemoCAMLib.datasets.phantoms import PhantomSet, specify
from HemoCAMLib.doors.cli import main
from HemoCAMLib.errors import Cancelled, OptionError, OutputError
from HemoCAMLib.phantoms.patient import KINDS, make_patient

SMALL = {"slice_mm": [9.0], "size": 48}


def phantoms(name="volumes", count=2, seed=3, file_format=None, **changes):
    wanted = layout(name, file_format)
    specs = specify(count, seed, **{**SMALL, "healthy": 0.0, "tilted": wanted.holds_shear, **changes})
    return PhantomSet(specs, wanted, f"hemocam phantom --count {count} --seed {seed}")


def bits(folder):
    """SHA-256 of every file, by its path in the folder."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The same two patients in each layout."""
    folder = tmp_path_factory.mktemp("sets")
    for name in ("volumes", "hemorica", "ct-ich"):
        assert phantoms(name).write(folder / name)
    return folder


@pytest.fixture(scope="module")
def patients():
    return [make_patient(spec) for spec in phantoms().specs]


def check_slices(rows, patient, kinds, number):
    """Each row of a table of slices says what the label map shows."""
    assert [int(r[number]) for r in rows] == list(range(1, len(patient.labels.array) + 1))
    for row, plane in zip(rows, patient.labels.array, strict=True):
        for column, kind in kinds.items():
            assert int(row[column]) == int((plane == LABELS[kind]).any())


def test_volumes_hold_the_patients_and_their_labels(sets, patients):
    folder = sets / "volumes"
    assert {p.name for p in folder.iterdir()} == {
        "images", "masks", "slices.csv", "labels.json", "patients.csv", "dataset.json", "overview.png",
    }  # fmt: skip
    assert json.loads((folder / "labels.json").read_text()) == dict(zip(KINDS, range(1, 6), strict=True))
    rows = rows_of(folder / "slices.csv")
    assert list(rows[0]) == ["patient_name", "slice_number", "hemorrhage_binary", *KINDS]
    for number, patient in enumerate(patients, start=1):
        name = f"phantom-{number:05d}"
        for place, volume in (("images", patient.ct), ("masks", patient.labels)):
            image = sitk.ReadImage(str(folder / place / f"{name}.nii.gz"))
            assert np.array_equal(sitk.GetArrayFromImage(image), volume.array)
            assert image.GetSpacing() == pytest.approx(volume.spacing, abs=1e-4)
            corner = image.TransformIndexToPhysicalPoint((47, 0, 2))
            assert np.array(corner) * [-1, -1, 1] == pytest.approx(volume.ras((47, 0, 2)), abs=1e-3)
        own = [r for r in rows if r["patient_name"] == name]
        check_slices(own, patient, {k: k for k in KINDS}, "slice_number")
        assert all(int(r["hemorrhage_binary"]) == any(int(r[k]) for k in KINDS) for r in own)
    assert sum(int(r["hemorrhage_binary"]) for r in rows) > 0


def test_slices_hold_hu_and_labels(sets, patients):
    folder = sets / "hemorica"
    rows = rows_of(folder / "slices.csv")
    assert rows == rows_of(sets / "volumes" / "slices.csv")
    expected = {f"{r['patient_name']}_{r['slice_number']}.npy" for r in rows}
    for place, volumes in (
        ("images", [p.ct for p in patients]),
        ("masks", [p.labels for p in patients]),
    ):
        assert {p.name for p in (folder / place).iterdir()} == expected
        for row in rows:
            stored = np.load(
                folder / place / f"{row['patient_name']}_{row['slice_number']}.npy", allow_pickle=False
            )
            volume = volumes[int(row["patient_name"][-1]) - 1]
            assert stored.dtype == volume.array.dtype
            assert np.array_equal(stored, volume.array[int(row["slice_number"]) - 1])


def test_ct_ich_is_laid_out_as_published(sets, patients):
    folder = sets / "ct-ich"
    rows = rows_of(folder / "hemorrhage_diagnosis_raw_ct.csv")
    assert list(rows[0]) == [
        "PatientNumber", "SliceNumber", "Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural",
        "Subdural", "No_Hemorrhage", "Fracture_Yes_No",
    ]  # fmt: skip
    for number, patient in enumerate(patients, start=1):
        scan = sitk.ReadImage(str(folder / "ct_scans" / f"{number:03d}.nii"))
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "masks" / f"{number:03d}.nii")))
        assert np.array_equal(sitk.GetArrayFromImage(scan), patient.ct.array)
        assert np.array_equal(mask, np.where(patient.labels.array > 0, 255, 0))
        own = [r for r in rows if int(r["PatientNumber"]) == number]
        check_slices(own, patient, {k.capitalize(): k for k in KINDS}, "SliceNumber")
        for row, plane in zip(own, mask, strict=True):
            assert int(row["No_Hemorrhage"]) == (not plane.any()) and row["Fracture_Yes_No"] == "0"


def test_patients_and_description_say_how_to_make_it_again(sets, patients):
    for name in ("volumes", "hemorica", "ct-ich"):
        rows = rows_of(sets / name / "patients.csv")
        content = json.loads((sets / name / "dataset.json").read_text(encoding="utf-8"))
        assert content["complete"] is True and content["layout"] == name and content["labels"] == LABELS
        assert "hemocam" in content["versions"] and content["command"].startswith("hemocam phantom")
        for row, patient, spec in zip(rows, patients, content["patients"], strict=True):
            assert row["patient"] == spec["patient"] and int(row["seed"]) == spec["seed"] == patient.spec.seed
            assert spec["size"] == 48 and float(row["slice_mm"]) == spec["slice_mm"] == 9
            for kind in KINDS:
                ml = (patient.labels.array == LABELS[kind]).sum() * patient.ct.voxel_ml
                assert float(row[f"{kind}_ml"]) == pytest.approx(ml, abs=1e-3)
                assert (kind in row["kinds"].split(";")) == (ml > 0)
            assert int(row["slices"]) == len(patient.ct.array)
            positive = patient.labels.array.any(axis=(1, 2)).sum()
            assert int(row["positive_slices"]) == positive


@pytest.mark.parametrize("name", ["volumes", "hemorica"])
def test_the_same_seed_gives_the_same_bits(sets, tmp_path, name):
    time.sleep(1.1)  # a clock that entered a file would show
    phantoms(name).write(tmp_path / "again")
    assert bits(tmp_path / "again") == bits(sets / name)


def test_another_format_holds_the_same_voxels(patients, tmp_path):
    phantoms(count=1, file_format="nrrd").write(tmp_path / "set")
    image = sitk.ReadImage(str(tmp_path / "set" / "images" / "phantom-00001.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(image), patients[0].ct.array)


def test_a_stopped_run_goes_on_and_makes_nothing_twice(sets, tmp_path, monkeypatch):
    from HemoCAMLib.datasets import phantoms as module

    made = []
    monkeypatch.setattr(module, "make_patient", lambda spec: made.append(spec.seed) or make_patient(spec))

    def stop(phase, done, total):
        raise Cancelled

    out = tmp_path / "set"
    with pytest.raises(Cancelled):
        phantoms().write(out, progress=stop)
    assert len(made) == 1 and json.loads((out / "dataset.json").read_text())["complete"] is False
    assert not (out / "patients.csv").exists()
    # as if it had been killed while it wrote the second patient
    (out / ".work" / "phantom-00002.part" / "images").mkdir(parents=True)
    (out / ".work" / "phantom-00002.part" / "images" / "phantom-00002.nii.gz").write_bytes(b"half")
    (out / "images" / "phantom-00002.nii.gz").write_bytes(b"from a run that ended before its record")
    assert phantoms().write(out)
    assert [spec.seed for spec in phantoms().specs] == made
    assert bits(out) == bits(sets / "volumes")
    assert phantoms().write(out) is False and len(made) == 2


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_run_with_workers_goes_on(sets, tmp_path):
    """SIGKILL, then Ctrl-C, both with two workers, then to the end without: the same bits."""
    out = tmp_path / "set"
    arguments = ["phantom", "--output", str(out), "--count", "40", "--seed", "3", "--slice-mm", "9"]
    arguments += ["--size", "48", "--healthy", "0", "--workers"]
    command = [sys.executable, "-m", "HemoCAMLib.doors.cli", *arguments, "2"]

    def records():
        return {p.name for p in out.glob(".work/*.json")}

    for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        with process:
            while "Making virtual patients" not in process.stderr.readline():  # the first is there
                assert process.poll() is None
            process.send_signal(stop)
            assert process.wait(timeout=60) == code
            if stop == signal.SIGINT:
                assert "the same command goes on where it was" in process.stderr.read()
        time.sleep(1.0)
        made = records()
        time.sleep(0.7)
        assert records() == made and 0 < len(made) < 40, "the workers ended with the command"
    assert main([*arguments, "1"]) == 0
    assert not (out / ".work").exists() and len(rows_of(out / "patients.csv")) == 40
    known, made = bits(sets / "volumes"), bits(out)
    names = [f"{place}/phantom-{n:05d}.nii.gz" for place in ("images", "masks") for n in (1, 2)]
    assert [made[name] for name in names] == [known[name] for name in names]


def test_what_is_not_its_own_is_left_alone(sets, tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds thesis\.docx"):
        phantoms().write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is not a folder"):
        phantoms().write(tmp_path / "file")
    shutil.copytree(sets / "hemorica", tmp_path / "other")
    before = bits(tmp_path / "other")
    for wanted in (phantoms("hemorica", seed=4), phantoms("hemorica", count=3), phantoms("volumes")):
        with pytest.raises(OutputError, match="holds another data set"):
            wanted.write(tmp_path / "other")
    assert bits(tmp_path / "other") == before
    (tmp_path / "other" / "dataset.json").write_text("[]")
    with pytest.raises(OutputError, match="was not written by this command"):
        phantoms("hemorica").write(tmp_path / "other")


def test_kinds_and_healthy_patients_are_as_asked():
    specs = specify(60, 5, healthy=0.5, kinds=["subdural", "epidural"], **SMALL)
    found = [spec.kinds for spec in specs]
    assert {k for kinds in found for k in kinds} == {"subdural", "epidural"}
    assert 15 <= sum(not kinds for kinds in found) <= 45
    assert all(not spec.kinds for spec in specify(10, 5, healthy=1.0, **SMALL))
    assert all(spec.kinds for spec in specify(10, 5, healthy=0.0, **SMALL))
    assert specify(60, 5, healthy=0.5, kinds=["subdural", "epidural"], **SMALL) == specs
    assert specify(20, 5, **SMALL) == specify(60, 5, **SMALL)[:20]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--count", "0"], "--count 1 or more"),
        (["--healthy", "1.5"], "1.5"),
        (["--kinds", "bruise"], "bruise"),
        (["--size", "3"], "3 pixels"),
        (["--workers", "0"], "--workers 1"),
        (["--layout", "hemorica", "--format", "nrrd"], "--format"),
    ],
)
def test_what_cannot_be_made_gets_one_sentence(arguments, words, tmp_path, capsys):
    code = main(["phantom", "--output", str(tmp_path / "set"), *arguments])
    errors = capsys.readouterr().err
    assert code == 2 and words in errors and len(errors.splitlines()) == 1
    assert not (tmp_path / "set").exists()


def test_layouts_and_formats_are_checked():
    with pytest.raises(OptionError, match="no layout 'bids'"):
        layout("bids")
    with pytest.raises(OptionError, match="no format 'tiff'"):
        layout("volumes", "tiff")
    with pytest.raises(OptionError, match="without a kind"):
        specify(3, 1, kinds=[])
