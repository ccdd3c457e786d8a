"""What tests of the scene share: results to be put into one, with awkward names, and their file."""

import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import slicer
from HemoCAMLib import scene as scenes
from HemoCAMLib.scene import SceneContent, SliceRow
from HemoCAMLib.scene.changes import all_nodes
from HemoCAMLib.scene.nodes import to_vtk_matrix
from HemoCAMLib.volumes.volume import Volume

SHAPE = (12, 40, 48)
PEAK = (5, 18, 30)  # k, j, i
AWKWARD = "a; b: c='d' <&> ä^| 50 %20"


def make_content(empty=False, ijk_to_ras=None, **more):
    """A noisy disk of brain, a map that decays around PEAK in three gated slices, a reference beside it."""
    if ijk_to_ras is None:
        # An axial CT with rows to the left and posterior, whose slices are tilted by 10 degrees.
        sine, cosine = np.sin(np.deg2rad(10)), np.cos(np.deg2rad(10))
        ijk_to_ras = np.array(
            [
                [-3.0, 0, 0, 70],
                [0, -3.0 * cosine, -5 * sine, 60],
                [0, -3.0 * sine, 5 * cosine, -20],
                [0, 0, 0, 1],
            ]
        )
    random = np.random.default_rng(1)
    k, j, i = np.indices(SHAPE)
    hu = np.where((j - 20) ** 2 + (i - 24) ** 2 < 18**2, random.integers(10, 60, SHAPE), -1000)
    ct = Volume(hu.astype(np.int16), ijk_to_ras, "CT")
    heat = np.exp(-((j - PEAK[1]) ** 2 + (i - PEAK[2]) ** 2) / 40.0).astype(np.float32)
    heat[(k < 4) | (k > 6) | (heat < 0.05)] = 0.0
    heat[k != PEAK[0]] *= 0.7
    if empty:
        heat[:] = 0.0
    rows = [
        SliceRow(
            s, -20.123456 + 5.0 * s, {"any": 0.1 + 0.8 * (4 <= s <= 6), "SDH": 1 / 3}, 4 <= s <= 6, s != 8
        )
        for s in range(SHAPE[0])
    ]
    values = {
        "ct": ct,
        "heatmap": ct.like(heat, "heat"),
        "mask": ct.like(heat > 0.4, "mask"),
        "slices": rows,
        "classes": ("any", "SDH"),
        "target": "any",
        "raw_map": Volume(
            random.normal(size=(6, 5, 6)).astype(np.float32), ijk_to_ras @ np.diag([8, 8, 2, 1]), "r"
        ),
        "reference": ct.like(((heat > 0.2) * 3).astype(np.uint8), "reference"),
        "comparison": [("Dice coefficient", 0.123456789), ("Reference", 'the "gold" standard')],
        "description": {
            "method": "HiResCAM",
            "stage": 5,
            "gate": 0.5,
            "thresholds": {"HiResCAM": 0.4},
            "model": AWKWARD,
        },
    }
    return SceneContent(**{**values, **more})


def save_results(content, folder):
    """Results in a new scene and its file, with spaces in their names: (path, nodes, scene)."""
    scene = scenes.new_scene()
    nodes = scenes.add_results(scene, content)
    path = folder / "a scene.mrb"
    scenes.save_scene(scene, path)
    return path, nodes, scene


def named(scene, name):
    node = scene.GetFirstNodeByName(name)
    assert node is not None, f"no node '{name}'"
    return node


def know_representations():
    """Register the conversions of segmentations that Slicer's application registers; else copies come out empty."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    known = {rule.GetClassName() for rule in factory.GetConverterRules()}
    for start, end in (
        ("BinaryLabelmap", "ClosedSurface"),
        ("ClosedSurface", "BinaryLabelmap"),
        ("ClosedSurface", "FractionalLabelmap"),
        ("FractionalLabelmap", "ClosedSurface"),
    ):
        name = f"vtk{start}To{end}ConversionRule"
        if name not in known:
            factory.RegisterConverterRule(getattr(slicer, name)())


def tiny_content(ct, seed=0, gate=0.5, **more):
    """A map in steps of 1/1024, its mask at 0.5, a raw map and rows for any small CT."""
    rng = np.random.default_rng(seed)
    heat = (rng.integers(0, 1025, ct.shape) / 1024).astype(np.float32)
    count = max(ct.shape)
    rows = [
        SliceRow(s, 2.0 * s, {"any": float(p), "SDH": 0.25}, p >= gate)
        for s, p in enumerate(rng.random(count))
    ]
    values = {
        "ct": ct,
        "heatmap": ct.like(heat, "heat"),
        "mask": ct.like(heat >= 0.5, "mask"),
        "slices": rows,
        "classes": ("any", "SDH"),
        "target": "any",
        "raw_map": Volume(
            rng.normal(size=(2, 2, 2)).astype(np.float32), ct.ijk_to_ras @ np.diag([2, 2, 2, 1]), "r"
        ),
        "description": {"method": "HiResCAM", "stage": 5, "gate": gate, "threshold": 0.5, "mask": "plain"},
    }
    return SceneContent(**{**values, **more})


def small(array=None, ijk_to_ras=None, name="CT"):
    """A CT of 60 voxels, all different."""
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5) if array is None else array
    return Volume(array, np.diag([-1.0, -1.0, 2.0, 1.0]) if ijk_to_ras is None else ijk_to_ras, name)


def put_under(scene, node, matrix):
    """Put a node under a new linear transform, which is returned."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(to_vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def xml_of(scene):
    """The scene as Slicer would write it: all nodes, attributes, references and items, without what data hold."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mrml"
        scene.Commit(str(path))
        text = path.read_text(encoding="utf-8")
    return re.sub(r'(?:subjectHierarchyItem id|parent|currentItemID|id)="\d+"', "", text)


def data_of(scene):
    """The voxels and cells that nodes hold, by node ID: equal for equal scenes."""
    found = {}
    for node in all_nodes(scene, "vtkMRMLScalarVolumeNode"):
        found[node.GetID()] = scenes.node_to_volume(node).array.copy() if node.GetImageData() else None
    for node in all_nodes(scene, "vtkMRMLTableNode"):
        rows, columns = range(node.GetNumberOfRows()), range(node.GetNumberOfColumns())
        found[node.GetID()] = [[node.GetCellText(r, c) for c in columns] for r in rows]
    for node in all_nodes(scene, "vtkMRMLSegmentationNode"):
        for segment_id in node.GetSegmentation().GetSegmentIDs():
            volume = scenes.segmentation_to_volume(node, segment_id)
            found[node.GetID(), segment_id] = volume.ras(np.argwhere(volume.array)[:, ::-1])
    return found


def assert_same_data(one, other):
    """Two answers of data_of are equal."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key], err_msg=str(key))


def reloaded(scene, folder):
    """The scene, saved and loaded."""
    scenes.save_scene(scene, folder / "again.mrb")
    return scenes.load_scene(folder / "again.mrb")


def imported_twice(scene, folder):
    """The scene, saved, loaded, and imported once more into itself: all IDs of the second copy are new."""
    scenes.save_scene(scene, folder / "again.mrb")
    loaded = scenes.load_scene(folder / "again.mrb")
    with zipfile.ZipFile(folder / "again.mrb") as bundle:
        bundle.extractall(folder / "unpacked")
    loaded.SetURL(str(next((folder / "unpacked").rglob("*.mrml"))))
    assert loaded.Import()
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(loaded)
    return loaded
