"""The mask against a reference segment, as a table of the scene: by SlicerRT where it is there, else by our own code.

SlicerRT's Segment Comparison runs Plastimatch. It gets both masks on the CT's grid, because it counts voxels of
the reference's own labelmap only, which Slicer crops to the segment. It is not asked what it gives no sound answer
to: where a mask is empty (Plastimatch ends with an error, or with the largest number there is) and where the grid
is sheared by a gantry tilt (it measures distances as if it were not).
"""

from __future__ import annotations

import logging
from dataclasses import replace

import slicer

from ..comparison.surface import is_orthogonal
from ..comparison.table import Comparison
from ..comparison.table import compare as compare_masks
from ..errors import InputError
from ..progress import Progress, silent
from ..volumes.volume import Volume
from . import record as records
from .changes import all_or_nothing, remove_node
from .hierarchy import put_in_folder
from .nodes import add_node, node_to_volume
from .record import SceneNodes
from .references import segment_on_grid
from .segmentations import binary_labelmap_name, to_labelmap
from .tables import (
    COMPARED_BY,
    COMPARED_WITH,
    OUTDATED,
    Rows,
    comparison_table,
    put_table,
    rows_of_comparison,
)

# The table's memory of which segment of the reference it compares.
COMPARED_SEGMENT = "HemoCAM.comparedSegment"
# What its reader should know: resampled, outside the CT, empty; and why SlicerRT failed where it did.
FINDINGS, TROUBLE = "HemoCAM.findings", "HemoCAM.slicerRTError"
_INPUT_ROWS = 4


class SlicerRTError(Exception):
    """SlicerRT's Segment Comparison gave an error, or a table that is not its own."""


def compare(
    scene: slicer.vtkMRMLScene,
    nodes: SceneNodes,
    reference: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    progress: Progress = silent,
) -> slicer.vtkMRMLTableNode:
    """Compare the mask, as it is in the scene now, with a segment of a reference segmentation.

    Parameters
    ----------
    scene:
        The scene of the nodes.
    nodes:
        The results of a CT.
    reference:
        Any segmentation, on any grid, under any linear transform; it is not changed.
    segment_id:
        Which of its segments.
    progress:
        Told between the parts of our own comparison; raises to stop, and the scene is as it was.

    Returns
    -------
    The table of the comparison, the same node each time. Its rows have the same names whoever computed them: those
    of SlicerRT's two tables, by SlicerRT or by us as the attribute ``HemoCAM.compared_by`` says ("SlicerRT" or
    "HemoCAM"), then our own, with "HemoCAM:" in front, always by us.

    Raises
    ------
    InputError
        If the CT or the mask is gone, if the reference lacks the segment or lies elsewhere, or is the mask itself.
    """
    if nodes.ct is None or nodes.ct.GetScene() is None:
        raise InputError("The CT of these results was removed from the scene; load it and run HemoCAM again.")
    if nodes.mask is None or nodes.mask.GetScene() is None:
        raise InputError("The mask was deleted from the scene; run HemoCAM again.")
    if reference is None or reference.GetScene() is None:
        raise InputError("The reference segmentation was removed from the scene; choose another one.")
    if reference is nodes.mask and segment_id == nodes.mask_segment:
        raise InputError("The reference is HemoCAM's own mask; choose the segmentation to compare it with.")
    ct = node_to_volume(nodes.ct)
    wanted = segment_on_grid(reference, segment_id, ct)
    test = segment_on_grid(nodes.mask, nodes.mask_segment, ct)
    found = compare_masks(wanted, test, wanted.name, test.name, progress)
    found = replace(found, reference_volume=reference.GetName(), test_volume=nodes.mask.GetName())
    with all_or_nothing(scene) as changes:
        rows, by, trouble = found.rows(), "HemoCAM", None
        if _suits_slicer_rt(scene, found, ct):
            try:
                rows, by = _by_slicer_rt(scene, found, wanted, test), "SlicerRT"
            except SlicerRTError as error:  # ours are as good, and the user sees whose they are
                trouble = str(error)
                logging.warning("SlicerRT's Segment Comparison failed: %s", trouble)
        record = records.find_record(scene, nodes.ct)
        known = nodes if record is None else records.nodes_of(record)
        name = f"{nodes.ct.GetName()} comparison"
        table = put_table(changes, scene, known.comparison_table, comparison_table(rows), name)
        changes.attribute(table, OUTDATED, None)
        changes.attribute(table, COMPARED_BY, by)
        changes.attribute(table, TROUBLE, trouble)
        changes.attribute(table, FINDINGS, " ".join(found.findings) or None)
        changes.attribute(table, COMPARED_SEGMENT, segment_id)
        changes.reference(table, COMPARED_WITH, reference)
        for key in ("HemoCAM.target", "HemoCAM.threshold", "HemoCAM.mask", "HemoCAM.method", "HemoCAM.stage"):
            changes.attribute(table, key, nodes.mask.GetAttribute(key))
        if record is not None:
            changes.reference(record, records.ROLES["comparison_table"], table)
        if table is not known.comparison_table:
            put_in_folder(changes, scene, nodes.ct, known.own, [table])
    return table


