"""Virtual patients: deterministic, with the hemorrhages asked for and no others."""

import numpy as np
import pytest

from HemoCAMLib.errors import OptionError
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec, demo_spec, make_patient

SMALL = {"size": 96, "spacing_mm": 2.4}


def test_the_same_spec_gives_the_same_patient():
    spec = PatientSpec(5, kinds=("subdural",), **SMALL)
    one, two = make_patient(spec), make_patient(spec)
    assert np.array_equal(one.ct.array, two.ct.array)
    assert np.array_equal(one.labels.array, two.labels.array)
    assert one.description == two.description
    assert not np.array_equal(one.ct.array[:28], make_patient(PatientSpec(6, **SMALL)).ct.array[:28])


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_requested_kind_occurs(kind):
    patient = make_patient(PatientSpec(2, kinds=(kind,), lesion_ml=(12, 16), **SMALL))
    assert set(np.unique(patient.labels.array)) == {0, KINDS.index(kind) + 1}


def test_healthy_has_no_label():
    assert not make_patient(PatientSpec(3, kinds=(), **SMALL)).labels.array.any()


def test_demo_patient_has_a_clear_bleeding():
    patient = make_patient(demo_spec())
    labels = patient.labels.array
    assert 40 < (labels == 2).sum() * patient.labels.voxel_ml < 60
    assert 50 < np.median(patient.ct.array[labels == 2]) < 90


def test_an_unknown_kind_is_an_error():
    with pytest.raises(OptionError, match="epidermal"):
        PatientSpec(0, kinds=("epidermal",))
