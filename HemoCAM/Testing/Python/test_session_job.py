"""Job: a fraction that never falls and ends at 1, errors as they come, cancelled whenever; the store's bound."""

import itertools

import pytest
from HemoCAMLib.errors import Cancelled, HemoCAMError, InputError
from HemoCAMLib.session.job import Job
from HemoCAMLib.session.store import Store
from HemoCAMLib.steps import Step, follow, retold
from hypothesis import given
from hypothesis import strategies as st

PHASES = ("Reading", "Thinking", "Writing")
COSTS = st.none() | st.dictionaries(st.sampled_from(PHASES), st.just(0.0) | st.floats(1e-3, 1e6))
STEPS = st.lists(
    st.builds(Step, st.sampled_from(PHASES), st.integers(0, 20), st.integers(0, 20)), max_size=30
)


class Work:
    """Work that notes what was done, and whether it was cleared up."""

    def __init__(self, steps, error=None):
        self.steps, self.error, self.done, self.cleared = steps, error, [], 0

    def run(self):
        try:
            for step in self.steps:
                yield step
                self.done.append(step)
            if self.error is not None:
                raise self.error
            return "result"
        finally:
            self.cleared += 1


class Clock:
    """Seconds that pass by ``each`` at every look."""

    def __init__(self, each=1.0):
        self.now, self.each = 0.0, each

    def __call__(self):
        self.now += self.each
        return self.now


@given(STEPS, COSTS)
def test_the_fraction_never_falls_and_ends_at_one(steps, costs):
    work = Work(steps)
    job = Job(work.run(), costs, Clock())
    seen = [job.fraction]
    while not job.advance():
        seen.append(job.fraction)
        assert job.seconds_left is None or 0 <= job.seconds_left < float("inf")
        assert job.phase == steps[len(seen) - 2].phase
    assert seen[0] == 0 and seen == sorted(seen) and max(seen) < 1
    assert job.fraction == 1 and job.seconds_left == 0 and job.finished and job.over
    assert job.result == "result" and work.done == steps and work.cleared == 1
    assert job.advance() and len(seen) == len(steps) + 1


@given(STEPS, st.integers(0, 31))
def test_cancelled_at_any_step_it_ends_there_and_clears_up(steps, at):
    work = Work(steps)
    job = Job(work.run())
    for _ in range(min(at, len(steps))):
        job.advance()
    job.cancel()
    job.cancel()
    assert job.over and not job.finished and work.cleared == (1 if min(at, len(steps)) else 0)
    before = list(work.done)
    with pytest.raises(Cancelled):
        job.advance()
    with pytest.raises(RuntimeError):
        _ = job.result
    assert work.done == before == steps[: max(0, min(at, len(steps)) - 1)]


@pytest.mark.parametrize("error", [InputError("The CT is empty."), ValueError("odd"), KeyboardInterrupt()])
def test_what_the_work_raises_comes_out_and_ends_the_job(error):
    work = Work([Step("Reading", 0, 1)], error)
    job = Job(work.run())
    assert not job.advance()
    with pytest.raises(type(error)) as caught:
        job.advance()
    assert caught.value is error and job.over and not job.finished and work.cleared == 1
    with pytest.raises(HemoCAMError, match="start it again"):
        job.advance()
    job.cancel()
    assert not job.finished


def test_run_tells_progress_and_what_progress_raises_cancels():
    steps = [Step("Reading", n, 3) for n in range(3)]
    told = []
    assert Job(Work(steps).run()).run(lambda *step: told.append(Step(*step))) == "result"
    assert told == steps

    def stop(phase, done, total):
        if done == 1:
            raise Cancelled

    work = Work(steps)
    job = Job(work.run())
    with pytest.raises(Cancelled):
        job.run(stop)
    assert job.over and work.cleared == 1 and work.done == steps[:1]


def test_a_step_that_cancels_its_own_job_or_advances_it():
    """A window that lets events in during a step: the cancel is heard when the step is done."""

    def work():
        yield Step("Reading", 0, 2)
        with pytest.raises(RuntimeError, match="already"):
            job.advance()
        job.cancel()
        yield Step("Reading", 1, 2)
        raise AssertionError("it went on")

    job = Job(work())
    job.advance()
    with pytest.raises(Cancelled):
        job.advance()
    assert job.over and not job.finished


