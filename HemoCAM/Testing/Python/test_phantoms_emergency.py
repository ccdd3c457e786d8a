"""What ordinary emergency scans show: thick slices through bone, all planes, motion, small and faint blood."""

import dataclasses

import numpy as np
import pytest
import torch
from HemoCAMLib.phantoms.artefacts import Artefacts
from HemoCAMLib.phantoms.cohort import cohort
from HemoCAMLib.phantoms.frame import Frame, Placement, Pose
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec, make_patient
from HemoCAMLib.phantoms.population import draw_kinds, draw_ml
from HemoCAMLib.phantoms.render import Painter
from HemoCAMLib.phantoms.scanner import Scanner
from HemoCAMLib.phantoms.skull import Skull
from HemoCAMLib.phantoms.surgery import Surgery
from scipy import ndimage

SMALL = {"size": 128, "spacing_mm": 1.9}
STILL = ("noise", "motion", "metal", "pose", "tilt", "surroundings", "hardening", "surgery", "contrast")


def scanner_of(seed):
    spec = PatientSpec(seed)
    return Scanner(spec.stream("scan"), spec.stream("posture"), 5.0)


def artefacts_of(spec):
    return Artefacts(spec.stream("artefacts"), spec.stream("streaks"), spec.without)


def partial_bone(patient, pixels=7):
    """Voxels in each slice that are partly bone, 60 to 300 HU, deeper than the seam of a sharp edge.

    They lie in a square of ``pixels`` on a side of which no voxel is above 300 HU or below 60 HU.
    """
    hu = torch.from_numpy(patient.ct.array.astype(np.float32))[:, None]
    pool = torch.nn.functional.max_pool2d
    high, low = pool(hu, pixels, 1), -pool(-hu, pixels, 1)
    return ((high < 300) & (low > 60)).sum((1, 2, 3)).numpy()


def test_half_of_the_patients_are_clean():
    specs = cohort(600, 3)
    assert np.mean([spec.kinds == () for spec in specs]) == pytest.approx(0.5, abs=0.06)


def test_planes_of_all_angles_to_25_degrees_occur_and_some_heads_lie_turned():
    poses = [scanner_of(seed).pose for seed in range(500)]
    pitch = np.rad2deg([pose.pitch for pose in poses])
    assert np.abs(pitch).max() < 26
    share, _ = np.histogram(pitch, [-25, -15, -5, 5, 15, 25])
    assert (share > 50).all()
    turned = np.rad2deg([[pose.roll, pose.yaw] for pose in poses])
    assert 0.03 < (np.abs(turned) > 12).any(1).mean() < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_every_scan_reaches_from_the_foramen_magnum_to_the_air_above_the_cap(seed):
    patient = make_patient(PatientSpec(seed, kinds=(), without=("surroundings",), **SMALL))
    hu, inside = patient.ct.array, patient.intracranial.array > 0
    per_slice = inside.sum((1, 2))
    assert per_slice[0] < 0.2 * per_slice.max(), "the scan begins at the base"
    assert not inside[-1].any(), "the scan ends above the brain"
    bone = np.flatnonzero((hu > 250).any((1, 2)))
    assert inside[bone[-1]].sum() == 0, "the topmost bone is cap only"
    assert (hu[-1] < -200).all() or (hu[-2] < 200).all() or bone[-1] >= len(hu) - 2


def test_the_intracranial_truth_holds_the_blood_and_no_bone():
    patient = make_patient(PatientSpec(12, kinds=KINDS, without=STILL, **SMALL))
    inside, hu = patient.intracranial, patient.ct.array
    assert inside.array.dtype == np.uint8 and inside.same_grid(patient.ct)
    blood = patient.labels.array > 0
    assert (inside.array[blood] == 1).mean() > 0.99
    deep = ndimage.binary_erosion(inside.array, np.ones((3, 3, 3)))  # at its wall voxels are half of bone
    assert np.mean(hu[deep] > 300) < 0.005
    ml = inside.array.sum() * inside.voxel_ml
    assert 1000 < ml < 2000, "a cranial capacity"


