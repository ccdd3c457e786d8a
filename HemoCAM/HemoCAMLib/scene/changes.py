"""Changes to a scene that happen as a whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import slicer

Value = TypeVar("Value")


class Changes:
    """What was changed in nodes that existed before, and how it is taken back."""

    def __init__(self) -> None:
        self._back: list[Callable[[], object]] = []

    def do(self, setter: Callable[[Value], object], new: Value, old: Value) -> None:
        """Call ``setter(new)``; taking back calls ``setter(old)``."""
        self.later(setter, old)
        setter(new)

    def later(self, step: Callable[..., object], *arguments: object) -> None:
        """Note a step that takes back what follows."""
        self._back.append(partial(step, *arguments))

    def attribute(self, node: slicer.vtkMRMLNode, key: str, text: str | None) -> None:
        """Set an attribute of a node; None removes it."""
        self.do(partial(node.SetAttribute, key), text, node.GetAttribute(key))

    def reference(self, node: slicer.vtkMRMLNode, role: str, other: slicer.vtkMRMLNode | None) -> None:
        """Let a node refer to another one in a role; None removes the reference."""
        new = None if other is None else other.GetID()
        self.do(partial(node.SetNodeReferenceID, role), new, node.GetNodeReferenceID(role))

    def take_back(self) -> None:
        """Take everything back, the last first; a step that fails does not keep the others from it."""
        while self._back:
            try:
                self._back.pop()()
            except Exception:
                logging.exception("A change to the scene could not be taken back.")


@contextmanager
def all_or_nothing(scene: slicer.vtkMRMLScene) -> Iterator[Changes]:
    """Change a scene as one step: views follow at the end, and "undo" takes it back where the scene allows it.

    If the body raises, nodes that it added are removed and its :class:`Changes` are taken back. Nodes are to be
    removed at the end of the body only, when nothing can fail any more.
    """
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)  # makes it where there is none yet
    scene.SaveStateForUndo()  # does nothing where undo is off
    known = {node.GetID() for node in all_nodes(scene)}
    changes = Changes()
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        yield changes
    except BaseException:
        changes.take_back()
        for node in reversed(all_nodes(scene)):
            if node.GetScene() is not None and node.GetID() not in known:
                remove_node(scene, node)
        raise
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)


def all_nodes(scene: slicer.vtkMRMLScene, class_name: str = "vtkMRMLNode") -> list[slicer.vtkMRMLNode]:
    """Return all nodes of a class and of those derived from it, in the scene's order."""
    count = scene.GetNumberOfNodesByClass(class_name)
    return [scene.GetNthNodeByClass(index, class_name) for index in range(count)]


def remove_node(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
    """Remove a node, its item of the subject hierarchy, and display and storage nodes that only it uses."""
    helpers = []
    if node.IsA("vtkMRMLDisplayableNode"):
        helpers += [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        helpers += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = 0 if node is hierarchy else hierarchy.GetItemByDataNode(node)
    if item:  # a running Slicer removes it with the node; nobody else does
        hierarchy.RemoveItem(item, False, False)
    scene.RemoveNode(node)
    for helper in helpers:
        if helper is None or helper.GetScene() is None:
            continue
        if not any(scene.IsNodeReferencingNodeID(other, helper.GetID()) for other in all_nodes(scene)):
            scene.RemoveNode(helper)
