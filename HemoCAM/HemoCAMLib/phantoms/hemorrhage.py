"""Hemorrhages of five kinds: where each of them bleeds, how it looks, and how it pushes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .bleeding import Bleeding, Head, Story
from .brain import tentorium_height
from .displacement import push_from_point, push_from_skull
from .noise import SmoothField
from .population import KINDS, log_uniform
from .shapes import fill

# Where a bleeding in the tissue lies, alone or with blood in the ventricles (after Qureshi et al., "Spontaneous
# intracerebral hemorrhage", NEJM 2001).
_SITES = ("basal ganglia", "thalamus", "lobe", "cerebellum", "pons")
_ALONE = (0.4, 0.12, 0.34, 0.1, 0.04)
_BREAKING_IN = (0.48, 0.34, 0.1, 0.06, 0.02)


def radius_of(ml: float) -> float:
    """Radius in mm of a ball of ``ml``."""
    return float((3000 * ml / (4 * np.pi)) ** (1 / 3))


def intraparenchymal(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """A bleeding into the tissue: basal ganglia, thalamus, lobes, cerebellum or pons."""
    side = rng.choice([-1, 1])
    site = str(rng.choice(list(_SITES), p=_BREAKING_IN if "intraventricular" in story.kinds else _ALONE))
    radius = radius_of(ml)
    if ml > (22 if site == "thalamus" else 10) and site in ("thalamus", "pons"):
        site = "basal ganglia"
    if ml > 35 and site == "cerebellum":
        site = "lobe"
    frame = head.frame
    drawn = {
        "basal ganglia": (side * 26, -12, 4),
        "thalamus": (side * 12, 3, 7),
        "cerebellum": (side * rng.uniform(8, 30), rng.uniform(35, 52), rng.uniform(-42, -25)),
        "pons": (0, 6, -30),
    }
    if site == "lobe":
        deep = min(max(0.75 * radius, 8), 26)
        where = (np.abs(head.depth - deep - 4) < 4) & (np.abs(frame.x) > 6 + 0.5 * radius)
        where &= (head.ventricle < 0.1) & (frame.z > tentorium_height(frame.x, frame.y) + 0.5 * radius)
        found = head.somewhere(rng.random(), where)
        centre = np.array([side * 35.0, -20, 25]) if found is None else found
    else:
        centre = np.array(drawn[site]) + rng.normal(0, 3, 3)
    squeeze = rng.uniform(0.65, 1.4, 3)
    angles = rng.uniform(0, np.pi)
    rough = rng.uniform(0.08, 0.38)
    field = SmoothField.draw(rng, max(0.55 * radius, 3.0))
    fine = SmoothField.draw(rng, max(0.25 * radius, 3.0))
    halo = rng.uniform(0.05, 0.6) * radius + rng.uniform(1, 5)
    faint = rng.random() < 0.12
    look = {
        "hu": rng.uniform(46, 58) if faint else rng.uniform(58, 86),
        "mottle_hu": rng.uniform(0, 9),
        "halo_hu": rng.uniform(2, 18),
    }
    strength = float(np.clip(rng.uniform(0.1, 1.05), 0, 1))
    story.focus = centre if story.focus is None else story.focus
    squeeze = squeeze / squeeze.prod() ** (1 / 3)
    window = head.around(centre, radius * squeeze.max() * 1.9 + halo + 3)
    if window is None:
        return None
    x, y, z = frame.at(window)
    offset = tuple(a - np.float32(c) for a, c in zip((x, y, z), centre, strict=True))
    u, v, w = offset
    c, s = np.float32(np.cos(angles)), np.float32(np.sin(angles))
    u, v = u * c + v * s, v * c - u * s
    level = np.sqrt((u / squeeze[0]) ** 2 + (v / squeeze[1]) ** 2 + (w / squeeze[2]) ** 2).astype(np.float32)
    level += np.float32(rough * radius) * (frame.field(field, window) + 0.35 * frame.field(fine, window))
    room = head.cavity[window] - np.maximum(head.dura[window], (strength < 0.5) * head.ventricle[window])

    def push(reached: float) -> None:
        push_from_point(head.movable(window), offset, radius, strength, head.depth[window], head.spacing_mm)

    return Bleeding(
        window,
        level,
        np.clip(room, 0, 1),
        place={"site": site, "centre_mm": [round(float(c), 1) for c in centre]},
        halo_mm=halo,
        whole=True,
        push=push if strength > 0.05 else None,
        **look,
    )


def intraventricular(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """Blood in the ventricles: a level in the dependent horns, a cast around one point, or both at once.

    A bleeding that breaks in from the tissue casts the ventricles nearest to it.
    """
    layered, cast = ((True, False), (False, True), (True, True))[int(rng.choice(3, p=[0.3, 0.35, 0.35]))]
    cast = cast or story.focus is not None
    side = float(rng.choice([-1, 0, 1]))
    field = SmoothField.draw(rng, 16)
    look = {"hu": rng.uniform(54, 85), "mottle_hu": rng.uniform(0, 7)}
    jitter = rng.uniform(0, 14)
    start = rng.normal(0, 1, 3) * (14, 22, 8) + (0, 5, 10)
    start = start if story.focus is None else story.focus
    sinking = rng.uniform(0.7, 2.2)
    window = head.around(np.array([0, 5, -5]), (56, 72, 48))
    if window is None:
        return None
    frame = head.frame
    x, y, z = frame.at(window)
    noise = frame.field(field, window)
    inside = head.ventricle[window]
    far = np.sqrt(sum((a - np.float32(c)) ** 2 for a, c in zip((x, y, z), start, strict=True)))
    far = far - np.min(far, where=inside > 0.5, initial=60.0) + np.float32(jitter) * noise
    deep = 58 - y + np.float32(0.08 * jitter) * noise - np.float32(5 * side) * np.sign(x)
    if layered and cast:
        level = np.minimum(far, np.float32(sinking) * deep)
    else:
        level = deep if layered else far
    near = ndimage.uniform_filter(inside, (3, 5, 5))
    near = ndimage.uniform_filter(near, (3, 5, 5))
    # Ventricles that are too small for the wished volume widen, after they are full.
    level = np.where(inside > 0.5, level, level + 60 * (1 - near) + 200)
    room = np.where(inside > 0.5, inside, np.clip(near * 30, 0, 1)) * (head.cavity[window] > 0.5)
    return Bleeding(window, level, room, place={"layered": layered, "cast": cast}, **look)


def subarachnoid(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """Blood in sulci, fissures and cisterns of a region."""
    side = rng.choice([-1, 1])
    site = str(rng.choice(["basal", "sylvian", "convexity"], p=[0.35, 0.25, 0.4]))
    frame = head.frame
    if site == "convexity":
        where = (head.depth > 2) & (head.depth < 5) & (frame.z > -5)
        found = head.somewhere(rng.random(), where)
        centre = np.array([0.0, 0, 70]) if found is None else found
    else:
        centre = np.array([0, -18, -16] if site == "basal" else [side * 44, -16, 2]) + rng.normal(0, 4, 3)
    field = SmoothField.draw(rng, 18)
    patches = rng.uniform(2, 12)
    swell = rng.uniform(0.22, 0.5)
    look = {"hu": rng.uniform(50, 78), "mottle_hu": rng.uniform(0, 5)}
    reach = min(24 + 14 * ml ** (1 / 2.2), 95)
    window = head.around(centre, reach)
    if window is None:
        return None
    x, y, z = frame.at(window)
    level = np.sqrt(sum((a - np.float32(c)) ** 2 for a, c in zip((x, y, z), centre, strict=True)))
    level += np.float32(patches) * frame.field(field, window)
    fluid = head.fluid[window]
    near = ndimage.uniform_filter(fluid, (1, 3, 3))
    # Blood distends the sulci: it also takes the voxels that hold or touch some fluid.
    room = np.clip((np.maximum(fluid, near) - np.float32(0.12)) / np.float32(swell), 0, 1)
    thin = np.clip(1.6 - head.depth[window] * 0.5, 0, 1) * 0.6
    room = np.maximum(room, thin * (head.depth[window] > 0)) * (1 - head.dura[window])
    room *= head.cavity[window]
    return Bleeding(
        window, level, room, place={"site": site, "centre_mm": [round(float(c), 1) for c in centre]}, **look
    )


def _under_the_skull(
    head: Head,
    rng: np.random.Generator,
    ml: float,
    ratio: tuple[float, float],
    steep: float,
    look: dict,
    sides: bool,
) -> Bleeding | None:
    """A collection on the inner table: ``ratio`` of radius to thickness, ``steep`` its rim's exponent."""
    frame = head.frame
    where = (
        (head.vault > 1) & (head.vault < 4) & (frame.z > -12) & (np.abs(frame.x) > 12) & (head.cavity > 0.9)
    )
    pick = rng.random()
    shape = log_uniform(rng, *ratio)
    stretch = rng.uniform(0.75, 1.35, 2)
    field = SmoothField.draw(rng, 14)
    rough = rng.uniform(0, 0.2)
    strength = float(np.clip(rng.uniform(0.2, 1.2), 0, 1))
    centre = head.somewhere(pick, where)
    if centre is None:
        return None
    # Collections are at least 4.5 mm thick: flatter ones are lost in partial volume.
    shape = max(min(shape, (2000 * ml / np.pi / 4.5**3) ** 0.5), 1.2)
    # A paraboloid cap of radius w and thickness w / shape holds pi w^3 / (2 shape).
    width = (2000 * ml * shape / np.pi) ** (1 / 3) * 1.15
    width = min(width, 95.0)
    window = head.around(centre, width * stretch.max() + 4)
    if window is None:
        return None
    x, y, z = frame.at(window)
    u, v, w = (a - np.float32(c) for a, c in zip((x, y, z), centre, strict=True))
    far = ((u * u + v * v) / np.float32(stretch[0] ** 2) + (w / np.float32(stretch[1])) ** 2) / np.float32(
        width**2
    )
    profile = np.clip(1 - far ** np.float32(steep), 0, 1) * (
        1 + np.float32(rough) * frame.field(field, window)
    )
    if sides:
        profile = profile * np.clip(x * np.float32(np.sign(centre[0]) / 2), 0, 1)
    profile = np.clip(profile, 1e-3, None)
    depth = head.vault[window]
    room = (head.cavity[window] > 0.5) * (far < 1) * (1 - head.dura[window] * (depth > 2))

    def push(reached: float) -> None:
        place = (x, y, z)
        reach = max(0.9 * width, 25.0)
        thickness = strength * reached * profile * (profile > 0.01)
        push_from_skull(head.movable(window), place, depth, thickness, reach, head.spacing_mm)

    return Bleeding(
        window,
        (depth / profile).astype(np.float32),
        room,
        sharpness=profile,
        push=push if strength > 0.05 else None,
        place={
            "side": "left" if centre[0] > 0 else "right",
            "centre_mm": [round(float(c), 1) for c in centre],
        },
        **look,
    )


