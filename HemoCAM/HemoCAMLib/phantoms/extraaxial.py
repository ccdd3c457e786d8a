"""Blood between skull and brain: epidural lenses, subdural crescents and films."""

from __future__ import annotations

import numpy as np

from .bleeding import Bleeding, Head, Story
from .brain import tentorium_height
from .displacement import push_from_skull
from .noise import SmoothField
from .population import log_uniform
from .shapes import at_least, fill
from .tissues import draw_hu


def epidural(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """A lens between skull and dura, of limited extent."""
    look = {"hu": draw_hu(rng, "epidural blood"), "mottle_hu": rng.uniform(0, 9)}
    return _under_the_skull(head, rng, ml, (1.5, 3.0), 1.0, look, story, crescent=False)


def subdural(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """A crescent over one hemisphere; sometimes a film along the falx or on the tentorium."""
    site = str(rng.choice(["convexity", "falx", "tentorium"], p=[0.66, 0.2, 0.14]))
    fading = rng.random() < 0.28 and "subacute" not in story.without
    hu = draw_hu(rng, "subacute subdural" if fading else "subdural blood")
    look = {"hu": hu, "mottle_hu": rng.uniform(0, 8)}
    side = int(rng.choice([-1, 1]))
    along = rng.uniform((-60, 5), (60, 50))
    field = SmoothField.draw(rng, 12)
    if site == "convexity" or ml > 40:
        steep = rng.uniform(1.2, 2.5)
        return _under_the_skull(head, rng, ml, (5, 14), steep, look, story, crescent=True)
    frame = head.frame
    if site == "falx":
        centre = np.array([side * 2.0, along[0], along[1]])
        window = head.around(centre, (14, 42, 42))
        if window is None:
            return None
        x, y, z = frame.at(window)
        away = side * x
        far = ((y - float(centre[1])) / 42) ** 2 + ((z - float(centre[2])) / 34) ** 2
        inner = ((y + 2) / 56) ** 2 + ((z - 6) / 40) ** 2 > 1
        room = head.cavity[window] * inner * (z > tentorium_height(x, y))
    else:
        centre = np.array([side * 26.0, 40.0, -12.0])
        window = head.around(centre, (40, 45, 26))
        if window is None:
            return None
        x, y, z = frame.at(window)
        away = (z - tentorium_height(x, y)) * 0.85
        far = ((x - float(centre[0])) / 34) ** 2 + ((y - float(centre[1])) / 40) ** 2
        room = head.cavity[window] * ((x * x + ((y - 4) / 1.4) ** 2) > 23**2) * (y > 6)
    profile = (1 - far).clamp(1e-3, 1) * (1 + 0.2 * frame.field(field, window))
    profile = at_least(profile, 1e-3)
    room = room * (far < 1) * fill(away, frame.edge)
    place = {"site": site, "side": "left" if side > 0 else "right"}
    level = at_least(away, 0) / profile
    return Bleeding(window, level, room, **look, sharpness=profile, place=place)


def _under_the_skull(
    head: Head,
    rng: np.random.Generator,
    ml: float,
    ratio: tuple[float, float],
    steep: float,
    look: dict,
    story: Story,
    crescent: bool,
) -> Bleeding | None:
    """A collection on the inner table: ``ratio`` of radius to thickness, ``steep`` its rim's exponent."""
    frame = head.frame
    target = rng.normal(0, 1, 3) * (1, 1, 0.6) + (0, 0, 0.3)
    target = target / np.linalg.norm(target) * (68, 84, 75)
    shape = log_uniform(rng, *ratio)
    stretch = rng.uniform(0.75, 1.35, 2)
    field = SmoothField.draw(rng, 14)
    rough = rng.uniform(0, 0.2)
    strength = float(np.clip(rng.uniform(0.2, 1.2), 0, 1)) * ("mass_effect" not in story.without)
    vault = head.vault
    where = (vault > 1) & (vault < 4) & (frame.z > -12) & (frame.x.abs() > 12) & (head.cavity > 0.9)
    centre = head.nearest(target, where)
    if centre is None:
        return None
    # Flatter collections than these many mm are lost in partial volume.
    least = 3.2 if crescent else 4.0
    shape = max(min(shape, (2000 * ml / np.pi / least**3) ** 0.5), 1.2)
    # A paraboloid cap of radius w and thickness w / shape holds pi w^3 / (2 shape).
    width = min(float((2000 * ml * shape / np.pi) ** (1 / 3)) * 1.15, 95.0)
    window = head.around(centre, width * stretch.max() + 4)
    if window is None:
        return None
    x, y, z = frame.at(window)
    u, v, w = (a - float(c) for a, c in zip((x, y, z), centre, strict=True))
    far = (u * u + v * v) / float((stretch[0] * width) ** 2) + w * w / float((stretch[1] * width) ** 2)
    profile = (1 - far**steep).clamp(0, 1) * (1 + rough * frame.field(field, window))
    if crescent:
        profile = profile * (x * float(np.sign(centre[0]) / 2)).clamp(0, 1)
    profile = at_least(profile, 1e-3)
    depth = vault[window]
    room = (head.cavity[window] > 0.5) * (far < 1) * (1 - head.dura[window] * (depth > 2))

    def push(reached: float) -> None:
        thickness = strength * reached * profile * (profile > 0.01)
        push_from_skull(
            head.movable(window), (x, y, z), depth, thickness, max(0.9 * width, 25.0), head.spacing_mm
        )

    place = {
        "side": "left" if centre[0] > 0 else "right",
        "centre_mm": [round(float(c), 1) for c in centre],
    }
    return Bleeding(
        window,
        depth / profile,
        room,
        **look,
        sharpness=profile,
        push=push if strength > 0.05 else None,
        place=place,
    )
