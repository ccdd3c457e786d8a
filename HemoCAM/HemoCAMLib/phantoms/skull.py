"""Outline of the head, scalp, skull vault and skull base.

Everything is placed in the head's frame (see :mod:`.frame`), after the dimensions of an average adult.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .face import AIR, Face
from .frame import Frame
from .noise import SmoothField
from .shapes import at_least, at_most, bell, blend, exp, fill, sigmoid
from .tissues import draw_hu

# Semi-axes of the brain's cavity in mm: left, back, up to the vertex, down to the foramen magnum.
HALF_WIDTH, HALF_LENGTH, UP, DOWN = 68.0, 84.0, 75.0, 62.0
FORAMEN = (0.0, 25.0, -60.0)


class Skull:
    """One person's skull: ``rng`` draws its proportions, ``bone`` the relief of its inner surface."""

    def __init__(
        self, rng: np.random.Generator, bone: np.random.Generator, without: tuple[str, ...] = ()
    ) -> None:
        self.egg = rng.uniform(0.02, 0.12)
        self.square = rng.uniform(0.0, 0.35)
        self.thickness = rng.uniform(4.0, 10.0)
        self.scalp = float(np.exp(rng.uniform(np.log(2.5), np.log(9.0))))
        self.bone_hu = draw_hu(rng, "compact bone")
        self.diploe_hu = draw_hu(rng, "diploe")
        self.diploe = rng.uniform(0.15, 0.5)
        self.thickness_field = SmoothField.draw(rng, 32)
        self.scalp_field = SmoothField.draw(rng, 30)
        self.marrow_field = SmoothField.draw(rng, (6, 4, 4))
        self.soft_field = SmoothField.draw(rng, (14, 7, 7))
        self.muscle_hu = draw_hu(rng, "muscle")
        self.fat_hu = draw_hu(rng, "fat")
        self.roof = rng.uniform(7, 16)
        self.ridge = rng.uniform(-27, -21)
        self.frontal_sinus = rng.uniform(0.2, 1.3, 2)
        self.face = Face(rng, self.frontal_sinus, self.roof, self.bone_hu, self.muscle_hu, self.fat_hu)
        self.crests = rng.uniform(0, 1, 2) * (5, 7)
        self.swelling = None
        if rng.random() < 0.12:
            self.swelling = (*rng.normal(0, 1, 3) * (70, 85, 50), rng.uniform(14, 32), rng.uniform(4, 14))
        self.petrous_side = rng.uniform(-2, 2, 2).tolist()
        self._draw_relief(bone)
        if "skull" in without:
            self.rough_mm = self.jugal_mm = self.hyperostosis_mm = self.pit_mm = 0.0
            self.crests, self.swelling, self.face.fluid = np.zeros(2), None, [False, False]
        if "asymmetry" in without:
            self.petrous_side = [0.0, 0.0]

    def _draw_relief(self, rng: np.random.Generator) -> None:
        """Draw the roughness of the inner table, the floor of the anterior fossa and hyperostosis frontalis."""
        self.rough_mm = float(rng.uniform(0.2, 0.8))
        self.rough_field = SmoothField.draw(rng, float(rng.uniform(7, 12)))
        self.jugal_mm = float(rng.uniform(0.8, 3.2))
        self.jugal_field = SmoothField.draw(rng, (12.0, 6.0, 6.0))
        self.roof_mm = float(rng.uniform(0.3, 1.6))  # roofs of the orbits are thin
        self.roof_side = rng.normal(0, 1.8, 2).tolist()
        self.clinoid_mm = float(rng.uniform(2, 9))
        # Hyperostosis frontalis interna: some percent of men, up to a fifth of women (She and Szakacs, 2004).
        self.hyperostosis_mm = float(rng.uniform(2.5, 10.0)) if rng.random() < 0.1 else 0.0
        self.lobules = SmoothField.draw(rng, 12.0)
        self.pits = SmoothField.draw(rng, float(rng.uniform(4.5, 7)))
        self.pit_mm = float(max(rng.uniform(-2, 6), 0))
        self.ridge_slope = float(rng.uniform(0.7, 1.5))
        self.keel, self.apex_mm = float(rng.uniform(-0.08, 0.3)), float(rng.uniform(-4, 20))

    def relief(self, frame: Frame) -> Tensor:
        """How far the inner table stands out into the cavity in mm: crests, impressions of gyri, hyperostosis.

        The impressions deepen from the vault, which is nearly smooth, to the base.
        """
        relief = frame.zeros()
        if self.rough_mm:
            relief += frame.field(self.rough_field)
            relief *= self.rough_mm * (1 + 1.6 * sigmoid((4 - frame.z) / 7))
        self._crests(frame, relief)
        window = frame.window(((-62, 62), (-95, -18), (-24, 56))) if self.hyperostosis_mm else None
        if window is not None:
            x, y, z = frame.at(window)
            side = torch.abs(x)
            where = sigmoid((-34 - y) / 5) * sigmoid((42 - z) / 5) * sigmoid((side - 5) / 1.5)
            lobes = (0.75 + 0.45 * frame.field(self.lobules, window)).clamp(0, 1.8)
            relief[window] += self.hyperostosis_mm * where * lobes
        window = frame.window(((-34, 34), (-60, 60), (38, 92))) if self.pit_mm else None
        if window is not None:  # arachnoid granulations have eaten into the bone beside the midline
            x, _, z = frame.at(window)
            where = bell((torch.abs(x) - 12) / 12) * sigmoid((z - 46) / 4)
            relief[window] -= self.pit_mm * where * fill(frame.field(self.pits, window) - 0.9, 0.8)
        return relief

    def vault_depth(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """Distance in mm below the vault's inner table (negative: outside) and the width of its soft edge."""
        # towards the vertex the vault narrows like a keel, and its highest point lies behind the middle
        high = torch.clip(frame.z * (1 / UP), 0, 1).square_()
        u = frame.x / (HALF_WIDTH * (1 + self.egg * torch.clip(frame.y, -90, 90) / HALF_LENGTH))
        u = u / (1 - self.keel * high)
        v = (frame.y - self.apex_mm * high) * (1 / HALF_LENGTH)
        w = torch.where(frame.z > 0, frame.z * (1 / UP), frame.z * (1 / DOWN))
        uu, vv, ww = u * u, v * v, w * w
        rho = torch.sqrt(at_least(uu + vv + ww - self.square * uu * vv, 1e-4))
        steep = ww * (1 / UP**2)
        slope = torch.sqrt(uu * (1 / HALF_WIDTH**2) + vv * (1 / HALF_LENGTH**2) + steep)
        slope = at_least(slope, 1e-6)
        edge = frame.edge + frame.step * torch.sqrt(steep) / slope
        return (1 - rho) * rho / slope, edge

    def floor(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """Height in mm of the skull base under the brain and the thickness of its bone."""
        x, y = frame.x, frame.y
        side = torch.abs(x)
        front = -23 + self.roof * bell((side - 28) / 13) - 4 * bell(side / 6)
        front += torch.where(x > 0, *self.roof_side) * sigmoid((side - 8) / 3)
        # the floor rises to the rim of the orbits, in front and at the sides
        front += 0.22 * at_least(-55 - y, 0) + 0.25 * at_least(side - 36, 0)
        middle = -41 + 9 * bell((side / 16) ** 2)
        to_wing = y - (-16 - 0.8 * side + 0.0065 * side * side)
        to_ridge = y - (1 + 0.46 * side + torch.where(x > 0, *self.petrous_side))
        if self.jugal_mm:
            ridges = frame.field(self.jugal_field) * self.jugal_mm
            front += ridges
            middle += 0.5 * ridges
        # the lesser wing of the sphenoid ends in the anterior clinoids
        wing = 3.5 * bell((to_wing + 2) / 3) * sigmoid((side - 6) / 2)
        front += wing + self.clinoid_mm * exp(-((side - 12) ** 2 + (y + 23) ** 2) * (1 / 14))
        flat = (
            front + (middle - front) * sigmoid((to_wing - 1) / 2.6) + (-64 - middle) * sigmoid(to_ridge / 2.5)
        )
        beside = sigmoid((side - 11) / 1.5) * sigmoid((64 - side) / 3)
        ridge = torch.where(
            beside > 0.02, self.ridge - self.ridge_slope * torch.abs(to_ridge) - 45 * (1 - beside), -90
        )
        if self.jugal_mm:
            ridge = ridge + 0.7 * ridges
        clivus = torch.where((side < 16) & (y > -9), -24 - 1.35 * (y + 7) - 0.06 * side**2, -90)
        roof = self.roof_mm
        if self.jugal_mm:  # roofs of the orbits are uneven, and here and there no more than paper
            roof = self.roof_mm * (1 + 0.8 * frame.field(self.rough_field)).clamp(0.1, 3)
        thick = (
            roof
            + 2.5 * bell(to_wing / 5)
            + 13 * bell(to_ridge / 9) * beside
            + 9 * bell((side / 13) ** 2) * (y > -24)
        )
        return at_least(at_least(flat, ridge), clivus), thick

    def depth(
        self, frame: Frame, vault: Tensor, edge: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Distance below the cavity's wall, vault or base, and the width of its soft edge in mm.

        Also the distance to the base and its thickness, where the block reaches down to it.
        """
        if frame.low > 0:
            return vault, edge, None, None
        floor, thick = self.floor(frame)
        base = (frame.z - floor) * 0.75
        depth = at_most(vault, base)
        # The base is nearly parallel to the slices: it fades over the whole thickness of a sub-slice.
        edge = torch.where(base < vault, frame.edge + 0.7 * frame.step, edge)
        if frame.low < -40:
            hole = (
                15 - torch.hypot(frame.x - FORAMEN[0], frame.y - FORAMEN[1]) - at_least(frame.z + 46, 0) * 3
            )
            depth = at_least(depth, hole)
        return depth, edge, base, thick

    def _crests(self, frame: Frame, relief: Tensor) -> None:
        """Ridges on the inner table in the midline, frontal and occipital, in place."""
        for size, back, box in (
            (self.crests[0], False, ((-9, 9), (-92, -50), (-20, 40))),
            (self.crests[1], True, ((-12, 12), (50, 92), (-45, 20))),
        ):
            window = frame.window(box)
            if window is None:
                continue
            x, y, z = frame.at(window)
            where = -12 - 0.2 * (y - 80) if back else 0.0
            tall = bell((z - where) / (13 if back else 20))
            relief[window] += size * tall * exp(-torch.abs(x) / (4.0 if back else 2.5))

    def paint(
        self,
        frame: Frame,
        vault: Tensor,
        edge: Tensor,
        base: Tensor | None,
        base_thick: Tensor | None,
        relief: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Paint all but the cavity; return HU and the distance in mm below the skin.

        ``vault`` lies below the inner table with its ``relief``; the outer table has none.
        """
        hu = torch.full(frame.shape, AIR, device=frame.device)
        thick, skin = self.skin_depth(frame, vault + relief)
        thick = at_least(thick + relief, 1.2)
        self._soft_tissue(frame, hu, skin, vault + thick, edge)
        outer = vault + thick
        bone = fill(outer, edge)
        if base is not None:
            bone = bone * fill(base + base_thick, frame.edge + 0.7 * frame.step)
        marrow = frame.field(self.marrow_field)
        inside = torch.clip(-vault / thick, 0, 1)
        table = torch.clip((torch.abs(inside - 0.5) - 0.5 + self.diploe) * 12, 0, 1)
        spongy = self.diploe_hu * (1 + 0.25 * marrow)
        if base is not None:
            deep = sigmoid((-base - 2.0) / 0.7)
            table = at_most(table + (vault > 0), 1 - 0.8 * deep * (vault > 0))
        blend(hu, spongy + (self.bone_hu - spongy) * table, bone)
        if frame.low < 5:
            under = None if base is None else -(base + base_thick)
            self.face.paint(frame, hu, under)
        return hu, skin

    def skin_depth(self, frame: Frame, vault: Tensor) -> tuple[Tensor, Tensor]:
        """Thickness of the vault in mm, and the distance in mm below the skin (negative: outside)."""
        thick = self.thickness * exp(0.22 * frame.field(self.thickness_field))
        scalp = self.scalp * exp(0.35 * frame.field(self.scalp_field))
        if frame.low < 15:
            bump = exp(-((frame.x / 22) ** 2) - ((frame.z + 20) / 12) ** 2) * (frame.y < 0)
            thick = thick + (7 * float(self.frontal_sinus.mean())) * bump
            temple = bell((frame.y + 28) / 30) * sigmoid((15 - frame.z) / 6)
            # the squama of the temporal bone is thin, the muscle over it is not
            squama = bell((frame.z + 6) / 20) * bell((frame.y - 2) / 32)
            thick = thick * (1 - 0.55 * squama * sigmoid((torch.abs(frame.x) - 46) / 4))
            scalp = scalp + 9 * temple * sigmoid((torch.abs(frame.x) - 40) / 5)
        if self.swelling:
            scalp = scalp + self._swollen(frame) * self.swelling[4]
        skin = vault + thick + scalp
        if frame.low < -12:
            skin = at_least(skin, self._face(frame))
        return thick, skin

    def _swollen(self, frame: Frame) -> Tensor:
        """How much (0..1) the scalp is swollen by a bruise."""
        axes = ((frame.x, HALF_WIDTH), (frame.y, HALF_LENGTH), (frame.z, UP))
        place = np.array(self.swelling[:3]) / (HALF_WIDTH, HALF_LENGTH, UP)
        place /= np.linalg.norm(place)
        square = sum((a - float(p * r)) ** 2 for (a, r), p in zip(axes, place, strict=True))
        return exp(square * (-1 / self.swelling[3] ** 2))

    def _face(self, frame: Frame) -> Tensor:
        drop = at_least(-frame.z - 12, 0)
        length = torch.where(frame.y < 0, 96.0, at_least(94 - 0.7 * drop, 55))
        u, v = frame.x * (1 / 77), (frame.y + 2) / length
        face = (1 - torch.sqrt(u * u + v * v - 0.25 * u * u * v * v)) * 75
        nose = 9 - torch.hypot(frame.x, (frame.y + 96) * 0.8) - 0.3 * at_least(frame.z + 35, 0)
        return at_least(face, nose) - 4 * at_least(frame.z + 16, 0)

    def _soft_tissue(self, frame: Frame, hu: Tensor, skin: Tensor, skull: Tensor, edge: Tensor) -> None:
        head = fill(skin, edge)
        layers = frame.field(self.soft_field)
        share = sigmoid(layers * 3 - 3.2 + 7 * (skin < 2.4))
        if frame.low < 15:
            # temporal muscles, and below the base the muscles of neck and jaw
            deep = 8 + 45 * sigmoid((-44 - frame.z) / 5)
            meat = sigmoid((12 - frame.z) / 5) * sigmoid((deep + skull) / 2)
            share = at_least(share, meat * sigmoid(layers * 4 + 4.5))
        if self.swelling:
            share = at_least(share, torch.clip(2 * self._swollen(frame), 0, 1))
        blend(hu, self.fat_hu + (self.muscle_hu - self.fat_hu) * share, head)
