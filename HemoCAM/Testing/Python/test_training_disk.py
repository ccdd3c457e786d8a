"""Data sets on disk as training reads them: slices, volumes, labels without masks, bad tables."""

import csv

import numpy as np
import pytest
from HemoCAMLib.errors import InputError
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from HemoCAMLib.training.disk import DiskPatients
from HemoCAMLib.training.loop import train
from HemoCAMLib.training.recipe import Recipe
from HemoCAMLib.training.samples import CLASSES, Samples
from HemoCAMLib.training.sources import InMemory, Mixed
from training_cases import QUICK, heads, small_manifest, spots


def write_table(path, rows, header=("patient_name", "slice_number", "hemorrhage_binary")):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def test_slices_on_disk_are_read_with_their_labels_and_without_masks(tmp_path):
    (tmp_path / "images").mkdir()
    hu = heads(3, 96).numpy().astype(np.int16)
    hu[2, 40:50, 40:50] = 70
    for n in range(3):
        np.save(tmp_path / "images" / f"a_b_{n + 4:03d}.npy", hu[n])
    header = ("patient_name", "slice_number", "hemorrhage_binary", "subdural")
    write_table(tmp_path / "labels.csv", [("a_b", 4, 0, ""), ("a_b", 6, 1, 1), ("a_b", 5, 1, "")], header)
    source = DiskPatients.open(tmp_path, small_manifest())
    samples = source.job(0)()
    assert len(source) == 1 and samples.hu.shape == (3, 64, 64) and not samples.mapped.any()
    assert samples.truth[:, 0].tolist() == [0, 1, 1]
    subdural = samples.truth[:, CLASSES.index("subdural")]
    assert subdural[[0, 2]].tolist() == [0, 1] and np.isnan(subdural[1])
    assert samples.truth[0].tolist() == [0] * len(CLASSES)
    # the bleeding lies where it was: 96 pixels over the field of view, then 64
    assert 55 < samples.hu[2, 30, 30] < 75 and 30 < samples.hu[1, 30, 30] < 40
    targets, weights = samples.targets(("any", "epidural"))
    assert weights.tolist() == [[1, 1], [1, 0], [1, 0]] and targets[:, 0].tolist() == [0, 1, 1]


def test_volumes_on_disk_give_their_slabs_the_labels_of_their_slices(tmp_path):
    from HemoCAMLib.volumes.files import write_image

    (tmp_path / "images").mkdir()
    patient = make_patient(PatientSpec(seed=3, kinds=(), size=64, spacing_mm=3.6, slice_mm=2.5))
    write_image(patient.ct, tmp_path / "images" / "p1.nii.gz")
    count = patient.ct.shape[0]
    rows = [("p1", n, int(n == 7)) for n in range(1, count + 1) if n != 12]
    write_table(tmp_path / "slices.csv", rows)
    samples = DiskPatients.open(tmp_path, small_manifest()).job(0)()
    truth = samples.truth[:, 0]
    # slabs of two slices, inferior to superior: slice 7 is in the fourth, slice 12 (unlabelled) in the sixth
    assert truth[3] == 1 and np.isnan(truth[5]) and truth[0] == 0 and np.nansum(truth) == 1


def test_patients_on_disk_are_split_by_patient_and_seed():
    source = DiskPatients(tuple(range(20)), small_manifest())
    one, again, other = (source.split((0.15, 0.15), seed) for seed in (1, 1, 2))
    assert [part.cases for part in one] == [part.cases for part in again] != [part.cases for part in other]
    assert sorted(sum((part.cases for part in one), ())) == list(range(20))
    assert [len(part) for part in one] == [3, 3, 14]
    with pytest.raises(InputError, match="too few"):
        DiskPatients(tuple(range(2)), small_manifest()).split((0.15, 0.15), 1)


@pytest.mark.parametrize(
    ("rows", "header", "sentence"),
    [
        ([("p", 1, 2)], None, "Line 2 .* '2'; labels are 0, 1 or empty"),
        ([("p", "x", 1)], None, "Line 2 .* slice_number"),
        ([("p", 1, 1), ("p", 1, 0)], None, "a second time"),
        ([("p", 1, 1)], ("patient_name", "slice", "hemorrhage_binary"), "lack the column slice_number"),
        ([("p", 1, 1), ("p", 2, 1)], None, "No slice without a hemorrhage"),
        ([("p", 1, 0), ("p", 3, 1)], None, "lacks p_3.npy"),
    ],
)
def test_a_bad_table_has_its_sentence(tmp_path, rows, header, sentence):
    for n in (1, 2):
        np.save(tmp_path / f"p_{n}.npy", np.zeros((8, 8)))
    write_table(tmp_path / "t.csv", rows, *([header] if header else []))
    with pytest.raises(InputError, match=sentence):
        DiskPatients.open(tmp_path, small_manifest())


def test_bad_slices_have_their_sentence(tmp_path):
    write_table(tmp_path / "t.csv", [("p", 1, 0), ("p", 2, 1)])
    np.save(tmp_path / "p_1.npy", np.zeros((8, 8)))
    for bad, sentence in (
        (np.zeros((8, 9)), "others of its patient"),
        (np.zeros((2, 8, 8)), "no picture in HU"),
    ):
        np.save(tmp_path / "p_2.npy", bad)
        with pytest.raises(InputError, match=sentence):
            DiskPatients.open(tmp_path, small_manifest()).job(0)()
    (tmp_path / "p_2.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read"):
        DiskPatients.open(tmp_path, small_manifest()).job(0)()
    with pytest.raises(InputError, match="no CSV files"):
        DiskPatients.open(tmp_path / "nowhere", small_manifest())


def test_training_on_labels_alone_and_on_both(tmp_path):
    """Slices without label maps train the slice loss only; mixed with mapped ones, both losses run."""
    mapped = spots(32)
    bare = Samples(
        mapped.hu,
        np.full_like(mapped.area_mm2, np.nan),
        np.zeros_like(mapped.labels),
        mapped.patient,
        truth=mapped.truth,
    )
    recipe = Recipe(**{**QUICK.__dict__, "epochs": 1})
    losses = []
    for name, source in (
        ("bare", InMemory(bare)),
        ("both", Mixed(((InMemory(bare), 0.5), (InMemory(mapped), 0.5)))),
    ):
        train(source, mapped, small_manifest(), recipe, tmp_path / name)
        losses.append(float(next(csv.DictReader((tmp_path / name / "log.csv").open()))["evidence_loss"]))
    assert losses[0] == 0 and losses[1] > 0
