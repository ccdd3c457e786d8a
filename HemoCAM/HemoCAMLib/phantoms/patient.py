"""Virtual patients: whole head CT volumes in HU with known hemorrhages and a label map.

No patient stands behind any of it: skull, brain, bleeding and scanner are drawn at random from one seed. The
draws are made on the CPU by numpy's PCG64 and are the same everywhere; the volume is rendered by torch, where
another device or processor rounds differently in the last of 24 bits. With exponentials rounded otherwise, one
voxel in a hundred thousand differs, by 1 HU, and no label (a test repeats this).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..volumes.volume import Volume
from .population import KINDS
from .spec import GROUPS, PatientSpec, demo_spec

if TYPE_CHECKING:
    import torch

__all__ = ["GROUPS", "KINDS", "Patient", "PatientSpec", "demo_spec", "make_patient", "make_patients"]


@dataclass(frozen=True)
class Patient:
    """A virtual patient.

    ``ct``: HU, int16, shape (K, J, I), canonical axial order; sheared if the gantry was tilted. ``labels``: on
    the same grid, uint8, 0 for none, else index in :data:`KINDS` + 1, for the kind that fills at least half of
    the voxel. ``intracranial``: uint8 on the same grid, 1 where the space inside the skull (brain, fluid, dura and
    blood) fills at least half of the voxel. ``description``: what was drawn, as JSON values.
    """

    ct: Volume
    labels: Volume
    intracranial: Volume
    spec: PatientSpec
    description: dict


def make_patient(spec: PatientSpec, device: torch.device | str = "cpu") -> Patient:
    """Make a virtual patient; half a second to a second for 30 slices of 256 x 256 on one core.

    Parameters
    ----------
    spec:
        Who is wanted.
    device:
        Where the volume is rendered, a torch device; the result lies in memory.

    Returns
    -------
    Patient
        Bit-identical for the same ``spec`` on the same machine with the same libraries.
    """
    from .render import render  # torch is loaded when the first patient is made

    ct, labels, inside, affine, description = render(spec, device)
    volume = Volume(ct, affine, name="virtual patient", source={"kind": "virtual patient", "seed": spec.seed})
    labels, inside = volume.like(labels, "hemorrhage"), volume.like(inside, "intracranial space")
    return Patient(volume, labels, inside, spec, description)


def make_patients(specs: Iterable[PatientSpec], device: torch.device | str = "cpu") -> Iterator[Patient]:
    """Make patients in order; several at a time where there is a GPU with the memory for them.

    A GPU waits for the draws of a single patient most of the time, so threads draw and render ahead, each on a
    CUDA stream of its own. On the CPU patients are made one by one, when they are asked for.
    """
    from .render import make_in_order

    return make_in_order(make_patient, specs, device)
