"""Pictures of Slicer's own views with a result of HemoCAM, drawn off screen: no window, no display, no GPU.

It opens the ``scene.mrb`` of ``hemocam demo`` (or ``hemocam run``) as Slicer would and draws what its views show:
slices and 3-D view by Slicer's own displayable managers, the plot by VTK's charts, on which Slicer's plot views
stand. trame-slicer, which puts these views together, pins its own slicer-core and vtk; so it gets an environment
of its own:

    python3 -m venv pictures
    pictures/bin/pip install "trame-slicer[standalone]==2.0.0" pillow
    hemocam demo --output demo
    pictures/bin/python Docs/pictures/make_pictures.py demo/scene.mrb Docs/pictures

A scene without results will do, too; it has no curve then.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import slicer
from PIL import Image, ImageDraw, ImageFont
from trame_slicer.core.slicer_app import SlicerApp
from trame_slicer.views import SliceView, ThreeDView
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkChartsCore import vtkAxis, vtkChart, vtkChartXY, vtkPlotPoints
from vtkmodules.vtkCommonCore import vtkFloatArray, vtkObject
from vtkmodules.vtkCommonDataModel import vtkTable
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkWindowToImageFilter
from vtkmodules.vtkViewsContext2D import vtkContextView

VIEWS = ("axial", "four-up", "plot")
SLICES = ("Red", "Yellow", "Green")
BAR, GAP = 18, 4
BARS = {"Red": "#f34a33", "Yellow": "#edd54c", "Green": "#6eb04b", "3-D": "#7474cd", "Plot": "#b0b0b0"}
HEAD_HU = -300.0  # what is denser belongs to the head or its support


def main() -> None:
    """Read the scene and write a picture a view."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path, help="scene.mrb of a result")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--prefix", default="", help="what the names of the files begin with")
    parser.add_argument(
        "--views", nargs="+", choices=VIEWS, default=VIEWS, metavar="VIEW", help=", ".join(VIEWS)
    )
    options = parser.parse_args()
    vtkObject.GlobalWarningDisplayOff()  # views that are drawn while the scene loads still miss its colours
    app = SlicerApp()
    # The views come first: a new view would reset the places that the scene gives them.
    slices = {name: SliceView(app.scene, app.app_logic, name) for name in SLICES}
    solid = ThreeDView(app.scene, app.app_logic, "1")
    if not app.io_manager.load_scene(options.scene):
        parser.error(f"'{options.scene}' could not be read; give a scene.mrb that HemoCAM wrote")
    options.folder.mkdir(parents=True, exist_ok=True)
    thicken_masks(app.scene)
    selection = app.scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    chart = app.scene.GetNodeByID(selection.GetActivePlotChartID() or "")
    draw = {
        "axial": lambda: axial(app.scene, slices["Red"]),
        "four-up": lambda: four_up(app.scene, slices, solid),
        "plot": lambda: plot(chart, (900, 420)),
    }
    for name in options.views:
        if name != "plot" or chart is not None:
            save(draw[name](), options.folder / f"{options.prefix}{name}.png")


def thicken_masks(scene: slicer.vtkMRMLScene) -> None:
    """Draw the outlines of masks wider than those of references, so that both are seen where they agree."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLSegmentationNode")
        if node.GetAttribute("HemoCAM.method"):  # HemoCAM made it
            node.GetDisplayNode().SetSliceIntersectionThickness(5)


def axial(scene: slicer.vtkMRMLScene, view: SliceView) -> np.ndarray:
    """Return the axial view, large."""
    return slice_picture(scene, view, (640, 700))


def four_up(scene: slicer.vtkMRMLScene, slices: dict[str, SliceView], solid: ThreeDView) -> np.ndarray:
    """Return Slicer's layout "Four-Up": axial and 3-D above, coronal and sagittal below."""
    size = (448, 400)
    drawn = {name: slice_picture(scene, view, size) for name, view in slices.items()}
    drawn["3-D"] = solid_picture(scene, solid, slices["Red"], size)
    tiles = [titled(drawn[name], name) for name in ("Red", "3-D", "Green", "Yellow")]
    gap = np.full((tiles[0].shape[0], GAP, 3), 40, np.uint8)
    rows = [np.hstack([tiles[first], gap, tiles[first + 1]]) for first in (0, 2)]
    return np.vstack([rows[0], np.full((GAP, rows[0].shape[1], 3), 40, np.uint8), rows[1]])


def slice_picture(scene: slicer.vtkMRMLScene, view: SliceView, size: tuple[int, int]) -> np.ndarray:
    """Return a slice view, (columns, rows) large, at the slice that the scene shows, the head filling it."""
    columns, rows = size
    view.render_window().SetSize(columns, rows)
    view.interactor().UpdateSize(columns, rows)
    view.set_ruler(slicer.vtkMRMLSliceNode.RulerTypeThin)
    node = view.get_view_node()
    axes = array_of(node.GetSliceToRAS())
    across = head_corners(scene) @ axes[:3, :3]
    low, high = across.min(axis=0), across.max(axis=0)
    middle = (low + high) / 2
    middle[2] = axes[:3, 3] @ axes[:3, 2]
    for axis, value in enumerate((axes[:3, :3] @ middle).tolist()):
        node.GetSliceToRAS().SetElement(axis, 3, value)
    scale = 1.06 * max((high[0] - low[0]) / columns, (high[1] - low[1]) / rows)
    node.SetDimensions(columns, rows, 1)
    node.SetFieldOfView(scale * columns, scale * rows, node.GetFieldOfView()[2])
    node.UpdateMatrices()
    for _ in range(2):  # the outline is placed when the slice is known
        view.render()
    return pixels_of(view.render_window())


