"""The sutures of the vault: thin jagged lines of less dense bone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .frame import Frame
from .noise import SmoothField
from .shapes import sheet


class Sutures:
    """Coronal, sagittal and lambdoid suture of one person, drawn from ``rng``; they fade with age."""

    def __init__(self, rng: np.random.Generator, without: tuple[str, ...] = ()) -> None:
        self.width_mm = rng.uniform(0.0, 0.8)
        self.loss = 0.0 if "skull" in without else rng.uniform(0.3, 0.9)
        self.jag_mm = rng.uniform(0.6, 2.2)
        self.bregma, self.lambda_y = rng.uniform(-32, -18), rng.uniform(58, 68)
        self.jags = SmoothField.draw(rng, 4.0)

    def paint(self, frame: Frame, vault: Tensor, hu: Tensor) -> None:
        """Paint in place, into bone outside the inner table (``vault`` < 0)."""
        if not self.loss or frame.high < -25:
            return
        bone = torch.nonzero(((vault < 0.5) & (hu > 150)).view(-1))[:, 0]
        jag = frame.field(self.jags).view(-1)[bone] * self.jag_mm
        x, y, z = (axis.view(-1)[bone] for axis in (frame.x, frame.y, frame.z))
        coronal = (y - self.bregma + 0.28 * (75 - z) + jag).abs() + 60.0 * (z < -12)
        sagittal = (x + jag).abs() + 60.0 * ((y < self.bregma) | (y > self.lambda_y) | (z < 20))
        lambdoid = (y - self.lambda_y + 0.42 * x.abs() + jag).abs() + 60.0 * ((z > 45) | (z < -20) | (y < 20))
        gap = torch.minimum(torch.minimum(coronal, sagittal), lambdoid)
        line = sheet(gap, self.width_mm, frame.edge)
        there = hu.view(-1)[bone]
        hu.view(-1)[bone] = there - line * self.loss * (there - 60)
