"""The training loop, on Lightning Fabric: one device, several, or several machines run the same lines."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import HemoCAMError
from ..models.bundle import build_network
from ..models.manifest import Manifest
from ..progress import Progress, silent
from .devices import launch
from .pool import Flow, Pool, Workshop, hire
from .recipe import Recipe
from .record import draw_curves, load_checkpoint, save_checkpoint, write_log
from .samples import Samples, columns
from .sources import Mixed, Source

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

    from ..models.bundle import Bundle
    from ..volumes.headgrid import Cells
    from .trainee import Trainee

__all__ = ["Recipe", "train"]


def train(
    source: Source | Mixed,
    validation: Samples | None,
    manifest: Manifest,
    recipe: Recipe,
    work: Path,
    progress: Progress = silent,
    *,
    initial: Bundle | None = None,
    fabric: Fabric | None = None,
    workers: int | Workshop = 0,
) -> torch.nn.Module:
    """Train a network and return it with averaged weights, on the CPU, in evaluation mode.

    A run that was killed takes up after its last whole epoch and, on a CPU, gives the same weights as one that
    was not.

    Parameters
    ----------
    source:
        Patients to train on.
    validation:
        Slabs that score every epoch; None on processes other than the first of several.
    manifest:
        Architecture, input and classes.
    recipe:
        All numbers.
    work:
        A folder, made if missing, for ``checkpoint.pt``, ``log.csv`` (a row an epoch) and ``curves.png``.
    initial:
        A model whose weights the network starts from; random ones otherwise.
    fabric:
        Devices and precision, launched; one device otherwise (the GPU if there is one).
    workers:
        Processes that make patients beside the training; 0 makes them in between.

    Raises
    ------
    HemoCAMError
        If the loss is no longer finite.
    OptionError
        If ``work`` holds a run with other options.
    """
    from .evaluate import Exam

    fabric = fabric or launch()
    work.mkdir(parents=True, exist_ok=True)
    run = _Run(manifest, recipe, fabric, initial)
    identity = {"recipe": repr(recipe), "architecture": repr((manifest.architecture, manifest.options)),
                "classes": repr(manifest.classes), "devices": fabric.world_size,
                "initial": initial.sha256 if initial else ""}  # fmt: skip
    state = load_checkpoint(work, identity)
    if state:
        run.restore(state)
    exam = None
    if fabric.is_global_zero:
        exam = Exam(validation, manifest, recipe.validation_slices, recipe.seed)
    parts = source if isinstance(source, Mixed) else Mixed(((source, 1.0),))
    with hire(workers) as workshop:
        flow = Flow(recipe.pool, recipe.first, recipe.inflow)
        pools = [
            Pool(s, workshop, flow, fabric.global_rank, fabric.world_size, manifest.neighborhood)
            for s, _ in parts.parts
        ]
        while run.epoch < recipe.epochs and not run.stopped:
            started = time.monotonic()
            row = _epoch(run, parts, pools, progress)
            if exam is not None:
                progress(run.title("scoring"), recipe.steps_per_epoch, recipe.steps_per_epoch)
                with fabric.autocast():
                    row |= exam.score(run.average.module, run.plan[run.epoch])
                row |= {"seconds": round(time.monotonic() - started, 1)}
            run.close_epoch(row)
            if fabric.is_global_zero:
                save_checkpoint({**run.state(), "identity": identity}, work)
                write_log(run.rows, work)
                draw_curves(run.rows, work)
    if recipe.patience:
        run.average.module.load_state_dict(run.best)
    return run.average.module.cpu().network.eval()


class _Run:
    """All that changes while training, to be saved and restored: weights, their average, optimiser, schedule."""

    def __init__(
        self, manifest: Manifest, recipe: Recipe, fabric: Fabric, initial: Bundle | None = None
    ) -> None:
        import torch
        from timm.utils import ModelEmaV3

        from .trainee import Trainee

        self.manifest, self.recipe, self.fabric = manifest, recipe, fabric
        self.plan = recipe.plan(manifest.size)
        columns(manifest.classes)
        torch.manual_seed(recipe.seed)
        network = build_network(manifest, drop_rate=recipe.drop, drop_path_rate=recipe.drop_path)
        trainee = Trainee(network, manifest, recipe.drop)
        if initial is not None:
            trainee.start_from(initial, manifest)
        self.trainee: Trainee = fabric.to_device(trainee)
        network.to(memory_format=torch.channels_last)
        self.average = ModelEmaV3(self.trainee, decay=recipe.ema_decay, use_warmup=True)
        self._cells: dict[int, Cells] = {}
        decay = [p for p in self.trainee.parameters() if p.ndim > 1]
        rest = [p for p in self.trainee.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
        )
        if recipe.schedule == "one-cycle":
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, recipe.learning_rate, total_steps=recipe.steps, pct_start=recipe.warmup
            )
        else:
            rise = max(1, round(recipe.warmup * recipe.steps))

            def factor(step: int) -> float:
                if step < rise:
                    return (step + 1) / rise
                return (1 + math.cos(math.pi * (step - rise) / max(1, recipe.steps - rise))) / 2

            self.schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        self.model, self.optimizer = fabric.setup(self.trainee, optimizer)
        self.epoch, self.stopped, self.best = 0, False, {}
        self.rows: list[dict] = []

    def cells(self, size: int) -> Cells:
        """Where the evidence's cells look in an input of ``size`` pixels."""
        if size not in self._cells:
            self._cells[size] = self.trainee.cells(size)
        return self._cells[size]

    def title(self, what: str = "") -> str:
        """What the progress shows, with the time left by the epochs so far (their cost grows with the pixels)."""
        left = ""
        if timed := [row for row in self.rows if row.get("seconds")]:
            cost = sum(row["seconds"] for row in timed) / sum(row["size"] ** 2 for row in timed)
            minutes = cost * sum(px**2 for px in self.plan[self.epoch :]) / 60
            hours = f"{minutes / 60:.1f} h" if minutes > 90 else f"{minutes:.0f} min"
            left = f", {hours} left" if minutes >= 1 else ", less than a minute left"
        return f"Epoch {self.epoch + 1} of {self.recipe.epochs}{', ' if what else ''}{what}{left}"

    def close_epoch(self, row: dict) -> None:
        """Count the epoch; remember the best weights and decide whether to stop, on all processes alike."""
        self.epoch += 1
        self.rows.append(row)
        if self.recipe.patience and self.fabric.is_global_zero:
            last = [r for r in self.rows if r["size"] == self.plan[-1]]  # other sizes score otherwise
            scores = [r["score"] for r in last]
            if not self.best or (scores and scores[-1] >= max(scores)):
                self.best = {k: v.detach().cpu().clone() for k, v in self.average.module.state_dict().items()}
            self.stopped = (
                len(scores) - 1 - int(np.argmax(scores)) >= self.recipe.patience if scores else False
            )
        if self.fabric.world_size > 1:
            self.stopped = bool(self.fabric.broadcast(self.stopped))

    def state(self) -> dict:
        """Everything, as tensors and plain values. Random numbers start afresh from the seed every epoch."""
        return {
            "trainee": self.trainee.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "best": self.best,
            "epoch": self.epoch,
            "stopped": self.stopped,
            "rows": self.rows,
        }

    def restore(self, state: dict) -> None:
        """Take up where :meth:`state` left off."""
        self.trainee.load_state_dict(state["trainee"])
        self.average.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.best, self.rows = state["best"], state["rows"]
        self.epoch, self.stopped = state["epoch"], state["stopped"]


