"""Session: the numbers of analyse to the last bit, nothing computed twice, nothing left behind, a bound on memory."""

from dataclasses import replace

import pytest
import torch
from HemoCAMLib.cams import formulas
from HemoCAMLib.cams.backends import BACKENDS
from HemoCAMLib.errors import Cancelled, HemoCAMError, OptionError
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.session.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st
from session_cases import assert_same, ct, fresh, passes, session_of  # noqa: F401

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


@settings(max_examples=12)
@given(asked=st.lists(ASKED, min_size=1, max_size=8), memory=st.sampled_from([0, 400_000, 700_000, 1 << 30]))
def test_whatever_was_asked_before_it_is_what_analyse_gives(
    asked,
    memory,
    ct,
    tiny_bundle,
    fresh,
    session_of,
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
    steps,
    options,
    before,
    ct,
    tiny_bundle,
    fresh,
    session_of,
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
