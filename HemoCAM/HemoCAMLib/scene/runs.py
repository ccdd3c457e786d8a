"""Results of a CT into the scene: the first time, and again in place of those of an earlier run."""

from __future__ import annotations

from dataclasses import replace

import slicer

from ..errors import InputError
from ..volumes.axial import AxialOrder
from . import record as records
from .changes import Changes, all_or_nothing, remove_node
from .content import SceneContent
from .hierarchy import put_in_folder, remove_folder
from .maps import put_heatmap, put_raw_map
from .masks import EDITED, VOXELS, mask_is_edited, put_mask, put_reference
from .nodes import node_to_volume, set_attributes
from .plots import gate_of, put_chart, put_curve, put_gate_line, put_gate_table
from .record import SceneNodes, results_of
from .tables import (
    COMPARED_BY,
    COMPARED_WITH,
    OUTDATED,
    comparison_table,
    mark_outdated,
    put_table,
    slice_table,
)

__all__ = ["follow_ct", "mask_is_edited", "put_results", "remove_results", "results_of", "update_results"]

_OWN_ATTRIBUTES = (OUTDATED, EDITED, VOXELS, COMPARED_BY)


def put_results(
    scene: slicer.vtkMRMLScene, content: SceneContent, ct_node: slicer.vtkMRMLScalarVolumeNode
) -> SceneNodes:
    """Put the results of a CT into its scene, in place of those of an earlier run on the same CT.

    Nodes of the earlier run stay and get new voxels, rows and attributes: names, colours, windows, opacities,
    folders and views that a user chose stay, too. What a user deleted is added again. A mask that was changed by
    hand is left as it is and becomes the user's, and so are copies of results; segments that a user added to
    the mask's segmentation stay in it. The comparison of an earlier mask stays and says that it is outdated,
    until ``content.comparison`` or :func:`~.comparing.compare` replaces it. No view is touched.

    Parameters
    ----------
    scene:
        The scene, Slicer's or another.
    content:
        What to show.
    ct_node:
        The CT in that scene. The results lie under its parent transform, so that they move with it, and their
        folder beside it in the subject hierarchy.

    Raises
    ------
    InputError
        If the CT is not in the scene, does not lie where ``content.ct`` lies, or lies under a non-linear
        transform. The scene is as it was then, and after any other failure.
    """
    _check(scene, content, ct_node)
    with all_or_nothing(scene) as changes:
        record = records.find_record(scene, ct_node)
        if record is None:
            record = records.add_record(scene, ct_node)
        nodes = _write(changes, content, ct_node, records.nodes_of(record), create=True)
        _forget_orphans(scene)
    return nodes


def update_results(nodes: SceneNodes, content: SceneContent) -> SceneNodes:
    """Put other maps of the same CT into the nodes that are there (another gate, say); add none.

    Raises
    ------
    InputError
        As :func:`put_results`, or if the CT was removed from the scene.
    """
    if nodes.ct is None or nodes.ct.GetScene() is None:
        raise InputError("The CT of these results was removed from the scene; load it and run HemoCAM again.")
    scene = nodes.ct.GetScene()
    _check(scene, content, nodes.ct)
    record = records.find_record(scene, nodes.ct)
    if record is None:
        raise InputError(f"'{nodes.ct.GetName()}' has no results any more; run HemoCAM again.")
    with all_or_nothing(scene) as changes:
        return _write(changes, content, nodes.ct, records.nodes_of(record), create=False)


def remove_results(scene: slicer.vtkMRMLScene, nodes: SceneNodes) -> None:
    """Remove all that HemoCAM computed of a CT; the CT, references and nodes of the user's own stay."""
    scene.SaveStateForUndo()
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        for node in nodes.own:
            if node.GetScene() is scene:
                remove_node(scene, node)
        remove_folder(scene, nodes.folder)
        record = nodes.record
        if record is not None and record.GetScene() is scene:
            remove_node(scene, record)
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)


def follow_ct(nodes: SceneNodes) -> bool:
    """Put the results under the parent transform that the CT has now; tell whether they lie on it.

    They do not where the CT's voxels or matrix were changed (a hardened transform, say): then HemoCAM is to be
    run again.
    """
    if nodes.ct is None:
        return False
    for node in (nodes.heatmap, nodes.mask, nodes.raw_map):
        if node is not None and node.GetTransformNodeID() != nodes.ct.GetTransformNodeID():
            node.SetAndObserveTransformNodeID(nodes.ct.GetTransformNodeID())
    try:
        ct = node_to_volume(nodes.ct)
        return nodes.heatmap is None or node_to_volume(nodes.heatmap).same_grid(ct)
    except InputError:
        return False


def _check(
    scene: slicer.vtkMRMLScene, content: SceneContent, ct_node: slicer.vtkMRMLScalarVolumeNode
) -> None:
    if ct_node is None or ct_node.GetScene() is not scene:
        raise InputError("The CT is not in the scene any more; load it and run HemoCAM again.")
    if not node_to_volume(ct_node).same_grid(content.ct):
        raise InputError(
            f"'{ct_node.GetName()}' has been moved or changed since the maps were made; run HemoCAM again."
        )


