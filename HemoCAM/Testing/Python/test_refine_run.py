"""Refined masks in the pipeline: when, where on the CT, how they are told of, and bundles that hold a refinement."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, random_affine, tiny_manifest
from HemoCAMLib.cams.engine import Explanation
from HemoCAMLib.cams.scaling import SCALES
from HemoCAMLib.doors.cli import main
from HemoCAMLib.doors.run import Case, run_case
from HemoCAMLib.errors import Cancelled, InputError, ModelError, OptionError
from HemoCAMLib.evaluation.measure import fingerprint
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.models.card import card
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.refinement.refiner import Refiner
from HemoCAMLib.refinement.statistics import Statistics
from HemoCAMLib.volumes.axial import to_axial
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.headgrid import Cells
from HemoCAMLib.volumes.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from refinement_heads import by_hand
from scipy import ndimage

REFINER = Refiner(by_hand(), high=0.7, low=0.4, about={"fitted on": 3, "seeds": [41, 42]})


def entry(content, **changes):
    """A refinement of the default map, as a manifest lists it."""
    own = {
        "method": "hirescam", "stage": 2, "target": "any", "scale": "gated",
        "weights": content["weights"]["sha256"], "refiner": json.loads(REFINER.to_json()),
    }  # fmt: skip
    return {**own, **changes}


@pytest.fixture(scope="module")
def bundle(tiny_bundle, tmp_path_factory) -> Bundle:
    """The tiny bundle with a refinement of its default map."""
    folder = tmp_path_factory.mktemp("refined") / "tiny"
    shutil.copytree(tiny_bundle.folder, folder)
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    content["explanation"]["refinements"] = [entry(content)]
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    return Bundle.open(folder)


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


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


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


def test_the_weights_stay_what_they_are(bundle, tiny_bundle):
    assert bundle.sha256 == tiny_bundle.sha256
    bundle.network()
    assert bundle.manifest.refiner("hirescam", 2, "any", "gated") == REFINER
    assert "Refined by default: masks of hirescam at stage 2" in card(bundle.manifest)
    assert "Refined" not in card(tiny_bundle.manifest)


def test_a_measurement_of_other_masks_is_another(bundle):
    refined, plain = (Options(refine=r).resolved(bundle.manifest) for r in (True, False))
    assert fingerprint(bundle, refined) != fingerprint(bundle, plain)
    other = {key: replace(r, high=0.75) for key, r in bundle.manifest.refinements.items()}
    changed = replace(bundle, manifest=replace(bundle.manifest, refinements=other))
    assert fingerprint(bundle, refined) != fingerprint(changed, refined)
    assert fingerprint(bundle, plain) == fingerprint(changed, plain)


def manifest_with(change=lambda e: None, **changes):
    content = tiny_manifest()
    own = entry(content, **changes)
    change(own)
    content["explanation"]["refinements"] = [own]
    return content


def parts(own):
    return own["refiner"]["model"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (manifest_with(method="magic"), "magic"),
        (manifest_with(target="tumor"), "tumor"),
        (manifest_with(scale="library"), "scale"),
        (manifest_with(weights="0" * 63 + "1"), "other weights"),
        (manifest_with(stray=1), "stray"),
        (manifest_with(lambda e: e.pop("refiner")), "refiner"),
        (manifest_with(lambda e: e["refiner"].update(format=2)), "format"),
        (manifest_with(lambda e: e["refiner"].update(low=0.9)), "low <= high"),
        (manifest_with(lambda e: e["refiner"].update(high=math.nan)), "cannot be used"),
        (manifest_with(lambda e: e["refiner"].update(about=[["a", 1]])), "about"),
        (manifest_with(lambda e: e["refiner"].update(about={"a": math.inf})), "cannot be used"),
        (manifest_with(lambda e: parts(e)["blood"].update(means=[60.0])), "components"),
        (manifest_with(lambda e: parts(e)["blood"].update(means=[60.0, math.inf])), "finite"),
        (manifest_with(lambda e: parts(e)["blood"].update(means=[60.0, 10**400])), "cannot be used"),
        (manifest_with(lambda e: parts(e)["blood"].update(means=[60.0, "75"])), "means"),
        (manifest_with(lambda e: parts(e)["bone"].update(deviations=[1e-310, 20.0])), "deviations"),
        (manifest_with(lambda e: parts(e)["bone"].update(weights=[0.5, 0.7])), "add up to 1"),
        (manifest_with(lambda e: parts(e)["bone"].update(weights=[1e-5] * 100_000)), "weights"),
        (manifest_with(lambda e: parts(e).update(bone_share=[0.5])), "share of bone"),
        (manifest_with(lambda e: parts(e)["prior"].update(of_map=[0.0])), "a number a knot"),
        (manifest_with(lambda e: parts(e)["prior"].update(of_map=[-1e308] * 10 + [1e308])), "within 1000"),
        (manifest_with(lambda e: parts(e)["prior"].update(of_distance=[True] * 11)), "of_distance"),
    ],
)  # fmt: skip
def test_a_refinement_that_cannot_be_used_is_one_sentence(content, word):
    with pytest.raises(ModelError) as caught:
        Manifest.of(content, "model.json")
    text = str(caught.value)
    assert word in text and text.startswith("model.json") and text.endswith(".") and "\n" not in text


def test_a_refinement_that_is_there_twice_is_refused():
    content = manifest_with()
    content["explanation"]["refinements"] *= 2
    with pytest.raises(ModelError, match="twice"):
        Manifest.of(content)


HOSTILE = st.sampled_from([
    None, True, 0, -1, 1e308, -1e308, 10**400, math.nan, math.inf, "", "hirescam", "\x00", [], [[]], {}, {"a": {}},
    [math.nan] * 11, [0.0] * 11, [1.0] * 12, [1e-9] * 32, "DELETE",
])  # fmt: skip


@settings(max_examples=120)
@given(data=st.data())
def test_hostile_values_anywhere_are_refused_or_harmless(data):
    content = manifest_with()
    place = content["explanation"]["refinements"][0]
    while True:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place))))
        )
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    value = data.draw(HOSTILE)
    if value == "DELETE":
        del place[key]
    else:
        place[key] = value
    try:
        manifest = Manifest.of(content)
    except ModelError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
        return
    for refiner in manifest.refinements.values():  # what is taken can be used
        hu = np.full((3, 40, 40), 60, np.int16)
        hu[:, 4:-4, [4, -5]] = hu[:, [4, -5], 4:-4] = 1000
        found = refiner.refine(hu, np.full(hu.shape, 0.5, np.float32), (2.0, 2.0, 5.0))
        assert np.isfinite(found.posterior).all() and found.posterior.max() <= 1
        json.loads(refiner.to_json())


def counts(**changes):
    whole = Statistics(cases=2)
    for name in ("blood", "rest", "blood_prior", "rest_prior"):
        setattr(whole, name, np.ones_like(getattr(whole, name)))
    for name, value in changes.items():
        setattr(whole, name, value)
    return whole


def test_counts_that_serve_pass():
    counts().check()
    assert Refiner.of(counts()).model.blood.weights


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"blood": np.zeros(250)}, "none of its 2 cases has any blood"),
        ({"rest_prior": counts().rest_prior * 0}, "a map that shows tissue without blood"),
        ({"blood": np.ones(3)}, "'blood' of the refinement are not weights"),
        ({"rest": counts().rest * np.nan}, "'rest' of the refinement are not weights"),
        ({"blood_prior": -counts().blood_prior}, "'blood_prior' of the refinement are not weights"),
        ({"rest": np.full_like(counts().rest, np.inf)}, "'rest' of the refinement are not weights"),
    ],
)
def test_counts_that_do_not_serve_are_one_sentence(changes, sentence):
    for use in (Statistics.check, Refiner.of):
        with pytest.raises(InputError, match=sentence) as caught:
            use(counts(**changes))
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_the_shipped_model_refines_its_default_masks():
    bundle = Bundle.open(ROOT / "models" / "phantom-v2s-half")
    assert Options().resolved(bundle.manifest).refine is True
    (measured,) = (m for m in bundle.manifest.raw["measured"] if m["command"].startswith("hemocam refine"))
    gain = measured["values"]["gain of the refinement"]
    assert float(gain.split("(")[1].split(" to ")[0]) > 0.05  # the interval lies clearly above 0


@pytest.mark.slow
def test_refined_masks_are_better_on_the_demo_patient():
    from HemoCAMLib.phantoms.patient import demo_spec, make_patient

    patient = make_patient(demo_spec())
    bundle, truth = Bundle.open(ROOT / "models" / "phantom-v2s-half"), patient.labels.array > 0
    refined, plain = (
        dice(analyse(patient.ct, bundle, Options(refine=r)).mask.array > 0, truth) for r in (True, False)
    )
    assert refined > plain + 0.02
