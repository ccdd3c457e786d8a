"""The overview of a data set of virtual patients shows what there is to see."""

import numpy as np
from HemoCAMLib.datasets.overview import draw_overview, keep_tile
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from PIL import Image

SMALL = {"size": 64, "spacing_mm": 3.6, "slice_mm": 8.0}


def test_a_tile_shows_the_slice_with_the_most_blood_or_brain(tmp_path):
    bleeding = make_patient(PatientSpec(3, kinds=("subdural",), lesion_ml=(50, 60), **SMALL))
    healthy = make_patient(PatientSpec(4, kinds=(), **SMALL))
    tiles = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for patient, path in zip((bleeding, healthy), tiles, strict=True):
        keep_tile(patient, path.stem, path)
    with np.load(tiles[0]) as kept:
        assert kept["truth"].sum() == (bleeding.labels.array > 0).sum((1, 2)).max() > 0
        assert str(kept["section"]) == "subdural" and "ml" in str(kept["caption"])
    with np.load(tiles[1]) as kept:
        assert not kept["truth"].any() and str(kept["section"]) == "none"
        assert ((kept["picture"] > 0) & (kept["picture"] < 255)).mean() > 0.15
    draw_overview(tiles, tmp_path / "overview.png")
    with Image.open(tmp_path / "overview.png") as drawn:
        colours = np.asarray(drawn.convert("RGB")).astype(int)
    assert (colours[..., 1] - colours[..., 0] > 60).sum() > 20, "the outline of the blood is green"
    assert {p.name for p in tmp_path.iterdir()} == {"a.npz", "b.npz", "overview.png"}