def test_roofs_of_the_orbits_give_slices_partly_of_bone():
    rough, flat = [], []
    for seed in range(3):
        spec = PatientSpec(seed, kinds=(), without=STILL, size=256, spacing_mm=0.95)
        rough.append(partial_bone(make_patient(spec)).max())
        flat.append(partial_bone(make_patient(dataclasses.replace(spec, without=(*STILL, "skull")))).max())
    assert np.median(rough) >= 10
    assert len(set(rough) & set(flat)) < 3, "the relief changes it"


def test_the_inner_table_is_rough_and_the_outer_one_is_not():
    spec = PatientSpec(8, kinds=(), without=STILL, **SMALL)
    rough = make_patient(spec)
    smooth = make_patient(dataclasses.replace(spec, without=(*STILL, "skull")))
    changed = rough.intracranial.array != smooth.intracranial.array
    assert changed.sum() > 300
    outline = [patient.ct.array > -300 for patient in (rough, smooth)]
    assert np.mean(outline[0] != outline[1]) < 2e-3


def test_hyperostosis_thickens_the_frontal_bone_inward_in_one_of_ten():
    skulls = [Painter(PatientSpec(seed)).skull for seed in range(150)]
    thick = [seed for seed, skull in enumerate(skulls) if skull.hyperostosis_mm > 6]
    assert 0.03 < np.mean([skull.hyperostosis_mm > 0 for skull in skulls]) < 0.2
    spec = PatientSpec(thick[0], kinds=(), without=STILL, **SMALL)
    ill = make_patient(spec)
    whole = make_patient(dataclasses.replace(spec, without=(*STILL, "skull")))
    lost = (whole.intracranial.array == 1) & (ill.intracranial.array == 0)
    front = lost[:, : lost.shape[1] // 2].sum()
    assert front * ill.ct.voxel_ml > 4
    assert front > 3 * lost[:, lost.shape[1] // 2 :].sum() or front * ill.ct.voxel_ml > 15
    assert "hyperostosis_mm" in vars(Skull(*(np.random.default_rng(n) for n in range(2))))


def test_slices_in_which_the_head_moved_take_their_labels_along():
    for seed in range(200):
        spec = PatientSpec(seed, kinds=("epidural",), lesion_ml=(40, 40), **SMALL)
        shifts = artefacts_of(spec).shifts
        if shifts and max(map(abs, shifts[0][2])) > 3 and 0.45 < shifts[0][0] < 0.7:
            break
    moved = make_patient(spec)
    still = make_patient(dataclasses.replace(spec, without=("motion",)))
    changed = (moved.intracranial.array != still.intracranial.array).any((1, 2))
    assert 1 <= changed.sum() <= shifts[0][1]
    bleeding = (still.labels.array > 0).any((1, 2))
    different = (moved.labels.array != still.labels.array).any((1, 2))
    assert np.array_equal(different, changed & bleeding)


def test_streaks_cross_the_base_of_some_heads():
    for seed in range(100):
        spec = PatientSpec(seed, kinds=(), without=("noise", "motion", "metal"), **SMALL)
        if any(row[0] is None and row[3] > 5 for row in artefacts_of(spec).streaks):
            break
    streaked = make_patient(spec)
    plain = make_patient(dataclasses.replace(spec, without=(*spec.without, "hardening")))
    change = streaked.ct.array.astype(int) - plain.ct.array
    inside = plain.intracranial.array == 1
    spread = [change[k][inside[k]].std() if inside[k].any() else 0 for k in range(len(change))]
    assert max(spread[: len(spread) // 2]) > 4
    assert not (streaked.labels.array > 0).any()


def test_small_hemorrhages_are_common():
    small = {"intraparenchymal": 2.0, "subarachnoid": 3.0, "intraventricular": 2.0, "subdural": 6.0}
    for kind, limit in small.items():
        ml = np.array([draw_ml(np.random.default_rng(n), kind) for n in range(600)])
        assert 0.12 < (ml < limit).mean() < 0.5
        assert ml.min() < 1.5
    assert min(draw_ml(np.random.default_rng(n), "intraparenchymal") for n in range(600)) < 0.4


def test_faint_blood_and_difficult_places_occur_at_the_stated_rates():
    tiny = {"size": 40, "spacing_mm": 6.0, "lesion_ml": (3.0, 5.0), "without": STILL}
    lesions = {
        kind: [
            lesion
            for seed in range(40)
            for lesion in make_patient(PatientSpec(seed, kinds=(kind,), **tiny)).description["lesions"]
        ]
        for kind in ("intraparenchymal", "subdural", "subarachnoid")
    }
    faint = np.mean([lesion["hu"] < 60 for lesion in lesions["intraparenchymal"]])
    assert 0.25 < faint < 0.75
    sites = [lesion["site"] for lesion in lesions["intraparenchymal"]]
    assert 0.1 < np.mean([site in ("cerebellum", "pons") for site in sites]) < 0.45
    films = [lesion.get("site") for lesion in lesions["subdural"]]
    assert 0.15 < np.mean([site in ("falx", "tentorium") for site in films]) < 0.6
    assert "vertex" in {lesion["site"] for lesion in lesions["subarachnoid"]}


def test_kinds_are_drawn_for_half_of_the_patients_only():
    drawn = [bool(draw_kinds(np.random.default_rng(n))) for n in range(1000)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.06)


def test_tumors_bleed_faintly_within_a_wide_edema():
    options = {"size": 128, "spacing_mm": 1.9, "lesion_ml": (6, 10), "kinds": ("intraparenchymal",)}
    drawn = []
    for seed in range(60):
        spec = PatientSpec(seed, **{**options, "size": 40, "spacing_mm": 6.0}, without=STILL)
        drawn.append(make_patient(spec).description["lesions"][0]["tumor"])
        if drawn.count(True) == 3:
            break
    assert 0.02 < np.mean(drawn) < 0.5
    spec = PatientSpec(drawn.index(True), **options, without=STILL)
    ill, whole = make_patient(spec), make_patient(dataclasses.replace(spec, without=(*STILL, "edema")))
    assert ill.description["lesions"][0]["tumor"] and ill.description["lesions"][0]["hu"] < 63
    assert np.array_equal(ill.labels.array, whole.labels.array)
    darker = ill.ct.array.astype(int) - whole.ct.array < -4
    assert darker.sum() * ill.ct.voxel_ml > ill.description["ml"]["intraparenchymal"]


def test_some_operations_leave_a_cavity_with_air():
    without = tuple(group for group in STILL if group != "surgery")
    for seed in range(2000):
        surgery = Surgery(PatientSpec(seed).stream("surgery"))
        if surgery.kind == "craniotomy" and surgery.resected_mm > 10 and surgery.air_mm > 4:
            break
    spec = PatientSpec(seed, kinds=(), without=without, **SMALL)
    operated = make_patient(spec)
    whole = make_patient(dataclasses.replace(spec, without=STILL))
    inside = ndimage.binary_erosion(whole.intracranial.array, iterations=2)
    assert ((operated.ct.array < -300) & inside).sum() * operated.ct.voxel_ml > 0.1
    fluid = (operated.ct.array < whole.ct.array - 4) & (operated.ct.array > -10) & inside
    assert fluid.sum() * operated.ct.voxel_ml > 1.0
    assert not operated.labels.array.any()


def test_vaults_narrow_towards_the_vertex_and_have_pits_beside_the_midline():
    skulls = [Painter(PatientSpec(seed)).skull for seed in range(60)]
    assert np.std([skull.keel for skull in skulls]) > 0.05
    pitted = max(range(60), key=lambda seed: skulls[seed].pit_mm)
    spec = PatientSpec(pitted, kinds=(), without=STILL, **SMALL)
    one, two = Painter(spec), Painter(spec)
    two.skull.pit_mm = 0.0
    z = np.arange(40.0, 90.0, 2.0)
    across = np.arange(-70.0, 70.0, 2.0)
    frame = Frame(z, across, across, Placement(Pose()), 2.0, 2.0)
    pits = two.skull.relief(frame) - one.skull.relief(frame)
    assert float(pits.max()) > 0.5 * skulls[pitted].pit_mm
    assert 0.001 < float((pits > 0.3).float().mean()) < 0.2
    assert not (pits[:, :, (across < -36) | (across > 36)] > 0.3).any()
