"""Figures of the report and the scans it shows: what is drawn is what was measured, and in the same bytes."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_cases import SPLITS, write_data
from HemoCAMLib.datasets.finding import open_data_set
from HemoCAMLib.doors.cli import main
from HemoCAMLib.errors import InputError, ModelError
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.report.case_pictures import case_pictures
from HemoCAMLib.report.choosing import SORTS, choose_cases
from HemoCAMLib.report.distributions import BINS, Distribution, slice_dice
from HemoCAMLib.report.drawing import canvas, save
from HemoCAMLib.report.heatmap import draw_heatmap
from HemoCAMLib.report.model_facts import ModelFacts, facts_of
from HemoCAMLib.report.rank_picture import _runs
from HemoCAMLib.report.source import Benchmarked
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_cases import plan_by_hand, write_benchmark


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    plan = plan_by_hand(methods=("gradcam", "hirescam"), stages=(4, 5), rules=())
    return Benchmarked.read(write_benchmark(tmp_path_factory.mktemp("figures") / "out", plan, patients=9))


@pytest.fixture(scope="module")
def reported(tiny_bundle, tmp_path_factory):
    """A real benchmark of tiny virtual patients by the command: its data set, and its folder with the report."""
    root = tmp_path_factory.mktemp("figures")
    data, output = write_data(root / "data"), root / "out"
    SPLITS.write(root / "splits.csv")
    command = [
        "benchmark", str(data), "--output", str(output), "--splits", str(root / "splits.csv"), "--model",
        str(tiny_bundle.folder), "--methods", "hirescam", "layercam", "--stages", "1", "2", "--quiet",
    ]  # fmt: skip
    assert main(command) == 0
    return data, output


def files_of(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_quantiles_of_counts_are_those_of_the_values(values, share):
    counts = np.bincount(np.round(np.array(values) * BINS).astype(int), minlength=BINS + 1)
    own = Distribution(counts)
    exact = np.sort(values)[max(1, int(np.ceil(share * len(values) - 1e-9))) - 1]
    assert own.cases == len(values) and abs(own.quantile(share) - exact) <= 0.5 / BINS + 1e-9
    assert own.density().sum() / BINS == pytest.approx(1) and own.density().min() >= 0


def test_counts_of_slices_are_those_of_the_rows(found, tmp_path):
    whole = pq.read_table(found.folder / "slices.parquet")
    pq.write_table(whole, tmp_path / "slices.parquet", row_group_size=50)
    shapes = slice_dice(tmp_path / "slices.parquet", "gated", 5, found.plan.methods)
    for method, shape in shapes.items():
        asked = {"scale": "gated", "rule": "chosen", "stage": 5, "method": method}
        own = [
            r["dice"]
            for r in whole.to_pylist()
            if r["truth_px"] > 0 and all(r[k] == v for k, v in asked.items())
        ]
        assert shape.cases == len(own) == 24
        assert (
            shape.counts == np.bincount(np.round(np.array(own) * BINS).astype(int), minlength=BINS + 1)
        ).all()
    assert np.isnan(Distribution(np.zeros(BINS + 1, int)).quantile(0.5))


def test_memory_of_the_counts_does_not_grow_with_the_slices(found, tmp_path):
    """Blocks are counted one by one: the peak is that of a block, whatever the number of rows."""
    columns = ["scale", "rule", "stage", "method", "truth_px", "dice"]
    block = pq.read_table(found.folder / "slices.parquet", columns=columns)
    peaks = []
    for times in (200, 2000):
        with pq.ParquetWriter(tmp_path / f"{times}.parquet", block.schema) as sink:
            for _ in range(times // 100):
                sink.write_table(pa.concat_tables([block] * 100))
        pool = pa.proxy_memory_pool(pa.default_memory_pool())
        old = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        try:
            shapes = slice_dice(tmp_path / f"{times}.parquet", "gated", 5, ("hirescam",))
        finally:
            pa.set_memory_pool(old)
        peaks.append(pool.max_memory())
        assert shapes["hirescam"].cases == 24 * times
    assert peaks[1] < 3 * peaks[0]


def test_a_figure_has_the_same_bytes_whatever_a_users_settings(found, tmp_path):
    import matplotlib as mpl

    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    first = draw_heatmap(found, "library", tmp_path / "a", "x")
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "figure.facecolor": "red", "savefig.dpi": 20}):
        assert draw_heatmap(found, "library", tmp_path / "b", "x") == first
        assert mpl.rcParams["font.size"] == 30
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") and set(files_of(tmp_path / "a")) == {
        "x.pdf",
        "x.png",
    }
    pdf = (tmp_path / "a" / "x.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf and b"/Type3" not in pdf
    with Image.open(tmp_path / "a" / "x.png") as picture:
        assert picture.width > 400 and "Software" not in picture.info


def test_texts_are_never_read_as_formulas(tmp_path):
    with canvas(2, 1) as figure:
        figure.text(0.1, 0.5, "$\\frac{1")
        assert save(figure, tmp_path, "x").startswith(b"\x89PNG")


def test_bars_of_ranks_join_those_that_share_a_letter():
    rows = [
        {"mean_rank": 1.0, "groups": "A"}, {"mean_rank": 2.0, "groups": "A B"}, {"mean_rank": 3.5, "groups": "B"},
        {"mean_rank": 4.0, "groups": "C"},
    ]  # fmt: skip
    assert _runs(rows) == [(1.0, 2.0), (2.0, 3.5)]


def test_the_scans_shown_are_the_best_the_worst_and_the_loudest(found):
    choice = choose_cases(found)
    assert choice.scale == "gated" and choice.place == ("hirescam", 5)
    rows = [
        row for row in pq.read_table(found.folder / "volumes.parquet").to_pylist()
        if (row["scale"], row["rule"], row["method"], row["stage"]) == ("gated", "chosen", "hirescam", 5)
    ]  # fmt: skip
    dice = {row["case"]: row["dice"] for row in rows if row["truth_px"] > 0}
    order = sorted(dice, key=lambda case: -dice[case])
    by_sort = {sort: [s.case for s in choice.shown if s.sort == sort] for sort in SORTS}
    assert by_sort == {
        "best": order[:3],
        "worst": order[:-4:-1],
        "alarm": [],
    }  # gated: clean scans show nothing
    said = pq.read_table(found.folder / "predictions.parquet").to_pylist()
    for shown in choice.shown:
        own = [row for row in said if row["case"] == shown.case]
        top = max(own, key=lambda row: row["truth_px"])
        assert (shown.slice, shown.slab, shown.probability) == (top["slice"], top["slab"], top["p_any"])
        assert shown.dice == dice[shown.case]


def test_false_alarms_are_shown_where_there_are_any(tmp_path):
    plan = plan_by_hand(methods=("gradcam", "hirescam"), stages=(5,), scales=("library",), rules=())
    found = Benchmarked.read(write_benchmark(tmp_path / "out", plan, patients=6))
    alarms = [s for s in choose_cases(found).shown if s.sort == "alarm"]
    assert [s.case for s in alarms] == ["case-02", "case-05"] and all(s.dice is None for s in alarms)


def test_pictures_of_scans_are_the_slices_that_were_measured(reported, tiny_bundle, tmp_path):
    data, output = reported
    found, cases = Benchmarked.read(output), open_data_set(data)
    choice = choose_cases(found)
    pictures = case_pictures(found, choice, cases, tiny_bundle)
    assert len(pictures) == len(choice.shown) >= 3
    slices = pq.read_table(output / "slices.parquet").to_pylist()
    for shown, picture in zip(choice.shown, pictures, strict=True):
        for scale in ("library", "gated"):
            asked = {
                "case": shown.case, "slice": shown.slice, "scale": scale, "rule": "chosen", "method": choice.place[0],
                "stage": choice.place[1],
            }  # fmt: skip
            (row,) = [r for r in slices if all(r[k] == v for k, v in asked.items())]
            # maps are 0 beyond the network's square, and so is what the picture cuts off
            assert picture.mask[scale].sum() == row["tp"] + row["fp"]
            assert (picture.mask[scale] & picture.truth).sum() == row["tp"]
            assert picture.heat[scale].max() <= 1 and picture.heat[scale].shape == picture.gray.shape
        assert picture.gray.min() >= 0 and picture.gray.max() <= 1 and picture.gray.std() > 0.1
    again = shutil.copytree(output, tmp_path / "out", ignore=shutil.ignore_patterns(".work"))
    for one, other in zip(
        pictures, case_pictures(Benchmarked.read(again), choice, cases, tiny_bundle), strict=True
    ):
        assert np.abs(one.heat["library"] - other.heat["library"]).max() <= 2 / 1024  # explained once more
    with pytest.raises(InputError, match="no case"):
        case_pictures(found, choice, open_data_set(write_data_of_others(tmp_path)), tiny_bundle)


def write_data_of_others(folder):
    data = write_data(folder / "others")
    for path in [*(data / "images").iterdir(), *(data / "masks").iterdir()]:
        path.rename(path.with_name(f"other-{path.name}"))
    for name in ("slices.csv", "patients.csv", "dataset.json", "overview.png"):
        (data / name).unlink(missing_ok=True)
    return data


def test_the_command_ends_with_a_report_and_draws_it_again(reported, tiny_bundle, tmp_path, capsys):
    data, output = reported
    first = files_of(output / "report")
    assert {"report.html", "report.md", "model.json", "cases.json", "figures/cases-best.png"} <= set(first)
    assert b"Trained on no patient; research only. Not for clinical use." in first["report.html"]
    assert b"the network is test_efficientnet and not the full tf_efficientnetv2_s" in first["report.html"]
    assert b"phantom-0000" in first["report.html"]
    folder = shutil.copytree(output, tmp_path / "out", ignore=shutil.ignore_patterns(".work"))
    assert (
        main(["report", str(folder), "--quiet"]) == 0
    )  # from the folder alone: what it cannot draw, it keeps
    assert files_of(folder / "report") == first
    (folder / "report" / "cases.json").write_text("{}")
    assert main(["report", str(folder), "--quiet"]) == 0  # pictures of something else are not kept
    assert not [name for name in files_of(folder / "report") if "figures/cases" in name]
    assert "There are no pictures" in (folder / "report" / "report.md").read_text(encoding="utf-8")
    again = ["report", str(output), "--data", str(data), "--model", str(tiny_bundle.folder), "--quiet"]
    assert main(again) == 0 and files_of(output / "report") == first
    other = write_data_of_others(tmp_path)
    capsys.readouterr()
    assert main([*again[:3], str(other), *again[4:]]) == 2
    assert "is not the data set of this benchmark" in capsys.readouterr().err
    assert files_of(output / "report") == first


def test_another_model_is_refused_and_an_unknown_one_is_told(reported, tmp_path):
    found = Benchmarked.read(reported[1])
    with pytest.raises(ModelError, match="does not have the weights of this benchmark"):
        facts_of(found, bundle=Bundle.open())
    assert facts_of(found) is None
    facts = facts_of(found, reported[1] / "report")
    assert facts.architecture == "test_efficientnet" and facts.notice.startswith("Trained on no patient")
    (tmp_path / "model.json").write_text(json.dumps({"sha256": 1}))
    assert facts_of(found, tmp_path) is None
    (tmp_path / "model.json").write_text(ModelFacts("00", "n", "t", "a", {}).text())
    assert facts_of(found, tmp_path) is None
