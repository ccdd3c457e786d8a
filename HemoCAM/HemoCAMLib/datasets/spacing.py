"""How large the voxels of slices are that do not say it: stated by the user, by a table, or assumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Slices in .npy files do not say how large their pixels are. The field of view is that of the shipped models'
# input and near that of most head CTs; 5 mm is the slice thickness of the training literature.
FIELD_OF_VIEW_MM = 240.0
SLICE_MM = 5.0
LIMITS_MM = (0.01, 100.0)


@dataclass(frozen=True)
class Spacing:
    """Size in mm of the voxels of slices that do not say theirs; None: unknown.

    An unknown pixel is :data:`FIELD_OF_VIEW_MM` divided by the number of columns, an unknown slice
    :data:`SLICE_MM` thick. Overlap, boxes and classification do not depend on it, but for what the network sees
    of the head's size; ml and mm do.
    """

    pixel_mm: float | None = None
    slice_mm: float | None = None

    @property
    def known(self) -> bool:
        """Whether somebody has stated both."""
        return self.pixel_mm is not None and self.slice_mm is not None

    def affine(self, columns: int) -> np.ndarray:
        """IJK-to-RAS of a stack in canonical axial order, shape (4, 4)."""
        pixel = self.pixel_mm or FIELD_OF_VIEW_MM / columns
        return np.diag([-pixel, -pixel, self.slice_mm or SLICE_MM, 1.0])


def read_spacings(rows: Iterable[dict[str, str]], asked: Spacing) -> tuple[dict[str, Spacing], list[str]]:
    """Read the spacing of patients off the rows of ``patients.csv``: patient, pixel_mm, slice_mm.

    ``asked`` comes first where it states something. Returns spacings by patient, and a sentence for each row
    that makes no sense.
    """
    found, faults = {}, []
    for row in rows:
        pixel, thick = (_positive(row[name]) for name in ("pixel_mm", "slice_mm"))
        if row["patient"] and pixel and thick:
            found[row["patient"]] = Spacing(asked.pixel_mm or pixel, asked.slice_mm or thick)
        else:
            faults.append(
                f"patients.csv gives {row['patient'][:80]!a} no spacing in mm; correct pixel_mm and slice_mm."
            )
    return found, faults


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if LIMITS_MM[0] <= value <= LIMITS_MM[1] else None
