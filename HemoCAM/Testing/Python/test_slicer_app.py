"""The stand-in behaves as Slicer does where the panel depends on it."""

import enum
import importlib
from typing import Annotated

import pytest
from panel_cases import slicer  # noqa: F401


class Kind(enum.Enum):
    FIRST = "a"
    SECOND = "b"

    def label(self):
        return f"the {self.name.lower()}"


@pytest.fixture
def wrapper(slicer):
    module = importlib.import_module("slicer.parameterNodeWrapper")

    @module.parameterNodeWrapper
    class Fields:
        volume: slicer.vtkMRMLScalarVolumeNode
        part: Annotated[float, module.WithinRange(0, 1)] = 0.5
        count: int = 3
        on: bool = True
        kind: Kind = Kind.FIRST
        text: str

    return Fields


@pytest.fixture
def node(slicer):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def test_values_stand_in_the_node_as_slicer_writes_them(slicer, wrapper, node):
    fields = wrapper(node)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    fields.volume, fields.part, fields.on, fields.kind = volume, 0.25, False, Kind.SECOND
    found = {name: node.GetParameter(name) for name in ("part", "count", "on", "kind", "text", "volume")}
    assert found == {"part": "0.25", "count": "3", "on": "False", "kind": "SECOND", "text": "", "volume": ""}
    assert node.GetNodeReferenceID("volume") == volume.GetID()
    again = wrapper(node)
    assert (again.volume, again.part, again.on, again.kind) == (volume, 0.25, False, Kind.SECOND)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("part", 1.5, ValueError),
        ("count", 1.5, TypeError),
        ("text", None, ValueError),
        ("kind", "a", TypeError),
    ],
)
def test_wrong_values_are_refused(wrapper, node, name, value, error):
    with pytest.raises(error):
        setattr(wrapper(node), name, value)


def test_widgets_and_fields_follow_each_other(slicer, wrapper, node):
    import types

    import ctk
    import qt

    fields = wrapper(node)
    gui = types.SimpleNamespace(slider=ctk.ctkSliderWidget(), box=qt.QComboBox(), check=qt.QCheckBox())
    for widget, name in ((gui.slider, "part"), (gui.box, "kind"), (gui.check, "on")):
        widget.setProperty("SlicerParameterName", name)
    tag = fields.connectParametersToGui(
        {widget.property("SlicerParameterName"): widget for widget in vars(gui).values()}
    )
    assert gui.slider.value == 0.5 and gui.box.currentText == "the first" and gui.check.checked
    gui.slider.value = 0.75
    gui.box.currentIndex = 1
    assert fields.part == 0.75 and fields.kind is Kind.SECOND
    fields.on = False
    assert not gui.check.checked
    fields.disconnectGui(tag)
    gui.slider.value = 0.1
    assert fields.part == 0.75


def test_a_widget_that_does_not_fit_is_refused(wrapper, node):
    import types

    import qt

    box = qt.QComboBox()
    box.setProperty("SlicerParameterName", "text")  # a list without choices
    with pytest.raises(RuntimeError):
        wrapper(node).connectGui(types.SimpleNamespace(box=box))


def test_signals_give_as_much_as_is_taken(slicer):
    import qt

    button, got = qt.QPushButton("x"), []
    button.connect("clicked(bool)", lambda: got.append("none"))
    button.connect("clicked(bool)", lambda checked: got.append(checked))
    button.connect("clicked()", lambda: got.append("short"))
    button.clicked.connect(lambda checked: got.append(checked))
    button.click()
    assert sorted(map(str, got)) == ["False", "False", "none", "short"]


def test_the_selector_follows_the_scene(slicer):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.showChildNodeTypes = False
    selector.setMRMLScene(slicer.mrmlScene)
    seen = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    first = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    second = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert selector.currentNode() is first and selector.nodeCount() == 2
    selector.setCurrentNode(second)
    slicer.mrmlScene.RemoveNode(second)
    assert seen == [first, second, first]
    selector.setMRMLScene(None)
