"""What the tests share: a tiny bundle, real data where it is there, simple volumes."""

import json
from pathlib import Path

import bodies
import numpy as np
import pytest
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.training.export import write_bundle
from HemoCAMLib.training.run import BLUEPRINT
from HemoCAMLib.volumes.volume import Volume
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared"

# shared CI machines stall now and then: no deadline an example; the same examples everywhere
settings.register_profile(
    "hemocam", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("hemocam")


def tiny_manifest(**changes) -> dict:
    """A manifest of timm's smallest EfficientNet."""
    content = json.loads(BLUEPRINT.read_text(encoding="utf-8"))
    content["name"] = "tiny"
    content["architecture"] = {"timm": "test_efficientnet"}
    content["input"]["size"] = 128
    for key in ("windows", "mean", "std"):  # the slab itself, whole: its neighbors have tests of their own
        content["input"][key] = content["input"][key][:3]
    del content["input"]["outside"]
    content["explanation"]["stage"] = 2
    content["input"]["picture"] = {
        "centre": 40,
        "width": 80,
        "fill": 0.92,
        "calibration": {c: {"slope": 0.5, "intercept": 0.1, "threshold": 0.5} for c in content["classes"]},
        "mask_threshold": 0.55,
    }
    content.update(changes)
    return content


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory) -> Bundle:
    """A whole bundle with random weights whose outputs differ from slice to slice."""
    import torch
    from HemoCAMLib.models.bundle import build_network

    torch.manual_seed(3)
    content = tiny_manifest()
    network = build_network(Manifest.of(content))
    with torch.no_grad():
        network.train()
        for _ in range(8):  # running statistics of something like an image, so that activations are sane
            network(torch.randn(8, 3, 128, 128))
    return write_bundle(network.eval(), content, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def cq500() -> Path:
    """A real head CT study; skips where it is not there."""
    folder = SHARED / "data" / "cq500-ct-1"
    if not folder.is_dir():
        pytest.skip("the real scan is not here (../shared/data/cq500-ct-1)")
    return folder


@pytest.fixture(scope="session")
def head() -> Volume:
    """A small synthetic head; nobody changes it."""
    return bodies.head(bodies.SMALL, bodies.SPACING)


@pytest.fixture(scope="session")
def content():
    """Results to be put into a scene (scene_cases.py)."""
    from scene_cases import make_content

    return make_content()


@pytest.fixture(scope="session")
def saved(content, tmp_path_factory):
    """These results in a file: (path, nodes, scene)."""
    from scene_cases import save_results

    return save_results(content, tmp_path_factory.mktemp("a folder"))


@pytest.fixture(scope="session")
def loaded(saved):
    """The scene of that file, loaded; nobody changes it."""
    from HemoCAMLib.scene import load_scene

    return load_scene(saved[0])


def random_affine(rng: np.random.Generator, spacing: np.ndarray) -> np.ndarray:
    """An oblique IJK-to-RAS matrix: near one of the 48 axis orders and flips, then turned by up to 25 degrees."""
    from scipy.spatial.transform import Rotation

    axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * np.radians(25) / np.sqrt(3)).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ axes @ np.diag(spacing)
    matrix[:3, 3] = rng.uniform(-200, 200, 3)
    return matrix


def ball_volume(shape: tuple[int, int, int], matrix: np.ndarray, radius_mm: float = 70.0) -> Volume:
    """Soft tissue (30 HU) in air: a ball in the middle of the grid."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)[..., ::-1]
    volume = Volume(np.zeros(shape, np.int16), matrix)
    away = np.linalg.norm(volume.ras(grid) - volume.ras((np.array(shape[::-1]) - 1) / 2), axis=-1)
    return Volume(np.where(away < radius_mm, 30, -1000).astype(np.int16), matrix)


@pytest.fixture
def no_application(monkeypatch):
    """Slicer's libraries without the application, though another test may have put its stand-in there."""
    import slicer

    monkeypatch.delattr(slicer, "app", raising=False)
