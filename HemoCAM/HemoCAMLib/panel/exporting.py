"""Results into a folder: the files of ``hemocam run``, from the numbers where they are known, else from the nodes."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..comparison.grid import on_grid_of
from ..comparison.table import compare, write_csv
from ..doors.tables import summary, write_json, write_slices
from ..errors import OutputError
from ..models.bundle import Bundle
from ..pipeline import Analysis
from ..progress import Progress, silent
from ..scene import (
    SceneNodes,
    add_results,
    content_of,
    new_scene,
    node_to_volume,
    save_scene,
    segmentation_to_volume,
    write_segmentation,
)
from ..scene.live import slice_rows
from ..volumes.files import write_image
from ..volumes.volume import Volume

ONLY_NUMBERS = ("summary.json", "review.png", "scene.mrb")


def export(
    nodes: SceneNodes,
    folder: Path,
    known: tuple[Analysis, Bundle] | None = None,
    reference: slicer.vtkMRMLSegmentationNode | None = None,
    segment: str = "",
    progress: Progress = silent,
) -> tuple[list[str], list[str]]:
    """Write the results of one CT into a folder that exists; a failure leaves none of the files there.

    Parameters
    ----------
    nodes:
        The results in the scene; the mask is written as it is there, with whatever was changed by hand.
    folder:
        Where the files go; files of the same names are replaced.
    known:
        The analysis and its model, if they are in memory. Without them (a loaded scene) there is no
        ``summary.json``, ``review.png`` and ``scene.mrb``.
    reference, segment:
        Segmentation to compare with, or None, and the ID of its segment.
    progress:
        Called before each file.

    Returns
    -------
    Names of the files written, and of those that could not be: for each a sentence why.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    folder = Path(folder)
    notes: list[str] = []
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".hemocam-") as part:
            work = Path(part)
            _from_nodes(nodes, work, progress)
            labels = None
            ct = node_to_volume(nodes.ct)
            if reference is not None:
                labels = on_grid_of(segmentation_to_volume(reference, segment or None), ct)
            _from_numbers(nodes, known, ct, labels, work, notes, progress)
            written = sorted(path.name for path in work.iterdir())
            for name in written:
                (work / name).replace(folder / name)
    except OSError as error:
        raise OutputError(
            _("The results cannot be written to '{folder}' ({reason}); choose another folder.").format(
                folder=folder, reason=error.strerror or error
            )
        ) from error
    return written, notes


def _from_nodes(nodes: SceneNodes, folder: Path, progress: Progress) -> None:
    if nodes.heatmap is not None:
        progress("Writing heatmap.nrrd", 0, 6)
        write_image(node_to_volume(nodes.heatmap), folder / "heatmap.nrrd")
    if nodes.raw_map is not None:
        progress("Writing heatmap_raw.nrrd", 1, 6)
        write_image(node_to_volume(nodes.raw_map), folder / "heatmap_raw.nrrd")
    if nodes.mask is not None:
        progress("Writing segmentation.seg.nrrd", 2, 6)
        write_segmentation(nodes.mask, folder / "segmentation.seg.nrrd")
    if nodes.slice_table is not None:
        progress("Writing slices.csv", 3, 6)
        write_slices(sorted(slice_rows(nodes), key=lambda row: row.position_mm), folder / "slices.csv")


def _from_numbers(
    nodes: SceneNodes,
    known: tuple[Analysis, Bundle] | None,
    ct: Volume,
    labels: Volume | None,
    folder: Path,
    notes: list[str],
    progress: Progress,
) -> None:
    progress("Writing comparison.csv", 4, 6)
    compared = None
    if labels is not None and nodes.mask is not None:
        mask = on_grid_of(segmentation_to_volume(nodes.mask), ct)
        compared = compare(labels, mask)
        write_csv(compared, folder / "comparison.csv")
    elif nodes.comparison_table is not None:
        _write_table(nodes.comparison_table, folder / "comparison.csv")
    if known is None:
        names = ", ".join(ONLY_NUMBERS)
        notes.append(
            _("Without {names}: the analysis is no longer in memory; press Apply to have them.").format(
                names=names
            )
        )
        return
    analysis, bundle = known
    progress("Writing summary.json and review.png", 5, 6)
    write_json(summary(analysis, bundle, labels, compared, analysis.timings), folder / "summary.json")
    try:
        from ..doors.review import draw_review

        draw_review(analysis, folder / "review.png", labels)
    except ImportError:
        notes.append(_("Without review.png: the package matplotlib is not installed."))
    scene = new_scene()
    add_results(scene, content_of(analysis, bundle, labels, compared))
    save_scene(scene, folder / "scene.mrb", progress)


def _write_table(node: slicer.vtkMRMLTableNode, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        columns = range(node.GetNumberOfColumns())
        writer.writerow([node.GetColumnName(column) for column in columns])
        for row in range(node.GetNumberOfRows()):
            writer.writerow([node.GetCellText(row, column) for column in columns])
