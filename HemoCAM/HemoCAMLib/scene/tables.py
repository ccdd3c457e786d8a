"""What the classifier said about every slice, and how the mask compares: tables."""

from __future__ import annotations

import slicer
from vtkmodules.vtkCommonCore import (
    vtkAbstractArray,
    vtkBitArray,
    vtkDoubleArray,
    vtkIntArray,
    vtkStringArray,
)
from vtkmodules.vtkCommonDataModel import vtkTable

from ..errors import InputError
from .changes import Changes
from .content import SceneContent, SliceRow
from .nodes import add_node

INDEX, POSITION, GATED, ACQUIRED = "slice", "position_mm", "gated", "acquired"
METRIC_NAME, METRIC_VALUE = "Metric name", "Metric value"
# Of a comparison's table: whether the mask has changed since, who measured, and a reference to the segmentation.
OUTDATED, COMPARED_BY, COMPARED_WITH = "HemoCAM.outdated", "HemoCAM.compared_by", "HemoCAM.comparedWith"
_OUTDATED_ROW = ("HemoCAM: outdated", "the mask has changed since; compare again")

Rows = list[tuple[str, str | float]]


def column(kind: type[vtkAbstractArray], name: str, values: list) -> vtkAbstractArray:
    """Return values as a column of a table."""
    array = kind()
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array


def table_of(columns: list[vtkAbstractArray]) -> slicer.vtkMRMLTableNode:
    """Return columns as a table node outside of any scene, to be shown by :func:`put_table`."""
    node = slicer.vtkMRMLTableNode()
    for array in columns:
        node.AddColumn(array)
    return node


def put_table(
    changes: Changes,
    scene: slicer.vtkMRMLScene,
    node: slicer.vtkMRMLTableNode | None,
    content: slicer.vtkMRMLTableNode,
    name: str,
    hidden: bool = False,
) -> slicer.vtkMRMLTableNode:
    """Give a table node the columns of ``content`` and what is said about them; add one where there is none."""
    if node is None:
        node = add_node(scene, "vtkMRMLTableNode", name, hidden)
        node.SetLocked(True)
        node.SetUseColumnTitleAsColumnHeader(True)
        node.AddDefaultStorageNode()
    changes.do(node.SetAndObserveTable, content.GetTable(), node.GetTable())
    changes.do(node.SetAndObserveSchema, content.GetSchema(), node.GetSchema())
    return node


def slice_table(content: SceneContent) -> slicer.vtkMRMLTableNode:
    """Return the table of slices, one row each, as a node outside of any scene.

    Columns: ``slice`` (int), ``position_mm`` (double), the probability of each class under the class's name
    (double, 0..1), ``gated`` and ``acquired`` (bit). Slicer writes doubles with six digits.
    """
    rows = content.slices
    columns = [
        column(vtkIntArray, INDEX, [int(row.index) for row in rows]),
        column(vtkDoubleArray, POSITION, [float(row.position_mm) for row in rows]),
    ]
    for label in content.classes:
        probabilities = [float(row.probabilities[label]) for row in rows]
        columns.append(column(vtkDoubleArray, label, probabilities))
    columns.append(column(vtkBitArray, GATED, [int(row.gated) for row in rows]))
    columns.append(column(vtkBitArray, ACQUIRED, [int(row.acquired) for row in rows]))
    node = table_of(columns)
    node.SetColumnUnitLabel(POSITION, "mm")
    node.SetColumnDescription(POSITION, "position along the slice normal, rising toward the head")
    for label in content.classes:
        node.SetColumnDescription(label, f"probability of {label} in this slice, 0 to 1")
    node.SetColumnDescription(GATED, "1 where the probability lets the slice's map be shown")
    node.SetColumnDescription(ACQUIRED, "0 where the slice was missing and is interpolated")
    return node


def rows_of_slices(node: slicer.vtkMRMLTableNode) -> list[SliceRow]:
    """Return what a table of slices says, in the table's order.

    Raises
    ------
    InputError
        If columns of it were removed.
    """
    table = node.GetTable()
    names = [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())]
    fixed = (INDEX, POSITION, GATED, ACQUIRED)
    if not set(fixed) <= set(names):
        raise InputError(f"The table '{node.GetName()}' lost columns of HemoCAM's; run HemoCAM again.")
    columns = {name: table.GetColumnByName(name) for name in names}
    classes = [name for name in names if name not in fixed]
    rows = []
    for row in range(table.GetNumberOfRows()):
        value = {name: float(array.GetVariantValue(row).ToDouble()) for name, array in columns.items()}
        probabilities = {name: value[name] for name in classes}
        gated, acquired = bool(value[GATED]), bool(value[ACQUIRED])
        rows.append(SliceRow(int(value[INDEX]), value[POSITION], probabilities, gated, acquired))
    return rows


def comparison_table(rows: Rows) -> slicer.vtkMRMLTableNode:
    """Return name and value of each metric, both as text, as a table node outside of any scene."""
    values = [value if isinstance(value, str) else f"{value:.6g}" for _, value in rows]
    # Slicer's table reader takes double quotes for delimiters and drops what stands before them.
    texts = [[text.replace('"', "'") for text in texts] for texts in ([n for n, _ in rows], values)]
    titles = (METRIC_NAME, METRIC_VALUE)
    return table_of([column(vtkStringArray, *pair) for pair in zip(titles, texts, strict=True)])


def rows_of_comparison(node: slicer.vtkMRMLTableNode) -> list[tuple[str, str]]:
    """Return the rows of a comparison's table, name and value as text."""
    return [(node.GetCellText(row, 0), node.GetCellText(row, 1)) for row in range(node.GetNumberOfRows())]


def mark_outdated(changes: Changes, node: slicer.vtkMRMLTableNode) -> None:
    """Say in a comparison's table, by a row of its own and an attribute, that it speaks of an earlier mask."""
    if node.GetAttribute(OUTDATED):
        return
    said = comparison_table([*rows_of_comparison(node), _OUTDATED_ROW]).GetTable()
    old = vtkTable()
    old.ShallowCopy(node.GetTable())
    changes.do(node.SetAndObserveTable, said, old)
    changes.attribute(node, OUTDATED, "true")
