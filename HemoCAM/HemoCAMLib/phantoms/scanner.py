"""The scanner: blur, beam hardening, streaks, noise, headrest and the round field of view."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .frame import Frame, Pose
from .noise import SmoothField

AIR_HU = -1024.0


class Scanner:
    """One examination: how the head lies and how the pictures are made; drawn from ``rng``."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.pose = Pose(
            pitch=float(rng.normal(0.0, 0.12)),
            roll=float(rng.normal(0, 0.05)),
            yaw=float(rng.normal(0, 0.07)),
            offset=(float(rng.normal(0, 4)), float(rng.normal(0, 5)), 0.0),
        )
        self.blur_mm = float(rng.uniform(0.25, 0.85))
        self.noise_hu = float(np.exp(rng.uniform(np.log(1.5), np.log(8.0))))
        self.grain_mm = float(rng.uniform(0.25, 0.9))
        self.sharp = float(rng.uniform(0.0, 0.8))
        self.cupping_hu = float(rng.uniform(0, 10))
        self.cupping_mm = float(rng.uniform(2, 9))
        self.streak_hu = float(rng.uniform(0, 9))
        self.streaks = SmoothField.draw(rng, (9, 5, 40))
        self.shading = SmoothField.draw(rng, 60)
        self.shading_hu = float(rng.uniform(0, 1.5))
        self.headrest = bool(rng.random() < 0.7)
        self.rest = rng.uniform((0, 2.0, 60), (16, 5.0, 250))
        self.round_field = bool(rng.random() < 0.35)
        self.metal = None
        if rng.random() < 0.06:
            self.metal = {
                "place": rng.uniform((-60, -95, -60), (60, -60, -20)).tolist(),
                "hu": rng.uniform(800, 3000),
            }
        self._noise_seed = int(rng.integers(2**63))

    def describe(self) -> dict:
        """What was drawn, as JSON values."""
        return {
            "pitch_deg": float(np.rad2deg(self.pose.pitch)),
            "roll_deg": float(np.rad2deg(self.pose.roll)),
            "yaw_deg": float(np.rad2deg(self.pose.yaw)),
            "offset_mm": list(self.pose.offset),
            "blur_mm": self.blur_mm,
            "noise_sd_hu": self.noise_hu,
            "cupping_hu": self.cupping_hu,
            "streak_hu": self.streak_hu,
            "headrest": self.headrest,
            "round_field": self.round_field,
            "metal": self.metal is not None,
        }

    def expose(
        self,
        frame: Frame,
        hu: np.ndarray,
        depth: np.ndarray,
        cavity: np.ndarray,
        skin: np.ndarray,
        pixel_mm: float,
    ) -> np.ndarray:
        """Return the pictures of slices ``hu``, all (K, j, i); ``frame`` holds the slices' middles."""
        picture = ndimage.gaussian_filter1d(hu, self.blur_mm / pixel_mm, axis=1, truncate=3)
        picture = ndimage.gaussian_filter1d(picture, self.blur_mm / pixel_mm, axis=2, truncate=3)
        cup = np.float32(self.cupping_hu) * np.exp(np.maximum(depth, 0) * np.float32(-1 / self.cupping_mm))
        picture += cup * cavity
        picture += np.float32(self.shading_hu) * frame.field(self.shading) * cavity
        height = frame.z[:, frame.shape[1] // 2, frame.shape[2] // 2]
        base = np.exp(-(((height + 33) / 14) ** 2)).astype(np.float32)
        rows = np.flatnonzero(base > 0.02)
        if len(rows):
            k = slice(rows[0], rows[-1] + 1)
            window = (k, slice(None), slice(None))
            x, y, _ = frame.at(window)
            bars = np.exp(-((x / 42) ** 2) - ((y - 8) / 16) ** 2) + 0.35 * cavity[k]
            picture[k] += (
                np.float32(self.streak_hu)
                * base[k, None, None]
                * bars
                * frame.field(self.streaks, window)
                * (skin[k] > 0)
            )
        if self.metal:
            self._metal(frame, picture, skin)
        picture += self._noise(picture.shape, pixel_mm) * self._loudness(skin, base)
        return picture

    def _metal(self, frame: Frame, picture: np.ndarray, skin: np.ndarray) -> None:
        place = np.array(self.metal["place"])
        window = frame.window(((-110, 110), (-130, 130), (place[2] - 4, place[2] + 4)))
        if window is None:
            return
        x, y, z = frame.at(window)
        u, v = x - np.float32(place[0]), y - np.float32(place[1])
        near = np.hypot(u, v)
        rays = np.cos(np.arctan2(v, u) * 14 + 5) * np.cos(np.arctan2(v, u) * 9)
        flare = np.exp(-np.abs(z - place[2]) / 3) * np.exp(-near / 45)
        picture[window] += 120 * rays * flare * (skin[window] > 0)
        picture[window] += np.float32(self.metal["hu"]) * (near < 2.5) * (np.abs(z - place[2]) < 2.5)

    def _noise(self, shape: tuple[int, int, int], pixel_mm: float) -> np.ndarray:
        rng = np.random.default_rng(self._noise_seed)
        grain = rng.standard_normal(shape, dtype=np.float32)
        fine = self._smooth(grain, self.grain_mm / pixel_mm)
        if self.sharp:  # sharp kernels damp the low frequencies of the noise
            fine = fine - np.float32(self.sharp) * self._smooth(fine, 2.2 * self.grain_mm / pixel_mm)
        return fine / max(float(fine.std()), 1e-6)

    @staticmethod
    def _smooth(grain: np.ndarray, sigma: float) -> np.ndarray:
        once = ndimage.gaussian_filter1d(grain, sigma, axis=1, truncate=2.5)
        return ndimage.gaussian_filter1d(once, sigma, axis=2, truncate=2.5)

    def _loudness(self, skin: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Noise grows with the path through the head: loudest in its middle and at the skull base."""
        middle = np.float32(0.55) + np.clip(skin, -5, 60) * np.float32(0.45 / 45)
        return np.float32(self.noise_hu) * middle * (1 + 0.6 * base[:, None, None])

    def surroundings(self, z_mm: np.ndarray, y_mm: np.ndarray, x_mm: np.ndarray, picture: np.ndarray) -> None:
        """Add the headrest and cut the round field of view, in place, on the whole matrix (K, J, I)."""
        if self.headrest:
            drop, thick, value = self.rest
            radius = np.hypot(x_mm[None, :], y_mm[:, None] + 20)
            arc = np.clip(thick / 2 + 0.5 - np.abs(radius - 138 - drop), 0, 1) * (y_mm[:, None] > 25)
            arc = (arc * (np.abs(x_mm)[None, :] < 105)).astype(np.float32)
            outside = picture < -600
            picture += np.float32(value + 1000) * arc * outside
        if self.round_field:
            reach = min(np.abs(y_mm).max(), np.abs(x_mm).max())
            picture[:, np.hypot(x_mm[None, :], y_mm[:, None]) > reach] = AIR_HU