def solid_picture(
    scene: slicer.vtkMRMLScene, view: ThreeDView, axial_view: SliceView, size: tuple[int, int]
) -> np.ndarray:
    """Return the 3-D view with all segmentations as surfaces, and the axial slice under them."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLSegmentationNode")
        node.CreateClosedSurfaceRepresentation()
        node.GetDisplayNode().SetVisibility3D(True)
    axial_view.set_visible_in_3d(True)
    view.render_window().SetSize(*size)
    view.interactor().UpdateSize(*size)
    view.set_background_gradient_color([193, 195, 232], [116, 120, 190])  # Slicer's own
    view.set_box_visible(False)
    view.reset_view()
    camera = view.get_camera_node().GetCamera()
    camera.Azimuth(-35)
    camera.Elevation(38)
    camera.Zoom(1.6)
    view.renderer().ResetCameraClippingRange()
    view.render()
    return pixels_of(view.render_window())


def plot(node: slicer.vtkMRMLPlotChartNode, size: tuple[int, int]) -> np.ndarray:
    """Return a chart, drawn with the properties of its MRML nodes."""
    view = vtkContextView()
    view.GetRenderWindow().SetOffScreenRendering(True)
    view.GetRenderWindow().SetMultiSamples(8)
    view.GetRenderWindow().SetSize(*size)
    view.GetRenderer().SetBackground(1, 1, 1)
    chart = vtkChartXY()
    view.GetScene().AddItem(chart)
    series = [node.GetNthPlotSeriesNode(index) for index in range(node.GetNumberOfPlotSeriesNodes())]
    for one in series:
        source, table = one.GetTableNode().GetTable(), vtkTable()
        for name in (one.GetXColumnName(), one.GetYColumnName()):
            column = vtkFloatArray()
            column.DeepCopy(source.GetColumnByName(name))
            table.AddColumn(column)
        line = chart.AddPlot(vtkChart.LINE)
        line.SetInputData(table, 0, 1)
        line.SetLabel(one.GetName())
        line.SetColor(*[round(255 * share) for share in one.GetColor()], 255)
        line.SetWidth(one.GetLineWidth())
        line.GetPen().SetLineType(one.GetLineStyle())
        circles = one.GetMarkerStyle() != slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone
        line.SetMarkerStyle(vtkPlotPoints.CIRCLE if circles else vtkPlotPoints.NONE)
        line.SetMarkerSize(one.GetMarkerSize())
    chart.SetTitle(node.GetTitle())
    chart.GetTitleProperties().SetFontSize(18)
    chart.SetShowLegend(bool(node.GetLegendVisibility()))
    for place, title in ((vtkAxis.BOTTOM, node.GetXAxisTitle()), (vtkAxis.LEFT, node.GetYAxisTitle())):
        chart.GetAxis(place).SetTitle(title)
        chart.GetAxis(place).GetTitleProperties().SetFontSize(15)
        chart.GetAxis(place).GetLabelProperties().SetFontSize(13)
    if not node.GetYAxisRangeAuto():
        chart.GetAxis(vtkAxis.LEFT).SetBehavior(vtkAxis.FIXED)
        chart.GetAxis(vtkAxis.LEFT).SetRange(*node.GetYAxisRange())
    view.Render()
    return pixels_of(view.GetRenderWindow())


def titled(pixels: np.ndarray, name: str) -> np.ndarray:
    """Return a view under a bar of the colour that Slicer gives it."""
    bar = Image.new("RGB", (pixels.shape[1], BAR), BARS[name])
    ImageDraw.Draw(bar).text((6, 2), name, fill="black", font=ImageFont.load_default(13))
    return np.vstack([np.asarray(bar), pixels])


def head_corners(scene: slicer.vtkMRMLScene) -> np.ndarray:
    """Return the corners, shape (8, 3), RAS in mm, of the box of voxels that holds the head."""
    composite = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    ct = scene.GetNodeByID(composite.GetBackgroundVolumeID())
    image = ct.GetImageData()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    dense = voxels > HEAD_HU
    ends = []
    for axis in range(3):
        # a table or headrest is thin: a row, column or slice of the head holds more
        filled = np.flatnonzero(dense.mean(axis=tuple({0, 1, 2} - {axis})) > 0.03)
        ends.append((filled[0], filled[-1]))
    corners = np.array(np.meshgrid(*ends[::-1])).reshape(3, -1).T
    matrix = vtkMatrix4x4()
    ct.GetIJKToRASMatrix(matrix)
    ijk_to_ras = array_of(matrix)
    return corners @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]


def array_of(matrix: vtkMatrix4x4) -> np.ndarray:
    """Return a VTK matrix as an array of shape (4, 4)."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def pixels_of(window: vtkRenderWindow) -> np.ndarray:
    """Return what a window shows, shape (rows, columns, 3), uint8."""
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    columns, rows, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3].copy()


def save(pixels: np.ndarray, path: Path) -> None:
    """Write a picture with at most 256 colours: a third of the bytes, and no difference to the eye."""
    Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}  {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
