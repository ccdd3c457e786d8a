"""``hemocam classify``: what goes in, what comes out, and what a failure or Ctrl+C leaves."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from drawn_heads import drawn_head, save, write_pictures
from HemoCAMLib.doors.classify import MAP, MASK, check_targets, classify_files
from HemoCAMLib.doors.inputs import find_slices
from HemoCAMLib.doors.supervise import give_names
from HemoCAMLib.errors import InputError, OutputError
from HemoCAMLib.models.preprocess import network_input
from HemoCAMLib.volumes.picture import picture_grid, picture_hu, read_picture
from PIL import Image

CLASSES = ["any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures") / "slices")


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def hemocam(*arguments, **options):
    command = [sys.executable, "-m", "HemoCAMLib.doors.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def test_a_folder_becomes_a_table_maps_and_masks(pictures, tiny_bundle, tmp_path):
    """The contract, through the command."""
    import torch

    output, maps = tmp_path / "new" / "scores.csv", tmp_path / "maps"
    done = hemocam("classify", pictures, "--output", output, "--maps", maps, "--model", tiny_bundle.folder)
    assert done.returncode == 0, done.stderr
    assert "labels.csv, masks/" in done.stdout and "not for clinical use" in done.stdout
    names = ["0.png", "1.png", "2.png", "3.png", "4.png", "a.jpg"]
    rows = rows_of(output)
    assert list(rows[0]) == ["file", *CLASSES, "positive"] and [r["file"] for r in rows] == names
    assert {p.name for p in maps.iterdir()} == {p[0] + end for p in names for end in (MAP, MASK)}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert [p.name for p in output.parent.iterdir()] == ["scores.csv"]

    manifest, network = tiny_bundle.manifest, tiny_bundle.network()
    threshold = 0.55  # of pictures; volumes have another
    assert manifest.mask_threshold(manifest.method, manifest.stage) != threshold
    for row in rows:
        gray = read_picture(pictures / row["file"])
        grid = picture_grid(gray, manifest.size, 0.92)
        with torch.inference_mode():
            inside = network_input(picture_hu(gray, grid, manifest)[None], manifest)
            logits = network(torch.from_numpy(inside)).numpy()[0]
        # the calibration of pictures: slope 0.5, intercept 0.1, threshold 0.5
        expected = 1 / (1 + np.exp(-(0.5 * logits + 0.1)))
        assert [float(row[c]) for c in CLASSES] == pytest.approx(expected, abs=1e-4)
        assert int(row["positive"]) == (float(row["any"]) >= 0.5)
        with (
            Image.open(maps / f"{row['file'][0]}{MAP}") as heat,
            Image.open(maps / f"{row['file'][0]}{MASK}") as mask,
        ):
            assert heat.mode == "I;16" and mask.mode == "L"
            assert heat.size == mask.size == gray.shape[::-1]
            values, marked = np.asarray(heat) / 65535, np.asarray(mask)
        assert values.max() > 0.5  # each slice has its own scale, whatever its probability
        assert np.array_equal(marked, (values.astype(np.float32) >= threshold) * np.uint8(255))


def test_a_failure_leaves_nothing_and_keep_going_lists_it(pictures, tiny_bundle, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes((pictures / "0.png").read_bytes()[:2000])
    run = ("classify", pictures / "1.png", bad, pictures / "2.png", "--model", tiny_bundle.folder)
    failed = hemocam(*run, "--output", tmp_path / "s.csv", "--maps", tmp_path / "m")
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert [line for line in failed.stderr.splitlines() if line.startswith("hemocam:")] == [
        "hemocam: bad.png is cut off or damaged; copy it again."
    ]
    assert list(tmp_path.iterdir()) == [bad]
    sources, _ = find_slices([str(pictures / "1.png"), str(bad), str(pictures / "2.png")])
    count, _, failures = classify_files(sources, tiny_bundle, tmp_path, keep_going=True)
    assert count == 2 and len(failures) == 1 and "cut off" in failures[0]
    assert [r["file"] for r in rows_of(tmp_path / "scores.csv")] == [
        str(pictures / "1.png"),
        str(pictures / "2.png"),
    ]
    with pytest.raises(InputError, match="None of the 1"):
        classify_files([sources[1]], tiny_bundle, tmp_path, keep_going=True)


def test_inputs_are_files_folders_and_lists(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(pictures.parent)
    sources, notes = find_slices(["slices/2.png", "slices"][:1])
    assert [(s.name, s.path.is_file()) for s in sources] == [("slices/2.png", True)] and not notes
    sources, notes = find_slices(["slices"])
    assert [s.name for s in sources] == ["0.png", "1.png", "2.png", "3.png", "4.png", "a.jpg"]
    assert len(notes) == 1 and "labels.csv" in notes[0]
    listing = pictures.parent / "list.txt"
    listing.write_text("\ufeff# which\nslices/3.png\n\n slices/1.png\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert [s.name for s in find_slices([f"@{listing}"])[0]] == ["slices/3.png", "slices/1.png"]
    for arguments, words in (
        (["nowhere"], "no file or folder nowhere"),
        ([str(pictures / "masks")], "holds no PNG"),
        ([str(pictures / "0.png")] * 2, "Two slices are called"),
        (["@nowhere.txt"], "list nowhere.txt"),
        ([f"@{pictures / '0.png'}"], "not text"),
    ):
        with pytest.raises(InputError, match=words):
            find_slices(arguments)


def test_maps_of_the_same_name_are_refused(pictures, tiny_bundle, tmp_path):
    save(drawn_head((100, 100), (50, 50), (45, 40)), tmp_path / "A.png")
    sources, _ = find_slices([str(pictures / "a.jpg"), str(tmp_path / "A.png")])
    with pytest.raises(InputError, match="same name"):
        classify_files(sources, tiny_bundle, tmp_path, maps=True)


def test_only_own_results_are_replaced(tmp_path):
    table, maps = tmp_path / "s.csv", tmp_path / "maps"
    check_targets(table, maps, force=False)
    table.write_text("file,any,positive\n")
    maps.mkdir()
    (maps / "1_map.png").write_bytes(b"")
    check_targets(table, maps, force=True)
    for what, words in ((table, "--force"), (maps, "not empty")):
        with pytest.raises(OutputError, match=words):
            check_targets(table if what is table else tmp_path / "t.csv", maps, force=False)
    (maps / "thesis.docx").write_bytes(b"")
    with pytest.raises(OutputError, match=r"thesis\.docx"):
        check_targets(table, maps, force=True)
    table.write_text("file,hemorrhage\n")
    with pytest.raises(OutputError, match="no table of scores"):
        check_targets(table, None, force=True)
    with pytest.raises(OutputError, match="would lie in"):
        check_targets(tmp_path / "maps" / "t.csv", maps, force=True)
    with pytest.raises(OutputError, match="is no file"):
        check_targets(maps, None, force=False)


def test_names_are_given_to_all_or_none(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    with pytest.raises(OutputError):
        give_names([(tmp_path / "new", tmp_path / "old"), (tmp_path / "absent", tmp_path / "table")])
    assert (tmp_path / "old" / "content").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} <= {"old", "new"}


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_leaves_nothing(pictures, tiny_bundle, tmp_path):
    listing = tmp_path / "list.txt"
    many = tmp_path / "many"
    many.mkdir()
    for n in range(400):
        os.link(pictures / "4.png", many / f"{n}.png")
    listing.write_text(str(many))
    out = tmp_path / "out"
    command = ["classify", f"@{listing}", "--output", out / "s.csv", "--maps", out / "m"]
    command += ["--model", tiny_bundle.folder]
    process = subprocess.Popen(
        [sys.executable, "-m", "HemoCAMLib.doors.cli", *map(str, command)], stderr=subprocess.PIPE, text=True
    )
    with process:
        while "Classifying" not in process.stderr.readline():
            assert process.poll() is None
        since = time.perf_counter()
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 130 and time.perf_counter() - since < 3
    assert "nothing was written" in errors
    assert list(out.iterdir()) == []
