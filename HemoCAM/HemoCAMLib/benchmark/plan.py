"""What a benchmark computes: a list of choices that travels to every worker and stands in the manifest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from itertools import pairwise

from ..cams.backends import BACKENDS, check_backend
from ..cams.methods import NINE, check_method
from ..cams.scaling import SCALES
from ..cams.stages import Chain
from ..errors import OptionError
from ..metrics.curves import MEANS
from ..metrics.pixels import PIXEL_METRICS
from ..metrics.reference import Settings
from ..metrics.rules import PAPER_THRESHOLDS, Percentile, rule_named
from ..metrics.sweep import check_thresholds
from ..models.bundle import Bundle
from .percentiles import PERCENTILES

# The paper's stages; what a network lacks of them is left out.
PAPER_STAGES = (4, 5, 6)
CHOSEN = "chosen"  # the rule whose fixed threshold was chosen on the tuning split
PERCENTILE = "percentile"  # the rule whose percentile was chosen there
REFINED = "refined"  # masks of the refinement

_OF_MAPS = (
    "model", "sha256", "methods", "stages", "scales", "target", "gate", "thresholds", "percentiles", "engine",
    "device",
)  # fmt: skip

Combination = tuple[str, str, int]


@dataclass(frozen=True)
class Plan:
    """Methods x stages x scales x threshold rules, and what else there is to choose; made by :meth:`of`.

    Parameters
    ----------
    model, sha256:
        Name of the bundle and SHA-256 of its weights.
    methods, stages:
        Of :data:`~..cams.methods.METHODS`, and counted from 1.
    scales:
        Of :data:`~..cams.scaling.SCALES`: ``library`` is the paper's (each slab stretched to 0..1, none gated),
        ``gated`` what HemoCAM shows.
    target, gate:
        Class that is explained, and the probability of it from which the scale ``gated`` shows a slab.
    thresholds:
        Fixed ones of which the best is chosen on the tuning split: rising, above 0 and up to 1.
    metric, over:
        What is best; as :meth:`~..metrics.curves.Curves.curve` takes them.
    rules:
        Further threshold rules by name: ``percentile``, the best of ``percentiles`` on the tuning split; others
        (:func:`~..metrics.rules.rule_named`) are applied as they are.
    percentiles:
        Rising, 0 to below 100, of each slice's own map.
    settings:
        What the measures leave open.
    refine:
        Whether masks are refined, too: of the method and stage that are best on the tuning split.
    faithfulness:
        Bleeding slabs of a test case on which maps are tested against the model; 0: none.
    faithfulness_cases:
        How many bleeding test cases at most are tested so, drawn by the seed; 0: all of them.
    seed:
        Of the draws of the bootstrap, of the slabs for faithfulness, and of lost weights.
    engine, device:
        What computes the maps, and where: ``cpu``, ``cuda``, or ``auto`` for what each worker has.
    """

    model: str
    sha256: str
    methods: tuple[str, ...]
    stages: tuple[int, ...]
    scales: tuple[str, ...]
    target: str
    gate: float
    thresholds: tuple[float, ...]
    metric: str = "dice"
    over: str = "slices"
    rules: tuple[str, ...] = (PERCENTILE, "otsu")
    percentiles: tuple[float, ...] = PERCENTILES
    settings: Settings = field(default_factory=Settings)
    refine: bool = False
    faithfulness: int = 0
    faithfulness_cases: int = 0
    seed: int = 0
    engine: str = BACKENDS[0]
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        methods: tuple[str, ...] | None = None,
        stages: tuple[int, ...] | None = None,
        scales: tuple[str, ...] | None = None,
        target: str | None = None,
        gate: float | None = None,
        thresholds: tuple[float, ...] | None = None,
        **choices: object,
    ) -> Plan:
        """Fill in what is silent, and check every choice.

        Parameters
        ----------
        bundle:
            The model; its network is built once, to see which stages there are.
        methods, stages, scales, thresholds:
            None: the paper's nine methods; its stages, as far as the network has them, and the bundle's own; both
            ``library`` and ``gated``; 50 thresholds from 0.1 to 0.9.
        target, gate:
            None: the bundle's.
        choices:
            The others, by name.

        Raises
        ------
        OptionError
            With one sentence, if a choice makes no sense.
        """
        manifest = bundle.manifest
        chain = Chain.of(bundle.network())
        if stages is None:
            known = range(1, len(chain.stages) + 1)
            stages = tuple(sorted({manifest.stage, *PAPER_STAGES} & set(known)))
        if "rules" in choices:
            choices["rules"] = tuple(_rule_name(name) for name in choices["rules"])
        target = target or manifest.target
        manifest.class_index(target)
        plan = cls(
            model=manifest.name,
            sha256=bundle.sha256,
            methods=_once(methods or NINE, "method"),
            stages=tuple(chain.check_stage(s) for s in _once(stages, "stage")),
            scales=_once(scales or ("library", "gated"), "scale"),
            target=target,
            gate=manifest.calibration[target][2] if gate is None else float(gate),
            thresholds=tuple(PAPER_THRESHOLDS.tolist()) if thresholds is None else tuple(thresholds),
            **choices,
        )
        plan._check()
        return plan

    @property
    def combinations(self) -> list[Combination]:
        """(scale, method, stage), in the order of all tables."""
        return [(c, m, s) for c in self.scales for s in self.stages for m in self.methods]

    def to_json(self) -> dict:
        """As JSON values: everything that results depend on."""
        return json.loads(json.dumps(asdict(self)))

    def of_maps(self) -> dict:
        """What the maps and their curves depend on, as JSON values: with another choice elsewhere they stay."""
        return {name: value for name, value in self.to_json().items() if name in _OF_MAPS}

    def _check(self) -> None:
        for method in self.methods:
            check_method(method)
        for scale in self.scales:
            if scale not in SCALES:
                raise OptionError(f"There is no scale {scale!r}; choose from {', '.join(SCALES)}.")
        check_backend(self.engine)
        _once(self.rules, "rule")
        if self.metric not in PIXEL_METRICS or self.metric == "recall" or self.over not in MEANS:
            raise OptionError(
                f"A threshold cannot be chosen by {self.metric!r} over {self.over!r}; choose a metric of "
                f"{', '.join(m for m in PIXEL_METRICS if m != 'recall')} over {', '.join(MEANS)}."
            )
        try:
            check_thresholds(self.thresholds)
        except ValueError as error:
            raise OptionError(f"The thresholds make no sense: {error}.") from None
        for percent in self.percentiles:
            Percentile(percent)
        if not self.percentiles or any(a >= b for a, b in pairwise(self.percentiles)):
            raise OptionError("The percentiles of which the best is chosen are one or more, and rise.")
        if not 0 <= self.gate <= 1:
            raise OptionError(f"The probability gate lies between 0 and 1, not at {self.gate:g}.")
        if min(self.faithfulness, self.faithfulness_cases, self.seed) < 0:
            raise OptionError("The slices and cases for faithfulness and the seed are numbers from 0.")
        if self.refine and "gated" not in self.scales:
            raise OptionError("The refinement works on gated maps; add the scale gated.")


def _rule_name(name: str) -> str:
    """What tables call a rule: one name, however it was written."""
    if name in (CHOSEN, REFINED):
        raise OptionError(f"The rules {CHOSEN} and {REFINED} have their own options; leave them out.")
    return name if name == PERCENTILE else rule_named(name).name


def _once(values: tuple, what: str) -> tuple:
    values = tuple(values)
    if not values and what != "rule":
        raise OptionError(f"A benchmark needs at least one {what}.")
    if len(set(values)) < len(values):
        raise OptionError(f"A {what} is named twice; name each once.")
    return values
