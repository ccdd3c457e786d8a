"""Single slices: how a picture is read and laid on the network's square, and `hemocam classify` around it."""

import csv
import os
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from conftest import tiny_manifest
from dicom_factory import write_multiframe, write_slice
from HemoCAMLib.doors.classify import MAP, MASK, check_targets, classify_files
from HemoCAMLib.doors.inputs import find_slices
from HemoCAMLib.doors.supervise import give_names
from HemoCAMLib.errors import InputError, ModelError, OutputError
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.models.preprocess import network_input, window
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.slices import Slice, SliceClassifier
from HemoCAMLib.volumes.dicom_slice import read_slice
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.headgrid import Cells
from HemoCAMLib.volumes.picture import picture_grid, picture_hu, read_picture, skull_box
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

CLASSES = ["any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"]


def drawn_head(shape, centre, radii, brain=0.4, skull=1.0):
    """A gray picture: an ellipse of skull around brain, radii (rows, columns) to the outer edge of the skull."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    away = np.hypot((y - centre[0]) / radii[0], (x - centre[1]) / radii[1])
    return np.where(away <= 0.88, brain, np.where(away <= 1, skull, 0)).astype(np.float32)


def save(gray, path, **options):
    Image.fromarray(np.rint(np.asarray(gray) * 255).astype(np.uint8)).save(path, **options)
    return path


@st.composite
def heads(draw):
    """(picture, centre, radii) of a head of any size and place in a picture of odd sizes."""
    radii = draw(st.floats(45, 150)), draw(st.floats(40, 130))
    margins = [draw(st.integers(3, 60)) for _ in range(4)]
    shape = tuple(int(2 * r) + margins[2 * a] + margins[2 * a + 1] for a, r in enumerate(radii))
    centre = tuple(r + margins[2 * a] for a, r in enumerate(radii))
    return drawn_head(shape, centre, radii, brain=draw(st.floats(0.02, 0.65))), centre, radii


@settings(max_examples=25)
@given(heads(), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_dot_lies_where_it_should_there_and_back(head, up, left):
    gray, centre, radii = head
    dot = tuple(round(c + r * part) for c, r, part in zip(centre, radii, (up, left), strict=True))
    size, fill = 96, 0.9
    grid = picture_grid(gray, size, fill)
    spot = np.zeros_like(gray)
    spot[dot] = 1
    there = grid.sample_values(spot[None])[0]
    back = grid.paint(there[None], Cells(1.0, 0.0))[0]
    edge = grid.fov_mm / size
    for axis in (0, 1):
        index = np.arange(size)
        found = (there.sum(1 - axis) * index).sum() / there.sum()
        place = grid.centre_mm[axis] + (found + 0.5 - size / 2) * edge
        assert place == pytest.approx(dot[axis], abs=0.5)
        returned = (back.sum(1 - axis) * np.arange(gray.shape[axis])).sum() / back.sum()
        assert returned == pytest.approx(dot[axis], abs=0.5)
    # the skull's longer side fills its share of the square, its middle in the middle
    assert grid.fov_mm * fill == pytest.approx(2 * max(radii), abs=4)
    assert grid.centre_mm == pytest.approx(centre, abs=2.5)


@settings(max_examples=25)
@given(heads(), st.integers(0, 2**32 - 1))
def test_letters_bars_and_headrest_do_not_move_the_head(head, seed):
    gray, centre, radii = head
    rng = np.random.default_rng(seed)
    rows, columns = gray.shape
    wide = np.zeros((rows + 70, columns + 70), np.float32)
    wide[35:-35, 35:-35] = gray
    wide[20 : rows + 40, 5:12] = np.linspace(1, 0, rows + 20)[:, None]  # a colour bar
    for _ in range(4):  # letters
        y, x = rng.integers(0, 10), rng.integers(14, columns + 40)
        wide[y : y + 9, x : x + 14] = rng.random((9, 14))[: rows + 70 - y, : columns + 70 - x] > 0.5
    y, x = np.mgrid[: rows + 70, : columns + 70]
    below = centre[0] + 35 + radii[0]
    arc = np.hypot((y - below + 1.3 * radii[0]), x - centre[1] - 35) - 1.3 * radii[0] - 12
    wide[(np.abs(arc) < 1.5) & (y > below)] = 0.6  # a headrest
    box = skull_box(wide)
    for found, middle, radius in zip(box, centre, radii, strict=True):
        assert found.start == pytest.approx(middle + 35 - radius, abs=0.03 * 2 * max(radii) + 2)
        assert found.stop == pytest.approx(middle + 35 + radius, abs=0.03 * 2 * max(radii) + 2)


@pytest.mark.parametrize(("centre", "width"), [(40, 80), (30, 60), (40, 180)])
def test_the_skull_is_found_in_any_window(scan, centre, width):
    """Slices of a virtual patient from the orbits up: the box of what is shown white is the box of bone."""
    for hu in scan.array[8:-3]:
        box = skull_box(window(hu, centre, width))
        bone = hu > 250
        for axis, found in enumerate(box):
            there = np.flatnonzero(bone.sum(1 - axis) >= 2)
            assert found.start == pytest.approx(there[0], abs=5) and found.stop == pytest.approx(
                there[-1], abs=6
            )


def test_without_a_head_the_whole_picture_counts():
    blank = np.full((60, 80), 0.3, np.float32)
    assert skull_box(blank) == (slice(0, 60), slice(0, 80))
    letters = np.zeros((300, 400), np.float32)
    letters[5:15, 5:40] = 1
    assert skull_box(letters) == (slice(0, 300), slice(0, 400))


def test_a_side_without_skull_ends_with_the_head():
    head = drawn_head((200, 180), (100, 90), (90, 75), brain=0.5)
    head[(head == 1) & (np.arange(200)[:, None] > 130)] = 0.5  # no bone behind
    box = skull_box(head)
    assert box[0].stop == pytest.approx(191, abs=4) and box[0].start == pytest.approx(10, abs=2)


def test_gray_is_read_by_the_bundles_window_and_outside_is_black():
    manifest = Manifest.of(tiny_manifest())
    gray = drawn_head((120, 100), (60, 50), (55, 45), brain=0.5)
    grid = picture_grid(gray, 128, 0.92)
    hu = picture_hu(gray, grid, manifest)
    assert hu.shape == (128, 128) and hu.dtype == np.float32
    assert hu[64, 64] == pytest.approx(40) and hu.max() == pytest.approx(80) and hu[0, 0] == 0
    other = tiny_manifest()
    other["input"]["picture"].update(centre=60, width=200)
    assert picture_hu(gray, grid, Manifest.of(other))[64, 64] == pytest.approx(60)


def test_every_kind_of_picture_becomes_the_same_gray(tmp_path):
    gray = drawn_head((90, 70), (45, 35), (40, 30), brain=0.4)
    eight = np.rint(gray * 255).astype(np.uint8)
    plain = Image.fromarray(eight)
    plain.save(tmp_path / "plain.png")
    plain.convert("RGB").save(tmp_path / "colours.png")
    plain.convert("P").save(tmp_path / "palette.png")
    Image.merge("LA", (plain, Image.new("L", plain.size, 255))).save(tmp_path / "opaque.png")
    for name in ("colours", "palette", "opaque"):
        assert read_picture(tmp_path / f"{name}.png") == pytest.approx(eight / 255, abs=1.01 / 255), name
    read = read_picture(tmp_path / "plain.png")
    assert read.dtype == np.float32 and np.array_equal(read, eight / np.float32(255))
    # 12 of 16 bits in use, lifted: its own range counts
    Image.fromarray((np.rint(gray * 4095) + 100).astype(np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png") == pytest.approx(gray, abs=1e-3)
    # half transparent: over black
    Image.merge("LA", (plain, Image.new("L", plain.size, 128))).save(tmp_path / "glass.png")
    assert read_picture(tmp_path / "glass.png") == pytest.approx(eight / 255 * 128 / 255, abs=1e-2)
    plain.convert("RGB").save(tmp_path / "print.jpg", quality=98)
    plain.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    for name in ("print.jpg", "cmyk.jpg"):
        assert np.abs(read_picture(tmp_path / name) - eight / 255).mean() < 0.02, name


def test_a_turned_photograph_is_read_upright(tmp_path):
    gray = drawn_head((90, 70), (45, 35), (40, 30))
    gray[:20] *= 0.5
    upright = Image.fromarray(np.rint(gray * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=98)
    read = read_picture(tmp_path / "turned.jpg")
    assert read.shape == (90, 70) and np.abs(read - gray).mean() < 0.02


def png(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def bad_files(folder):
    """(name, words of the sentence) of files that cannot be classified."""
    gray = drawn_head((120, 100), (60, 50), (55, 45))
    noisy = np.random.default_rng(1).random((120, 100))
    content = save(noisy, folder / "noisy.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    save(noisy, folder / "noisy.jpg")
    content = (folder / "noisy.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(content[: len(content) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture at all", encoding="utf-8")
    (folder / "bomb.png").write_bytes(png(60_000, 60_000))
    (folder / "large.png").write_bytes(png(9_000, 9_000))
    (folder / "hollow.png").write_bytes(png(200, 200))
    save(np.array([[0.5]]), folder / "dot.png")
    save(np.full((80, 80), 0.5), folder / "flat.png")
    save(1 - gray, folder / "inverted.png")
    affine = np.diag([-2.0, -2, 5, 1])
    hu = np.where(gray > 0, np.where(gray > 0.9, 900, 35), -1000).astype(np.int16)
    write_slice(folder / "mr.dcm", hu, affine, 0, t00080060="MR", t00080016="1.2.840.10008.5.1.4.1.1.4")
    write_slice(folder / "raw.dcm", np.full_like(hu, 40), affine, 0)
    write_slice(folder / "scout.dcm", hu, affine, 0, t00080008="ORIGINAL\\PRIMARY\\LOCALIZER")
    coronal = np.array([[-2.0, 0, 0, 0], [0, 0, 5, 0], [0, -2, 0, 0], [0, 0, 0, 1]])
    write_slice(folder / "coronal.dcm", hu, coronal, 0)
    content = (folder / "mr.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(content[:600])
    volume = Volume(np.stack([hu] * 3), affine)
    write_multiframe(folder / "many.dcm", volume.array + 1024, [(0, 0, 5 * k) for k in range(3)])
    write_image(volume, folder / "volume.nii.gz")
    return {
        "cut.png": "cut off", "cut.jpg": "cut off", "empty.png": "is empty", "text.png": "neither PNG",
        "bomb.png": "pixels", "large.png": "too large", "hollow.png": "damaged", "dot.png": "1 x 1",
        "flat.png": "one gray", "inverted.png": "white ground", "mr.dcm": "modality MR", "raw.dcm": "raw.dcm",
        "scout.dcm": "localizer", "coronal.dcm": "not an axial", "cut.dcm": "cut off", "many.dcm": "hemocam run",
        "volume.nii.gz": "hemocam run", "missing.png": "cannot be opened",
    }  # fmt: skip


def test_what_cannot_be_read_gets_one_sentence(tmp_path):
    manifest = Manifest.of(tiny_manifest())
    for name, words in bad_files(tmp_path).items():
        with pytest.raises(InputError) as caught:
            Slice.read(tmp_path / name, manifest)
        sentence = str(caught.value)
        assert words in sentence and sentence.endswith(".") and "\n" not in sentence, f"{name}: {sentence}"
        assert name in sentence, sentence


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Six pictures of different sizes, one of them JPEG, beside things that are no slices."""
    folder = tmp_path_factory.mktemp("pictures") / "slices"
    folder.mkdir()
    rng = np.random.default_rng(4)
    for n in range(5):
        gray = drawn_head((140 + 31 * n, 117 + 20 * n), (70 + 15 * n, 58 + 10 * n), (65 + 10 * n, 50 + 8 * n))
        gray[50:70, 40:60] += 0.5 * rng.random()
        save((gray + rng.normal(0, 0.05, gray.shape)).clip(0, 1), folder / f"{n}.png")
    save(drawn_head((100, 100), (50, 50), (45, 40)), folder / "a.jpg")
    (folder / "labels.csv").write_text("file,hemorrhage\n")
    (folder / "masks").mkdir()
    return folder


