"""Refined masks in the pipeline: when, where on the CT, how they are told of, and bundles that hold a refinement."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import random_affine
from HemoCAMLib.cams.engine import Explanation
from HemoCAMLib.cams.scaling import SCALES
from HemoCAMLib.doors.cli import main
from HemoCAMLib.doors.run import Case, run_case
from HemoCAMLib.errors import Cancelled, OptionError
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.volumes.axial import to_axial
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.headgrid import Cells
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from refine_run_cases import REFINER, bundle, dice  # noqa: F401
from scipy import ndimage


class BloodFinder:
    """A CAM engine that sees what is as bright as blood, blurred to a coarse map, and gates by it."""

    def cells(self, stage, size):
        return Cells.tiling(size, size // 8)

    def explain(self, batch, targets, methods, stages, progress=None):
        brain, bone = batch[:, 0].numpy(), batch[:, 2].numpy()
        low, high = (((hu / 80) - 0.3) / 0.35 for hu in (50, 79))  # the channel's window and normalisation
        blood = (brain > low) & (brain < high) & (bone < bone.mean(axis=(1, 2), keepdims=True) + 1)
        blood = ndimage.binary_opening(
            blood, np.ones((1, 3, 3))
        )  # the rim of the skull passes through 66 HU, too
        count, size = blood.shape[:2]
        coarse = blood.reshape(count, size // 8, 8, size // 8, 8).mean((2, 4)).astype(np.float32)
        logits = np.where(blood.any(axis=(1, 2)), 9.0, -9.0).astype(np.float32)
        maps = ndimage.gaussian_filter(coarse, (0, 0.7, 0.7))
        return Explanation(np.repeat(logits[:, None], 6, axis=1), {(methods[0], stages[0]): maps})


def head_with_a_box(rng):
    """A head on a random oblique, anisotropic grid with a box of blood in it; returns volume and blood."""
    matrix = random_affine(rng, np.array([*rng.uniform(1.2, 1.8, 2), rng.uniform(3, 6)])[rng.permutation(3)])
    shape = tuple(np.ceil(200 / np.linalg.norm(matrix[:3, :3], axis=0)).astype(int)[::-1])
    volume = Volume(np.zeros(shape, np.int16), matrix)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)[..., ::-1]
    away = volume.ras(grid) - volume.ras((np.array(shape[::-1]) - 1) / 2)
    radius = np.linalg.norm(away / (66, 80, 74), axis=-1)
    hu = np.select([radius < 1, radius < 1.1, radius < 1.2], [31, 1000, 35], -1000)
    place = rng.uniform(-28, 28, 3)
    blood = (np.abs(away - place) < rng.uniform(9, 16, 3)).all(axis=-1)
    hu = np.where(blood, 66, hu) + np.rint(rng.normal(0, 2, shape))
    volume.array[:] = np.where(radius < 1.2, hu, -1000)
    return volume, blood


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_refined_mask_lies_on_the_blood_whatever_the_grid(seed, bundle):
    volume, blood = head_with_a_box(np.random.default_rng(seed))
    analysis = analyse(volume, bundle, Options(gate=0.5), engine=BloodFinder())
    mask, order = analysis.mask, analysis.order
    assert analysis.refined and mask.same_grid(volume)
    assert mask.array.dtype == np.uint8 and set(np.unique(mask.array)) == {0, 1}
    found = mask.array > 0
    assert dice(found, blood) > 0.93
    off = [np.mean(np.nonzero(m), axis=1) for m in (found, blood)]
    thin = (
        np.diff(analysis.slabs.edges).max() == 1
    )  # a slab's slices share their gate, a thin box has few of them
    allowed = np.where(np.arange(3) == order.axes[0], 0.75 if thin else 1.5, 0.5)
    assert (np.abs(off[0] - off[1]) <= allowed).all()
    shown = order.view(found).any(axis=(1, 2))
    assert not shown[~analysis.gate[analysis.slabs.of_slice]].any() and not analysis.gate.all()
    assert (volume.array[found] < 200).all() and (volume.array[found] > -50).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_the_map_and_the_gate_nothing_is_refined_outside_shown_slabs_or_the_head(seed, bundle, head):
    rng = np.random.default_rng(seed)

    class AnyMap(BloodFinder):
        def explain(self, batch, targets, methods, stages, progress=None):
            maps = np.exp(rng.normal(0, 3, (len(batch), 16, 16))).astype(np.float32)
            logits = rng.normal(0, 2, (len(batch), 6)).astype(np.float32)
            return Explanation(logits, {(methods[0], stages[0]): maps - rng.exponential()})

    analysis = analyse(head, bundle, Options(gate=float(rng.random())), engine=AnyMap())
    axial, order = to_axial(head)
    mask = order.view(analysis.mask.array)
    assert mask.dtype == np.uint8 and mask.max(initial=0) <= 1 and mask.shape == axial.shape
    assert not mask[~analysis.gate[analysis.slabs.of_slice]].any()
    assert ((axial.array[mask > 0] >= -50) & (axial.array[mask > 0] < 200)).all()
    filled = np.stack([ndimage.binary_fill_holes(p > 200) for p in axial.array])
    assert not mask[~filled].any()  # nothing outside the skull
    again = REFINER.refine(head, analysis.heatmap).mask
    assert np.array_equal(analysis.mask.array, again)


def test_the_map_is_the_same_refined_or_not(bundle, head):
    refined, plain = (analyse(head, bundle, Options(gate=0.0, refine=r)) for r in (None, False))
    assert refined.refined and not plain.refined
    assert np.array_equal(refined.heatmap.array, plain.heatmap.array)
    assert np.array_equal(plain.mask.array, plain.heatmap.array >= plain.options.threshold)
    assert "refine" in refined.timings and "refine" not in plain.timings


def test_a_bundle_refines_what_it_was_fitted_for_and_nothing_else(bundle, tiny_bundle):
    manifest = bundle.manifest
    assert Options().resolved(manifest).refine is True
    assert Options(refine=True).resolved(manifest).refine is True
    assert Options(refine=False).resolved(manifest).refine is False
    others = [
        Options(method="gradcam"), Options(stage=1), Options(target="subdural"), Options(scale="volume"),
        Options(scale="library"),
    ]  # fmt: skip
    for options in others:
        assert options.resolved(manifest).refine is False
        with pytest.raises(OptionError, match="has no mask refinement for") as caught:
            replace(options, refine=True).resolved(manifest)
        assert "\n" not in str(caught.value) and str(caught.value).endswith("`hemocam refine`.")
    assert Options().resolved(tiny_bundle.manifest).refine is False
    with pytest.raises(OptionError, match="leave --refine out"):
        Options(refine=True).resolved(tiny_bundle.manifest)


def test_a_threshold_asks_for_a_plain_mask(bundle):
    assert Options(threshold=0.4).resolved(bundle.manifest).refine is False


@given(
    refine=st.sampled_from([None, True, False]),
    threshold=st.sampled_from([None, 0.3]),
    scale=st.sampled_from(list(SCALES)),
)
def test_resolved_options_resolve_to_themselves(refine, threshold, scale, bundle):
    options = Options(refine=refine, threshold=threshold, scale=scale)
    if refine and scale != "gated":
        return
    once = options.resolved(bundle.manifest)
    assert once.resolved(bundle.manifest) == once and isinstance(once.refine, bool)


def test_a_cancel_ends_the_refinement(bundle, head):
    def stop(phase, done, total):
        if phase == "Refining masks":
            raise Cancelled

    with pytest.raises(Cancelled):
        analyse(head, bundle, Options(gate=0.0), stop)


def test_summary_scene_and_picture_say_which_mask_it_is(bundle, head, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    said = []
    text = Figure.text
    monkeypatch.setattr(
        Figure, "text", lambda self, x, y, s, *a, **k: said.append(s) or text(self, x, y, s, *a, **k)
    )
    write_image(head, tmp_path / "ct.nrrd")
    outline = "outline of the refined mask"
    for name, options, mask, caption in (
        ("refined", Options(gate=0.0), "refined: the map joined with the HU", outline),
        ("plain", Options(gate=0.0, refine=False), "plain: the map at or above", "outline of the mask (map"),
    ):  # fmt: skip
        said.clear()
        (tmp_path / name).mkdir()
        result = run_case(
            Case(tmp_path / "ct.nrrd", model=str(bundle.folder), options=options), tmp_path / name
        )
        content = json.loads((tmp_path / name / "summary.json").read_text(encoding="utf-8"))
        assert content["options"]["refine"] is (name == "refined")
        assert content["result"]["mask"].startswith(mask)
        assert any(s.startswith(caption) for s in said)
        assert described(tmp_path / name / "scene.mrb").startswith(mask)
        from HemoCAMLib.doors.demo import report

        assert ("refined mask" in report(result, tmp_path)) is (name == "refined")


def described(path) -> str:
    from HemoCAMLib.scene.storage import load_scene

    return load_scene(path).GetFirstNodeByClass("vtkMRMLSegmentationNode").GetAttribute("HemoCAM.mask")


def test_refine_without_a_refinement_is_known_before_the_scan_is_read(tiny_bundle, tmp_path):
    case = Case(tmp_path / "none.nrrd", model=str(tiny_bundle.folder), options=Options(refine=True))
    with pytest.raises(OptionError, match="no mask refinement"):
        run_case(case, tmp_path)


def test_refine_and_a_threshold_exclude_each_other(tmp_path, capsys):
    asked = ["run", "ct.nrrd", "--output", str(tmp_path / "out"), "--refine", "--threshold", "0.3"]
    assert main(asked) == 2
    assert "leave out --threshold, or --refine" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_pictures_keep_their_plain_mask(bundle):
    from HemoCAMLib.slices import Slice, SliceClassifier

    assert bundle.manifest.for_pictures().refinements == {}
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    gray = np.select([np.hypot(x, y) < 0.7, np.hypot(x, y) < 0.8], [0.4, 1.0], 0.0).astype(np.float32)
    (found,) = SliceClassifier(bundle)([Slice.of_picture(gray, bundle.manifest)])
    assert np.array_equal(found.mask, found.heatmap >= 0.55)
