"""Files, labels and heads: every voxel stays where the file says, and heads of all kinds pass."""

import struct
from dataclasses import replace

import bodies
import numpy as np
import pytest
import SimpleITK as sitk
from bodies import LEANING, SMALL, SPACING, rotation
from HemoCAMLib.errors import OutputError
from HemoCAMLib.volumes.files import read_image, write_image
from HemoCAMLib.volumes.reading import read_ct, read_labels
from HemoCAMLib.volumes.volume import Volume

# ---- single files


@pytest.mark.parametrize("extension", ["nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("seed", range(3))
def test_written_volume_comes_back_sheared_as_it_was(tmp_path, extension, seed):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = rotation(seed) @ (np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3))) * rng.uniform(0.3, 6, 3)
    affine[:3, 3] = rng.normal(size=3) * 100
    volume = Volume(rng.integers(-1024, 3000, (4, 5, 6)).astype(np.int16), affine)
    path = tmp_path / f"a.{extension}"
    write_image(volume, path)
    back = read_image(path)
    assert np.abs(back.ijk_to_ras - affine).max() < 1e-12
    assert back.array.dtype == np.int16
    assert (back.array == volume.array).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32])
def test_types_survive_writing(tmp_path, dtype):
    volume = Volume(np.arange(24).reshape(2, 3, 4).astype(dtype), np.eye(4))
    write_image(volume, tmp_path / "a.nrrd", compress=False)
    assert (read_image(tmp_path / "a.nrrd").array == volume.array).all()


def test_nifti_is_read_and_written(head, tmp_path):
    turned = replace(head, ijk_to_ras=bodies.grid(SMALL, SPACING, LEANING))
    for name in ("a.nii", "a.nii.gz"):
        write_image(turned, tmp_path / name)
        volume = read_ct(tmp_path / name)
        assert volume.same_grid(turned, 1e-3)
        assert (volume.array == head.array).all()
        assert volume.source == {"format": "NIfTI", "padding_voxels": 0}
    leaning = head.ijk_to_ras.copy()
    leaning[1, 2] = 2.0
    with pytest.raises(OutputError, match="sheared"):
        write_image(replace(head, ijk_to_ras=leaning), tmp_path / "b.nii")
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(head, tmp_path / "nowhere" / "b.nrrd")


@pytest.mark.parametrize("order", "<>")
def test_nifti_keeps_a_sheared_sform(tmp_path, order):
    rows = np.array([[-0.5, 0.1, 0.3, 10.25], [0, -0.5, 1.25, 20], [0.2, 0, 4.75, -30.5]])
    array = np.arange(24).reshape(2, 3, 4)
    path = tmp_path / "a.nii"
    path.write_bytes(bodies.nifti_bytes(array, rows, order=order))
    volume = read_image(path)
    assert np.allclose(volume.ijk_to_ras[:3], rows, atol=1e-6)
    assert (volume.array == array).all()


def test_nifti_scales_and_falls_back_to_its_qform(tmp_path):
    path = tmp_path / "a.nii"
    array = np.arange(24).reshape(2, 3, 4)
    path.write_bytes(bodies.nifti_bytes(array, None, slope=0.5, intercept=-10))
    volume = read_image(path)
    assert np.allclose(volume.array, array * 0.5 - 10)
    reference = sitk.ReadImage(str(path))
    corner = reference.TransformIndexToPhysicalPoint((3, 2, 1))
    assert np.allclose(volume.ras(np.array([3, 2, 1])) * [-1, -1, 1], corner, atol=1e-5)


def test_nifti_2(tmp_path):
    array = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    rows = np.array([[-0.5, 0, 0, 10], [0, -0.6, 0, 20], [0, 0, 5, -30]])
    data = bytearray(544)
    struct.pack_into("<i8shh8q", data, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 4, 4, 3, 2, 1, 1, 1, 1)
    struct.pack_into("<8d", data, 104, 1, 0.5, 0.6, 5, 1, 1, 1, 1)
    struct.pack_into("<qdd", data, 168, 544, 2, -3)
    struct.pack_into("<ii", data, 344, 0, 1)
    struct.pack_into("<12d", data, 400, *rows.ravel())
    struct.pack_into("<i", data, 500, 2)
    path = tmp_path / "a.nii"
    path.write_bytes(bytes(data) + array.tobytes())
    volume = read_image(path)
    assert (volume.array == array * 2.0 - 3).all()
    assert (volume.ijk_to_ras[:3] == rows).all()