def test_a_cancel_during_the_last_step_comes_too_late():
    def work():
        yield Step("Writing", 0, 1)
        job.cancel()
        return 7

    job = Job(work())
    job.advance()
    assert job.advance() and job.finished and job.result == 7


def test_the_bar_is_divided_by_the_costs_also_of_phases_that_never_come():
    job = Job(
        Work([Step("Reading", 0, 2), Step("Reading", 1, 2), Step("Writing", 1, 4)]).run(),
        {"Reading": 1.0, "Thinking": 2.0, "Writing": 1.0},
    )
    seen = []
    while not job.advance():
        seen.append(job.fraction)
    assert seen == pytest.approx([0, 0.125, 0.8125])


def test_the_time_left_is_that_of_the_pace_so_far():
    """Steps of a second; the pauses between them do not count."""
    now = [0.0]

    def work():
        for phase, count in (("Reading", 10), ("Writing", 5)):
            for done in range(count):
                yield Step(phase, done, count)
                now[0] += 1

    job = Job(work(), {"Reading": 10.0, "Writing": 5.0}, lambda: now[0])
    assert job.seconds_left is None
    job.advance()
    assert job.seconds_left is None
    for done in range(1, 15):
        now[0] += 100  # the user thinks
        job.advance()
        assert job.seconds_left == pytest.approx(15 - done)
    assert job.advance() and job.seconds_left == 0


def test_short_steps_are_done_together_but_no_two_phases():
    now = [0.0]

    def work():
        for phase, count in (("Reading", 7), ("Writing", 3)):
            for done in range(count):
                yield Step(phase, done, count)
                now[0] += 1

    job = Job(work(), clock=lambda: now[0], least=2.5)
    seen = []
    while not job.advance():
        seen.append((job.phase, now[0]))
    assert seen == [("Reading", 0), ("Reading", 3), ("Reading", 6), ("Writing", 7)]
    assert now[0] == 10 and job.finished


def test_costs_may_be_known_only_when_the_work_begins():
    costs = {}

    def work():
        costs.update({"Reading": 1.0, "Writing": 3.0})
        yield Step("Reading", 1, 2)
        yield Step("Writing", 1, 3)

    job = Job(work(), costs)
    job.advance()
    assert job.fraction == pytest.approx(0.125)
    job.advance()
    assert job.fraction == pytest.approx(0.5)


def test_a_retold_work_is_cleared_up_with_its_teller():
    work = Work([Step("Reading", n, 3) for n in range(3)])
    told = retold(work.run(), lambda step: Step("Telling", step.done, 1))
    assert next(told) == ("Telling", 0, 1)
    told.close()
    assert work.cleared == 1
    assert follow(retold(Work([]).run(), lambda step: step)) == "result"


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["put", "touch", "peek", "drop"]), st.integers(0, 6), st.integers(0, 60)),
    max_size=60,
)


@given(ACTIONS, st.integers(0, 100))
def test_the_store_stays_within_its_bound_and_the_longest_unused_goes_first(actions, memory):
    """Against a plain list of (name, value, size), the longest unused first."""
    store, model, values = Store(memory), [], itertools.count()
    for action, name, size in actions:
        if action == "put":
            value = next(values)
            model = [m for m in model if m[0] != name]
            if size <= memory:
                while sum(m[2] for m in model) + size > memory:
                    model.pop(0)
                model.append((name, value, size))
            store.put(name, value, size)
        elif action == "touch":
            model.sort(key=lambda m, n=name: m[0] == n)
            store.touch(name)
        elif action == "drop":
            model = [m for m in model if m[0] != name]
            store.drop(lambda other, n=name: other == n)
        assert store.bytes == sum(m[2] for m in model) <= memory
        assert list(store) == [m[0] for m in model]
        assert [store.peek(n) for n in range(7)] == [
            next((m[1] for m in model if m[0] == n), None) for n in range(7)
        ]
