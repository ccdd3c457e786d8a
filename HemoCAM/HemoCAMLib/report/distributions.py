"""Distributions of slice Dice, counted block by block: memory does not grow with the slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..benchmark.columns import numbers, texts
from ..benchmark.plan import CHOSEN
from ..progress import Progress, silent

BINS = 1000  # of 0..1: quantiles are right to half a thousandth
_BLOCK = 2**16  # rows in memory at a time
_COLUMNS = ["scale", "rule", "stage", "method", "truth_px", "dice"]


@dataclass(frozen=True, eq=False)
class Distribution:
    """Values in 0..1 as counts: ``counts[k]`` of them round to ``k / BINS``, int64, (BINS + 1,)."""

    counts: np.ndarray

    @property
    def cases(self) -> int:
        """How many values."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The smallest value that at least ``share`` (0..1) of the values do not exceed; NaN of none.

        Right to half a thousandth.
        """
        if not self.cases:
            return float("nan")
        wanted = max(1, int(np.ceil(share * self.cases - 1e-9)))
        return int(np.searchsorted(self.counts.cumsum(), wanted)) / BINS

    def density(self, width: float = 0.03) -> np.ndarray:
        """Density at each ``k / BINS``, smoothed by a Gaussian of ``width``, mirrored at 0 and 1; (BINS + 1,)."""
        from scipy.ndimage import gaussian_filter1d

        whole = self.counts / max(self.cases, 1) * BINS
        return gaussian_filter1d(whole, width * BINS, mode="reflect")


def slice_dice(
    path: Path, scale: str, stage: int, methods: tuple[str, ...], progress: Progress = silent
) -> dict[str, Distribution]:
    """Distribution of the Dice of positive slices, by method.

    Parameters
    ----------
    path:
        ``slices.parquet`` of a benchmark.
    scale, stage:
        Which rows; those of masks at the chosen threshold.
    methods:
        In the order wanted.
    progress:
        Called a block of rows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    counts = {method: np.zeros(BINS + 1, np.int64) for method in methods}
    chosen = (pc.field("scale") == scale) & (pc.field("rule") == CHOSEN) & (pc.field("stage") == stage)
    chosen &= pc.field("truth_px") > 0
    with pq.ParquetFile(path) as rows:
        total, done = rows.metadata.num_rows, 0
        for batch in rows.iter_batches(_BLOCK, columns=_COLUMNS, use_threads=False):
            progress("Counting slices", done, total)
            done += batch.num_rows
            table = pa.Table.from_batches([batch]).filter(chosen)
            names, values = texts(table, "method"), numbers(table, "dice")
            for method in methods:
                own = values[(names == method) & ~np.isnan(values)]
                counts[method] += np.bincount(np.round(own * BINS).astype(np.int64), minlength=BINS + 1)
    return {method: Distribution(own) for method, own in counts.items()}
