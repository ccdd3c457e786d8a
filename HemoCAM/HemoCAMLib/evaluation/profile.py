"""Figures of heads with labels per slice: slices, kinds, whole heads, and where in the head the false alarms are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..models.manifest import Manifest
from ..phantoms.patient import KINDS
from ..volumes.levels import LEVELS, Level
from .bootstrap import UNDEFINED, Bootstrap, Estimate
from .classification import Classification, classify
from .heads import HeadResult
from .reliability import reliability


@dataclass(frozen=True)
class LabelledSlices:
    """All labelled slices of all heads, a row each, with what the model says of their slabs.

    ``head`` is an index into the results, ``score`` the target's probability, ``gate`` whether it passes, ``level``
    an index into :data:`~..volumes.levels.LEVELS`; ``truth`` (n,) and ``kinds`` (n, 5) are 1, 0 or NaN.
    """

    head: np.ndarray
    probability: np.ndarray
    score: np.ndarray
    gate: np.ndarray
    truth: np.ndarray
    kinds: np.ndarray
    level: np.ndarray

    @classmethod
    def of(cls, heads: Sequence[HeadResult], manifest: Manifest) -> LabelledSlices:
        """Put the slices of all heads, at least one, one below the other."""
        probability = np.concatenate([h.found.probability[h.slab] for h in heads]).astype(np.float64)
        return cls(
            head=np.repeat(np.arange(len(heads)), [len(h.slab) for h in heads]),
            probability=probability,
            score=probability[:, manifest.class_index(manifest.target)],
            gate=np.concatenate([h.found.gate[h.slab] for h in heads]),
            truth=np.concatenate([h.labels.truth for h in heads]),
            kinds=np.concatenate([h.labels.kinds for h in heads]),
            level=np.concatenate([h.level[h.slab] for h in heads]),
        )

    @property
    def bleeding(self) -> np.ndarray:
        """Slices with hemorrhage, bool (n,)."""
        return self.truth == 1

    @property
    def clean(self) -> np.ndarray:
        """Slices without any, bool (n,)."""
        return self.truth == 0


@dataclass(frozen=True)
class KindFigures:
    """A kind of hemorrhage: the slices labelled with it (others beside it or not) against the clean slices.

    Parameters
    ----------
    kind:
        One of ``KINDS``.
    slices, heads:
        Labelled with it.
    auc:
        Area under the ROC curve of the target's probability, 0 to 1.
    own_auc:
        The same of the kind's own probability; not defined where the model has no such class.
    sensitivity:
        Share of its slices that pass the target's gate.
    """

    kind: str
    slices: int
    heads: int
    auc: Estimate
    own_auc: Estimate
    sensitivity: Estimate


@dataclass(frozen=True)
class HeadFigures:
    """Figures of whole heads. A clean head has clean slices only, a bleeding one at least one that bleeds.

    Parameters
    ----------
    silent:
        Share of clean heads of which no slab passes the gate (Wilson's interval).
    found:
        Share of bleeding heads of which a bleeding slice lies in a slab that passes (Wilson's interval).
    found_anywhere:
        Share of bleeding heads of which any slab passes (Wilson's interval).
    auc:
        Area under the ROC curve of :attr:`~.findings.Findings.score`, bleeding heads against clean ones.
    false_slabs:
        Slabs of clean slices that pass the gate, mean per clean head, 0 and above.
    false_ml:
        Volume of the default mask in ml, mean per clean head.
    """

    silent: Estimate
    found: Estimate
    found_anywhere: Estimate
    auc: Estimate
    false_slabs: Estimate
    false_ml: Estimate


@dataclass(frozen=True)
class LevelFigures:
    """A level of the head, over all heads.

    Parameters
    ----------
    level:
        Its name and bounds.
    false_alarms:
        Share of the clean slices at this level that lie in a slab that passes the gate.
    sensitivity:
        The same of the bleeding slices.
    false_slabs:
        Slabs of clean slices at this level that pass the gate.
    called:
        In how many of them the probability of each kind reaches the kind's own threshold; several may, or none.
    """

    level: Level
    false_alarms: Estimate
    sensitivity: Estimate
    false_slabs: int
    called: dict[str, int]

    @property
    def most_called(self) -> str:
        """The kind that is called most often, the first of equals; empty if none is."""
        return most_called(self.called)


@dataclass(frozen=True)
class Reliability:
    """Ten bins of the target's probability: its mean, the share of slices that bleed, and slices; NaN if empty."""

    probability: np.ndarray
    share: np.ndarray
    slices: np.ndarray


@dataclass(frozen=True)
class Profile:
    """All figures of a model on heads with labels per slice.

    Slices are the labelled ones, each with the probability of its slab; intervals are of 95%, by bootstrap over
    heads (:class:`~.bootstrap.Bootstrap`), or Wilson's where the cases are heads.
    """

    slices: Classification
    kinds: tuple[KindFigures, ...]
    heads: HeadFigures
    levels: tuple[LevelFigures, ...]
    reliability: Reliability

    @property
    def called(self) -> dict[str, int]:
        """In how many false slabs each kind is called, over all levels."""
        return {kind: sum(row.called[kind] for row in self.levels) for kind in self.levels[0].called}


def most_called(called: dict[str, int]) -> str:
    """The kind with the highest count, the first of equals; empty if all are 0."""
    kind = max(called, key=called.get, default="")
    return kind if kind and called[kind] else ""


def profile(heads: Sequence[HeadResult], manifest: Manifest, gate_at: float, seed: int = 0) -> Profile:
    """Compute all figures.

    Parameters
    ----------
    heads:
        At least one.
    manifest:
        Of the model.
    gate_at:
        Probability of the target from which a slab passes.
    seed:
        Of the bootstrap.
    """
    slices = LabelledSlices.of(heads, manifest)
    draws = Bootstrap(slices.head, seed=seed)
    counted = slices.bleeding | slices.clean
    bins = reliability(slices.score[counted], slices.bleeding[counted])
    return Profile(
        slices=classify(slices.score, slices.bleeding, draws, gate_at, counted),
        kinds=tuple(_kind(n, slices, manifest, draws) for n in range(len(KINDS))),
        heads=_heads(heads, seed),
        levels=tuple(_level(n, heads, slices, manifest, draws) for n in range(len(LEVELS))),
        reliability=Reliability(*bins),
    )


def wilson_share(passed: np.ndarray) -> Estimate:
    """Share of heads with Wilson's interval of 95% (JASA 22 (1927) 209); not defined of none.

    Parameters
    ----------
    passed:
        Bool, one per head, shape (n,).
    """
    from scipy.stats import binomtest

    count = len(passed)
    if not count:
        return UNDEFINED
    share = int(np.count_nonzero(passed))
    interval = binomtest(share, count).proportion_ci(0.95, "wilson")
    return Estimate(share / count, float(interval.low), float(interval.high), count, count)


def _kind(column: int, slices: LabelledSlices, manifest: Manifest, draws: Bootstrap) -> KindFigures:
    kind = KINDS[column]
    own = slices.bleeding & (slices.kinds[:, column] == 1)
    counted = own | slices.clean
    own_auc = UNDEFINED
    if kind in manifest.classes:
        own_auc = draws.auc(slices.probability[:, manifest.class_index(kind)], own, counted)
    return KindFigures(
        kind=kind,
        slices=int(own.sum()),
        heads=len(np.unique(slices.head[own])),
        auc=draws.auc(slices.score, own, counted),
        own_auc=own_auc,
        sensitivity=draws.mean(slices.gate, own),
    )


def _heads(heads: Sequence[HeadResult], seed: int) -> HeadFigures:
    clean, bleeds = (np.array([getattr(h, name) for h in heads]) for name in ("clean", "bleeds"))
    draws = Bootstrap(np.arange(len(heads)), seed=seed)
    sick = [h for h in heads if h.bleeds]
    return HeadFigures(
        silent=wilson_share(np.array([h.silent for h in heads if h.clean])),
        found=wilson_share(np.array([h.found_on_bleeding for h in sick])),
        found_anywhere=wilson_share(np.array([not h.silent for h in sick])),
        auc=draws.auc(np.array([h.found.score for h in heads]), bleeds, clean | bleeds),
        false_slabs=draws.mean([h.false_slabs.sum() for h in heads], clean),
        false_ml=draws.mean([h.found.mask_ml for h in heads], clean),
    )


def _level(
    index: int, heads: Sequence[HeadResult], slices: LabelledSlices, manifest: Manifest, draws: Bootstrap
) -> LevelFigures:
    here = slices.level == index
    false = [h.found.probability[h.false_slabs & (h.level == index)] for h in heads]
    output = np.concatenate(false)
    called = {
        kind: int((output[:, manifest.class_index(kind)] >= manifest.calibration[kind][2]).sum())
        for kind in KINDS
        if kind in manifest.classes
    }
    return LevelFigures(
        level=LEVELS[index],
        false_alarms=draws.mean(slices.gate, here & slices.clean),
        sensitivity=draws.mean(slices.gate, here & slices.bleeding),
        false_slabs=len(output),
        called=called,
    )


def number(value: float) -> float | None:
    """A figure as JSON holds it: None where it is not defined."""
    return None if math.isnan(value) or math.isinf(value) else round(float(value), 6)
