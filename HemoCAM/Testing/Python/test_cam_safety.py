"""The engine leaves the caller's network alone, stays within its memory, and says what is wrong."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from cam_networks import assert_same, inputs, settled, snapshot
from HemoCAMLib.cams.backends import BACKENDS, make_engine
from HemoCAMLib.cams.engine import Engine
from HemoCAMLib.cams.methods import METHODS, NINE
from HemoCAMLib.cams.target import Target
from HemoCAMLib.errors import Cancelled, HemoCAMError, OptionError


@pytest.fixture
def own():
    """A network of the test's own, half frozen, with a gradient and a hook: all that could be disturbed."""
    import copy

    network = copy.deepcopy(settled("test_efficientnet")).train()
    network(inputs()).sum().backward()
    network.conv_stem.weight.requires_grad_(False)
    network.classifier.weight.grad = None
    return network


@pytest.mark.parametrize("training", [False, True])
def test_the_callers_network_is_untouched_and_nothing_is_printed(own, training, capfd):
    calls = []
    own.train(training).register_forward_hook(lambda *_: calls.append(1))
    before = snapshot(own)
    Engine(own).explain(inputs(1), Target(0), tuple(METHODS), [3, 6])
    assert_same(before, snapshot(own))
    printed = capfd.readouterr()
    assert printed.out == printed.err == "" and not calls


@pytest.mark.parametrize("method", ["hirescam", "ablationcam", "ablationcam-library", "scorecam"])
@pytest.mark.parametrize("stop", [Cancelled, KeyboardInterrupt, RuntimeError])
def test_whatever_ends_it_midway_the_network_is_whole_and_the_engine_goes_on(own, method, stop):
    engine, before, told = Engine(own), snapshot(own), []
    whole = engine.explain(inputs(2), Target(0), [method], [3])

    def interrupt(phase, done, total):
        told.append((phase, done, total))
        if len(told) == 2:
            raise stop

    slow = Engine(own, memory=engine._meter.footprint((3, 96, 96), 0).passing * 2)
    slow.memory = max(slow.memory, engine._meter.footprint((3, 96, 96), 3).kept + slow.memory // 2)
    if method == "ablationcam-library":
        slow.memory = engine.memory
    with pytest.raises(stop):
        for _ in range(2):
            slow.explain(inputs(2), Target(0), [method], [3], interrupt)
    assert all(0 <= done <= total for _, done, total in told)
    assert_same(before, snapshot(own))
    assert np.array_equal(
        engine.explain(inputs(2), Target(0), [method], [3]).raw[method, 3], whole.raw[method, 3]
    )


def test_what_happens_to_the_network_later_does_not_reach_the_engine(own):
    engine = Engine(own)
    before = engine.explain(inputs(), Target(0), ["hirescam"], [5]).raw["hirescam", 5]
    with torch.no_grad():
        own.classifier.weight.zero_()
    after = engine.explain(inputs(), Target(0), ["hirescam"], [5]).raw["hirescam", 5]
    assert np.array_equal(before, after)


def test_frozen_parameters_are_no_obstacle(own):
    free = Engine(own).explain(inputs(), Target(0), ["gradcam"], [5]).raw["gradcam", 5]
    frozen = (
        Engine(own.requires_grad_(False)).explain(inputs(), Target(0), ["gradcam"], [5]).raw["gradcam", 5]
    )
    assert free.any() and np.array_equal(free, frozen)


def test_it_works_where_gradients_are_switched_off():
    with torch.inference_mode(), torch.no_grad():
        inside = Engine(settled("test_resnet"))
        maps = inside.explain(inputs(), Target(0), ["gradcam"], [3]).raw["gradcam", 3]
    with torch.no_grad():
        again = inside.explain(inputs(), Target(0), ["gradcam"], [3]).raw["gradcam", 3]
    assert maps.any() and np.array_equal(maps, again)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ["gradcam2"]}, "choose one of gradcam, "),
        ({"stages": [0]}, "stages 1 to 6; there is no stage 0"),
        ({"stages": [3, 7]}, "there is no stage 7"),
        ({"methods": []}, "at least one method and one stage"),
        ({"stages": []}, "at least one method and one stage"),
        ({"targets": Target(3)}, "outputs 0 to 2; there is no output 3"),
        ({"targets": Target(-1)}, "there is no output -1"),
        ({"targets": [Target(0)] * 2}, "2 targets for 3 slices"),
        ({"targets": [Target(0)] * 4}, "4 targets for 3 slices"),
        ({"batch": inputs(0)}, "none of them 0"),
        ({"batch": inputs()[0]}, "must be \\(slices, channels, height, width\\)"),
    ],
)
def test_a_wrong_request_is_one_clear_sentence(change, message):
    request = {"batch": inputs(), "targets": Target(0), "methods": ["hirescam"], "stages": [3]} | change
    with pytest.raises(OptionError, match=message):
        Engine(settled("test_efficientnet")).explain(**request)