def _write(
    changes: Changes,
    content: SceneContent,
    ct_node: slicer.vtkMRMLScalarVolumeNode,
    old: SceneNodes,
    create: bool,
) -> SceneNodes:
    """Fill the nodes of ``old``; with ``create``, add those that are missing, too."""
    scene, name = ct_node.GetScene(), ct_node.GetName()
    found: dict[str, object] = {}
    if create or old.heatmap is not None:
        found["heatmap"] = put_heatmap(changes, old.heatmap, content.heatmap, f"{name} heat map", ct_node)
    if create or old.mask is not None:
        found["mask"], found["mask_segment"] = put_mask(changes, old, content.mask, ct_node, create)
    table = old.slice_table
    if create or table is not None:
        table = put_table(changes, scene, table, slice_table(content), f"{name} slices")
        found["slice_table"] = table
    found |= _put_plot(changes, content, ct_node, old, table, create)
    if create and content.reference is not None:
        found["reference"] = put_reference(changes, old.reference, content.reference, ct_node)
    comparison = old.comparison_table
    if content.comparison is not None and (create or comparison is not None):
        rows = comparison_table(content.comparison)
        comparison = put_table(changes, scene, comparison, rows, f"{name} comparison")
        changes.attribute(comparison, OUTDATED, None)
        changes.attribute(comparison, COMPARED_BY, "HemoCAM")
        changes.reference(comparison, COMPARED_WITH, None)
        found["comparison_table"] = comparison
    elif comparison is not None:
        mark_outdated(changes, comparison)
    if content.raw_map is None:
        found["raw_map"] = None
    elif create or old.raw_map is not None:
        found["raw_map"] = put_raw_map(changes, old.raw_map, content.raw_map, f"{name} raw map", ct_node)

    nodes = replace(old, ct=ct_node, **found)
    for node in (nodes.heatmap, nodes.mask, nodes.chart, nodes.curve, nodes.slice_table, nodes.raw_map):
        if node is not None:
            _describe(changes, node, content)
    if nodes.comparison_table is not None and content.comparison is not None:
        _describe(changes, nodes.comparison_table, content)
    axis = AxialOrder.of(content.ct.ijk_to_ras).axes[0]
    changes.attribute(nodes.record, records.SLICE_AXIS, str(axis))
    records.note(changes, nodes.record, nodes)
    nodes = _into_folder(changes, nodes, old)
    for node in (old.raw_map, old.gate_line, old.gate_table):
        if node is not None and node not in nodes.own:
            remove_node(scene, node)
    return nodes


def _put_plot(
    changes: Changes,
    content: SceneContent,
    ct_node: slicer.vtkMRMLScalarVolumeNode,
    old: SceneNodes,
    table: slicer.vtkMRMLTableNode | None,
    create: bool,
) -> dict[str, object]:
    """Put the curve of probabilities and the gate's line into the chart."""
    scene, name = ct_node.GetScene(), f"{ct_node.GetName()} probability"
    gate, target = gate_of(content), content.target
    curve, line, ends, chart = old.curve, old.gate_line, old.gate_table, old.chart
    if create or curve is not None:
        curve = put_curve(changes, scene, curve, table, target)
    if gate is None:
        line = ends = None
    elif create or line is not None:
        ends = put_gate_table(changes, scene, ends, content, f"{name} gate")
        line = put_gate_line(changes, scene, line, ends, gate)
    if create or chart is not None:
        series = [node for node in (curve, line) if node is not None]
        chart = put_chart(changes, scene, chart, series, target, name)
    return {"chart": chart, "curve": curve, "gate_line": line, "gate_table": ends}


def _into_folder(changes: Changes, nodes: SceneNodes, old: SceneNodes) -> SceneNodes:
    listed = (nodes.heatmap, nodes.mask, nodes.reference, nodes.chart, nodes.curve, nodes.slice_table)
    listed = [node for node in (*listed, nodes.comparison_table, nodes.raw_map) if node is not None]
    known = [*old.own, old.reference]
    new = [node for node in listed if node not in known]
    folder = put_in_folder(changes, nodes.ct.GetScene(), nodes.ct, listed, new)
    return replace(nodes, folder=folder)


def _describe(changes: Changes, node: slicer.vtkMRMLNode, content: SceneContent) -> None:
    """Write how the maps were made into a node's attributes, in place of how those before were made."""
    before = {key: node.GetAttribute(key) for key in node.GetAttributeNames()}
    for key in before:
        if key.startswith("HemoCAM.") and key not in _OWN_ATTRIBUTES:
            changes.attribute(node, key, None)
    new = {"target": content.target, **content.description}
    for key in new:
        changes.later(node.SetAttribute, f"HemoCAM.{key}", before.get(f"HemoCAM.{key}"))
    set_attributes(node, new)


def _forget_orphans(scene: slicer.vtkMRMLScene) -> None:
    """Remove the records of CTs that were deleted; what is left of their results is the user's."""
    for record in records.all_records(scene):
        if record.GetNodeReference(records.CT) is None:
            remove_node(scene, record)
