"""What virtual patients can have besides a hemorrhage: visible, left out on request, and never labelled."""

import numpy as np
import pytest
import torch
from HemoCAMLib.errors import OptionError
from HemoCAMLib.phantoms import shapes, speed
from HemoCAMLib.phantoms.patient import GROUPS, KINDS, PatientSpec, make_patient, make_patients
from HemoCAMLib.phantoms.render import Painter
from HemoCAMLib.phantoms.skull import Skull
from HemoCAMLib.phantoms.surgery import Surgery
from HemoCAMLib.phantoms.tissues import TISSUES, draw_hu
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

TINY = {"size": 80, "spacing_mm": 3.0}
SMALL = {"size": 128, "spacing_mm": 1.9}
STILL = ("noise", "motion", "metal", "pose", "tilt", "surroundings", "hardening")


def seed_where(wanted, start=0, **spec):
    """First seed whose drawn head or scan has a feature, found without rendering."""
    for seed in range(start, start + 400):
        if wanted(PatientSpec(seed, **{"kinds": (), **spec})):
            return seed
    raise AssertionError("no such patient among 400")


def with_and_without(group, seed, **spec):
    options = {"kinds": (), **SMALL, **spec}
    without = options.pop("without", ())
    one = make_patient(PatientSpec(seed, without=without, **options))
    two = make_patient(PatientSpec(seed, without=(*without, group), **options))
    return one, two


@settings(max_examples=8, deadline=None, derandomize=True)
@given(group=st.sampled_from(sorted(GROUPS)), seed=st.integers(0, 10**6))
def test_leaving_a_group_out_leaves_a_sound_patient_with_the_same_kinds(group, seed):
    spec = PatientSpec(seed, kinds=("intraparenchymal", "subdural"), without=(group,), **TINY)
    patient = make_patient(spec)
    assert set(np.unique(patient.labels.array)) <= {0, 2, 5}
    assert patient.labels.array.any()
    assert patient.ct.array.min() >= -3024 and patient.ct.array.max() <= 3071


def test_every_group_can_be_named_and_no_other():
    PatientSpec(0, without=tuple(GROUPS))
    with pytest.raises(OptionError, match="hats"):
        PatientSpec(0, without=("hats",))


def test_leaving_out_what_a_patient_does_not_have_changes_nothing():
    seed = seed_where(lambda s: Painter(s).surgery.kind is None and not Painter(s).incidental.contrast)
    plain, same = with_and_without("surgery", seed, without=("contrast",), **TINY)
    drained = Painter(plain.spec).incidental.drain is not None
    assert drained or np.array_equal(plain.ct.array, same.ct.array)


def test_contrast_brightens_vessels():
    seed = seed_where(lambda s: Painter(s).incidental.contrast)
    enhanced, plain = with_and_without("contrast", seed, without=(*STILL, "dense_vessels"))
    assert enhanced.description["contrast"] and not plain.description["contrast"]
    change = enhanced.ct.array.astype(int) - plain.ct.array
    assert (change > 40).sum() > 300
    assert (change < -15).sum() < 0.05 * (change > 15).sum()


def test_atrophy_widens_the_fluid_spaces():
    seed = seed_where(lambda s: Painter(s).brain.atrophy > 0.85)
    old, young = with_and_without("atrophy", seed, without=(*STILL, "scars"))
    fluid = [((p.ct.array > -5) & (p.ct.array < 20)).sum() for p in (old, young)]
    assert fluid[0] > 1.3 * fluid[1]


@pytest.mark.parametrize("kind", ["craniotomy", "craniectomy", "burr holes"])
def test_surgery_opens_the_vault(kind):
    seed = seed_where(lambda s: Surgery(s.stream("surgery")).kind == kind)
    operated, whole = with_and_without("surgery", seed, without=STILL)
    assert operated.description["surgery"] == kind
    lost = (whole.ct.array > 300) & (operated.ct.array < 250)
    assert lost.sum() > (400 if kind == "craniectomy" else 15)
    assert not operated.labels.array.any()
    if kind == "craniotomy":
        assert (operated.ct.array > 1750).sum() > (whole.ct.array > 1750).sum()


