"""``hemocam score``: scores against labels, maps against masks, and one sentence for what does not fit."""

import csv
import json
import math
import shutil

import numpy as np
import pytest
from HemoCAMLib.doors.cli import main
from HemoCAMLib.doors.score import score_slices
from HemoCAMLib.errors import InputError
from HemoCAMLib.evaluation.labelled import Labelled, read_map, read_mask
from HemoCAMLib.evaluation.scoring import misses, score, table
from PIL import Image

SHAPE = (48, 40)


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def square(row, column, edge=10):
    mask = np.zeros(SHAPE, bool)
    mask[row : row + edge, column : column + edge] = True
    return mask


@pytest.fixture
def study(tmp_path):
    """Six slices: two found (one map beside), one missed, one false alarm, two clean."""
    names = [f"s{n}.png" for n in range(6)]
    scores = [0.9, 0.8, 0.1, 0.7, 0.2, 0.05]
    head = ["file", "any", "subdural", "positive"]
    write(
        tmp_path / "scores.csv",
        [head, *[[n, s, 1 - s, int(s >= 0.5)] for n, s in zip(names, scores, strict=True)]],
    )
    truth = [1, 1, 1, 0, 0, 0]
    write(
        tmp_path / "labels.csv", [["file", "hemorrhage"], *zip(reversed(names), reversed(truth), strict=True)]
    )
    rng = np.random.default_rng(0)
    for n, name in enumerate(names):
        picture(tmp_path / name, rng.integers(20, 90, SHAPE).astype(np.uint8))
        mask = square(10, 10) if n != 1 else square(30, 25)
        picture(tmp_path / "maps" / f"s{n}_mask.png", mask.astype(np.uint8) * 255)
        heat = np.where(mask, 30000, 100).astype(np.uint16)
        heat[tuple(np.argwhere(mask)[0] + 2)] = 65535
        picture(tmp_path / "maps" / f"s{n}_map.png", heat)
    for n in (0, 1):
        picture(tmp_path / "masks" / f"s{n}.png", square(10, 10 + 5 * (n == 0)).astype(np.uint8) * 255)
    return tmp_path


def found(study, **changes):
    folders = {"maps": study / "maps", "masks": study / "masks", **changes}
    return score(Labelled.read(study / "scores.csv", study / "labels.csv"), **folders)


def test_figures_of_the_study(study):
    scored = found(study)
    rows = {row.label: row.estimates for row in table(scored).rows}
    assert rows["ROC AUC"][0].value == pytest.approx(7 / 9)
    assert rows["sensitivity"][0].value == rows["specificity"][0].value == pytest.approx(2 / 3)
    assert rows["sensitivity"][1].low == pytest.approx(0.2077, abs=1e-4)  # Wilson of 2 in 3
    assert rows["Dice of the default mask"][0].value == pytest.approx((0.5 + 0) / 2)
    assert rows["IoU of the default mask"][0].value == pytest.approx((1 / 3 + 0) / 2)
    # the peak of the first map lies in the square's corner, outside the mask that is shifted by five
    assert scored.peak[scored.slices.files.index("s0.png")] == 0
    picture(study / "masks" / "s0.png", square(10, 10).astype(np.uint8) * 255)
    scored = found(study)
    assert scored.peak[scored.slices.files.index("s0.png")] == 1
    assert scored.dice[scored.slices.files.index("s0.png")] == 1
    assert np.isnan(scored.dice).sum() == 4


def test_another_class_and_patients(study):
    by_kind = Labelled.read(study / "scores.csv", study / "labels.csv", "subdural")
    assert by_kind.score == pytest.approx(1 - Labelled.read(study / "scores.csv", study / "labels.csv").score)
    rows = [["file", "hemorrhage", "patient"], *[[f"s{n}.png", int(n < 3), f"P{n // 2}"] for n in range(6)]]
    write(study / "labels.csv", rows)
    labelled = Labelled.read(study / "scores.csv", study / "labels.csv")
    assert labelled.patients_known and len(set(labelled.patient)) == 3
    assert "patients" in table(found(study)).cells()[0]
    assert math.isnan(table(found(study)).rows[0].estimates[0].low), "three patients make no interval"


