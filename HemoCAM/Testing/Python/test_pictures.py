"""How a picture is read: where the skull is, how it is laid on the network's square, which gray it becomes."""

import numpy as np
import pytest
from conftest import tiny_manifest
from drawn_heads import drawn_head, virtual_scan
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.models.preprocess import window
from HemoCAMLib.volumes.headgrid import Cells
from HemoCAMLib.volumes.picture import picture_grid, picture_hu, read_picture, skull_box
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image


@pytest.fixture(scope="module")
def scan():
    return virtual_scan()


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