def _epoch(run: _Run, parts: Mixed, pools: list[Pool], progress: Progress) -> dict:
    """Train for one epoch; return the row of its log, without the scores."""
    import torch

    recipe, fabric, size = run.recipe, run.fabric, run.plan[run.epoch]
    seed = np.random.SeedSequence([recipe.seed, run.epoch, fabric.global_rank])
    rng = np.random.default_rng(seed)
    generator = torch.Generator(fabric.device).manual_seed(int(rng.integers(2**62)))
    torch.manual_seed(int(rng.integers(2**62)))  # dropout and dropped paths
    run.trainee.train()
    bleeding = parts.counts(round(recipe.batch * recipe.bleeding_share))
    clean = parts.counts(recipe.batch - sum(bleeding))
    title, steps, losses = run.title(), recipe.steps_per_epoch, []
    for step in range(steps):
        progress(title, step, steps)
        now = run.epoch * steps + step
        for pool in pools:
            pool.advance(now, lambda: progress(title, step, steps))  # noqa: B023
        drawn = [pool.draw(b, c, rng) for pool, b, c in zip(pools, bleeding, clean, strict=True) if b + c]
        losses.append(_step(run, drawn, size, generator, now))
        if not np.isfinite(losses[-1]).all():
            raise HemoCAMError(f"The loss is not finite in epoch {run.epoch + 1}; lower the learning rate.")
    means = dict(zip(("slice_loss", "evidence_loss", "overlap_loss"), np.mean(losses, axis=0), strict=True))
    rate = run.schedule.get_last_lr()[0]
    return {
        "epoch": run.epoch + 1,
        "size": size,
        "learning_rate": rate,
        **{k: float(v) for k, v in means.items()},
    }


def _step(
    run: _Run, drawn: list[Samples], size: int, generator: torch.Generator, now: int
) -> tuple[float, float, float]:
    """One step of the optimiser; returns the slice loss, the evidence loss and the overlap loss."""
    import torch

    from .objective import class_masks, coverage, evidence_loss, overlap_loss, slice_loss
    from .views import training_view

    recipe, fabric, classes = run.recipe, run.fabric, run.manifest.classes
    stacked = [
        np.concatenate(arrays)
        for arrays in zip(
            *((s.hu, s.labels, s.inside, s.mapped, *s.targets(classes)) for s in drawn), strict=True
        )
    ]
    hu, labels, inside, mapped, targets, weights = (torch.from_numpy(a).to(fabric.device) for a in stacked)
    with torch.no_grad():
        hu, labels = training_view(hu, labels, inside, run.manifest, size, recipe.captures, generator)
        masks = class_masks(labels, classes)
        mapped = mapped[:, None].float()
        # blood that was moved out of the picture cannot be asked for
        weights = weights * (1 - targets * mapped * (masks.amax((2, 3)) == 0))
    logits, evidence = run.model(hu)
    by_slice = slice_loss(logits, targets, weights, recipe.label_smoothing)
    by_cell = overlap = torch.zeros_like(by_slice)
    if evidence is not None and (recipe.evidence or recipe.overlap):
        covered, known = coverage(masks, run.cells(size), evidence.shape[-1]), weights * mapped
        by_cell, overlap = (loss(evidence, covered, known) for loss in (evidence_loss, overlap_loss))
    run.optimizer.zero_grad()
    fabric.backward(by_slice + recipe.evidence * by_cell + recipe.overlap * overlap)
    fabric.clip_gradients(run.model, run.optimizer, max_norm=recipe.clip, error_if_nonfinite=False)
    run.optimizer.step()
    run.schedule.step()
    run.average.update(run.trainee, step=now)
    return float(by_slice.detach()), float(by_cell.detach()), float(overlap.detach())
