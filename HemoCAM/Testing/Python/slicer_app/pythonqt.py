"""PySide6 objects that behave as PythonQt's.

- A property is an attribute: ``button.text`` is a string, and ``button.text()`` fails. It takes values of its type.
- An attribute that Qt does not have cannot be set.
- ``obj.connect("clicked(bool)", f)`` wants a signal of that C++ signature; ``f`` is called with as many of the
  signal's values as it takes.
- Everything else is a method of the C++ class.

Exceptions in slots are printed, as in Slicer, and kept in :data:`slot_errors` for the tests.
"""

from __future__ import annotations

import inspect
import re
import traceback
import types

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

slot_errors: list[BaseException] = []
_proxies: dict[int, Proxy] = {}
_classes: dict[type, type] = {}
_TYPES = {"QString": str, "bool": (bool, int), "int": int, "double": (int, float)}


def unwrap(value):
    """The PySide object behind ``value``, or ``value`` itself."""
    if isinstance(value, Proxy):
        return object.__getattribute__(value, "_obj")
    if isinstance(value, list | tuple):
        return type(value)(unwrap(v) for v in value)
    return value


def wrap(value):
    """A PySide object as PythonQt shows it: the same object every time."""
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(wrap(v) for v in value)
    if not isinstance(value, QtCore.QObject):
        return value
    key = shiboken6.getCppPointer(value)[0]
    found = _proxies.get(key)
    if found is None:
        found = class_of(type(value)).__new__(class_of(type(value)))
        _keep(found, value)
    return found


def _keep(proxy, obj) -> None:
    key = shiboken6.getCppPointer(obj)[0]
    object.__setattr__(proxy, "_obj", obj)
    object.__setattr__(proxy, "_slots", {})
    _proxies[key] = proxy
    obj.destroyed.connect(lambda *_: _proxies.pop(key, None))


def class_of(qt_class: type) -> type:
    """The class as PythonQt shows it."""
    if qt_class not in _classes:
        base = next((b for b in qt_class.__mro__[1:] if issubclass(b, QtCore.QObject)), None)
        bases = (class_of(base),) if base else (Proxy,)
        _classes[qt_class] = ProxyType(qt_class.__name__, bases, {"_qt": qt_class})
    return _classes[qt_class]


def _call(function):
    def call(*args):
        return wrap(function(*[unwrap(arg) for arg in args]))

    return call


class ProxyType(type):
    """Class attributes: enumerations, static methods."""

    def __getattr__(cls, name):
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(cls._qt, name)
        if isinstance(value, type) and issubclass(value, QtCore.QObject):
            return class_of(value)
        return _call(value) if inspect.isbuiltin(value) or inspect.isfunction(value) else value


