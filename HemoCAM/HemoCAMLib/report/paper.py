"""The paper's published figures beside ours, and whether the two may be compared.

Rafati et al., "Benchmarking Class Activation Map Methods for Explainable Brain Hemorrhage Classification on Hemorica
Dataset", 2025, arXiv 2508.17699: stage 5 of EfficientNetV2-S is best; AblationCAM has the best pixel Dice (0.57) and
IoU (0.40); HiResCAM the best boxes (box Dice 0.572, box IoU 0.401, loose hit rate 0.975).
"""

from __future__ import annotations

from dataclasses import dataclass

from .blocks import Block, Cell, Grid, Heading, Line, Paragraph, estimate_text
from .model_facts import ModelFacts
from .source import Benchmarked, Place, Row
from .words import method_name, place_name

SOURCE = (
    "Rafati et al., Benchmarking Class Activation Map Methods for Explainable Brain Hemorrhage "
    "Classification on Hemorica Dataset, 2025, arXiv 2508.17699"
)
STAGE = 5
NETWORK = "tf_efficientnetv2_s"
LAYOUT = "hemorica"
SCALE = "library"


@dataclass(frozen=True)
class Published:
    """One figure of the paper: the measure, the method that has it there, its value, its digits, and our table."""

    words: str
    metric: str
    method: str
    value: float
    digits: int
    table: str
    over: str = "positive slices"

    def text(self) -> str:
        """As it was printed."""
        return f"{self.value:.{self.digits}f}"


PUBLISHED = (
    Published("pixel Dice", "dice", "ablationcam", 0.57, 2, "pixels"),
    Published("pixel IoU", "iou", "ablationcam", 0.40, 2, "pixels"),
    Published("box Dice", "box_dice", "hirescam", 0.572, 3, "boxes"),
    Published("box IoU", "box_iou", "hirescam", 0.401, 3, "boxes"),
    Published("loose hit rate", "hit_loose", "hirescam", 0.975, 3, "boxes", "positive pixels"),
)


def differences(found: Benchmarked, facts: ModelFacts | None) -> list[str]:
    """What is not as in the paper, as parts of a sentence; empty where layout and network are the paper's."""
    said = []
    layout = found.manifest["data"].get("layout")
    if layout != LAYOUT:
        said.append(f"the data are of the layout {layout} and not the Hemorica data set")
    if facts is None:
        said.append("the model's network is not known here")
    elif not is_papers(facts):
        scaled = ", ".join(
            f"{k} {v}" for k, v in facts.options.items() if k.endswith("multiplier") and v != 1
        )
        said.append(
            f"the network is {facts.architecture}{f' ({scaled})' if scaled else ''} and not the full "
            f"{NETWORK}"
        )
    return said


def is_papers(facts: ModelFacts) -> bool:
    """Whether the network is the paper's, EfficientNetV2-S at full width and depth."""
    scaled = any(k.endswith("multiplier") and v != 1 for k, v in facts.options.items())
    return facts.architecture == NETWORK and not scaled


def paper_chapter(found: Benchmarked, facts: ModelFacts | None) -> list[Block]:
    """Published figures, ours of the same method at the same stage, and our best."""
    if SCALE not in found.scales:
        return []
    lines = [_line(found, published) for published in PUBLISHED]
    columns = [
        "measure",
        "the paper's best method",
        "published",
        "ours, same method, stage 5",
        "ours, best",
        "it is",
    ]
    return [
        Heading("Beside the paper"),
        Paragraph(_comparable(differences(found, facts))),
        Grid(
            f"Published figures and ours, {SCALE} scaling", columns, lines, 2,
            f"{SOURCE}. Published at stage 5 of EfficientNetV2-S, its best stage.",
        ),
    ]  # fmt: skip


def _comparable(said: list[str]) -> str:
    if said:
        return (
            f"The numbers are not comparable with the paper's: {'; '.join(said)}. They stand beside each "
            "other to show what the study found there and what it finds here."
        )
    return (
        "The layout of the data is Hemorica's and the network is the paper's. Whether patients, splits and "
        "training are the paper's, too, is not known here: only then may the numbers be compared."
    )


def _line(found: Benchmarked, published: Published) -> Line:
    rows = found.figures(published.table, published.metric, SCALE, over=published.over)
    same = rows.get((published.method, STAGE))
    order = found.best(published.table, published.metric, SCALE, over=published.over)
    best = rows[order[0]] if order else None
    return Line(
        [
            published.words, method_name(published.method), Cell(published.text()),
            _text(same), _text(best), Cell(place_name(order[0]) if order else "-"),
        ]
    )  # fmt: skip


def _text(row: Row | None) -> Cell:
    if row is None:
        return Cell("not computed")
    value, _, between = estimate_text(row).partition(" (")
    return Cell(value, between.rstrip(")"))


def leads(found: Benchmarked, published: Published) -> Place | None:
    """Our best method and stage of a published measure; None where methods are not compared as in the paper."""
    if published.method not in found.plan.methods or SCALE not in found.scales or len(found.plan.methods) < 2:
        return None
    order = found.best(published.table, published.metric, SCALE, over=published.over)
    return order[0] if order else None
