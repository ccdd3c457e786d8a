"""What lies around and below the skull base: orbits, air cells, jaws and the first vertebra."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .frame import Frame
from .noise import SmoothField
from .shapes import Point, at_most, blend, chain, ellipsoid, fill

AIR = -1000.0

# Centre lines (x, y, z, radius) in mm of bones on both sides: cheek bone and its arch, jaw, pterygoid process,
# wing of the sphenoid, lower and upper jaw, first and second vertebra.
BONES_PAIRED = [
    [(44, -74, -50, 5.0), (58, -56, -47, 4.0), (67, -28, -44, 2.4), (64, -2, -42, 3.0)],
    [(56, -2, -50, 3.5), (54, -6, -62, 4.0), (50, -16, -88, 5.5), (34, -58, -96, 6.0), (8, -82, -96, 7.0)],
    [(30, -60, -84, 5.0), (22, -78, -82, 5.0), (6, -88, -82, 5.5)],
    [(18, 14, -92, 6.0), (16, 16, -108, 6.0)],
    [(14, -30, -48, 3.0), (17, -26, -72, 2.2)],
    [(43, -64, -38, 2.5), (36, -42, -36, 3.5)],
    [(22, 16, -76, 8.0), (14, 10, -76, 4.0)],
]
BONES_MIDLINE = [
    [(0, 8, -108, 8.0), (0, 10, -84, 5.0), (0, 9, -66, 4.0)],
    [(14, 44, -96, 3.5), (0, 54, -98, 5.0), (-14, 44, -96, 3.5)],
]


class Face:
    """Orbits, air spaces and bones below the brain; ``rng`` draws their sizes."""

    def __init__(
        self,
        rng: np.random.Generator,
        frontal_sinus: np.ndarray,
        roof_mm: float,
        bone_hu: float,
        muscle_hu: float,
        fat_hu: float,
    ) -> None:
        self.frontal_sinus, self.roof = frontal_sinus, roof_mm
        self.bone_hu, self.muscle_hu, self.fat_hu = bone_hu, muscle_hu, fat_hu
        self.mastoid = rng.uniform(0.5, 1.0)
        self.sphenoid = rng.uniform(0.6, 1.15)
        self.cell_field = SmoothField.draw(rng, 3.6)
        self.wall_mm = 0.5 + 0.9 * self.mastoid  # of the orbits
        self.fluid = [bool(rng.random() < 0.1) for _ in range(2)]

    def paint(self, frame: Frame, hu: Tensor, under: Tensor | None = None) -> None:
        """Paint in place, over bone and soft tissue and under the brain's cavity.

        ``under``: distance in mm below the bone of the skull base, which is the roof of the orbits.
        """
        if frame.low < -28:
            self._bones(frame, hu)
        self._cells(frame, hu)
        if frame.low < -10:
            self._orbits(frame, hu, under)

    def _bones(self, frame: Frame, hu: Tensor) -> None:
        for line, side in [(b, s) for b in BONES_PAIRED for s in (-1, 1)] + [(b, 1) for b in BONES_MIDLINE]:
            points = np.array(line) * (side, 1, 1, 1)
            low, high = points.min(0)[:3] - 8, points.max(0)[:3] + 8
            window = frame.window(tuple(zip(low, high, strict=True)))
            if window is None:
                continue
            solid = chain(*frame.at(window), [tuple(p) for p in points.tolist()])
            part = hu[window]
            marrow = 0.35 + 0.65 * torch.clip(1.5 - 0.4 * solid, 0, 1)
            blend(part, (0.8 * self.bone_hu) * marrow, fill(solid, frame.edge) * (part > -400))

    def _cells(self, frame: Frame, hu: Tensor) -> None:
        """Sinuses, nose, throat, mastoid cells and ear canals, with bone around them; some full of fluid."""
        for side, size, full in zip((-1, 1), self.frontal_sinus, self.fluid, strict=True):
            sphenoid = (8 * self.sphenoid, 11 * self.sphenoid, 9)
            honeycomb = (14 * self.mastoid, 17 * self.mastoid, 20)
            for centre, radii, cells, wall in (
                ((11, -89, -19), (11 * size + 1, 4 + 2 * size, 10 * size + 1), 0.35, 1.5),
                ((9, -30, -37), sphenoid, 0.25, 1.5),
                ((6.5, -62, -37), (5.5, 20, 15), 0.55, 1.5),
                ((26, -62, -66), (14, 16, 16), 0.15, 1.6),
                ((6, -62, -62), (4.5, 24, 15), 0.3, 1.0),
                ((5, -24, -66), (6, 7, 16), 0.0, 0.0),
                ((55, 27, -42), honeycomb, 1.6, 3.0),
                ((44, 14, -36), (7, 5, 5), 0.8, 3.0),
            ):
                filled = full and centre[2] in (-37, -66, -42)
                place = (side * centre[0], centre[1], centre[2])
                self._pocket(frame, hu, place, radii, cells, wall, 20.0 if filled else AIR)
            box = ((-78, 78), (8, 18), (-48, -34))
            window = frame.window(box)
            if window:
                x, y, z = frame.at(window)
                canal = chain(x, y, z, [(side * 50, 14, -41, 3.5), (side * 80, 10, -42, 4.0)])
                part = hu[window]
                blend(part, AIR, fill(canal, frame.edge))

    def _pocket(
        self,
        frame: Frame,
        hu: Tensor,
        centre: Point,
        radii: Point,
        cells: float,
        wall: float,
        content: float,
    ) -> None:
        """A space of ``content`` HU with a bony wall; ``cells`` makes septa, more of them the larger it is."""
        window = frame.window(
            tuple((c - r - wall - 4, c + r + wall + 4) for c, r in zip(centre, radii, strict=True))
        )
        if window is None:
            return
        solid = ellipsoid(*frame.at(window), centre, radii)
        texture = frame.field(self.cell_field, window)
        solid += texture * 0.8
        part = hu[window]
        inside = torch.where(part > -500, fill(solid + wall, frame.edge), 0)
        blend(part, (0.55 * self.bone_hu), inside)
        septa = torch.abs(texture) - (0.3 * cells)
        blend(part, content, at_most(fill(solid, frame.edge), fill(septa * 2.5, frame.edge)))

    def _orbits(self, frame: Frame, hu: Tensor, under: Tensor | None) -> None:
        soft = frame.edge + 0.5 * frame.step
        for side in (-1, 1):
            window = frame.window(((side * 31 - 24, side * 31 + 24), (-104, -36), (-62, -14)))
            if window is None:
                continue
            x, y, z = frame.at(window)
            part = hu[window]
            turn = -side * 0.35
            cone = ellipsoid(x, y, z, (side * 29, -71, -37), (18, 26, 19.5 + 0.5 * self.roof), turn)
            if under is not None:
                cone = at_most(cone, under[window])
            blend(part, (0.6 * self.bone_hu), fill(cone + self.wall_mm, soft) * (part > -300))
            blend(part, self.fat_hu, fill(cone, soft) * (part > -700))
            apex = (side * 16, -40, -34)
            for end in ((20, -78, -37), (43, -78, -37), (32, -78, -50), (32, -76, -26)):
                rectus = chain(x, y, z, [(*apex, 1.2), (side * end[0], *end[1:], 1.7)])
                blend(part, self.muscle_hu, fill(rectus, frame.edge))
            nerve = chain(x, y, z, [(*apex, 1.8), (side * 30, -74, -38, 1.8)])
            blend(part, 35, fill(nerve, frame.edge))
            globe = ellipsoid(x, y, z, (side * 32, -84, -38), (12.2, 12.2, 12.2))
            blend(part, 45, fill(globe + 0.6, frame.edge))
            blend(part, 12, fill(globe - 0.7, frame.edge))
            lens = ellipsoid(x, y, z, (side * 32, -92.5, -38), (4.5, 2.2, 4.5))
            blend(part, 75, fill(lens, frame.edge))
