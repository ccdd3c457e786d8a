"""The report of a benchmark: what it says is what the tables say, whatever they hold, and nothing reaches outside."""

from dataclasses import replace

import pytest
from HemoCAMLib.benchmark.figures import ALL
from HemoCAMLib.doors.report import make_report
from HemoCAMLib.report.findings import findings, pair_words, turned
from HemoCAMLib.report.measure_tables import PIXELS
from HemoCAMLib.report.model_facts import ModelFacts
from HemoCAMLib.report.other_tables import faithfulness_chapter, hopeless
from HemoCAMLib.report.paper import differences, paper_chapter
from HemoCAMLib.report.source import Benchmarked
from HemoCAMLib.report.words import label, method_name
from report_cases import plan_by_hand, skill_of, write_benchmark
from report_parts import Parsed, found, made, reported  # noqa: F401

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\frac{1", "a|b`c", "[x](javascript:alert(1))",
    "![p](evil.png)", "line\nbreak\x00\u202e", "&amp;lt;", "**bold** _under_", "\ud800half", "é漢字", "-- = ' --",
]  # fmt: skip


@pytest.mark.parametrize("scale", ["library", "gated"])
def test_figures_in_the_page_are_those_of_the_tables(reported, found, scale):
    parsed = Parsed((reported / "report" / "report.html").read_text(encoding="utf-8"))
    head, *rows = parsed.tables[f"Pixels, {scale} scaling"]
    assert [name for name, _ in head] == ["stage", "method", *map(label, PIXELS)]
    assert [(r[0][0], r[1][0]) for r in rows] == [(str(s), method_name(m)) for m, s in found.places]
    for (method, stage), row in zip(found.places, rows, strict=True):
        for metric, (value, interval) in zip(PIXELS, row[2:], strict=True):
            asked = {"scale": scale, "rule": "chosen", "method": method, "stage": stage, "metric": metric}
            own = next(found.rows("pixels", over="positive slices", group=ALL, **asked))
            assert value == f"{own['value']:.3f}" and interval == f"{own['low']:.3f} to {own['high']:.3f}"
    _, *rows = parsed.tables[f"Chosen thresholds, {scale} scaling"]
    said = [[cell for cell, _ in row] for row in rows]
    for row in found.rows("thresholds", scale=scale, rule="chosen"):
        own = [f"{row[name]:.3f}" for name in ("threshold", "value", "test", "best_test")]
        assert [str(row["stage"]), method_name(row["method"]), *own] in said
    hits = {r[1][0]: r[4][0] for r in parsed.tables[f"Bounding boxes, {scale} scaling"] if r[0][0] == "5"}
    for row in found.rows(
        "boxes", scale=scale, stage=5, metric="hit_loose", over="positive pixels", rule="chosen"
    ):
        assert hits[method_name(row["method"])] == f"{row['value']:.3f}"


def test_every_chapter_is_there_and_the_markdown_says_the_same(reported, found):
    folder = reported / "report"
    parsed = Parsed((folder / "report.html").read_text(encoding="utf-8"))
    text = (folder / "report.md").read_text(encoding="utf-8")
    for caption, rows in parsed.tables.items():
        assert f"**{caption}**" in text or "|" in caption, caption
        assert len({len(row) for row in rows}) == 1
    for words in (
        "What it shows", "Beside the paper", "Thresholds", "Masks refined by HU", "By kind and by size",
        "Whole scans", "Best and worst scans", "Statistics", "The classifier behind the maps", "Run manifest",
    ):  # fmt: skip
        assert any(words in piece for piece in parsed.texts) and words in text
    best = next(
        found.rows("pixels", metric="dice", scale="library", method="ablationcam", stage=5, rule="chosen")
    )
    assert f"| 5 | AblationCAM | **{best['value']:.3f} ({best['low']:.3f} to {best['high']:.3f})**" in text
    assert "(../tables/pixels.csv)" in text and (folder / "../tables/pixels.csv").is_file()
    for line in text.splitlines():
        if line.startswith("!["):
            assert (folder / line.rpartition("(")[2].rstrip(")")).is_file()
    assert "cd" * 32 in text and "hemocam benchmark DATA" in text and "No case failed" in text


def test_the_page_needs_and_reaches_nothing_outside(reported):
    text = (reported / "report" / "report.html").read_text(encoding="utf-8")
    parsed = Parsed(text)
    places = [
        (tag, value) for tag, name, value in parsed.attributes if name in ("src", "href", "srcset", "action")
    ]
    assert places and all(
        value.startswith("data:image/png;base64,") if tag == "img" else value.startswith("#")
        for tag, value in places
    )
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(parsed.tags)
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert "http" not in text.replace("http-equiv", "") and "url(" not in text and "@import" not in text
    ids = {value for _, name, value in parsed.attributes if name == "id"}
    assert {value[1:] for tag, value in places if tag == "a"} == ids
    assert parsed.tags.count("img") == len(list((reported / "report" / "figures").glob("*.png")))


def test_hostile_names_are_shown_and_do_nothing(tmp_path):
    plan = plan_by_hand(methods=("hirescam",), stages=(5,), scales=("gated",), rules=())
    folder = tmp_path / "out"
    names = [name for name in HOSTILE if name.isascii() or "\ud800" not in name]
    failed = dict.fromkeys(HOSTILE, "cannot be read <b>at all</b>")
    write_benchmark(folder, plan, names=names, failed=failed)
    make_report(folder)
    parsed = Parsed((folder / "report" / "report.html").read_text(encoding="utf-8"))
    assert not {"script", "b", "iframe"} & set(parsed.tags)
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert all(value.startswith("data:") for tag, name, value in parsed.attributes if name == "src")
    left = [row[0][0] for row in parsed.tables["Cases that failed and are left out"][1:]]
    assert left[:2] == HOSTILE[:2] and left[4:6] == HOSTILE[4:6] and left[7] == HOSTILE[7]
    shown = {row[1][0] for row in parsed.tables["Which scans they are"][1:]}
    assert len(shown) == 6 and "\n" not in "".join(shown)
    text = (folder / "report" / "report.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if "at all\\</b" in line]
    assert len(rows) == len(HOSTILE) and all("<b>" not in row.replace("\\<b\\>", "") for row in rows)
    outside_code = "".join(part for row in rows for part in row.split("`")[::2])
    assert "<script" not in outside_code and "](" not in outside_code


def test_a_known_winner_yields_its_sentences(found):
    said = findings(found)
    library = next(s for s in said if s.startswith("Library scaling: "))
    best = "Library scaling: AblationCAM at stage 5 has the highest mean Dice of positive slices, 0.6"
    assert library.startswith(best)
    gated = next(s for s in said if s.startswith("Gated scaling: "))
    assert gated.startswith("Gated scaling: HiResCAM at stage 5 has")
    for words in (library, gated):
        assert "the next method at its stage" in words and "the next of its own stages" in words
        assert (
            words.count("the difference is significant (median difference 0.") == 2 and "12 patients" in words
        )
    assert said.count("The tuning split alone would have chosen the same.") == 2
    for scale in ("library", "gated"):
        stage = next(s for s in said if s.startswith(f"Stage 5, the paper's best, wins on {scale} scaling"))
        assert (
            "the best map is at stage 5" in stage
            and "it is better in 2 and worse in 0 after correction" in stage
        )
    assert "As in the paper, AblationCAM leads by pixel Dice and pixel IoU on library scaling." in said
    unlike = next(
        s for s in said if s.startswith("Unlike in the paper, where it is HiResCAM, AblationCAM leads by")
    )
    assert "box Dice" in unlike and "box IoU" in unlike
    scales = next(s for s in said if s.startswith("Against library scaling, gated scaling raises"))
    assert "in 1 of 9 maps and lowers it in 1" in scales
    assert "With gated scaling, masks are empty on 100% of the slices without hemorrhage." in said
    refined = next(s for s in said if s.startswith("Refining the masks of GradCAM at stage 4"))
    assert "The difference is significant" in refined


def test_other_winners_yield_other_sentences(tmp_path):
    """Stage 4 wins where it is better; alike maps are not told apart; few patients cannot be."""
    plan = plan_by_hand(methods=("hirescam", "gradcam"), stages=(4, 5), scales=("gated",), rules=())
    four = write_benchmark(tmp_path / "four", plan, skill_of({"gated": ("gradcam", 4)}), patients=18)
    said = " ".join(findings(Benchmarked.read(four)))
    assert "Gated scaling: GradCAM at stage 4 has the highest" in said
    assert "Stage 5, the paper's best, does not win on gated scaling: the best map is at stage 4" in said
    assert "and worse in 1 after correction" in said and "in the paper" not in said
    alike = write_benchmark(tmp_path / "alike", plan, skill_of({}), patients=18, noise=0.2, seed=1)
    said = " ".join(findings(Benchmarked.read(alike)))
    assert "the difference is not significant (" in said and "difference is significant" not in said
    few = write_benchmark(tmp_path / "few", plan, skill_of({"gated": ("gradcam", 4)}), patients=4, noise=0.01)
    said = " ".join(findings(Benchmarked.read(few)))
    assert "and of so few patients none could be" in said and "difference is significant" not in said
    three = plan_by_hand(methods=("hirescam",), stages=(6,), scales=("gated",), rules=())
    said = " ".join(findings(Benchmarked.read(write_benchmark(tmp_path / "three", three, patients=6))))
    assert "Stage 5, the paper's best, was not among the stages 6." in said


def test_a_pair_says_no_more_than_its_test():
    pair = {
        "p_holm": 0.01, "patients": 20, "median_difference": -0.1, "low": -0.2, "high": -0.05, "rank_biserial": -0.6,
        "larger": 4, "equal": 1, "smaller": 15,
    }  # fmt: skip
    assert pair_words(pair).startswith("it is significantly worse patient by patient")
    other = turned({**pair, "first": "a", "second": "b"})
    assert (other["first"], other["low"], other["high"], other["larger"]) == ("b", 0.05, 0.2, 15)
    words = pair_words(other)
    assert words.startswith(
        "the difference is significant (median difference 0.100 (0.050 to 0.200), p 0.010"
    )
    unclear = {**pair, "p_holm": 0.2}
    assert pair_words(unclear).startswith("the difference is not significant (")
    assert "of so few patients none could be" in pair_words(unclear, never=True)
    six = {**unclear, "patients": 6}  # the smallest p of six patients is 2 / 2^6, below 5%
    assert not hopeless([six]) and hopeless([six, six]) and not hopeless([six, unclear]) and not hopeless([])


def test_faithfulness_is_told_beside_random_numbers(found):
    def rows(metric, **values):
        head = {"metric": metric, "low": None, "high": None, "cases": 9, "patients": 3}
        return [
            {**head, "method": m, "stage": s, "value": v} for m, own in values.items() for s, v in own.items()
        ]

    tables = {
        "faithfulness": [
            *rows("road", gradcam={4: 0.1, 5: 0.2}, hirescam={4: 0.3, 5: 0.25}, random={4: 0.01, 5: 0.02}),
            *rows("deletion", gradcam={4: 0.1, 5: 0.2}, hirescam={4: 0.3, 5: 0.25}, random={4: 0.4, 5: 0.5}),
        ],
        "randomisation": [
            {**row, "depth": depth}
            for depth, gradcam, hirescam in (("head", 1.0, 0.4), ("stem", 0.2, 0.1))
            for row in rows("abs_spearman", gradcam={4: gradcam, 5: gradcam}, hirescam={4: hirescam, 5: 0.3})
        ],
    }
    own = replace(found, tables={**found.tables, **tables})
    said = findings(own)
    assert (
        "Faithfulness to the model: by ROAD, HiResCAM at stage 4 is best with 0.300 (random numbers there: 0.010); "
        "by deletion, GradCAM at stage 4 is best with 0.100 (random numbers there: 0.400)." in said
    )
    assert any(
        s.startswith("The maps of GradCAM stay the same when the weights of the network's head") for s in said
    )
    assert any("stays most like itself is HiResCAM at stage 5, rank correlation 0.30" in s for s in said)
    _, scores, lost = faithfulness_chapter(own)
    assert [line.cells[:2] for line in scores.lines if line.cells[1] == "random numbers"] == [
        ["4", "random numbers"], ["5", "random numbers"],
    ]  # fmt: skip
    assert list(lost.columns) == ["stage", "method", "head", "stem"]
    assert [line.cells[1] for line in scores.lines if line.cells[2].marked] == [
        "GradCAM"
    ]  # deletion: small is good


def test_what_was_not_asked_for_is_left_out(tmp_path):
    """One map alone: no pairs, no ranks, no library scaling to hold against the paper; the rest is there."""
    plan = plan_by_hand(methods=("hirescam",), stages=(5,), scales=("gated",), rules=())
    folder = write_benchmark(tmp_path / "out", plan, patients=6)
    assert not (folder / "tables" / "pairs.csv").exists()
    text = (make_report(folder)).read_text(encoding="utf-8")
    heads = [
        h
        for h in Parsed(text).texts
        if h in ("Statistics", "Beside the paper", "Other threshold rules", "Whole scans")
    ]
    assert set(heads) == {"Whole scans"} and "ranks" not in {
        p.name[:5] for p in (folder / "report").rglob("*.png")
    }


def test_the_papers_figures_are_comparable_only_with_its_layout_and_network(found, tmp_path):
    facts = ModelFacts(
        "ab" * 32, "Trained on no patient; research only.", "t", "tf_efficientnetv2_s", {"output_stride": 16}
    )
    half = ModelFacts(facts.sha256, facts.notice, "t", facts.architecture, {"channel_multiplier": 0.5})
    plan = plan_by_hand(methods=("hirescam", "gradcam"), stages=(5,), scales=("library",), rules=())
    same = Benchmarked.read(write_benchmark(tmp_path / "same", plan, patients=6, layout="hemorica"))
    assert (
        differences(same, facts) == [] and len(differences(same, half)) == len(differences(found, facts)) == 1
    )
    assert len(differences(found, half)) == len(differences(found, None)) == 2
    words = paper_chapter(found, half)[1].text
    assert "not comparable" in words and "channel_multiplier 0.5" in words and "layout volumes" in words
    assert "not comparable" not in paper_chapter(same, facts)[1].text
    grid = paper_chapter(found, half)[2]
    rows = {line.cells[0]: [getattr(c, "text", c) for c in line.cells] for line in grid.lines}
    assert [rows[m][2] for m in rows] == ["0.57", "0.40", "0.572", "0.401", "0.975"]
    own = found.figures("boxes", "box_dice", "library")
    assert (
        rows["box Dice"][3] == f"{own['hirescam', 5]['value']:.3f}"
        and rows["box Dice"][5] == "AblationCAM at stage 5"
    )
