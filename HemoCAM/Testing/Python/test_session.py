"""Session: the numbers of analyse to the last bit, nothing computed twice, nothing left behind, a bound on memory."""

import gc
import subprocess
import sys
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT, ball_volume
from HemoCAMLib.cams import formulas
from HemoCAMLib.cams.backends import BACKENDS
from HemoCAMLib.errors import Cancelled, HemoCAMError, OptionError
from HemoCAMLib.explained import BATCH
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.refinement.refiner import Refiner
from HemoCAMLib.session.session import Session
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from refinement_heads import by_hand

STAGES = (2, 3, 4)
CHEAP = ("hirescam", "gradcam", "eigencam", "ablationcam")
ASKED = st.builds(
    Options,
    method=st.sampled_from(CHEAP),
    stage=st.sampled_from(STAGES),
    target=st.sampled_from(["any", "subdural"]),
    gate=st.sampled_from([0.0, 0.45]),
    scale=st.sampled_from(["gated", "volume", "library"]),
    engine=st.sampled_from(BACKENDS[:2]),
    against=st.booleans(),
)


@pytest.fixture(autouse=True, scope="module")
def every_step_by_itself():
    """Steps are short here: none is joined with the next."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("HemoCAMLib.session.session.LEAST", 0.0)
        yield


@pytest.fixture(scope="module")
def ct() -> Volume:
    """Six slabs: a batch of four and one of two."""
    volume = ball_volume((6, 40, 40), np.diag([-4.5, -4.5, 10, 1]))
    volume.array[volume.array > 0] += np.random.default_rng(0).integers(
        -30, 60, (volume.array > 0).sum(), np.int16
    )
    return volume


@pytest.fixture(scope="module")
def fresh(ct, tiny_bundle):
    """What analyse says, computed once an option."""
    found = {}

    def by(options: Options):
        if options not in found:
            found[options] = analyse(ct, tiny_bundle, options)
        return found[options]

    return by


def assert_same(one, other):
    """Two analyses with the same numbers, to the last bit."""
    assert one.options == other.options and one.classes == other.classes and one.order == other.order
    for name in ("logits", "probabilities", "gate", "raw"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("maps", "zero", "one"):
        assert np.array_equal(getattr(one.scaled, name), getattr(other.scaled, name)), name
    for name in ("heatmap", "mask", "raw_volume"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.array.dtype == b.array.dtype and a.name == b.name, name
        assert np.array_equal(a.array, b.array) and np.array_equal(a.ijk_to_ras, b.ijk_to_ras), name


@pytest.fixture(scope="module")
def session_of():
    """Make a session of its own for ``memory`` bytes, with the model that another has opened: that takes long."""
    first = Session()

    def make(memory: int = 1 << 30) -> Session:
        session = Session(memory)
        session._models = first._models
        return session

    return make


class Passes:
    """What runs of networks, layer by layer, while it is in force: convolutions with numbers, and backward passes."""

    def __enter__(self):
        self.layers = self.backward = 0
        self._hook = torch.nn.modules.module.register_module_forward_hook(self._note)
        self._grad = torch.autograd.grad
        torch.autograd.grad = self._differentiate
        return self

    def __exit__(self, *_):
        self._hook.remove()
        torch.autograd.grad = self._grad

    def _note(self, module, inputs, output):
        if isinstance(module, torch.nn.Conv2d) and not output.is_meta:
            self.layers += 1

    def _differentiate(self, *args, **kwargs):
        self.backward += 1
        return self._grad(*args, **kwargs)


def passes(session, ct, bundle, options, key="ct"):
    """Run a job; return its analysis, the convolutions and the backward passes that it took."""
    with Passes() as found:
        analysis = session.analyse(key, ct, bundle, options).run()
    return analysis, found.layers, found.backward


@settings(max_examples=12)
@given(asked=st.lists(ASKED, min_size=1, max_size=8), memory=st.sampled_from([0, 400_000, 700_000, 1 << 30]))
def test_whatever_was_asked_before_it_is_what_analyse_gives(
    asked, memory, ct, tiny_bundle, fresh, session_of
):
    session = session_of(memory)
    for options in asked:
        assert_same(session.analyse("ct", ct, tiny_bundle, options).run(), fresh(options))
        assert session.bytes <= memory


@pytest.mark.parametrize("engine", BACKENDS)
def test_every_engine_step_by_step(engine, ct, tiny_bundle, fresh):
    session = Session()
    for method in ("scorecam", "ablationcam-library", "layercam"):
        options = Options(method=method, stage=4, engine=engine, gate=0.0)
        job = session.analyse("ct", ct, tiny_bundle, options)
        while not job.advance():
            pass
        assert_same(job.result, fresh(options))


def test_another_gate_scale_or_threshold_runs_no_network(ct, tiny_bundle, fresh):
    session = Session()
    for engine in BACKENDS:
        base = Options(engine=engine, gate=0.0)
        _, layers, backward = passes(session, ct, tiny_bundle, base)
        assert layers > 0 or engine == "hemocam-bf16"
        for change in ({"gate": 0.45}, {"scale": "library"}, {"threshold": 0.7}, {}):
            options = replace(base, **change)
            analysis, layers, backward = passes(session, ct, tiny_bundle, options)
            assert (layers, backward) == (0, 0)
            assert_same(analysis, fresh(options))


def test_another_method_is_its_formula_alone(ct, tiny_bundle):
    session = Session()
    passes(session, ct, tiny_bundle, Options(stage=3))
    for method in formulas.FORMULAS:
        assert passes(session, ct, tiny_bundle, Options(method=method, stage=3))[1:] == (0, 0)
    for method in formulas.FORMULAS:  # a later stage was met on the way
        assert passes(session, ct, tiny_bundle, Options(method=method, stage=4))[1:] == (0, 0)
    # nor does the other engine of ours capture again
    assert passes(session, ct, tiny_bundle, Options(stage=3, engine="hemocam-bf16"))[2] == 0


def layers_behind(bundle, stage):
    """Convolutions behind a stage."""
    from HemoCAMLib.cams.stages import Chain

    chain = Chain.of(bundle.network())
    return sum(
        isinstance(m, torch.nn.Conv2d) for s in chain.stages[stage:] for part in s for m in part.modules()
    )


def test_another_target_or_an_earlier_stage_begins_at_the_kept_activation(ct, tiny_bundle):
    session = Session()
    passes(session, ct, tiny_bundle, Options(stage=4))
    batches = 2
    _, layers, backward = passes(session, ct, tiny_bundle, Options(stage=4, target="subdural"))
    assert layers == batches * layers_behind(tiny_bundle, 4) and backward > 0
    _, layers, backward = passes(session, ct, tiny_bundle, Options(stage=2))
    assert layers == batches * layers_behind(tiny_bundle, 2) and backward > 0


def test_a_method_without_gradients_runs_no_more_than_it_needs(ct, tiny_bundle):
    session = Session()
    passes(session, ct, tiny_bundle, Options(stage=3))
    for stage in (2, 4):
        session.analyse("ct", ct, tiny_bundle, Options(method="gradcam", stage=stage)).run()
        assert passes(session, ct, tiny_bundle, Options(method="eigencam", stage=stage))[1:] == (0, 0)


def test_where_captures_are_not_kept_they_are_computed_again(ct, tiny_bundle, fresh):
    session = Session(memory=400_000 + 6 * 128 * 128 * 4)
    first = passes(session, ct, tiny_bundle, Options(stage=2))
    assert 0 < session.bytes <= 400_000 + 6 * 128 * 128 * 4 and session.keeps("ct")
    again = passes(session, ct, tiny_bundle, Options(stage=2, method="gradcam"))
    assert_same(again[0], fresh(Options(stage=2, method="gradcam")))
    nothing = Session(memory=0)
    nothing.analyse("ct", ct, tiny_bundle, Options(stage=2)).run()
    assert nothing.bytes == 0 and not nothing.keeps("ct")
    _, layers, backward = passes(nothing, ct, tiny_bundle, Options(stage=2))
    assert layers >= layers_behind(tiny_bundle, 0) and backward == first[2]


def test_the_model_is_opened_once(ct, tiny_bundle, monkeypatch):
    opened = []
    original = Bundle.network
    monkeypatch.setattr(Bundle, "network", lambda self: opened.append(1) or original(self))
    session = Session()
    for key in "ab":
        session.analyse(key, ct, tiny_bundle).run()
    # another object for the same bundle, and another engine of it
    session.analyse("c", ct, Bundle.open(tiny_bundle.folder), Options(engine="library")).run()
    assert len(opened) == 1
    other = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, slab_mm=20.0))
    analysis = session.analyse("a", ct, other).run()
    assert len(opened) == 2
    assert_same(analysis, analyse(ct, other))
    session.clear()
    session.analyse("a", ct, tiny_bundle).run()
    assert len(opened) == 4  # and once by analyse itself


def state(session):
    """All that a job could change of what is kept."""
    return [(name, id(session._store.peek(name))) for name in session._store], session.bytes


@settings(max_examples=25)
@given(steps=st.integers(0, 60), options=ASKED, before=st.booleans())
def test_a_cancelled_job_leaves_the_session_as_it_was(
    steps, options, before, ct, tiny_bundle, fresh, session_of
):
    session = session_of()
    if before:
        session.analyse("ct", ct, tiny_bundle, Options(stage=3)).run()
    was = state(session)
    job = session.analyse("ct", ct, tiny_bundle, options)
    while steps and not job.advance():
        steps -= 1
    if job.finished:
        assert_same(job.result, fresh(options))
        return
    job.cancel()
    assert state(session) == was and session.keeps("ct") == before
    with pytest.raises(Cancelled):
        job.advance()
    assert_same(session.analyse("ct", ct, tiny_bundle, options).run(), fresh(options))


def test_a_job_that_fails_leaves_the_session_as_it_was(ct, tiny_bundle, monkeypatch, fresh):
    session = Session()
    session.analyse("ct", ct, tiny_bundle, Options(stage=3)).run()
    was = state(session)
    with monkeypatch.context() as patched:
        patched.setitem(formulas.FORMULAS, "gradcam", lambda a, g: a.sum(1) * float("nan"))
        with pytest.raises(HemoCAMError, match="not finite"):
            session.analyse("ct", ct, tiny_bundle, Options(method="gradcam", stage=4)).run()
    for options, word in (
        (Options(stage=9), "stage 9"),
        (Options(scale="log"), "log"),
        (Options(gate=2), "gate"),
    ):
        job = session.analyse("ct", ct, tiny_bundle, options)  # nothing is raised before the first step
        with pytest.raises(OptionError, match=word):
            job.run()
        assert job.over and not job.finished
    assert state(session) == was
    options = Options(method="gradcam", stage=4)
    assert_same(session.analyse("ct", ct, tiny_bundle, options).run(), fresh(options))


@pytest.mark.parametrize("method", ["hirescam", "ablationcam", "scorecam"])
def test_between_steps_nothing_of_torch_is_changed(method, ct, tiny_bundle):
    job = Session().analyse("ct", ct, tiny_bundle, Options(method=method, stage=3))
    threads = torch.get_num_threads()
    phases, fractions = [], []
    while not job.advance():
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        assert torch.get_num_threads() == threads
        phases.append(job.phase)
        fractions.append(job.fraction)
    assert list(dict.fromkeys(phases)) == [
        "Loading the model",
        "Preparing slices",
        "Classifying and explaining slices",
        "Painting maps",
    ]
    assert fractions == sorted(fractions) and fractions[0] < 0.1 and 0.5 < fractions[-1] < 1
    assert job.fraction == 1


def test_in_a_callers_inference_mode_the_numbers_are_the_same(ct, tiny_bundle, fresh):
    session = Session()
    with torch.inference_mode():
        session.analyse("ct", ct, tiny_bundle, Options(method="ablationcam", stage=3)).run()
    for options in (
        Options(stage=3),
        Options(stage=2, target="subdural"),
        Options(method="scorecam", stage=3),
    ):
        assert_same(session.analyse("ct", ct, tiny_bundle, options).run(), fresh(options))


def test_jobs_side_by_side_do_not_disturb_each_other(ct, tiny_bundle, fresh):
    session = Session()
    asked = [Options(stage=3), Options(stage=2, target="subdural"), Options(method="ablationcam", stage=3)]
    jobs = [session.analyse("ct", ct, tiny_bundle, options) for options in asked]
    while not all(job.finished for job in jobs):
        for job in jobs:
            job.advance()
    for job, options in zip(jobs, asked, strict=True):
        assert_same(job.result, fresh(options))


def test_the_volume_that_was_not_looked_at_longest_goes_first(ct, tiny_bundle):
    whole = Session()
    whole.analyse("one", ct, tiny_bundle).run()
    session = Session(memory=whole.bytes * 5 // 2)
    for key in ("a", "b"):
        session.analyse(key, ct, tiny_bundle).run()
    session.analyse("a", ct, tiny_bundle, Options(gate=0.1)).run()  # looked at again
    for key in ("c", "d"):
        session.analyse(key, ct, tiny_bundle).run()
        assert session.bytes <= session._store.memory
    assert session.keeps("d") and not session.keeps("b")
    assert session.rescaled("b", session.analyse("d", ct, tiny_bundle).run(), gate=0.0) is None


def test_what_is_forgotten_is_gone(ct, tiny_bundle):
    session = Session()
    for key in ("a", ("b", 1)):
        session.analyse(key, ct, tiny_bundle).run()
    half = session.bytes // 2
    tensors = [
        weakref.ref(t)
        for name in session._store
        if name.kind == "captures"
        for t in session._store.peek(name).values()
    ]
    assert len(tensors) > 10
    session.forget("a")
    assert not session.keeps("a") and session.keeps(("b", 1)) and session.bytes == half
    session.forget("never seen")
    session.clear()
    assert not session.keeps(("b", 1)) and session.bytes == 0
    gc.collect()
    assert not [t for t in tensors if t() is not None]


def test_a_volume_forgotten_while_it_is_analysed_is_not_kept(ct, tiny_bundle, fresh):
    session = Session()
    for forget in (lambda: session.forget("ct"), session.clear):
        job = session.analyse("ct", ct, tiny_bundle)
        other = session.analyse("other", ct, tiny_bundle)
        for _ in range(12):
            job.advance()
        forget()
        assert_same(job.run(), fresh(Options()))
        other.run()
        assert not session.keeps("ct") and session.keeps("other")


def test_the_voxels_of_a_volume_are_not_kept_alive(ct, tiny_bundle):
    own = Volume(ct.array.copy(), ct.ijk_to_ras)
    voxels = weakref.ref(own.array)
    session = Session()
    session.analyse("ct", own, tiny_bundle).run()
    del own
    gc.collect()
    assert voxels() is None and session.keeps("ct")


def test_the_same_key_at_another_place_is_another_volume(ct, tiny_bundle):
    """A hardened transform, say: the voxels are the same, the slabs may not be."""
    session = Session()
    session.analyse("ct", ct, tiny_bundle).run()
    thin = Volume(ct.array, ct.ijk_to_ras @ np.diag([1, 1, 0.4, 1]))
    assert_same(session.analyse("ct", thin, tiny_bundle).run(), analyse(thin, tiny_bundle))
    missing = replace(ct, acquired=np.array([True, True, False, True, True, True]))
    assert_same(session.analyse("ct", missing, tiny_bundle).run(), analyse(missing, tiny_bundle))
    session.forget("ct")
    assert session.bytes == 0


def test_who_changes_a_result_changes_no_other(ct, tiny_bundle, fresh):
    session = Session()
    first = session.analyse("ct", ct, tiny_bundle).run()
    for array in (first.raw, first.logits, first.heatmap.array, first.mask.array, first.probabilities):
        array[:] = 0
    assert_same(session.analyse("ct", ct, tiny_bundle).run(), fresh(Options()))


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "gate": st.sampled_from([0.0, 0.45, 1.0]),
        "threshold": st.sampled_from([0.1, 0.8]),
        "scale": st.sampled_from(["gated", "volume", "library"]),
    },
)


@settings(max_examples=20)
@given(changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_rescaled_is_what_analyse_gives(changes, ct, tiny_bundle, fresh, session_of):
    session = session_of()
    options = Options(gate=0.0)
    analysis = session.analyse("ct", ct, tiny_bundle, options).run()
    for change in changes:
        before = analysis.heatmap.array.copy(), analysis.mask.array.copy()
        options = replace(options, **change)
        with Passes() as found:
            new = session.rescaled("ct", analysis, **change)
        assert (found.layers, found.backward) == (0, 0)
        assert_same(new, fresh(options))
        assert np.array_equal(analysis.heatmap.array, before[0])
        assert np.array_equal(analysis.mask.array, before[1])
        analysis = new


def test_rescaled_says_what_is_wrong_and_none_where_nothing_is_kept(ct, tiny_bundle):
    session = Session()
    analysis = session.analyse("ct", ct, tiny_bundle).run()
    for change, word in (({"gate": -1}, "gate"), ({"threshold": 0}, "threshold"), ({"scale": "log"}, "log")):
        with pytest.raises(OptionError, match=word):
            session.rescaled("ct", analysis, **change)
    assert session.rescaled("another", analysis, gate=0.0) is None
    session.forget("ct")
    assert session.rescaled("ct", analysis, gate=0.0) is None


def test_refined_masks(head, tiny_bundle):
    """They come in steps, too; a threshold that is asked for takes their place, at once."""
    refiner = Refiner(by_hand(), high=0.7, low=0.4)
    known = {("hirescam", 2, "any", "gated"): refiner}
    bundle = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, refinements=known))
    session = Session()
    job = session.analyse("ct", head, bundle, Options(gate=0.0))
    phases = []
    while not job.advance():
        phases.append(job.phase)
    refined = job.result
    assert refined.refined and phases[-1] == "Refining masks"
    assert_same(refined, analyse(head, bundle, Options(gate=0.0)))
    plain = session.rescaled("ct", refined, threshold=0.3)
    assert not plain.refined and plain.heatmap is refined.heatmap
    assert_same(plain, analyse(head, bundle, Options(gate=0.0, threshold=0.3)))
    # the same slices pass: nothing to refine
    gate = float(np.nextafter(refined.probabilities[:, 0].min(), 0))
    same = session.rescaled("ct", refined, gate=gate)
    assert same.refined and same.mask is refined.mask and same.options.gate == gate
    # other slices: that takes a job
    gate = float(np.median(refined.probabilities[:, 0]))
    assert session.rescaled("ct", refined, gate=gate) is None
    analysis, layers, _ = passes(session, head, bundle, Options(gate=gate))
    assert layers == 0 and analysis.refined
    # a scale without a refinement
    volume = session.rescaled("ct", refined, scale="volume")
    assert not volume.refined
    assert_same(volume, analyse(head, bundle, Options(gate=0.0, scale="volume")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(stage=1),
        Options(method="ablationcam", stage=5),
        Options(method="ablationcam", stage=6),
        Options(method="scorecam", stage=4),
    ],
    ids=lambda o: f"{o.method}-{o.stage}",
)
def test_no_step_takes_long(options):
    """The shipped model on slices of 512 pixels: processor time of the longest step, when the model is open.

    A machine that is ten times slower than one should be, as shared ones are at times, may take longer: a step is
    no more than a few plain forward passes of a batch.
    """
    if not (ROOT / "models").is_dir():
        pytest.skip("the shipped model is not here (models/)")
    bundle = Bundle.open()
    rng = np.random.default_rng(0)
    ct = ball_volume((24, 512, 512), np.diag([-0.45, -0.45, 1.25, 1]))
    ct.array[ct.array > 0] += rng.integers(-30, 60, (ct.array > 0).sum(), np.int16)
    session = Session()
    session.analyse("first", ct, bundle, replace(options, gate=1.0)).run()
    (opened,) = session._models._opened.values()
    batch, start = torch.zeros(BATCH, 3, bundle.manifest.size, bundle.manifest.size), time.process_time()
    with torch.inference_mode():
        opened.network(batch)
    forward = time.process_time() - start
    job = session.analyse("ct", ct, bundle, replace(options, gate=0.0))
    longest, done = (0.0, ""), False
    while not done:
        phase, start = job.phase, time.process_time()
        done = job.advance()
        longest = max(longest, (time.process_time() - start, phase))
    print(
        f"longest step: {longest[0]:.2f} s of processor time, {longest[1]}; a forward pass: {forward:.2f} s"
    )
    assert longest[0] < max(1.0, 4 * forward), longest


def test_nothing_heavy_is_imported_before_the_first_step():
    """Slicer imports the session when it starts, perhaps without torch."""
    code = (
        "import sys; from HemoCAMLib.session.session import Session; from HemoCAMLib.session.job import Job, Step\n"
        "found = {'torch', 'timm', 'torchvision', 'vtk', 'slicer', 'qt', 'matplotlib'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
