"""Scales mean what they say."""

import numpy as np
import pytest
from HemoCAMLib.cams.scaling import scale_maps
from HemoCAMLib.errors import OptionError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

raw_maps = arrays(np.float32, (4, 3, 3), elements=st.floats(-100, 100, width=32))


@given(raw_maps, st.lists(st.booleans(), min_size=4, max_size=4))
def test_gated_maps_share_one_scale_and_stay_within_it(raw, gate):
    gate = np.array(gate)
    scaled = scale_maps(raw, "gated", gate)
    assert scaled.maps.min() >= 0 and scaled.maps.max() <= 1
    assert not scaled.maps[~gate].any()
    shown = scaled.maps[gate] * scaled.one[gate][:, None, None]
    assert np.allclose(shown, np.maximum(raw[gate], 0), rtol=1e-5, atol=1e-5)


@given(raw_maps)
def test_library_scale_is_pytorch_grad_cams(raw):
    from pytorch_grad_cam.utils.image import scale_cam_image

    clipped = np.maximum(raw, 0)
    assert np.allclose(scale_maps(raw, "library", np.ones(4, bool)).maps, scale_cam_image(clipped), atol=1e-6)


def test_the_library_scale_hides_what_the_gated_scale_keeps():
    raw = np.zeros((2, 2, 2), np.float32)
    raw[0, 0, 0], raw[1, 0, 0] = 100, 1
    assert scale_maps(raw, "library", np.ones(2, bool)).maps[1].max() == pytest.approx(1)
    assert scale_maps(raw, "volume", np.zeros(2, bool)).maps[1].max() == pytest.approx(0.01)
    assert scale_maps(raw, "gated", np.array([True, False])).maps[1].max() == 0


def test_the_callers_raw_maps_are_not_changed():
    raw = np.full((1, 2, 2), -3, np.float32)
    scale_maps(raw, "library", np.ones(1, bool))
    assert (raw == -3).all()
    with pytest.raises(OptionError, match="gated, volume, library"):
        scale_maps(raw, "log", np.ones(1, bool))
