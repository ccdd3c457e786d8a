"""What surgeons leave: craniotomy flaps with plates, craniectomies, burr holes, air and fluid, drains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .frame import Frame, Window
from .noise import SmoothField
from .shapes import blend, fill, sheet
from .skull import HALF_LENGTH, HALF_WIDTH, UP
from .tissues import draw_hu

_OPERATIONS = ("craniotomy", "craniectomy", "burr holes")


class Surgery:
    """An operation on the vault, in a few of a hundred patients; drawn from ``rng``."""

    def __init__(self, rng: np.random.Generator, without: tuple[str, ...] = ()) -> None:
        operated = rng.random() < 0.1
        self.kind = str(rng.choice(_OPERATIONS, p=[0.5, 0.2, 0.3]))
        side = float(rng.choice([-1, 1]))
        way = np.array([side * rng.uniform(0.5, 1.0), rng.uniform(-0.8, 0.5), rng.uniform(0.25, 0.9)])
        self.centre = tuple((way / np.linalg.norm(way) * (HALF_WIDTH, HALF_LENGTH, UP)).tolist())
        self.radius = float(rng.uniform(22, 44))
        self.kerf_mm = float(rng.uniform(0.8, 1.6))
        self.plates = rng.uniform(0, 2 * np.pi, int(rng.integers(2, 5))).tolist()
        self.plate_hu = draw_hu(rng, "titanium")
        self.air_mm = float(max(rng.uniform(-6, 9), 0))
        self.fluid_mm = float(max(rng.uniform(-3, 8), 0))
        self.fluid_hu = draw_hu(rng, "postoperative fluid")
        self.swelling_hu = draw_hu(rng, "muscle")
        self.edge_field = SmoothField.draw(rng, 18)
        # a tumor or a hematoma was taken out under the flap: the radius in mm of what is left, and its depth
        self.resected_mm = float(max(rng.uniform(-14, 20), 0))
        self.drain_place = rng.uniform((22, -30, 0.9), (40, -15, 1.6)).tolist()
        if not operated or "surgery" in without:
            self.kind = None

    def metal(self) -> list[tuple]:
        """Plates as (centre, HU, streaks in HU), for :class:`.artefacts.Artefacts`."""
        if self.kind != "craniotomy":
            return []
        return [(tuple(self._rim(a).tolist()), self.plate_hu, 25.0) for a in self.plates]

    def _rim(self, angle: float) -> np.ndarray:
        """Point on the outer table at the flap's rim."""
        out = np.array(self.centre) / np.linalg.norm(self.centre)
        one = np.cross(out, (0, 1, 0.3))
        one /= np.linalg.norm(one)
        two = np.cross(out, one)
        point = np.array(self.centre) + self.radius * (np.cos(angle) * one + np.sin(angle) * two)
        semi = np.array([HALF_WIDTH, HALF_LENGTH, UP])
        return point / np.linalg.norm(point / semi) * (1 + 5.5 / 75)

    def paint(self, frame: Frame, vault: Tensor, cavity: Tensor, hu: Tensor) -> None:
        """Paint in place; ``vault`` is the depth below the inner table in mm."""
        if self.kind is None:
            return
        reach = self.radius + 14
        window = frame.window(tuple((c - reach, c + reach) for c in self.centre))
        if window is None:
            return
        axes = frame.at(window)
        far = torch.sqrt(sum((a - float(c)) ** 2 for a, c in zip(axes, self.centre, strict=True)))
        far += 2.0 * frame.field(self.edge_field, window)
        part, below = hu[window], vault[window]
        bone = (part > 140) & (below < 1.5)
        if self.kind == "craniotomy":
            blend(part, 38.0, sheet((far - self.radius).abs(), self.kerf_mm, frame.edge) * bone)
        elif self.kind == "craniectomy":
            blend(part, self.swelling_hu, fill(self.radius - far, frame.edge) * bone)
        else:
            holes = [self._rim(angle) for angle in self.plates[:2]]
            for hole in holes:
                gap = torch.sqrt(sum((a - float(c)) ** 2 for a, c in zip(axes, hole, strict=True)))
                blend(part, 38.0, fill(7.0 - gap, frame.edge) * bone)
        if self.kind == "craniotomy" and self.resected_mm > 5:
            self._resection(frame, window, axes, cavity[window], part)
        self._collections(frame, window, far, below, cavity[window], part)

    def _resection(self, frame: Frame, window: Window, axes: tuple, cavity: Tensor, part: Tensor) -> None:
        """A cavity under the flap, full of fluid, with a bubble of air in front."""
        out = np.array(self.centre) / np.linalg.norm(self.centre)
        middle = np.array(self.centre) - out * 0.75 * self.resected_mm
        gap = torch.sqrt(sum((a - float(c)) ** 2 for a, c in zip(axes, middle, strict=True)))
        solid = self.resected_mm + 1.5 * frame.field(self.edge_field, window) - gap
        blend(part, self.fluid_hu, fill(solid, frame.edge) * cavity)
        _, y, _ = axes
        front = float(middle[1]) - self.resected_mm + 1.2 * self.air_mm
        blend(part, -1000.0, fill(solid, frame.edge) * fill(front - y, frame.edge) * cavity)

    def _collections(
        self, frame: Frame, window: Window, far: Tensor, below: Tensor, cavity: Tensor, part: Tensor
    ) -> None:
        """Fluid under the flap, and air that rises in it: to the front of a lying patient."""
        cap = (1 - (far / (self.radius + 4)) ** 2).clamp(0, 1)
        fluid = fill(self.fluid_mm * cap - below, frame.edge) * (cap > 0.05) * cavity
        blend(part, self.fluid_hu, fluid)
        _, y, _ = frame.at(window)
        front = float(self.centre[1]) - 0.3 * self.radius
        air = fill(self.air_mm * cap - below, frame.edge) * fill(front - y, frame.edge) * (cap > 0.05)
        blend(part, -1000.0, air * cavity)
