"""What the classifier said about every slice, and how the mask compares: tables and a plot."""

from __future__ import annotations

import slicer
from vtkmodules.vtkCommonCore import (
    vtkAbstractArray,
    vtkBitArray,
    vtkDoubleArray,
    vtkIntArray,
    vtkStringArray,
)

from .content import SceneContent
from .nodes import add_node

INDEX, POSITION, GATED, ACQUIRED = "slice", "position_mm", "gated", "acquired"
METRIC_NAME, METRIC_VALUE = "Metric name", "Metric value"
_GATE_POSITION, _GATE = "position_mm", "gate"


def _column(kind: type[vtkAbstractArray], name: str, values: list) -> vtkAbstractArray:
    column = kind()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _table(scene: slicer.vtkMRMLScene, name: str, columns: list[vtkAbstractArray]) -> slicer.vtkMRMLTableNode:
    node = add_node(scene, "vtkMRMLTableNode", name)
    for column in columns:
        node.AddColumn(column)
    node.SetLocked(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.AddDefaultStorageNode()
    return node


def add_slice_table(scene: slicer.vtkMRMLScene, content: SceneContent, name: str) -> slicer.vtkMRMLTableNode:
    """Add the table of slices, one row each.

    Columns: ``slice`` (int), ``position_mm`` (double), the probability of each class under the class's name
    (double, 0..1), ``gated`` and ``acquired`` (bit). Slicer writes doubles with six digits.
    """
    rows = content.slices
    columns = [
        _column(vtkIntArray, INDEX, [int(row.index) for row in rows]),
        _column(vtkDoubleArray, POSITION, [float(row.position_mm) for row in rows]),
    ]
    for label in content.classes:
        probabilities = [float(row.probabilities[label]) for row in rows]
        columns.append(_column(vtkDoubleArray, label, probabilities))
    columns.append(_column(vtkBitArray, GATED, [int(row.gated) for row in rows]))
    columns.append(_column(vtkBitArray, ACQUIRED, [int(row.acquired) for row in rows]))
    node = _table(scene, name, columns)
    node.SetColumnUnitLabel(POSITION, "mm")
    node.SetColumnDescription(POSITION, "position along the slice normal, rising toward the head")
    for label in content.classes:
        node.SetColumnDescription(label, f"probability of {label} in this slice, 0 to 1")
    node.SetColumnDescription(GATED, "1 where the probability lets the slice's map be shown")
    node.SetColumnDescription(ACQUIRED, "0 where the slice was missing and is interpolated")
    return node


def add_comparison_table(
    scene: slicer.vtkMRMLScene, rows: list[tuple[str, str | float]], name: str
) -> slicer.vtkMRMLTableNode:
    """Add the table of the comparison with a reference: name and value of each metric, both as text."""
    values = [value if isinstance(value, str) else f"{value:.6g}" for _, value in rows]
    # Slicer's table reader takes double quotes for delimiters and drops what stands before them.
    texts = [[text.replace('"', "'") for text in column] for column in ([n for n, _ in rows], values)]
    columns = [
        _column(vtkStringArray, title, column)
        for title, column in zip((METRIC_NAME, METRIC_VALUE), texts, strict=True)
    ]
    return _table(scene, name, columns)


def add_probability_plot(
    scene: slicer.vtkMRMLScene,
    content: SceneContent,
    table: slicer.vtkMRMLTableNode,
    name: str,
) -> tuple[slicer.vtkMRMLPlotChartNode, list[slicer.vtkMRMLPlotSeriesNode]]:
    """Add a chart of the target's probability along the head, with the gate where it is known.

    Returns
    -------
    The chart, and its series: the probability first, then the gate's line if ``content.description`` has a
    number under ``gate``.
    """
    # A "line" plot in Slicer counts rows; only a scatter plot reads the column of positions.
    series = [
        _series(scene, f"{content.target} probability", table, POSITION, content.target, (0.85, 0.3, 0.1))
    ]
    gate = content.description.get("gate")
    if isinstance(gate, int | float) and content.slices:
        positions = [row.position_mm for row in content.slices]
        ends = [float(min(positions)), float(max(positions))]
        columns = [
            _column(vtkDoubleArray, _GATE_POSITION, ends),
            _column(vtkDoubleArray, _GATE, [float(gate)] * 2),
        ]
        line = _table(scene, f"{name} gate", columns)
        line.SetHideFromEditors(True)
        series.append(_series(scene, f"gate {gate:g}", line, _GATE_POSITION, _GATE, (0.45, 0.45, 0.45)))
        series[-1].SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleDash)
        series[-1].SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)

    chart = add_node(scene, "vtkMRMLPlotChartNode", name)
    for node in series:
        chart.AddAndObservePlotSeriesNodeID(node.GetID())
    chart.SetTitle(f"Probability of {content.target} along the head")
    chart.SetXAxisTitle("Position along the slice normal, feet to head (mm)")
    chart.SetYAxisTitle("Probability")
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, 1.0)
    chart.SetLegendVisibility(len(series) > 1)
    chart.SetGridVisibility(True)
    return chart, series


def _series(
    scene: slicer.vtkMRMLScene,
    name: str,
    table: slicer.vtkMRMLTableNode,
    x_column: str,
    y_column: str,
    color: tuple[float, float, float],
) -> slicer.vtkMRMLPlotSeriesNode:
    node = add_node(scene, "vtkMRMLPlotSeriesNode", name)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    node.SetXColumnName(x_column)
    node.SetYColumnName(y_column)
    node.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
    node.SetLineWidth(2)
    node.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    node.SetMarkerSize(5)
    node.SetColor(*color)
    return node