def test_file_is_told_by_its_content(head, tmp_path):
    write_image(head, tmp_path / "a.mha")
    (tmp_path / "image").write_bytes((tmp_path / "a.mha").read_bytes())
    assert (read_ct(tmp_path / "image").array == head.array).all()


def test_floats_and_padding_of_files(head, tmp_path):
    array = head.array.astype(np.float64)
    array[0, 0, :5] = -3024
    write_image(replace(head, array=array), tmp_path / "whole.nrrd")
    volume = read_ct(tmp_path / "whole.nrrd")
    assert volume.array.dtype == np.int16
    assert volume.source["padding_voxels"] == 5
    assert (volume.array[0, 0, :5] == -1024).all()
    write_image(replace(head, array=head.array + np.float64(0.25)), tmp_path / "parts.nrrd")
    assert read_ct(tmp_path / "parts.nrrd").array.dtype == np.float32


# ---- labels


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.seg.nrrd", "a.mha"])
def test_labels_keep_their_numbers(tmp_path, dtype, name):
    labels = np.zeros((4, 5, 6))
    labels[1, 2, 3], labels[2, 3, 4] = 1, 5
    write_image(Volume(labels.astype(dtype), bodies.grid((4, 5, 6), (1, 1, 5))), tmp_path / name)
    volume = read_labels(tmp_path / name)
    assert volume.array.dtype == np.uint8
    assert (volume.array == labels).all()


@pytest.mark.parametrize("kind", ["list", "vector"])
def test_layers_of_a_segmentation_are_merged(tmp_path, kind):
    layers = np.zeros((3, 4, 5, 2), np.uint8)
    layers[0, 1, 2, 0], layers[2, 3, 4, 1], layers[1, 1, 1] = 1, 2, 1
    header = (
        "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: right-anterior-superior\nsizes: 2 5 4 3\n"
        "space directions: none (2,0,0) (0,2,0) (0.5,0,5)\nencoding: raw\nspace origin: (10,20,30)\n"
        f"kinds: {kind} domain domain domain\n\n"
    )
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(header.encode() + layers.tobytes())
    volume = read_labels(path)
    assert volume.array.dtype == np.uint8
    assert (volume.array == layers.any(axis=-1)).all()
    assert np.allclose(volume.ijk_to_ras[:3], [[2, 0, 0.5, 10], [0, 2, 0, 20], [0, 0, 5, 30]])


def test_empty_labels_are_allowed(tmp_path):
    write_image(Volume(np.zeros((3, 4, 5), np.uint8), np.eye(4)), tmp_path / "a.nrrd")
    assert not read_labels(tmp_path / "a.nrrd").array.any()


# ---- heads of all kinds


@pytest.mark.parametrize(
    "volume",
    [
        pytest.param(bodies.head((10, 128, 128), (1.9, 1.9, 7.0)), id="ten thick slices"),
        pytest.param(bodies.head(size=0.58, bone=280), id="newborn"),
        pytest.param(bodies.head((60, 256, 256), (0.95, 0.95, 2.5), noise=90), id="sharp kernel"),
        pytest.param(bodies.head(noise=30), id="noise"),
    ],
)
def test_heads_pass(volume, tmp_path):
    write_image(volume, tmp_path / "a.nrrd")
    assert read_ct(tmp_path / "a.nrrd").shape == volume.shape


def test_operated_tilted_cropped_and_long_heads_pass(tmp_path):
    head = bodies.head()
    x = np.arange(128) - 63.5
    window = head.array.copy()
    bone = (head.array > 300) & (x > 0) & (np.abs(x[:, None]) < 22)[None]
    window[bone] = 20  # a craniectomy on one side
    body = bodies.torso("chest", (20, 128, 128), (1.9, 1.9, 5.0), size=0.68)
    cases = {
        "craniectomy": replace(head, array=window),
        "cropped": Volume(head.array[:, 24:104, 26:102], bodies.grid((30, 80, 76), (1.9, 1.9, 5.0))),
        "with shoulders": Volume(
            np.concatenate([body.array, head.array]), bodies.grid((50, 128, 128), (1.9, 1.9, 5.0))
        ),
        "coronal": Volume(head.array.transpose(1, 0, 2), head.ijk_to_ras[:, [0, 2, 1, 3]]),
        "tilted": replace(head, ijk_to_ras=bodies.grid(turn=LEANING)),
    }
    for name, volume in cases.items():
        path = tmp_path / f"{name}.nrrd"
        write_image(volume, path)
        read_ct(path)
