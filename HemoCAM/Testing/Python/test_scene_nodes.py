"""Volumes to nodes and back, masks in files, and results in a scene that holds other things already."""

import gc

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from HemoCAMLib import scene as scenes
from HemoCAMLib.errors import InputError
from HemoCAMLib.scene import SceneContent, SliceRow
from HemoCAMLib.scene.nodes import from_image_data, to_image_data, to_vtk_matrix
from HemoCAMLib.volumes.volume import LPS_RAS, Volume
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene_cases import put_under, small
from scipy.spatial.transform import Rotation
from vtkmodules.vtkCommonDataModel import vtkImageData


def point_content(ct, voxel):
    """Map and mask of one voxel (k, j, i)."""
    heat = np.zeros(ct.shape, np.float32)
    heat[voxel] = 0.75
    rows = [SliceRow(0, 0.0, {"any": 0.5}, True)]
    return SceneContent(ct, ct.like(heat, "heat"), ct.like(heat > 0, "mask"), rows, ("any",), "any")


@st.composite
def geometry(draw):
    """Any grid a scanner or a converter makes: oblique, tilted, flipped, transposed, anisotropic, far away."""
    angles = draw(st.tuples(*[st.floats(-180, 180)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.2, 8.0)] * 3))
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    order = draw(st.permutations(range(3)))
    shear = np.eye(3)
    shear[1, 2] = draw(st.floats(-0.5, 0.5))  # a gantry tilted by up to 27 degrees
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, :3] = (matrix[:3, :3] @ shear @ np.diag(np.multiply(spacing, signs)))[:, order]
    matrix[:3, 3] = draw(st.tuples(*[st.floats(-2000, 2000)] * 3))
    shape = draw(st.tuples(*[st.integers(2, 6)] * 3))
    voxel = draw(st.tuples(*[st.integers(0, n - 1) for n in shape]))
    return matrix, shape, voxel


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(geometry())
def test_a_point_stays_where_it_is(tmp_path, given_geometry):
    matrix, shape, voxel = given_geometry
    ct = Volume(np.random.default_rng(0).integers(-1000, 2000, shape).astype(np.int16), matrix)
    content = point_content(ct, voxel)
    ras = ct.ras(np.array(voxel[::-1]))
    scene = scenes.new_scene()
    nodes = scenes.add_results(scene, content)
    scenes.save_scene(scene, tmp_path / "scene.mrb")
    loaded = scenes.load_scene(tmp_path / "scene.mrb")

    for name, volume in (("CT", ct), ("CT heat map", content.heatmap)):
        back = scenes.node_to_volume(loaded.GetFirstNodeByName(name))
        np.testing.assert_array_equal(back.array, volume.array)
        np.testing.assert_allclose(back.ijk_to_ras, matrix, atol=1e-6)

    back = scenes.segmentation_to_volume(loaded.GetFirstNodeByName("CT CAM mask"))
    (found,) = np.argwhere(back.array)
    np.testing.assert_allclose(back.ras(found[::-1]), ras, atol=1e-3)

    scenes.write_segmentation(nodes.mask, tmp_path / "mask.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "mask.seg.nrrd"))
    assert image.GetSize() == shape[::-1]
    (found,) = np.argwhere(sitk.GetArrayFromImage(image))
    lps = image.TransformIndexToPhysicalPoint([int(index) for index in found[::-1]])
    np.testing.assert_allclose(LPS_RAS[:3, :3] @ lps, ras, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.uint8, np.float32, np.float64])
def test_voxels_are_shared_not_copied(dtype):
    scene = scenes.new_scene()
    array = np.arange(60, dtype=dtype).reshape(3, 4, 5)
    node = scenes.volume_to_node(scene, small(array))
    assert np.shares_memory(from_image_data(node.GetImageData()), array)
    assert np.shares_memory(scenes.node_to_volume(node).array, array)
    assert scenes.node_to_volume(node).array.dtype == dtype


