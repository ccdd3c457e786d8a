"""The scanner: kernel, beam hardening, noise, table and headrest, and the round field of view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .frame import Frame, Pose
from .noise import SmoothField
from .setup import Setup
from .shapes import bell, blur, exp, sigmoid

AIR_HU = -1024.0
# Noise of 3.2 HU in slices of 5 mm takes about 250 mAs at 120 kV.
_USUAL_HU, _USUAL_MAS = 3.2, 250.0


class Scanner:
    """One examination: how the head lies (``posture``) and how the pictures are made; drawn from ``rng``."""

    def __init__(
        self,
        rng: np.random.Generator,
        posture: np.random.Generator,
        slice_mm: float,
        without: tuple[str, ...] = (),
    ) -> None:
        self.pose = Pose(
            pitch=float(rng.normal(0.0, 0.12)),
            roll=float(rng.normal(0, 0.05)),
            yaw=float(rng.normal(0, 0.07)),
            offset=(float(rng.normal(0, 4)), float(rng.normal(0, 5)), 0.0),
        )
        self._lie_down(posture)
        self.blur_mm = float(rng.uniform(0.25, 0.85))
        at_5_mm = float(np.exp(rng.uniform(np.log(1.5), np.log(8.0))))
        self.grain_mm = float(rng.uniform(0.25, 0.9))
        self.sharp = float(rng.uniform(0.0, 0.8))
        self.cupping_hu = float(rng.uniform(0, 10))
        self.cupping_mm = float(rng.uniform(2, 9))
        self.streak_hu = float(rng.uniform(0, 4) ** 2)
        self.streaks = SmoothField.draw(rng, (9, 5, 40))
        self.shading = SmoothField.draw(rng, 60)
        self.shading_hu = float(rng.uniform(0, 1.5))
        self.headrest = bool(rng.random() < 0.7)
        self.rest = rng.uniform((0, 2.0, 60), (16, 5.0, 250)).tolist()
        self.round_field = bool(rng.random() < 0.35)
        self.metal = None
        if rng.random() < 0.06:
            place = rng.uniform((-60, -95, -60), (60, -60, -20)).tolist()
            self.metal = (place, float(rng.uniform(800, 3000)))
        self._noise_seed = int(rng.integers(2**63))
        extra = np.random.default_rng([self._noise_seed, 1])
        self.bar_hu = float(max(extra.uniform(-8, 30), 0.0))
        self.table = bool(extra.random() < 0.3)
        self.table_mm, self.table_hu = float(extra.uniform(112, 150)), float(extra.uniform(-600, 250))
        # Old scanners and large heads: brighter, wider and one-sided cupping, and kernels that spread bone.
        if extra.random() < 0.5:
            self.cupping_hu = float(extra.uniform(4, 20))
            self.cupping_mm *= float(extra.uniform(1.0, 2.5))
        self.uneven = SmoothField.draw(extra, 45)
        self.unevenness = float(extra.uniform(0, 0.9))
        if extra.random() < 0.2:
            self.blur_mm *= float(extra.uniform(1.2, 2.0))
        self._leave_out(without)
        if "noise" in without:
            at_5_mm, self.grain_mm = 3.0, 0.5
        # Photons grow with current and thickness: sd ~ 1 / sqrt(mAs * mm) (Kalender, "Computed Tomography").
        self.noise_hu = at_5_mm * (5.0 / slice_mm) ** 0.5
        self.mas = _USUAL_MAS * (_USUAL_HU / at_5_mm) ** 2

    def _lie_down(self, rng: np.random.Generator) -> None:
        """Turn some heads further, and draw how many mm below the skull base the scan begins.

        Slices follow the orbitomeatal line, the skull base or neither: planes of all angles between 25 degrees
        to either side of the commissures occur. Restless and injured people lie turned and bent sideways.
        """
        picks, angle = rng.random(3), float(np.deg2rad(rng.uniform(-25, 25)))
        roll, yaw = rng.normal(0, 0.14, 2).clip(-0.35, 0.35).tolist()
        self.pose = replace(
            self.pose,
            pitch=float(np.clip(angle if picks[0] < 0.6 else self.pose.pitch, -0.44, 0.44)),
            roll=roll if picks[1] < 0.25 else self.pose.roll,
            yaw=yaw if picks[1] < 0.25 else self.pose.yaw,
        )
        self.below_mm = float(rng.uniform(0, 14) if picks[2] < 0.7 else rng.uniform(14, 42))

    def _leave_out(self, without: tuple[str, ...]) -> None:
        if "pose" in without:
            self.pose = Pose()
        if "kernel" in without:
            self.blur_mm, self.sharp = 0.6, 0.3
        if "hardening" in without:
            self.cupping_hu = self.streak_hu = self.shading_hu = self.bar_hu = 0.0
        if "surroundings" in without:
            self.headrest = self.table = self.round_field = False
        if "metal" in without:
            self.metal = None

    def describe(self) -> dict:
        """What was drawn, as JSON values."""
        return {
            "pitch_deg": float(np.rad2deg(self.pose.pitch)),
            "roll_deg": float(np.rad2deg(self.pose.roll)),
            "yaw_deg": float(np.rad2deg(self.pose.yaw)),
            "offset_mm": list(self.pose.offset),
            "blur_mm": self.blur_mm,
            "noise_sd_hu": self.noise_hu,
            "mas": self.mas,
            "cupping_hu": self.cupping_hu,
            "streak_hu": self.streak_hu,
            "bar_hu": self.bar_hu,
            "headrest": self.headrest,
            "table": self.table,
            "metal": self.metal is not None,
        }

    def expose(self, frame: Frame, hu: Tensor, depth: Tensor, cavity: Tensor, skin: Tensor) -> Tensor:
        """Return the pictures of slices ``hu``, all (K, j, i), without noise; ``frame`` holds their middles."""
        picture = blur(hu, self.blur_mm / frame.pixel)
        height = frame.z[:, frame.shape[1] // 2, frame.shape[2] // 2].cpu()
        # Rays along the curved top of the vault pass the most bone.
        steep = (1 + 0.9 * sigmoid((height - 52) / 6)).to(frame.device)[:, None, None]
        cup = exp(depth.clamp(min=0) * (-1 / self.cupping_mm)).mul_(cavity)
        uneven = frame.field(self.uneven).mul_(self.unevenness).add_(1).clamp_(min=0)
        picture += cup.mul_(uneven).mul_(steep * self.cupping_hu)
        if self.shading_hu:
            picture += frame.field(self.shading).mul_(cavity).mul_(self.shading_hu)
        base = self.base(frame)
        rows = torch.nonzero(base > 0.02)[:, 0].tolist()
        if rows and (self.streak_hu or self.bar_hu):
            k = slice(rows[0], rows[-1] + 1)
            window = (k, slice(None), slice(None))
            x, y, z = frame.at(window)
            bars = bell(x / 42) * exp(-(((y - 8) / 16) ** 2)) + 0.35 * cavity[k]
            inside = skin[k] > 0
            weight = base[k].to(frame.device)[:, None, None]
            picture[k] += frame.field(self.streaks, window) * bars * weight * self.streak_hu * inside
            # Hounsfield's bar: a dark band between the petrous bones.
            bar = bell((y - 4) / 7) * bell((z + 32) / 9) * sigmoid((40 - x.abs()) / 5)
            picture[k] -= bar * cavity[k] * self.bar_hu
        return picture

    @staticmethod
    def base(frame: Frame) -> Tensor:
        """How much (0..1) each slice lies in the skull base, on the CPU."""
        height = frame.z[:, frame.shape[1] // 2, frame.shape[2] // 2].cpu()
        return bell((height + 33) / 14)

    def noise(self, frame: Frame, skin: Tensor) -> Tensor:
        """Noise of the slices; its grain comes from the CPU's generator, the same for every device.

        It grows with the path through the head: loudest in its middle and at the skull base.
        """
        rng = np.random.default_rng(self._noise_seed)
        grain = torch.from_numpy(rng.standard_normal(frame.shape, dtype=np.float32)).to(frame.device)
        fine = blur(grain, self.grain_mm / frame.pixel, 2.5)
        if self.sharp:  # sharp kernels damp the low frequencies of the noise
            fine.sub_(blur(fine, 2.2 * self.grain_mm / frame.pixel, 2.5), alpha=self.sharp)
        fine.div_(fine.std().clamp(min=1e-6))
        loud = (1 + 0.6 * self.base(frame)).to(frame.device)[:, None, None] * self.noise_hu
        middle = skin.clamp(-5, 60).mul_(0.45 / 45).add_(0.55)
        return fine.mul_(middle).mul_(loud)

    def surroundings(self, y_mm: np.ndarray, x_mm: np.ndarray, picture: Tensor, setup: Setup) -> None:
        """Add headrest and table and cut the round field of view, in place, on the whole matrix (K, J, I)."""
        y, x = (torch.from_numpy(a.astype(np.float32)).to(picture.device) for a in (y_mm, x_mm))
        y, x = y[:, None], x[None, :]
        things = []
        if self.headrest:
            drop, thick, value = self.rest
            radius = torch.sqrt(x * x + (y + 20) ** 2)
            arc = (thick / 2 + 0.5 - (radius - 138 - drop).abs()).clamp(0, 1) * (y > 25) * (x.abs() < 105)
            things.append((arc, value))
        if self.table:
            top = y - self.table_mm - 0.0006 * (x.abs() - 200).clamp(max=0) ** 2 * 0.5 + 12
            things.append(((2.0 - top.abs()).clamp(0, 1), self.table_hu))
        for share, value in things:
            picture += (value + 1000) * share * (picture < -600)
        if setup.round_field:
            u, v = x - setup.offset_mm[0], y - setup.offset_mm[1]
            reach = float(min(u.abs().max(), v.abs().max()))
            picture.masked_fill_((u * u + v * v > reach * reach)[None], setup.padding)
