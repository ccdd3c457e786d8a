"""The figures of a report, each drawn once, as PDF and PNG, with its caption."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..benchmark.plan import CHOSEN, PERCENTILE
from ..progress import Progress, silent
from .blocks import Picture, Pictures
from .distributions import slice_dice
from .heatmap import draw_heatmap
from .rank_picture import draw_ranks
from .source import Benchmarked
from .threshold_curves import draw_curves
from .violins import draw_violins
from .words import label


@dataclass
class Figures:
    """Draws into one folder and keeps the PNG of each figure by name.

    Parameters
    ----------
    found:
        The benchmark.
    folder:
        Exists; takes ``<name>.pdf`` and ``<name>.png``.
    progress:
        Called before each figure.
    drawn:
        PNG by name; a figure without anything to show is not there.
    """

    found: Benchmarked
    folder: Path
    progress: Progress = silent
    drawn: dict[str, bytes] = field(default_factory=dict)

    def heatmaps(self) -> Pictures:
        """Dice by method and stage, a figure a scale."""
        pictures = []
        for scale in self.found.scales:
            name = f"dice-{scale}"
            self.keep(name, draw_heatmap(self.found, scale, self._folder(), name))
            words = f"Mean Dice of positive slices by method and stage, {scale} scaling; the best is framed."
            pictures.append(Picture(name, words, 0.5))
        return Pictures(pictures)

    def distributions(self, scale: str) -> Pictures:
        """Dice of single slices at the best stage of a scale."""
        best = self.found.best("pixels", "dice", scale)
        if not best:
            return Pictures([])
        stage, name = best[0][1], f"slices-{scale}"
        path, methods = self.found.folder / "slices.parquet", self.found.plan.methods
        shapes = slice_dice(path, scale, stage, methods, self.progress)
        self.keep(name, draw_violins(self.found, scale, stage, shapes, self._folder(), name))
        words = (
            f"Dice of the positive slices of the test split at stage {stage}, the best one, {scale} "
            "scaling: density, middle half (gray bar), median (line), mean (diamond)."
        )
        return Pictures([Picture(name, words, 0.8)])

    def ranks(self) -> Pictures:
        """Mean ranks of the methods at the best stage of each scale."""
        pictures = []
        for scale in self.found.scales:
            best = self.found.best("pixels", "dice", scale)
            if best:
                name, stage = f"ranks-{scale}", best[0][1]
                self.keep(name, draw_ranks(self.found, scale, stage, self._folder(), name))
                words = (
                    f"Mean ranks of the methods at stage {stage}, {scale} scaling, the best on the left; "
                    "bars join those that are not told apart."
                )
                pictures.append(Picture(name, words, 0.7))
        return Pictures(pictures)

    def curves(self, rule: str = CHOSEN) -> Pictures:
        """Curves over the thresholds, or percentiles, that were tried, a figure a scale."""
        what = "percentile" if rule == PERCENTILE else "threshold"
        pictures = []
        for scale in self.found.scales:
            name = f"{what}s-{scale}"
            self.keep(name, draw_curves(self.found, scale, rule, self._folder(), name))
            words = f"{label(self.found.plan.metric)} against the {what}, {scale} scaling; dots: the {what}s chosen."
            pictures.append(Picture(name, words, 0.85))
        return Pictures(pictures)

    def keep(self, name: str, png: bytes | None) -> None:
        """Take a figure; None is no figure."""
        if png is not None:
            self.drawn[name] = png

    def _folder(self) -> Path:
        kinds = 4 + (PERCENTILE in self.found.plan.rules)
        self.progress(
            "Drawing figures", len(self.drawn), max(kinds * len(self.found.scales), len(self.drawn))
        )
        return self.folder
