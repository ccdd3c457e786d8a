"""Which nodes of a scene are the results of which CT.

A hidden node, the record, refers to the CT and to each of its results. References survive saving, loading under
other node IDs, renaming, and the removal of nodes; and nobody copies a hidden node by hand, so that a copy that
a user made of a CT or a result is never taken for the original.
"""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from .changes import Changes, all_nodes
from .hierarchy import folder_of
from .nodes import add_node

RESULTS = "HemoCAM.results"
CT = "HemoCAM.ct"
# What the record refers to, by the names of the fields of SceneNodes.
ROLES = {
    "heatmap": "HemoCAM.heatmap",
    "mask": "HemoCAM.mask",
    "slice_table": "HemoCAM.sliceTable",
    "chart": "HemoCAM.chart",
    "curve": "HemoCAM.curve",
    "gate_line": "HemoCAM.gateLine",
    "gate_table": "HemoCAM.gateTable",
    "reference": "HemoCAM.reference",
    "comparison_table": "HemoCAM.comparison",
    "raw_map": "HemoCAM.rawMap",
}
MASK_SEGMENT = "HemoCAM.maskSegment"
SLICE_AXIS = "HemoCAM.sliceAxis"


@dataclass(frozen=True)
class SceneNodes:
    """The nodes of one result; None is what is not there, or was deleted since.

    ``curve`` is the chart's series of probabilities and ``gate_line`` that of the gate, where the gate is known,
    with its ``gate_table``; ``folder`` is the item of the subject
    hierarchy, 0 if there is none; ``mask_segment`` is the ID of the segment of ``mask`` that is HemoCAM's;
    ``record`` is the hidden node that knows them all.
    """

    ct: slicer.vtkMRMLScalarVolumeNode | None
    heatmap: slicer.vtkMRMLScalarVolumeNode | None
    mask: slicer.vtkMRMLSegmentationNode | None
    slice_table: slicer.vtkMRMLTableNode | None
    chart: slicer.vtkMRMLPlotChartNode | None
    curve: slicer.vtkMRMLPlotSeriesNode | None
    folder: int
    gate_line: slicer.vtkMRMLPlotSeriesNode | None = None
    gate_table: slicer.vtkMRMLTableNode | None = None
    reference: slicer.vtkMRMLSegmentationNode | None = None
    comparison_table: slicer.vtkMRMLTableNode | None = None
    raw_map: slicer.vtkMRMLScalarVolumeNode | None = None
    mask_segment: str = ""
    record: slicer.vtkMRMLScriptedModuleNode | None = None

    @property
    def colors(self) -> slicer.vtkMRMLColorNode | None:
        """The heat map's colours; None without a heat map."""
        display = None if self.heatmap is None else self.heatmap.GetDisplayNode()
        return None if display is None else display.GetColorNode()

    @property
    def series(self) -> list[slicer.vtkMRMLPlotSeriesNode]:
        """The chart's series of HemoCAM's, the probability first."""
        return [node for node in (self.curve, self.gate_line) if node is not None]

    @property
    def own(self) -> list[slicer.vtkMRMLNode]:
        """All living nodes that HemoCAM computed: neither the CT, nor the reference, nor the record."""
        found = [self.heatmap, self.mask, self.chart, *self.series, self.slice_table, self.gate_table]
        return [node for node in (*found, self.comparison_table, self.raw_map) if node is not None]


def results_of(
    scene: slicer.vtkMRMLScene, ct_node: slicer.vtkMRMLScalarVolumeNode | None
) -> SceneNodes | None:
    """Return the results of a CT that are in the scene; None if there are none, or all were deleted."""
    record = find_record(scene, ct_node)
    nodes = None if record is None else nodes_of(record)
    return nodes if nodes is not None and nodes.own else None


def find_record(
    scene: slicer.vtkMRMLScene, ct_node: slicer.vtkMRMLScalarVolumeNode | None
) -> slicer.vtkMRMLScriptedModuleNode | None:
    """Return the record of a CT, or None."""
    if ct_node is None or ct_node.GetScene() is not scene:
        return None
    for node in all_records(scene):
        if node.GetNodeReference(CT) is ct_node:
            return node
    return None


def all_records(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScriptedModuleNode]:
    """Return the records of all CTs, those that were deleted included."""
    return [node for node in all_nodes(scene, "vtkMRMLScriptedModuleNode") if node.GetAttribute(RESULTS)]


def add_record(
    scene: slicer.vtkMRMLScene, ct_node: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLScriptedModuleNode:
    """Add the record of a CT that has none. It bears no module's name: it is not the panel's parameter node."""
    name = f"HemoCAM results of {ct_node.GetName()}"
    record = add_node(scene, "vtkMRMLScriptedModuleNode", name, hidden=True)
    record.SetAttribute(RESULTS, "1")
    record.SetNodeReferenceID(CT, ct_node.GetID())
    record.SetUndoEnabled(ct_node.GetUndoEnabled())  # it is to come and go with what it refers to
    return record


def nodes_of(record: slicer.vtkMRMLScriptedModuleNode) -> SceneNodes:
    """Return what a record refers to."""
    found = {name: record.GetNodeReference(role) for name, role in ROLES.items()}
    living = [node for node in found.values() if node is not None]
    return SceneNodes(
        ct=record.GetNodeReference(CT),
        folder=folder_of(record.GetScene(), living),
        mask_segment=record.GetAttribute(MASK_SEGMENT) or "",
        record=record,
        **found,
    )


def note(changes: Changes, record: slicer.vtkMRMLScriptedModuleNode, nodes: SceneNodes) -> None:
    """Let a record refer to these nodes."""
    for name, role in ROLES.items():
        changes.reference(record, role, getattr(nodes, name))
    changes.attribute(record, MASK_SEGMENT, nodes.mask_segment)
