"""The parts of training: augmentation, captures, objective, sources and the pool, each against what is known."""

import csv
import functools
import math

import numpy as np
import pytest
import torch
from conftest import tiny_manifest
from HemoCAMLib.cams.engine import Engine
from HemoCAMLib.cams.stages import stage_modules
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import InputError, OptionError
from HemoCAMLib.models.bundle import build_network
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.models.preprocess import network_input
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec, make_patient
from HemoCAMLib.training.augment import Draw, Frames, skull_box, vary_hu, warp
from HemoCAMLib.training.capture import capture
from HemoCAMLib.training.disk import DiskPatients
from HemoCAMLib.training.objective import (
    EVEN,
    class_masks,
    coverage,
    evidence_loss,
    overlap_loss,
    slice_loss,
)
from HemoCAMLib.training.pool import Flow, Pool, Workshop
from HemoCAMLib.training.recipe import Recipe
from HemoCAMLib.training.samples import CLASSES, Samples, sample_patient
from HemoCAMLib.training.sources import InMemory, Mixed, VirtualPatients
from HemoCAMLib.training.trainee import Trainee
from HemoCAMLib.training.views import training_view
from HemoCAMLib.volumes.headgrid import Cells
from hypothesis import given
from hypothesis import strategies as st


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_manifest(**changes) -> Manifest:
    content = tiny_manifest(**changes)
    content["input"]["size"] = 64
    return Manifest.of(content)


