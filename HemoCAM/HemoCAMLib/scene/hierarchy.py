"""The folder of the subject hierarchy that holds one result."""

from __future__ import annotations

from collections.abc import Iterable

import slicer

# Without Slicer's plugins nobody claims the items; so their owners are named here as Slicer would name them.
_OWNERS = (
    ("vtkMRMLSegmentationNode", "Segmentations"),
    ("vtkMRMLLabelMapVolumeNode", "LabelMaps"),
    ("vtkMRMLScalarVolumeNode", "Volumes"),
    ("vtkMRMLTableNode", "Tables"),
    ("vtkMRMLPlotChartNode", "Plots"),
    ("vtkMRMLPlotSeriesNode", "Plots"),
)


def add_folder(scene: slicer.vtkMRMLScene, name: str, nodes: Iterable[slicer.vtkMRMLNode]) -> int:
    """Add a folder to the subject hierarchy and put ``nodes`` into it; return the folder's item."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), name)
    if not hierarchy.GetItemOwnerPluginName(folder):
        hierarchy.SetItemOwnerPluginName(folder, "Folder")
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        if item:  # a running Slicer has made it already
            hierarchy.SetItemParent(item, folder)
        else:
            item = hierarchy.CreateItem(folder, node)
            hierarchy.SetItemOwnerPluginName(item, next(owner for kind, owner in _OWNERS if node.IsA(kind)))
    return folder
