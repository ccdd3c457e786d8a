"""The results of one CT as nodes of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from ..errors import InputError
from ..volumes.axial import slice_normal, to_axial
from ..volumes.volume import Volume
from . import views
from .colors import heat_colors
from .content import SceneContent
from .hierarchy import add_folder
from .nodes import node_to_volume, set_attributes, volume_to_node
from .segmentations import MASK_COLOR, REFERENCE_COLOR, add_segmentation
from .tables import add_comparison_table, add_probability_plot, add_slice_table

CT_WINDOW, CT_LEVEL = 80.0, 40.0
# The least value of the heat map that is drawn; what the gate closed is exactly 0.
VISIBLE_FROM = 0.02
MASK_SEGMENT = "Hemorrhage (CAM)"
REFERENCE_SEGMENT = "Hemorrhage (reference)"


@dataclass(frozen=True)
class SceneNodes:
    """The nodes of one result; ``folder`` is their item in the subject hierarchy."""

    ct: slicer.vtkMRMLScalarVolumeNode
    heatmap: slicer.vtkMRMLScalarVolumeNode
    colors: slicer.vtkMRMLColorTableNode
    mask: slicer.vtkMRMLSegmentationNode
    slice_table: slicer.vtkMRMLTableNode
    chart: slicer.vtkMRMLPlotChartNode
    series: list[slicer.vtkMRMLPlotSeriesNode]
    folder: int
    reference: slicer.vtkMRMLSegmentationNode | None = None
    comparison_table: slicer.vtkMRMLTableNode | None = None
    raw_map: slicer.vtkMRMLScalarVolumeNode | None = None


def add_results(
    scene: slicer.vtkMRMLScene,
    content: SceneContent,
    ct_node: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> SceneNodes:
    """Add everything that ``content`` holds to a scene.

    Parameters
    ----------
    scene:
        A scene of :func:`~.storage.new_scene`, or a running Slicer's.
    content:
        What to show.
    ct_node:
        The CT where it is in the scene already: it is used as it is, with its display and its place in the
        subject hierarchy, and no view is touched (call :func:`show_results` for that). Without it the CT is
        added, too, and the views show the result.

    Returns
    -------
    The nodes.

    Raises
    ------
    InputError
        If ``ct_node`` does not lie where ``content.ct`` lies.
    """
    own_ct = ct_node is None
    if own_ct:
        ct_node = volume_to_node(scene, content.ct)
        set_window(ct_node, CT_WINDOW, CT_LEVEL)
    elif not node_to_volume(ct_node).same_grid(content.ct):
        raise InputError(
            f"'{ct_node.GetName()}' has been moved or changed since the maps were made; run HemoCAM again."
        )
    name = ct_node.GetName()
    heatmap = add_heatmap(scene, content.heatmap, f"{name} heat map")
    mask = add_segmentation(scene, content.mask, f"{name} CAM mask", MASK_SEGMENT, MASK_COLOR, ct_node)
    slice_table = add_slice_table(scene, content, f"{name} slices")
    chart, series = add_probability_plot(scene, content, slice_table, f"{name} probability")
    reference = comparison = raw_map = None
    if content.reference is not None:
        reference = add_segmentation(
            scene, content.reference, f"{name} reference", REFERENCE_SEGMENT, REFERENCE_COLOR, ct_node
        )
    if content.comparison is not None:
        comparison = add_comparison_table(scene, content.comparison, f"{name} comparison")
    if content.raw_map is not None:
        raw_map = add_raw_map(scene, content.raw_map, f"{name} raw map")
    made = [heatmap, mask, reference, chart, series[0], slice_table, comparison, raw_map]
    made = [node for node in made if node is not None]
    for node in made:
        if node is not reference:  # it was made by somebody else
            set_attributes(node, {"target": content.target, **content.description})
    folder = add_folder(scene, f"HemoCAM {name}", [ct_node, *made] if own_ct else made)
    nodes = SceneNodes(
        ct=ct_node,
        heatmap=heatmap,
        colors=heatmap.GetDisplayNode().GetColorNode(),
        mask=mask,
        slice_table=slice_table,
        chart=chart,
        series=series,
        folder=folder,
        reference=reference,
        comparison_table=comparison,
        raw_map=raw_map,
    )
    if own_ct:
        show_results(scene, nodes)
    return nodes


def show_results(scene: slicer.vtkMRMLScene, nodes: SceneNodes) -> None:
    """Show a result in the views: the heat map over the CT, at its peak, and the curve of probabilities."""
    views.show_in_slice_views(scene, nodes.ct, nodes.heatmap)
    views.show_chart_and_table(scene, nodes.chart, nodes.slice_table)
    axial, _ = to_axial(node_to_volume(nodes.ct))
    point = views.peak(node_to_volume(nodes.heatmap))
    if point is None:
        point = axial.ras((np.array(axial.shape[::-1]) - 1) / 2.0)
    views.aim_slice_views(scene, nodes.ct, point, slice_normal(axial))


def set_window(node: slicer.vtkMRMLScalarVolumeNode, window: float, level: float) -> None:
    """Fix the display of a volume to a window (width and centre, in the volume's unit)."""
    display = node.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(window, level)


def add_heatmap(scene: slicer.vtkMRMLScene, heatmap: Volume, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a map of values 0..1 as a volume that shows 0 as nothing and 0..1 in the heat colours."""
    node = volume_to_node(scene, heatmap, name)
    display = node.GetScalarVolumeDisplayNode()
    display.SetAndObserveColorNodeID(heat_colors(scene).GetID())
    set_window(node, 1.0, 0.5)
    display.SetAutoThreshold(False)
    display.SetThreshold(VISIBLE_FROM, 1.0)
    display.SetApplyThreshold(True)
    display.SetInterpolate(True)
    return node


def add_raw_map(scene: slicer.vtkMRMLScene, raw_map: Volume, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a signed map for reference: in no view, gray, 0 in the middle of its window."""
    node = volume_to_node(scene, raw_map, name)
    largest = float(np.abs(raw_map.array).max(initial=0.0))
    set_window(node, 2.0 * largest if largest > 0 else 1.0, 0.0)
    node.SetDisplayVisibility(0)
    return node
