"""The pipeline: a point stays where it is, whatever the scan's orientation; options; the gate."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import ball_volume, random_affine
from HemoCAMLib.cams.engine import Explanation
from HemoCAMLib.errors import Cancelled, OptionError
from HemoCAMLib.pipeline import Options, analyse, pick_device
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.headgrid import Cells
from HemoCAMLib.volumes.volume import LPS_RAS, Volume
from hypothesis import given, settings
from hypothesis import strategies as st

POINT_HU = 2500


class PointFinder:
    """A CAM engine whose map is the brightest thing in the picture (the bone window's channel)."""

    def cells(self, stage, size):
        return Cells.tiling(size, size)

    def explain(self, batch, targets, methods, stages, progress=None):
        bone = batch[:, 2].numpy()
        found = np.maximum(bone - np.median(bone), 0) ** 2
        return Explanation(np.zeros((len(batch), 6), np.float32), {(methods[0], stages[0]): found})


def point_in_a_ball(rng):
    """A head-sized ball on a random oblique grid, and one bright voxel in it; returns volume, (i, j, k)."""
    matrix = random_affine(rng, np.array([*rng.uniform(1.2, 2.5, 2), rng.uniform(5, 7)])[rng.permutation(3)])
    shape = tuple(np.ceil(150 / np.linalg.norm(matrix[:3, :3], axis=0)).astype(int)[::-1])
    volume = ball_volume(shape, matrix)
    inside = np.argwhere(volume.array > 0)
    k, j, i = inside[rng.integers(len(inside))]
    volume.array[k, j, i] = POINT_HU
    return volume, np.array([i, j, k])


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_point_lesion_comes_out_where_it_went_in(seed, tiny_bundle, tmp_path_factory):
    """Through the pipeline and the files, read back by ITK: the same RAS position within half a voxel."""
    from HemoCAMLib.scene.segmentations import write_segmentation
    from HemoCAMLib.scene.storage import new_scene

    rng = np.random.default_rng(seed)
    volume, ijk = point_in_a_ball(rng)
    options = Options(gate=0.0, threshold=0.5)
    # every slice a slab of its own: otherwise a point is only known to lie somewhere in its slab
    thin = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, slab_mm=0.5))
    analysis = analyse(volume, thin, options, engine=PointFinder())
    assert len(analysis.slabs) == volume.shape[analysis.order.axes[0]]
    folder = tmp_path_factory.mktemp("point")
    write_image(analysis.heatmap, folder / "heatmap.nrrd")
    scene = new_scene()
    write_segmentation(segmentation(scene, analysis), folder / "segmentation.seg.nrrd")
    for name in ("heatmap.nrrd", "segmentation.seg.nrrd"):
        found = weighted_centre(sitk.ReadImage(str(folder / name)), 0.5)
        off = volume.ijk(found) - ijk
        assert np.abs(off).max() <= 0.5 + 1e-6, (name, off)


def segmentation(scene, analysis):
    """The mask as the scene's own segmentation node."""
    from HemoCAMLib.scene.nodes import volume_to_node
    from HemoCAMLib.scene.segmentations import MASK_COLOR, add_segmentation

    ct = volume_to_node(scene, analysis.ct)
    return add_segmentation(scene, analysis.mask, "mask", "Hemorrhage", MASK_COLOR, ct)


def weighted_centre(image, threshold):
    """Mean RAS position of the voxels above ``threshold``, weighted by value."""
    values = sitk.GetArrayFromImage(image).astype(float)
    values[values < threshold] = 0
    index = np.argwhere(values > 0)[:, ::-1]
    assert len(index)
    weight = values[values > 0]
    mean = (index * weight[:, None]).sum(0) / weight.sum()
    lps = np.array(image.TransformContinuousIndexToPhysicalPoint(mean.tolist()))
    return (LPS_RAS[:3, :3] @ lps).ravel()


def test_a_thin_slice_series_is_read_in_slabs_and_painted_on_every_slice(tiny_bundle):
    matrix = np.diag([-2.0, -2, 1.25, 1])
    analysis = analyse(ball_volume((40, 80, 80), matrix), tiny_bundle, Options(gate=0.0))
    assert len(analysis.slabs) == 10 and analysis.probabilities.shape == (10, 6)
    assert analysis.heatmap.shape == analysis.mask.shape == (40, 80, 80)
    for start, stop in zip(analysis.slabs.edges[:-1], analysis.slabs.edges[1:], strict=True):
        assert (analysis.heatmap.array[start:stop] == analysis.heatmap.array[start]).all()