def heads(count=8, size=64):
    """Brain within a ring of bone, in air."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(y / 0.42, x / 0.33) / size
    hu = np.where(radius < 1, 900.0, -1000.0)
    hu[radius < 0.85] = 35.0
    return torch.from_numpy(np.repeat(hu[None], count, 0)).float()


# --- augmentation ---------------------------------------------------------------------------------------------


def test_labels_stay_on_their_voxels_whatever_the_view():
    """A small bright lesion and its label are found at the same place after both ways of framing."""
    hu, labels = heads(24, 128), torch.zeros(24, 128, 128, dtype=torch.uint8)
    rng = np.random.default_rng(0)
    for n in range(24):
        r, c = rng.integers(45, 80, 2)
        hu[n, r : r + 5, c : c + 5], labels[n, r : r + 5, c : c + 5] = 3000, 3
    draw = Draw(24, generator(), hu.device)
    theta = Frames().random(hu, torch.arange(24) % 2 == 0, draw)
    moved, kept = warp(hu, labels, theta, 160)
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
    moved, _ = warp(hu, hu.to(torch.uint8), Frames.upright(hu, torch.tensor([True]), 0.8), 100)
    rows = torch.nonzero((moved[0] > 0).any(1))
    assert (rows.min().item(), rows.max().item()) == (10, 89)
    nothing = skull_box(torch.full((2, 64, 64), -1000.0))
    assert nothing[0].tolist() == [[0, 0], [0, 0]] and nothing[1].tolist() == [2, 2]


def test_a_view_is_seeded_and_keeps_tissue_in_its_range():
    hu, labels = heads(), torch.zeros(8, 64, 64, dtype=torch.uint8)
    one, same, other = (training_view(hu, labels, 64, 0.0, generator(s))[0] for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert 28 < float(one[(one > -100) & (one < 150)].median()) < 42
    varied = vary_hu(hu, Draw(8, generator(), hu.device))
    assert varied.shape == hu.shape and torch.isfinite(varied).all()


# --- captures -------------------------------------------------------------------------------------------------


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


# --- objective ------------------------------------------------------------------------------------------------


@given(
    st.integers(20, 40), st.sampled_from([3.0, 4.0, 5.5, 8.0]), st.floats(-3, 10), st.integers(1, 6),
    st.integers(0, 1000),
)  # fmt: skip
def test_coverage_is_the_mean_over_a_square_around_each_centre(size, pitch, first, count, seed):
    mask = np.random.default_rng(seed).integers(0, 2, (size, size))
    found = coverage(torch.from_numpy(mask)[None, None].float(), Cells(pitch, first), count)[0, 0].numpy()
    fine = 16  # brute force: each pixel as 16 x 16 points
    points = np.pad(np.kron(mask, np.ones((fine, fine))), 400)
    for r in range(count):
        for c in range(count):
            low = [round((first + k * pitch - pitch / 2 + 0.5) * fine) + 400 for k in (r, c)]
            square = points[max(low[0], 0) : low[0] + round(pitch * fine), :]
            square = square[:, max(low[1], 0) : low[1] + round(pitch * fine)]
            assert found[r, c] == pytest.approx(square.sum() / (pitch * fine) ** 2, abs=0.03)


def test_masks_a_class():
    labels = torch.tensor([[[0, 1, 2]]])
    masks = class_masks(labels, ("any", KINDS[1], KINDS[0]))
    assert masks[0, :, 0].tolist() == [[0, 1, 1], [0, 0, 1], [0, 1, 0]]


def test_evidence_loss_by_hand():
    evidence = torch.tensor([[[[5.0, 1.0], [-2.0, 0.0]]]])
    covered = torch.tensor([[[[1.0, 0.0], [0.0, 0.5]]]])

    def entropy(z, q):
        return -3 * q * math.log(1 / (1 + math.exp(-z))) - (1 - q) * math.log(1 / (1 + math.exp(z)))

    cells = [entropy(2, 1), entropy(-2, 0), entropy(-5, 0), entropy(-3, 0.5)]
    found = evidence_loss(evidence, covered, torch.ones(1, 1)).item()
    assert found == pytest.approx(sum(cells) / 4, rel=1e-5)
    assert evidence_loss(evidence, covered, torch.zeros(1, 1)).item() == 0


def test_overlap_loss_by_hand_and_at_its_ends():
    covered = torch.zeros(1, 2, 4, 4)
    covered[0, 0, 1, 2], covered[0, 0, 1, 3] = 1.0, 0.5
    p = torch.full((1, 2, 4, 4), 0.2)
    found = overlap_loss(torch.logit(p) + EVEN, covered, torch.ones(1, 2)).item()
    assert found == pytest.approx(1 - (2 * 0.2 * 1.5 + 0.1) / (16 * 0.04 + 1.25 + 0.1), rel=1e-5)
    sharp = torch.where(covered > 0.5, 30.0, -30.0)
    covered[0, 0, 1, 3] = 0
    assert overlap_loss(sharp, covered, torch.ones(1, 2)).item() == pytest.approx(0, abs=1e-6)
    assert overlap_loss(-sharp, covered, torch.ones(1, 2)).item() > 0.9
    assert overlap_loss(sharp, covered, torch.zeros(1, 2)).item() == 0


def test_evidence_is_pulled_to_the_blood_and_nowhere_else():
    covered = torch.zeros(1, 1, 4, 4)
    covered[0, 0, 1, 2] = 0.8
    for loss in (evidence_loss, overlap_loss):
        evidence = torch.full((1, 1, 4, 4), 2.5, requires_grad=True)
        loss(evidence, covered, torch.ones(1, 1)).backward()
        pull = -evidence.grad[0, 0].flatten()
        assert pull[6] > 0 and (pull[torch.arange(16) != 6] < 0).all()


def test_slice_loss_leaves_out_what_is_unknown():
    logits, targets = torch.tensor([[1.0, -5.0]]), torch.tensor([[1.0, 1.0]])
    loss = slice_loss(logits, targets, torch.tensor([[1.0, 0.0]]), 0.1)
    z, q = 1.0, 0.9
    assert loss.item() == pytest.approx((math.log1p(math.exp(-z)) + z - z * q) / 2)


# --- trainee --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """A trainee whose weights and running statistics are no longer those of the start."""
    torch.manual_seed(0)
    manifest = small_manifest()
    trainee = Trainee(build_network(manifest), manifest, gain=64.0)
    with torch.no_grad():
        trainee.network.get_classifier().weight.normal_(0, 0.02)
        trainee.train()
        for _ in range(3):
            trainee(heads() + 20 * torch.randn(8, 64, 64))
    return trainee.eval(), manifest


def test_channels_are_the_pipelines(trained):
    trainee, manifest = trained
    hu = heads(2) + 30 * torch.randn(2, 64, 64, generator=generator())
    assert np.allclose(trainee.channels(hu).numpy(), network_input(hu.numpy(), manifest), atol=1e-5)


def test_the_evidence_averages_to_the_logit_and_is_hirescam(trained):
    trainee, manifest = trained
    hu = heads(3) + 30 * torch.randn(3, 64, 64, generator=generator())
    with torch.no_grad():
        logits, evidence = trainee(hu)
        bias = trainee.network.get_classifier().bias
        assert torch.allclose(evidence.mean((2, 3)) + bias, logits, atol=1e-4)
        folded = Trainee(build_network(manifest), manifest, gain=64.0)
        folded.load_state_dict(trainee.state_dict())
        network = folded.fold()
        assert folded.gain == 1
        assert torch.allclose(network(trainee.channels(hu)), logits, atol=1e-4)
    last = len(stage_modules(network))
    for index in (0, 3):
        found = Engine(network).explain(trainee.channels(hu), Target(index), ["hirescam"], [last])
        maps = found.raw["hirescam", last]
        assert np.allclose(maps * evidence[0, 0].numel(), evidence[:, index], atol=1e-4)


def test_a_gain_changes_nothing_at_the_start():
    manifest = small_manifest()
    hu = heads(2)
    logits = []
    for gain in (1.0, 64.0):
        torch.manual_seed(4)
        with torch.no_grad():
            logits.append(Trainee(build_network(manifest), manifest, gain).eval()(hu)[0])
    assert torch.allclose(*logits, atol=1e-5)


def test_a_network_with_another_head_trains_by_labels_alone():
    manifest = small_manifest(architecture={"timm": "test_convnext"})
    trainee = Trainee(build_network(manifest), manifest)
    assert trainee(heads(2))[1] is None and trainee.gain == 1


# --- recipe, pool, sources ------------------------------------------------------------------------------------


def test_sizes_share_the_epochs():
    assert Recipe(epochs=10, sizes=((64, 0.3), (96, 0.7))).plan(96) == [64] * 3 + [96] * 7
    assert Recipe(epochs=4).plan(256) == [192, 192, 256, 256]
    assert Recipe(epochs=3, sizes=[[64, 1], [96, 1]]).plan(96)[-1] == 96


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"captures": 1.5}, {"schedule": "stairs"}, {"sizes": ((16, 1),)}, {"learning_rate": 0}]
)  # fmt: skip
def test_a_recipe_refuses_nonsense(wrong):
    with pytest.raises(OptionError):
        Recipe(**wrong)


def patients(count, slices=4, size=8):
    """Every second slice bleeds; HU tells patient and slice."""
    n = count * slices
    area = np.zeros((n, len(KINDS)), np.float32)
    area[::2, 0] = 100
    hu = np.repeat(np.arange(n), size * size).reshape(n, size, size).astype(np.int16)
    return Samples(hu, area, np.zeros((n, size, size), np.uint8), np.arange(n) // slices)


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 5), st.sampled_from([0.0, 0.3, 1.0, 2.5]))
def test_the_pool_at_a_step_is_the_same_however_it_got_there(available, capacity, first, inflow):
    source, flow = InMemory(patients(available)), Flow(capacity, first, inflow)
    with Workshop(0) as workshop:
        walked = Pool(source, workshop, flow)
        for step in range(9):
            walked.advance(step)
        jumped = Pool(source, workshop, flow)
        jumped.advance(8)
        assert sorted(walked._held) == sorted(jumped._held)
        assert 1 <= len(jumped._held) <= capacity
        draws = [pool.draw(3, 2, np.random.default_rng(5)) for pool in (walked, jumped)]
    assert np.array_equal(draws[0].hu, draws[1].hu)
    assert draws[0].truth[:3, 0].tolist() == [1] * 3 and draws[0].truth[3:, 0].tolist() == [0] * 2


def test_several_processes_share_the_patients_out():
    with Workshop(0) as workshop:
        pools = [Pool(InMemory(patients(7)), workshop, Flow(9, 9, 0), rank, 3) for rank in range(3)]
        held = []
        for pool in pools:
            pool.advance(0)
            held += [int(s.patient[0]) for s in pool._held.values()]
        assert sorted(held) == list(range(7))
        with pytest.raises(InputError, match="too few"):
            Pool(InMemory(patients(2)), workshop, Flow(9, 9, 0), 2, 3)


def test_patients_come_from_background_processes_and_leave_no_file_unless_kept(tmp_path):
    manifest = small_manifest()
    specs = [PatientSpec(seed=s, size=48, spacing_mm=5, slice_mm=20) for s in range(9)]
    source = VirtualPatients(specs, manifest, tmp_path, keep=False)
    with Workshop(1) as workshop:
        pool = Pool(source, workshop, Flow(2, 2, 1.0))
        for step in range(3):
            pool.advance(step)
    expected = sample_patient(specs[3], manifest)
    assert np.array_equal(pool._held[3].hu, expected.hu)
    kept = {path.name.split("-")[1] for path in tmp_path.glob("*.npz")}
    assert {"2", "3"} <= kept and not {"0", "1"} & kept


def test_fresh_patients_never_come_twice_and_files_go(tmp_path):
    from HemoCAMLib.training.run import Cases, _source

    recipe = Recipe(epochs=2, steps_per_epoch=10, pool=5, first=4, inflow=0.5)
    ((source, _),) = _source(Cases(fresh=True), [], small_manifest(), recipe, tmp_path, 2).parts
    last = Flow(recipe.pool, recipe.first, recipe.inflow).window(recipe.steps - 1, 10**6).stop
    assert len(source) // 2 >= last + 2 * 16 and not source.keep
    assert len({spec.seed for spec in source.specs}) == len(source)


def test_large_bleeds_and_whole_brains_are_drawn_more_often():
    samples = patients(2)
    samples.area_mm2[:] = 0
    samples.area_mm2[::2, 0] = (40, 80, 160, 4000)
    samples.hu[:] = -1000
    samples.hu[3] = 30  # one clean slab shows brain all over
    with Workshop(0) as workshop:
        pool = Pool(InMemory(Samples(samples.hu, samples.area_mm2, samples.labels, samples.patient)), workshop,
                    Flow(9, 9, 0))  # fmt: skip
        pool.advance(0)
    drawn = pool.draw(20000, 20000, np.random.default_rng(0))
    area = drawn.area_mm2[:20000, 0]
    shares = [(area == a).mean() for a in (40, 80, 160, 4000)]
    assert shares == pytest.approx(np.array([80, 80, 160, 600]) / 920, abs=0.02)
    brain = (drawn.hu[20000:] == 30).any(axis=(1, 2)).mean()
    assert brain == pytest.approx(1 / 1.15, abs=0.02)


def test_a_mixture_splits_each_batch():
    parts = Mixed(((InMemory(patients(1)), 1.0), (InMemory(patients(1)), 3.0)))
    assert parts.counts(16) == [4, 12] and sum(parts.counts(7)) == 7
    with pytest.raises(OptionError):
        Mixed(())


# --- data sets on disk ----------------------------------------------------------------------------------------


def write_table(path, rows, header=("patient_name", "slice_number", "hemorrhage_binary")):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def test_slices_on_disk_are_read_with_their_labels_and_without_masks(tmp_path):
    (tmp_path / "images").mkdir()
    hu = heads(3, 96).numpy().astype(np.int16)
    hu[2, 40:50, 40:50] = 70
    for n in range(3):
        np.save(tmp_path / "images" / f"a_b_{n + 4:03d}.npy", hu[n])
    header = ("patient_name", "slice_number", "hemorrhage_binary", "subdural")
    write_table(tmp_path / "labels.csv", [("a_b", 4, 0, ""), ("a_b", 6, 1, 1), ("a_b", 5, 1, "")], header)
    source = DiskPatients.open(tmp_path, small_manifest())
    samples = source.job(0)()
    assert len(source) == 1 and samples.hu.shape == (3, 64, 64) and not samples.mapped.any()
    assert samples.truth[:, 0].tolist() == [0, 1, 1]
    subdural = samples.truth[:, CLASSES.index("subdural")]
    assert subdural[[0, 2]].tolist() == [0, 1] and np.isnan(subdural[1])
    assert samples.truth[0].tolist() == [0] * len(CLASSES)
    # the bleeding lies where it was: 96 pixels over the field of view, then 64
    assert 55 < samples.hu[2, 30, 30] < 75 and 30 < samples.hu[1, 30, 30] < 40
    targets, weights = samples.targets(("any", "epidural"))
    assert weights.tolist() == [[1, 1], [1, 0], [1, 0]] and targets[:, 0].tolist() == [0, 1, 1]


def test_volumes_on_disk_give_their_slabs_the_labels_of_their_slices(tmp_path):
    from HemoCAMLib.volumes.files import write_image

    (tmp_path / "images").mkdir()
    patient = make_patient(PatientSpec(seed=3, kinds=(), size=64, spacing_mm=3.6, slice_mm=2.5))
    write_image(patient.ct, tmp_path / "images" / "p1.nii.gz")
    count = patient.ct.shape[0]
    rows = [("p1", n, int(n == 7)) for n in range(1, count + 1) if n != 12]
    write_table(tmp_path / "slices.csv", rows)
    samples = DiskPatients.open(tmp_path, small_manifest()).job(0)()
    truth = samples.truth[:, 0]
    # slabs of two slices, inferior to superior: slice 7 is in the fourth, slice 12 (unlabelled) in the sixth
    assert truth[3] == 1 and np.isnan(truth[5]) and truth[0] == 0 and np.nansum(truth) == 1


def test_patients_on_disk_are_split_by_patient_and_seed():
    source = DiskPatients(tuple(range(20)), small_manifest())
    one, again, other = (source.split((0.15, 0.15), seed) for seed in (1, 1, 2))
    assert [part.cases for part in one] == [part.cases for part in again] != [part.cases for part in other]
    assert sorted(sum((part.cases for part in one), ())) == list(range(20))
    assert [len(part) for part in one] == [3, 3, 14]
    with pytest.raises(InputError, match="too few"):
        DiskPatients(tuple(range(2)), small_manifest()).split((0.15, 0.15), 1)


@pytest.mark.parametrize(
    ("rows", "header", "sentence"),
    [
        ([("p", 1, 2)], None, "Line 2 .* '2'; labels are 0, 1 or empty"),
        ([("p", "x", 1)], None, "Line 2 .* slice_number"),
        ([("p", 1, 1), ("p", 1, 0)], None, "a second time"),
        ([("p", 1, 1)], ("patient_name", "slice", "hemorrhage_binary"), "lack the column slice_number"),
        ([("p", 1, 1), ("p", 2, 1)], None, "No slice without a hemorrhage"),
        ([("p", 1, 0), ("p", 3, 1)], None, "lacks p_3.npy"),
    ],
)
def test_a_bad_table_has_its_sentence(tmp_path, rows, header, sentence):
    for n in (1, 2):
        np.save(tmp_path / f"p_{n}.npy", np.zeros((8, 8)))
    write_table(tmp_path / "t.csv", rows, *([header] if header else []))
    with pytest.raises(InputError, match=sentence):
        DiskPatients.open(tmp_path, small_manifest())


def test_bad_slices_have_their_sentence(tmp_path):
    write_table(tmp_path / "t.csv", [("p", 1, 0), ("p", 2, 1)])
    np.save(tmp_path / "p_1.npy", np.zeros((8, 8)))
    for bad, sentence in (
        (np.zeros((8, 9)), "others of its patient"),
        (np.zeros((2, 8, 8)), "no picture in HU"),
    ):
        np.save(tmp_path / "p_2.npy", bad)
        with pytest.raises(InputError, match=sentence):
            DiskPatients.open(tmp_path, small_manifest()).job(0)()
    (tmp_path / "p_2.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read"):
        DiskPatients.open(tmp_path, small_manifest()).job(0)()
    with pytest.raises(InputError, match="no CSV files"):
        DiskPatients.open(tmp_path / "nowhere", small_manifest())


def test_training_on_labels_alone_and_on_both(tmp_path):
    """Slices without label maps train the slice loss only; mixed with mapped ones, both losses run."""
    from HemoCAMLib.training.loop import train
    from test_training import QUICK, spots

    mapped = spots(32)
    bare = Samples(
        mapped.hu,
        np.full_like(mapped.area_mm2, np.nan),
        np.zeros_like(mapped.labels),
        mapped.patient,
        mapped.truth,
    )
    recipe = Recipe(**{**QUICK.__dict__, "epochs": 1})
    losses = []
    for name, source in (
        ("bare", InMemory(bare)),
        ("both", Mixed(((InMemory(bare), 0.5), (InMemory(mapped), 0.5)))),
    ):
        train(source, mapped, small_manifest(), recipe, tmp_path / name)
        losses.append(float(next(csv.DictReader((tmp_path / name / "log.csv").open()))["evidence_loss"]))
    assert losses[0] == 0 and losses[1] > 0


def test_workshop_keeps_the_order():
    with Workshop(0) as workshop:
        assert list(workshop.stream(functools.partial(int, n) for n in range(5))) == [0, 1, 2, 3, 4]
