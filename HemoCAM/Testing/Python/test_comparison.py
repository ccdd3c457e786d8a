"""Comparison: overlap worked out on paper and by ITK, labels, empty masks, the table."""

import csv
import math
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from comparison_cases import boxes, ct_affine, random_affine, random_masks, values
from HemoCAMLib.comparison import masks, overlap, surface
from HemoCAMLib.comparison.table import compare, write_csv
from HemoCAMLib.errors import Cancelled, InputError, OutputError
from HemoCAMLib.volumes.volume import Volume


def test_counts_and_ratios_worked_out_on_paper():
    counts = overlap.Counts.of(*boxes())
    assert counts == overlap.Counts(
        true_positives=18, false_positives=82, false_negatives=42, true_negatives=290
    )
    assert (counts.reference, counts.test, counts.all) == (60, 100, 432)
    assert overlap.dice(counts) == pytest.approx(36 / 160)
    assert overlap.iou(counts) == pytest.approx(18 / 142)
    assert overlap.sensitivity(counts) == pytest.approx(0.3)
    assert overlap.precision(counts) == pytest.approx(0.18)
    assert overlap.specificity(counts) == pytest.approx(290 / 372)
    assert overlap.percent(counts.true_positives, counts) == pytest.approx(100 * 18 / 432)


def test_centre_worked_out_on_paper():
    reference, test = boxes()
    assert overlap.centre(reference, ct_affine()) == pytest.approx([12, -20 + 3.5 * 0.7, 36])
    assert overlap.centre(test, ct_affine()) == pytest.approx([13, -20 + 5 * 0.7, 40.5])
    box = masks.bounding_box(test)
    assert box == (slice(2, 6), slice(3, 8), slice(4, 9))
    assert overlap.centre(test, ct_affine(), box) == pytest.approx([13, -20 + 5 * 0.7, 40.5])


def test_ratios_agree_with_itk():
    rng = np.random.default_rng(0)
    for _ in range(10):
        reference, test = random_masks(rng)
        counts = overlap.Counts.of(reference, test)
        itk = sitk.LabelOverlapMeasuresImageFilter()
        # ITK's second image is the truth.
        itk.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (test, reference)))
        assert overlap.dice(counts) == pytest.approx(itk.GetDiceCoefficient())
        assert overlap.iou(counts) == pytest.approx(itk.GetJaccardCoefficient())
        assert overlap.sensitivity(counts) == pytest.approx(1 - itk.GetFalseNegativeError())
        assert overlap.precision(counts) == pytest.approx(1 - itk.GetFalseDiscoveryRate())
        assert overlap.specificity(counts) == pytest.approx(1 - itk.GetFalsePositiveError())


def test_centre_and_volume_agree_with_itk():
    rng = np.random.default_rng(1)
    for _ in range(5):
        reference, test = random_masks(rng)
        affine = random_affine(rng, sheared=False)
        image = sitk.GetImageFromArray(reference.astype(np.uint8))
        lps = np.diag([-1, -1, 1, 1]) @ affine
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        shapes = sitk.LabelShapeStatisticsImageFilter()
        shapes.Execute(image)
        found = compare(Volume(reference, affine), Volume(test, affine))
        assert np.array(found.reference_centre) * [-1, -1, 1] == pytest.approx(shapes.GetCentroid(1))
        assert found.reference_ml == pytest.approx(shapes.GetPhysicalSize(1) / 1000)


def test_volume_of_a_sheared_voxel_is_its_determinant():
    affine = ct_affine()
    affine[1, 2] = 0.8  # gantry tilt: slices slide, no volume is won
    reference, test = boxes()
    found = compare(Volume(reference, affine), Volume(test, affine))
    assert found.reference_ml == pytest.approx(60 * 0.5 * 0.7 * 3.0 / 1000)
    assert found.test_ml == pytest.approx(100 * 0.5 * 0.7 * 3.0 / 1000)


def test_counting_refuses_what_is_no_pair_of_masks():
    with pytest.raises(ValueError, match="bool"):
        overlap.Counts.of(np.ones((2, 2, 2), dtype=np.uint8), np.ones((2, 2, 2), dtype=np.uint8))
    with pytest.raises(ValueError, match="shape"):
        overlap.Counts.of(np.ones((2, 2, 2), dtype=bool), np.ones((2, 2, 3), dtype=bool))
    with pytest.raises(ValueError, match="shape"):
        surface.hausdorff(np.ones((2, 2, 2), dtype=bool), np.ones((2, 2, 3), dtype=bool), np.eye(4))


@pytest.mark.parametrize(
    ("reference_full", "test_full", "sensitivity", "precision"),
    [(False, False, math.nan, math.nan), (True, False, 0, math.nan), (False, True, math.nan, 0)],
)
def test_every_metric_on_empty_masks(reference_full, test_full, sensitivity, precision):
    some = boxes()[0]
    reference = some & reference_full
    test = some & test_full
    found = compare(Volume(reference, ct_affine()), Volume(test, ct_affine()))
    assert found.dice == found.iou == 0
    assert found.sensitivity == pytest.approx(sensitivity, nan_ok=True)
    assert found.precision == pytest.approx(precision, nan_ok=True)
    assert found.specificity == pytest.approx(372 / 432 if test_full else 1)
    assert found.reference_ml == pytest.approx(60 * 0.5 * 0.7 * 3 / 1000 * reference_full)
    assert np.isnan(found.reference_centre).all() == (not reference_full)
    assert np.isnan(found.test_centre).all() == (not test_full)
    assert np.isnan(values(found.volume)).all() and np.isnan(values(found.boundary)).all()
    empty = [name for name, full in (("Reference", reference_full), ("HemoCAM", test_full)) if not full]
    assert [finding.split()[0] for finding in found.findings] == empty
    assert sum(v for n, v in found.rows() if n.endswith("(%)")) == pytest.approx(100)


