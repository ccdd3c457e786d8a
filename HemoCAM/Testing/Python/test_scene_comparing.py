"""The mask against any user's segment: on any grid, of any representation, by SlicerRT or by our own code."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
from conftest import random_affine
from HemoCAMLib import scene as scenes
from HemoCAMLib.errors import Cancelled, InputError
from HemoCAMLib.scene import comparing, live
from HemoCAMLib.scene.references import segment_on_grid
from HemoCAMLib.scene.tables import rows_of_comparison
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_cases import (
    assert_same_data,
    data_of,
    know_representations,
    put_under,
    reloaded,
    xml_of,
)
from scene_comparing_cases import SHAPE, Case, ball, case, expected  # noqa: F401
from vtkmodules.vtkFiltersSources import vtkSphereSource

SURFACE, FRACTIONAL = "Closed surface", "Fractional labelmap"


@pytest.fixture(autouse=True)
def as_in_slicer():
    know_representations()


def test_the_table_holds_what_our_comparison_measures(case):
    reference, segment_id = case.near()
    table, rows = case.compare(reference, segment_id)
    assert rows == expected(case, case.truth)
    assert 0.5 < float(rows["Dice coefficient"]) < 1
    assert table.GetAttribute("HemoCAM.compared_by") == "HemoCAM"
    assert table.GetNodeReference("HemoCAM.comparedWith") is reference
    assert table.GetAttribute("HemoCAM.comparedSegment") == segment_id
    assert table.GetAttribute("HemoCAM.findings") is None
    assert scenes.results_of(case.scene, case.ct_node).comparison_table is table
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(case.scene)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(table)) == case.nodes.folder


def test_a_second_comparison_takes_the_same_table(case):
    reference, segment_id = case.near()
    table, first = case.compare(reference, segment_id)
    live.set_threshold(case.nodes, 1.0)
    again = scenes.results_of(case.scene, case.ct_node)
    live.set_threshold(again, 0.5)
    assert table.GetAttribute("HemoCAM.outdated") == "true"
    other = case.reference(case.ct.like(case.mask, "t"), name="other")
    count = case.scene.GetNumberOfNodes()
    same, rows = case.compare(*other)  # with the nodes of before the first comparison, too
    assert same is table and case.scene.GetNumberOfNodes() == count
    assert rows["Dice coefficient"] == "1" and rows["Reference segmentation"] == "other" != first
    assert table.GetAttribute("HemoCAM.outdated") is None
    assert table.GetNodeReference("HemoCAM.comparedWith") is other[0]


def test_a_comparison_survives_a_file(case, tmp_path):
    reference, segment_id = case.near()
    _, rows = case.compare(reference, segment_id)
    scene = reloaded(case.scene, tmp_path)
    nodes = scenes.results_of(scene, scene.GetFirstNodeByName("CT"))
    assert dict(rows_of_comparison(nodes.comparison_table)) == rows
    back = nodes.comparison_table.GetNodeReference("HemoCAM.comparedWith")
    table = comparing.compare(
        scene, nodes, back, nodes.comparison_table.GetAttribute("HemoCAM.comparedSegment")
    )
    assert table is nodes.comparison_table and dict(rows_of_comparison(table)) == rows


@settings(max_examples=12)
@given(st.integers(0, 2**31))
def test_neither_place_nor_the_crop_of_labelmaps_changes_the_measures(seed):
    rng = np.random.default_rng(seed)
    plain = Case()
    reference, segment_id = plain.near()
    _, wanted = plain.compare(reference, segment_id)
    turned = Case(transform=random_affine(rng, np.ones(3)))
    turned.truth = plain.truth
    # The reference cropped to its voxels, as Slicer crops it, and under a transform of its own.
    k, j, i = (slice(int(hit.min()), int(hit.max()) + 1) for hit in np.nonzero(plain.truth))
    affine = turned.ct.ijk_to_ras.copy()
    affine[:3, 3] = turned.ct.ras(np.array([i.start, j.start, k.start]))
    cropped = Volume(plain.truth[k, j, i].astype(np.uint8), affine, "t")
    frame = scenes.volume_to_node(turned.scene, cropped, "frame")
    put_under(turned.scene, frame, random_affine(rng, np.ones(3)))
    reference, segment_id = turned.reference(cropped, frame)
    assert reference.GetParentTransformNode() is frame.GetParentTransformNode()
    _, rows = turned.compare(reference, segment_id)
    for name, value in wanted.items():
        if "center" not in name:
            assert rows[name] == value or float(rows[name]) == pytest.approx(float(value), rel=1e-4), name


def test_a_finer_grid_is_resampled_and_said_so(case):
    fine = case.ct.ijk_to_ras @ np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] -= case.ct.ijk_to_ras[:3, :3] @ [0.25, 0.25, 0.25]
    grid = Volume(np.zeros(tuple(2 * n for n in SHAPE), np.uint8), fine)
    truth = ball(grid, case.middle, 10.0)
    reference, segment_id = case.reference(grid.like(truth, "t"))
    before = data_of(case.scene)[reference.GetID(), segment_id]
    table, rows = case.compare(reference, segment_id)
    assert float(rows["Dice coefficient"]) > 0.9  # each CT voxel's centre is a corner of eight finer ones
    assert "resampled to the CT's grid" in table.GetAttribute("HemoCAM.findings")
    np.testing.assert_array_equal(data_of(case.scene)[reference.GetID(), segment_id], before)


def only(segmentation, representation):
    """Leave a segmentation one representation."""
    inner = segmentation.GetSegmentation()
    assert inner.CreateRepresentation(representation)
    inner.SetSourceRepresentationName(representation)
    names = [name for name in ("Binary labelmap", SURFACE, FRACTIONAL) if name != representation]
    for name in names:
        inner.RemoveRepresentation(name)
        assert inner.GetNthSegment(0).GetRepresentation(name) is None


@pytest.mark.parametrize("representation", [SURFACE, FRACTIONAL])
@pytest.mark.parametrize("oblique", [False, True])
def test_surfaces_and_fractions_are_converted_and_left_alone(representation, oblique):
    case = Case(random_affine(np.random.default_rng(5), np.array([2.0, 2, 2]))) if oblique else Case()
    reference, segment_id = case.near((0, 0, 0))
    only(reference, representation)
    put_under(case.scene, reference, np.diag([1.0, 1, 1, 1]))
    table, rows = case.compare(reference, segment_id)
    assert float(rows["Dice coefficient"]) > 0.85
    assert ("closed surface" if representation == SURFACE else "fractional") in table.GetAttribute(
        "HemoCAM.findings"
    )
    segment = reference.GetSegmentation().GetSegment(segment_id)
    assert segment.GetRepresentation("Binary labelmap") is None
    assert reference.GetSegmentation().GetSourceRepresentationName() == representation


def test_a_surface_is_filled_where_it_is(case):
    sphere = vtkSphereSource()
    sphere.SetRadius(9.0)
    sphere.SetCenter(*(case.middle - (5, 6, 7)))
    sphere.SetThetaResolution(64)
    sphere.SetPhiResolution(64)
    sphere.Update()
    node = case.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.GetSegmentation().SetSourceRepresentationName(SURFACE)
    segment_id = node.AddSegmentFromClosedSurfaceRepresentation(
        sphere.GetOutput(), "drawn", [0, 1, 0], "drawn"
    )
    move = np.eye(4)
    move[:3, 3] = 5, 6, 7
    put_under(case.scene, node, move)
    filled = segment_on_grid(node, segment_id, case.ct)
    wanted = ball(case.ct, case.middle, 9.0)
    assert filled.same_grid(case.ct)
    overlap = 2 * (wanted & (filled.array > 0)).sum() / (wanted.sum() + filled.array.sum())
    assert overlap > 0.97


def test_surfaces_are_known_where_no_application_registered_them():
    code = """if True:
        import sys; sys.path.insert(0, sys.argv[1])
        import numpy as np, slicer
        from test_scene_comparing import SURFACE, Case, only
        from scene_cases import know_representations
        know_representations()  # a segmentation knows the conversions of when it was made
        case = Case()
        reference, segment_id = case.near((0, 0, 0))
        only(reference, SURFACE)
        factory = slicer.vtkSegmentationConverterFactory.GetInstance()
        for rule in list(factory.GetConverterRules()):
            factory.UnregisterConverterRule(rule)
        print(case.compare(reference, segment_id)[1]["Dice coefficient"])
    """
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent)]
    run = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert float(run.stdout) > 0.85


def test_an_empty_mask_or_reference_has_no_distances(case):
    for truth in (np.zeros(SHAPE, np.uint8), case.mask):
        reference, segment_id = case.reference(case.ct.like(truth, "t"))
        table, rows = case.compare(reference, segment_id)
        if not truth.any():
            assert rows["Dice coefficient"] == "0" and rows["Maximum (mm)"] == "nan"
            assert "empty" in table.GetAttribute("HemoCAM.findings")
    live.set_threshold(case.nodes, 0.5)
    empty = case.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "new")
    segment_id = empty.GetSegmentation().AddEmptySegment("nothing yet")
    _, rows = case.compare(empty, segment_id)
    assert rows["Reference volume (cc)"] == "0"


def test_what_cannot_be_compared_gets_a_sentence_and_changes_nothing(case):
    reference, segment_id = case.near()
    case.compare(reference, segment_id)
    far = case.ct.ijk_to_ras.copy()
    far[0, 3] += 1000
    elsewhere = case.reference(Volume(np.ones((4, 4, 4), np.uint8), far, "t"), name="far")
    bare = case.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bare")
    bare.GetSegmentation().AddSegment(slicer.vtkSegment(), "x")
    bare.GetSegmentation().RemoveRepresentation("Binary labelmap")
    bent = case.near()[0]
    grid = case.scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    grid.SetAndObserveTransformFromParent(slicer.vtkOrientedGridTransform())
    bent.SetAndObserveTransformNodeID(grid.GetID())
    gone = case.near()[0]
    case.scene.RemoveNode(gone)
    before = xml_of(case.scene)
    for node, segment, words in (
        (*elsewhere, "does not overlap the CT"),
        (reference, "no such", "has no segment 'no such'"),
        (bare, "x", "neither a labelmap nor a closed surface"),
        (bent, segment_id, "non-linear transform 'warp'"),
        (gone, segment_id, "was removed from the scene; choose another"),
        (case.nodes.mask, case.nodes.mask_segment, "HemoCAM's own mask"),
    ):
        with pytest.raises(InputError, match=words):
            case.compare(node, segment)
        assert xml_of(case.scene) == before
    case.scene.RemoveNode(case.nodes.mask)
    with pytest.raises(InputError, match="mask was deleted"):
        case.compare(reference, segment_id)
    case.scene.RemoveNode(case.ct_node)
    with pytest.raises(InputError, match="CT of these results was removed"):
        case.compare(reference, segment_id)


def test_stopping_leaves_the_scene_as_it_was(case):
    reference, segment_id = case.near()
    case.compare(reference, segment_id)
    other = case.reference(case.ct.like(case.mask, "t"), name="other")
    before, held = xml_of(case.scene), data_of(case.scene)

    def stop(phase, done, total):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        case.compare(*other, progress=stop)
    assert xml_of(case.scene) == before
    assert_same_data(data_of(case.scene), held)
