"""The `hemocam` command as a user meets it: results whole or absent, sentences, exit codes, Ctrl-C."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from HemoCAMLib.doors.cli import main
from HemoCAMLib.doors.supervise import RESULTS
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.volume import Volume

EXPECTED = RESULTS - {"input"}


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    """A small virtual patient with a hemorrhage: ct.nii.gz and labels.nrrd."""
    folder = tmp_path_factory.mktemp("scan")
    patient = make_patient(
        PatientSpec(
            seed=5, kinds=("intraparenchymal",), size=128, spacing_mm=1.8, slice_mm=8, lesion_ml=(40, 60)
        )
    )
    write_image(patient.ct, folder / "ct.nii.gz")
    write_image(patient.labels, folder / "labels.nrrd")
    return folder


def hemocam(*arguments, **options) -> subprocess.CompletedProcess:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "HemoCAMLib.doors.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def result(scan, tiny_bundle, tmp_path_factory) -> Path:
    """One whole run with a reference."""
    output = tmp_path_factory.mktemp("result") / "out"
    done = hemocam(
        "run", scan / "ct.nii.gz", "--reference", scan / "labels.nrrd", "--output", output,
        "--model", tiny_bundle.folder, "--gate", "0", "--threshold", "0.4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "not for clinical use" in done.stdout
    return output


def test_a_run_leaves_every_file_and_nothing_else(result):
    assert {p.name for p in result.iterdir()} == EXPECTED
    assert [p for p in result.parent.iterdir() if p != result] == []


def test_the_maps_lie_on_the_cts_grid(result, scan):
    ct = sitk.ReadImage(str(scan / "ct.nii.gz"))
    heat = sitk.ReadImage(str(result / "heatmap.nrrd"))
    assert heat.GetSize() == ct.GetSize()
    for corner in ((0, 0, 0), tuple(n - 1 for n in ct.GetSize())):
        there, here = (np.array(i.TransformIndexToPhysicalPoint(corner)) for i in (heat, ct))
        assert np.abs(there - here).max() < 1e-3
    values = sitk.GetArrayFromImage(heat)
    assert values.min() >= 0 and values.max() == pytest.approx(1, abs=0.2) and values.dtype == np.float32


def test_the_slice_table_has_a_row_a_slice(result, scan):
    with (result / "slices.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    count = sitk.ReadImage(str(scan / "ct.nii.gz")).GetSize()[2]
    assert len(rows) == count
    assert sorted(int(r["index"]) for r in rows) == list(range(count))
    positions = [float(r["position_mm"]) for r in rows]
    assert np.allclose(np.diff(positions), 8.0, atol=1e-2)
    for row in rows:
        assert row["gated_in"] == "1" and row["acquired"] == "1"
        assert all(0 <= float(row[c]) <= 1 for c in ("any", "epidural", "subdural"))


def test_the_summary_says_what_went_in_and_out(result, tiny_bundle):
    content = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    assert content["model"]["sha256"] == tiny_bundle.sha256
    assert content["options"]["method"] == "hirescam" and content["options"]["threshold"] == 0.4
    assert {"read", "explain", "scene", "total"} <= set(content["timings_s"])
    assert content["versions"]["torch"] and content["comparison"]["Dice coefficient"] >= 0
    assert "clinical" in content["notice"]
    assert len(content["input"]["voxels_sha256"]) == len(content["reference"]["voxels_sha256"]) == 64
    mask = sitk.ReadImage(str(result / "segmentation.seg.nrrd"))
    ml = (sitk.GetArrayFromImage(mask) > 0).sum() * np.prod(mask.GetSpacing()) / 1000
    assert content["result"]["mask_ml"] == pytest.approx(ml, rel=1e-3)


def test_the_comparison_table_agrees_with_the_files(result, scan):
    with (result / "comparison.csv").open(newline="") as stream:
        rows = dict(list(csv.reader(stream))[1:])
    heat = sitk.GetArrayFromImage(sitk.ReadImage(str(result / "heatmap.nrrd"))) >= 0.4
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(scan / "labels.nrrd"))) > 0
    dice = 2 * (heat & truth).sum() / (heat.sum() + truth.sum())
    assert float(rows["Dice coefficient"]) == pytest.approx(dice, abs=1e-6)


def test_a_reference_on_another_grid_is_resampled_and_said_so(result, scan, tiny_bundle, tmp_path):
    """Labels on a grid of twice the voxels, cropped: the same comparison within a voxel's rounding."""
    labels = sitk.ReadImage(str(scan / "labels.nrrd"))
    fine = sitk.Expand(labels, [2, 2, 1], sitk.sitkNearestNeighbor)[20:-20, 20:-20]
    sitk.WriteImage(fine, str(tmp_path / "fine.nii.gz"))
    done = hemocam(
        "run", scan / "ct.nii.gz", "--reference", tmp_path / "fine.nii.gz", "--output", tmp_path / "out",
        "--model", tiny_bundle.folder, "--gate", "0", "--threshold", "0.4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, other = (json.loads((d / "summary.json").read_text("utf-8")) for d in (result, tmp_path / "out"))
    assert any("resampled" in finding.lower() for finding in other["findings"]), other["findings"]
    volumes = [s["comparison"]["Reference volume (cc)"] for s in (one, other)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)


def test_a_reference_from_elsewhere_is_an_error(scan, tiny_bundle, tmp_path):
    labels = sitk.ReadImage(str(scan / "labels.nrrd"))
    labels.SetOrigin([o + 1000 for o in labels.GetOrigin()])
    sitk.WriteImage(labels, str(tmp_path / "far.nrrd"))
    failed = hemocam(
        "run", scan / "ct.nii.gz", "--reference", tmp_path / "far.nrrd", "--output", tmp_path / "out",
        "--model", tiny_bundle.folder,
    )  # fmt: skip
    assert failed.returncode == 2 and "overlap" in failed.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["far.nrrd"]


def test_the_scene_opens_with_its_nodes(result):
    from HemoCAMLib.scene.storage import load_scene

    scene = load_scene(result / "scene.mrb")
    for kind, count in (
        ("vtkMRMLScalarVolumeNode", 3),
        ("vtkMRMLSegmentationNode", 2),
        ("vtkMRMLTableNode", 3),
        ("vtkMRMLPlotChartNode", 1),  # its table of the gate is the third table
    ):
        assert scene.GetNumberOfNodesByClass(kind) == count, kind


def test_the_picture_is_a_picture(result):
    from matplotlib.image import imread

    picture = imread(result / "review.png")
    assert picture.shape[0] > 500 and picture.shape[1] > 500 and picture[..., :3].std() > 0.05


def test_relative_paths_are_fine(scan, tiny_bundle, tmp_path):
    ct = (scan / "ct.nii.gz").rename(tmp_path / "ct.nii.gz")
    try:
        done = hemocam(
            "run", "ct.nii.gz", "--output", "out/here", "--model", tiny_bundle.folder, cwd=tmp_path
        )
    finally:
        ct.rename(scan / "ct.nii.gz")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "out" / "here").iterdir()} == EXPECTED - {"comparison.csv"}


