"""Scans that are in a data set twice, under two names: they would be trained on and tested on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ..volumes.axial import AxialOrder
from ..volumes.volume import Volume
from .case import Case, file_name
from .folders import more


@dataclass
class Twins:
    """Remembers each slice it has seen, 16 bytes each, and tells when one comes again.

    Slices of one value and slices that repeat their neighbour tell nothing and do not count. A volume is a twin if
    more than half of its slices are another's; of .npy slices, each counts.
    """

    _seen: dict[bytes, tuple[Case, int]] = field(default_factory=dict)

    def see(self, case: Case, ct: Volume) -> list[str]:
        """Take in a case; return a sentence for each earlier case that holds the same slices, or for itself."""
        planes = AxialOrder.of(ct.ijk_to_ras).view(ct.array)
        same: dict[str, list[tuple[int, Case, int]]] = {}
        last = None
        for n, plane in enumerate(planes):
            if plane.min() == plane.max():
                continue
            key = hashlib.blake2b(np.ascontiguousarray(plane), digest_size=16, key=b"hemocam").digest()
            other, m = self._seen.setdefault(key, (case, n))
            if (other is not case or (case.is_stack and m != n)) and key != last:
                same.setdefault(other.name, []).append((n, other, m))
            last = key
        faults = []
        for pairs in same.values():
            n, other, m = pairs[0]
            if case.is_stack:
                faults.append(
                    f"{file_name(case.images[n])}{more(pairs)} holds the same pixels as "
                    f"{file_name(other.images[m])}; keep one of the two."
                )
            elif len(pairs) > len(planes) / 2:
                faults.append(
                    f"{file_name(case.images[0])} holds the same voxels as {file_name(other.images[0])}; keep one of "
                    "the two."
                )
        return faults
