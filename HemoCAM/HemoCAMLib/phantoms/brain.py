"""Brain tissue and the fluid in and around it: cortex, sulci, fissures, cisterns, ventricles, deep nuclei."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .frame import Frame, Window
from .noise import SampledNoise, SmoothField
from .shapes import at_least, at_most, bell, blend, chain, ellipsoid, exp, fill, sheet, sigmoid, within
from .skull import FORAMEN
from .tissues import draw_hu

# Centre lines of the left lateral ventricle, (x, y, z, radius) in mm, for a ventricle of middle size.
VENTRICLE_BODY = [
    (16.0, -50.0, 5.0, 1.6),
    (11.5, -41.0, 8.0, 3.6),
    (7.5, -29.0, 13.0, 4.4),
    (7.0, -17.0, 18.0, 4.2),
    (12.0, -2.0, 21.5, 4.2),
    (18.0, 13.0, 19.5, 4.6),
    (25.0, 26.0, 10.0, 6.2),
    (24.0, 42.0, 4.0, 3.4),
    (22.0, 57.0, 2.0, 1.2),
]
VENTRICLE_TEMPORAL = [
    (26.0, 27.0, 8.0, 4.5),
    (32.0, 16.0, -7.0, 2.4),
    (33.0, 1.0, -15.0, 1.8),
    (29.0, -9.0, -17.0, 1.6),
]


def tentorium_height(x: Tensor, y: Tensor) -> Tensor:
    """Height in mm of the tentorium, a tent over the cerebellum, at (x, y)."""
    return 7 - 34 * (1 - exp(torch.abs(x) * (-1 / 36))) - 0.33 * at_least(y - 28, 0)


class Brain:
    """One person's brain; ``rng`` draws age, densities and the shape of the convolutions."""

    def __init__(self, rng: np.random.Generator, without: tuple[str, ...] = ()) -> None:
        self.atrophy = float(rng.beta(1.2, 1.6))
        if "atrophy" in without:
            self.atrophy = 0.3
        self.grey_hu = draw_hu(rng, "grey matter")
        self.white_hu = self.grey_hu - rng.uniform(5.5, 11)
        self.fluid_hu = draw_hu(rng, "cerebrospinal fluid")
        a = self.atrophy
        self.sulcus_mm = 0.25 + 1.15 * a**1.3 * rng.uniform(0.6, 1.3) + rng.uniform(0, 0.4)
        self.sulcus_depth = rng.uniform(10, 18) + 6 * a
        self.rim_mm = 2.6 * a**1.5 * rng.uniform(0.3, 1.3)
        self.ventricle = 0.78 + 0.95 * a * rng.uniform(0.5, 1.4) + rng.uniform(-0.1, 0.25)
        self.cistern = 0.75 + 0.5 * a + rng.uniform(-0.15, 0.25)
        self.asymmetry = rng.uniform(-0.18, 0.18)
        self.septum_mm = rng.uniform(0.5, 1.2) + (rng.random() < 0.06) * rng.uniform(1.5, 4)
        pitch = rng.uniform(6.2, 8.6)
        self.convolutions = SampledNoise.draw(rng, pitch)
        self.spacing = 0.5 * pitch
        self.medial = SmoothField.draw(rng, 8)
        self.folia = SmoothField.draw(rng, (3.0, 4.0, 7.0))
        self.texture = SmoothField.draw(rng, 5)
        self.shade = SmoothField.draw(rng, 35)
        self.shade_hu = rng.uniform(0, 1.2)
        self.texture_hu = rng.uniform(0, 1.2)
        self.wobble = SmoothField.draw(rng, 14)
        self.patchy = SmoothField.draw(rng, 20)
        self.pallor_mm = rng.uniform(2, 14) * (rng.random() < 0.2 + 0.5 * a)
        self.pallor_hu = rng.uniform(3, 10)
        if "scars" in without:
            self.pallor_mm = 0.0
        if "asymmetry" in without:
            self.asymmetry = 0.0

    def paint(self, frame: Frame, depth: Tensor, edge: Tensor, hu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fill the cavity, in place; return the shares (0..1) of cavity, subarachnoid fluid and ventricle."""
        cavity = fill(depth, edge)
        hindbrain = self._hindbrain(frame)
        sulci, ribbon = self._cortex(frame, depth, hindbrain)
        white = fill(ribbon, 2.2)
        if frame.low < 32 and frame.high > -25:
            self._deep_nuclei(frame, white)
        tissue = self.grey_hu + (self.white_hu - self.grey_hu) * white
        tissue += frame.field(self.shade) * self.shade_hu
        tissue += frame.field(self.texture) * self.texture_hu
        fluid = at_least(sulci, self._cisterns(frame, depth))
        ventricle = self._ventricles(frame, tissue)
        fluid = fluid * (1 - ventricle)
        blend(tissue, self.fluid_hu, at_least(fluid, ventricle))
        blend(hu, tissue, cavity)
        return cavity, fluid * cavity, ventricle * cavity

    def _hindbrain(self, frame: Frame) -> Tensor:
        """Share of a voxel's surroundings that is cerebellum or brain stem."""
        if frame.low > 12:
            return torch.zeros((1, 1, 1), device=frame.device)
        side = torch.abs(frame.x)
        behind = sigmoid((frame.y - at_least(2 + 0.46 * side, 20 - side)) / 1.5)
        below = sigmoid((tentorium_height(frame.x, frame.y) - frame.z) / 0.8) * behind
        stem = fill(self._stem(frame.x, frame.y, frame.z), 3.0)
        return at_least(below, stem)

    @staticmethod
    def _stem(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Signed distance to midbrain, pons and medulla, a tube that bulges at the pons."""
        pons = bell((z + 29) / 10)
        top, broad = sigmoid((-6 - z) / 1.5), sigmoid((z + 22) / 2)
        wide, long = 8 + 9 * pons + 7 * broad, 8 + 6 * pons + 3 * broad
        middle = 9 + 0.25 * at_least(-z - 25, 0)
        rho = torch.sqrt((x / wide) ** 2 + ((y - middle) / long) ** 2)
        notch = 4.5 * bell(x / 4) * sigmoid((middle - 5 - y) / 2) * broad
        return (1 - rho) * long - 20 * (1 - top) - notch

    def _cortex(self, frame: Frame, depth: Tensor, hindbrain: Tensor) -> tuple[Tensor, Tensor]:
        """Share of sulcal fluid, and the distance in mm inside the white matter (negative: grey)."""
        sulci = frame.zeros()
        hind = torch.broadcast_to(hindbrain, frame.shape)
        ribbon = at_most(depth - 4.0, 8.0)
        patch = frame.field(self.patchy)
        here = torch.nonzero(((depth > -1.5) & (depth < 32) & (hind < 0.9)).view(-1))[:, 0]
        d, x, y, z, rough = (layer.view(-1)[here] for layer in (depth, frame.x, frame.y, frame.z, patch))
        stretch = 0.35 + 0.65 / at_least(1 - d * (1 / 75), 0.3)
        gap = torch.abs(self.convolutions.at(z * stretch, y * stretch, x * stretch)).mul_(self.spacing)
        over = at_least(d - self.sulcus_depth * (1 + 0.25 * rough), 0)
        half = self.sulcus_mm * (1 + 0.35 * rough) * (1 - 0.45 * sigmoid((-8 - z) / 4))
        blur = frame.edge + 0.35 * frame.step
        folds = sheet(gap, at_least(half - 0.15 * over, 0), blur)
        sulci.view(-1)[here] = folds * (1 - hind.reshape(-1)[here])
        inside = gap.add_(over, alpha=0.6).sub_(half).sub_(2.2)
        ribbon.view(-1)[here] = torch.minimum(ribbon.view(-1)[here], inside)
        if self.rim_mm > 0.1:
            front = 1 + 0.5 * torch.clip(-frame.y * (1 / 80), -1, 1)
            rim = self.rim_mm * torch.clip(front + 0.4 * patch, 0, 2) - depth
            sulci = at_least(sulci, fill(rim, frame.edge) * (1 - 0.6 * hind))
        self._medial(frame, sulci, ribbon, hind)
        if frame.low < 12:
            leaf = torch.abs(frame.field(self.folia))
            trace = fill((0.02 + 0.12 * self.atrophy) - leaf * 0.5, 0.4) * (hind > 0.5) * (depth < 22)
            sulci = at_least(sulci, 0.55 * trace * (self._stem(frame.x, frame.y, frame.z) < -2))
            ribbon = ribbon + (2.5 * (leaf - 0.8) - ribbon) * hind * (depth < 25)
        return sulci, ribbon

    def _medial(self, frame: Frame, sulci: Tensor, ribbon: Tensor, hind: Tensor) -> None:
        """The fissure between the hemispheres, with its own convolutions, except where the callosum joins."""
        window = frame.window(((-24, 24), (-95, 95), (-30, 85)))
        if window is None:
            return
        x, y, z = frame.at(window)
        side = torch.abs(x + frame.field(self.wobble, window) * 0.5)
        join = torch.sqrt(((y + 6) / 44) ** 2 + ((z - 2) / 25) ** 2)
        apart = (join - 1) * 24
        apart = torch.where(y > 30, at_most(apart, 3 * (z - tentorium_height(x, y))), apart)
        width = (0.25 + 1.7 * self.atrophy**1.3) + 0.35 * frame.field(self.patchy, window)
        gap = torch.abs(frame.field(self.medial, window)) * 4.0
        over = at_least(side - (0.7 * self.sulcus_depth), 0)
        blur = frame.edge + 0.35 * frame.step
        fold = sheet(gap, at_least((0.8 * self.sulcus_mm) - 0.25 * over, 0), blur)
        cleft = at_least(sheet(side, at_least(width, 0), frame.edge), fold)
        share = cleft * fill(apart, 2.0) * (1 - hind[window])
        sulci[window].clamp_(min=share)
        grey = at_most(side - width - 3.2, gap + 0.8 * over - 2.4)
        part = ribbon[window]
        part.clamp_(max=at_least(grey, 2 - apart))

    def _deep_nuclei(self, frame: Frame, white: Tensor) -> None:
        for side in (-1, 1):
            window = frame.window(((side * 24 - 24, side * 24 + 24), (-52, 22), (-14, 26)))
            if window is None:
                continue
            x, y, z = frame.at(window)
            part = white[window]
            for centre, radii, turn in (
                ((side * 13, -32, 9), (5, 11, 9), side * 0.15),
                ((side * 26, -16, 3), (6.5, 16, 9), side * -0.15),
                ((side * 11, 3, 7), (8.5, 14, 8.5), side * -0.5),
            ):
                nucleus = fill(ellipsoid(x, y, z, centre, radii, turn), 2.0)
                part *= 1 - nucleus
            insula = within(side * x, 36.5, 40.0, 1.5) * within(y, -34, 12, 4) * within(z, -9, 18, 4)
            part *= 1 - insula

    def _cisterns(self, frame: Frame, depth: Tensor) -> Tensor:
        fluid = frame.zeros()
        edge = frame.edge + 0.35 * frame.step
        size = self.cistern
        for side, own in ((-1, 1 - self.asymmetry), (1, 1 + self.asymmetry)):
            window = frame.window(((side * 38 - 38, side * 38 + 38), (-44, 24), (-24, 26)))
            if window is None:
                continue
            x, y, z = frame.at(window)
            s = side * x
            rough = frame.field(self.wobble, window)
            half = size * own * (0.25 + 1.7 * self.atrophy) * (1 + 0.5 * rough)
            bent = 41 - 0.009 * (y + 12) ** 2 - 0.012 * (z - 4) ** 2 + 1.8 * rough
            insula = sheet(torch.abs(s - bent), at_least(half, 0), edge)
            insula *= within(y, -36, 14, 3) * within(z, -10, 20, 3)
            cleft = sheet(torch.abs(z - 0.34 * (y + 14) - 1.5 * rough) * 0.8, at_least(0.9 * half, 0), edge)
            cleft *= fill(s - bent, 2) * within(y, -38, 22, 3)
            line = [(8, -16, -19, 1.6 * size), (24, -22, -15, 1.2 * size), (41, -34, -10, 1.8 * size)]
            stem = fill(chain(s, y, z, line), edge)
            share = at_least(at_least(insula, cleft), stem)
            fluid[window].clamp_(min=share)
        window = frame.window(((-36, 36), (-40, 44), (-62, 10)))
        if window is not None:
            x, y, z = frame.at(window)
            turn = torch.atan2(y + 16, x)
            star = (12.5 + 3.0 * torch.cos(5 * turn + 1.57)) * size**0.5
            star = at_most(star - torch.hypot(x, (y + 16) * 1.1), 7 - torch.abs(z + 19))
            ring = self._stem_ring(frame, window, size)
            back = ellipsoid(x, y, z, (0, 24, -4), (11 * size, 4 * size, 5 * size))
            share = at_least(fill(at_least(star, back), edge), ring)
            fluid[window].clamp_(min=share)
        window = frame.window(((-34, 34), (8, 72), (-75, -34)))
        if window is not None:
            x, y, z = frame.at(window)
            magna = ellipsoid(x, y, z, (0, 44, -57), (20 * size, 16 * size, 7 * size))
            canal = at_most(7 - torch.abs(z + 58) * 0.3, 15 - torch.hypot(x, y - FORAMEN[1]))
            cord = torch.hypot(x, y - 19) - 7.5
            share = fill(at_least(magna, at_most(canal, cord)), edge)
            fluid[window].clamp_(min=share)
        return fluid

    def _stem_ring(self, frame: Frame, window: Window, size: float) -> Tensor:
        """Ambient, interpeduncular and prepontine cisterns: a shell around the brain stem."""
        x, y, z = frame.at(window)
        outside = -self._stem(x, y, z) + 0.9 * frame.field(self.wobble, window)
        thick = size * (
            1.4
            + 1.3 * frame.field(self.medial, window)
            + 2.5 * sigmoid((2 - y) / 3) * sigmoid((-16 - z) / 3)
            - 0.8 * sigmoid((y - 14) / 3)
        )
        half = 0.5 * at_least(thick, 0)
        edge = frame.edge + 0.35 * frame.step
        return sheet(torch.abs(outside - half), half, edge) * within(z, -60, -3, 3)

    def _ventricles(self, frame: Frame, tissue: Tensor) -> Tensor:
        share = frame.zeros()
        edge = frame.edge + 0.4 * frame.step
        for side, own in ((-1, 1 + self.asymmetry), (1, 1 - self.asymmetry)):
            size = self.ventricle * own
            for points, grow in ((VENTRICLE_BODY, size), (VENTRICLE_TEMPORAL, 0.45 * size + 0.3)):
                if points is VENTRICLE_TEMPORAL and self.ventricle < 0.7:
                    continue
                tube = [(px + 2.2 * (size - 1), py, pz, r * grow) for px, py, pz, r in points]
                lows, highs = np.min(tube, 0), np.max(tube, 0)
                pad = 14 if self.pallor_mm else 5
                box = [(lo - pad - 6, hi + pad + 6) for lo, hi in zip(lows[:3], highs[:3], strict=True)]
                box[0] = box[0] if side > 0 else (-box[0][1], -box[0][0])
                window = frame.window(tuple(box))
                if window is None:
                    continue
                x, y, z = frame.at(window)
                s = side * x
                solid = chain(s, y, z, tube) + frame.field(self.wobble, window) * 0.7
                solid = at_most(solid, s - self.septum_mm)
                if self.pallor_mm:
                    pale = exp(-at_least(-solid, 0) / self.pallor_mm)
                    part = tissue[window]
                    part -= self.pallor_hu * pale * (s > 3)
                part = share[window]
                part.clamp_(min=fill(solid, edge))
        third = 1.0 + 2.4 * max(self.ventricle - 0.6, 0)
        for centre, radii in (
            ((0, -4, 1), (third, 14, 11)),
            ((0, 29, -31), (5 + 3 * self.ventricle, 3 + 2 * self.ventricle, 9)),
        ):
            window = frame.window(tuple((c - r - 3, c + r + 3) for c, r in zip(centre, radii, strict=True)))
            if window is not None:
                part = share[window]
                part.clamp_(min=fill(ellipsoid(*frame.at(window), centre, radii), edge))
        return share
