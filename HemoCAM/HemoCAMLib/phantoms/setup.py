"""How a head lies in the scanner and which grid is reconstructed: pose, gantry tilt, field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..volumes.volume import LPS_RAS
from .frame import Frame, Placement
from .skull import DOWN, Skull
from .spec import PatientSpec

# The head lies within this box around the scanner's axis; beyond it there is only air (and the headrest).
_REACH_MM = 122.0
_PADDINGS = (-1024.0, -1024.0, -2000.0, -3024.0)


@dataclass(frozen=True)
class Setup:
    """The reconstructed grid.

    Parameters
    ----------
    tilt:
        Of the gantry in radians: slices are perpendicular to the gantry's axis, but follow each other along the
        table. Distances across slices are ``cos(tilt)`` of those along the table.
    offset_mm:
        Centre of the field of view (x, y) in the scanner.
    round_field, padding:
        Whether pixels outside the circle of the field of view hold ``padding`` HU.
    """

    tilt: float
    offset_mm: tuple[float, float]
    round_field: bool
    padding: float

    @classmethod
    def draw(cls, rng: np.random.Generator, round_field: bool, without: tuple[str, ...]) -> Setup:
        """Draw a setup; ``round_field`` comes from the scanner."""
        tilted = rng.random() < 0.22
        tilt = float(np.deg2rad(rng.choice([-1, 1], p=[0.25, 0.75]) * rng.uniform(4, 20))) if tilted else 0.0
        shifted = rng.random() < 0.5
        offset = tuple((rng.normal(0, 5, 2).clip(-10, 10) * shifted).tolist())
        padding = float(rng.choice(_PADDINGS))
        plain = "surroundings" in without
        return cls(
            0.0 if "tilt" in without else tilt,
            (0.0, 0.0) if plain else offset,
            round_field and not plain,
            padding,
        )

    def planes(self, spec: PatientSpec) -> tuple[np.ndarray, np.ndarray]:
        """Positions in mm of the columns (x) and rows (y) in the scanner."""
        centred = (np.arange(spec.size) - (spec.size - 1) / 2) * spec.spacing_mm
        return centred + self.offset_mm[0], centred + self.offset_mm[1]

    def affine(self, spec: PatientSpec, z_mm: np.ndarray) -> np.ndarray:
        """IJK-to-RAS matrix of the volume: sheared where the gantry is tilted, table along S."""
        x, y = self.planes(spec)
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        lps = np.eye(4)
        lps[:3, 0] = spec.spacing_mm, 0, 0
        lps[:3, 1] = 0, spec.spacing_mm * cos, -spec.spacing_mm * sin
        lps[:3, 2] = 0, 0, spec.slice_mm
        lps[:3, 3] = x[0], y[0] * cos, z_mm[0] / cos - y[0] * sin
        return LPS_RAS @ lps

    def describe(self) -> dict:
        """What was drawn, as JSON values."""
        return {
            "tilt_deg": float(np.rad2deg(self.tilt)),
            "field_offset_mm": list(self.offset_mm),
            "round_field": self.round_field,
            "padding_hu": self.padding if self.round_field else None,
        }

    def z_step(self, spec: PatientSpec) -> float:
        """Distance of slices across their planes, mm."""
        return spec.slice_mm * float(np.cos(self.tilt))


class Outline:
    """Where the head is, roughly, so that no time is spent on the air around it.

    Parameters
    ----------
    place, skull:
        The head on the grid.
    """

    _STEP, _MARGIN = 5.0, 8.0  # mm

    def __init__(self, place: Placement, skull: Skull) -> None:
        self._z = np.arange(-125.0, 126.0, self._STEP)
        self._across = np.arange(-_REACH_MM, _REACH_MM, self._STEP)
        frame = Frame(self._z, self._across, self._across, place, self._STEP, self._STEP)
        self._inside = (skull.skin_depth(frame, skull.vault_depth(frame)[0])[1] > -self._MARGIN / 2).numpy()

    def box(self, z_mm: np.ndarray, y_mm: np.ndarray, x_mm: np.ndarray) -> tuple[slice, slice] | None:
        """Rows and columns that the head takes in the slices at ``z_mm``, with a margin; None if there is none."""
        z = (self._z > z_mm.min() - 1.5 * self._STEP) & (self._z < z_mm.max() + 1.5 * self._STEP)
        inside = self._inside[z].any(0)
        cuts = []
        for positions, taken in ((y_mm, inside.any(1)), (x_mm, inside.any(0))):
            if not taken.any():
                return None
            reached = self._across[taken]
            low = np.searchsorted(positions, reached[0] - self._MARGIN)
            high = np.searchsorted(positions, reached[-1] + self._MARGIN)
            if low >= high:
                return None
            cuts.append(slice(int(low), int(high)))
        return cuts[0], cuts[1]


def slice_positions(
    spec: PatientSpec, setup: Setup, place: Placement, skull: Skull, below: float, rng: np.random.Generator
) -> np.ndarray:
    """Positions of the slices across their planes: from ``below`` mm under the base to one or two slices of air."""
    z, across = np.arange(60.0, 125.0, 1.0), np.arange(-60.0, 61.0, 6.0)
    crown = Frame(z, across, across, place, 6.0, 1.0)
    inside = (skull.skin_depth(crown, skull.vault_depth(crown)[0])[1] > 0).numpy()
    step = setup.z_step(spec)
    top = float(z[inside.any((1, 2))].max()) + rng.uniform(0.8, 1.8) * spec.slice_mm
    bottom = -(DOWN + below) * place.scale[2]
    count = int(np.ceil((top - bottom) / step))
    return top - step * np.arange(count)[::-1]
