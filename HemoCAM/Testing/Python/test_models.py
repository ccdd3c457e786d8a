"""Model bundles: what is accepted, what is refused and how, and what the network is fed."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT, tiny_manifest
from HemoCAMLib.errors import ModelError, OptionError
from HemoCAMLib.models.bundle import DEFAULT_MODEL, Bundle
from HemoCAMLib.models.calibration import probabilities
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.models.preprocess import network_input, window


def test_a_bundle_opens_by_folder_and_by_name(tiny_bundle, monkeypatch):
    monkeypatch.setenv("HEMOCAM_MODELS", str(tiny_bundle.folder.parent))
    assert Bundle.open("tiny").sha256 == Bundle.open(tiny_bundle.folder).sha256 == tiny_bundle.sha256


def test_float16_on_disk_becomes_float32_in_use(tiny_bundle):
    network = tiny_bundle.network()
    assert {p.dtype.itemsize for p in network.parameters()} == {4}
    assert not network.training


def damage(bundle, tmp_path, change=None, weights=None):
    """Copy a bundle with its manifest changed, or with other weights."""
    folder = tmp_path / "damaged"
    shutil.copytree(bundle.folder, folder)
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if change:
        change(content)
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    if weights is not None:
        (folder / "weights.safetensors").write_bytes(weights)
    return folder


def rehash(content, data: bytes):
    """Make the manifest agree with other weights."""
    import hashlib

    content["weights"]["sha256"] = hashlib.sha256(data).hexdigest()


NOT_SAFETENSORS = b"\x80\x04\x95 this is a pickle, or anything else"

BAD = {
    "a key is missing": (lambda c: c.pop("classes"), "classes"),
    "a stray key": (lambda c: c.update(weight="x"), "weight"),
    "unknown architecture": (lambda c: c["architecture"].update(timm="no_such_net"), "no_such_net"),
    "unknown option": (lambda c: c["architecture"].update(options={"bogus": 1}), "options"),
    "wrong type": (lambda c: c["input"].update(size="big"), "size"),
    "a path for a file name": (lambda c: c["weights"].update(file="../../x.safetensors"), "weights/file"),
    "a pickle": (lambda c: c["weights"].update(file="weights.pth"), "weights/file"),
    "too few means": (lambda c: c["input"].update(mean=[0.5]), "mean"),
    "uncalibrated class": (lambda c: c["calibration"].pop("any"), "calibration"),
    "target that is no class": (lambda c: c["explanation"].update(target="tumor"), "tumor"),
    "unknown method": (lambda c: c["explanation"].update(method="magic"), "magic"),
    "other outputs": (
        lambda c: (
            c["classes"].append("extra"),
            c["calibration"].update(extra=c["calibration"]["any"]),
            c["input"]["picture"]["calibration"].update(extra=c["calibration"]["any"]),
        ),
        "do not fit",
    ),
    "wrong hash": (lambda c: c["weights"].update(sha256="0" * 64), "SHA-256"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_bundle_gets_one_sentence(name, tiny_bundle, tmp_path):
    change, word = BAD[name]
    folder = damage(tiny_bundle, tmp_path, change)
    with pytest.raises(ModelError) as caught:
        Bundle.open(folder).network()
    assert word in str(caught.value) and "\n" not in str(caught.value)


def test_weights_that_are_no_safetensors_are_refused(tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path, lambda c: rehash(c, NOT_SAFETENSORS), NOT_SAFETENSORS)
    with pytest.raises(ModelError, match="cannot be read"):
        Bundle.open(folder).network()


def test_missing_pieces_are_named(tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="lacks its weights"):
        Bundle.open(folder)
    (folder / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="not valid JSON"):
        Bundle.open(folder)
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        Bundle.open("nowhere")


def test_the_shipped_bundle_is_whole_small_and_says_what_it_is():
    bundle = Bundle.open(ROOT / "models" / DEFAULT_MODEL)
    bundle.network()
    weights = bundle.folder / bundle.manifest.weights_file
    assert weights.stat().st_size <= 12e6
    card = (bundle.folder / "README.md").read_text(encoding="utf-8")
    assert card.splitlines()[0] == "Trained on no patient; research only."
    assert bundle.sha256 in card
    assert bundle.manifest.method == "hirescam" and bundle.manifest.stage == 7


def test_every_model_in_the_tree_is_whole():
    for manifest in (ROOT / "models").glob("*/model.json"):
        assert Bundle.open(manifest.parent).manifest.name == manifest.parent.name


def test_thresholds_fall_back_to_the_default():
    content = tiny_manifest()
    content["explanation"]["thresholds"] = {"default": 0.3, "hirescam": {"2": 0.45}}
    manifest = Manifest.of(content)
    assert manifest.mask_threshold("hirescam", 2) == 0.45
    assert manifest.mask_threshold("hirescam", 3) == manifest.mask_threshold("gradcam", 2) == 0.3


def test_an_unknown_class_is_named_with_its_alternatives():
    with pytest.raises(OptionError, match="subdural"):
        Manifest.of(tiny_manifest()).class_index("hematoma")


def test_window_is_dicoms_linear_exact_function():
    hu = np.array([-1000, 0, 20, 40, 80, 3000])
    assert window(hu, 40, 80).tolist() == [0, 0, 0.25, 0.5, 1, 1]


def test_network_input_has_a_normalised_channel_a_window():
    manifest = Manifest.of(tiny_manifest())
    hu = np.full((2, 4, 4), 80.0)
    x = network_input(hu, manifest)
    assert x.shape == (2, 3, 4, 4) and x.dtype == np.float32
    expected = [
        (np.clip((80 - (c - w / 2)) / w, 0, 1) - m) / s
        for (c, w), m, s in zip(manifest.windows, manifest.mean, manifest.std, strict=True)
    ]
    assert x[0, :, 0, 0] == pytest.approx(expected, abs=1e-6)


def test_probabilities_are_calibrated_a_class():
    content = tiny_manifest()
    content["calibration"]["any"] = {"slope": 2.0, "intercept": -1.0, "threshold": 0.5}
    values = probabilities(np.zeros((1, 6)), Manifest.of(content))
    assert values[0, 0] == pytest.approx(1 / (1 + np.e)) and values[0, 1] == 0.5
    extreme = probabilities(np.full((1, 6), 1e4), Manifest.of(content))
    assert np.isfinite(extreme).all() and extreme.max() <= 1
