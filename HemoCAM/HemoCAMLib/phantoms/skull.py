"""Outline of the head, scalp, skull vault and skull base.

Everything is placed in the head's frame (see :mod:`.frame`), after the dimensions of an average adult.
"""

from __future__ import annotations

import numpy as np

from .face import AIR, Face
from .frame import Frame
from .noise import SmoothField
from .shapes import blend, fill

# Semi-axes of the brain's cavity in mm: left, back, up to the vertex, down to the foramen magnum.
HALF_WIDTH, HALF_LENGTH, UP, DOWN = 68.0, 84.0, 75.0, 62.0
FORAMEN = (0.0, 25.0, -60.0)


def sigmoid(value: np.ndarray) -> np.ndarray:
    """A smooth step from 0 to 1."""
    return 0.5 + 0.5 * np.tanh(0.5 * value)


class Skull:
    """One person's skull; ``rng`` draws its proportions."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.egg = rng.uniform(0.02, 0.12)
        self.square = rng.uniform(0.0, 0.35)
        self.thickness = rng.uniform(4.5, 9.0)
        self.scalp = float(np.exp(rng.uniform(np.log(2.5), np.log(9.0))))
        self.bone_hu = rng.uniform(900, 1700)
        self.diploe_hu = rng.uniform(250, 900)
        self.diploe = rng.uniform(0.15, 0.5)
        self.thickness_field = SmoothField.draw(rng, 32)
        self.scalp_field = SmoothField.draw(rng, 30)
        self.marrow_field = SmoothField.draw(rng, (6, 4, 4))
        self.soft_field = SmoothField.draw(rng, (14, 7, 7))
        self.muscle_hu = rng.uniform(45, 65)
        self.fat_hu = rng.uniform(-115, -85)
        self.roof = rng.uniform(5, 12)
        self.ridge = rng.uniform(-27, -21)
        self.frontal_sinus = rng.uniform(0.2, 1.3, 2)
        self.face = Face(rng, self.frontal_sinus, self.roof, self.bone_hu, self.muscle_hu, self.fat_hu)
        self.crests = rng.uniform(0, 1, 2) * (5, 7)
        self.swelling = None
        if rng.random() < 0.12:
            self.swelling = (*rng.normal(0, 1, 3) * (70, 85, 50), rng.uniform(14, 32), rng.uniform(4, 14))
        self.petrous_side = rng.uniform(-2, 2, 2).astype(np.float32)

    def vault_depth(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Distance in mm below the vault's inner table (negative: outside) and the width of its soft edge."""
        u = frame.x / (HALF_WIDTH * (1 + self.egg * np.clip(frame.y, -90, 90) / HALF_LENGTH))
        v = frame.y * np.float32(1 / HALF_LENGTH)
        w = np.where(frame.z > 0, frame.z * np.float32(1 / UP), frame.z * np.float32(1 / DOWN))
        uu, vv, ww = u * u, v * v, w * w
        rho = np.sqrt(np.maximum(uu + vv + ww - self.square * uu * vv, 1e-4))
        steep = ww * np.float32(1 / UP**2)
        slope = np.sqrt(uu * np.float32(1 / HALF_WIDTH**2) + vv * np.float32(1 / HALF_LENGTH**2) + steep)
        slope = np.maximum(slope, 1e-6)
        edge = frame.edge + np.float32(frame.step) * np.sqrt(steep) / slope
        return (1 - rho) * rho / slope, edge

    def floor(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Height in mm of the skull base under the brain at (x, y) and the thickness of its bone."""
        side = np.abs(x)
        front = -23 + self.roof * np.exp(-(((side - 28) / 13) ** 2)) - 4 * np.exp(-((side / 6) ** 2))
        middle = -41 + 9 * np.exp(-((side / 16) ** 4))
        to_wing = y - (-20 - 0.38 * side)
        to_ridge = y - (1 + 0.46 * side + np.where(x > 0, *self.petrous_side))
        flat = front + (middle - front) * sigmoid(to_wing / 1.6) + (-64 - middle) * sigmoid(to_ridge / 2.5)
        beside = sigmoid((side - 11) / 1.5) * sigmoid((64 - side) / 3)
        ridge = np.where(beside > 0.02, self.ridge - 1.5 * np.abs(to_ridge) - 45 * (1 - beside), -90)
        clivus = np.where((side < 16) & (y > -9), -24 - 1.35 * (y + 7) - 0.06 * side**2, -90)
        thick = (
            1.8 + 13 * np.exp(-((to_ridge / 9) ** 2)) * beside + 9 * np.exp(-((side / 13) ** 4)) * (y > -24)
        )
        return np.maximum(np.maximum(flat, ridge), clivus), thick

    def depth(
        self, frame: Frame, vault: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Distance below the cavity's wall, vault or base; also the one to the base and its thickness."""
        self._crests(frame, vault)
        if frame.z.min() > 0:
            return vault, None, None
        floor, thick = self.floor(frame.x, frame.y)
        base = (frame.z - floor) * np.float32(0.75)
        depth = np.minimum(vault, base)
        if frame.z.min() < -40:
            hole = 15 - np.hypot(frame.x - FORAMEN[0], frame.y - FORAMEN[1]) - np.maximum(frame.z + 46, 0) * 3
            depth = np.maximum(depth, hole)
        return depth, base, thick

    def _crests(self, frame: Frame, vault: np.ndarray) -> None:
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
            tall = np.exp(-(((z - where) / (13 if back else 20)) ** 2))
            vault[window] -= np.float32(size) * tall * np.exp(-np.abs(x) / (4.0 if back else 2.5))

    def paint(
        self,
        frame: Frame,
        vault: np.ndarray,
        edge: np.ndarray,
        base: np.ndarray | None,
        base_thick: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint all but the cavity; return HU and the distance in mm below the skin."""
        hu = np.full(frame.shape, AIR, np.float32)
        thick, skin = self.skin_depth(frame, vault)
        self._soft_tissue(frame, hu, skin, vault + thick, edge)
        outer = vault + thick
        bone = fill(outer, edge)
        if base is not None:
            bone = bone * fill(base + base_thick, frame.edge + 0.5 * frame.step)
        marrow = frame.field(self.marrow_field)
        inside = np.clip(-vault / thick, 0, 1)
        table = np.clip((np.abs(inside - 0.5) - 0.5 + self.diploe) * 12, 0, 1)
        spongy = self.diploe_hu * (1 + 0.25 * marrow)
        if base is not None:
            deep = sigmoid((-base - 2.0) / 0.7)
            table = np.minimum(table + (vault > 0), 1 - 0.8 * deep * (vault > 0))
        blend(hu, spongy + (self.bone_hu - spongy) * table, bone)
        if frame.z.min() < 5:
            self.face.paint(frame, hu)
        return hu, skin

    def skin_depth(self, frame: Frame, vault: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Thickness of the vault in mm, and the distance in mm below the skin (negative: outside)."""
        thick = self.thickness * np.exp(0.22 * frame.field(self.thickness_field))
        scalp = self.scalp * np.exp(0.35 * frame.field(self.scalp_field))
        if frame.z.min() < 15:
            bump = np.exp(-((frame.x / 22) ** 2) - ((frame.z + 20) / 12) ** 2) * (frame.y < 0)
            thick = thick + np.float32(7 * self.frontal_sinus.mean()) * bump
            temple = np.exp(-(((frame.y + 28) / 30) ** 2)) * sigmoid((15 - frame.z) / 6)
            scalp = scalp + 9 * temple * sigmoid((np.abs(frame.x) - 40) / 5)
        if self.swelling:
            scalp = scalp + self._swollen(frame) * np.float32(self.swelling[4])
        skin = vault + thick + scalp
        if frame.z.min() < -12:
            skin = np.maximum(skin, self._face(frame))
        return thick, skin

    def _swollen(self, frame: Frame) -> np.ndarray:
        """How much (0..1) the scalp is swollen by a bruise."""
        axes = ((frame.x, HALF_WIDTH), (frame.y, HALF_LENGTH), (frame.z, UP))
        place = np.array(self.swelling[:3]) / (HALF_WIDTH, HALF_LENGTH, UP)
        place /= np.linalg.norm(place)
        square = sum((a - np.float32(p * r)) ** 2 for (a, r), p in zip(axes, place, strict=True))
        return np.exp(square * np.float32(-1 / self.swelling[3] ** 2))

    def _face(self, frame: Frame) -> np.ndarray:
        drop = np.maximum(-frame.z - 12, 0)
        length = np.where(frame.y < 0, np.float32(96), np.maximum(94 - 0.7 * drop, 55))
        u, v = frame.x * np.float32(1 / 77), (frame.y + 2) / length
        face = (1 - np.sqrt(u * u + v * v - 0.25 * u * u * v * v)) * 75
        nose = 9 - np.hypot(frame.x, (frame.y + 96) * 0.8) - 0.3 * np.maximum(frame.z + 35, 0)
        return np.maximum(face, nose) - 4 * np.maximum(frame.z + 16, 0)

    def _soft_tissue(
        self, frame: Frame, hu: np.ndarray, skin: np.ndarray, skull: np.ndarray, edge: np.ndarray
    ) -> None:
        head = fill(skin, edge)
        layers = frame.field(self.soft_field)
        share = sigmoid(layers * 3 - 3.2 + np.float32(7) * (skin < 2.4))
        if frame.z.min() < 15:
            meat = sigmoid((12 - frame.z) / 5) * sigmoid((8 + skull) / 2)
            share = np.maximum(share, meat * sigmoid(layers * 4 + 4))
        if self.swelling:
            share = np.maximum(share, np.clip(2 * self._swollen(frame), 0, 1))
        blend(hu, self.fat_hu + (self.muscle_hu - self.fat_hu) * share, head)
