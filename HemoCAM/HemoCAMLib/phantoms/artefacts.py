"""What spoils single slices: streaks around metal and along bone, ghosts and shifts where the head moved."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .frame import Frame
from .shapes import exp


class Artefacts:
    """Metal other than surgical and motion, drawn from ``rng``, shifts and streaks from ``streaks``.

    ``metal`` holds tuples (centre (x, y, z), HU, streaks in HU).
    """

    def __init__(
        self, rng: np.random.Generator, streaks: np.random.Generator, without: tuple[str, ...] = ()
    ) -> None:
        self.metal: list[tuple[tuple[float, float, float], float, float]] = []
        picks = rng.random(4)
        dental = rng.uniform((-30, -85, -78), (30, -60, -60), (3, 3))
        coil = (float(rng.choice([-1, 1])) * rng.uniform(2, 22), rng.uniform(-26, -8), rng.uniform(-20, -8))
        strength = rng.uniform(60, 260, 4)
        if picks[0] < 0.25 and "metal" not in without:
            self.metal += [(tuple(p), 3000.0, float(s)) for p, s in zip(dental, strength, strict=False)]
        if picks[1] < 0.03 and "metal" not in without:
            self.metal.append((tuple(map(float, coil)), 3000.0, float(strength[3])))
        self.ghosts: list[tuple[float, int, tuple[float, float], float]] = []
        place, count = rng.uniform(0, 1, 2), rng.integers(1, 6, 2)
        shift, share = rng.normal(0, 3.5, (2, 2)), rng.uniform(0.12, 0.42, 2)
        self._draw_moved(streaks, without)
        if picks[2] < 0.22 and "motion" not in without:
            for n in range(1 + (picks[3] < 0.3)):
                self.ghosts.append(
                    (float(place[n]), int(count[n]), tuple(shift[n].tolist()), float(share[n]))
                )

    def _draw_moved(self, rng: np.random.Generator, without: tuple[str, ...]) -> None:
        """Draw where slices are shifted against each other, and where parallel streaks cross the head.

        ``shifts``: (first slice 0..1, number, (rows, columns) in mm). ``streaks``: (first slice 0..1 or None for
        the skull base, number, angle in radians, HU, width in mm, seed).
        """
        picks, place = rng.random(3), rng.random(2)
        count, shift = rng.integers(1, 9, 2), rng.normal(0, 2.2, 2)
        angles, strength = rng.uniform(0, np.pi, 2), rng.uniform(2, 9, 2)
        level, widths = rng.normal(0, 0.12), rng.uniform(1.0, 3.0, 2)
        seeds = rng.integers(2**31, size=2).tolist()
        self.shifts, self.streaks = [], []
        if picks[0] < 0.15 and "motion" not in without:
            self.shifts.append((float(place[0]), int(count[0]), tuple(shift.tolist())))
        if picks[1] < 0.2 and "motion" not in without:
            row = (float(place[1]), int(count[1]), float(angles[1]), float(strength[1]), float(widths[1]))
            self.streaks.append((*row, seeds[1]))
        if picks[2] < 0.35 and "hardening" not in without:
            # few photons pass both petrous bones: streaks from side to side
            row = (None, 0, float(np.pi / 2 + level), float(strength[0]), float(widths[0]))
            self.streaks.append((*row, seeds[0]))

    def shift(self, layer: Tensor, pixel_mm: float) -> None:
        """Move the slices of ``layer`` (K, j, i) that the head moved in, in place; labels move along."""
        for place, count, (dy, dx) in self.shifts:
            first = int(place * len(layer))
            part = layer[first : first + count]
            part.copy_(torch.roll(part, (round(dy / pixel_mm), round(dx / pixel_mm)), (1, 2)))

    def describe(self) -> dict:
        """What was drawn, as JSON values."""
        return {
            "metal_parts": len(self.metal),
            "ghosts": len(self.ghosts),
            "shifts": len(self.shifts),
            "streaks": len(self.streaks),
        }

    def expose(self, frame: Frame, picture: Tensor, skin: Tensor, more: list[tuple]) -> None:
        """Spoil the pictures (K, j, i) in place; ``more`` metal comes from elsewhere.

        A ghost is a fainter copy of a slice, moved: what is labelled stays the stronger one.
        """
        for centre, value, streak in [*self.metal, *more]:
            self._streaks(frame, picture, skin, centre, value, streak)
        for place, count, (dy, dx), share in self.ghosts:
            first = int(place * len(picture))
            part = picture[first : first + count]
            rows, columns = round(dy / frame.pixel), round(dx / frame.pixel)
            moved = torch.roll(part, (rows, columns), (1, 2))
            x, y = frame.x[first : first + count], frame.y[first : first + count]
            waves = torch.cos(y * 0.9 + x * 0.05) * torch.cos(y * 0.31 - x * 0.11) * (abs(dy) + abs(dx)) * 0.5
            part.lerp_(moved, share).add_(waves * (skin[first : first + count] > 4))

        for row in self.streaks:
            self._parallel(frame, picture, skin, *row)

    @staticmethod
    def _parallel(
        frame: Frame,
        picture: Tensor,
        skin: Tensor,
        place: float | None,
        count: int,
        angle: float,
        strength: float,
        width_mm: float,
        seed: int,
    ) -> None:
        """Parallel streaks, another set in each slice, from a few strong views or from moving bone."""
        height = frame.z[:, frame.shape[1] // 2, frame.shape[2] // 2].tolist()
        rng = np.random.default_rng(seed)
        steps = np.arange(-200.0, 200.0, 0.5)
        for k, z in enumerate(height):
            weight = float(np.exp(-(((z + 33) / 13) ** 2)))
            if place is not None:
                weight = float(int(place * len(height)) <= k < int(place * len(height)) + count)
            if weight < 0.05:
                continue
            turn = angle + rng.normal(0, 0.06)
            grain = rng.standard_normal(len(steps) // 2 + 2)
            grain = np.clip(grain * np.abs(grain), -4, 4) / 1.5  # few of the streaks are strong
            profile = np.interp(steps, np.arange(len(grain)) * width_mm - 200.0, grain)
            across = frame.x[k] * float(np.cos(turn)) + frame.y[k] * float(np.sin(turn))
            index = ((across + 200) * 2).clamp(0, len(steps) - 1).long()
            line = torch.from_numpy(profile.astype(np.float32)).to(picture.device)[index]
            picture[k] += line * (strength * weight) * (skin[k] > 2)

    @staticmethod
    def _streaks(
        frame: Frame, picture: Tensor, skin: Tensor, centre: tuple, value: float, streak: float
    ) -> None:
        """A small piece of metal, with bright and dark rays in its slices."""
        window = frame.window(((-110, 110), (-130, 130), (centre[2] - 5, centre[2] + 5)))
        if window is None:
            return
        x, y, z = frame.at(window)
        u, v, w = x - float(centre[0]), y - float(centre[1]), z - float(centre[2])
        near = torch.sqrt(u * u + v * v)
        angle = torch.atan2(v, u)
        rays = torch.cos(angle * 14 + 5) * torch.cos(angle * 9 + float(centre[0]))
        flare = exp(-(w.abs() / 3 + near / 45))
        picture[window] += streak * rays * flare * (skin[window] > 0)
        picture[window] += value * ((near < 2.5) & (w.abs() < 2.5))
