"""The scene: what is left of it after a file, and what it looks like in Slicer's views."""

import re

import numpy as np
import slicer
from HemoCAMLib import scene as scenes
from HemoCAMLib.scene.colors import heat_rgb
from scene_cases import AWKWARD, PEAK, SHAPE, make_content, named
from vtkmodules.util import numpy_support

TERMS = {
    "category": "SCT^49755003^Morphologically Altered Structure",
    "type": "SCT^50960005^Hemorrhage",
    "region": "SCT^12738006^Brain",
}


def column(node, name):
    values = node.GetTable().GetColumnByName(name)
    return [values.GetValue(row) for row in range(values.GetNumberOfValues())]


def test_voxels_come_back_exactly(loaded, content):
    for name, volume in (
        ("CT", content.ct),
        ("CT heat map", content.heatmap),
        ("CT raw map", content.raw_map),
    ):
        back = scenes.node_to_volume(named(loaded, name))
        assert back.array.dtype == volume.array.dtype
        np.testing.assert_array_equal(back.array, volume.array)
        np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-9)


def test_display_settings_come_back(loaded):
    ct = named(loaded, "CT").GetScalarVolumeDisplayNode()
    assert (ct.GetWindow(), ct.GetLevel(), ct.GetAutoWindowLevel()) == (80, 40, 0)
    heat = named(loaded, "CT heat map").GetScalarVolumeDisplayNode()
    assert (heat.GetWindow(), heat.GetLevel(), heat.GetAutoWindowLevel()) == (1, 0.5, 0)
    assert heat.GetApplyThreshold() and not heat.GetAutoThreshold()
    assert 0 < heat.GetLowerThreshold() < 0.05 and heat.GetUpperThreshold() == 1
    assert not named(loaded, "CT raw map").GetDisplayVisibility()
    colors = heat.GetColorNode()
    assert colors.GetName() == "HemoCAM heat" and not colors.GetHideFromEditors()
    table = numpy_support.vtk_to_numpy(colors.GetLookupTable().GetTable())
    np.testing.assert_allclose(table[:, :3] / 255.0, heat_rgb(), atol=1.01 / 255)
    assert (table[:, 3] == 255).all() and colors.GetLookupTable().GetRange() == (0.0, 255.0)


