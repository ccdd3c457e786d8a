"""Where patients to train on come from, one at a time: virtual ones, those in memory, several sources mixed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import OptionError
from ..models.manifest import Manifest
from ..phantoms.patient import PatientSpec
from .samples import Samples, cache_file, cached_patient

Job = Callable[[], Samples]


class Source(Protocol):
    """Patients by number. A job can be pickled, is small, and may run in another process."""

    def __len__(self) -> int: ...

    def job(self, n: int) -> Job:
        """Return what makes or reads patient ``n``."""
        ...

    def discard(self, n: int) -> None:
        """Be told that patient ``n`` has left memory."""
        ...


@dataclass(frozen=True)
class VirtualPatients:
    """Virtual patients, made when they are wanted and kept in ``cache``.

    Parameters
    ----------
    specs:
        One a patient.
    manifest:
        Whose grid they are brought to.
    cache:
        A folder, made if missing: a patient is made once for all epochs and all runs that share it.
    keep:
        False deletes a patient's file when it leaves memory: for patients without end, on a disk with one.
    device:
        Where they are rendered: a torch device that the processes which make them can use.
    """

    specs: Sequence[PatientSpec]
    manifest: Manifest
    cache: Path
    keep: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self.specs)

    def job(self, n: int) -> Job:
        """Return what makes patient ``n``."""
        return functools.partial(cached_patient, self.specs[n], self.manifest, self.cache, self.device)

    def discard(self, n: int) -> None:
        """Delete patient ``n``'s file, unless it is to be kept."""
        if not self.keep:
            cache_file(self.specs[n], self.manifest, self.cache).unlink(missing_ok=True)


class InMemory:
    """Samples that are there already, one patient at a time."""

    def __init__(self, samples: Samples) -> None:
        self._patients = [samples.rows(samples.patient == p) for p in np.unique(samples.patient)]

    def __len__(self) -> int:
        return len(self._patients)

    def job(self, n: int) -> Job:
        """Return what hands out patient ``n``."""
        return functools.partial(_same, self._patients[n])

    def discard(self, n: int) -> None:
        """Keep it."""


def _same(samples: Samples) -> Samples:
    return samples


@dataclass(frozen=True)
class Mixed:
    """Several sources, each with its share of every batch.

    ``parts``: (source, share); the shares are positive and are brought to a sum of 1.
    """

    parts: tuple[tuple[Source, float], ...]

    def __post_init__(self) -> None:
        if not self.parts or any(not share > 0 for _, share in self.parts):
            raise OptionError("A mixture needs at least one source, each with a share above 0.")

    def counts(self, total: int) -> list[int]:
        """Split ``total`` slices among the sources as the shares say, the first taking up the rounding."""
        whole = sum(share for _, share in self.parts)
        rest = [round(total * share / whole) for _, share in self.parts[1:]]
        return [max(0, total - sum(rest)), *rest]
