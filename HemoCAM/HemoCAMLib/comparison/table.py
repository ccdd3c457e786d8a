"""The comparison of two masks as one record, with the table of SlicerRT's Segment Comparison."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError
from ..progress import Progress, silent
from ..volumes.volume import Volume
from .grid import on_grid_of
from .masks import bounding_box, foreground, union_box
from .overlap import Counts, centre, count, dice, iou, percent, precision, sensitivity, specificity
from .surface import Hausdorff, hausdorff

Rows = list[tuple[str, str | float]]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Comparison:
    """All that was measured between a reference and a test mask.

    Parameters
    ----------
    reference_name, test_name:
        What the two masks are called.
    reference_volume, test_volume:
        Names of the volumes that they came from (SlicerRT: of the segmentations).
    counts:
        Voxels by agreement on the common grid.
    dice, iou, sensitivity, precision, specificity:
        Ratios 0 to 1, defined in :mod:`.overlap`, with their values on empty masks.
    reference_ml, test_ml:
        Volumes in ml (cc) on the common grid; 0 when empty.
    reference_centre, test_centre:
        Mean position of each mask in RAS, mm; NaN when empty.
    boundary:
        Hausdorff distances between the boundary voxels in mm, those of SlicerRT's table; NaN when a mask is
        empty. Defined in :mod:`.surface`.
    volume:
        Hausdorff distances between all voxels in mm; NaN when a mask is empty.
    findings:
        Sentences on what its reader should know (resampled, labels outside the CT, an empty mask).
    """

    reference_name: str
    test_name: str
    reference_volume: str
    test_volume: str
    counts: Counts
    dice: float
    iou: float
    sensitivity: float
    precision: float
    specificity: float
    reference_ml: float
    test_ml: float
    reference_centre: Point
    test_centre: Point
    boundary: Hausdorff
    volume: Hausdorff
    findings: tuple[str, ...] = ()

    def input_rows(self) -> Rows:
        """Return the four rows that head both tables of SlicerRT: what was compared."""
        return [
            ("Reference segmentation", self.reference_volume),
            ("Reference segment", self.reference_name),
            ("Compare segmentation", self.test_volume),
            ("Compare segment", self.test_name),
        ]

    def dice_rows(self) -> Rows:
        """Return the measures of SlicerRT's Dice table, in its order; percentages are of the whole grid."""
        return [
            ("Dice coefficient", self.dice),
            ("True positives (%)", percent(self.counts.true_positives, self.counts)),
            ("True negatives (%)", percent(self.counts.true_negatives, self.counts)),
            ("False positives (%)", percent(self.counts.false_positives, self.counts)),
            ("False negatives (%)", percent(self.counts.false_negatives, self.counts)),
            ("Reference center", _point(self.reference_centre)),
            ("Compare center", _point(self.test_centre)),
            ("Reference volume (cc)", self.reference_ml),
            ("Compare volume (cc)", self.test_ml),
        ]

    def hausdorff_rows(self) -> Rows:
        """Return the measures of SlicerRT's Hausdorff table, in its order: the boundary variant."""
        return [
            ("Maximum (mm)", self.boundary.maximum),
            ("Average (mm)", self.boundary.average),
            ("95% (mm)", self.boundary.percentile_95),
        ]

    def further_rows(self) -> Rows:
        """Return what SlicerRT's tables lack, each name with "HemoCAM:" in front."""
        return [
            ("HemoCAM: intersection over union", self.iou),
            ("HemoCAM: sensitivity", self.sensitivity),
            ("HemoCAM: precision", self.precision),
            ("HemoCAM: specificity", self.specificity),
            ("HemoCAM: Hausdorff maximum, all voxels (mm)", self.volume.maximum),
            ("HemoCAM: Hausdorff average, all voxels (mm)", self.volume.average),
            ("HemoCAM: Hausdorff 95%, all voxels (mm)", self.volume.percentile_95),
        ]

    def rows(self) -> Rows:
        """Return the whole table as (metric name, metric value): SlicerRT's two tables, then our own rows."""
        return self.input_rows() + self.dice_rows() + self.hausdorff_rows() + self.further_rows()


def compare(
    reference: Volume,
    test: Volume,
    reference_name: str = "Reference",
    test_name: str = "HemoCAM",
    progress: Progress = silent,
) -> Comparison:
    """Compare a test mask with a reference.

    Parameters
    ----------
    reference:
        Labels, shape (K, J, I): every value but 0 is foreground. Resampled to the grid of ``test`` (nearest
        neighbour) where theirs differ.
    test:
        The mask to judge, on the CT's grid. All voxels of this grid are the whole of the percentages.
    reference_name, test_name:
        How the table calls the two.

    Raises
    ------
    InputError
        If the two do not overlap in space, or one of them holds no labels but an image.
    """
    progress("Comparing", 0, 4)
    common = on_grid_of(reference, test)
    masks = [foreground(common), foreground(test)]
    progress("Comparing", 1, 4)
    boxes = [bounding_box(mask) for mask in masks]
    box = union_box(*boxes)
    counts = count(*masks, box)
    progress("Comparing", 2, 4)
    centres = [
        tuple(centre(mask, test.ijk_to_ras, one).tolist()) for mask, one in zip(masks, boxes, strict=True)
    ]
    progress("Comparing", 3, 4)
    volume, boundary = hausdorff(*masks, test.ijk_to_ras, box, progress)
    progress("Comparing", 4, 4)
    findings = list(common.findings)
    for name, voxels in ((reference_name, counts.reference), (test_name, counts.test)):
        if not voxels:
            findings.append(f"{name} is empty on the CT's grid: distances and its centre are undefined.")
    return Comparison(
        reference_name=reference_name,
        test_name=test_name,
        reference_volume=reference.name,
        test_volume=test.name,
        counts=counts,
        dice=dice(counts),
        iou=iou(counts),
        sensitivity=sensitivity(counts),
        precision=precision(counts),
        specificity=specificity(counts),
        reference_ml=counts.reference * test.voxel_ml,
        test_ml=counts.test * test.voxel_ml,
        reference_centre=centres[0],
        test_centre=centres[1],
        boundary=boundary,
        volume=volume,
        findings=tuple(findings),
    )


def write_csv(comparison: Comparison, path: str | Path) -> None:
    """Write the table as CSV (UTF-8): the header of SlicerRT's tables, then one row a measure.

    Undefined values are written as ``nan``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("Metric name", "Metric value"))
            for name, value in comparison.rows():
                writer.writerow((name, value if isinstance(value, str) else f"{value:.9g}"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"The comparison table cannot be written to {Path(path).name} ({reason}): choose another folder."
        ) from error


def _point(point: Point) -> str:
    """Write a position as SlicerRT does, "(R, A, S)" in mm with six digits."""
    return "({:g}, {:g}, {:g})".format(*point)
