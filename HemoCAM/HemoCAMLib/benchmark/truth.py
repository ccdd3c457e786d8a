"""The truth of a case as the measures want it: the target's blood, in the canonical order of the slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..datasets.case import Case, LabelledCase
from ..datasets.layouts import LABELS
from ..errors import InputError
from ..metrics.kinds import largest_kind
from ..metrics.reference import Reference
from ..phantoms.patient import KINDS
from ..sweep.attempt import heed
from ..volumes.axial import to_axial
from .plan import Plan


@dataclass(frozen=True)
class Truth:
    """A case in memory and its reference.

    Parameters
    ----------
    loaded:
        The case.
    reference:
        Of the target's blood; labels (S, rows, columns) in canonical order.
    kinds:
        The kind that a slice is counted for, texts, (S,): the one with most pixels; where masks do not tell kinds,
        the only one that the table names; else empty.
    """

    loaded: LabelledCase
    reference: Reference
    kinds: np.ndarray

    @classmethod
    def of(cls, case: Case, plan: Plan) -> Truth:
        """Load a case; :class:`InputError` if it has no mask, or masks do not tell the target."""
        loaded = case.load(heed)
        if loaded.labels is None:
            raise InputError(f"{case.name} has no mask; a benchmark needs one for every bleeding scan.")
        axial, order = to_axial(loaded.ct)
        labels = order.view(loaded.labels.array)
        if plan.target in KINDS:
            if not loaded.kinds_known:
                raise InputError(
                    f"The masks of {case.name} do not tell {plan.target} from other hemorrhages; choose another "
                    "--target, or name the kinds in a mapping file."
                )
            labels = np.where(labels == LABELS[plan.target], labels, 0).astype(np.uint8)
        known = LABELS if loaded.kinds_known else {}
        affine = axial.ijk_to_ras if loaded.spacing_known else None
        reference = Reference(np.ascontiguousarray(labels), affine, known, plan.settings)
        return cls(loaded, reference, _kinds(loaded, reference))

    @property
    def truth_px(self) -> np.ndarray:
        """Pixels of the target's blood in each slice, int64, (S,)."""
        return np.array([np.count_nonzero(plane) for plane in self.reference.mask], np.int64)


def _kinds(loaded: LabelledCase, reference: Reference) -> np.ndarray:
    if reference.kinds:
        return largest_kind(reference.kind_pixels, reference.kinds)
    said = loaded.slice_labels[:, 1:] == 1
    only = np.array(KINDS)[said.argmax(axis=1)]
    return np.where(said.sum(axis=1) == 1, only, "")
