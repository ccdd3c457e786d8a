"""What tests of the check share: good sets, and ways to break one."""

import shutil

import numpy as np
import pytest
from HemoCAMLib.datasets.check import inspect_files, inspect_voxels
from HemoCAMLib.volumes.files import read_image, write_image
from HemoCAMLib.volumes.volume import Volume
from labelled_sets import IMAGES, SUFFIX, write_set

LAYOUTS = ("volumes", "hemorica", "ct-ich")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    for name in LAYOUTS:
        write_set(folder / name, name, count=4)
    return folder


@pytest.fixture
def broken(good, tmp_path):
    """Copy the good set of a layout, to be broken."""

    def copy(name):
        shutil.copytree(good / name, tmp_path / name)
        return tmp_path / name

    return copy


def faults_of(folder, splits=None, reading=None):
    inspection = inspect_files(folder, reading, splits)
    inspect_voxels(inspection)
    for sentence in (*inspection.faults, *inspection.notes):
        assert "\n" not in sentence and sentence.endswith(".") and len(sentence) < 300
    return inspection.faults


def image(folder, number, mask=False, slice_number=6):
    """A file of patient ``number`` in a set of any layout."""
    name = folder.name
    stem = f"{number:03d}" if name == "ct-ich" else f"phantom-{number:05d}"
    stem += f"_{slice_number}" if name == "hemorica" else ""
    return folder / ("masks" if mask else IMAGES.get(name, "images")) / f"{stem}.{SUFFIX[name]}"


def rewrite(path, change):
    """Change the voxels of a volume or of a slice."""
    if path.suffix == ".npy":
        np.save(path, change(np.load(path)))
    else:
        volume = read_image(path)
        write_image(Volume(change(volume.array), volume.ijk_to_ras), path)


def empty(path):
    path.write_bytes(b"")


def nan(path):
    def change(array):
        array = array.astype(np.float32)
        array.flat[5] = np.nan
        return array

    rewrite(path, change)