@pytest.fixture(scope="module")
def scan():
    """A virtual patient of 96 x 96 pixels."""
    return make_patient(
        PatientSpec(seed=5, kinds=("intraparenchymal",), size=96, spacing_mm=2.4, slice_mm=8)
    ).ct


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


@pytest.mark.parametrize("turned", [False, True])
def test_a_dicom_slice_goes_the_way_of_a_volume(scan, tiny_bundle, tmp_path, turned):
    """Same probabilities and map as the pipeline gives for a volume of that slice, on the file's own pixels."""
    hu, affine = scan.array[scan.shape[0] // 2], np.array(scan.ijk_to_ras)
    if turned:  # rows run from back to front, columns from left to right
        hu = hu[::-1, ::-1]
        affine = affine @ np.diag([-1.0, -1, 1, 1])
    write_slice(tmp_path / "one.dcm", hu, affine, 0, t00180050="8")
    write_slice(tmp_path / "other.dcm", hu[::-1], affine, 1)  # another slice of the series does not matter
    volume = read_slice(tmp_path / "one.dcm")
    assert volume.shape == (1, *hu.shape) and np.array_equal(volume.array[0], hu)
    whole = analyse(volume, tiny_bundle, Options(scale="volume"))
    found = SliceClassifier(tiny_bundle)([Slice.read(tmp_path / "one.dcm", tiny_bundle.manifest)])[0]
    assert found.probabilities == pytest.approx(whole.probabilities[0], abs=1e-5)
    assert found.positive == bool(whole.gate[0])
    assert found.heatmap == pytest.approx(whole.heatmap.array[0], abs=1 / 1024)


def test_a_slice_that_does_not_say_where_it_lies_counts_as_axial(scan, tmp_path):
    hu = scan.array[scan.shape[0] // 2]
    write_slice(tmp_path / "bare.dcm", hu, scan.ijk_to_ras, 0, t00200032=None, t00200037=None)
    assert np.array_equal(read_slice(tmp_path / "bare.dcm").array[0], hu)


def test_no_slice_depends_on_another(pictures, tiny_bundle):
    slices = [Slice.read(p, tiny_bundle.manifest) for p in sorted(pictures.glob("*.png"))]
    classifier = SliceClassifier(tiny_bundle)
    together = classifier(slices)
    for one, found in zip(slices, together, strict=True):
        alone = classifier([one])[0]
        assert alone.probabilities == pytest.approx(found.probabilities, abs=1e-5)
        assert alone.heatmap == pytest.approx(found.heatmap, abs=1e-3)


def test_the_map_lies_on_the_picture(pictures, tiny_bundle):
    """One cell of the map is painted where the network's pixels of its receptive field come from."""
    one = Slice.read(pictures / "3.png", tiny_bundle.manifest)
    size = tiny_bundle.manifest.size
    cells = Cells(16.0, 15.0)
    shown = np.zeros((size // 16, size // 16), np.float32)
    shown[2, 5] = 1
    painted = one.paint(shown, cells)
    assert painted.shape == read_picture(pictures / "3.png").shape
    for axis, cell in enumerate((2, 5)):
        index = np.arange(painted.shape[axis])
        centre = (painted.sum(1 - axis) * index).sum() / painted.sum()
        pixel = 15 + 16 * cell
        expected = one.grid.centre_mm[axis] + (pixel + 0.5 - size / 2) * one.grid.pixel_mm()
        assert centre == pytest.approx(expected, abs=0.5)


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


def test_a_model_without_pictures_says_so_and_takes_dicom(pictures, tiny_bundle, scan, tmp_path):
    content = tiny_manifest()
    del content["input"]["picture"]
    manifest = Manifest.of(content)
    with pytest.raises(ModelError, match=r"tiny reads HU only.*input\.picture"):
        Slice.read(pictures / "0.png", manifest)
    write_slice(tmp_path / "one.dcm", scan.array[5], scan.ijk_to_ras, 0)
    assert Slice.read(tmp_path / "one.dcm", manifest).hu.shape == (128, 128)


def test_the_calibration_of_pictures_must_be_whole():
    content = tiny_manifest()
    del content["input"]["picture"]["calibration"]["subdural"]
    with pytest.raises(ModelError, match="calibration of pictures for the class 'subdural'"):
        Manifest.of(content)
    content["input"]["picture"]["fill"] = 1.5
    with pytest.raises(ModelError, match="input/picture/fill"):
        Manifest.of(content)


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
