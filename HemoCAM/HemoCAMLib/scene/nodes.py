"""Volumes to MRML volume nodes and back: same voxels, same IJK-to-RAS matrix, no copy where none is needed."""

from __future__ import annotations

import json

import numpy as np
import slicer
from vtkmodules.util import numpy_support
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..errors import InputError
from ..volumes.volume import Volume


def to_vtk_matrix(matrix: np.ndarray) -> vtkMatrix4x4:
    """Return a (4, 4) array as a VTK matrix."""
    result = vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=np.float64).ravel())
    return result


def from_vtk_matrix(matrix: vtkMatrix4x4) -> np.ndarray:
    """Return a VTK matrix as a (4, 4) float64 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def to_image_data(array: np.ndarray) -> vtkImageData:
    """Return voxels (K, J, I) as VTK image data, sharing the memory of ``array`` where VTK allows it.

    Copied are only arrays that are not contiguous (a flipped view), read-only, bool or of a type or byte order
    unknown to VTK. The array stays alive as long as the image; who changes it changes the image.
    """
    if array.dtype == bool:
        array = array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    array = np.require(array, dtype=array.dtype.newbyteorder("="), requirements=["C", "A", "W"])
    image = vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    scalars = numpy_support.numpy_to_vtk(array.reshape(-1))
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def from_image_data(image: vtkImageData) -> np.ndarray:
    """Return the voxels of VTK image data as an array (K, J, I) that shares its memory."""
    return numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def add_node(
    scene: slicer.vtkMRMLScene, class_name: str, name: str, hidden: bool = False
) -> slicer.vtkMRMLNode:
    """Add a node to the scene under ``name``, with a number behind it where the name is taken.

    A ``hidden`` one is so from the start: Slicer makes no item of the subject hierarchy for it.
    """
    name = scene.GenerateUniqueName(name)
    if not hidden:
        return scene.AddNewNodeByClass(class_name, name)
    node = getattr(slicer, class_name)()
    node.SetName(name)
    node.SetHideFromEditors(True)
    default = scene.GetDefaultNodeByClass(class_name)
    node.SetUndoEnabled(default is not None and default.GetUndoEnabled())
    return scene.AddNode(node)


def set_attributes(node: slicer.vtkMRMLNode, description: dict) -> None:
    """Write a description into a node's attributes ``HemoCAM.<key>``: text as it is, the rest as JSON."""
    for key, value in description.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        # One line each: volume nodes pass their attributes on to the header of the NRRD file.
        node.SetAttribute(f"HemoCAM.{key}", " ".join(text.split()))


def volume_to_node(
    scene: slicer.vtkMRMLScene,
    volume: Volume,
    name: str | None = None,
    class_name: str = "vtkMRMLScalarVolumeNode",
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a volume to the scene.

    Parameters
    ----------
    scene:
        Where the node goes.
    volume:
        Voxels and affine; oblique, sheared and left-handed grids stay as they are. See
        :func:`to_image_data` for when the voxels are copied.
    name:
        Name of the node; by default the volume's.
    class_name:
        ``vtkMRMLScalarVolumeNode`` or ``vtkMRMLLabelMapVolumeNode``.

    Returns
    -------
    The node, with its default display node, and a storage node that keeps every grid as it is.
    """
    node = add_node(scene, class_name, name or volume.name)
    node.SetIJKToRASMatrix(to_vtk_matrix(volume.ijk_to_ras))
    node.SetAndObserveImageData(to_image_data(volume.array))
    node.CreateDefaultDisplayNodes()
    # Slicer's usual storage node (through ITK) turns left-handed grids around when it reads them: every voxel
    # stays in place, but slice numbers change. This one does not, and it has a fast compression.
    storage = scene.AddNewNodeByClass("vtkMRMLNRRDStorageNode")
    storage.SetDefaultWriteFileExtension("nrrd")
    storage.SetCompressionParameter(storage.GetCompressionParameterFastest())
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node


def node_to_volume(node: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """Return a volume node as a volume in world RAS, sharing the node's voxels.

    Linear parent transforms are multiplied into the affine, so that the volume lies where Slicer shows it.

    Raises
    ------
    InputError
        If the node holds no voxels or several values a voxel, or lies under a transform that no affine can
        express.
    """
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise InputError(f"The volume '{node.GetName()}' is empty; load its voxels first.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"The volume '{node.GetName()}' has {image.GetNumberOfScalarComponents()} values a voxel, "
            "but a CT has one; choose a scalar volume."
        )
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    ijk_to_ras = world_matrix(node) @ from_vtk_matrix(matrix)
    return Volume(from_image_data(image), ijk_to_ras, node.GetName())


def local_affine(volume: Volume, node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Return the affine (4, 4) that places a volume of world RAS under the parent transform of a volume node.

    Where the volume lies on the node's own grid, it is the node's own matrix, to the last bit.

    Raises
    ------
    InputError
        If the node lies under a transform that no affine can express.
    """
    if node.GetParentTransformNode() is None:
        return volume.ijk_to_ras
    to_world = world_matrix(node)
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    own = from_vtk_matrix(matrix)
    image = node.GetImageData()
    if image is not None and image.GetDimensions()[::-1] == volume.shape:
        placed = Volume(volume.array, to_world @ own)
        if placed.same_grid(volume):
            return own
    return np.linalg.inv(to_world) @ volume.ijk_to_ras


def world_matrix(node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """Return the matrix (4, 4) of a node's parent transforms to world RAS.

    Raises
    ------
    InputError
        If one of them is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            f"'{node.GetName()}' lies under the non-linear transform '{transform.GetName()}'; "
            "harden the transform, or take the node out of it, and try again."
        )
    matrix = vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return from_vtk_matrix(matrix)
