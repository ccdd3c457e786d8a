"""What spoils single slices: streaks around metal, and ghosts where the head moved."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .frame import Frame
from .shapes import exp


class Artefacts:
    """Metal other than surgical, and motion, drawn from ``rng``.

    ``metal`` holds tuples (centre (x, y, z), HU, streaks in HU).
    """

    def __init__(self, rng: np.random.Generator, without: tuple[str, ...] = ()) -> None:
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
        if picks[2] < 0.12 and "motion" not in without:
            for n in range(1 + (picks[3] < 0.3)):
                self.ghosts.append(
                    (float(place[n]), int(count[n]), tuple(shift[n].tolist()), float(share[n]))
                )

    def describe(self) -> dict:
        """What was drawn, as JSON values."""
        return {"metal_parts": len(self.metal), "ghosts": len(self.ghosts)}

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