def test_classification_does_not_depend_on_the_order_of_the_axes(tiny_bundle):
    """The same head stored any way gives the same probabilities and the same map at the same place."""
    rng = np.random.default_rng(1)
    volume, _ = point_in_a_ball(rng)
    axis_order = (1, 2, 0)
    columns = [volume.ijk_to_ras[:3, 2 - a] for a in axis_order]
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, :3] = np.array([-columns[2], columns[1], columns[0]]).T
    matrix[:3, 3] += columns[2] * (volume.shape[axis_order[2]] - 1)
    stored = Volume(np.ascontiguousarray(volume.array.transpose(axis_order)[:, :, ::-1]), matrix)
    one, other = (analyse(v, tiny_bundle, Options(gate=0.0)) for v in (volume, stored))
    assert np.allclose(one.probabilities, other.probabilities, atol=1e-5)
    back = other.heatmap.array[:, :, ::-1].transpose(np.argsort(axis_order))
    assert np.allclose(one.heatmap.array, back, atol=1e-4)


def test_the_gate_closes_slices_and_the_mask_follows_the_threshold(tiny_bundle):
    volume = ball_volume((12, 80, 80), np.diag([-2.0, -2, 10, 1]))
    everything = analyse(volume, tiny_bundle, Options(gate=0.0, threshold=0.4))
    assert everything.gate.all()
    probability = everything.probabilities[:, 0]
    gate = float(np.median(probability))
    analysis = analyse(volume, tiny_bundle, Options(gate=gate, threshold=0.4))
    assert analysis.gate.tolist() == (probability >= gate).tolist() and not analysis.gate.all()
    assert not analysis.heatmap.array[~analysis.gate].any()
    assert analysis.heatmap.array.max() <= 1 and analysis.mask.array.dtype == np.uint8
    assert np.array_equal(analysis.mask.array, analysis.heatmap.array >= 0.4)
    closed = analyse(volume, tiny_bundle, Options(gate=1.0))
    assert not closed.heatmap.array.any() and not closed.mask.array.any()


def test_the_raw_map_is_kept_signed_whatever_the_gate(tiny_bundle):
    volume = ball_volume((6, 80, 80), np.diag([-2.0, -2, 10, 1]))
    shut, open_ = (analyse(volume, tiny_bundle, Options(gate=g)) for g in (1.0, 0.0))
    assert np.array_equal(shut.raw, open_.raw) and shut.raw.min() < 0
    assert np.array_equal(shut.raw_volume.array, shut.raw)


def test_against_a_class_is_the_other_side_of_its_map(tiny_bundle):
    """HiResCAM is linear in the gradient, so what speaks against is what speaks for, turned round."""
    volume = ball_volume((6, 80, 80), np.diag([-2.0, -2, 10, 1]))
    pro, contra = (analyse(volume, tiny_bundle, Options(gate=0.0, against=a)) for a in (False, True))
    assert np.allclose(contra.raw, -pro.raw, atol=1e-7) and contra.raw.max() > 0
    assert np.array_equal(contra.probabilities, pro.probabilities) and contra.target_words == "against any"
    assert not (contra.heatmap.array[pro.heatmap.array > 0.9] > 0).any()
    with pytest.raises(OptionError, match="against a class"):
        analyse(volume, tiny_bundle, Options(against=True, refine=True))


def test_the_input_is_not_changed(tiny_bundle):
    volume = ball_volume((6, 60, 60), np.diag([-2.0, -2, 10, 1]))
    before = volume.array.copy()
    analyse(volume, tiny_bundle, Options(gate=0.0))
    assert np.array_equal(volume.array, before)


def test_cancelling_ends_the_work(tiny_bundle):
    def cancel(phase, done, total):
        if phase.startswith("Classifying"):
            raise Cancelled

    with pytest.raises(Cancelled):
        analyse(ball_volume((6, 60, 60), np.diag([-2.0, -2, 10, 1])), tiny_bundle, progress=cancel)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (Options(method="nocam"), "nocam"),
        (Options(stage=9), "stage 9"),
        (Options(target="tumor"), "tumor"),
        (Options(threshold=0.0), "threshold"),
        (Options(threshold=float("nan")), "threshold"),
        (Options(gate=1.5), "gate"),
        (Options(scale="log"), "log"),
        (Options(device="tpu"), "tpu"),
    ],
)
def test_options_that_make_no_sense_get_a_sentence(options, word, tiny_bundle):
    with pytest.raises(OptionError, match=word):
        analyse(ball_volume((4, 40, 40), np.diag([-3.0, -3, 10, 1])), tiny_bundle, options)


def test_devices():
    import torch

    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
