"""Model folders that somebody else made: no option opens a file, no number is absurd, no pickle is read."""

import json
import pickle
import time

import pytest
import torch
from conftest import tiny_manifest
from HemoCAMLib.errors import ModelError
from HemoCAMLib.models.bundle import Bundle, build_network
from HemoCAMLib.models.manifest import Manifest, allowed_options
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models import damage, rehash


class Bomb:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    "option",
    ["checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "features_only",
     "block_args", "round_chs_fn", "model_cfg", "device"],
)  # fmt: skip
def test_no_option_makes_a_library_open_a_file(option, tiny_bundle, tmp_path):
    bomb, mark = tmp_path / "weights.pth", tmp_path / "mark"
    bomb.write_bytes(pickle.dumps(Bomb(mark)))
    value = {"pretrained_cfg": {"file": str(bomb)}, "pretrained": True}.get(option, str(bomb))
    folder = damage(tiny_bundle, tmp_path, lambda c: c["architecture"].update(options={option: value}))
    with pytest.raises(ModelError, match="architecture/options"):
        Bundle.open(folder).network()
    manifest = Manifest.of(tiny_manifest())
    object.__setattr__(manifest, "options", {option: value})  # one that no schema has seen
    with pytest.raises(ModelError, match=option):
        build_network(manifest)
    assert not mark.exists()


def test_the_options_that_are_allowed_only_shape_the_network():
    assert not {"checkpoint_path", "pretrained", "pretrained_cfg", "cache_dir", "kwargs"} & allowed_options()
    assert {"channel_multiplier", "depth_multiplier", "output_stride"} <= allowed_options()


@pytest.mark.parametrize(
    "name",
    [
        "hf-hub:someone/network",
        "hf_hub:someone/network",
        "local-dir:/tmp/network",
        "../network",
        "a/b",
        "tf_b0\n",
        "A b",
    ],
)
def test_an_architecture_is_a_plain_name(name, tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path, lambda c: c["architecture"].update(timm=name))
    with pytest.raises(ModelError, match="architecture/timm"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["architecture"].update(options={"depth_multiplier": 5000}),
        lambda c: c["architecture"].update(options={"channel_multiplier": 1e9}),
        lambda c: c["architecture"].update(timm="convnext_base", options={"dims": [10**9] * 4}),
        lambda c: c["architecture"].update(
            timm="convnext_base", options={"depths": [64] * 4, "dims": [4096] * 4}
        ),
        lambda c: c["input"].update(size=10**6),
        lambda c: c["classes"].extend(f"c{n}" for n in range(2000)),
    ],
)
def test_a_network_without_measure_is_refused_before_it_takes_memory(change, tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path, change)
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        Bundle.open(folder).network()
    assert "\n" not in str(caught.value) and time.monotonic() - started < 30


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_numbers_are_finite(value, tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path)
    path = folder / "model.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["calibration"]["any"]["slope"] = "HERE"
    path.write_text(json.dumps(content).replace('"HERE"', value), encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        Bundle.open(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_key_stands_once(tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path)
    path = folder / "model.json"
    path.write_text(path.read_text(encoding="utf-8").replace("{", '{"name": "other", ', 1), encoding="utf-8")
    with pytest.raises(ModelError, match="'name' stands there twice"):
        Bundle.open(folder)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(bad, tiny_bundle, tmp_path):
    from safetensors.torch import load_file, save

    state = load_file(tiny_bundle.folder / "weights.safetensors")
    name = sorted(state)[3]
    state[name] = torch.full_like(state[name].float(), bad)
    data = save(state)
    folder = damage(tiny_bundle, tmp_path, lambda c: rehash(c, data), data)
    with pytest.raises(ModelError, match=f"not finite, the first in {name}"):
        Bundle.open(folder).network()


@pytest.mark.parametrize(
    "file", ["weights.safetensors\n", "a/weights.safetensors", "/weights.safetensors", "..\\w.safetensors"]
)
def test_the_weights_lie_in_the_folder(file, tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path, lambda c: c["weights"].update(file=file))
    with pytest.raises(ModelError, match="weights/file"):
        Bundle.open(folder)


def test_nested_and_large_manifests_get_a_sentence(tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path)
    for text in (
        "[" * 100_000,
        '{"a":' * 100_000,
        " " * 21_000_000,
        '"\ud800"'.encode("utf-8", "surrogatepass"),
    ):
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "model.json").write_bytes(data)
        with pytest.raises(ModelError) as caught:
            Bundle.open(folder)
        assert "\n" not in str(caught.value)


def test_a_pipe_or_a_folder_is_no_manifest_and_no_weights(tiny_bundle, tmp_path):
    import os

    folder = damage(tiny_bundle, tmp_path)
    for name in ("weights.safetensors", "model.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ModelError):
            Bundle.open(folder)
        (folder / name).unlink()
        (folder / name).mkdir()
        with pytest.raises(ModelError):
            Bundle.open(folder)


@st.composite
def mutations(draw):
    """A manifest with one of its values replaced, removed, or something added beside it."""
    content = json.loads(json.dumps(tiny_manifest()))
    at = content
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(at[key], dict | list) and draw(st.integers(0, 3)):
            at = at[key]
            continue
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        some = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
        several = st.one_of(
            st.lists(st.integers(), max_size=3),
            st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
        )
        value = draw(st.one_of(some, several))
        if what == "remove":
            del at[key]
        elif what == "replace":
            at[key] = value
        elif isinstance(at, dict):
            at[draw(st.sampled_from(["checkpoint_path", "hu", "file", "x"]))] = value
        else:
            at.append(value)
        break
    return content


@settings(max_examples=150)
@given(mutations())
def test_a_changed_manifest_is_read_or_refused(content):
    try:
        manifest = Manifest.of(content)
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert set(manifest.options) <= allowed_options()