def test_shared_voxels_outlive_their_array():
    scene = scenes.new_scene()
    node = scenes.volume_to_node(scene, small(np.full((20, 100, 100), 7, np.int16)))
    gc.collect()
    rubbish = [np.full((20, 100, 100), 1, np.int16) for _ in range(20)]
    assert (from_image_data(node.GetImageData()) == 7).all()
    assert len(rubbish) == 20


@pytest.mark.parametrize(
    "array",
    [
        np.arange(60, dtype=np.int16).reshape(3, 4, 5)[::-1, :, ::-1],
        np.arange(60, dtype=np.int16).reshape(5, 4, 3).transpose(2, 1, 0),
        np.broadcast_to(np.float32(1.5), (3, 4, 5)),
        np.arange(60).reshape(3, 4, 5) % 2 == 0,
        np.arange(60, dtype=">i2").reshape(3, 4, 5),
        np.arange(60, dtype=np.float16).reshape(3, 4, 5),
        np.arange(60, dtype=np.int64).reshape(3, 4, 5) << 40,
    ],
    ids=["flipped", "transposed", "read-only", "bool", "big-endian", "half", "int64"],
)
def test_any_array_gives_its_voxels(array):
    np.testing.assert_array_equal(from_image_data(to_image_data(array)), array)


@pytest.mark.parametrize("name", ["3: Head 5.0 H31s", "Schädel/β", "a|b^c%20", "CT <1> & 'two'"])
def test_any_name_survives_a_file(tmp_path, name):
    scene = scenes.new_scene()
    scenes.add_results(scene, point_content(small(name=name), (1, 2, 3)))
    path = tmp_path / f"{'ä' if name.isascii() else 'a'}.mrb"
    scenes.save_scene(scene, path)
    loaded = scenes.load_scene(path)
    for suffix in ("", " heat map", " CAM mask", " slices"):
        assert loaded.GetFirstNodeByName(name + suffix) is not None
    assert loaded.GetFirstNodeByName(name).GetImageData().GetScalarRange() == (0.0, 59.0)
    assert loaded.GetFirstNodeByName(f"{name} slices").GetTable().GetNumberOfRows() == 1
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(loaded)
    assert hierarchy.GetItemByName(f"HemoCAM {name}")


def test_linear_transforms_are_honoured():
    scene = scenes.new_scene()
    node = scenes.volume_to_node(scene, small())
    outer, inner = np.eye(4), np.eye(4)
    outer[:3, :3], outer[:3, 3] = Rotation.from_euler("z", 30, degrees=True).as_matrix(), (10, -20, 30)
    inner[:3, 3] = (0, 5, 0)
    first = put_under(scene, node, inner)
    put_under(scene, first, outer)
    np.testing.assert_allclose(
        scenes.node_to_volume(node).ijk_to_ras, outer @ inner @ small().ijk_to_ras, atol=1e-12
    )


def test_results_lie_on_a_transformed_ct():
    scene = scenes.new_scene()
    node = scenes.volume_to_node(scene, small())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_euler("x", 20, degrees=True).as_matrix(), (1, 2, 3)
    put_under(scene, node, matrix)
    ct = scenes.node_to_volume(node)
    nodes = scenes.add_results(scene, point_content(ct, (1, 2, 3)), node)
    (found,) = np.argwhere(scenes.segmentation_to_volume(nodes.mask).array)
    np.testing.assert_allclose(
        scenes.segmentation_to_volume(nodes.mask).ras(found[::-1]), ct.ras(np.array([3, 2, 1])), atol=1e-9
    )
    # They lie under the CT's own transform, in its frame: moved with it.
    reference = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        nodes.mask.GetSegmentation().GetConversionParameter("Reference image geometry"), reference, False
    )
    got = to_vtk_matrix(np.eye(4))
    reference.GetImageToWorldMatrix(got)
    elements = [got.GetElement(row, column) for row in range(4) for column in range(4)]
    np.testing.assert_allclose(np.reshape(elements, (4, 4)), small().ijk_to_ras, atol=1e-6)
    assert nodes.mask.GetTransformNodeID() == nodes.heatmap.GetTransformNodeID() == node.GetTransformNodeID()


