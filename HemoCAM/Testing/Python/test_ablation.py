"""``hemocam ablate``: trials that differ by one group, figures of each, a table that tells noise from more."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import tiny_manifest
from HemoCAMLib.doors.cli import main
from HemoCAMLib.errors import Cancelled, InputError, OptionError, OutputError
from HemoCAMLib.evaluation import ablation
from HemoCAMLib.evaluation.ablation import Outcome, Plan, Trial, ablate
from HemoCAMLib.evaluation.ablation_table import compare, lines, noise, write_table
from HemoCAMLib.evaluation.ingredients import generator_part, without
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.models.preprocess import window
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from HemoCAMLib.phantoms.spec import GROUPS
from HemoCAMLib.training import sources
from HemoCAMLib.training.recipe import Recipe
from HemoCAMLib.training.run import BLUEPRINT
from PIL import Image

RECIPE = Recipe(epochs=1, steps_per_epoch=2, batch=4, first=2, seed=5, sizes=((64, 1.0),))
NAMES = ("AUC", "sensitivity", "specificity", "Dice", "peak")
FIGURES = {f"{what}: {name}" for what in ("phantoms", "captures", "slices") for name in NAMES}


def small_cohort(count, seed, **_):
    kinds = [("intraparenchymal",), ("subdural",), ()]
    return [
        PatientSpec(
            seed=seed * 1_000_000 + n, kinds=kinds[n % 3], size=64, spacing_mm=3.6, slice_mm=16.0,
            lesion_ml=(40, 60) if kinds[n % 3] else None,
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A plan of three trials on drawings of 64 pixels, and six labelled pictures with two masks."""
    folder = tmp_path_factory.mktemp("ablation")
    content = tiny_manifest()
    content["input"]["size"] = 64
    (folder / "blueprint.json").write_text(json.dumps(content), encoding="utf-8")
    slices = folder / "slices"
    (slices / "masks").mkdir(parents=True)
    patient = make_patient(small_cohort(1, 77)[0])
    area = (patient.labels.array > 0).sum((1, 2))
    rows = [["file", "hemorrhage"]]
    tissue = (patient.ct.array > 0).sum((1, 2)) * (area == 0)
    for n, k in enumerate([*np.argsort(-area, kind="stable")[:3], *np.argsort(-tissue)[:3]]):
        gray = np.round(255 * window(patient.ct.array[k], 40, 80)).astype(np.uint8)
        Image.fromarray(gray).save(slices / f"{n}.png")
        rows.append([f"{n}.png", int(area[k] > 0)])
        if n < 2:
            mask = (patient.labels.array[k] > 0).astype(np.uint8) * 255
            Image.fromarray(mask).save(slices / "masks" / f"{n}.png")
    with (slices / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    plan = Plan(("noise",), RECIPE, 2, 1, 2, 2, 2, folder / "blueprint.json", size=96)
    return plan, slices


def test_trials_differ_by_one_group_and_go_on_where_they_stopped(setting, tmp_path, monkeypatch):
    plan, slices = setting
    monkeypatch.setattr(ablation, "cohort", small_cohort)
    trained = []
    original = sources.VirtualPatients.__init__

    def spy(self, specs, *rest, **more):
        trained.append(specs)
        original(self, specs, *rest, **more)

    monkeypatch.setattr(sources.VirtualPatients, "__init__", spy)

    def stop(phase, done, total):
        if phase == "full-6: Measuring on phantoms":
            raise Cancelled

    with pytest.raises(Cancelled):
        ablate(plan, tmp_path / "out", workers=0, progress=stop)
    assert len(trained) == 2
    phases = set()
    outcomes = ablate(plan, tmp_path / "out", workers=0, progress=lambda phase, *_: phases.add(phase))
    assert [o.trial.name for o in outcomes] == ["full-5", "full-6", "without-noise-5"]
    assert len(trained) == 3 and not any(phase.startswith("full-5") for phase in phases)
    full, other, ablated = trained
    assert [replace(spec, without=()) for spec in ablated] == full and ablated[0].without == ("noise",)
    assert {spec.seed for spec in full}.isdisjoint(spec.seed for spec in other)
    assert set(outcomes[0].figures) == {name for name in FIGURES if not name.startswith("slices")}

    with_slices = ablate(plan, tmp_path / "out", slices, workers=0)
    assert len(trained) == 3 and set(with_slices[2].figures) == FIGURES
    for before, after in zip(outcomes, with_slices, strict=True):
        for name, figure in before.figures.items():
            assert np.array_equal(figure, after.figures[name], equal_nan=True)
    assert all(0 <= figure[0] <= 1 for o in with_slices for figure in o.figures.values())

    own = tmp_path / "out" / "without-noise-5"
    assert {p.name for p in own.iterdir()} == {
        "bundle", "curves.png", "log.csv", "phantoms.json", "scores.csv", "slices.json",
    }  # fmt: skip
    bundle = Bundle.open(own / "bundle")
    assert bundle.manifest.size == 96
    assert "left out: noise" in bundle.manifest.raw["training"]["data"]
    assert bundle.manifest.picture.mask_threshold is not None
    assert bundle.manifest.for_pictures().calibration != bundle.manifest.calibration

    more = ablate(replace(plan, groups=("noise", "kernel+motion", "windows")), tmp_path / "out", workers=0)
    assert [o.trial.name for o in more][-2:] == ["without-kernel-motion-5", "without-windows-5"]
    assert len(trained) == 5 and trained[4] == full
    with pytest.raises(OutputError, match="another plan"):
        ablate(replace(plan, patients=3), tmp_path / "out", workers=0)
    (slices / "5.png").unlink()
    with pytest.raises(InputError, match=r"5\.png"):
        ablate(plan, tmp_path / "out", slices, workers=0)


def test_a_plan_that_tells_nothing_is_refused():
    for changes, sentence in (
        ({"groups": ("colour",)}, "no group of features 'colour'"),
        ({"groups": ("noise+colour",)}, "no group of features 'colour'"),
        ({"groups": ("noise", "noise")}, "named twice"),
        ({"groups": (), "seeds": 1}, "--seeds 2"),
        ({"groups": (), "patients": 1}, "at least two"),
        ({"groups": (), "repeats": 4}, "1 to 3 trainings"),
    ):
        with pytest.raises(OptionError, match=sentence):
            Plan(**changes)
    assert [t.name for t in Plan(("noise",), Recipe(seed=4), 2).trials()] == [
        "full-4",
        "full-5",
        "without-noise-4",
    ]


def outcome(without, seed, auc, dice):
    figures = {"phantoms: AUC": (auc, auc - 0.02, auc + 0.02), "slices: Dice": (dice, math.nan, math.nan)}
    return Outcome(Trial(without, seed), figures)


def test_the_noise_is_that_of_two_means_of_one_distribution():
    """Of trainings that differ by nothing, 95 in 100 differences lie within it."""
    rng = np.random.default_rng(0)
    for repeats in (1, 3):
        within = 0
        for _ in range(2000):
            full, own = rng.normal(0.9, 0.01, 4), rng.normal(0.9, 0.01, repeats)
            within += abs(own.mean() - full.mean()) <= noise(full, repeats)
        assert 0.935 < within / 2000 < 0.965


def test_the_table_tells_what_is_more_than_noise(tmp_path):
    found = [
        *(outcome((), n, auc, 0.5 + n / 10) for n, auc in enumerate((0.90, 0.91, 0.92))),
        outcome(("noise",), 0, 0.80, 0.60), outcome(("edema",), 0, 0.89, math.nan),
    ]  # fmt: skip
    text = lines(found)
    reach = 4.302653 * 0.01 * math.sqrt(4 / 3)  # t(0.975, 2)
    assert "| full, mean of 3 | 0.910 |" in text and "| full, standard deviation | 0.010 |" in text
    assert f"| noise of a difference | ± {reach:.3f} |" in text
    assert "| without noise | 0.800 (-0.110\\*) |" in text and "| without edema | 0.890 (-0.020) |" in text
    assert "| without noise | 0.600 (+0.000) |" in text and "| without edema | - |" in text
    assert text.index("## On phantoms") < text.index("## On slices")
    assert f"- noise: {GROUPS['noise']}" in text
    write_table(found, "hemocam ablate", tmp_path)
    with (tmp_path / "ablation.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[6] == {
        "trial": "without-noise-0", "without": "noise", "seed": "0", "figure": "phantoms: AUC",
        "value": "0.800000", "low": "0.780000", "high": "0.820000",
    }  # fmt: skip
    assert (tmp_path / "ablation.md").read_text(encoding="utf-8").startswith("# Ablation of the generator")


def test_repeated_trainings_count_by_their_mean():
    full = [outcome((), n, auc, 0.5) for n, auc in enumerate((0.90, 0.94))]
    twice = [outcome(("noise",), n, auc, 0.5) for n, auc in enumerate((0.80, 0.84))]
    found = compare([*full, *twice], "phantoms: AUC")["noise"]
    assert (found.value, found.difference) == pytest.approx((0.82, -0.10))
    assert found.noise == pytest.approx(
        compare([*full, twice[0]], "phantoms: AUC")["noise"].noise * math.sqrt(2 / 3)
    )


def test_a_figure_that_one_trial_lacks_is_left_out():
    one, other = outcome((), 1, 0.9, 0.5), outcome((), 2, 0.9, 0.5)
    del other.figures["slices: Dice"]
    assert not any("slices" in line for line in lines([one, other]))


def test_the_command_refuses_before_any_work(tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["ablate", "--output", out, "--groups", "colour"]) == 2
    assert "choose from" in capsys.readouterr().err
    assert main(["ablate", "--output", out, "--slices", str(tmp_path)]) == 2
    assert "labels.csv" in capsys.readouterr().err
    assert main(["ablate", "--output", out, "--steps", "1"]) == 2
    assert not (tmp_path / "out").exists()


def test_ingredients_of_the_training_are_left_out_and_nothing_else():
    blueprint = json.loads(BLUEPRINT.read_text(encoding="utf-8"))
    recipe, content = without(RECIPE, blueprint, ("noise",))
    assert recipe == RECIPE and content == blueprint and content is not blueprint
    recipe, content = without(RECIPE, blueprint, ("captures", "evidence", "windows"))
    assert (recipe.captures, recipe.evidence, recipe.overlap) == (0, 0, 0)
    assert (
        replace(recipe, captures=RECIPE.captures, evidence=RECIPE.evidence, overlap=RECIPE.overlap) == RECIPE
    )
    manifest = Manifest.of(content)
    assert manifest.windows == ((40.0, 80.0), (60.0, 120.0), (60.0, 120.0)) and manifest.offsets == (0, -1, 1)
    assert content["classes"] == blueprint["classes"] and len(blueprint["input"]["windows"]) == 5
    alone = Manifest.of(without(RECIPE, blueprint, ("neighbors", "intracranial"))[1])
    assert alone.neighborhood == (0,) and len(alone.windows) == 3 and alone.outside is None
    assert Manifest.of(without(RECIPE, blueprint, ("neighbors",))[1]).outside is not None
    assert generator_part(("noise", "evidence", "tilt")) == ("noise", "tilt")
