"""Model folders that somebody else made: no option opens a file, no number is absurd, no pickle is read."""

import json
import os
import pickle
import shutil
import sys
import time

import pytest
import torch
from conftest import ROOT, tiny_manifest
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


def test_a_link_that_leads_out_of_the_folder_is_refused(tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path)
    own, elsewhere = folder / "weights.safetensors", tmp_path / "elsewhere.safetensors"
    own.rename(elsewhere)
    own.symlink_to(elsewhere)
    with pytest.raises(ModelError, match="leads out of the folder"):
        Bundle.open(folder)
    elsewhere.rename(folder / "other.safetensors")
    own.unlink()
    own.symlink_to("other.safetensors")
    Bundle.open(folder).network()
    own.unlink()
    own.symlink_to("weights.safetensors")  # to itself
    with pytest.raises(ModelError) as caught:
        Bundle.open(folder)
    assert "\n" not in str(caught.value)


def test_weights_that_are_exchanged_after_the_check_are_not_used(tiny_bundle, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = damage(tiny_bundle, tmp_path)
    bundle, path = Bundle.open(folder), folder / "weights.safetensors"
    save_file({name: tensor * 0 for name, tensor in load_file(path).items()}, path)
    with pytest.raises(ModelError, match="SHA-256"):
        bundle.network()


def test_a_file_without_measure_is_refused_before_it_is_read(tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path)
    with (folder / "weights.safetensors").open("r+b") as stream:
        stream.truncate(2**40)  # takes no room on the disk
    with pytest.raises(ModelError, match="may have"):
        Bundle.open(folder)


def header(length, text=b"", body=b""):
    return length.to_bytes(8, "little") + text + body


def claim(kind="F32", shape=(1,), offsets=(0, 4), name="x"):
    text = json.dumps({name: {"dtype": kind, "shape": shape, "data_offsets": offsets}}).encode()
    return header(len(text), text, b"\0" * 4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 8,
        header(2**63),
        header(2**33, b"{}"),
        header(2, b"{}"),
        header(4, b"\xff\xff\xff\xff"),
        claim(shape=(2**31,), offsets=(0, 2**33)),
        claim(shape=(2**62, 4), offsets=(0, 4)),
        claim(offsets=(4, 0)),
        claim(kind="F7"),
        claim(kind="F8_E4M3", shape=(4,)),
        claim(name="x\ny\x1b[2J"),
    ],
    ids=range(12),
)
def test_weights_that_lie_about_themselves_get_a_sentence(data, tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path, lambda c: rehash(c, data), data)
    with pytest.raises(ModelError) as caught:
        Bundle.open(folder).network()
    assert str(caught.value).isprintable()


def test_weights_that_are_cut_short_get_a_sentence(tiny_bundle, tmp_path):
    data = (tiny_bundle.folder / "weights.safetensors").read_bytes()[:-100]
    folder = damage(tiny_bundle, tmp_path, lambda c: rehash(c, data), data)
    with pytest.raises(ModelError, match="cannot be read"):
        Bundle.open(folder).network()


def with_weights(bundle, tmp_path, change):
    """Copy a bundle with ``change`` made to its tensors."""
    from safetensors.torch import load_file, save

    state = load_file(bundle.folder / "weights.safetensors")
    change(state)
    data = save(state)
    return Bundle.open(damage(bundle, tmp_path, lambda c: rehash(c, data), data))


def test_a_network_that_the_weights_do_not_fill_takes_no_memory(tiny_bundle, tmp_path, monkeypatch):
    from HemoCAMLib.models import bundle as module

    monkeypatch.setattr(module, "build_network", lambda *_: pytest.fail("the network was built"))
    folder = damage(tiny_bundle, tmp_path, lambda c: c["architecture"].update(timm="convnextv2_large"))
    with pytest.raises(ModelError, match="do not fit convnextv2_large"):
        Bundle.open(folder).network()


def test_a_negative_variance_and_a_complex_weight_are_named(tiny_bundle, tmp_path):
    name = "bn1.running_var"
    with pytest.raises(ModelError, match=f"negative variance in {name}"):
        with_weights(tiny_bundle, tmp_path / "a", lambda s: s[name].fill_(-1)).network()
    with pytest.raises(ModelError, match="do not fit"):
        with_weights(
            tiny_bundle, tmp_path / "b", lambda s: s.update({name: s[name].to(torch.complex64)})
        ).network()


def test_weights_whose_logits_overflow_are_blamed_not_the_architecture(tiny_bundle, tmp_path):
    from HemoCAMLib.cams.backends import make_engine

    def grow(state):
        state.update(
            {k: v.float() * 1e37 for k, v in state.items() if k.endswith(("bn1.weight", "conv_head.weight"))}
        )

    network = with_weights(tiny_bundle, tmp_path, grow).network()
    with pytest.raises(ModelError, match=r"weights .* not finite"):
        make_engine(network, "hemocam")


