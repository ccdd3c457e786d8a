"""What tests of the scene share: results to be put into one, with awkward names, and their file."""

import numpy as np
from HemoCAMLib import scene as scenes
from HemoCAMLib.scene import SceneContent, SliceRow
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