def test_wrong_options_are_named():
    with pytest.raises(OptionError, match="choose torch or library"):
        Engine(settled("test_resnet"), formulas="numpy")
    with pytest.raises(OptionError, match="for the class"):
        Target(0, 2)
    with pytest.raises(OptionError, match=", ".join(BACKENDS)):
        make_engine(settled("test_resnet"), "captum")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_input_that_is_not_finite_is_refused(value):
    batch = inputs()
    batch[1, 0, 5, 5] = value
    with pytest.raises(HemoCAMError, match="not finite; mend the volume"):
        Engine(settled("test_resnet")).explain(batch, Target(0), ["hirescam"], [3])


def test_maps_that_are_not_finite_are_refused():
    import copy

    network = copy.deepcopy(settled("test_resnet"))
    torch.nn.init.constant_(network.fc.weight, 1e25)
    with pytest.raises(HemoCAMError, match="GradCAMPlusPlus gave values that are not finite at stage 4"):
        Engine(network).explain(inputs(), Target(0), ["gradcam++"], [4])  # it squares the gradient


def test_it_is_deterministic():
    engine = Engine(settled("test_efficientnet"))
    first, second = (engine.explain(inputs(), Target(0), NINE, [3, 5]) for _ in range(2))
    assert all(np.array_equal(first.raw[key], second.raw[key]) for key in first.raw)


def test_the_layout_of_the_input_does_not_matter():
    engine = Engine(settled("test_efficientnet"))
    last = inputs().contiguous(memory_format=torch.channels_last)
    one, other = (engine.explain(b, Target(0), NINE, [5]) for b in (inputs(), last))
    assert all(np.allclose(one.raw[key], other.raw[key], rtol=1e-3, atol=1e-6) for key in one.raw)


def test_half_precision_stays_within_what_it_states():
    """ScoreCAM in bfloat16: nothing else changes; its error is that of the scores, which softmax hardly passes on."""
    network, batch = settled("test_efficientnet"), inputs()
    exact, half = (make_engine(network, name).explain(batch, Target(0), NINE, [4]) for name in BACKENDS[:2])
    for key, maps in exact.raw.items():
        if key[0] != "scorecam":
            assert np.array_equal(maps, half.raw[key])
    low, high = exact.raw["scorecam", 4], half.raw["scorecam", 4]
    assert not np.array_equal(low, high)
    span = low.max((1, 2), keepdims=True) - low.min((1, 2), keepdims=True)
    assert (np.abs(high - low) / span).mean() < 2e-3


def test_a_bound_that_not_even_one_slice_fits_is_said():
    with pytest.raises(OptionError, match="more than the bound of 0 MiB; raise the bound"):
        Engine(settled("test_efficientnet"), memory=1000).explain(inputs(), Target(0), ["hirescam"], [3])


def test_footprints_grow_with_the_input_and_shrink_toward_the_end():
    meter = Engine(settled("test_efficientnet"))._meter
    small, large = (meter.footprint((3, size, size), 0).passing for size in (96, 192))
    assert large == pytest.approx(4 * small, rel=0.1)
    kept = [meter.footprint((3, 96, 96), stage).kept for stage in range(7)]
    assert kept == sorted(kept, reverse=True) and kept[0] > 10 * kept[5]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no record of the peak")
def test_a_sweep_over_a_volume_stays_within_its_memory():
    """Nine methods x three stages, 32 slices of 384 pixels, measured from outside; at once they take 1.5 GiB."""
    # what the engine takes, not what glibc keeps of it for the next call
    plain = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, "-m", "HemoCAMLib.evaluation.cam_memory", "--timm", "test_efficientnet"]
    done = subprocess.run([*command, "--bound", "64"], capture_output=True, text=True, check=True, env=plain)
    assert 0 < int(done.stdout.split(" MiB above")[0]) < 64 * 1.25
