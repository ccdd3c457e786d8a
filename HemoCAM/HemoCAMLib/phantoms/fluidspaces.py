"""Blood in the fluid in and around the brain: ventricles, sulci, fissures, cisterns."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .bleeding import Bleeding, Head, Story
from .noise import SmoothField
from .shapes import at_least, mean_filter
from .tissues import draw_hu


def _distance(axes: tuple[Tensor, ...], centre: np.ndarray) -> Tensor:
    return torch.sqrt(sum((a - float(c)) ** 2 for a, c in zip(axes, centre, strict=True)))


def intraventricular(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """Blood in the ventricles: a level in the dependent horns, a cast around one point, or both at once.

    A bleeding that breaks in from the tissue casts the ventricles nearest to it.
    """
    layered, cast = ((True, False), (False, True), (True, True))[int(rng.choice(3, p=[0.3, 0.35, 0.35]))]
    cast = cast or story.focus is not None
    side = float(rng.choice([-1, 0, 1]))
    field = SmoothField.draw(rng, 16)
    hu, mottle_hu = draw_hu(rng, "ventricular blood"), rng.uniform(0, 7)
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
    filled = inside > 0.5
    far = _distance((x, y, z), start)
    far = far - min(float(torch.where(filled, far, 60.0).min()), 60.0) + jitter * noise
    deep = 58 - y + 0.08 * jitter * noise - 5 * side * torch.sign(x)
    if layered and cast:
        level = torch.minimum(far, sinking * deep)
    else:
        level = deep if layered else far
    near = mean_filter(mean_filter(inside, (3, 5, 5)), (3, 5, 5))
    # Ventricles that are too small for the wished volume widen, after they are full.
    level = torch.where(filled, level, level + 60 * (1 - near) + 200)
    room = torch.where(filled, inside, (near * 30).clamp(0, 1)) * (head.cavity[window] > 0.5)
    return Bleeding(window, level, room, hu, mottle_hu, place={"layered": layered, "cast": cast})


def subarachnoid(head: Head, rng: np.random.Generator, ml: float, story: Story) -> Bleeding | None:
    """Blood in sulci, fissures and cisterns of a region."""
    side = rng.choice([-1, 1])
    site = str(rng.choice(["basal", "sylvian", "convexity", "vertex"], p=[0.32, 0.23, 0.3, 0.15]))
    target = rng.normal(0, 1, 3) * (1, 1, 0.7) + (0, 0, 0.4)
    jitter = rng.normal(0, 4, 3)
    field = SmoothField.draw(rng, 18)
    patches = rng.uniform(2, 12)
    swell = rng.uniform(0.22, 0.5)
    hu, mottle_hu = draw_hu(rng, "subarachnoid blood"), rng.uniform(0, 5)
    frame = head.frame
    if site == "vertex":
        target = np.array([side * abs(jitter[0]) * 5, target[1] * 30, 72])
        where = (head.depth > 2) & (head.depth < 9) & (frame.z > 40)
        found = head.nearest(target, where)
        centre = np.array([0.0, 0, 64]) if found is None else found
    elif site == "convexity":
        where = (head.depth > 2) & (head.depth < 5) & (frame.z > -5)
        found = head.nearest(target / np.linalg.norm(target) * (66, 82, 73), where)
        centre = np.array([0.0, 0, 70]) if found is None else found
    else:
        centre = np.array([0, -18, -16] if site == "basal" else [side * 44, -16, 2]) + jitter
    reach = min(24 + 14 * ml ** (1 / 2.2), 95)
    window = head.around(centre, reach)
    if window is None:
        return None
    level = _distance(frame.at(window), centre) + patches * frame.field(field, window)
    fluid, depth = head.fluid[window], head.depth[window]
    near = mean_filter(fluid, (1, 3, 3))
    # Blood distends the sulci: it also takes the voxels that hold or touch some fluid.
    room = ((at_least(fluid, near) - 0.12) / swell).clamp(0, 1)
    thin = (1.6 - depth * 0.5).clamp(0, 1) * 0.6
    room = at_least(room, thin * (depth > 0)) * (1 - head.dura[window]) * head.cavity[window]
    place = {"site": site, "centre_mm": [round(float(c), 1) for c in centre]}
    return Bleeding(window, level, room, hu, mottle_hu, place=place)
