"""The scene floor: volumes, maps, masks and tables as nodes of Slicer's MRML scene, and scenes as files.

It runs in 3D Slicer and, without Slicer, on the package ``slicer-core``, which holds Slicer's own node and
storage classes. No torch here, and no Qt.
"""

from .analysis import content_of
from .content import SceneContent, SliceRow
from .nodes import node_to_volume, volume_to_node
from .record import SceneNodes, results_of
from .results import add_results, show_results
from .runs import put_results, remove_results
from .segmentations import segmentation_to_volume, write_segmentation
from .storage import load_scene, new_scene, save_scene

__all__ = [
    "SceneContent",
    "SceneNodes",
    "SliceRow",
    "add_results",
    "content_of",
    "load_scene",
    "new_scene",
    "node_to_volume",
    "put_results",
    "remove_results",
    "results_of",
    "save_scene",
    "segmentation_to_volume",
    "show_results",
    "volume_to_node",
    "write_segmentation",
]
