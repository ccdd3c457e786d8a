"""The folder of the subject hierarchy that holds the results of one CT."""

from __future__ import annotations

from collections.abc import Iterable

import slicer

from .changes import Changes

# An attribute of the folder's item: it is found again under any name, and after a scene was loaded.
FOLDER = "HemoCAM.folder"
# Without Slicer's plugins nobody claims the items; so their owners are named here as Slicer would name them.
_OWNERS = (
    ("vtkMRMLSegmentationNode", "Segmentations"),
    ("vtkMRMLLabelMapVolumeNode", "LabelMaps"),
    ("vtkMRMLScalarVolumeNode", "Volumes"),
    ("vtkMRMLTableNode", "Tables"),
    ("vtkMRMLPlotChartNode", "Plots"),
    ("vtkMRMLPlotSeriesNode", "Plots"),
)


def folder_of(scene: slicer.vtkMRMLScene, nodes: Iterable[slicer.vtkMRMLNode]) -> int:
    """Return the item of the results' folder that one of ``nodes`` lies in; 0 if none does."""
    hierarchy = _hierarchy(scene)
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        parent = hierarchy.GetItemParent(item) if item else 0
        if parent and hierarchy.GetItemAttribute(parent, FOLDER):
            return parent
    return 0


def put_in_folder(
    changes: Changes,
    scene: slicer.vtkMRMLScene,
    ct_node: slicer.vtkMRMLNode,
    nodes: Iterable[slicer.vtkMRMLNode],
    new: Iterable[slicer.vtkMRMLNode],
) -> int:
    """Put ``new`` nodes into the folder of a CT's results; return its item.

    It is the folder that others of ``nodes`` lie in, else one left empty or a new one beside the CT (under the
    same study). What a user moved elsewhere stays there.
    """
    hierarchy = _hierarchy(scene)
    folder = folder_of(scene, nodes) or _beside(changes, hierarchy, ct_node)
    for node in new:
        add_item(hierarchy, node, folder)
    return folder


def add_item(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, node: slicer.vtkMRMLNode, folder: int) -> None:
    """Put a node's item into a folder; make the item where nobody has."""
    item = hierarchy.GetItemByDataNode(node)
    if item:  # a running Slicer has made it already
        hierarchy.SetItemParent(item, folder)
    else:
        item = hierarchy.CreateItem(folder, node)
        hierarchy.SetItemOwnerPluginName(item, next(owner for kind, owner in _OWNERS if node.IsA(kind)))


def remove_folder(scene: slicer.vtkMRMLScene, folder: int) -> None:
    """Remove a folder of results that is empty, or holds the CT only, which takes the folder's place."""
    hierarchy = _hierarchy(scene)
    if not folder or not hierarchy.GetItemAttribute(folder, FOLDER):
        return
    children = _children(hierarchy, folder)
    left = [hierarchy.GetItemDataNode(child) for child in children]
    if len(left) > 1 or any(node is None or node.IsA("vtkMRMLSegmentationNode") for node in left):
        return
    for child in children:
        hierarchy.SetItemParent(child, hierarchy.GetItemParent(folder))
    hierarchy.RemoveItem(folder, False, False)


def _beside(
    changes: Changes, hierarchy: slicer.vtkMRMLSubjectHierarchyNode, ct_node: slicer.vtkMRMLNode
) -> int:
    name = f"HemoCAM {ct_node.GetName()}"
    item = hierarchy.GetItemByDataNode(ct_node)
    parent = hierarchy.GetItemParent(item) if item else hierarchy.GetSceneItemID()
    for candidate in (parent, *_children(hierarchy, parent)):
        mine = hierarchy.GetItemAttribute(candidate, FOLDER) and hierarchy.GetItemName(candidate) == name
        others = [child for child in _children(hierarchy, candidate) if child != item]
        if mine and not others:
            return candidate
    folder = hierarchy.CreateFolderItem(parent, name)
    changes.later(hierarchy.RemoveItem, folder, False, False)
    hierarchy.SetItemAttribute(folder, FOLDER, "1")
    if not hierarchy.GetItemOwnerPluginName(folder):
        hierarchy.SetItemOwnerPluginName(folder, "Folder")
    return folder


def _children(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, item: int) -> list[int]:
    count = hierarchy.GetNumberOfItemChildren(item)
    return [hierarchy.GetItemByPositionUnderParent(item, position) for position in range(count)]


def _hierarchy(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSubjectHierarchyNode:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