@pytest.mark.parametrize(
    ("timm", "options"),
    [
        ("resnet18", {"layers": [1]}),
        ("convnext_tiny", {"depths": [1, 1, 1, 1], "dims": [8]}),
        ("resnet18", {"depth_multiplier": 2.0}),
        ("resnet18", {"cardinality": 7}),
    ],
)
def test_options_that_do_not_fit_the_architecture_get_a_sentence(timm, options):
    content = tiny_manifest(architecture={"timm": timm, "options": options})
    with pytest.raises(ModelError, match=f"timm cannot build {timm}") as caught:
        build_network(Manifest.of(content))
    assert "\n" not in str(caught.value)


def test_a_network_that_cannot_be_counted_beforehand_is_built_all_the_same(monkeypatch):
    import timm

    create = timm.create_model

    def of_an_older_timm(*args, **options):
        if torch.empty(0).is_meta:
            raise NotImplementedError("aten::_unique2")
        return create(*args, **options)

    monkeypatch.setattr(timm, "create_model", of_an_older_timm)
    content = tiny_manifest(architecture={"timm": "regnetx_002"})
    assert next(build_network(Manifest.of(content)).parameters()).device.type == "cpu"


def test_counting_does_not_change_the_weights_that_a_seed_gives():
    import timm

    manifest = Manifest.of(tiny_manifest())
    torch.manual_seed(7)
    expected = timm.create_model("test_efficientnet", in_chans=len(manifest.windows), num_classes=6)
    torch.manual_seed(7)
    found = build_network(manifest)
    pairs = zip(expected.parameters(), found.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def schema_parts(at):
    if isinstance(at, dict):
        yield at
        at = at.values()
    if not isinstance(at, str):
        for part in at if hasattr(at, "__iter__") else ():
            yield from schema_parts(part)


def test_every_pattern_is_anchored_and_every_number_has_bounds():
    from HemoCAMLib.models.manifest import _schema

    found = list(schema_parts(_schema()))
    patterns = [part["pattern"] for part in found if isinstance(part.get("pattern"), str)]
    assert len(patterns) > 5
    for pattern in patterns:
        assert pattern.startswith("^") and pattern.endswith(r"$(?!\n)"), pattern
    free = [
        part
        for part in found
        if part.get("type") in ("number", "integer")
        and not ({"minimum", "exclusiveMinimum"} & set(part) and "maximum" in part)
        and "enum" not in part
    ]
    assert free == [_schema()["$defs"]["numbers"]["items"]]  # of refinements, which bound their own


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["input"].update(size=128.0),
        lambda c: c["architecture"].update(timm="resnet18", options={"layers": [1.0] * 4}),
        lambda c: c["architecture"].update(options={"output_stride": 16.0}),
        lambda c: c["architecture"].update(options={"output_stride": True}),
        lambda c: c["input"]["windows"][0].update(width=1e-300),
        lambda c: c["input"]["windows"][0].update(centre=1e14),
        lambda c: c["input"].update(slab_mm=1e-300),
        lambda c: c["input"].update(std=[1e-300] * len(c["input"]["std"])),
        lambda c: c["calibration"]["any"].update(slope=1e14),
        lambda c: c.update(title="a\nb"),
        lambda c: c.update(title="\x1b[2J"),
        lambda c: c.update(measured=[{"on": "x", "command": "y", "values": 5}]),
        lambda c: c["training"].update(data_sets=5),
        lambda c: c["training"].update(recipe=[]),
        lambda c: c["training"].update(seed=10**30),
        lambda c: c["training"].update(levels=nested(1000)),
        lambda c: c["training"].update({"\ud800": 1}),
        lambda c: c["calibration"].update({"a\nb": {}}),
    ],
    ids=range(18),
)
def test_a_value_without_sense_gets_a_sentence(change, tiny_bundle, tmp_path):
    content = tiny_manifest()
    change(content)
    with pytest.raises(ModelError) as caught:
        Manifest.of(content)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "text", ['{"input": {"mean": [%s]}}', '{"title": [%s]}', '{"training": {"x": [%s]}}']
)
def test_a_manifest_of_many_values_is_refused_soon(text, tiny_bundle, tmp_path):
    folder = damage(tiny_bundle, tmp_path)
    (folder / "model.json").write_text(text % ("0," * 900_000 + "0"), encoding="utf-8")
    started = time.monotonic()
    with pytest.raises(ModelError):
        Bundle.open(folder)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"explanation": {"stage": 1e999}}', '{"explanation": []}', "[]", '{"a": 1, "a": 2}'],
)
def test_the_panel_reads_a_model_as_strictly(text, tiny_bundle, tmp_path):
    from HemoCAMLib.panel.models import ModelInfo

    folder = damage(tiny_bundle, tmp_path)
    (folder / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        ModelInfo.read(str(folder))
    assert "\n" not in str(caught.value)


def test_the_panel_waits_for_no_pipe_in_place_of_a_card(tiny_bundle, tmp_path):
    from HemoCAMLib.panel.models import ModelInfo

    folder = damage(tiny_bundle, tmp_path)
    (folder / "README.md").unlink()
    os.mkfifo(folder / "README.md")
    assert "without a card" in ModelInfo.read(str(folder)).card()


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


class Watch:
    """What Python opens, connects to or starts while it is on, in any library: an audit hook sees C code too."""

    def __init__(self):
        self.on, self.seen = False, []
        sys.addaudithook(self._hear)  # stays until the process ends, so there is one of it

    def _hear(self, event, args):
        if self.on and event == "open" and isinstance(args[0], str | bytes):
            self.seen.append(os.path.realpath(os.fsdecode(args[0])))
        elif self.on and event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
            self.seen.append(event)

    def __enter__(self):
        self.seen, self.on = [], True
        return self

    def __exit__(self, *_):
        self.on = False


@pytest.fixture(scope="module")
def watch():
    return Watch()


CODE = tuple(os.path.realpath(p) for p in {sys.prefix, sys.base_prefix, str(ROOT / "HemoCAM")})


def strangers(watch, folder):
    """What was touched beside the bundle's own files and the libraries' own."""
    own = (os.path.realpath(folder), *CODE)
    return [seen for seen in watch.seen if not seen.startswith(own)]


def test_the_watch_sees_what_is_opened_outside(watch, tiny_bundle, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"")
    with watch:
        Bundle.open(tiny_bundle.folder).network()
        assert not strangers(watch, tiny_bundle.folder)
        other.read_bytes()
    assert strangers(watch, tiny_bundle.folder) == [os.path.realpath(other)]


EVIL = st.sampled_from(
    ["hf-hub:a/b", "local-dir:HERE", "HERE", "../HERE", "file://HERE", "resnet18", "resnet50.a1_in1k", "regnetx_002",
     "weights.safetensors\n", "hirescam", "\ud800", 0, -1, 1e308, 2**63, 10**400, float("nan"), True, [1], [[]], {}]
)  # fmt: skip
EVIL_KEYS = st.sampled_from(
    ["checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "depths", "layers",
     "act_layer", "num_features", "cardinality", "stem_size", "slab", "outside", "head", "refinements", "\n"]
)  # fmt: skip


def fill(value, path):
    """Put ``path`` in place of the word HERE in the texts of JSON values."""
    if isinstance(value, str):
        return value.replace("HERE", path)
    if isinstance(value, list):
        return [fill(part, path) for part in value]
    return {k: fill(v, path) for k, v in value.items()} if isinstance(value, dict) else value


@st.composite
def attacks(draw):
    """A manifest, now and then one of :func:`mutations`, with one or two hostile entries."""
    content = draw(mutations()) if draw(st.integers(0, 3)) == 3 else json.loads(json.dumps(tiny_manifest()))
    for _ in range(draw(st.integers(1, 2))):
        at = content
        if draw(st.booleans()) and isinstance(content.get("architecture"), dict):
            at = content["architecture"].setdefault("options", {})
        while isinstance(at, dict):
            key = draw(EVIL_KEYS | st.sampled_from(sorted(at))) if at else draw(EVIL_KEYS)
            if not isinstance(at.get(key), dict) or draw(st.booleans()):
                at[key] = draw(st.just("HERE") | EVIL)
                break
            at = at[key]
    return content


@settings(max_examples=300)
@given(content=attacks())
def test_a_changed_bundle_is_opened_or_refused_and_nothing_else_is_touched(
    content, tiny_bundle, tmp_path_factory, watch
):
    base = tmp_path_factory.getbasetemp() / "attacked"
    folder, mark, bomb = base / "bundle", base / "mark", base / "bomb.pth"
    folder.mkdir(parents=True, exist_ok=True)
    bomb.write_bytes(pickle.dumps(Bomb(mark)))
    if isinstance(content.get("weights"), dict) and "sha256" in content["weights"]:
        content["weights"]["sha256"] = tiny_bundle.sha256
    weights = folder / "weights.safetensors"
    if not weights.exists():
        shutil.copy(tiny_bundle.folder / weights.name, weights)
    (folder / "model.json").write_text(json.dumps(fill(content, str(bomb))), encoding="utf-8")
    with watch:
        try:
            network = Bundle.open(folder).network()
        except ModelError as error:
            assert str(error).isprintable() and len(str(error)) < 1000
        else:
            assert not network.training
    assert not strangers(watch, folder) and not mark.exists()


@settings(max_examples=150)
@given(st.integers(0, 2000), st.binary(max_size=8), st.booleans())
def test_a_manifest_or_weights_with_changed_bytes_are_read_or_refused(
    tiny_bundle, tmp_path_factory, at, put, text
):
    folder = tmp_path_factory.getbasetemp() / "changed"
    folder.mkdir(exist_ok=True)
    manifest, weights = ((tiny_bundle.folder / n).read_bytes() for n in ("model.json", "weights.safetensors"))
    if text:
        manifest = manifest[:at] + put + manifest[at + len(put) :]
    else:
        weights = weights[:at] + put + weights[at + len(put) :]
        content = json.loads(manifest)
        rehash(content, weights)
        manifest = json.dumps(content).encode()
    (folder / "model.json").write_bytes(manifest)
    (folder / "weights.safetensors").write_bytes(weights)
    try:
        Bundle.open(folder).network()
    except ModelError as error:
        assert str(error).isprintable()
