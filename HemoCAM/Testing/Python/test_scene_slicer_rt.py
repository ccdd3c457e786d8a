"""The comparison by SlicerRT, where it is installed, and what happens where it fails."""

import types

import numpy as np
import pytest
import slicer
from HemoCAMLib import scene as scenes
from HemoCAMLib.scene.changes import all_nodes
from scene_cases import (
    know_representations,
    xml_of,
)
from scene_comparing_cases import AFFINE, SHAPE, Case, case, expected  # noqa: F401


@pytest.fixture(autouse=True)
def as_in_slicer():
    know_representations()


class ComparisonNode(slicer.vtkMRMLScriptedModuleNode):
    """What we call of SlicerRT's vtkMRMLSegmentComparisonNode."""

    def __init__(self):
        self.given = {}
        for name in ("AndObserveReferenceSegmentationNode", "ReferenceSegmentID", "AndObserveCompareSegmentationNode",
                     "CompareSegmentID", "AndObserveDiceTableNode", "AndObserveHausdorffTableNode"):  # fmt: skip
            setattr(self, f"Set{name}", lambda value, name=name: self.given.__setitem__(name, value))


class ComparisonLogic:
    """SlicerRT's logic as it behaves: an error as text, tables filled only where they are set, and its rows."""

    def __init__(self, scene, error=""):
        self.scene, self.error, self.seen = scene, error, []

    def GetMRMLScene(self):
        return self.scene

    def masks(self, node):
        found = []
        for kind in ("Reference", "Compare"):
            segmentation = node.given[f"AndObserve{kind}SegmentationNode"]
            found.append(scenes.segmentation_to_volume(segmentation, node.given[f"{kind}SegmentID"]))
        self.seen.append([mask.shape for mask in found])
        return found

    def fill(self, node, table, rows):
        if table is None:
            return
        inputs = []
        for kind in ("Reference", "Compare"):
            segmentation = node.given[f"AndObserve{kind}SegmentationNode"]
            inputs += [(f"{kind} segmentation", segmentation.GetName()),
                       (f"{kind} segment", node.given[f"{kind}SegmentID"])]  # fmt: skip
        table.SetUseColumnTitleAsColumnHeader(True)
        table.RemoveAllColumns()
        for title, index in (("Metric name", 0), ("Metric value", 1)):
            column = table.AddColumn()
            column.SetName(title)
            for number, row in enumerate((*inputs, *rows)):
                if index == 0:
                    column.InsertNextValue(row[0])
                else:  # the second column is as long as the first from the start
                    column.SetValue(number, str(row[1]))

    def ComputeDiceStatistics(self, node):
        if self.error:
            return self.error
        reference, test = (mask.array > 0 for mask in self.masks(node))
        both, whole = (reference & test).sum(), reference.size / 100
        self.fill(node, node.given.get("AndObserveDiceTableNode"), [
            ("Dice coefficient", 2 * both / (reference.sum() + test.sum())),
            ("True positives (%)", both / whole),
            ("True negatives (%)", (~reference & ~test).sum() / whole),
            ("False positives (%)", (~reference & test).sum() / whole),
            ("False negatives (%)", (reference & ~test).sum() / whole),
            ("Reference center", "(1, 2, 3)"), ("Compare center", "(4, 5, 6)"),
            ("Reference volume (cc)", 7.5), ("Compare volume (cc)", 8.5),
        ])  # fmt: skip
        return ""

    def ComputeHausdorffDistances(self, node):
        self.masks(node)
        rows = [("Maximum (mm)", 1.25), ("Average (mm)", 0.5), ("95% (mm)", 1.0)]
        self.fill(node, node.given.get("AndObserveHausdorffTableNode"), rows)
        return ""


def install_slicer_rt(monkeypatch, scene, **more):
    logic = ComparisonLogic(scene, **more)
    module = types.SimpleNamespace(logic=lambda: logic)
    monkeypatch.setattr(slicer, "modules", types.SimpleNamespace(segmentcomparison=module), raising=False)
    monkeypatch.setattr(slicer, "vtkMRMLSegmentComparisonNode", ComparisonNode, raising=False)
    return logic


