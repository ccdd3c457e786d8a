"""What tests of the readers share."""

import numpy as np
from HemoCAMLib.datasets.layouts import LABELS


def flags_of(labels):
    """Slice labels that a label map in canonical order shows, shape (S, 6)."""
    kinds = [[(plane == value).any() for value in LABELS.values()] for plane in labels.array]
    return np.array([[any(row), *row] for row in kinds], np.float32)
