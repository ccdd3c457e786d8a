"""What 3D Slicer's application has and the package ``slicer-core`` lacks, for tests: nothing else.

``slicer-core`` holds Slicer's own MRML and Slicer's own ``slicer.util``; here are the modules ``qt`` and ``ctk``, the
scripted module base classes, the parameter node wrapper, translation, ``slicer.app`` and the few widgets that the
panel uses. Qt itself is PySide6's, behind objects that behave as PythonQt's do (:mod:`.pythonqt`): properties are
attributes, signals are connected by their C++ signatures, and what Qt does not have fails.

The code under test must not know of it: it imports ``qt`` and ``slicer`` as it would in Slicer.
"""

from __future__ import annotations

import sys
import types

__all__ = ["install", "why_not"]


def why_not() -> str:
    """Return why Qt cannot be used here, "" if it can."""
    import os

    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        from PySide6 import QtUiTools, QtWidgets  # noqa: F401
    except ImportError as error:
        return f"PySide6 cannot be loaded here ({error}); on Debian install libegl1 and libgl1"
    return ""


def install() -> types.SimpleNamespace:
    """Make ``qt``, ``ctk`` and what ``slicer`` lacks importable, as in Slicer with an empty scene; once a process."""
    import slicer

    if "qt" in sys.modules:
        return sys.modules["qt"].stand_in
    from . import application, pythonqt, widgets

    qt = pythonqt.QtModule("qt")
    sys.modules["qt"] = qt
    ctk = types.ModuleType("ctk")
    for name in widgets.CTK:
        setattr(ctk, name, pythonqt.class_of(getattr(widgets, name)))
    sys.modules["ctk"] = ctk
    for name in widgets.MRML:
        setattr(slicer, name, pythonqt.class_of(getattr(widgets, name)))

    from . import parameter_node, scripted_module  # they import qt, as Slicer's do

    i18n = types.ModuleType("slicer.i18n")
    i18n.tr, i18n.translate = application.tr, application.translate
    modules = {
        "slicer.i18n": i18n,
        "slicer.ScriptedLoadableModule": scripted_module,
        "slicer.parameterNodeWrapper": parameter_node,
    }
    for name, module in modules.items():
        sys.modules[name] = module
        setattr(slicer, name.split(".")[1], module)
    qt.stand_in = application.start(slicer)
    return qt.stand_in
