"""What every head has besides brain and bone, and what some have: dura, vessels, calcium, old scars.

Many of these are as bright as blood (venous sinuses, contrast, calcium). They are never labelled.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .brain import tentorium_height
from .frame import Frame
from .noise import SmoothField
from .shapes import Point, at_least, blend, chain, ellipsoid, exp, fill, sheet
from .tissues import draw_hu

# Centre lines (x, y, z, radius) in mm of vessels; those off the midline exist on both sides.
ARTERIES_PAIRED = [
    [(12, -14, -30, 2.0), (11, -17, -22, 2.0), (7, -19, -19, 1.7), (20, -22, -16, 1.4), (38, -30, -10, 1.2)],
    [(7, -19, -19, 1.2), (2, -28, -17, 1.1), (1.5, -48, -4, 1.0), (1.5, -52, 14, 0.9)],
    [(41, -28, -8, 1.0), (43, -10, 3, 0.9), (46, 8, 12, 0.8)],
    [(3, -3, -20, 1.1), (18, 4, -14, 1.0), (20, 20, -8, 0.9)],
    [(4, 4, -58, 1.5), (1, -4, -40, 1.5)],
]
ARTERIES_MIDLINE = [[(0, -4, -40, 1.6), (0, -5, -21, 1.6)]]
VEINS_MIDLINE = [[(1.5, -8, 14, 0.9), (0, 18, 11, 1.2), (0, 30, 9, 2.0), (0, 55, 0, 2.2), (0, 82, -12, 2.6)]]


class Incidentals:
    """Dura, vessels, calcifications and old hypodensities of one person.

    ``rng`` draws them; ``dense`` what is as dense as blood without contrast: thrombosed or thick-blooded sinuses
    and arteries, and the dura of anaemic and old people.
    """

    def __init__(
        self, rng: np.random.Generator, dense: np.random.Generator, without: tuple[str, ...] = ()
    ) -> None:
        self.contrast = bool(rng.random() < 0.12) and "contrast" not in without
        medium = " with contrast" if self.contrast else ""
        self.vessel_hu = draw_hu(rng, "artery" + medium)
        self.sinus_hu = draw_hu(rng, "sinus" + medium)
        self.dura_hu = draw_hu(rng, "dura" + medium)
        self.dura_mm = rng.uniform(0.5, 1.1)
        self.sagittal_mm = rng.uniform(3.0, 5.5)
        self.transverse_mm = rng.uniform(1.2, 4.5, 2)
        self.falx_edge = SmoothField.draw(rng, 14)
        self.rough = SmoothField.draw(rng, 7)
        self.veins = SmoothField.draw(rng, 6)
        self.calcium = self._draw_calcium(rng)
        self.scars = self._draw_scars(rng)
        self.hygroma = None
        if rng.random() < 0.06:
            place = rng.normal(0, 1, 3) * (1, 1, 0.6) + (0, -0.3, 0.4)
            place = place / np.linalg.norm(place) * (66, 82, 72)
            self.hygroma = (tuple(place), rng.uniform(35, 70), rng.uniform(3, 13), rng.uniform(4, 30))
        self.tumour = None
        if rng.random() < 0.02:
            place = rng.normal(0, 1, 3) * (1, 1, 0.6) + (0, 0, 0.3)
            place = place / np.linalg.norm(place) * (62, 78, 70)
            self.tumour = (tuple(place), tuple(rng.uniform(5, 14, 3)), rng.uniform(110, 400))
        self.drain = None
        if rng.random() < 0.03:
            side = rng.choice([-1, 1])
            entry = (side * rng.uniform(22, 40), rng.choice([-62.0, 70.0]), 58.0)
            self.drain = (
                entry,
                (side * 8, rng.uniform(-30, -15), 14),
                rng.uniform(0.9, 1.6),
                rng.uniform(120, 500),
            )

        self.dense_artery = None
        self._draw_dense(dense, without)
        if "calcium" in without:
            self.calcium, self.tumour = [], None
        if "scars" in without:
            self.scars, self.hygroma = [], None
        if "surgery" in without:
            self.drain = None

    def _draw_dense(self, rng: np.random.Generator, without: tuple[str, ...]) -> None:
        picks = rng.random(3)
        values = [draw_hu(rng, tissue) for tissue in ("dense sinus", "dense artery", "dense dura")]
        side, mm = int(rng.choice([-1, 1])), rng.uniform(0.9, 1.6)
        if self.contrast or "dense_vessels" in without:
            return
        if picks[0] < 0.16:
            self.sinus_hu = values[0]
        if picks[1] < 0.06:
            self.dense_artery = (side, values[1])
        if picks[2] < 0.24:
            self.dura_hu, self.dura_mm = values[2], mm

    @staticmethod
    def _draw_calcium(rng: np.random.Generator) -> list[tuple[Point, Point, float]]:
        """Pineal, choroid plexus, pallidum, carotid siphons, vertebral arteries, falx: (centre, radii, HU)."""
        found = []
        if rng.random() < 0.55:
            r = rng.uniform(0.8, 3.2)
            found.append(
                ((rng.normal() * 0.5, 17, 4), (r, r * rng.uniform(0.8, 1.5), r), rng.uniform(70, 500))
            )
        if rng.random() < 0.55:
            for side in (-1, 1):
                r = rng.uniform(0.8, 4.0)
                place = (side * rng.uniform(22, 26), rng.uniform(24, 32), rng.uniform(5, 11))
                found.append((place, (r, r * rng.uniform(0.8, 1.8), r * 1.2), rng.uniform(60, 400)))
        if rng.random() < 0.12:
            for side in (-1, 1):
                r = rng.uniform(1, 4)
                found.append(((side * 18, rng.uniform(-18, -8), 2), (r, r * 1.5, r), rng.uniform(55, 180)))
        if rng.random() < 0.3:
            for side in (-1, 1):
                place = (side * rng.uniform(10, 13), rng.uniform(-20, -12), rng.uniform(-28, -20))
                found.append((place, tuple(rng.uniform(0.7, 2.2, 3)), rng.uniform(130, 700)))
        if rng.random() < 0.12:
            found.append(((rng.choice([-1, 1]) * 5, 2, -56), (1.5, 1.5, 3), rng.uniform(130, 500)))
        for _ in range(rng.poisson(0.5)):
            place = (0, rng.choice([-1, 1]) * rng.uniform(40, 75), rng.uniform(15, 60))
            found.append(
                (place, (rng.uniform(0.6, 2), rng.uniform(2, 10), rng.uniform(2, 8)), rng.uniform(80, 500))
            )
        return found

    @staticmethod
    def _draw_scars(rng: np.random.Generator) -> list[tuple[Point, Point, float, float]]:
        """Old infarcts and lacunes: (centre, radii, turn, HU lost)."""
        scars = []
        if rng.random() < 0.3:
            for _ in range(1 + rng.poisson(0.6)):
                size = float(np.exp(rng.uniform(np.log(2.5), np.log(26))))
                centre = tuple(rng.uniform(-1, 1, 3) * (58, 70, 45) + (0, 0, 12))
                scars.append(
                    (centre, tuple(size * rng.uniform(0.6, 1.3, 3)), rng.uniform(0, 3), rng.uniform(4, 22))
                )
        return scars

    def paint(self, frame: Frame, depth: Tensor, cavity: Tensor, fluid: Tensor, hu: Tensor) -> Tensor:
        """Paint in place; return the share (0..1) of dura and sinus, where blood cannot go."""
        dura = frame.zeros()
        self._scars(frame, cavity, hu)
        if self.hygroma:
            self._hygroma(frame, depth, cavity, hu)
        self._vessels(frame, cavity, hu)
        if self.contrast:
            veins = fill(frame.field(self.veins) - 1.5, 0.6) * (fluid > 0.4)
            blend(hu, at_least(hu, self.vessel_hu * 0.6), 0.8 * veins)
            rind = exp(-torch.abs(depth - 0.5)) * cavity
            hu += 0.25 * self.dura_hu * rind
        self._falx(frame, depth, cavity, hu, dura)
        self._tentorium(frame, depth, cavity, hu, dura)
        self._sinuses(frame, depth, cavity, hu, dura)
        if self.drain:
            self._drain(frame, hu)
        for centre, radii, value in [*self.calcium, *([self.tumour] if self.tumour else [])]:
            window = frame.window(tuple((c - r - 3, c + r + 3) for c, r in zip(centre, radii, strict=True)))
            if window is None:
                continue
            solid = ellipsoid(*frame.at(window), centre, radii) + 0.8 * frame.field(self.rough, window)
            part = hu[window]
            blend(part, at_least(part, value), fill(solid, frame.edge) * cavity[window])
        return dura

    def _scars(self, frame: Frame, cavity: Tensor, hu: Tensor) -> None:
        for centre, radii, turn, loss in self.scars:
            reach = max(radii) * 1.5 + 3
            window = frame.window(tuple((c - reach, c + reach) for c in centre))
            if window is None:
                continue
            solid = ellipsoid(*frame.at(window), centre, radii, turn)
            solid = solid + 0.3 * min(radii) * frame.field(self.rough, window)
            part = hu[window]
            share = fill(solid, 3.0) * cavity[window] * (part < 60)
            part -= (part - 6).clamp(0, loss) * share

    def _hygroma(self, frame: Frame, depth: Tensor, cavity: Tensor, hu: Tensor) -> None:
        """An old collection of fluid on the brain: the shape of a subdural hemorrhage, not its density."""
        centre, width, thick, value = self.hygroma
        window = frame.window(tuple((c - width, c + width) for c in centre))
        if window is None:
            return
        place = frame.at(window)
        far = sum((a - float(c)) ** 2 for a, c in zip(place, centre, strict=True)) / (width**2)
        profile = (
            thick * torch.clip(1 - far, 0, 1) * torch.clip(place[0] * float(np.sign(centre[0]) / 3), 0, 1)
        )
        share = fill(profile - depth[window], frame.edge) * (profile > 0.3) * cavity[window]
        blend(hu[window], value, share)

    def _drain(self, frame: Frame, hu: Tensor) -> None:
        """A catheter from a burr hole to the ventricle."""
        entry, tip, radius, value = self.drain
        window = frame.window(
            tuple((min(a, b) - 20, max(a, b) + 20) for a, b in zip(entry, tip, strict=True))
        )
        if window is None:
            return
        direction = np.subtract(entry, tip) / np.linalg.norm(np.subtract(entry, tip))
        x, y, z = frame.at(window)
        part = hu[window]
        hole = [(*(np.array(entry) + direction * d), 6.0) for d in (-2, 22)]
        blend(part, 35, fill(chain(x, y, z, hole), frame.edge) * (part > 150))
        tube = [(*tip, radius), (*(np.array(entry) + direction * 12), radius)]
        blend(part, value, fill(chain(x, y, z, tube), frame.edge) * (part > -500))

    def _vessels(self, frame: Frame, cavity: Tensor, hu: Tensor) -> None:
        lines = [(line, 1) for line in ARTERIES_MIDLINE + VEINS_MIDLINE + ARTERIES_PAIRED]
        lines += [(line, -1) for line in ARTERIES_PAIRED]
        for line, side in lines:
            points = np.array(line)
            points[:, 0] *= side
            window = frame.window(
                tuple((lo - 4, hi + 4) for lo, hi in zip(points.min(0)[:3], points.max(0)[:3], strict=True))
            )
            if window is None:
                continue
            solid = chain(*frame.at(window), [tuple(p) for p in points])
            part, value = hu[window], self.vessel_hu
            if self.dense_artery and line is ARTERIES_PAIRED[0] and side == self.dense_artery[0]:
                value, solid = self.dense_artery[1], solid + 0.7
            blend(part, at_least(part, value), fill(solid, frame.edge) * cavity[window])

    def _falx(self, frame: Frame, depth: Tensor, cavity: Tensor, hu: Tensor, dura: Tensor) -> None:
        window = frame.window(((-6, 6), (-95, 95), (-28, 85)))
        if window is None:
            return
        x, y, z = frame.at(window)
        inner = torch.sqrt(((y + 2) / 56) ** 2 + ((z - 6) / 40) ** 2) - 1
        free = torch.where(y > 25, z - tentorium_height(x, y), inner * 45)
        bend = 0.35 * frame.field(self.falx_edge, window)
        share = sheet(torch.abs(x + bend), self.dura_mm, frame.edge) * fill(free, 3.0) * cavity[window]
        part = hu[window]
        blend(part, at_least(part, self.dura_hu), share)
        dura[window].clamp_(min=share)

    def _tentorium(self, frame: Frame, depth: Tensor, cavity: Tensor, hu: Tensor, dura: Tensor) -> None:
        window = frame.window(((-72, 72), (-8, 90), (-40, 12)))
        if window is None:
            return
        x, y, z = frame.at(window)
        gap = 0.85 * torch.abs(z - tentorium_height(x, y))
        notch = torch.sqrt((x / 23) ** 2 + ((y - 4) / 32) ** 2) - 1
        front = y - (2 + 0.46 * torch.abs(x))
        share = sheet(gap, 0.6 * self.dura_mm, frame.edge + 0.85 * frame.step) * cavity[window]
        share *= fill(notch * 25, 3) * fill(front, 3)
        part = hu[window]
        blend(part, at_least(part, self.dura_hu), share)
        dura[window].clamp_(min=share)

    def _sinuses(self, frame: Frame, depth: Tensor, cavity: Tensor, hu: Tensor, dura: Tensor) -> None:
        window = frame.window(((-12, 12), (-90, 95), (-16, 85)))
        if window is not None:
            x, y, z = frame.at(window)
            size = self.sagittal_mm * torch.clip(0.55 + (y + 40) / 130, 0.35, 1.1)
            solid = size - torch.abs(x) - 0.75 * depth[window]
            share = fill(solid, frame.edge) * cavity[window] * (depth[window] < 9)
            blend(hu[window], at_least(hu[window], self.sinus_hu), share)
            dura[window].clamp_(min=share)
        for side, size in zip((-1, 1), self.transverse_mm, strict=True):
            window = frame.window(((-2, 66) if side > 0 else (-66, 2), (20, 92), (-44, 4)))
            if window is None:
                continue
            x, y, z = frame.at(window)
            gap = torch.hypot(z - tentorium_height(x, y) + 1, 0.8 * at_least(depth[window] - 2, 0))
            share = fill(size - gap, frame.edge + 0.3 * frame.step) * (depth[window] < 9)
            share = share * cavity[window]
            blend(hu[window], at_least(hu[window], self.sinus_hu), share)
            dura[window].clamp_(min=share)