def test_heat_colors_grow_lighter_evenly():
    linear = np.where(heat_rgb() <= 0.04045, heat_rgb() / 12.92, ((heat_rgb() + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert steps.min() > 0 and steps.max() < 3 * steps.mean()


def test_segmentations_come_back(loaded, content):
    masks = {
        "CT CAM mask": ("Hemorrhage (CAM)", content.mask),
        "CT reference": ("Hemorrhage (reference)", content.reference),
    }
    colors = set()
    for name, (segment_name, mask) in masks.items():
        node = named(loaded, name)
        back = scenes.segmentation_to_volume(node)
        assert back.name == segment_name and node.GetSegmentation().GetNumberOfSegments() == 1
        assert_same_voxels_at_same_place(back, mask)
        segment = node.GetSegmentation().GetNthSegment(0)
        colors.add(tuple(np.round(segment.GetColor(), 3)))
        assert_coded(tag(segment))
        display = node.GetDisplayNode()
        assert display.GetVisibility2DOutline() and not display.GetVisibility2DFill()
        reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
        assert reference.GetName() == "CT"
    assert len(colors) == 2


def tag(segment):
    """The terminology of a segment, whichever way this Slicer keeps it."""
    return (
        segment.GetTerminology()
        if hasattr(segment, "GetTerminology")
        else segment.GetTag(segment.GetTerminologyEntryTagName(), "")
    )


def assert_coded(entry):
    parts = entry.split("~")
    assert (parts[1], parts[2], parts[5]) == (TERMS["category"], TERMS["type"], TERMS["region"])


def assert_same_voxels_at_same_place(volume, original, tolerance_mm=1e-3):
    found = volume.ras(np.argwhere(volume.array)[:, ::-1])
    wanted = original.ras(np.argwhere(original.array)[:, ::-1])
    assert found.shape == wanted.shape
    if len(wanted):
        distances = np.linalg.norm(found[:, None] - wanted[None], axis=-1)
        assert distances.min(axis=0).max() <= tolerance_mm and distances.min(axis=1).max() <= tolerance_mm


def test_empty_mask_keeps_its_segment(tmp_path):
    scene = scenes.new_scene()
    nodes = scenes.add_results(scene, make_content(empty=True))
    scenes.save_scene(scene, tmp_path / "empty.mrb")
    node = named(scenes.load_scene(tmp_path / "empty.mrb"), "CT CAM mask")
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    assert not scenes.segmentation_to_volume(node).array.any()
    scenes.write_segmentation(nodes.mask, tmp_path / "empty.seg.nrrd")
    header = (tmp_path / "empty.seg.nrrd").read_bytes().split(b"\n\n")[0].decode()
    assert "Segment0_Name:=Hemorrhage (CAM)" in header
    assert_coded(re.search("TerminologyEntry:(.*)", header).group(1))


def test_tables_come_back(loaded, content):
    slices = named(loaded, "CT slices")
    rows = content.slices
    assert column(slices, "slice") == [row.index for row in rows]
    assert slices.GetTable().GetColumnByName("slice").GetDataTypeAsString() == "int"
    # Slicer writes tables with six digits.
    np.testing.assert_allclose(column(slices, "position_mm"), [row.position_mm for row in rows], rtol=1e-5)
    for label in content.classes:
        np.testing.assert_allclose(
            column(slices, label), [row.probabilities[label] for row in rows], atol=1e-6
        )
    assert column(slices, "gated") == [row.gated for row in rows]
    assert column(slices, "acquired") == [row.acquired for row in rows]
    comparison = named(loaded, "CT comparison")
    assert column(comparison, "Metric name") == ["Dice coefficient", "Reference"]
    assert column(comparison, "Metric value") == ["0.123457", "the 'gold' standard"]


def test_plot_comes_back(loaded):
    chart = named(loaded, "CT probability")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    curve, gate = chart.GetNthPlotSeriesNode(0), chart.GetNthPlotSeriesNode(1)
    assert curve.GetTableNode() is named(loaded, "CT slices")
    assert curve.IsXColumnRequired()  # else Slicer draws over row numbers
    assert (curve.GetXColumnName(), curve.GetYColumnName()) == ("position_mm", "any")
    assert column(gate.GetTableNode(), gate.GetYColumnName()) == [0.5, 0.5]
    assert gate.GetTableNode().GetHideFromEditors()
    assert not chart.GetYAxisRangeAuto() and tuple(chart.GetYAxisRange()) == (0, 1)
    assert "mm" in chart.GetXAxisTitle() and chart.GetYAxisTitle() == "Probability"
    plot_view = loaded.GetFirstNodeByClass("vtkMRMLPlotViewNode")
    assert plot_view.GetPlotChartNode() is chart
    selection = loaded.GetFirstNodeByClass("vtkMRMLSelectionNode")
    assert selection.GetActivePlotChartID() == chart.GetID()
    assert selection.GetActiveTableID() == named(loaded, "CT slices").GetID()


def test_subject_hierarchy_comes_back(loaded):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(loaded)
    folder = hierarchy.GetItemByName("HemoCAM CT")
    items = range(hierarchy.GetNumberOfItemChildren(folder))
    names = [hierarchy.GetItemName(hierarchy.GetItemByPositionUnderParent(folder, item)) for item in items]
    wanted = (
        "CT",
        "CT heat map",
        "CT CAM mask",
        "CT reference",
        "CT probability",
        "CT slices",
        "CT comparison",
    )
    assert set(wanted) <= set(names) and "CT raw map" in names
    assert hierarchy.GetItemOwnerPluginName(hierarchy.GetItemByDataNode(named(loaded, "CT"))) == "Volumes"


def test_description_comes_back(loaded):
    for name in ("CT heat map", "CT CAM mask", "CT raw map"):
        node = named(loaded, name)
        assert node.GetAttribute("HemoCAM.method") == "HiResCAM" and node.GetAttribute("HemoCAM.stage") == "5"
        assert node.GetAttribute("HemoCAM.model") == AWKWARD
        assert node.GetAttribute("HemoCAM.thresholds") == '{"HiResCAM": 0.4}'


def test_the_reference_does_not_claim_to_be_a_map(loaded):
    assert not [name for name in named(loaded, "CT reference").GetAttributeNames() if "HemoCAM" in name]


def rendered(scene, view, size=128):
    """What Slicer's slice logic draws in a view: RGB, (rows from the bottom, columns, 3)."""
    colors = slicer.vtkMRMLColorLogic()
    colors.SetMRMLScene(scene)  # the application's gray comes with the application
    node = scene.GetSingletonNode(view, "vtkMRMLSliceNode")
    node.SetDimensions(size, size, 1)
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLScene(scene)
    logic.SetSliceNode(node)
    logic.UpdatePipeline()
    connection = logic.GetImageDataConnection()
    connection.GetProducer().Update()
    image = connection.GetProducer().GetOutputDataObject(connection.GetIndex())
    picture = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size, size, -1)
    to_ras = np.array([[node.GetXYToRAS().GetElement(r, c) for c in range(4)] for r in range(4)])
    return picture[..., :3].astype(int).copy(), to_ras


def test_views_show_the_map_over_the_ct_at_its_peak(saved, content):
    scene = scenes.load_scene(saved[0])
    for view in ("Red", "Yellow", "Green"):
        composite = scene.GetSingletonNode(view, "vtkMRMLSliceCompositeNode")
        assert composite.GetBackgroundVolumeID() == named(scene, "CT").GetID()
        assert composite.GetForegroundVolumeID() == named(scene, "CT heat map").GetID()
        assert composite.GetForegroundOpacity() == 0.5
    picture, to_ras = rendered(scene, "Red")
    rows, columns = np.indices(picture.shape[:2])
    ras = np.stack([columns, rows, 0 * rows, 0 * rows + 1], axis=-1) @ to_ras.T
    ijk = content.ct.ijk(ras[..., :3])
    # The view lies in the plane of the slice with the peak, whole, left on the right, front at the top.
    assert np.abs(ijk[..., 2] - PEAK[0]).max() < 1e-3
    assert (ijk[..., :2].min(axis=(0, 1)) <= 0).all()
    assert (ijk[..., :2].max(axis=(0, 1)) >= (SHAPE[2] - 1, SHAPE[1] - 1)).all()
    assert ras[0, 0, 0] > ras[0, -1, 0] and ras[-1, 0, 1] > ras[0, 0, 1]
    i, j = np.rint(ijk[..., 0]).astype(int), np.rint(ijk[..., 1]).astype(int)
    inside = (i >= 0) & (j >= 0) & (i < SHAPE[2]) & (j < SHAPE[1])
    heat = np.zeros(picture.shape[:2])
    heat[inside] = content.heatmap.array[PEAK[0], j[inside], i[inside]]
    colorful = np.ptp(picture, axis=-1) > 20
    assert colorful[heat > 0.2].all()
    # Where the map is 0 (beyond the reach of interpolation), the CT is as gray as without a map.
    padded = np.pad(content.heatmap.array[PEAK[0]], 2)
    near = np.max([np.roll(padded, (a, b), (0, 1)) for a in range(-2, 3) for b in range(-2, 3)], axis=0)[
        2:-2, 2:-2
    ]
    clear = np.zeros_like(inside)
    clear[inside] = near[j[inside], i[inside]] == 0
    assert clear.any() and np.ptp(picture[clear], axis=-1).max() == 0
    # The peak has the colour of 1 at half opacity over the windowed CT.
    hu = content.ct.array[PEAK]
    gray = np.clip(hu / 80.0, 0, 1)
    row, col = np.unravel_index(np.argmin(np.linalg.norm(ijk[..., :2] - PEAK[:0:-1], axis=-1)), heat.shape)
    np.testing.assert_allclose(picture[row, col] / 255.0, 0.5 * gray + 0.5 * heat_rgb()[-1], atol=0.15)
