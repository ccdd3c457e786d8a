"""Bundles that hold a refinement: what is refused, and the shipped one."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, tiny_manifest
from HemoCAMLib.errors import InputError, ModelError
from HemoCAMLib.evaluation.measure import fingerprint
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.models.card import card
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.pipeline import Options, analyse
from HemoCAMLib.refinement.refiner import Refiner
from HemoCAMLib.refinement.statistics import Statistics
from hypothesis import given, settings
from hypothesis import strategies as st
from refine_run_cases import REFINER, bundle, dice, entry  # noqa: F401


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