def test_specificity_is_undefined_without_background():
    full = np.ones((2, 2, 2), dtype=bool)
    assert math.isnan(overlap.specificity(overlap.Counts.of(full, full)))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float32])
def test_every_label_but_zero_is_foreground(dtype):
    labels = np.array([[[0, 1], [3, 0]]]).astype(dtype)
    assert (masks.foreground(Volume(labels, np.eye(4))) == [[[False, True], [True, False]]]).all()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(-1024.0, "negative"), (math.nan, "undefined"), (0.5, "fractions"), (-1, "negative")],
)
def test_an_image_is_no_label_map(value, sentence):
    array = np.zeros((2, 3, 4), dtype=np.int16 if isinstance(value, int) else np.float32)
    array[1, 1, 1] = value
    with pytest.raises(InputError, match=f"Bleed is not a label map.*{sentence}"):
        masks.foreground(Volume(array, np.eye(4), "Bleed"))


def test_bounding_box():
    mask = np.zeros((4, 5, 6), dtype=bool)
    assert masks.bounding_box(mask) is None
    assert masks.union_box(None, None) is None
    mask[1, 2, 3] = mask[3, 2, 5] = True
    box = masks.bounding_box(mask)
    assert box == (slice(1, 4), slice(2, 3), slice(3, 6))
    assert masks.union_box(box, None) == masks.union_box(None, box) == box
    assert masks.union_box(box, (slice(0, 2), slice(4, 5), slice(4, 5))) == (
        slice(0, 4),
        slice(2, 5),
        slice(3, 6),
    )


def test_rows_carry_the_names_and_the_order_of_slicerrt():
    reference, test = boxes()
    found = compare(
        Volume(reference.astype(np.uint8), ct_affine(), "Labels"), Volume(test, ct_affine(), "Mask"), "Expert"
    )
    rows = found.rows()
    assert [name for name, _ in rows][:16] == [
        "Reference segmentation",
        "Reference segment",
        "Compare segmentation",
        "Compare segment",
        "Dice coefficient",
        "True positives (%)",
        "True negatives (%)",
        "False positives (%)",
        "False negatives (%)",
        "Reference center",
        "Compare center",
        "Reference volume (cc)",
        "Compare volume (cc)",
        "Maximum (mm)",
        "Average (mm)",
        "95% (mm)",
    ]
    assert all(name.startswith("HemoCAM: ") for name, _ in rows[16:]) and len(rows) > 16
    assert len(dict(rows)) == len(rows)
    cell = dict(rows)
    assert cell["Reference segmentation"] == "Labels" and cell["Compare segmentation"] == "Mask"
    assert cell["Reference segment"] == "Expert" and cell["Compare segment"] == "HemoCAM"
    assert cell["True positives (%)"] == pytest.approx(100 * 18 / 432)
    assert cell["True negatives (%)"] == pytest.approx(100 * 290 / 432)
    assert cell["False positives (%)"] == pytest.approx(100 * 82 / 432)
    assert cell["False negatives (%)"] == pytest.approx(100 * 42 / 432)
    assert cell["Reference center"] == "(12, -17.55, 36)" and cell["Compare center"] == "(13, -16.5, 40.5)"
    assert cell["Reference volume (cc)"] == pytest.approx(0.063)
    assert cell["Maximum (mm)"] == found.boundary.maximum != 0
    assert cell["95% (mm)"] == found.boundary.percentile_95
    assert cell["Average (mm)"] == found.boundary.average != found.volume.average
    assert cell["HemoCAM: Hausdorff average, all voxels (mm)"] == found.volume.average


def test_csv_gives_the_table_back(tmp_path):
    reference, test = boxes()
    found = compare(
        Volume(reference, ct_affine()), Volume(test, ct_affine()), reference_name='Dr. "Ä", expert'
    )
    write_csv(found, tmp_path / "comparison.csv")
    with (tmp_path / "comparison.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["Metric name", "Metric value"]
    assert [name for name, _ in rows] == [name for name, _ in found.rows()]
    for (_, text), (_, value) in zip(rows, found.rows(), strict=True):
        assert text == value if isinstance(value, str) else float(text) == pytest.approx(value, rel=1e-8)


def test_csv_of_empty_masks_says_nan(tmp_path):
    empty = Volume(np.zeros((3, 3, 3), dtype=bool), np.eye(4))
    write_csv(compare(empty, empty), tmp_path / "comparison.csv")
    text = (tmp_path / "comparison.csv").read_text(encoding="utf-8")
    assert "Maximum (mm),nan" in text and 'Reference center,"(nan, nan, nan)"' in text


def test_csv_that_cannot_be_written_is_one_sentence(tmp_path):
    some = Volume(boxes()[0], ct_affine())
    with pytest.raises(OutputError, match=r"cannot be written to comparison\.csv.*choose another folder\.$"):
        write_csv(compare(some, some), tmp_path / "absent" / "comparison.csv")


@pytest.mark.parametrize("phase", ["Comparing", "Measuring distances"])
def test_progress_is_told_and_can_cancel(phase):
    reference, test = (Volume(mask, ct_affine()) for mask in boxes())
    calls = []
    compare(reference, test, progress=lambda *call: calls.append(call))
    assert all(0 <= done <= total for _, done, total in calls)
    assert calls[-1] == ("Comparing", 4, 4)

    def stop(name, done, total):
        if name == phase:
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(reference, test, progress=stop)


def test_comparison_stands_on_the_lowest_floor():
    code = (
        "import sys, HemoCAMLib.comparison.table\n"
        "print([m for m in ('vtk', 'slicer', 'qt', 'torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
