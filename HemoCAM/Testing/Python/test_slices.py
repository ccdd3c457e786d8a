"""Single slices, DICOM or picture: what is refused, and that each is analysed as if it were alone."""

import struct
import zlib

import numpy as np
import pytest
from conftest import tiny_manifest
from dicom_factory import write_multiframe, write_slice
from drawn_heads import drawn_head, save, virtual_scan, write_pictures
from HemoCAMLib.errors import InputError, ModelError
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.slices import Slice, SliceClassifier
from HemoCAMLib.volumes.dicom_slice import read_slice
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.headgrid import Cells
from HemoCAMLib.volumes.picture import read_picture
from HemoCAMLib.volumes.volume import Volume


@pytest.fixture(scope="module")
def scan():
    return virtual_scan()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures") / "slices")


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
