"""The results of one CT as nodes of a scene, with the CT itself where the scene lacks it."""

from __future__ import annotations

import numpy as np
import slicer

from ..volumes.axial import slice_normal, to_axial
from . import views
from .content import SceneContent
from .hierarchy import add_item
from .maps import set_window
from .nodes import node_to_volume, volume_to_node
from .record import SceneNodes
from .runs import put_results

CT_WINDOW, CT_LEVEL = 80.0, 40.0


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
        The CT where it is in the scene already: then this is :func:`~.runs.put_results`, and no view is touched
        (call :func:`show_results` for that). Without it the CT is added, too, and the views show the result.

    Returns
    -------
    The nodes.

    Raises
    ------
    InputError
        If ``ct_node`` does not lie where ``content.ct`` lies.
    """
    if ct_node is not None:
        return put_results(scene, content, ct_node)
    ct_node = volume_to_node(scene, content.ct)
    set_window(ct_node, CT_WINDOW, CT_LEVEL)
    nodes = put_results(scene, content, ct_node)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    add_item(hierarchy, ct_node, nodes.folder)
    show_results(scene, nodes)
    return nodes


def show_results(scene: slicer.vtkMRMLScene, nodes: SceneNodes) -> None:
    """Show a result in the views: the heat map over the CT, at its peak, and the curve of probabilities.

    What was deleted of it is left out.
    """
    if nodes.chart is not None or nodes.slice_table is not None:
        views.show_chart_and_table(scene, nodes.chart, nodes.slice_table)
    if nodes.ct is None:
        return
    axial, _ = to_axial(node_to_volume(nodes.ct))
    point = None
    if nodes.heatmap is not None:
        views.show_in_slice_views(scene, nodes.ct, nodes.heatmap)
        point = views.peak(node_to_volume(nodes.heatmap))
    if point is None:
        point = axial.ras((np.array(axial.shape[::-1]) - 1) / 2.0)
    views.aim_slice_views(scene, nodes.ct, point, slice_normal(axial))
