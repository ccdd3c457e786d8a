"""What training draws from: the recipe's plan, the pool of patients, who makes them, and mixtures."""

import functools

import numpy as np
import pytest
from HemoCAMLib.errors import InputError, OptionError
from HemoCAMLib.phantoms.patient import PatientSpec
from HemoCAMLib.training.pool import Flow, Pool, Workshop
from HemoCAMLib.training.recipe import Recipe
from HemoCAMLib.training.samples import Samples, sample_patient
from HemoCAMLib.training.sources import InMemory, Mixed, VirtualPatients
from hypothesis import given
from hypothesis import strategies as st
from training_cases import patients, small_manifest


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
    assert shares == pytest.approx(np.array([60, 80, 160, 240]) / 540, abs=0.02)
    brain = (drawn.hu[20000:] == 30).any(axis=(1, 2)).mean()
    assert brain == pytest.approx(1 / 1.15, abs=0.02)


def test_a_mixture_splits_each_batch():
    parts = Mixed(((InMemory(patients(1)), 1.0), (InMemory(patients(1)), 3.0)))
    assert parts.counts(16) == [4, 12] and sum(parts.counts(7)) == 7
    with pytest.raises(OptionError):
        Mixed(())


def test_workshop_keeps_the_order():
    with Workshop(0) as workshop:
        assert list(workshop.stream(functools.partial(int, n) for n in range(5))) == [0, 1, 2, 3, 4]
