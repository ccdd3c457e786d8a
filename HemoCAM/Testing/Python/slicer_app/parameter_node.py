"""``slicer.parameterNodeWrapper``: typed fields kept in a vtkMRMLScriptedModuleNode, and bound to widgets.

Written after the behaviour of Slicer's, for the types that the panel uses: numbers as their text, ``bool`` as "True"
or "False", enumerations by name, nodes as a node reference with an empty parameter of the same name. What the
original refuses is refused here: values outside a range, a combo box without choices, an unknown name.
"""

from __future__ import annotations

import enum
import typing

import ctk
import qt
import slicer
import vtk

SlicerParameterNamePropertyName = "SlicerParameterName"


class Validator:
    """Base class of what checks a value before it is written."""


class WithinRange(Validator):
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be one of {self.choices}")


class Field:
    """One field of a wrapper: its type, its checks, its default, and how it stands in the node."""

    def __init__(self, name, annotation, owner):
        self.name, self.annotation = name, annotation
        self.type = (
            typing.get_args(annotation)[0]
            if typing.get_origin(annotation) is typing.Annotated
            else annotation
        )
        self.checks = [a for a in getattr(annotation, "__metadata__", ()) if isinstance(a, Validator)]
        self.is_node = issubclass(self.type, slicer.vtkMRMLNode)
        if not (self.is_node or self.type in (int, float, str, bool) or issubclass(self.type, enum.Enum)):
            raise TypeError(f"Unable to create serializer for {owner} member {name}")
        self.default = owner.__dict__.get(name, self._first())

    def _first(self):
        if issubclass(self.type, enum.Enum):
            return next(iter(self.type))
        return None if self.is_node else self.type()

    def write(self, node, value):
        if value is None and not self.is_node:
            raise ValueError("Value must not be None")
        wanted = (int, float) if self.type is float else self.type
        if value is not None and not isinstance(value, wanted):
            raise TypeError(f"Value must be of type '{self.type}', is type '{type(value)}' value '{value}'")
        for check in self.checks:
            check.validate(value)
        if self.is_node:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        elif isinstance(value, enum.Enum):
            node.SetParameter(self.name, value.name)
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if self.type is bool:
            return text == "True"
        if issubclass(self.type, enum.Enum):
            return self.type[text]
        return self.type(text)


class Cached:
    """The value of a field, read again when the node says that it changed."""

    def __init__(self, field, node):
        self.field, self.node, self.writing = field, node, False
        self.value = field.read(node)
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, self.on_modified)

    def on_modified(self, caller, event):
        if not self.writing:
            if not self.node.HasParameter(self.field.name):
                self.field.write(self.node, self.field.default)
            self.value = self.field.read(self.node)

    def write(self, value):
        self.writing = True
        try:
            with slicer.util.NodeModify(self.node):
                self.field.write(self.node, value)
                self.value = self.field.read(self.node)
        finally:
            self.writing = False


# widget class: signal, how to read, how to write
def _connector(widget, field):
    """(signal, read, write) for a widget, or an error as in Slicer where the two do not fit."""
    kind, bounds = type(widget), next((c for c in field.checks if isinstance(c, WithinRange)), None)
    if kind is qt.QCheckBox and field.type is bool:
        return widget.stateChanged, lambda: widget.checked, lambda v: setattr(widget, "checked", v)
    if kind in (qt.QSpinBox, qt.QSlider) and field.type is int:
        if bounds:
            widget.setRange(bounds.minimum, bounds.maximum)
        return widget.valueChanged, lambda: widget.value, lambda v: setattr(widget, "value", v)
    if kind in (qt.QDoubleSpinBox, ctk.ctkSliderWidget) and field.type is float:
        if bounds is None and kind is ctk.ctkSliderWidget:
            raise RuntimeError(
                "Cannot have a connection to ctkSliderWidget where the float type is unbounded."
            )
        if bounds:
            widget.minimum, widget.maximum = bounds.minimum, bounds.maximum
        return widget.valueChanged, lambda: widget.value, lambda v: setattr(widget, "value", v)
    if kind is qt.QComboBox and issubclass(field.type, enum.Enum | int | float | str):
        if issubclass(field.type, enum.Enum):
            values = list(field.type)
            texts = [getattr(field.type, "label", lambda e: e.name)(value) for value in values]
        else:
            choice = next((c for c in field.checks if isinstance(c, Choice)), None)
            if choice is None:
                raise RuntimeError("A combo box requires the Choice annotation.")
            values, texts = list(choice.choices), [str(c) for c in choice.choices]
        widget.clear()
        for text in texts:
            widget.addItem(text)
        return (
            widget.currentIndexChanged,
            lambda: values[widget.currentIndex],
            lambda v: setattr(widget, "currentIndex", values.index(v)),
        )
    if kind is qt.QLineEdit and field.type is str:
        return widget.textChanged, lambda: widget.text, lambda v: setattr(widget, "text", v)
    if kind is slicer.qMRMLNodeComboBox and field.is_node:
        widget.nodeTypes = [field.type.__name__]
        return widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode
    raise RuntimeError(f"Unable to create GUI connector from datatype '{field.annotation}' to '{kind}'")


class _Wrapper:
    """What the decorator adds to a class."""

    def _init(self, parameterNode, prefix=None):
        self.parameterNode = parameterNode
        self._guis, self._tags, self._updating, self._cached = {}, 0, False, {}
        for name, field in self.allParameters.items():
            if not parameterNode.HasParameter(name):
                field.write(parameterNode, field.default)
            self._cached[name] = Cached(field, parameterNode)

    def getValue(self, name):
        return self._cached[name].value

    def setValue(self, name, value):
        self._cached[name].write(value)

    def connectGui(self, gui):
        found = {}
        for widget in gui.__dict__.values():
            name = widget.property(SlicerParameterNamePropertyName)
            if name:
                found[name] = widget
        self.connectParametersToGui(found)  # and gives no tag, as in Slicer

    def connectParametersToGui(self, found):
        for name in found:
            if name not in self.allParameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
        tag, self._tags = self._tags, self._tags + 1
        self._guis[tag] = connectors = {}
        for name, widget in found.items():
            signal, read, write = _connector(widget, self.allParameters[name])
            write(self.getValue(name))
            slot = self._slot(name, read)
            signal.connect(slot)
            connectors[name] = (signal, slot, write)
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._update_guis())
        return tag

    def _slot(self, name, read):
        def changed():
            with slicer.util.NodeModify(self):
                if not self._updating:
                    self.setValue(name, read())

        return changed

    def disconnectGui(self, tag):
        for signal, slot, _write in self._guis.pop(tag, {}).values():
            signal.disconnect(slot)

    def _update_guis(self):
        if self._updating:
            return
        self._updating = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in self._guis.values():
                    for name, (_signal, _slot, write) in connectors.items():
                        write(self.getValue(name))
        finally:
            self._updating = False

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, was):
        return self.parameterNode.EndModify(was)

    def Modified(self):
        self.parameterNode.Modified()


def _field_property(name):
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


def parameterNodeWrapper(cls):
    """Class decorator: typed fields over a parameter node."""
    hints = typing.get_type_hints(cls, include_extras=True)
    cls.allParameters = {name: Field(name, annotation, cls) for name, annotation in hints.items()}
    cls.__init__ = _Wrapper._init
    for name, value in vars(_Wrapper).items():
        if not name.startswith("__") and name != "_init":
            setattr(cls, name, value)
    for name in hints:
        setattr(cls, name, _field_property(name))
    return cls
