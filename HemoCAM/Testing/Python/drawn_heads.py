"""Pictures of drawn heads, and slices of a virtual patient, for tests of single slices."""

import numpy as np
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from PIL import Image


def drawn_head(shape, centre, radii, brain=0.4, skull=1.0):
    """A gray picture: an ellipse of skull around brain, radii (rows, columns) to the outer edge of the skull."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    away = np.hypot((y - centre[0]) / radii[0], (x - centre[1]) / radii[1])
    return np.where(away <= 0.88, brain, np.where(away <= 1, skull, 0)).astype(np.float32)


def save(gray, path, **options):
    Image.fromarray(np.rint(np.asarray(gray) * 255).astype(np.uint8)).save(path, **options)
    return path


def write_pictures(folder):
    """Make ``folder``: six pictures of different sizes, one of them JPEG, beside things that are no slices."""
    folder.mkdir()
    rng = np.random.default_rng(4)
    for n in range(5):
        gray = drawn_head((140 + 31 * n, 117 + 20 * n), (70 + 15 * n, 58 + 10 * n), (65 + 10 * n, 50 + 8 * n))
        gray[50:70, 40:60] += 0.5 * rng.random()
        save((gray + rng.normal(0, 0.05, gray.shape)).clip(0, 1), folder / f"{n}.png")
    save(drawn_head((100, 100), (50, 50), (45, 40)), folder / "a.jpg")
    (folder / "labels.csv").write_text("file,hemorrhage\n")
    (folder / "masks").mkdir()
    return folder


def virtual_scan():
    """A CT of a virtual patient with a bleeding, 96 x 96 pixels."""
    spec = PatientSpec(seed=5, kinds=("intraparenchymal",), size=96, spacing_mm=2.4, slice_mm=8)
    return make_patient(spec).ct
