"""Levels of the head, counted from the top of the cranial cavity."""

import numpy as np
import pytest
from HemoCAMLib.volumes.levels import LEVELS, below_top_mm, level_of
from hypothesis import given
from hypothesis import strategies as st


def test_distances_count_from_the_top_face_of_the_topmost_slab_of_the_cavity():
    shows = np.array([False, True, True, False, True, False])
    edges = np.array([0, 5, 10, 15, 20, 22.5, 27.5])
    assert below_top_mm(shows, edges).tolist() == [20, 15, 10, 5, 1.25, -2.5]
    assert np.isnan(below_top_mm(~shows & shows, edges)).all()


@given(st.lists(st.one_of(st.floats(-50, 250), st.sampled_from([0.0, 25.0, 45.0, 65.0, 100.0, np.nan]))))
def test_every_distance_has_one_level(distances):
    for distance, index in zip(distances, level_of(np.array(distances)), strict=True):
        level = LEVELS[index]
        if np.isnan(distance):
            assert level.name == "no cavity found"
        else:
            assert level.top_mm <= distance < level.bottom_mm
            assert sum(one.top_mm <= distance < one.bottom_mm for one in LEVELS) == 1


@pytest.mark.parametrize(("mm", "name"), [(24.9, "vertex"), (25, "convexity"), (-0.1, "above the cavity")])
def test_the_bounds(mm, name):
    assert LEVELS[level_of(np.array([mm]))[0]].name == name
