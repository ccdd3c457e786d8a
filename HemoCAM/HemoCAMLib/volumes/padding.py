"""Padding: voxels outside the scanner's field of view, marked by values that no tissue has."""

import numpy as np

from .volume import AIR_HU

PADDING_HU = -2000


def padding_to_air(array: np.ndarray, marked: float | None = None) -> int:
    """Set padding to air (-1024 HU) in place and return how many voxels that were.

    Parameters
    ----------
    array:
        HU, any shape; a single slice, shape (J, I), where ``marked`` is given.
    marked:
        Value in HU that the file calls padding. Above -2000 HU it is believed only where three of the
        slice's four corners hold it: some files name a value that tissue has.
    """
    padded = array <= PADDING_HU
    if marked is not None and marked > PADDING_HU and marked != AIR_HU:
        corners = array[[0, 0, -1, -1], [0, -1, 0, -1]]
        if np.count_nonzero(corners == marked) >= 3:
            padded |= array == marked
    array[padded] = AIR_HU
    return int(np.count_nonzero(padded))