def test_slicer_rt_measures_where_it_is_installed(case, monkeypatch):
    reference, segment_id = case.near()
    labelmap = reference.GetSegmentation().GetSegmentRepresentation(segment_id, "Binary labelmap")
    k, j, i = np.nonzero(case.truth)  # cropped, as the Segment Editor leaves it
    box = [int(bound) for axis in (i, j, k) for bound in (axis.min(), axis.max())]
    assert slicer.vtkOrientedImageDataResample.CopyImage(labelmap, labelmap, box)
    assert labelmap.GetDimensions() != SHAPE[::-1]
    table, ours = case.compare(reference, segment_id)
    count = case.scene.GetNumberOfNodes()
    logic = install_slicer_rt(monkeypatch, case.scene)
    same, rows = case.compare(reference, segment_id)
    assert same is table and table.GetAttribute("HemoCAM.compared_by") == "SlicerRT"
    assert case.scene.GetNumberOfNodes() == count  # nothing of the detour is left
    assert list(rows) == list(ours)
    assert logic.seen == [[SHAPE, SHAPE]] * 2  # both on the CT's grid, whatever the labelmaps' own
    assert (rows["Maximum (mm)"], rows["Reference center"]) == ("1.25", "(1, 2, 3)")
    for name in ("Dice coefficient", "True positives (%)", "True negatives (%)", "False positives (%)"):
        assert float(rows[name]) == pytest.approx(float(ours[name]), rel=1e-5), name
    for name, value in ours.items():
        if "segment" in name or name.startswith("HemoCAM:"):
            assert rows[name] == value
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(case.scene)
    assert not hierarchy.GetItemByName("HemoCAM comparison")
    monkeypatch.delattr(slicer, "modules")
    _, again = case.compare(reference, segment_id)
    assert again == ours and table.GetAttribute("HemoCAM.compared_by") == "HemoCAM"


def test_an_error_of_slicer_rt_is_told_and_ours_stands_in(case, monkeypatch, caplog):
    reference, segment_id = case.near()
    install_slicer_rt(monkeypatch, case.scene, error="Error occurred during\nITK conversion")
    count = case.scene.GetNumberOfNodes()
    table, rows = case.compare(reference, segment_id)
    assert rows == expected(case, case.truth)
    assert table.GetAttribute("HemoCAM.compared_by") == "HemoCAM"
    assert table.GetAttribute("HemoCAM.slicerRTError") == "Error occurred during ITK conversion"
    assert "ITK conversion" in caplog.text
    assert case.scene.GetNumberOfNodes() == count + 2  # the table and its storage


def test_slicer_rt_with_other_rows_is_not_believed(case, monkeypatch):
    logic = install_slicer_rt(monkeypatch, case.scene)
    monkeypatch.setattr(logic, "ComputeHausdorffDistances", lambda node: "")
    table, rows = case.compare(*case.near())
    assert rows == expected(case, case.truth)
    assert "other rows than expected" in table.GetAttribute("HemoCAM.slicerRTError")


@pytest.mark.parametrize("why", ["empty", "tilted", "another scene"])
def test_slicer_rt_is_not_asked_what_it_cannot_answer(why, monkeypatch):
    tilted = AFFINE.copy()
    tilted[1, 2] = 1.0
    case = Case(tilted if why == "tilted" else AFFINE)
    reference, segment_id = case.near()
    if why == "empty":
        reference, segment_id = case.reference(case.ct.like(np.zeros(SHAPE, np.uint8), "t"))
    logic = install_slicer_rt(monkeypatch, scenes.new_scene() if why == "another scene" else case.scene)
    table, _ = case.compare(reference, segment_id)
    assert table.GetAttribute("HemoCAM.compared_by") == "HemoCAM" and not logic.seen


def test_a_failure_in_slicer_rt_leaves_nothing_behind(case, monkeypatch):
    logic = install_slicer_rt(monkeypatch, case.scene)
    reference, segment_id = case.near()

    def broken(node):
        raise RuntimeError("crashed")

    monkeypatch.setattr(logic, "ComputeHausdorffDistances", broken)
    before, count = xml_of(case.scene), len(all_nodes(case.scene))
    with pytest.raises(RuntimeError):
        case.compare(reference, segment_id)
    assert xml_of(case.scene) == before and len(all_nodes(case.scene)) == count
