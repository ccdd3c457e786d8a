"""What Slicer's views show when the scene opens: the map over the CT at its peak, and the curve beside it."""

from __future__ import annotations

import numpy as np
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix3x3

from ..volumes.volume import Volume
from .changes import all_nodes
from .nodes import node_to_volume

SLICE_VIEWS = ("Red", "Yellow", "Green")
FOREGROUND_OPACITY = 0.5
# Name of the orientation in which the axial view shows the slices as they were acquired.
ORIENTATION = "Acquired"


def create_views(scene: slicer.vtkMRMLScene) -> None:
    """Add the view nodes of Slicer's layout "Four-Up Plot" to a scene of our own: three slices and a plot.

    Slicer's layout logic makes them, so that they are the nodes that Slicer would have made.
    """
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    logic.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
    logic.SetMRMLScene(None)


def show_in_slice_views(
    scene: slicer.vtkMRMLScene,
    background: slicer.vtkMRMLVolumeNode,
    foreground: slicer.vtkMRMLVolumeNode,
    opacity: float = FOREGROUND_OPACITY,
) -> None:
    """Lay ``foreground`` over ``background`` in the views Red, Yellow and Green.

    The views' composite nodes are singletons: those of a running Slicer are used, else they are made here.
    """
    for name in SLICE_VIEWS:
        composite = singleton(scene, "vtkMRMLSliceCompositeNode", name)
        composite.SetLayoutName(name)
        composite.SetBackgroundVolumeID(background.GetID())
        composite.SetForegroundVolumeID(foreground.GetID())
        composite.SetForegroundOpacity(opacity)
    selection = singleton(scene, "vtkMRMLSelectionNode", "Singleton")
    selection.SetActiveVolumeID(background.GetID())
    selection.SetSecondaryVolumeID(foreground.GetID())


def show_chart_and_table(
    scene: slicer.vtkMRMLScene,
    chart: slicer.vtkMRMLPlotChartNode | None,
    table: slicer.vtkMRMLTableNode | None,
) -> None:
    """Make ``chart`` and ``table`` those that Slicer's plot and table views show; None leaves them as they are."""
    selection = singleton(scene, "vtkMRMLSelectionNode", "Singleton")
    if table is not None:
        selection.SetActiveTableID(table.GetID())
    if chart is not None:
        selection.SetActivePlotChartID(chart.GetID())
        for view in all_nodes(scene, "vtkMRMLPlotViewNode"):
            view.SetPlotChartNodeID(chart.GetID())


def aim_slice_views(
    scene: slicer.vtkMRMLScene,
    ct_node: slicer.vtkMRMLVolumeNode,
    ras: np.ndarray,
    slice_normal: np.ndarray | None = None,
) -> None:
    """Let the slice views hold the whole CT and pass through a point.

    Parameters
    ----------
    scene:
        A scene with slice view nodes; without, nothing happens.
    ct_node:
        The volume to fit into the views.
    ras:
        The point in mm, shape (3,).
    slice_normal:
        Unit normal of the CT's axial slices in RAS, shape (3,), or None. With it the axial view is tilted into
        the plane of the slices, so that it shows slices as they were acquired and classified.
    """
    ct = node_to_volume(ct_node)
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in ct.shape[::-1]])).reshape(3, -1).T
    corners = ct.ras(corners)
    for name in SLICE_VIEWS:
        node = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if node is None:
            continue
        if name == "Red" and slice_normal is not None:
            _tilt(node, slice_normal)
        # Center of the box in the view's own plane; the offset along its normal takes it to the point.
        axes = _axes(node)
        low, high = (corners @ axes).min(axis=0), (corners @ axes).max(axis=0)
        center = (low + high) / 2.0
        center[2] = ras @ axes[:, 2]
        for axis, position in enumerate((axes @ center).tolist()):
            node.GetSliceToRAS().SetElement(axis, 3, position)
        node.UpdateMatrices()
        width, height = high[0] - low[0], high[1] - low[1]
        columns, rows = node.GetDimensions()[:2]
        scale = max(width / columns, height / rows)
        node.SetFieldOfView(float(scale * columns), float(scale * rows), node.GetFieldOfView()[2])


def jump(scene: slicer.vtkMRMLScene, ras: np.ndarray, slice_normal: np.ndarray) -> None:
    """Let all slice views pass through a point, and axial ones show the plane of the CT's slices.

    Zoom and pan stay. Views that a user turned to another orientation keep it.

    Parameters
    ----------
    scene:
        A scene with slice view nodes, in whatever layout; without, nothing happens.
    ras:
        The point in mm, shape (3,).
    slice_normal:
        Unit normal of the CT's axial slices in RAS, shape (3,).
    """
    for node in all_nodes(scene, "vtkMRMLSliceNode"):
        if node.GetOrientation() in ("Axial", ORIENTATION):
            _tilt(node, slice_normal)
        node.JumpSliceByOffsetting(*map(float, ras))


def _axes(node: slicer.vtkMRMLSliceNode) -> np.ndarray:
    matrix = node.GetSliceToRAS()
    return np.array([[matrix.GetElement(row, column) for column in range(3)] for row in range(3)])


def _tilt(node: slicer.vtkMRMLSliceNode, normal: np.ndarray) -> None:
    """Turn an axial view into the slices' plane, as one more entry of the view's list of orientations."""
    if normal[2] > 1.0 - 1e-9:  # the slices are axial
        if node.GetOrientation() == ORIENTATION:  # those of another CT were not
            node.SetOrientation("Axial")
        return
    # The patient's left on the viewer's right, as in Slicer's axial views; if the slices are sagittal, the front.
    across = np.array([-1.0, 0.0, 0.0]) if abs(normal[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    across -= (across @ normal) * normal
    across /= np.linalg.norm(across)
    preset = vtkMatrix3x3()
    preset.DeepCopy(np.stack([across, np.cross(across, normal), normal], axis=1).ravel())
    node.AddSliceOrientationPreset(ORIENTATION, preset)
    node.SetOrientation(ORIENTATION)


def peak(heatmap: Volume) -> np.ndarray | None:
    """Return where in RAS, mm, shape (3,), the map is highest; None where it is nowhere above 0."""
    index = int(np.argmax(heatmap.array))
    k, j, i = np.unravel_index(index, heatmap.shape)
    if not heatmap.array[k, j, i] > 0:
        return None
    return heatmap.ras(np.array([i, j, k], dtype=np.float64))


def singleton(scene: slicer.vtkMRMLScene, class_name: str, tag: str) -> slicer.vtkMRMLNode:
    """Return the scene's singleton node of a class and tag; add it where it is missing."""
    node = scene.GetSingletonNode(tag, class_name)
    if node is None:
        node = getattr(slicer, class_name)()
        node.SetSingletonTag(tag)
        node = scene.AddNode(node)
    return node
