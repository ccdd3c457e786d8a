"""hemocam bench-cam: the engine against the library, side by side."""

import csv

import numpy as np
import pytest
from HemoCAMLib.doors.bench_cam import bench_cam
from HemoCAMLib.doors.cli import main
from HemoCAMLib.evaluation.cam_bench import Line
from HemoCAMLib.evaluation.cam_report import DIFFERENCES, RATIOS, TABLE
from HemoCAMLib.evaluation.cam_sides import Side, Work, can_keep


@pytest.fixture(autouse=True, scope="module")
def short_turns():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("HemoCAMLib.evaluation.cam_bench._TURN_S", 0.02)
        yield


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def benched(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    told = []
    lines = bench_cam(
        folder, str(tiny_bundle.folder), size=64, stages=(3, 4, 5), slices=2, repeats=1,
        progress=lambda *args: told.append(args),
    )  # fmt: skip
    return folder, lines, told


def test_the_tables_hold_every_work_and_every_map(benched):
    folder, lines, told = benched
    ratios = rows(folder / RATIOS)
    assert len(ratios) == 2 + 3 + 1 + 2 + 3 + 1 + 1
    for row in ratios:
        assert float(row["ratio"]) == pytest.approx(
            float(row["library_s"]) / float(row["engine_s"]), rel=1e-3
        )
    differences = rows(folder / DIFFERENCES)
    assert len(differences) == 2 * 21 + 3 + 3 + 1 + 1
    text = (folder / TABLE).read_text(encoding="utf-8")
    assert text == "\n".join(lines) + "\n" and "times faster" in text and "torch " in text
    assert (folder / "ablations.png").read_bytes().startswith(b"\x89PNG")
    assert [t for t in told if "ScoreCAM" in t[0]]


def test_the_maps_agree(benched):
    differences = rows(benched[0] / DIFFERENCES)
    exact = [d for d in differences if d["work"].startswith("seven methods, library formulas")]
    assert len(exact) == 21 and all(
        d["identical"] == "1" for d in exact if not d["method"].startswith("eigen")
    )
    limit = {"ablationcam": 1e-3, "gradcam++": 1e-3, "xgradcam": 1e-3, "scorecam": 2e-2}
    for row in differences:
        assert float(row["largest"]) <= limit.get(row["method"], 1e-4), row
        assert float(row["mean"]) <= float(row["largest"])


def test_shared_work_is_faster():
    """The one thing about speed that holds on any machine: 21 maps for one pass take less than 21 passes."""
    import torch
    from cam_networks import settled
    from HemoCAMLib.cams.target import Target
    from HemoCAMLib.evaluation.cam_bench import bench

    found = bench(
        settled("test_efficientnet"), torch.randn(2, 3, 96, 96), Target(0), (3, 4, 5), 3, sweep=False
    )
    seven = [line for line in found.lines if line.work.startswith("seven methods, torch")]
    assert len(seven) == 1 and seven[0].ratio > 3
    assert Line("x", 1, 3.0, 1.5, 1, 3).ratio == 2


def test_a_network_of_timm_in_the_models_place(tmp_path, tiny_bundle):
    lines = bench_cam(tmp_path, str(tiny_bundle.folder), "test_resnet", 64, (2, 3, 4), 1, 1, sweep=False)
    assert any("test_resnet, random weights" in line for line in lines)
    assert np.isfinite([float(r["ratio"]) for r in rows(tmp_path / RATIOS)]).all()


def test_memory_can_be_kept_where_malloc_knows_how(tmp_path, tiny_bundle, monkeypatch, capsys):
    monkeypatch.setattr("HemoCAMLib.evaluation.cam_sides.can_keep", lambda: False)
    options = [
        "--model",
        str(tiny_bundle.folder),
        "--output",
        str(tmp_path / "out"),
        "--keep-memory",
        "--quiet",
    ]
    assert main(["bench-cam", *options]) == 2
    assert "leave out --keep-memory" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.skipif(not can_keep(), reason="malloc is not glibc's here")
def test_with_its_memory_kept_a_side_gives_the_same():
    import torch
    from cam_networks import settled
    from HemoCAMLib.cams.target import Target

    network, batch = settled("test_efficientnet"), torch.randn(2, 3, 96, 96)
    work, found = Work("maps", "torch", 2, ("hirescam",), (4,)), []
    for keep in (False, True):
        with Side(False, network, batch, Target(0), keep) as side:
            assert side.turn(work, 0) > 0
            found.append(side.result(work).raw["hirescam", 4])
    assert np.array_equal(*found) and np.ptp(found[0]) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--timm", "resnet9000"], "knows no network 'resnet9000'"),
        (["--stages", "4", "9"], "there is no stage 9"),
        (["--repeats", "0"], "of 1 or more"),
        (["--size", "8"], "32 or more"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, message, tiny_bundle, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = [
        "bench-cam",
        "--model",
        str(tiny_bundle.folder),
        "--output",
        str(output),
        "--quiet",
        *options,
    ]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err and not output.exists()