def test_no_patient_or_file_name_enters_the_results(scan, tiny_bundle, tmp_path):
    named = tmp_path / "Doe^Jane_4711.nii.gz"
    named.write_bytes((scan / "ct.nii.gz").read_bytes())
    output = tmp_path / "out"
    done = hemocam("run", named, "--output", output, "--model", tiny_bundle.folder)
    assert done.returncode == 0, done.stderr
    import zipfile

    texts = [done.stdout, done.stderr, (output / "summary.json").read_text(encoding="utf-8")]
    with zipfile.ZipFile(output / "scene.mrb") as bundle:
        texts += bundle.namelist()
        texts += [bundle.read(n).decode("utf-8", "replace") for n in bundle.namelist() if n.endswith(".mrml")]
    assert not any("Jane" in t or "4711" in t for t in texts)


def test_an_existing_result_is_kept_unless_forced(result, scan, tiny_bundle):
    before = (result / "summary.json").read_bytes()
    again = ("run", scan / "ct.nii.gz", "--output", result, "--model", tiny_bundle.folder)
    refused = hemocam(*again)
    assert refused.returncode == 3 and "--force" in refused.stderr
    assert (result / "summary.json").read_bytes() == before


def test_force_replaces_a_result_and_nothing_else(scan, tiny_bundle, tmp_path):
    output = tmp_path / "out"
    run = ("run", scan / "ct.nii.gz", "--output", output, "--model", tiny_bundle.folder, "--force")
    output.mkdir()
    (output / "thesis.docx").write_text("years of work")
    refused = hemocam(*run)
    assert refused.returncode == 3 and "thesis.docx, which HemoCAM did not write" in refused.stderr
    assert (output / "thesis.docx").read_text() == "years of work"
    (output / "thesis.docx").rename(output / "slices.csv")
    refused = hemocam(*run)
    assert refused.returncode == 3 and "is not a HemoCAM result" in refused.stderr
    (output / "summary.json").write_text("{}")
    assert hemocam(*run).returncode == 0
    assert {p.name for p in output.iterdir()} == EXPECTED - {"comparison.csv"}
    assert list(tmp_path.iterdir()) == [output]