def test_sutures_are_thin_lines_in_the_vault(monkeypatch):
    # the relief of the inner table belongs to the same group, and changes the vault too
    monkeypatch.setattr(Skull, "relief", lambda self, frame: frame.zeros())
    seed = seed_where(lambda s: Painter(s).sutures.width_mm > 0.6)
    jointed, plain = with_and_without("skull", seed, without=(*STILL, "surgery"), size=256, spacing_mm=0.95)
    upper = slice(len(plain.ct.array) * 2 // 3, -3)
    gaps = (plain.ct.array[upper] > 600) & (jointed.ct.array[upper] < plain.ct.array[upper] - 150)
    assert gaps.sum() > 100
    assert gaps.sum() < 0.2 * (plain.ct.array[upper] > 600).sum()


def test_a_tilted_gantry_gives_a_sheared_volume_in_which_the_head_stays_where_it_is():
    seed = seed_where(lambda s: abs(setup_of(s).tilt) > np.deg2rad(12))
    tilted, straight = with_and_without("tilt", seed, without=STILL[:4])
    angle = np.deg2rad(tilted.description["scanner"]["tilt_deg"])
    third, plane = tilted.ct.ijk_to_ras[:3, 2], tilted.ct.ijk_to_ras[:3, :2]
    assert np.allclose(third, (0, 0, 5.0)), "the table moves along S"
    assert abs(np.dot(third, plane[:, 1])) == pytest.approx(5.0 * 1.9 * abs(np.sin(angle)))
    assert np.dot(third, plane[:, 0]) == 0
    assert np.allclose(np.linalg.norm(plane, axis=0), 1.9)

    # The same head, turned about the ear-to-ear axis with the gantry: look up every voxel in the other volume.
    bone = np.argwhere(straight.ct.array[8:24] > 400)[::7] + np.array([8, 0, 0])
    ras = straight.ct.ras(bone[:, ::-1])
    c, s = np.cos(angle), np.sin(angle)
    turned = ras @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T
    i, j, k = np.rint(tilted.ct.ijk(turned)).astype(int).T
    inside = (k >= 0) & (k < len(tilted.ct.array)) & (j >= 0) & (j < 128)
    found = tilted.ct.array[k[inside], j[inside], i[inside]]
    assert inside.mean() > 0.9
    assert (found > 250).mean() > 0.85
    apart = straight.ct.array[k[inside].clip(0, len(straight.ct.array) - 1), j[inside], i[inside]]
    assert (apart > 250).mean() < (found > 250).mean() - 0.1, "without the shear the bones would not meet"


def setup_of(spec):
    from HemoCAMLib.phantoms.scanner import Scanner
    from HemoCAMLib.phantoms.setup import Setup

    scanner = Scanner(spec.stream("scan"), spec.stream("posture"), spec.slice_mm, spec.without)
    return Setup.draw(spec.stream("setup"), scanner.round_field, spec.without)


def test_padding_lies_outside_a_round_field():
    seed = seed_where(lambda s: setup_of(s).round_field and setup_of(s).padding < -1500)
    padded, plain = with_and_without("surroundings", seed, size=96, spacing_mm=2.6)
    value = padded.description["scanner"]["padding_hu"]
    assert value in (-2000, -3024)
    assert (padded.ct.array[:, [0, 0, -1, -1], [0, -1, 0, -1]] == value).all()
    assert (padded.ct.array[:, 48, 48] > -1100).all()
    assert plain.ct.array.min() >= -1024


def test_noise_fits_the_dose():
    without = tuple(group for group in GROUPS if group != "noise")
    thick, thin = (
        make_patient(PatientSpec(21, kinds=(), slice_mm=mm, without=without, **TINY)) for mm in (5, 1.25)
    )
    one, two = thick.description["scanner"], thin.description["scanner"]
    assert one["mas"] == two["mas"]
    assert two["noise_sd_hu"] == pytest.approx(2 * one["noise_sd_hu"])


def test_moved_slices_are_ghosts_but_labels_stay():
    from HemoCAMLib.phantoms.artefacts import Artefacts

    seed = seed_where(lambda s: bool(Artefacts(s.stream("artefacts"), s.stream("streaks")).ghosts))
    moved, still = with_and_without("motion", seed, kinds=("epidural",))
    changed = (moved.ct.array != still.ct.array).any((1, 2))
    assert 1 <= changed.sum() <= 10
    assert np.array_equal(moved.labels.array, still.labels.array)


def test_metal_throws_streaks():
    from HemoCAMLib.phantoms.artefacts import Artefacts

    seed = seed_where(
        lambda s: any(c[2] > -40 for c, _, _ in Artefacts(s.stream("artefacts"), s.stream("streaks")).metal)
    )
    coiled, plain = with_and_without("metal", seed, without=("noise",))
    assert coiled.ct.array.max() > 2500
    near = np.abs(coiled.ct.array.astype(int) - plain.ct.array) > 15
    assert near.any((1, 2)).sum() <= 8 and near.sum() > 300


def blood(patient, kind):
    return patient.ct.array[patient.labels.array == KINDS.index(kind) + 1]


def test_old_subdurals_are_as_dense_as_brain():
    options = {
        "kinds": ("subdural",),
        "lesion_ml": (60, 60),
        "without": ("lesion_texture", "noise", "hardening"),
    }
    density = [
        make_patient(PatientSpec(seed, size=32, spacing_mm=7, **options)).description["lesions"][0]["hu"]
        for seed in range(14)
    ]
    assert 1 <= np.sum(np.array(density) < 50) <= 9
    old, acute = with_and_without("subacute", int(np.argmin(density)), **options, **TINY)
    assert np.array_equal(acute.labels.array, old.labels.array)
    assert np.median(blood(acute, "subdural")) > 52
    assert np.median(blood(old, "subdural")) < 50


def test_cells_sink_to_the_back():
    from HemoCAMLib.phantoms.bleeding import _settle

    y = torch.linspace(-10, 10, 41).expand(3, 5, 41).contiguous()
    density, share = torch.full_like(y, 70.0), torch.ones_like(y)
    _settle(density, share, y, 0.4, 25.0)
    assert (density[y < -3] == 25).all() and (density[y > -1] == 70).all()


def test_edema_darkens_and_mass_effect_moves_the_brain():
    options = {"kinds": ("intraparenchymal",), "lesion_ml": (60, 60), "without": ("noise", "lesion_texture")}
    darker = moved = 0
    for seed in (3, 5):
        dark, clean = with_and_without("edema", seed, **options)
        change = dark.ct.array.astype(int) - clean.ct.array
        darker += ((change < -2) & (dark.labels.array == 0)).sum()
        assert not (change > 2).any()
        pushed, lying = with_and_without("mass_effect", seed, **options)
        outside = (pushed.labels.array == 0) & (lying.labels.array == 0)
        moved += (np.abs(pushed.ct.array.astype(int) - lying.ct.array)[outside] > 8).sum()
    assert darker > 500 and moved > 500


def test_infarcts_that_bleed_are_faint_spots():
    """Of bleedings of the same volume, the petechial ones fall into several parts and are less dense."""
    parts, densities = {True: [], False: []}, {True: [], False: []}
    for seed in range(1, 19):
        spec = PatientSpec(
            seed, kinds=("intraparenchymal",), lesion_ml=(4.0, 6.0), without=("subacute",), **SMALL
        )
        patient = make_patient(spec)
        lesions = patient.description["lesions"]
        if len(lesions) != 1:
            continue
        petechial = lesions[0]["petechial"]
        parts[petechial].append(ndimage.label(patient.labels.array)[1])
        densities[petechial].append(lesions[0]["hu"])
    assert len(parts[True]) >= 2 and len(parts[False]) >= 6
    assert np.mean(parts[True]) > 2 * np.mean(parts[False])
    assert np.mean(densities[True]) < np.mean(densities[False]) - 8
    large = make_patient(PatientSpec(1, kinds=("intraparenchymal",), lesion_ml=(20.0, 30.0), **SMALL))
    assert not large.description["lesions"][0]["petechial"]


def test_densities_have_sources_and_are_drawn_within_their_range():
    rng = np.random.default_rng(0)
    for tissue, (low, high, source) in TISSUES.items():
        assert low <= draw_hu(rng, tissue) <= high
        assert source
    grey, white = TISSUES["grey matter"], TISSUES["white matter"]
    assert grey.low >= white.high


def test_patients_come_in_order_and_are_those_made_alone():
    specs = [PatientSpec(seed, **TINY) for seed in (4, 2, 9)]
    for spec, patient in zip(specs, make_patients(specs), strict=True):
        assert patient.spec is spec
        alone = make_patient(spec)
        assert np.array_equal(alone.ct.array, patient.ct.array)
        assert np.array_equal(alone.labels.array, patient.labels.array)


def test_patients_do_not_depend_on_the_callers_grad_or_autocast_mode():
    spec = PatientSpec(6, kinds=("epidural",), **TINY)
    plain = make_patient(spec)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = make_patient(spec)
    assert np.array_equal(plain.ct.array, other.ct.array)


def test_rounding_as_on_another_machine_changes_next_to_nothing(monkeypatch):
    class Exact:
        """Exponentials in double precision, rounded to float32 afterwards."""

        exp = staticmethod(lambda a: np.exp(a.astype(np.float64)).astype(np.float32))
        tanh = staticmethod(lambda a: np.tanh(a.astype(np.float64)).astype(np.float32))

    spec = PatientSpec(11, kinds=("intraparenchymal", "subdural"), **SMALL)
    here = make_patient(spec)
    monkeypatch.setattr(shapes, "np", Exact)
    there = make_patient(spec)
    difference = np.abs(here.ct.array.astype(int) - there.ct.array)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-4
    assert (here.labels.array != there.labels.array).sum() <= 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_the_same_patients_to_rounding():
    specs = [PatientSpec(seed, **SMALL) for seed in range(6)]
    for one, two in zip(make_patients(specs), make_patients(specs, "cuda"), strict=True):
        difference = np.abs(one.ct.array.astype(int) - two.ct.array)
        assert (difference > 1).mean() < 1e-3
        assert (one.labels.array != two.labels.array).mean() < 1e-4
        assert one.description["lesions"] == two.description["lesions"]


def test_speed_is_reported(capsys):
    assert speed.main(["--count", "1", "--size", "32"]) == 0
    assert "patients a second" in capsys.readouterr().out
    assert speed.main(["--count", "0"]) == 2
    if not torch.cuda.is_available():
        assert speed.main(["--device", "cuda"]) == 2
