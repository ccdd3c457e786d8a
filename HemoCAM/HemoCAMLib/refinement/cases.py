"""What the refinement is given: a CT, a shown map on its grid and, to learn from, where the blood is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..volumes.axial import AxialOrder, to_axial
from ..volumes.volume import Volume


@dataclass(frozen=True)
class RefinementCase:
    """A patient to fit the refinement on, or to choose its thresholds on.

    Parameters
    ----------
    ct:
        HU, any orientation.
    heatmap:
        The shown map on the CT's grid, 0..1, scaled and gated as the pipeline does it: all 0 on slices that do not
        pass the gate. Shape (K, J, I).
    blood:
        Where the reference has blood, bool, same shape.
    """

    ct: Volume
    heatmap: np.ndarray
    blood: np.ndarray


@dataclass(frozen=True)
class Aligned:
    """A checked case in canonical axial order, as views.

    ``shown``: slices on which the map is anywhere above 0, bool, shape (S,). ``blood``: None where unknown.
    """

    axial: Volume
    order: AxialOrder
    heatmap: np.ndarray
    shown: np.ndarray
    blood: np.ndarray | None

    @classmethod
    def of(cls, ct: Volume, heatmap: np.ndarray, blood: np.ndarray | None = None) -> Aligned:
        """Check and align.

        Raises
        ------
        InputError
            If a shape is not the CT's, the map leaves 0..1, something is not a number, or the labels are not bool.
        """
        for array, what in ((heatmap, "heat map"), (blood, "reference mask")):
            if array is not None and array.shape != ct.shape:
                raise InputError(
                    f"The {what} has the shape {array.shape} and the CT {ct.shape}; give the {what} on the CT's grid."
                )
        if blood is not None and blood.dtype != bool:
            raise InputError(
                f"The reference mask is bool, not {blood.dtype}; compare the labels with 0 first."
            )
        for plane in heatmap:  # slice by slice: no copies of the volume
            if plane.size and not (plane.min() >= 0 and plane.max() <= 1):  # "not >=" catches NaN, too
                raise InputError(
                    "The heat map has values outside 0 to 1, or NaN; give the map as it is shown."
                )
        if np.issubdtype(ct.array.dtype, np.inexact) and not all(np.isfinite(p).all() for p in ct.array):
            raise InputError(
                "The CT holds values that are not numbers; give HU, with air (-1024) as padding."
            )
        axial, order = to_axial(ct)
        maps = order.view(heatmap)
        shown = np.array([bool(plane.any()) for plane in maps])
        return cls(axial, order, maps, shown, None if blood is None else order.view(blood))
