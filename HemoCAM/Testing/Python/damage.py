"""What tests of bad inputs share: a small head to be spoilt, ways to spoil it, what a refusal must be."""

import bodies
import dicom_factory
import numpy as np
import pytest
import SimpleITK as sitk
from HemoCAMLib.errors import InputError
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.reading import read_ct

SMALL = (12, 48, 48)
SPACING = (4.0, 4.5, 9.0)
SROW = np.array([[-4.0, 0, 0, 90], [0, -4.5, 0, 100], [0, 0, 9.0, -50]])  # its sform in a NIfTI file


def small_head():
    return bodies.head(SMALL, SPACING)


def saved(volume, folder, name="a.nrrd", compress=False):
    write_image(volume, folder / name, compress)
    return folder / name


def cut(path, share=0.6):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def written(folder, name, data):
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder / name


def edited(path, old, new):
    data = path.read_bytes()
    assert old.encode() in data
    path.write_bytes(data.replace(old.encode(), new.encode()))
    return path


def series(folder, **tags):
    return dicom_factory.write_series(folder / "d", small_head(), **tags)


def nothing(folder):
    return folder / "none.nii.gz"


def picture(folder):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((8, 8), np.uint8)), str(folder / "a.png"))
    return folder / "a.png"


def cut_packed_nifti(folder):
    return cut(saved(small_head(), folder, "a.nii.gz"))


def name_of(value):
    """Id of a case: its builder's name."""
    return value.__name__ if callable(value) and value.__name__ != "build" else None


def one_sentence(error):
    text = str(error)
    assert "\n" not in text
    assert 20 < len(text) < 250 or text.endswith("is empty.")
    assert text.endswith(".")
    assert ". " not in text.replace("a.nii ", "").replace("a.nrrd ", "")
    assert "ITK" not in text


def refused(path, pattern, folder):
    """Assert that reading ``path`` ends with one sentence that has ``pattern`` and names no place on the disk."""
    with pytest.raises(InputError, match=pattern) as caught:
        read_ct(path)
    one_sentence(caught.value)
    assert str(folder) not in str(caught.value)
    assert caught.value.exit_code == 2
