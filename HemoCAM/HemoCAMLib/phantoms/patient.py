"""Virtual patients: whole head CT volumes in HU with known hemorrhages and a label map.

No patient stands behind any of it: skull, brain, bleeding and scanner are drawn at random from one seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import OptionError
from ..volumes.volume import Volume
from .bleeding import Head, Story, pour
from .brain import Brain
from .frame import Frame, Pose, Warp
from .hemorrhage import MAKERS
from .incidental import Incidentals
from .population import KINDS, draw_kinds, draw_ml, log_uniform
from .scanner import AIR_HU, Scanner
from .skull import DOWN, Skull

__all__ = ["KINDS", "Patient", "PatientSpec", "demo_spec", "make_patient"]

# Order of bleeding: the first push the brain aside, the last fill what is left. How often a kind has two or
# three foci (contusions, both sides), where no volume is asked for.
_ORDER = ("intraparenchymal", "epidural", "subdural", "intraventricular", "subarachnoid")
_SEVERAL = dict(zip(_ORDER, (0.15, 0.04, 0.14, 0.0, 0.15), strict=True))
# The head lies within this box around the scanner's axis; beyond it there is only air (and the headrest).
_REACH_MM = 122.0


@dataclass(frozen=True)
class PatientSpec:
    """Everything about a request for a virtual patient; the same request gives the same patient.

    Parameters
    ----------
    seed:
        Of all that is random, >= 0. Head, bleeding and scanner have streams of their own: the same seed with
        ``kinds=()`` gives the same head in the same scan without the bleeding.
    kinds:
        Hemorrhages wanted, of :data:`KINDS`; ``()`` for none; None to draw from :mod:`.population`: a third has
        none, the others one to three kinds.
    size:
        Rows and columns of a slice.
    spacing_mm:
        Pixel spacing in mm.
    slice_mm:
        Distance of slices and their thickness in mm.
    lesion_ml:
        Wished range of the total volume of hemorrhage, ml; None: what each kind usually has.
    """

    seed: int
    kinds: tuple[str, ...] | None = None
    size: int = 256
    spacing_mm: float = 0.9
    slice_mm: float = 5.0
    lesion_ml: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds or () if kind not in KINDS]
        if unknown:
            raise OptionError(f"There is no hemorrhage kind “{unknown[0]}”; choose from {', '.join(KINDS)}.")
        if len(set(self.kinds or ())) != len(self.kinds or ()):
            raise OptionError("A hemorrhage kind is named twice; name each kind once.")
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


@dataclass(frozen=True)
class Patient:
    """A virtual patient.

    ``ct``: HU, int16, shape (K, J, I), canonical axial order, centred on the scanner's axis. ``labels``: on
    the same grid, uint8, 0 for none, else index in :data:`KINDS` + 1, for the kind that fills at least half of
    the voxel. ``description``: what was drawn, as JSON values.
    """

    ct: Volume
    labels: Volume
    spec: PatientSpec
    description: dict


def demo_spec() -> PatientSpec:
    """Return the fixed patient of ``hemocam demo``: one clear intraparenchymal hemorrhage of about 50 ml."""
    return PatientSpec(seed=361, kinds=("intraparenchymal",), lesion_ml=(45.0, 55.0))


def make_patient(spec: PatientSpec) -> Patient:
    """Make a virtual patient; about a second for 30 slices of 256 x 256.

    Returns
    -------
    Patient
        Bit-identical for the same ``spec`` on the same machine with the same libraries.
    """
    anatomy, lesions, scan = (np.random.default_rng(s) for s in np.random.SeedSequence(spec.seed).spawn(3))
    scanner = Scanner(scan)
    scale = tuple(np.clip(anatomy.normal(1.0, 0.045, 3), 0.9, 1.1).tolist())
    skull, brain, incidental = Skull(anatomy), Brain(anatomy), Incidentals(anatomy)
    warp = Warp.draw(anatomy, 42.0, anatomy.uniform(0.8, 2.2))

    z_mm = _slice_positions(spec, scanner.pose, skull, scale, warp, scan)
    parts = max(1, round(spec.slice_mm / 2.5))
    step = spec.slice_mm / parts
    z_parts = (z_mm[:, None] + (np.arange(parts) - (parts - 1) / 2) * step).ravel()
    plane = (np.arange(spec.size) - (spec.size - 1) / 2) * spec.spacing_mm
    crop = np.flatnonzero(np.abs(plane) < _REACH_MM)
    crop = slice(int(crop[0]), int(crop[-1]) + 1)
    near = plane[crop]

    whole = Frame(z_parts, near, near, scanner.pose, scale, warp, spec.spacing_mm, step)
    head, skin = _render(whole, skull, brain, incidental, parts, spec)
    shares, found = _bleed(head, spec, lesions)

    middle = Frame(z_mm, near, near, scanner.pose, scale, warp, spec.spacing_mm, step)
    average = head.averaged
    picture = scanner.expose(
        middle,
        average(head.bled() if shares else head.hu),
        average(head.depth),
        average(head.cavity),
        average(skin),
        spec.spacing_mm,
    )
    ct = np.full((len(z_mm), spec.size, spec.size), -1000.0, np.float32)
    ct[:, crop, crop] = picture
    scanner.surroundings(z_mm, plane, plane, ct)
    ct = np.clip(np.rint(ct), AIR_HU, 3071).astype(np.int16)

    labels = np.zeros(ct.shape, np.uint8)
    for kind, share in shares.items():
        labels[:, crop, crop][average(share) >= 0.5] = KINDS.index(kind) + 1
    affine = np.diag([-spec.spacing_mm, -spec.spacing_mm, spec.slice_mm, 1.0])
    affine[:3, 3] = (-plane[0], -plane[0], z_mm[0])
    description = {
        "seed": spec.seed,
        "atrophy": brain.atrophy,
        "contrast": incidental.contrast,
        "head_scale": list(scale),
        "lesions": found,
        "ml": {kind: float((labels == KINDS.index(kind) + 1).sum() * head.voxel_ml) for kind in shares},
        "scanner": scanner.describe(),
    }
    volume = Volume(ct, affine, name="virtual patient", source={"kind": "virtual patient", "seed": spec.seed})
    return Patient(volume, volume.like(labels, "hemorrhage"), spec, description)


def _slice_positions(
    spec: PatientSpec,
    pose: Pose,
    skull: Skull,
    scale: tuple[float, ...],
    warp: Warp,
    rng: np.random.Generator,
) -> np.ndarray:
    """Scanner positions of the slices: from below the skull base to one or two slices of air, centred on 0."""
    z, across = np.arange(60.0, 125.0, 1.0), np.arange(-60.0, 61.0, 6.0)
    crown = Frame(z, across, across, pose, scale, warp, 6.0, 1.0)
    inside = skull.skin_depth(crown, skull.vault_depth(crown)[0])[1] > 0
    top = float(z[inside.any((1, 2))].max()) + rng.uniform(0.8, 1.8) * spec.slice_mm
    bottom = -(DOWN + rng.uniform(-2, 8)) * scale[2]
    count = int(np.ceil((top - bottom) / spec.slice_mm))
    return top - spec.slice_mm * np.arange(count)[::-1]


def _render(
    whole: Frame, skull: Skull, brain: Brain, incidental: Incidentals, parts: int, spec: PatientSpec
) -> tuple[Head, np.ndarray]:
    """Paint the head block by block of sub-slices; return it and the distance below the skin in mm."""
    names = ("hu", "depth", "vault", "cavity", "fluid", "ventricle", "dura", "skin")
    layers = {name: np.empty(whole.shape, np.float32) for name in names}
    for first in range(0, whole.shape[0], 4):
        block = slice(first, min(first + 4, whole.shape[0]))
        frame = whole.part(block)
        vault, edge = skull.vault_depth(frame)
        depth, base, thick = skull.depth(frame, vault)
        hu, skin = skull.paint(frame, vault, edge, base, thick)
        cavity, fluid, ventricle = brain.paint(frame, depth, edge, hu)
        dura = incidental.paint(frame, depth, cavity, fluid, hu)
        for name, layer in zip(names, (hu, depth, vault, cavity, fluid, ventricle, dura, skin), strict=True):
            layers[name][block] = layer
    skin = layers.pop("skin")
    voxel_ml = spec.spacing_mm**2 * spec.slice_mm / 1000
    blood, stain = np.zeros((2, *whole.shape), np.float32)
    return Head(whole, **layers, blood=blood, stain=stain, parts=parts, voxel_ml=voxel_ml), skin


def _bleed(
    head: Head, spec: PatientSpec, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Pour the hemorrhages; return the share of each kind on the sub-slices, and their descriptions."""
    kinds = draw_kinds(rng) if spec.kinds is None else spec.kinds
    if not kinds:
        return {}, []
    split = rng.dirichlet([2.0] * len(kinds))
    if spec.lesion_ml:
        total = log_uniform(rng, *spec.lesion_ml)
        wished = {kind: total * part for kind, part in zip(kinds, split, strict=True)}
    else:
        wished = {kind: draw_ml(rng, kind) for kind in kinds}
    shares, found = {}, []
    story = Story(tuple(kinds))
    for kind in sorted(kinds, key=_ORDER.index):
        share = np.zeros(head.hu.shape, np.float32)
        several = rng.random() < _SEVERAL[kind] and spec.lesion_ml is None
        for part in rng.dirichlet([1.5] * int(rng.integers(2, 4))) if several else [1.0]:
            ml = float(max(wished[kind] * part, 0.5))
            bleeding = MAKERS[kind](head, rng, ml, story)
            if bleeding is not None:
                np.maximum(share[bleeding.window], pour(head, bleeding, ml, rng), out=share[bleeding.window])
                found.append({"kind": kind, "wished_ml": ml, "hu": bleeding.hu, **bleeding.place})
        shares[kind] = share
    return shares, found
