"""Slabs: thin slices averaged to the thickness that the classifier was trained on, and painted back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..steps import Step, Steps, follow
from .axial import slice_gap
from .volume import Volume


@dataclass(frozen=True)
class Slabs:
    """A partition of the axial slices, inferior to superior, into runs of neighbours.

    ``edges`` has shape (n_slabs + 1,): slab s holds canonical slices ``edges[s]`` to ``edges[s + 1] - 1``.
    """

    edges: np.ndarray

    @classmethod
    def of(cls, axial: Volume, thickness_mm: float) -> Slabs:
        """Partition ``axial`` (canonical order) into slabs as near ``thickness_mm`` as equal shares allow.

        Slices that are as thick as the slab, or thicker, pass through: one slice a slab. Shares differ by at
        most one slice, so the last slab is never a noisy remainder.
        """
        if thickness_mm <= 0:
            raise ValueError("the slab thickness is a positive number of mm")
        slices = axial.shape[0]
        count = int(np.clip(round(slices * slice_gap(axial) / thickness_mm), 1, slices))
        return cls(np.round(np.linspace(0, slices, count + 1)).astype(int))

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def of_slice(self) -> np.ndarray:
        """The slab of each canonical slice, shape (S,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.edges))

    def average(self, axial: Volume) -> np.ndarray:
        """Mean HU of each slab, float32, shape (n_slabs, rows, columns); interpolated slices do not count."""
        return follow(self.average_steps(axial))

    def average_steps(self, axial: Volume) -> Steps[np.ndarray]:
        """As :meth:`average`; a step is a slab."""
        out = np.empty((len(self), *axial.shape[1:]), np.float32)
        acquired = np.ones(axial.shape[0], bool) if axial.acquired is None else axial.acquired
        for slab, (start, stop) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            yield Step("Averaging slices", slab, len(self))
            own = acquired[start:stop]
            if not own.any():  # a whole slab is missing from the series: its interpolation is all there is
                own = np.ones_like(own)
            np.mean(axial.array[start:stop][own], axis=0, dtype=np.float32, out=out[slab])
        return out

    def paint(self, values: np.ndarray) -> np.ndarray:
        """Give every canonical slice its slab's value: shape (n_slabs, ...) to (S, ...)."""
        if len(values) != len(self):
            raise InputError(f"{len(values)} values for {len(self)} slabs; pass one value a slab.")
        return values[self.of_slice]
