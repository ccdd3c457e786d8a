"""Session: nothing outside is changed, what is kept and what goes first, other gates and scales, short steps."""

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
from HemoCAMLib.errors import OptionError
from HemoCAMLib.explained import BATCH
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.refinement.refiner import Refiner
from HemoCAMLib.session.session import Session
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from refinement_heads import by_hand
from session_cases import Passes, assert_same, ct, fresh, passes, session_of  # noqa: F401


@pytest.fixture(autouse=True, scope="module")
def every_step_by_itself():
    """Steps are short here: none is joined with the next."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("HemoCAMLib.session.session.LEAST", 0.0)
        yield


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
