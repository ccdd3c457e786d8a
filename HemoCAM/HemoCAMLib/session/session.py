"""A session: analyses of the volumes that a user looks at, step by step, none of it computed twice."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakSet

from ..analysis import Analysis, Options
from ..models.bundle import Bundle
from ..pipeline import analysis_steps, needs_refining, rescale_steps, rescaled_options
from ..steps import Steps, follow
from ..volumes.volume import Volume
from .costs import expected_costs
from .job import Job
from .models import Models
from .recall import Entry, Recall
from .store import Store

DEFAULT_MEMORY = 1 << 30  # bytes
LEAST = 0.05  # seconds: see Job


class Session:
    """Analyses volumes and keeps what another analysis of the same volume can use.

    Of each volume it keeps the sampled slabs, the activations of the network's stages, the gradients that were
    computed, and the raw maps. So another gate, scale or threshold needs no network; another method of the same stage
    and target its formula only (AblationCAM and ScoreCAM run the network by their nature); another target or stage
    the way from the nearest kept activation to the logits and back. The numbers are those of
    :func:`~..pipeline.analyse`, to the last bit. Of the engine ``library`` the maps alone are kept. The two models
    used last stay open, outside of the bound, even when a job fails.

    Not for several threads at once.

    Parameters
    ----------
    memory:
        Bound in bytes on what is kept of volumes; what was not used for the longest time goes first. While a job
        runs it holds what it will keep beside that: at most as much again.
    """

    def __init__(self, memory: int = DEFAULT_MEMORY) -> None:
        self._store: Store[Entry] = Store(memory)
        self._models = Models()
        self._running: WeakSet[Recall] = WeakSet()

    @property
    def bytes(self) -> int:
        """Taken by what is kept of volumes."""
        return self._store.bytes

    def analyse(
        self, key: Hashable, ct: Volume, bundle: Bundle, options: Options | None = None
    ) -> Job[Analysis]:
        """Return the job that classifies every slab of ``ct`` and explains the target class; nothing happens yet.

        Parameters
        ----------
        key:
            Names the volume; whoever changes its voxels gives another one.
        ct:
            Head CT in HU, any orientation; not to be changed before the job is over.
        bundle:
            The model.
        options:
            What to compute; the bundle's defaults where it is silent.

        Raises
        ------
        OptionError, ModelError
            Out of :meth:`Job.advance`, as :func:`~..pipeline.analyse` does. A job that fails or is cancelled leaves
            nothing behind.
        """
        costs: dict[str, float] = {}
        return Job(self._steps(key, ct, bundle, options or Options(), costs), costs, least=LEAST)

    def rescaled(
        self,
        key: Hashable,
        analysis: Analysis,
        *,
        gate: float | None = None,
        threshold: float | None = None,
        scale: str | None = None,
    ) -> Analysis | None:
        """Show the same maps by another gate, threshold or scale, at once; see :func:`~..pipeline.rescale_steps`.

        Returns
        -------
        Analysis | None
            None where nothing is kept for ``key``, or where the mask would have to be refined anew, which takes
            seconds: then :meth:`analyse` does it, step by step and without the network.

        Raises
        ------
        OptionError
            If a value makes no sense.
        """
        options = rescaled_options(analysis, gate, threshold, scale)
        if not self.keeps(key) or needs_refining(analysis, options):
            return None
        return follow(rescale_steps(analysis, gate, threshold, scale))

    def keeps(self, key: Hashable) -> bool:
        """Tell whether something is kept of a volume."""
        return any(entry.key == key and entry.kind == "sampled" for entry in self._store)

    def forget(self, key: Hashable) -> None:
        """Let go of what is kept of a volume; a job on it that is running goes on, but keeps nothing."""
        self._store.drop(lambda entry: entry.key == key)
        for recall in self._running:
            recall.void |= recall.key == key

    def clear(self) -> None:
        """Let go of all volumes and models; jobs that are running go on, but keep nothing."""
        self._store.drop(lambda _: True)
        self._models.clear()
        for recall in self._running:
            recall.void = True

    def _steps(
        self, key: Hashable, ct: Volume, bundle: Bundle, options: Options, costs: dict[str, float]
    ) -> Steps[Analysis]:
        recall = Recall(self._store, self._models, key, ct, bundle, options.resolved(bundle.manifest))
        self._running.add(recall)
        costs.update(expected_costs(recall, ct))
        analysis = yield from analysis_steps(ct, recall)
        recall.commit()
        return analysis
