"""What a terminal and a log are told: a bar or a line now and then, and how long it will still take."""

import io
import re
import sys

import pytest
from HemoCAMLib.doors.terminal import LINE_S, TerminalProgress
from HemoCAMLib.progress import Pace, in_words
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (40.4, "40 s"), (89.4, "89 s"), (95, "2 min"), (3600, "60 min"), (12000, "3 h 20 min")],
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


def test_the_time_left_is_that_of_the_mean_so_far():
    clock = Clock()
    pace = Pace(clock)
    assert pace.elapsed("a") == 0 and pace.left("a", 5, 25) is None
    clock.now += 10
    assert pace.left("a", 5, 25) is None  # nothing was done yet
    assert pace.left("a", 10, 25) == pytest.approx(30)  # five in ten seconds
    assert pace.left("b", 0, 0) is None and pace.left("b", 7, 0) is None  # of how many is not known
    clock.now += 1.5
    assert pace.left("a", 10, 25) == pytest.approx(28.5)  # the sixth began a while ago
    clock.now += 8.5
    # and takes long: it may end now, and then all of them took 20 s / 6 each
    assert pace.left("a", 10, 25) == pytest.approx(15 * 20 / 6 - 10)
    assert pace.left("a", 25, 25) == 0 and pace.elapsed("a") == 20
    assert pace.left("a", 0, 4) is None and pace.elapsed("a") == 0  # anew
    clock.now += 3
    assert pace.left("a", 1, 4) == pytest.approx(9)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 100)), max_size=20))
def test_a_time_left_is_never_negative(told):
    clock = Clock()
    pace = Pace(clock)
    for done, total, seconds in told:
        clock.now += seconds
        left = pace.left("a", done, total)
        assert left is None or left >= 0


def run(
    progress: TerminalProgress, clock: Clock, phase: str, cases: int, seconds: float, beats: int = 8
) -> None:
    """Cases of so many seconds, with some words within each."""
    for case in range(cases):
        for _ in range(beats):
            progress(phase, case, cases)
            clock.now += seconds / beats
    progress(phase, cases, cases)


def test_a_log_gets_a_line_now_and_then_with_the_time_left(capsys):
    clock = Clock()
    with TerminalProgress(clock=clock) as progress:
        run(progress, clock, "Explaining cases", 40, 20)
        run(progress, clock, "Measuring maps", 4, 1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Explaining cases ..." and lines[-1] == "Measuring maps ..."
    for line in lines[1:-1]:
        done, left = re.fullmatch(r"Explaining cases: (\d+) of 40, about (\d+ \w+) left", line).groups()
        number, unit = left.split()
        assert abs(int(number) * {"s": 1, "min": 60}[unit] - 20 * (40 - int(done))) <= 50
    # 800 s: 320 updates, and a line each 30 s, later each 40 s
    assert 20 <= len(lines) <= 800 / LINE_S + 2


def test_a_long_phase_fills_no_log(capsys):
    clock = Clock()
    with TerminalProgress(clock=clock) as progress:
        run(progress, clock, "Explaining cases", 2000, 60, beats=2)  # 33 hours
    lines = capsys.readouterr().err.splitlines()
    assert 100 < len(lines) < 200
    assert any(line.endswith("h 40 min left") or " h " in line for line in lines)


def test_phases_in_turn_are_no_line_each(capsys):
    clock = Clock()
    with TerminalProgress(clock=clock) as progress:
        for case in range(100):
            progress("Reading", case, 100)
            clock.now += 0.3
            for slab in range(4):
                progress("Painting", slab, 4)
                clock.now += 0.05
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["Reading ...", "Painting ..."] and len(lines) <= 6


def test_what_tells_its_own_time_left_is_told_no_other(capsys):
    clock = Clock()
    with TerminalProgress(clock=clock) as progress:
        run(progress, clock, "Epoch 2 of 9, 30 min left", 10, 10)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and all(re.search(r"left( \.\.\.|: \d of 10)$", line) for line in lines)


def test_quiet_is_quiet(capsys):
    with TerminalProgress(quiet=True) as progress:
        progress("Reading", 0, 2)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_the_time_left_even_of_long_cases(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock, screen = Clock(), Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with TerminalProgress(clock=clock) as progress:
        for case in range(4):
            progress("Explaining cases", case, 10)
            clock.now += 120
        progress._bar.refresh()
        progress("Measuring maps", 0, 3)
    said = screen.getvalue()
    assert "Explaining cases" in said and "3/10" in said and "about 14 min left" in said
    assert "Measuring maps" in said
