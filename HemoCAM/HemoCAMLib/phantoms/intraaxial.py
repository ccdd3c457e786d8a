"""Bleeding into the tissue: basal ganglia, thalamus, lobes, cerebellum, pons."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .bleeding import Bleeding, Head, Story
from .brain import tentorium_height
from .displacement import push_from_point
from .noise import SmoothField
from .shapes import at_least
from .tissues import draw_hu

# Where a bleeding in the tissue lies, alone or with blood in the ventricles (after Qureshi et al., "Spontaneous
# intracerebral hemorrhage", NEJM 2001).
_SITES = ("basal ganglia", "thalamus", "lobe", "cerebellum", "pons")
_ALONE = (0.33, 0.1, 0.34, 0.16, 0.07)
_BREAKING_IN = (0.48, 0.34, 0.1, 0.06, 0.02)


def radius_of(ml: float) -> float:
    """Radius in mm of a ball of ``ml``."""
    return float((3000 * ml / (4 * np.pi)) ** (1 / 3))


# An infarct that bleeds: faint spots in a wide edema. How often, among bleedings of up to so many ml.
_PETECHIAL, _PETECHIAL_ML = 0.25, 12.0
# A tumor that bleeds, among the other bleedings of up to so many ml.
_TUMOR, _TUMOR_ML = 0.15, 20.0


def intraparenchymal(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """A hematoma with edema that pushes the brain aside, or the spots of an infarct that bleeds."""
    radius = radius_of(ml)
    site, centre = _place(head, rng, ml, radius, story)
    squeeze = rng.uniform(0.65, 1.4, 3)
    angles = rng.uniform(0, np.pi)
    rough = rng.uniform(0.08, 0.38)
    field = SmoothField.draw(rng, max(0.55 * radius, 3.0))
    fine = SmoothField.draw(rng, max(0.25 * radius, 3.0))
    halo = rng.uniform(0.05, 0.6) * radius + rng.uniform(1, 5)
    halo_hu = rng.uniform(2, 18)
    # small and fading hematomas are faint: a third of those up to 6 ml, some of the others
    fading = rng.random() < (0.33 if ml < 6 else 0.14)
    hu = draw_hu(rng, "subacute hematoma" if fading and "subacute" not in story.without else "hematoma")
    mottle_hu = rng.uniform(0, 9)
    strength = float(np.clip(rng.uniform(0.1, 1.05), 0, 1))
    petechial = rng.random() < _PETECHIAL and ml <= _PETECHIAL_ML
    if petechial:
        hu, mottle_hu, strength = draw_hu(rng, "petechial blood"), 3.0, 0.2 * strength
        halo, halo_hu = rng.uniform(8, 18), rng.uniform(9, 18)
        fine = SmoothField.draw(rng, rng.uniform(3.0, 6.0))
    tumor = not petechial and ml <= _TUMOR_ML and rng.random() < _TUMOR
    if tumor:  # blood in a ring or in patches of a tumor, faint, in a wide edema
        hu, mottle_hu = draw_hu(rng, "petechial blood"), rng.uniform(3, 8)
        halo, halo_hu = rng.uniform(12, 26), rng.uniform(8, 16)
        wide = radius * rng.uniform(1.1, 1.8)
        fine = SmoothField.draw(rng, rng.uniform(5.0, 9.0))
    if "mass_effect" in story.without:
        strength = 0.0
    if story.focus is None:
        story.focus = centre
    squeeze = squeeze / squeeze.prod() ** (1 / 3)
    window = head.around(centre, radius * squeeze.max() * (2.6 if tumor else 1.9) + halo + 3)
    if window is None:
        return None
    frame = head.frame
    offset = tuple(a - float(c) for a, c in zip(frame.at(window), centre, strict=True))
    level = _turned_ellipsoid(offset, squeeze, angles)
    if petechial:
        level = 0.45 * level + 5 * frame.field(fine, window)
    elif tumor:
        # the ring fills first, then what is beside it; what is far inside and outside stays tissue
        level = (level - 0.8 * wide).abs() + 0.35 * wide * frame.field(fine, window)
        level += 2.0 * at_least(level - wide, 0)
    else:
        level += rough * radius * (frame.field(field, window) + 0.35 * frame.field(fine, window))
    room = head.cavity[window] - at_least(head.dura[window], (strength < 0.5) * head.ventricle[window])

    def push(reached: float) -> None:
        push_from_point(head.movable(window), offset, radius, strength, head.depth[window], head.spacing_mm)

    return Bleeding(
        window,
        level,
        room.clamp(0, 1),
        hu=hu,
        mottle_hu=mottle_hu,
        place={
            "site": site,
            "centre_mm": [round(float(c), 1) for c in centre],
            "petechial": bool(petechial),
            "tumor": bool(tumor),
        },
        halo_mm=0.0 if "edema" in story.without else halo,
        halo_hu=halo_hu,
        whole=not (petechial or tumor),
        push=push if strength > 0.05 else None,
    )


def _place(
    head: Head, rng: np.random.Generator, ml: float, radius: float, story: Story
) -> tuple[str, np.ndarray]:
    """Draw the site and the centre (x, y, z) of a hematoma."""
    side = rng.choice([-1, 1])
    site = str(rng.choice(list(_SITES), p=_BREAKING_IN if "intraventricular" in story.kinds else _ALONE))
    if ml > (22 if site == "thalamus" else 10) and site in ("thalamus", "pons"):
        site = "basal ganglia"
    if ml > 35 and site == "cerebellum":
        site = "lobe"
    drawn = {
        "basal ganglia": (side * 26, -12, 4),
        "thalamus": (side * 12, 3, 7),
        "cerebellum": (side * rng.uniform(8, 30), rng.uniform(35, 52), rng.uniform(-42, -25)),
        "pons": (0, 6, -30),
    }
    jitter, target = rng.normal(0, 3, 3), rng.uniform((-62, -80, -35), (62, 75, 65))
    if site != "lobe":
        return site, np.array(drawn[site]) + jitter
    frame = head.frame
    deep = min(max(0.75 * radius, 8), 26)
    where = ((head.depth - deep - 4).abs() < 4) & (frame.x.abs() > 6 + 0.5 * radius)
    where &= (head.ventricle < 0.1) & (frame.z > tentorium_height(frame.x, frame.y) + 0.5 * radius)
    found = head.nearest(target, where)
    return site, np.array([side * 35.0, -20, 25]) if found is None else found


def _turned_ellipsoid(offset: tuple[Tensor, ...], squeeze: np.ndarray, angle: float) -> Tensor:
    """Distance from the centre in mm, stretched by ``squeeze`` along axes turned about z."""
    u, v, w = offset
    c, s = float(np.cos(angle)), float(np.sin(angle))
    u, v = u * c + v * s, v * c - u * s
    axes = (axis / float(stretch) for axis, stretch in zip((u, v, w), squeeze, strict=True))
    return torch.sqrt(sum(axis * axis for axis in axes))
