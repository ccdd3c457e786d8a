"""Cohorts: lists of virtual patients as they come, for data sets, training and measurements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import OptionError
from .patient import PatientSpec
from .population import HEALTHY, draw_kinds

# Slice thickness in mm and how often scanners are set to it.
SLICE_MM = {3.0: 0.15, 4.0: 0.13, 5.0: 0.5, 6.0: 0.1, 8.0: 0.08, 10.0: 0.04}
# Width and height of the field of view in mm.
FIELD_MM = (217.6, 256.0)


def cohort(
    count: int,
    seed: int,
    *,
    slice_mm: float | Sequence[float] | None = None,
    size: int = 256,
    healthy: float = HEALTHY,
) -> list[PatientSpec]:
    """Specify ``count`` virtual patients; patient n is the same whatever the count.

    Parameters
    ----------
    count:
        Number of patients, >= 0.
    seed:
        Of the cohort, 0 to 9,000,000; different seeds have no patient in common as long as cohorts stay below
        a million patients.
    slice_mm:
        Slice thickness in mm, or thicknesses to choose from; None: 3 to 10 mm, mostly 5.
    size:
        Rows and columns of a slice. The field of view is drawn, 218 to 256 mm: pixels of 0.85 to 1 mm at 256.
    healthy:
        Part (0..1) of patients without a hemorrhage; the others have one to three kinds.

    Raises
    ------
    OptionError
        If a number is out of range.
    """
    if not (count >= 0 and 0 <= seed <= 9_000_000 and 0 <= healthy <= 1):
        raise OptionError(
            f"A cohort of {count} patients of seed {seed}, {healthy:g} of them healthy, cannot be drawn; "
            "use a count from 0, a seed from 0 to 9,000,000 and a part from 0 to 1."
        )
    if slice_mm is None:
        thickness, often = list(SLICE_MM), list(SLICE_MM.values())
    else:
        thickness = [float(mm) for mm in np.atleast_1d(slice_mm)]
        often = [1 / len(thickness)] * len(thickness)
    specs = []
    for n in range(count):
        rng = np.random.default_rng([seed, n])
        specs.append(
            PatientSpec(
                seed=seed * 1_000_000 + n,
                kinds=draw_kinds(rng, healthy),
                size=size,
                spacing_mm=float(rng.uniform(*FIELD_MM)) / size,
                slice_mm=float(rng.choice(thickness, p=often)),
            )
        )
    return specs