def slicer_rt_logic() -> object | None:
    """Return the logic of SlicerRT's Segment Comparison, or None where it is not installed."""
    module = getattr(getattr(slicer, "modules", None), "segmentcomparison", None)
    return None if module is None else module.logic()


def _suits_slicer_rt(scene: slicer.vtkMRMLScene, found: Comparison, ct: Volume) -> bool:
    logic = slicer_rt_logic()
    if logic is None or logic.GetMRMLScene() is not scene:
        return False
    return bool(found.counts.reference and found.counts.test and is_orthogonal(ct.ijk_to_ras[:3, :3]))


def _by_slicer_rt(scene: slicer.vtkMRMLScene, found: Comparison, reference: Volume, test: Volume) -> Rows:
    """Return the rows with SlicerRT's values in place of ours; what it needs in the scene is removed again."""
    logic, made = slicer_rt_logic(), []
    try:
        node = scene.AddNode(slicer.vtkMRMLSegmentComparisonNode())
        made.append(node)
        for mask, segmentation_setter, segment_setter in (
            (reference, node.SetAndObserveReferenceSegmentationNode, node.SetReferenceSegmentID),
            (test, node.SetAndObserveCompareSegmentationNode, node.SetCompareSegmentID),
        ):
            segmentation = _whole_grid(scene, mask)
            made.append(segmentation)
            segmentation_setter(segmentation)
            segment_setter(segmentation.GetSegmentation().GetNthSegmentID(0))
        tables = []
        for setter in (node.SetAndObserveDiceTableNode, node.SetAndObserveHausdorffTableNode):
            tables.append(add_node(scene, "vtkMRMLTableNode", "HemoCAM comparison", hidden=True))
            setter(tables[-1])  # without a table it computes and tells nobody
        made += tables
        for compute in (logic.ComputeDiceStatistics, logic.ComputeHausdorffDistances):
            error = compute(node)
            if error:
                raise SlicerRTError(" ".join(str(error).split()))
        # Its first rows name what it was given here, which is not what the user chose.
        values = [row for table in tables for row in rows_of_comparison(table)[_INPUT_ROWS:]]
    finally:
        for node in made:
            remove_node(scene, node)
    expected = [name for name, _ in (*found.dice_rows(), *found.hausdorff_rows())]
    if [name for name, _ in values] != expected:
        raise SlicerRTError("its tables have other rows than expected")
    return [*found.input_rows(), *values, *found.further_rows()]


def _whole_grid(scene: slicer.vtkMRMLScene, mask: Volume) -> slicer.vtkMRMLSegmentationNode:
    """Add a hidden segmentation that holds a mask on its whole grid."""
    node = add_node(scene, "vtkMRMLSegmentationNode", f"HemoCAM {mask.name}", hidden=True)
    segment = slicer.vtkSegment()
    segment.SetName(mask.name)
    segment.AddRepresentation(binary_labelmap_name(), to_labelmap(mask.array, mask.ijk_to_ras))
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName(binary_labelmap_name())
    segmentation.SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
        slicer.vtkSegmentationConverter.SerializeImageGeometry(
            segment.GetRepresentation(binary_labelmap_name())
        ),
    )
    segmentation.AddSegment(segment, "mask")
    return node
