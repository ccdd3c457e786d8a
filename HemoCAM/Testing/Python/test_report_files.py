"""The report's files: the same bytes again, never half, nothing replaced that is none."""

import hashlib
import json
import shutil

import pyarrow.parquet as pq
import pytest
from HemoCAMLib.doors.cli import main
from HemoCAMLib.doors.report import make_report
from HemoCAMLib.errors import Cancelled, InputError, OutputError
from HemoCAMLib.report.blocks import Cell, Code, Grid, Line, Paragraph, Report, number
from HemoCAMLib.report.markdown import markdown
from HemoCAMLib.report.measure_tables import best_places, by_stage
from HemoCAMLib.report.page import page
from HemoCAMLib.report.words import method_name
from report_parts import Parsed, found, made, reported  # noqa: F401


def files_of(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_a_second_report_has_the_same_bytes(reported, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "elsewhere")
    make_report(folder)
    first, second = (files_of(place / "report") for place in (reported, folder))
    assert first == second and {"report.html", "report.md", "figures/dice-library.pdf"} <= set(first)
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]
    assert str(tmp_path).encode() not in b"".join(second.values())


def test_a_cancel_leaves_the_old_report(reported, tmp_path):
    folder = shutil.copytree(reported, tmp_path / "out")
    before = files_of(folder)

    def stop(phase, done, total):
        if done > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_report(folder, progress=stop)
    assert files_of(folder) == before


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: shutil.rmtree(f), "There is no folder"),
        (lambda f: (f / "manifest.json").unlink(), "holds no finished benchmark"),
        (lambda f: (f / "manifest.json").write_text("{", "utf-8"), "cannot be read"),
        (lambda f: (f / "manifest.json").write_text('{"title": "other"}', "utf-8"), "is not that of a benchmark"),
        (lambda f: (f / "manifest.json").write_text("[1]", "utf-8"), "is not that of a benchmark"),
        (lambda f: (f / "tables" / "pixels.parquet").unlink(), "There is no .*pixels.parquet"),
        (lambda f: (f / "slices.parquet").write_bytes(b"x"), "slices.parquet is not the file that"),
        (lambda f: _edit(f, lambda c: c["plan"].pop("stages")), "another version"),
        (lambda f: _edit(f, lambda c: c["plan"].update(strange=1)), "another version"),
        (lambda f: _without_rules(f), "thresholds.parquet is of a benchmark by another version"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_benchmark_is_refused_with_a_sentence(made, tmp_path, harm, words):
    folder = shutil.copytree(made, tmp_path / "out")
    harm(folder)
    with pytest.raises(InputError, match=words) as caught:
        make_report(folder)
    assert str(caught.value).count(". ") == 0 and str(caught.value).endswith(".")
    assert not folder.exists() or not (folder / "report").exists()


def _without_rules(folder):
    """As before percentiles were tried."""
    path = folder / "tables" / "thresholds.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["rule"]), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _edit(folder, lambda content: content["files"].update({"tables/thresholds.parquet": digest}))


def _edit(folder, change):
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_what_is_no_report_is_never_replaced(made, tmp_path, capsys):
    folder = shutil.copytree(made, tmp_path / "out")
    (folder / "report").mkdir()
    (folder / "report" / "thesis.docx").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis\.docx, which HemoCAM did not write"):
        make_report(folder)
    assert main(["report", str(folder), "--quiet"]) == 3 and "thesis.docx" in capsys.readouterr().err
    assert (folder / "report" / "thesis.docx").read_text() == "mine"


def test_scans_are_neither_shown_nor_named_where_that_is_asked_for(reported, tmp_path, capsys):
    folder = shutil.copytree(reported, tmp_path / "out")
    assert b"case-0" in (folder / "report" / "report.html").read_bytes()
    assert main(["report", str(folder), "--no-cases", "--quiet"]) == 0
    assert capsys.readouterr().out.strip().endswith("report.html")
    own = files_of(folder / "report")
    assert not any(b"case-" in content for content in own.values()) and "cases.json" not in own


def test_blocks_become_the_same_texts_in_both_forms():
    report = Report("T & <T>", "N")
    lines = [
        Line(["a|b", Code("x`|y"), Cell("0.5", "0.1 to 0.9", marked=True)], True),
        Line(["", Code(""), Cell("-")]),
    ]
    report.add(Paragraph(["see ", Code("<i>")]), None, Grid("G_1", ["k", "c", "v"], lines, 2, "note *"))
    parsed = Parsed(page(report, {}))
    assert parsed.tables["G_1"][1:] == [
        [["a|b", ""], ["x`|y", ""], ["0.5", "0.1 to 0.9"]],
        [["", ""], ["", ""], ["-", ""]],
    ]
    text = markdown(report, ())
    assert "# T &amp; \\<T\\>" in text and "see `<i>`" in text and "note \\*" in text
    assert "| a\\|b | `x \\|y` | **0.5 (0.1 to 0.9)** |" in text
    assert number(-0.0001) == "0.000" and number(None) == "-" and number(-0.5, 1) == "-0.5"


def test_the_best_of_a_column_is_marked_by_what_is_good(found):
    def marked(metric):
        rows = found.figures("cases", metric, "gated", over="bleeding cases")
        grid = by_stage(found, "t", [(metric, rows)])
        (line,) = [line for line in grid.lines if line.cells[2].marked]
        return rows, next(p for p in found.places if [str(p[1]), method_name(p[0])] == list(line.cells[:2]))

    rows, place = marked("hd95_mm")
    assert rows[place]["value"] == min(row["value"] for row in rows.values())
    rows, place = marked("dice")
    assert rows[place]["value"] == max(row["value"] for row in rows.values())
    assert (
        best_places("dice", {1: {"value": 0.5}, 2: {"value": 0.5}, 3: {"value": None}}) == set()
    )  # none is better
    assert best_places("dice", {1: {"value": 0.5}, 2: {"value": 0.5}, 3: {"value": 0.1}}) == {1, 2}
    assert (
        best_places("error_ml", {1: {"value": 0.5}, 2: {"value": 0.1}}) == set()
    )  # neither large nor small is good
