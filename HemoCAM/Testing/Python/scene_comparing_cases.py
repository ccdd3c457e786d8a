"""What tests of the comparison in a scene share."""

import numpy as np
import pytest
from HemoCAMLib import scene as scenes
from HemoCAMLib.comparison.table import compare as compare_masks
from HemoCAMLib.scene import comparing
from HemoCAMLib.scene.segmentations import add_segmentation
from HemoCAMLib.scene.tables import rows_of_comparison
from HemoCAMLib.volumes.volume import Volume
from scene_cases import (
    put_under,
    tiny_content,
)

SHAPE = (12, 24, 20)


AFFINE = np.array([[-2.0, 0, 0, 20], [0, -2.0, 0, 24], [0, 0, 3.0, -18], [0, 0, 0, 1]])


def ball(ct, centre, radius):
    """Where a ball in RAS, mm, covers the voxel centres of a volume."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in ct.shape], indexing="ij"), axis=-1)[..., ::-1]
    return np.linalg.norm(ct.ras(grid) - centre, axis=-1) <= radius


class Case:
    """A CT with results whose mask is a ball, in a scene."""

    def __init__(self, affine=AFFINE, shape=SHAPE, transform=None):
        self.scene = scenes.new_scene()
        self.ct_node = scenes.volume_to_node(self.scene, Volume(np.zeros(shape, np.int16), affine), "CT")
        if transform is not None:
            put_under(self.scene, self.ct_node, transform)
        self.ct = scenes.node_to_volume(self.ct_node)
        self.middle = self.ct.ras((np.array(shape[::-1]) - 1) / 2)
        self.mask = ball(self.ct, self.middle, 10.0)
        content = tiny_content(self.ct, heatmap=self.ct.like(self.mask * np.float32(1), "h"),
                               mask=self.ct.like(self.mask, "m"))  # fmt: skip
        self.nodes = scenes.put_results(self.scene, content, self.ct_node)

    def reference(self, volume, node=None, name="truth"):
        segmentation = add_segmentation(self.scene, volume, name, "bleed", (0, 1, 0), node or self.ct_node)
        return segmentation, segmentation.GetSegmentation().GetNthSegmentID(0)

    def near(self, away=(3.0, 0, 0)):
        """A reference beside the mask, on the CT's grid."""
        self.truth = ball(self.ct, self.middle + away, 10.0)
        return self.reference(self.ct.like(self.truth, "t"))

    def compare(self, reference, segment_id, **more):
        table = comparing.compare(self.scene, self.nodes, reference, segment_id, **more)
        return table, dict(rows_of_comparison(table))


@pytest.fixture
def case():
    return Case()


def expected(case, truth, name="bleed"):
    found = compare_masks(case.ct.like(truth, "truth"), case.ct.like(case.mask, "CT CAM mask"), name,
                          "Hemorrhage (CAM)")  # fmt: skip
    return {key: value if isinstance(value, str) else f"{value:.6g}" for key, value in found.rows()}