def water(folder: Path) -> Path:
    array = np.full((12, 64, 64), -1000, np.int16)
    array[2:10, 12:52, 12:52] = 0
    write_image(Volume(array, np.diag([-4.0, -4, 8, 1])), folder / "water.nrrd")
    return folder / "water.nrrd"


def test_a_failed_run_leaves_nothing(tiny_bundle, tmp_path):
    failed = hemocam("run", water(tmp_path), "--output", tmp_path / "out", "--model", tiny_bundle.folder)
    assert failed.returncode == 2
    lines = [line for line in failed.stderr.splitlines() if line.startswith("hemocam:")]
    assert len(lines) == 1 and "Traceback" not in failed.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["water.nrrd"]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["run", "no-such-file.nrrd"], 2, "no-such-file.nrrd"),
        (["run", "{ct}", "--model", "no-such-model"], 2, "no-such-model"),
        (["run", "{ct}", "--model", "{tiny}", "--stage", "9"], 2, "stage 9"),
        (["run", "{ct}", "--model", "{tiny}", "--target", "tumor"], 2, "tumor"),
        (["run", "{ct}", "--model", "{tiny}", "--threshold", "7"], 2, "threshold"),
        (["run", "{ct}", "--model", "{tiny}", "--reference", "no-labels.nrrd"], 2, "no-labels.nrrd"),
        (["run", "{ct}", "--model", "{tiny}", "--method", "magic"], 2, "magic"),
    ],
)
def test_what_cannot_be_done_gets_one_sentence(arguments, code, word, scan, tiny_bundle, tmp_path):
    filled = [a.format(ct=scan / "ct.nii.gz", tiny=tiny_bundle.folder) for a in arguments]
    failed = hemocam(*filled, "--output", tmp_path / "out", "--quiet", cwd=tmp_path)
    assert failed.returncode == code, failed.stderr
    assert word in failed.stderr.splitlines()[-1] and "Traceback" not in failed.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def slow_run(scan, tiny_bundle, tmp_path):
    """Start a run and wait until it says that it is in ``phase``; returns the process."""
    started = []

    def start(phase):
        run = [
            "run",
            scan / "ct.nii.gz",
            "--output",
            tmp_path / "out",
            "--method",
            "scorecam",
            "--stage",
            "2",
        ]
        command = [sys.executable, "-m", "HemoCAMLib.doors.cli", *run, "--model", tiny_bundle.folder]
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        started.append(process)
        while phase and phase not in process.stderr.readline():
            assert process.poll() is None, f"it ended before {phase!r}"
        return process

    yield start
    for process in started:
        process.kill()
        process.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    "phase", ["Reading", "Classifying and explaining", "Writing files", "Writing the scene"]
)
def test_ctrl_c_stops_within_a_second_and_leaves_nothing(phase, slow_run, tmp_path):
    process = slow_run(phase)
    since = time.perf_counter()
    process.send_signal(signal.SIGINT)
    errors = process.stderr.read()
    assert process.wait(timeout=30) == 130
    assert time.perf_counter() - since < 1.0
    assert list(tmp_path.iterdir()) == []
    assert "nothing was written" in errors


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_parent_takes_the_work_and_its_folder_along(slow_run, tmp_path):
    process = slow_run("Classifying and explaining")
    process.kill()
    process.wait()
    for _ in range(100):
        if not list(tmp_path.iterdir()):
            return
        time.sleep(0.1)
    pytest.fail(f"left behind: {list(tmp_path.iterdir())}")


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capsys.readouterr().out
    for option in (
        "--reference",
        "--model",
        "--method",
        "--stage",
        "--target",
        "--threshold",
        "--device",
        "--series",
        "--force",
    ):
        assert option in text


@pytest.mark.slow
def test_the_demo_finds_the_known_hemorrhage(tmp_path):
    """The main job with the shipped model: the curve rises at the lesion and nowhere else; Dice at least 0.55."""
    output = tmp_path / "demo"
    done = hemocam("demo", "--output", output)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in output.iterdir()} == EXPECTED | {"input"}
    content = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert content["comparison"]["Dice coefficient"] >= 0.55
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(output / "input" / "labels.nrrd"))) > 0
    bleeding = set(np.flatnonzero(labels.any(axis=(1, 2))).tolist())
    with (output / "slices.csv").open(newline="") as stream:
        gated = {int(r["index"]) for r in csv.DictReader(stream) if r["gated_in"] == "1"}
    near = {s + d for s in bleeding for d in (-1, 0, 1)}
    assert gated and gated <= near, f"gated in {sorted(gated)}, bleeding {sorted(bleeding)}"
    assert len(gated & bleeding) >= 0.6 * len(bleeding)
    assert "Dice" in done.stdout and "scene.mrb" in done.stdout
