"""What a network is shown in training: samples and their targets, views framed and varied, captures."""

import numpy as np
import pytest
import torch
from HemoCAMLib.errors import OptionError
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec
from HemoCAMLib.training.augment import Draw, Frames, skull_box, vary_hu, warp
from HemoCAMLib.training.capture import capture
from HemoCAMLib.training.samples import POSITIVE_MM2, Samples, sample_patient
from HemoCAMLib.training.views import training_view
from hypothesis import given
from hypothesis import strategies as st
from training_cases import generator, heads, small_manifest


def test_a_sample_is_what_the_pipeline_sees_and_its_labels_lie_on_the_blood():
    manifest = small_manifest()
    spec = PatientSpec(seed=11, kinds=("intraparenchymal",), size=128, spacing_mm=1.8, lesion_ml=(40, 60))
    samples = sample_patient(spec, manifest)
    assert samples.hu.shape == samples.labels.shape and samples.hu.shape[1:] == (64, 64)
    kind = KINDS.index("intraparenchymal")
    inside = samples.hu[samples.labels == kind + 1]
    assert 40 < np.median(inside) < 95
    # the same millilitres by the area a slab and by the pixels of the labels
    ml = samples.area_mm2[:, kind].sum() * 5 / 1000
    pixels = (samples.labels > 0).sum() * (manifest.field_of_view_mm / 64) ** 2 * 5 / 1000
    assert 35 < ml < 70 and pixels == pytest.approx(ml, rel=0.15)


def test_targets_leave_out_what_is_neither_clean_nor_bleeding():
    area = np.zeros((3, len(KINDS)), np.float32)
    area[1, 1], area[2, 1] = POSITIVE_MM2 / 2, POSITIVE_MM2 * 2
    empty = np.zeros((3, 2, 2))
    samples = Samples(empty, area, empty, np.arange(3))
    targets, weights = samples.targets(("any", "subdural", "intraparenchymal"))
    assert targets[:, 0].tolist() == [0, 0, 1] and weights[:, 0].tolist() == [1, 0, 1]
    assert targets[:, 1].tolist() == [0, 0, 0] and weights[:, 1].tolist() == [1, 1, 1]
    assert targets[:, 2].tolist() == [0, 0, 1]
    with pytest.raises(OptionError, match="fracture"):
        samples.targets(("fracture",))


def test_labels_stay_on_their_voxels_whatever_the_view():
    """A small bright lesion and its label are found at the same place after both ways of framing."""
    hu, labels = heads(24, 128), torch.zeros(24, 128, 128, dtype=torch.uint8)
    rng = np.random.default_rng(0)
    for n in range(24):
        r, c = rng.integers(45, 80, 2)
        hu[n, r : r + 5, c : c + 5], labels[n, r : r + 5, c : c + 5] = 3000, 3
    draw = Draw(24, generator(), hu.device)
    theta = Frames().random(hu, torch.arange(24) % 2 == 0, draw)
    moved, kept, _ = warp(hu[:, None], labels, hu[:, None] > 0, theta, 160)
    moved = moved[:, 0]
    assert kept.dtype == torch.uint8 and set(kept.unique().tolist()) == {0, 3}
    for n in range(24):
        bright, labelled = (torch.nonzero(m).float().mean(0) for m in (moved[n] > 1950, kept[n] == 3))
        assert torch.linalg.vector_norm(bright - labelled) < 0.75
    assert len({tuple(t) for t in theta.flatten(1).tolist()}) == 24


def test_the_box_of_the_skull_is_found_and_fills_the_square():
    hu = torch.full((1, 100, 100), -1000.0)
    hu[0, 20:70, 40:60] = 1000  # rows 20 to 69, columns 40 to 59
    centre, side = skull_box(hu)
    assert centre[0].tolist() == pytest.approx([0.0, -0.1]) and side.item() == pytest.approx(1.0)
    theta = Frames.upright(hu, torch.tensor([True]), 0.8)
    moved, _, within = warp(hu[:, None], hu.to(torch.uint8), hu[:, None] > 0, theta, 100)
    assert ((moved > 0) == within).float().mean() > 0.99
    rows = torch.nonzero((moved[0, 0] > 0).any(1))
    assert (rows.min().item(), rows.max().item()) == (10, 89)
    nothing = skull_box(torch.full((2, 64, 64), -1000.0))
    assert nothing[0].tolist() == [[0, 0], [0, 0]] and nothing[1].tolist() == [2, 2]


def test_a_view_is_seeded_and_keeps_tissue_in_its_range():
    hu, labels = heads()[:, None], torch.zeros(8, 64, 64, dtype=torch.uint8)
    whole, manifest = torch.ones(hu.shape, dtype=torch.bool), small_manifest()
    one, same, other = (
        training_view(hu, labels, whole, manifest, 64, 0.0, generator(s))[0] for s in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert 28 < float(one[(one > -100) & (one < 150)].median()) < 42
    varied = vary_hu(hu, Draw(8, generator(), hu.device))
    assert varied.shape == hu.shape and torch.isfinite(varied).all()


@given(st.integers(0, 2**31), st.sampled_from([40, 64, 100]))
def test_a_capture_is_what_a_reader_without_a_window_can_read(seed, size):
    hu = heads(4, size) + 20 * torch.randn(4, size, size, generator=generator(seed))
    before = hu.clone()
    read = capture(hu, Draw(4, generator(seed), hu.device))
    assert torch.equal(hu, before)
    assert read.shape == hu.shape and read.min() >= 0 and read.max() <= 80
    assert torch.equal(read, capture(hu, Draw(4, generator(seed), hu.device)))


def test_a_capture_keeps_the_order_of_tissues():
    """Bone brighter than brain, brain brighter than air, in the middle of (nearly) every capture."""
    hu = heads(64)
    read = capture(hu, Draw(64, generator(3), hu.device))
    brain, bone = read[:, 28:36, 28:36].mean((1, 2)), read[:, 28:36, 12].amax(1)
    assert (brain < bone).float().mean() > 0.95
    assert len({round(v, 2) for v in brain.tolist()}) > 50  # each through a window of its own


def test_letters_are_burnt_in():
    black = torch.full((64, 128, 128), -1000.0)
    read = capture(black, Draw(64, generator(1), black.device))
    written = (read.flatten(1).amax(1) > 35).float().mean()
    assert 0.2 < written < 0.5