def test_what_is_no_ct_gets_a_sentence():
    scene = scenes.new_scene()
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(InputError, match="'nothing' is empty"):
        scenes.node_to_volume(empty)
    image = vtkImageData()
    image.SetDimensions(2, 2, 2)
    image.AllocateScalars(3, 3)
    color = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colour")
    color.SetAndObserveImageData(image)
    with pytest.raises(InputError, match="3 values a voxel"):
        scenes.node_to_volume(color)
    bent = scenes.volume_to_node(scene, small(), "bent")
    grid = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    grid.SetAndObserveTransformFromParent(slicer.vtkOrientedGridTransform())
    bent.SetAndObserveTransformNodeID(grid.GetID())
    with pytest.raises(InputError, match=r"non-linear transform 'warp'; harden"):
        scenes.node_to_volume(bent)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "no segments")
    with pytest.raises(InputError, match="has no segment"):
        scenes.segmentation_to_volume(segmentation)


def test_what_does_not_fit_together_is_refused():
    ct, rows = small(), [SliceRow(0, 0.0, {"any": 0.5}, True)]
    heat = ct.like(np.zeros(ct.shape, np.float32), "heat")
    moved = Volume(heat.array, heat.ijk_to_ras + np.eye(4)[:, [3, 3, 3, 0]] * 0.5)
    with pytest.raises(ValueError, match="heatmap does not lie"):
        SceneContent(ct, moved, heat, rows, ("any",), "any")
    with pytest.raises(ValueError, match="none of the classes"):
        SceneContent(ct, heat, heat, rows, ("any",), "SDH")
    with pytest.raises(ValueError, match="repeat"):
        SceneContent(ct, heat, heat, rows, ("any", "any"), "any")


def test_an_existing_scene_keeps_what_it_has():
    scene = scenes.new_scene()
    other = scenes.volume_to_node(scene, small(), "other")
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetSingletonTag("Red")
    composite = scene.AddNode(composite)
    composite.SetBackgroundVolumeID(other.GetID())
    node = scenes.volume_to_node(scene, small(), "head")
    node.GetScalarVolumeDisplayNode().SetAutoWindowLevel(False)
    node.GetScalarVolumeDisplayNode().SetWindowLevel(123, 45)
    before = [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]

    content = point_content(scenes.node_to_volume(node), (1, 2, 3))
    first = scenes.add_results(scene, content, node)
    second = scenes.add_results(scene, content, node)

    after = [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]
    assert set(before) < set(after)
    assert first.ct is node and node.GetName() == "head"
    assert node.GetScalarVolumeDisplayNode().GetWindow() == 123
    assert composite.GetBackgroundVolumeID() == other.GetID() and not composite.GetForegroundVolumeID()
    assert first.heatmap is second.heatmap and len(after) == len(set(after))
    assert first.colors is second.colors
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemByDataNode(first.heatmap) and not hierarchy.GetItemByDataNode(other)

    scenes.show_results(scene, second)
    assert composite.GetBackgroundVolumeID() == node.GetID()
    assert composite.GetForegroundVolumeID() == second.heatmap.GetID()


def test_results_of_a_ct_that_was_moved_are_refused():
    scene = scenes.new_scene()
    node = scenes.volume_to_node(scene, small(), "head")
    content = point_content(scenes.node_to_volume(node), (1, 2, 3))
    shift = np.eye(4)
    shift[0, 3] = 1.0
    put_under(scene, node, shift)
    count = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="'head' has been moved"):
        scenes.add_results(scene, content, node)
    assert scene.GetNumberOfNodes() == count


def test_writing_a_segmentation_leaves_its_node_alone(tmp_path):
    scene = scenes.new_scene()
    nodes = scenes.add_results(scene, point_content(small(), (1, 2, 3)))
    storage, count = nodes.mask.GetStorageNodeID(), scene.GetNumberOfNodes()
    scenes.write_segmentation(nodes.mask, tmp_path / "a b.seg.nrrd")
    assert nodes.mask.GetStorageNodeID() == storage and scene.GetNumberOfNodes() == count
    assert [file.name for file in tmp_path.iterdir()] == ["a b.seg.nrrd"]
    assert str(tmp_path).encode() not in (tmp_path / "a b.seg.nrrd").read_bytes()