def subdural(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """A crescent over one hemisphere; sometimes a film along the falx or on the tentorium."""
    site = str(rng.choice(["convexity", "falx", "tentorium"], p=[0.84, 0.1, 0.06]))
    look = {"hu": rng.uniform(52, 84), "mottle_hu": rng.uniform(0, 8)}
    side = int(rng.choice([-1, 1]))
    place = rng.uniform((-60, 5), (60, 50))
    field = SmoothField.draw(rng, 12)
    if site == "convexity" or ml > 25:
        return _under_the_skull(head, rng, ml, (5, 14), rng.uniform(1.2, 2.5), look, sides=True)
    frame = head.frame
    if site == "falx":
        centre = np.array([side * 2.0, place[0], place[1]])
        window = head.around(centre, (14, 42, 42))
        if window is None:
            return None
        x, y, z = frame.at(window)
        away = side * x
        far = ((y - centre[1]) / 42) ** 2 + ((z - centre[2]) / 34) ** 2
        inner = np.sqrt(((y + 2) / 56) ** 2 + ((z - 6) / 40) ** 2) > 1
        room = head.cavity[window] * inner * (z > tentorium_height(x, y))
    else:
        centre = np.array([side * 26.0, 40.0, -12.0])
        window = head.around(centre, (40, 45, 26))
        if window is None:
            return None
        x, y, z = frame.at(window)
        away = (z - tentorium_height(x, y)) * 0.85
        far = ((x - centre[0]) / 34) ** 2 + ((y - centre[1]) / 40) ** 2
        room = head.cavity[window] * ((x * x + ((y - 4) / 1.4) ** 2) > 23**2) * (y > 6)
    profile = np.clip(1 - far, 1e-3, 1) * (1 + 0.2 * frame.field(field, window))
    profile = np.clip(profile, 1e-3, None)
    room = room * (far < 1) * fill(away, frame.edge)
    level = np.maximum(away, 0) / profile
    return Bleeding(
        window,
        level.astype(np.float32),
        room,
        sharpness=profile,
        place={"site": site, "side": "left" if side > 0 else "right"},
        **look,
    )


def epidural(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """A lens between skull and dura, of limited extent."""
    look = {"hu": rng.uniform(55, 88), "mottle_hu": rng.uniform(0, 9)}
    return _under_the_skull(head, rng, ml, (1.5, 3.0), 1.0, look, sides=False)


MAKERS = dict(zip(KINDS, (epidural, intraparenchymal, intraventricular, subarachnoid, subdural), strict=True))
