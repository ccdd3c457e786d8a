"""The widgets of Slicer and CTK that the panel uses, with the properties, signals and methods of the originals."""

# ruff: noqa: N801, N815  (the names are Slicer's)

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal, Slot

CTK = ("ctkCollapsibleButton", "ctkSliderWidget", "ctkPathLineEdit")
MRML = ("qMRMLWidget", "qMRMLNodeComboBox")


def plain(kind, name, default, changed=None):
    """A property that only keeps its value; ``changed`` names a method to call then."""
    field = f"_{name}"

    def get(self):
        return self.__dict__.get(field, default)

    def put(self, value):
        self.__dict__[field] = value
        if changed:
            getattr(self, changed)()

    return Property(kind, get, put)


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)

    showHidden = plain(bool, "showHidden", False, "_update")
    showChildNodeTypes = plain(bool, "showChildNodeTypes", True, "_update")
    noneEnabled = plain(bool, "noneEnabled", False, "_update")
    addEnabled = plain(bool, "addEnabled", True)
    removeEnabled = plain(bool, "removeEnabled", True)
    renameEnabled = plain(bool, "renameEnabled", False)
    editEnabled = plain(bool, "editEnabled", False)
    selectNodeUponCreation = plain(bool, "selectNodeUponCreation", True)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._types = []
        self._scene = self._current = None
        self._tags = []
        self._combo = QtWidgets.QComboBox()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.activated.connect(self._picked)

    def _get_types(self):
        return list(self._types)

    def _set_types(self, types):
        self._types = list(types)
        self._update()

    nodeTypes = Property("QStringList", _get_types, _set_types)

    def _get_id(self):
        return self._current.GetID() if self._current else ""

    def setCurrentNodeID(self, node_id):
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene and node_id else None)

    currentNodeID = Property(str, _get_id, setCurrentNodeID)

    def mrmlScene(self):
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent)
            self._tags = [scene.AddObserver(event, lambda *_: self._update()) for event in events]
        self._update()

    def currentNode(self):
        return self._current

    @Slot(object)
    def setCurrentNode(self, node):
        if node is not None and node not in self._nodes():
            node = None
        if node is None and not self.noneEnabled and self._nodes() and self._current in self._nodes():
            node = self._current  # there is no entry for "none"
        self._become(node)

    def nodeCount(self):
        return len(self._nodes())

    def _nodes(self):
        if self._scene is None:
            return []
        found = []
        for index in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(index)
            fits = any(
                node.IsA(name) if self.showChildNodeTypes else node.GetClassName() == name
                for name in self._types
            )
            if fits and (self.showHidden or not node.GetHideFromEditors()):
                found.append(node)
        return found

    def _update(self):
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        nodes = self._nodes()
        current = self._current if self._current in nodes else None
        if current is None and not self.noneEnabled and nodes:
            current = nodes[0]
        self._become(current)

    def _become(self, node):
        nodes = ([None] if self.noneEnabled else []) + self._nodes()
        blocked = self._combo.blockSignals(True)
        self._combo.clear()
        for entry in nodes:
            self._combo.addItem(
                "None" if entry is None else entry.GetName(), None if entry is None else entry.GetID()
            )
        self._combo.setCurrentIndex(nodes.index(node) if node in nodes else -1)
        self._combo.blockSignals(blocked)
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(self._get_id())

    def _picked(self, index):
        self.setCurrentNodeID(self._combo.itemData(index))
        self.nodeActivated.emit(self._current)


class ctkCollapsibleButton(QtWidgets.QWidget):
    contentsCollapsed = Signal(bool)
    HEADER = 24

    def __init__(self, parent=None):
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self.setContentsMargins(4, self.HEADER + 2, 4, 4)

    def _get_text(self):
        return self._text

    def setText(self, text):
        self._text = text
        self.update()

    text = Property(str, _get_text, setText)

    def _get_collapsed(self):
        return self._collapsed

    @Slot(bool)
    def setCollapsed(self, collapsed):
        changed = collapsed != self._collapsed
        self._collapsed = collapsed
        self._apply()
        if changed:
            self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _get_collapsed, setCollapsed)

    def _apply(self):
        self.setMaximumHeight(self.HEADER if self._collapsed else 16777215)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                if self._collapsed and child.isVisibleTo(self):
                    child.setProperty("_folded", True)
                    child.setVisible(False)
                elif not self._collapsed and child.property("_folded"):
                    child.setProperty("_folded", False)
                    child.setVisible(True)
        self.updateGeometry()

    def showEvent(self, event):
        if self._collapsed:
            self._apply()
        super().showEvent(event)

    def mousePressEvent(self, event):
        if event.position().y() <= self.HEADER:
            self.setCollapsed(not self._collapsed)

    def paintEvent(self, event):
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), self.HEADER)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, 7, 10, 10)
        element = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(
            element.PE_IndicatorArrowRight if self._collapsed else element.PE_IndicatorArrowDown, arrow
        )
        painter.drawText(QtCore.QRect(22, 0, self.width() - 26, self.HEADER), 0x81, self._text)


class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = Signal(float)
    STEPS = 10000

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setMaximum(self.STEPS)
        self._box = QtWidgets.QDoubleSpinBox()
        self._box.setRange(0, 100)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._slider.valueChanged.connect(self._moved)
        self._box.valueChanged.connect(self._typed)

    def _span(self):
        return max(self._box.maximum() - self._box.minimum(), 1e-12)

    def _moved(self, step):
        self._box.setValue(self._box.minimum() + step / self.STEPS * self._span())

    def _typed(self, value):
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round((value - self._box.minimum()) / self._span() * self.STEPS))
        self._slider.blockSignals(blocked)
        self.valueChanged.emit(value)

    def _of_box(name, kind):  # noqa: N805
        getter, setter = name, f"set{name[0].upper()}{name[1:]}"

        def put(self, value):
            getattr(self._box, setter)(value)
            blocked = self._slider.blockSignals(True)
            self._slider.setValue(
                round((self._box.value() - self._box.minimum()) / self._span() * self.STEPS)
            )
            self._slider.blockSignals(blocked)

        return Property(kind, lambda self: getattr(self._box, getter)(), put)

    value = _of_box("value", float)
    minimum = _of_box("minimum", float)
    maximum = _of_box("maximum", float)
    singleStep = _of_box("singleStep", float)
    decimals = _of_box("decimals", int)
    pageStep = plain(float, "pageStep", 1.0)
    tracking = plain(bool, "tracking", True)


class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged = Signal(str)
    FILTERS = (
        "Dirs",
        "Files",
        "Drives",
        "NoSymLinks",
        "Readable",
        "Writable",
        "Executable",
        "NoDotAndDotDot",
    )

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit, self._filters = QtWidgets.QLineEdit(), []
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        button = QtWidgets.QToolButton()
        button.setText("...")
        layout.addWidget(button)
        self._edit.textChanged.connect(self.currentPathChanged)

    def _enumeration(self, name, values):
        assert name == "filters" and set(values) <= set(self.FILTERS), (name, values)
        self._filters = values

    def _get_path(self):
        return self._edit.text()

    def setCurrentPath(self, path):
        self._edit.setText(path)

    currentPath = Property(str, _get_path, setCurrentPath)
