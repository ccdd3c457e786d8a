"""How to train, in numbers; every one enters the manifest."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OptionError

SCHEDULES = ("one-cycle", "cosine")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    An epoch is a number of steps, not a pass over the data: patients may be without end.

    Parameters
    ----------
    epochs, steps_per_epoch, batch:
        The run is their product; ``batch`` is a device's.
    sizes:
        (pixels, share of all steps), in turn: small pictures first, as Tan and Le do ("EfficientNetV2: smaller
        models and faster training", 2021). None: half of the steps at three quarters of the network's size.
    bleeding_share:
        Share of a batch that shows a hemorrhage.
    captures:
        Share of a batch that comes as screen captures.
    evidence, overlap:
        Weights of the losses on the evidence, where label maps are known: a cell at a time, and its overlap with
        the blood; see :mod:`.objective`.
    learning_rate, schedule, warmup, weight_decay, clip, label_smoothing, ema_decay, drop, drop_path:
        The usual. ``schedule``: ``one-cycle`` or ``cosine``, each rising over the share ``warmup`` of the steps.
    patience:
        Epochs at the last size without a better validation score after which to stop, and to return the best;
        0 trains to the end and returns the last.
    validation_slices:
        Slices that score an epoch, at most.
    pool, first, inflow:
        Patients in memory at most, waited for before the first step, and entering a step; see
        :class:`~.pool.Flow`.
    seed:
        Of weights, order and augmentation.
    """

    epochs: int = 20
    steps_per_epoch: int = 300
    batch: int = 32
    sizes: tuple[tuple[int, float], ...] | None = None
    bleeding_share: float = 0.5
    captures: float = 0.5
    evidence: float = 10.0
    overlap: float = 0.5
    learning_rate: float = 2e-3
    schedule: str = "one-cycle"
    warmup: float = 0.15
    weight_decay: float = 0.02
    clip: float = 2.0
    label_smoothing: float = 0.01
    ema_decay: float = 0.998
    drop: float = 0.1
    drop_path: float = 0.1
    patience: int = 0
    validation_slices: int = 600
    pool: int = 900
    first: int = 48
    inflow: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "steps_per_epoch", "batch", "validation_slices", "pool", "first"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("bleeding_share", "captures", "label_smoothing", "warmup", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} is {getattr(self, name):g}; it must lie between 0 and 1.")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} is {getattr(self, name):g}; it must be above 0.")
        for name in ("evidence", "overlap", "weight_decay", "patience", "inflow", "seed"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} is {getattr(self, name):g}; it must be 0 or more.")
        if self.schedule not in SCHEDULES:
            raise OptionError(
                f"There is no schedule {self.schedule!r}; choose one of {', '.join(SCHEDULES)}."
            )
        if self.sizes is not None:
            # JSON has lists only
            object.__setattr__(self, "sizes", tuple((int(px), float(share)) for px, share in self.sizes))
            if not self.sizes or any(px < 32 or not share > 0 for px, share in self.sizes):
                raise OptionError(
                    "Each size needs at least 32 pixels and a share above 0, as in 192:0.5,256:0.5."
                )

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def plan(self, size: int) -> list[int]:
        """Input size in pixels of every epoch, for a network of ``size`` pixels."""
        sizes = self.sizes
        if sizes is None:
            small = max(32, round(0.75 * size / 32) * 32)
            sizes = ((small, 0.5), (size, 0.5))
        whole, plan = sum(share for _, share in sizes), []
        done = 0.0
        for px, share in sizes:
            done += share / whole
            plan += [px] * (round(done * self.epochs) - len(plan))
        return plan
