"""The intracranial space: what is inside the inner table, and what is not."""

import numpy as np
import pytest
from bodies import bottle, head, on_dense_headrest, torso
from HemoCAMLib.volumes.headct import check_head_ct
from HemoCAMLib.volumes.intracranial import intracranial_mask
from scipy import ndimage

PIXEL, SLAB = 1.9, 5.0


def drawn(blood=None):
    """A drawn head and its cavity; ``blood(z, y, x, r)`` tells where there is some. r is 0.96 at the inner table."""
    shape, spacing = (30, 128, 128), (PIXEL, PIXEL, SLAB)
    hu = head(shape, spacing).array.astype(np.float32)
    z, y, x = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing[::-1], strict=True)),
                          indexing="ij")  # fmt: skip
    z = z + 10
    r = np.sqrt((x / 72) ** 2 + (y / 90) ** 2 + (z / 75) ** 2)
    if blood is not None:
        hu[blood(z, y, x, r) & (r < 0.96)] = 75
    return hu, r, z, y


def test_a_head_in_a_dense_curved_headrest_is_a_head():
    check_head_ct(on_dense_headrest(head()))


def test_brain_is_inside_and_bone_scalp_and_headrest_are_not():
    hu, r, z, _y = drawn()
    found = intracranial_mask(hu, PIXEL, SLAB)
    brain = (r < 0.9) & (hu > -100) & (np.abs(z) < 40)
    assert found[brain].mean() > 0.99
    assert not found[r > 1.0].any()
    assert not found[hu > 300].any()
    assert not found[-3:].any()  # the cap


def test_blood_along_the_inner_table_is_inside():
    hu, _r, z, _ = drawn(lambda z, y, x, r: (r > 0.9) & (x > 20) & (np.abs(z) < 45))
    blood = (hu == 75) & (np.abs(z) < 45)
    assert blood.sum() > 500
    assert intracranial_mask(hu, PIXEL, SLAB)[blood].mean() > 0.97


def test_gas_and_calcifications_in_the_brain_are_inside():
    hu, _r, _, _ = drawn()
    hu[14:17, 50:56, 60:66] = -900
    hu[14:17, 70:73, 66:69] = 900
    found = intracranial_mask(hu, PIXEL, SLAB)
    assert found[14:17, 50:56, 60:66].all() and found[14:17, 70:73, 66:69].all()


def test_a_craniectomy_is_bridged():
    hu, r, z, y = drawn()
    gap = (r > 0.94) & (r < 1.08) & (np.arange(128)[None, None] > 90) & (np.abs(y) < 30) & (np.abs(z) < 30)
    hu[gap] = 35
    found = intracranial_mask(hu, PIXEL, SLAB)
    assert found[(r < 0.85) & (hu > -100) & (np.abs(z) < 30)].mean() > 0.97
    assert found[r > 1.15].mean() < 0.01


@pytest.mark.parametrize("part", [slice(8, 20), slice(0, 14), slice(12, 30)])
def test_a_part_of_a_stack_is_found_as_in_the_whole(part):
    hu, *_ = drawn()
    whole, cut = intracranial_mask(hu, PIXEL, SLAB)[part], intracranial_mask(hu[part], PIXEL, SLAB)
    assert 2 * (whole & cut).sum() / (whole.sum() + cut.sum()) > 0.98


def test_a_single_slice_is_found_by_itself():
    hu, _r, _, _ = drawn()
    alone, whole = intracranial_mask(hu[15:16], PIXEL, SLAB), intracranial_mask(hu, PIXEL, SLAB)[15:16]
    assert alone.any() and 2 * (whole & alone).sum() / (whole.sum() + alone.sum()) > 0.98


def test_a_mirrored_head_has_a_mirrored_space():
    hu, *_ = drawn(lambda z, y, x, r: (r > 0.9) & (x > 20))
    np.testing.assert_array_equal(intracranial_mask(hu[:, :, ::-1], PIXEL, SLAB),
                                  intracranial_mask(hu, PIXEL, SLAB)[:, :, ::-1])  # fmt: skip


@pytest.mark.parametrize(
    "body", [bottle(), on_dense_headrest(bottle()), torso("chest")], ids=["water", "rest", "chest"]
)
def test_where_there_is_no_skull_there_is_little_or_nothing(body):
    hu = body.array[:, :128, :128].astype(np.float32)
    assert intracranial_mask(hu, PIXEL, SLAB).mean() < 0.06


def test_nothing_encloses_air():
    assert not intracranial_mask(np.full((4, 64, 64), -1000.0, np.float32), PIXEL, SLAB).any()


def test_blood_of_virtual_patients_is_inside():
    from HemoCAMLib.explained import Sampled
    from HemoCAMLib.models.bundle import Bundle
    from HemoCAMLib.phantoms.patient import PatientSpec, make_patient

    manifest = Bundle.open().manifest
    for seed, kind in ((3, "subdural"), (4, "epidural"), (5, "subarachnoid")):
        patient = make_patient(PatientSpec(seed=seed, kinds=(kind,), size=128, spacing_mm=1.8))
        sampled = Sampled.of(patient.ct, manifest)
        found = intracranial_mask(sampled.hu, sampled.grid.pixel_mm(), manifest.slab_mm)
        labels = sampled.order.view(patient.labels.array) > 0
        shares = np.stack([labels[a:b].mean(axis=0) for a, b in sampled.slab_slices()])
        blood = sampled.grid.sample_values(shares) >= 0.5
        blood &= ~ndimage.binary_dilation(
            sampled.hu > 250, np.ones((1, 3, 3))
        )  # the rim of bone is anybody's
        assert blood.sum() > 200 and found[blood].mean() > 0.97
