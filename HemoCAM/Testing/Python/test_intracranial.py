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
    "body",
    [bottle(), on_dense_headrest(bottle()), on_dense_headrest(torso("chest", size=0.5, fat=False)), torso("belly")],
    ids=["water", "water on a headrest", "child's chest on a headrest", "belly"],
)  # fmt: skip
def test_where_there_is_no_skull_there_is_nothing(body):
    assert intracranial_mask(body.array.astype(np.float32), PIXEL, SLAB).mean() < 0.002


def test_the_headrest_changes_nothing():
    plain, rest = head(), on_dense_headrest(head())
    assert (plain.array != rest.array).any()
    np.testing.assert_array_equal(
        intracranial_mask(rest.array.astype(np.float32), PIXEL, SLAB),
        intracranial_mask(plain.array.astype(np.float32), PIXEL, SLAB),
    )


def test_padding_changes_nothing():
    hu, *_ = drawn()
    padded = hu.copy()
    corner = np.hypot(*np.meshgrid(*[np.arange(128) - 63.5] * 2)) > 66
    padded[:, corner] = -3024
    np.testing.assert_array_equal(intracranial_mask(padded, PIXEL, SLAB), intracranial_mask(hu, PIXEL, SLAB))


def test_a_tilted_stack_is_found_as_an_upright_one():
    hu, *_ = drawn()
    shifts = [round(np.tan(np.deg2rad(18)) * SLAB / PIXEL * (k - 15)) for k in range(30)]
    tilted = np.stack([np.roll(plane, s, axis=0) for plane, s in zip(hu, shifts, strict=True)])
    found = intracranial_mask(tilted, PIXEL, SLAB)
    back = np.stack([np.roll(plane, -s, axis=0) for plane, s in zip(found, shifts, strict=True)])
    upright = intracranial_mask(hu, PIXEL, SLAB)
    assert 2 * (back & upright).sum() / (back.sum() + upright.sum()) > 0.98


def test_gas_against_the_inner_table_is_inside_and_a_sinus_is_not():
    hu, r, z, y = drawn()
    gas = (r < 0.955) & (y < -62) & (np.abs(z - 10) < 10)
    sinus = (r > 0.97) & (r < 1.03) & (y < -75) & (np.abs(z - 10) < 10)
    hu[gas] = -950
    without = intracranial_mask(hu, PIXEL, SLAB)
    assert gas.sum() > 500 and without[gas].mean() > 0.95
    hu[gas], hu[sinus] = 34, -950
    assert sinus.sum() > 50 and not intracranial_mask(hu, PIXEL, SLAB)[sinus].any()


@pytest.mark.parametrize("fat", [False, True], ids=["a lobe", "an orbit"])
def test_a_cavity_below_the_brain_belongs_to_it_unless_it_holds_an_orbits_fat(fat):
    """The roof between them is thinner than a slab, so that one lies right below the other."""
    hu, r, _z, _y = drawn()
    x, y = np.meshgrid(*[(np.arange(128) - 63.5) * PIXEL] * 2)
    slab = 8
    hu[:slab] = -1000  # the lowest slab of the stack
    far = np.hypot(x - 30, y + 40)
    bone = (r[slab] < 1.05) & (np.hypot(x, y) < 200)
    hu[slab][bone] = 900
    hu[slab][(np.abs(y - 30) < 25) & (np.abs(x) < 35)] = 34
    hu[slab][far < 20] = -90 if fat else 34
    hu[slab][far < 12] = 15
    found = intracranial_mask(hu, PIXEL, SLAB)[slab]
    assert found[(np.abs(y - 30) < 20) & (np.abs(x) < 30)].all()
    assert found[far < 10].mean() == (0 if fat else 1)


def test_all_cavities_of_a_single_slice_are_found():
    x, y = np.meshgrid(*[(np.arange(128) - 63.5) * PIXEL] * 2)
    hu = np.where(np.hypot(x / 75, y / 90) < 1, 900.0, -1000.0).astype(np.float32)
    cavities = [np.hypot(x - cx, y - cy) < 24 for cx, cy in ((-32, -30), (32, -30), (0, 40))]
    for cavity in cavities:
        hu[cavity] = 34
    found = intracranial_mask(hu[None], PIXEL, SLAB)[0]
    assert all(found[cavity].mean() > 0.9 for cavity in cavities) and not found[hu != 34].any()


def test_a_spinal_canal_below_the_head_is_left_out():
    hu, *_ = drawn()
    x, y = np.meshgrid(*[(np.arange(128) - 63.5) * PIXEL] * 2)
    below = np.full((4, 128, 128), -1000, np.float32)
    below[:, np.hypot(x, y) < 70] = 40
    below[:, np.hypot(x, y - 20) < 28] = 900
    below[:, np.hypot(x, y - 20) < 15] = 15
    found = intracranial_mask(np.concatenate([below, hu[6:]]), PIXEL, SLAB)
    assert not found[:4].any() and found[6:20].any(axis=(1, 2)).all()
    alone = intracranial_mask(hu[6:], PIXEL, SLAB)
    np.testing.assert_array_equal(found[5:], alone[1:])


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
        # averaged with bone, blood looks like bone; a margin of 2 mm, as the networks see it, holds all of it but in
        # the outermost tips of the cavity
        pixel = sampled.grid.pixel_mm()
        near = np.stack([ndimage.distance_transform_edt(~plane) * pixel <= 2 for plane in found])
        wide = found.sum(axis=(1, 2)) * pixel**2 > 5000
        assert wide.sum() > 15 and blood[wide].sum() > 200
        assert found[wide][blood[wide]].mean() > 0.85 and near[wide][blood[wide]].mean() > 0.98
