"""What is asked of the generator: one virtual patient, and the groups of features that can be left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import OptionError
from .population import KINDS

# Groups of randomised features, for ablation: without a group its features are absent, or constant and usual.
GROUPS = {
    "atrophy": "age: wide sulci and ventricles, pale white matter; without: one slight atrophy",
    "asymmetry": "warp of the head, skewed skull, unequal ventricles",
    "calcium": "pineal, choroid plexus, basal ganglia and falx calcifications, calcified tumours",
    "contrast": "contrast medium in arteries, veins, sinuses and dura",
    "dense_vessels": "dense sinuses and arteries without contrast, dense falx and tentorium",
    "scars": "old infarcts, lacunes, hygromas",
    "skull": "sutures, crests, rough inner table, hyperostosis, swollen scalp, fluid in sinuses and mastoid cells",
    "surgery": "craniotomy, craniectomy, burr holes, plates, drains, air and fluid after surgery",
    "metal": "dental metal, clips and coils with their streaks",
    "motion": "slices in which the head moved: ghosts, shifts, streaks",
    "hardening": "dark bands and streaks at the skull base, cupping under the vault, shading, starved rays",
    "noise": "amount and grain of noise; without: 3 HU in 5 mm",
    "kernel": "sharpness; without: a soft brain kernel",
    "pose": "rotation and offset of the head in the scanner",
    "tilt": "gantry tilt: sheared volumes",
    "surroundings": "table, headrest, round and off-centre fields of view, padding values",
    "mass_effect": "displacement of the brain by hemorrhages",
    "edema": "dark rim of hematomas in the tissue",
    "lesion_texture": "mottling, swirls and fluid levels in the blood",
    "subacute": "old, isodense and mixed blood",
}


@dataclass(frozen=True)
class PatientSpec:
    """Everything about a request for a virtual patient; the same request gives the same patient.

    Parameters
    ----------
    seed:
        Of all that is random, >= 0. Head, bleeding and scanner have streams of their own: the same seed with
        ``kinds=()`` gives the same head in the same scan without the bleeding.
    kinds:
        Hemorrhages wanted, of :data:`KINDS`; ``()`` for none; None to draw from :mod:`.population`: half have
        none, the others one to three kinds.
    size:
        Rows and columns of a slice.
    spacing_mm:
        Pixel spacing in mm.
    slice_mm:
        Distance of slices and their thickness in mm.
    lesion_ml:
        Wished range of the total volume of hemorrhage, ml; None: what each kind usually has.
    without:
        Names of :data:`GROUPS` to leave out; everything else about the patient stays as it is.
    """

    seed: int
    kinds: tuple[str, ...] | None = None
    size: int = 256
    spacing_mm: float = 0.9
    slice_mm: float = 5.0
    lesion_ml: tuple[float, float] | None = None
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds or () if kind not in KINDS]
        if unknown:
            raise OptionError(f"There is no hemorrhage kind “{unknown[0]}”; choose from {', '.join(KINDS)}.")
        if len(set(self.kinds or ())) != len(self.kinds or ()):
            raise OptionError("A hemorrhage kind is named twice; name each kind once.")
        unknown = [group for group in self.without if group not in GROUPS]
        if unknown:
            raise OptionError(
                f"There is no group of features “{unknown[0]}”; choose from {', '.join(GROUPS)}."
            )
        if self.seed < 0:
            raise OptionError(f"The seed of a virtual patient is {self.seed}; give a number of 0 or more.")
        if not (16 <= self.size <= 1024 and self.spacing_mm > 0 and 0.3 <= self.slice_mm <= 20):
            raise OptionError(
                f"A virtual patient of {self.size} pixels of {self.spacing_mm} mm in slices of {self.slice_mm} mm "
                "cannot be made; use 16 to 1024 pixels and slices of 0.3 to 20 mm."
            )
        if self.lesion_ml and not 0 < self.lesion_ml[0] <= self.lesion_ml[1] <= 200:
            raise OptionError(
                f"The hemorrhage volume {self.lesion_ml} ml is no range; give two rising numbers up to 200."
            )

    def stream(self, name: str) -> np.random.Generator:
        """Random numbers of their own for one topic, so that drawing more elsewhere changes nothing here."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_STREAMS.index(name),)))


# Append only: a stream's place in this list is a part of every patient.
_STREAMS = (
    "anatomy",
    "lesions",
    "scan",
    "skew",
    "sutures",
    "dense",
    "surgery",
    "texture",
    "setup",
    "artefacts",
    "bone",
    "posture",
    "streaks",
)


def demo_spec() -> PatientSpec:
    """Return the fixed patient of ``hemocam demo``: one clear intraparenchymal hemorrhage of about 50 ml."""
    return PatientSpec(seed=367, kinds=("intraparenchymal",), lesion_ml=(45.0, 55.0))