def test_files_match_by_their_last_name(study):
    rows = list(csv.reader((study / "scores.csv").open()))
    write(study / "scores.csv", [rows[0], *[[f"some\\where/{r[0]}", *r[1:]] for r in rows[1:]]])
    assert found(study).slices.files[0] == "s5.png"
    assert np.isfinite(found(study).dice).sum() == 2


def test_misses_are_ranked(study):
    scored = found(study)
    names = [[scored.slices.files[row] for row in rows] for rows in misses(scored).values()]
    assert names == [["s2.png"], ["s3.png"], ["s1.png", "s0.png"], ["s0.png", "s1.png"]]


def test_the_command_writes_the_report_and_the_sheet(study, capsys):
    code = main(
        ["score", str(study / "scores.csv"), str(study / "labels.csv"), "--maps", str(study / "maps"),
         "--masks", str(study / "masks"), "--output", str(study / "out"), "--quiet"]
    )  # fmt: skip
    assert code == 0
    printed = capsys.readouterr().out
    assert "| ROC AUC | 6 | 0.778" in printed and "| Dice of the default mask | 2 | 0.250 | - |" in printed
    assert sorted(p.name for p in (study / "out").iterdir()) == [
        "misses.png", "score.csv", "score.md", "slices.csv",
    ]  # fmt: skip
    with (study / "out" / "slices.csv").open(newline="") as stream:
        rows = {r["file"]: r for r in csv.DictReader(stream)}
    assert (
        rows["s0.png"]["dice"] == "0.5000"
        and rows["s5.png"]["dice"] == ""
        and rows["s3.png"]["positive"] == "1"
    )
    with Image.open(study / "out" / "misses.png") as sheet:
        assert sheet.width == 1260 and sheet.height > 900


def test_without_output_nothing_is_written(study):
    before = sorted(p.name for p in study.rglob("*"))
    lines, entry = score_slices(study / "scores.csv", study / "labels.csv")
    assert sorted(p.name for p in study.rglob("*")) == before
    assert (
        not any("Dice" in key for key in entry["values"]) and entry["values"]["ROC AUC, 6 slices"] == "0.778"
    )
    assert entry["command"] == "hemocam score scores.csv labels.csv" and lines[0].startswith("# 6 slices, 3")


def test_figures_enter_a_card(study, tiny_bundle, capsys):
    shutil.copytree(tiny_bundle.folder, study / "tiny")
    call = [
        "score",
        str(study / "scores.csv"),
        str(study / "labels.csv"),
        "--record",
        str(study / "tiny"),
        "--quiet",
    ]
    assert main(call) == 2 and "--on" in capsys.readouterr().err
    assert main([*call, "--on", "6 squares"]) == 0
    entry = json.loads((study / "tiny" / "model.json").read_text(encoding="utf-8"))["measured"][-1]
    assert entry["on"] == "6 squares" and "hemocam classify DIR --model tiny" in entry["command"]
    assert "On 6 squares" in (study / "tiny" / "README.md").read_text(encoding="utf-8")


def set_cell(path, row, column, value):
    rows = list(csv.reader(path.open(newline="")))
    rows[row][column] = value
    write(path, rows)


