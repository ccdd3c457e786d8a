"""The curve of the target's probability along the head, as a chart of Slicer's plot views."""

from __future__ import annotations

import slicer
from vtkmodules.vtkCommonCore import vtkDoubleArray

from .changes import Changes
from .content import SceneContent
from .nodes import add_node
from .tables import POSITION, column, put_table, table_of

_GATE_POSITION, _GATE = "position_mm", "gate"
_CURVE_COLOR, _GATE_COLOR = (0.85, 0.3, 0.1), (0.45, 0.45, 0.45)


def put_curve(
    changes: Changes,
    scene: slicer.vtkMRMLScene,
    node: slicer.vtkMRMLPlotSeriesNode | None,
    table: slicer.vtkMRMLTableNode | None,
    target: str,
) -> slicer.vtkMRMLPlotSeriesNode:
    """Let a plot series show the target's probability over the position; add one where there is none."""
    if node is None:
        node = _add_series(scene, f"{target} probability", _CURVE_COLOR)
    elif node.GetYColumnName() != target:
        changes.do(node.SetName, f"{target} probability", node.GetName())
    _aim(changes, node, table, POSITION, target)
    return node


def gate_of(content: SceneContent) -> float | None:
    """Return the slice probability from which maps are shown, if it is known and there are slices."""
    gate = content.description.get("gate")
    return float(gate) if isinstance(gate, int | float) and content.slices else None


def put_gate_table(
    changes: Changes,
    scene: slicer.vtkMRMLScene,
    node: slicer.vtkMRMLTableNode | None,
    content: SceneContent,
    name: str,
) -> slicer.vtkMRMLTableNode:
    """Let a hidden table hold the two ends of the gate's line; add one where there is none."""
    positions = [row.position_mm for row in content.slices]
    ends = [float(min(positions)), float(max(positions))]
    columns = [
        column(vtkDoubleArray, _GATE_POSITION, ends),
        column(vtkDoubleArray, _GATE, [gate_of(content)] * 2),
    ]
    return put_table(changes, scene, node, table_of(columns), name, hidden=True)


def put_gate_line(
    changes: Changes,
    scene: slicer.vtkMRMLScene,
    node: slicer.vtkMRMLPlotSeriesNode | None,
    table: slicer.vtkMRMLTableNode,
    gate: float,
) -> slicer.vtkMRMLPlotSeriesNode:
    """Let a plot series show the gate as a dashed line; add one where there is none."""
    if node is None:
        node = _add_series(scene, f"gate {gate:g}", _GATE_COLOR)
        node.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleDash)
        node.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
    else:
        changes.do(node.SetName, f"gate {gate:g}", node.GetName())
    _aim(changes, node, table, _GATE_POSITION, _GATE)
    return node


def put_chart(
    changes: Changes,
    scene: slicer.vtkMRMLScene,
    node: slicer.vtkMRMLPlotChartNode | None,
    series: list[slicer.vtkMRMLPlotSeriesNode],
    target: str,
    name: str,
) -> slicer.vtkMRMLPlotChartNode:
    """Let a chart show these series beside those that a user put into it; add one where there is none.

    Its titles and ranges are set where it is new, or was about another target.
    """
    title = f"Probability of {target} along the head"
    if node is None:
        node = add_node(scene, "vtkMRMLPlotChartNode", name)
        node.SetTitle(title)
        node.SetXAxisTitle("Position along the slice normal, feet to head (mm)")
        node.SetYAxisTitle("Probability")
        node.SetYAxisRangeAuto(False)
        node.SetYAxisRange(0.0, 1.0)
        node.SetLegendVisibility(len(series) > 1)
        node.SetGridVisibility(True)
    elif node.GetAttribute("HemoCAM.target") != target:
        changes.do(node.SetTitle, title, node.GetTitle())
    for one in series:
        if not node.HasPlotSeriesNodeID(one.GetID()):
            node.AddAndObservePlotSeriesNodeID(one.GetID())
            changes.later(node.RemovePlotSeriesNodeID, one.GetID())
    return node


def _aim(
    changes: Changes,
    node: slicer.vtkMRMLPlotSeriesNode,
    table: slicer.vtkMRMLTableNode | None,
    x_column: str,
    y_column: str,
) -> None:
    new = "" if table is None else table.GetID()
    changes.do(node.SetAndObserveTableNodeID, new, node.GetTableNodeID() or "")
    changes.do(node.SetXColumnName, x_column, node.GetXColumnName() or "")
    changes.do(node.SetYColumnName, y_column, node.GetYColumnName() or "")


def _add_series(
    scene: slicer.vtkMRMLScene, name: str, color: tuple[float, float, float]
) -> slicer.vtkMRMLPlotSeriesNode:
    node = add_node(scene, "vtkMRMLPlotSeriesNode", name)
    # A "line" plot in Slicer counts rows; only a scatter plot reads the column of positions.
    node.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    node.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
    node.SetLineWidth(2)
    node.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    node.SetMarkerSize(5)
    node.SetColor(*color)
    return node
