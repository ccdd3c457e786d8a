"""The panel's .ui file: it loads, its names are those the code uses, its parameters are fields of a fitting type."""

import ast
from xml.etree import ElementTree

import pytest
from conftest import ROOT
from panel_cases import UI, slicer  # noqa: F401

PANEL = ROOT / "HemoCAM" / "HemoCAMLib" / "panel"
# widget class: types of the fields that Slicer binds it to
FITTING = {
    "qMRMLNodeComboBox": "node",
    "QComboBox": "enum",
    "QSpinBox": int,
    "ctkSliderWidget": float,
    "QCheckBox": bool,
}


def widgets():
    """(class, name, parameter, element) of every widget of the file."""
    for element in ElementTree.parse(UI).iter("widget"):
        parameter = element.find("property[@name='SlicerParameterName']/string")
        yield (
            element.get("class"),
            element.get("name"),
            None if parameter is None else parameter.text,
            element,
        )


def names_in_code():
    """Attributes of ``ui`` in the panel's code."""
    found = set()
    for path in [*PANEL.glob("*.py"), ROOT / "HemoCAM" / "HemoCAM.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                if name in ("ui", "_ui"):
                    found.add(node.attr)
    return found


def test_every_name_that_the_code_uses_is_in_the_file():
    there = {name for _, name, _, _ in widgets()}
    used = names_in_code()
    assert len(used) > 25 and used <= there, used - there


def test_every_control_is_used_or_bound():
    controls = (
        "QPushButton",
        "QComboBox",
        "QCheckBox",
        "QSpinBox",
        "ctkSliderWidget",
        "qMRMLNodeComboBox",
        "QTableWidget",
    )
    used = names_in_code()
    idle = [
        name
        for kind, name, parameter, _ in widgets()
        if kind in controls and not parameter and name not in used
    ]
    assert not idle


def test_names_are_unique():
    names = [name for _, name, _, _ in widgets()]
    assert len(names) == len(set(names))


def test_controls_have_tooltips_that_teach():
    for kind, name, _, element in widgets():
        if kind in (*FITTING, "QPushButton", "QTableWidget", "ctkPathLineEdit"):
            tip = element.find("property[@name='toolTip']/string")
            assert tip is not None and len(tip.text) > 20, name


def test_it_says_that_it_is_not_for_clinical_use():
    text = (
        next(e for _, name, _, e in widgets() if name == "noticeLabel")
        .find("property[@name='text']/string")
        .text
    )
    assert "not for clinical use" in text


def test_parameters_are_fields_of_a_fitting_type(slicer):
    import enum
    import typing

    from HemoCAMLib.panel.parameters import FIELDS, Parameters

    hints = typing.get_type_hints(Parameters)
    assert tuple(hints) == FIELDS
    bound = {parameter: kind for kind, _, parameter, _ in widgets() if parameter}
    assert set(bound) <= set(FIELDS)
    by_hand = {"referenceSegment", "model", "target"}  # their choices are known when the panel runs only
    assert set(bound) | by_hand == set(FIELDS)
    for parameter, kind in bound.items():
        wanted, found = FITTING[kind], hints[parameter]
        if wanted == "node":
            assert issubclass(found, slicer.vtkMRMLNode)
            element = next(e for _, _, p, e in widgets() if p == parameter)
            assert element.find("property[@name='nodeTypes']/stringlist/string").text == found.__name__
        elif wanted == "enum":
            assert issubclass(found, enum.Enum)
        else:
            assert found is wanted


def test_choices_are_those_of_the_library(slicer):
    from HemoCAMLib.cams.methods import NINE
    from HemoCAMLib.cams.scaling import SCALES
    from HemoCAMLib.panel.parameters import Colors, Method, Scale
    from HemoCAMLib.scene.live import COLOR_MAPS

    assert {m.value for m in Method} == {None, *NINE}
    assert tuple(s.value for s in Scale) == SCALES
    assert tuple(c.value for c in Colors) == COLOR_MAPS
    labels = [m.label() for m in Method]
    assert len(set(labels)) == len(labels) and "GradCAM++" in labels and "HiResCAM" in labels


def test_it_loads_and_its_connections_exist(slicer):
    widget = slicer.util.loadUI(str(UI))
    ui = slicer.util.childWidgetVariables(widget)
    assert widget.className() == "qMRMLWidget"
    for kind, name, parameter, _ in widgets():
        found = getattr(ui, name)
        assert found.className() == kind
        assert found.property("SlicerParameterName") == parameter
    widget.setMRMLScene(slicer.mrmlScene)
    assert ui.inputSelector.mrmlScene() is slicer.mrmlScene is ui.referenceSelector.mrmlScene()
    assert not ui.applyButton.enabled
    widget.deleteLater()


@pytest.mark.parametrize("name", ["applyButton", "gateSlider"])
def test_the_stand_in_refuses_what_pythonqt_refuses(slicer, name):
    widget = slicer.util.loadUI(str(UI))
    control = getattr(slicer.util.childWidgetVariables(widget), name)
    assert isinstance(control.toolTip, str)
    with pytest.raises(TypeError):
        control.toolTip()
    with pytest.raises(AttributeError):
        control.noSuchProperty = 1
    with pytest.raises(AttributeError):
        control.noSuchMethod()
    with pytest.raises(ValueError, match="no signal"):
        control.connect("noSuchSignal(int)", print)
    with pytest.raises(ValueError, match="does not accept"):
        control.enabled = "yes"
    widget.deleteLater()