BAD_TABLES = {
    "no such table": (lambda s: (s / "labels.csv").unlink(), "There is no file .*labels.csv"),
    "label of 2": (
        lambda s: set_cell(s / "labels.csv", 1, 1, "2"),
        "labels.csv has hemorrhage '2' for s5.png",
    ),
    "label in words": (lambda s: set_cell(s / "labels.csv", 1, 1, "yes"), "it is 0 or 1"),
    "no label": (lambda s: set_cell(s / "labels.csv", 1, 1, ""), "it is 0 or 1"),
    "score above 1": (
        lambda s: set_cell(s / "scores.csv", 1, 1, "1.2"),
        "scores.csv has any '1.2' for s0.png",
    ),
    "score nan": (lambda s: set_cell(s / "scores.csv", 1, 1, "nan"), "between 0 and 1"),
    "no positive": (lambda s: set_cell(s / "scores.csv", 0, 3, "called"), "no column 'positive'"),
    "no such class": (lambda s: set_cell(s / "scores.csv", 0, 1, "all"), "no column 'any'"),
    "label missing": (
        lambda s: set_cell(s / "labels.csv", 1, 0, "other.png"),
        "scores.csv has no row for other.png; give",
    ),
    "score missing": (
        lambda s: write(s / "scores.csv", list(csv.reader((s / "scores.csv").open()))[:-2]),
        "scores.csv has no row for s5.png and 1 more",
    ),
    "twice": (lambda s: set_cell(s / "labels.csv", 1, 0, "s4.png"), "two rows for s4.png"),
    "no name": (lambda s: set_cell(s / "labels.csv", 1, 0, ""), "without a file name"),
    "no rows": (lambda s: write(s / "labels.csv", [["file", "hemorrhage"]]), "has no rows"),
    "not text": (lambda s: (s / "labels.csv").write_bytes(b"\xff\xfe\x00file"), "cannot be read as a CSV"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_makes_no_sense_is_named(study, name):
    spoil, sentence = BAD_TABLES[name]
    spoil(study)
    with pytest.raises(InputError, match=sentence):
        found(study)


BAD_PICTURES = {
    "size": (
        lambda s: picture(s / "masks" / "s0.png", np.full((9, 8), 255, np.uint8)),
        "40 x 48 pixels .* 8 x 9",
    ),
    "gray mask": (
        lambda s: picture(s / "masks" / "s0.png", np.full(SHAPE, 7, np.uint8)),
        "other than 0 and 255",
    ),
    "empty mask": (lambda s: picture(s / "masks" / "s0.png", np.zeros(SHAPE, np.uint8)), "is empty"),
    "colour": (lambda s: picture(s / "masks" / "s0.png", np.zeros((*SHAPE, 3), np.uint8)), "in colour"),
    "no picture": (lambda s: (s / "masks" / "s0.png").write_bytes(b"hello"), "no PNG picture"),
    "stray": (lambda s: picture(s / "masks" / "x.png", np.zeros(SHAPE, np.uint8)), "belongs to no file"),
    "healthy": (
        lambda s: picture(s / "masks" / "s4.png", np.zeros(SHAPE, np.uint8)),
        "labels say that there is none",
    ),
    "no map": (lambda s: (s / "maps" / "s1_map.png").unlink(), "no file .*s1_map.png"),
    "8 bits": (lambda s: picture(s / "maps" / "s1_map.png", np.zeros(SHAPE, np.uint8)), "not 16 bits"),
    "no masks": (lambda s: [p.unlink() for p in (s / "masks").iterdir()], "holds no mask"),
    "no folder": (lambda s: shutil.rmtree(s / "masks"), "no folder"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_mask_or_map_that_does_not_fit_is_named(study, name):
    spoil, sentence = BAD_PICTURES[name]
    spoil(study)
    with pytest.raises(InputError, match=sentence):
        found(study)


def test_masks_need_maps_and_pictures_their_own_maps(study):
    with pytest.raises(InputError, match="classify --maps"):
        found(study, maps=None)
    picture(study / "s2.png", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))  # missed, so it is shown
    with pytest.raises(InputError, match=r"s2.png has 64 x 64"):
        score_slices(study / "scores.csv", study / "labels.csv", study / "maps", output=study / "out")
    (study / "s2.png").unlink()
    with pytest.raises(InputError, match="--slices"):
        score_slices(study / "scores.csv", study / "labels.csv", study / "maps", output=study / "out")


def test_maps_and_masks_come_back_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    heat = rng.integers(0, 65536, SHAPE).astype(np.uint16)
    picture(tmp_path / "m.png", heat)
    assert (np.rint(read_map(tmp_path / "m.png") * 65535) == heat).all()
    Image.fromarray(square(3, 4)).save(tmp_path / "one-bit.png")
    assert (read_mask(tmp_path / "one-bit.png") == square(3, 4)).all()
