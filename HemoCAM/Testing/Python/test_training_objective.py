"""What training asks for: the losses by hand, and the evidence that the trainee lays open for them."""

import math

import numpy as np
import pytest
import torch
from HemoCAMLib.cams.engine import Engine
from HemoCAMLib.cams.stages import stage_modules
from HemoCAMLib.cams.target import Target
from HemoCAMLib.models.bundle import build_network
from HemoCAMLib.models.preprocess import network_input
from HemoCAMLib.phantoms.patient import KINDS
from HemoCAMLib.training.objective import (
    EVEN,
    class_masks,
    coverage,
    evidence_loss,
    overlap_loss,
    slice_loss,
)
from HemoCAMLib.training.trainee import Trainee
from HemoCAMLib.volumes.headgrid import Cells
from hypothesis import given
from hypothesis import strategies as st
from training_cases import generator, heads, small_manifest


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


@pytest.fixture(scope="module")
def trained():
    """A trainee whose weights and running statistics are no longer those of the start."""
    torch.manual_seed(0)
    manifest = small_manifest()
    trainee = Trainee(build_network(manifest), manifest)
    with torch.no_grad():
        trainee.network.get_classifier().weight.normal_()
        trainee.train()
        for _ in range(3):
            trainee(heads() + 20 * torch.randn(8, 64, 64))
    return trainee.eval(), manifest


def test_channels_are_the_pipelines(trained):
    trainee, manifest = trained
    hu = heads(2) + 30 * torch.randn(2, 64, 64, generator=generator())
    assert np.allclose(trainee.channels(hu).numpy(), network_input(hu.numpy(), manifest), atol=1e-5)


def test_the_evidence_averages_to_the_logit_and_is_hirescam(trained):
    trainee, _ = trained
    hu = heads(3) + 30 * torch.randn(3, 64, 64, generator=generator())
    with torch.no_grad():
        logits, evidence = trainee(hu)
        bias = trainee.network.get_classifier().bias
        assert torch.allclose(evidence.mean((2, 3)) + bias, logits, atol=1e-4)
        assert torch.allclose(trainee.network(trainee.channels(hu)), logits, atol=1e-4)
    last = len(stage_modules(trainee.network))
    for index in (0, 3):
        found = Engine(trainee.network).explain(trainee.channels(hu), Target(index), ["hirescam"], [last])
        maps = found.raw["hirescam", last]
        assert np.allclose(maps * evidence[0, 0].numel(), evidence[:, index], atol=1e-4)


def test_a_network_with_another_head_trains_by_labels_alone():
    manifest = small_manifest(architecture={"timm": "test_convnext"})
    trainee = Trainee(build_network(manifest), manifest)
    assert trainee(heads(2))[1] is None
