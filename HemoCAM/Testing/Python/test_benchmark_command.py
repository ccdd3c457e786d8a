"""`hemocam benchmark` as a command, truths of each layout, and sums a patient."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_cases import PATIENTS, SPLITS, plan_of, write_data
from HemoCAMLib.benchmark.columns import lists, rounded, table_of, write
from HemoCAMLib.benchmark.sums import Sums, size_labels, size_names
from HemoCAMLib.benchmark.truth import Truth
from HemoCAMLib.datasets.finding import open_data_set
from HemoCAMLib.datasets.folders import Reading
from HemoCAMLib.doors.cli import main
from HemoCAMLib.errors import InputError
from HemoCAMLib.evaluation.bootstrap import Bootstrap
from hypothesis import given
from hypothesis import strategies as st
from labelled_sets import LABELS, write_set


def test_the_command_writes_tables_and_prints_the_papers(tiny_bundle, tmp_path, capsys):
    data, output, splits = write_data(tmp_path / "data"), tmp_path / "out", tmp_path / "splits.csv"
    SPLITS.write(splits)
    command = [
        "benchmark", str(data), "--output", str(output), "--splits", str(splits), "--model", str(tiny_bundle.folder),
        "--methods", "hirescam", "gradcam", "--stages", "2", "--rules", "otsu", "--quiet",
    ]  # fmt: skip
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "| hirescam |" in printed and "scale library" in printed and "scale gated" in printed
    manifest = (output / "manifest.json").read_bytes()
    told = json.loads(manifest)["command"]
    assert told.startswith("hemocam benchmark DATA --output DIR --splits FILE --model tiny")
    assert str(tmp_path) not in manifest.decode()
    assert main(command) == 0 and (output / "manifest.json").read_bytes() == manifest
    assert main([*command[:-1], "--stages", "1", "--quiet"]) == 3  # the folder holds other maps
    assert "choose another --output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--stages", "77"], 2, "no stage 77"),
        (["--target", "stroke"], 2, "no class"),
        (["--rules", "median"], 2, "no threshold rule"),
        (["--workers", "2", "--dask", "tcp://127.0.0.1:1", "--device", "cpu"], 2, "not both"),
    ],
)
def test_options_that_make_no_sense_end_with_a_sentence(tiny_bundle, tmp_path, capsys, options, code, words):
    write_set(tmp_path / "data", count=4)
    rows = [
        ["patient", "split"],
        *([f"phantom-{n:05d}", "validation" if n == 1 else "test"] for n in range(1, 5)),
    ]
    with (tmp_path / "splits.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    command = ["benchmark", str(tmp_path / "data"), "--output", str(tmp_path / "out"), "--quiet"]
    command += ["--splits", str(tmp_path / "splits.csv"), "--model", str(tiny_bundle.folder)]
    assert main([*command, *options]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["volumes", "hemorica", "ct-ich"])
def test_a_truth_lies_in_canonical_order_in_every_layout(tiny_bundle, tmp_path, name):
    patients = write_set(tmp_path / name, name)
    data = open_data_set(tmp_path / name)
    truth = Truth.of(data.cases[0], plan_of(tiny_bundle))
    labels = patients[0][1].array
    assert np.array_equal(truth.reference.mask, labels > 0)
    assert truth.truth_px.tolist() == (labels > 0).sum(axis=(1, 2)).tolist()
    # slice 6 has one kind only, slice 8 two where masks do not tell which
    assert truth.kinds[6] == "epidural" and truth.kinds[0] == ""
    assert truth.kinds[7] == ("" if name == "ct-ich" else "epidural")
    assert truth.reference.spacing is not None


def test_a_truth_is_the_targets_own(tiny_bundle, tmp_path):
    patients = write_set(tmp_path / "volumes")
    plan = plan_of(tiny_bundle, target="intraparenchymal")
    truth = Truth.of(open_data_set(tmp_path / "volumes").cases[0], plan)
    assert np.array_equal(truth.reference.mask, patients[0][1].array == LABELS["intraparenchymal"])
    write_set(tmp_path / "ct-ich", "ct-ich")
    with pytest.raises(InputError, match="do not tell intraparenchymal"):
        Truth.of(open_data_set(tmp_path / "ct-ich").cases[0], plan)


def test_a_case_without_a_mask_has_no_truth(tiny_bundle, tmp_path):
    write_set(tmp_path / "volumes")
    (tmp_path / "volumes" / "masks" / f"{PATIENTS[0]}.nii.gz").unlink()
    data = open_data_set(tmp_path / "volumes", Reading(masks_needed=False))
    with pytest.raises(InputError, match="has no mask"):
        Truth.of(data.cases[0], plan_of(tiny_bundle))


def test_unknown_sizes_leave_mm_out(tiny_bundle, tmp_path):
    write_set(tmp_path / "hemorica", "hemorica")
    (tmp_path / "hemorica" / "patients.csv").unlink()
    truth = Truth.of(open_data_set(tmp_path / "hemorica").cases[0], plan_of(tiny_bundle))
    assert np.isnan(truth.reference.pixel_mm2)
    assert set(size_labels(truth.truth_px * truth.reference.pixel_mm2, "truth_mm2")) == {""}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 2), st.integers(0, 400), st.sampled_from(["", "epidural", "subdural"]),
            st.none() | st.floats(0, 1),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_sums_a_patient_are_the_sums_of_the_rows(tmp_path_factory, drawn):
    """Whatever the rows: totals, counts of what is defined, groups, and the means that follow."""
    which = [("a", 1), ("b", 1), ("a", 2)]
    columns = {
        "patient": [f"p{p}" for p, *_ in drawn],
        "method": [which[w][0] for _, w, *_ in drawn],
        "stage": [which[w][1] for _, w, *_ in drawn],
        "scale": ["library"] * len(drawn),
        "kind": [kind if size else "" for *_, size, kind, _ in drawn],
        "truth_px": [size for *_, size, _, _ in drawn],
        "truth_mm2": [float(size) for *_, size, _, _ in drawn],
        "tp": [0] * len(drawn),
        "fp": [size % 2 for *_, size, _, _ in drawn],
        "dice": [value for *_, value in drawn],
    }
    kinds = dict.fromkeys(("stage", "truth_px", "tp", "fp"), pa.int64()) | {
        "truth_mm2": pa.float64(),
        "dice": pa.float64(),
    }
    path = tmp_path_factory.getbasetemp() / "rows.parquet"
    arrays = {n: pa.array(v, kinds.get(n, pa.string())) for n, v in columns.items()}
    pq.write_table(pa.table(arrays), path, row_group_size=7)
    people = [f"p{p}" for p in range(5)]
    found = Sums.of(path, {"scale": "library"}, ["dice"], which, people)
    for k, (method, stage) in enumerate(which):
        for group in (None, "epidural", "size"):
            rows = found.keys["positive"]
            if group == "epidural":
                rows = rows & (found.keys["kind"] == group)
            if group == "size":
                rows = rows & (found.keys["size"] == size_names("truth_mm2")[1])
            own = [
                r for r in drawn
                if which[r[1]] == (method, stage) and r[2] > 0
                and (group != "epidural" or r[3] == group) and (group != "size" or 30 <= r[2] < 100)
            ]  # fmt: skip
            for p in range(5):
                values = [r[4] for r in own if r[0] == p and r[4] is not None]
                assert found.total("dice", rows)[p, k] == pytest.approx(sum(values))
                assert found.total("dice/n", rows)[p, k] == len(values)
                assert found.total("rows", rows)[p, k] == sum(r[0] == p for r in own)
            defined = [r[4] for r in own if r[4] is not None]
            estimate = found.mean(Bootstrap(np.arange(5), draws=20), "dice", rows)[k]
            assert estimate.cases == len(defined)
            assert estimate.value == pytest.approx(np.mean(defined) if defined else np.nan, nan_ok=True)
    quiet = sum(r[2] == 0 for r in drawn)
    assert found.total("quiet").sum() == quiet


def test_columns_keep_their_types(tmp_path):
    table = table_of(
        {"n": np.array([1, 2]), "x": np.array([np.nan, 1 / 3]), "t": np.array(["a", ""]),
         "b": np.array([True, False]), "l": np.array([[1, 2, 3], [4, 5, 6]])}
    )  # fmt: skip
    assert [str(f.type) for f in table.schema][:4] == ["int64", "double", "string", "bool"]
    assert table["x"].to_pylist() == [None, 1 / 3] and lists(table, "l").tolist() == [[1, 2, 3], [4, 5, 6]]
    assert lists(table.slice(1), "l").tolist() == [[4, 5, 6]]
    assert rounded(table)["x"].to_pylist() == [None, 0.333333333333]
    write(table.drop_columns(["l"]), tmp_path / "t.csv")
    assert pq.read_table(tmp_path / "t.parquet")["x"].to_pylist() == [None, 0.333333333333]
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == '1,,"a",true'
