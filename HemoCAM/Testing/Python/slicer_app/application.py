"""``slicer.app``, ``slicer.modules``, translation: as much of the application as the module touches."""

# ruff: noqa: N815  (the names are Slicer's)

from __future__ import annotations

import tempfile
import types
from pathlib import Path

from PySide6 import QtCore, QtWidgets

from .pythonqt import class_of, unwrap, wrap

TRANSLATIONS: dict[tuple[str, str], str] = {}


def translate(context: str, text: str) -> str:
    return TRANSLATIONS.get((context, text), text)


def tr(text: str) -> str:
    """Slicer finds the context by the calling file; here one for all."""
    return translate("HemoCAM", text)


class ModuleManager:
    """Modules by name; tells before one is unloaded."""

    def __init__(self, slicer):
        self._slicer, self._unloading = slicer, []

    def connect(self, signal, slot):
        assert signal == "moduleAboutToBeUnloaded(QString)"
        self._unloading.append(slot)

    def disconnect(self, signal, slot):
        self._unloading.remove(slot)

    def module(self, name):
        return getattr(self._slicer.modules, name.lower(), None)

    def unload(self, name):
        for slot in list(self._unloading):
            slot(name)


class LayoutManager:
    """Which views are shown."""

    def __init__(self):
        self.layout = 3

    def setLayout(self, layout):
        self.layout = int(layout)


class Application:
    """The parts of qSlicerApplication that are called."""

    applicationName = "Slicer"

    def __init__(self, slicer):
        self._qt = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
        self._modules, self._layouts = ModuleManager(slicer), LayoutManager()
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-app-")
        self.startup = []
        self.cursors = 0

    def connect(self, signal, slot):
        assert signal == "startupCompleted()", signal
        self.startup.append(slot)

    def processEvents(self):
        self._qt.processEvents()

    def testingEnabled(self):
        return True

    def topLevelWidgets(self):
        return wrap(self._qt.topLevelWidgets())

    def moduleManager(self):
        return self._modules

    def layoutManager(self):
        return self._layouts

    def setOverrideCursor(self, cursor):
        self.cursors += 1
        self._qt.setOverrideCursor(unwrap(cursor))

    def restoreOverrideCursor(self):
        self.cursors -= 1
        self._qt.restoreOverrideCursor()

    def translate(self, context, text):
        return translate(context, text)

    def userSettings(self):
        path = str(Path(self._folder.name) / "Slicer.ini")
        return class_of(QtCore.QSettings)(path, QtCore.QSettings.Format.IniFormat)


class ScriptedModuleWidget:
    """What ``widgetRepresentation()`` returns for a scripted module."""

    def __init__(self, python):
        self._python = python

    def self(self):
        return self._python


class Module:
    """A module of the application."""

    def __init__(self, name, path="", python=None):
        self.name, self.path, self._python = name, path, python

    def widgetRepresentation(self):
        return ScriptedModuleWidget(self._python)


class SegmentEditor:
    """The editor widget of the module Segment Editor: what it was given."""

    segmentation = source = None

    def setSegmentationNode(self, node):
        self.segmentation = node

    def setSourceVolumeNode(self, node):
        self.source = node


class MainWindow(QtWidgets.QMainWindow):
    """Slicer's main window, never shown: it has the module selector."""

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = ModuleSelector()

    def moduleSelector(self):
        return self._selector


class ModuleSelector:
    """Which module is open."""

    selectedModule = ""

    def selectModule(self, name):
        self.selectedModule = name


CONVERSIONS = (
    "vtkBinaryLabelmapToClosedSurfaceConversionRule",
    "vtkClosedSurfaceToBinaryLabelmapConversionRule",
)


def start(slicer) -> types.SimpleNamespace:
    """Give ``slicer`` its application, its modules and a scene."""
    from HemoCAMLib.scene import new_scene

    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    for name in CONVERSIONS:  # as Slicer's Segmentations module does; undo cannot copy segments without
        if name not in {rule.GetClassName() for rule in factory.GetConverterRules()}:
            factory.RegisterConverterRule(getattr(slicer, name)())
    slicer.app = Application(slicer)
    slicer.qSlicerScriptedLoadableModuleWidget = ScriptedModuleWidget
    module = Path(__file__).resolve().parents[3] / "HemoCAM.py"
    slicer.modules = types.SimpleNamespace(hemocam=Module("HemoCAM", str(module)))
    slicer.mrmlScene = new_scene()
    window = MainWindow()
    return types.SimpleNamespace(app=slicer.app, window=window)


def start_segment_editor(slicer) -> SegmentEditor:
    """Add the module Segment Editor; return its editor."""
    editor = SegmentEditor()
    slicer.modules.segmenteditor = Module("SegmentEditor", python=types.SimpleNamespace(editor=editor))
    return editor