class Proxy(metaclass=ProxyType):
    """An object of Qt as PythonQt shows it."""

    def __init__(self, *args):
        _keep(self, self._qt(*[unwrap(arg) for arg in args]))

    def _property(self, name):
        meta = self._obj.metaObject()
        index = meta.indexOfProperty("objectName" if name == "name" else name)
        return meta.property(index) if index >= 0 else None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        obj = object.__getattribute__(self, "_obj")
        if not shiboken6.isValid(obj):
            raise ValueError(f"Trying to access '{name}' of a destroyed {type(self).__name__}")
        found = self._property(name)
        if found is not None:
            return wrap(found.read(obj))
        name = {"exec_": "exec"}.get(name, name)
        value = getattr(obj, name, None)
        if value is None or not hasattr(type(obj), name):
            raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")
        if isinstance(value, QtCore.SignalInstance):
            return BoundSignal(self, name)
        return _call(value)

    def __setattr__(self, name, value):
        found = self._property(name)
        if found is None or not found.isWritable():
            raise AttributeError(
                f"Attribute '{name}' does not exist or is not writable on {type(self).__name__}"
            )
        wanted = _TYPES.get(found.typeName())
        if wanted and not isinstance(value, wanted):
            raise ValueError(
                f"Property '{name}' of type '{found.typeName()}' does not accept an object of type "
                f"{type(value).__name__} ({value!r})"
            )
        if not found.write(self._obj, unwrap(value)):
            raise ValueError(f"Property '{name}' of {type(self).__name__} does not accept {value!r}")

    def __bool__(self):
        return shiboken6.isValid(self._obj)

    def className(self):
        return self._obj.metaObject().className()

    def connect(self, signal: str, slot) -> bool:
        name, count = self._signal(signal)
        handler = _slot(slot, count)
        self._slots.setdefault((name, slot), []).append(handler)
        _overload(getattr(self._obj, name), signal).connect(handler)
        return True

    def disconnect(self, signal: str, slot) -> bool:
        name, _ = self._signal(signal)
        handlers = self._slots.pop((name, slot), [])
        for handler in handlers:
            _overload(getattr(self._obj, name), signal).disconnect(handler)
        return bool(handlers)

    def findChildren(self, cls, name=""):
        return [wrap(child) for child in self._obj.findChildren(cls._qt, name)]

    def _signal(self, signal: str) -> tuple[str, int]:
        """Name and number of values of a signal; fails where there is none of that signature."""
        own = re.sub(r"vtk\w+\*", "PyObject", signal)
        normal = QtCore.QMetaObject.normalizedSignature(own)
        normal = normal.data().decode() if hasattr(normal, "data") else str(normal)
        if self._obj.metaObject().indexOfSignal(normal) < 0:
            raise ValueError(f"{type(self).__name__} has no signal {signal}")
        inside = normal[normal.index("(") + 1 : -1]
        return normal[: normal.index("(")], len(inside.split(",")) if inside else 0


class BoundSignal:
    """``obj.clicked``: PythonQt's other way to connect."""

    def __init__(self, proxy, name):
        self._proxy, self._name = proxy, name

    def _signature(self):
        meta = self._proxy._obj.metaObject()
        methods = [meta.method(index) for index in range(meta.methodCount())]
        found = [m for m in methods if bytes(m.name()).decode() == self._name]
        return bytes(found[0].methodSignature()).decode()

    def connect(self, slot):
        return self._proxy.connect(self._signature(), slot)

    def disconnect(self, slot):
        return self._proxy.disconnect(self._signature(), slot)

    def emit(self, *args):
        getattr(self._proxy._obj, self._name).emit(*[unwrap(arg) for arg in args])


def _overload(signal, signature):
    values = re.sub(r"^[^(]*\(|\)$", "", signature)
    try:
        return signal[values] if values else signal
    except (KeyError, IndexError, TypeError):
        return signal


def _slot(call, count):
    """A Python function that takes at most ``count`` values of a signal, and no more than ``call`` takes."""
    try:
        taken = 0
        for parameter in inspect.signature(call).parameters.values():
            if parameter.kind == parameter.VAR_POSITIONAL:
                taken = count
                break
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                taken += 1
    except (TypeError, ValueError):
        taken = count

    def handler(*args):
        try:
            call(*[wrap(arg) for arg in args[: min(count, taken)]])
        except Exception as error:
            slot_errors.append(error)
            traceback.print_exc()

    return handler


class UiLoader:
    """``qt.QUiLoader``: Qt's own, which knows Slicer's widgets, and connects what the file connects."""

    def load(self, file, parent=None):
        from .uiloader import load

        return wrap(load(unwrap(file).fileName(), unwrap(parent)))


class QtModule(types.ModuleType):
    """The module ``qt``: Slicer puts all of Qt into one namespace."""

    def __getattr__(self, name):
        if name == "QUiLoader":
            return UiLoader
        for module in (QtCore, QtGui, QtWidgets):
            found = getattr(module, name, None)
            if found is not None:
                if isinstance(found, type) and issubclass(found, QtCore.QObject):
                    return class_of(found)
                return found if isinstance(found, type) else _call(found) if callable(found) else found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")
