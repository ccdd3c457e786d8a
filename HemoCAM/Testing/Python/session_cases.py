"""What tests of the session share: a small head, what to ask of it, and what runs of networks."""

import numpy as np
import pytest
import torch
from conftest import ball_volume
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.session.session import Session
from HemoCAMLib.volumes.volume import Volume


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
