"""What stands in the scene of a result, as the panel shows it: sentences and rows, whatever was deleted since."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..errors import InputError
from ..scene import SceneNodes, SliceRow
from ..scene.live import slice_rows


def finding_of(nodes: SceneNodes) -> str:
    """Say in one sentence what was found, from the table in the scene; raises nothing."""
    rows, target = rows_of(nodes), target_of(nodes)
    if not rows:
        return _("The table of slices was deleted or lost columns; press Apply to make it again.")
    count = sum(row.gated for row in rows)
    return _(
        "{target}: highest probability {p:.2f}, at slice {slice}; {count} of {total} slices pass the gate."
    ).format(
        target=target, p=rows[0].probabilities[target], slice=rows[0].index, count=count, total=len(rows)
    )


def target_of(nodes: SceneNodes) -> str:
    """Return the class that the results explain; "" where the table of slices is gone."""
    return "" if nodes.slice_table is None else nodes.slice_table.GetAttribute("HemoCAM.target") or ""


def rows_of(nodes: SceneNodes) -> list[SliceRow]:
    """Return one row a slice, the highest probability first; none where the table is gone or damaged."""
    if nodes.slice_table is None:
        return []
    try:
        return slice_rows(nodes)
    except InputError:
        return []


def comparison_rows(nodes: SceneNodes) -> list[tuple[str, str]]:
    """Return the comparison table as (metric name, value), as text; empty where there is none."""
    node = nodes.comparison_table
    if node is None or node.GetNumberOfColumns() < 2:
        return []
    return [(node.GetCellText(row, 0), node.GetCellText(row, 1)) for row in range(node.GetNumberOfRows())]


def compared_by(nodes: SceneNodes) -> str:
    """Return who measured: "SlicerRT", "HemoCAM", or "" without a comparison."""
    return (
        ""
        if nodes.comparison_table is None
        else nodes.comparison_table.GetAttribute("HemoCAM.compared_by") or ""
    )
