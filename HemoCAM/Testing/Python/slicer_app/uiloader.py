"""A .ui file to widgets: Qt's own loader, with Slicer's widgets, and the connections of the file checked."""

from __future__ import annotations

from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools

from . import widgets
from .pythonqt import wrap


def load(path: str, parent=None):
    """Load ``path``; fails where the file names a widget, an enumerator or a signal that does not exist."""
    tree = ElementTree.parse(path)
    own = set(widgets.CTK + widgets.MRML)
    enumerations = []
    for element in tree.iter("widget"):
        if element.get("class") not in own:
            continue
        for entry in list(element.findall("property")):
            for kind in ("enum", "set"):  # PySide knows no enumerations of classes in Python
                if entry.find(kind) is not None:
                    enumerations.append((element.get("name"), entry.get("name"), entry.find(kind).text))
                    element.remove(entry)
    connections = tree.getroot().find("connections")
    wanted = [] if connections is None else list(connections.findall("connection"))
    if connections is not None:
        tree.getroot().remove(connections)
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(tree.getroot(), encoding="utf-8"))
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    loader = QtUiTools.QUiLoader()
    for name in own:
        loader.registerCustomWidget(getattr(widgets, name))
    root = loader.load(buffer, parent)
    if root is None:
        raise RuntimeError(loader.errorString())

    def named(name):
        found = root if root.objectName() == name else root.findChild(QtCore.QObject, name)
        assert found is not None, f"no widget {name}"
        return found

    for name, attribute, text in enumerations:
        widget = named(name)
        names = [part.strip().split("::")[-1] for part in text.split("|")]
        widget._enumeration(attribute, names)
    for entry in wanted:
        sender, receiver = named(entry.find("sender").text), named(entry.find("receiver").text)
        slot = entry.find("slot").text.split("(")[0]
        assert hasattr(type(receiver), slot), f"{type(receiver).__name__} has no slot {slot}"
        wrap(sender).connect(entry.find("signal").text, getattr(receiver, slot))
    return root
