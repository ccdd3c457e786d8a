"""One analysis: what is asked, its way into the scene in short steps, what came out. No qt here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..models.bundle import DEFAULT_MODEL, Bundle
from ..pipeline import Analysis, Options
from ..progress import Progress, silent
from ..scene import SceneNodes, SliceRow
from ..scene.live import mask_volume_ml, slice_rows
from ..volumes.headct import check_head_ct
from .ct_node import ct_of, key_of
from .shown import comparison_rows

if TYPE_CHECKING:
    from ..session.job import Job
    from .work import Work


@dataclass(frozen=True)
class Request:
    """What to analyse, and how.

    Parameters
    ----------
    ct_node:
        vtkMRMLScalarVolumeNode with a head CT in HU.
    model:
        Name or folder of a bundle; "" is the shipped one.
    options:
        What to compute; the bundle's defaults where they are silent.
    reference, segment:
        vtkMRMLSegmentationNode to compare with, or None, and the ID of its segment; "" takes the first.
    """

    ct_node: slicer.vtkMRMLScalarVolumeNode
    model: str = ""
    options: Options = field(default_factory=Options)
    reference: slicer.vtkMRMLSegmentationNode | None = None
    segment: str = ""


@dataclass(frozen=True)
class Results:
    """What came out, in the scene and as numbers.

    Parameters
    ----------
    nodes:
        The nodes of the scene.
    finding:
        One sentence: the highest probability, and how many slices pass the gate.
    analysis:
        All numbers, as the pipeline gives them.
    bundle:
        The model that they are of.
    """

    nodes: SceneNodes
    finding: str
    analysis: Analysis
    bundle: Bundle

    @property
    def slices(self) -> list[SliceRow]:
        """One row a slice, the highest probability first."""
        return slice_rows(self.nodes)

    @property
    def mask_ml(self) -> float:
        """Volume of the mask in ml, as it is in the scene now."""
        return mask_volume_ml(self.nodes)

    @property
    def comparison(self) -> dict[str, str]:
        """Metric values by their names, as text; empty without a reference."""
        return dict(comparison_rows(self.nodes))


class Run:
    """One analysis on its way into the scene: a job of short steps. Nothing is in the scene before the last one.

    It has what a :class:`~..session.job.Job` has: :meth:`advance`, :meth:`cancel`, and where it stands.
    """

    def __init__(self, work: Work, request: Request) -> None:
        self.request = request
        self.phase = _("Checking the volume")
        self._work = work
        self._job: Job[Analysis] | None = None
        self._last = False
        self.result: Results | None = None

    @property
    def fraction(self) -> float:
        """Done so far, 0..1."""
        return 0.0 if self._job is None else self._job.fraction

    @property
    def seconds_left(self) -> float | None:
        """Estimate, or None while there is none."""
        return None if self._job is None else self._job.seconds_left

    def advance(self) -> bool:
        """Do one short step; return True after the last. What it raises ends the run, and the scene is as before."""
        if self._job is None:
            self._prepare()
        elif not self._last:
            self._last = self._job.advance()
            self.phase = _("Adding the results to the scene") if self._last else self._job.phase
        else:
            self.result = self._work.finish(self.request, self._key, self._bundle, self._job.result)
        return self.result is not None

    def run(self, progress: Progress = silent) -> Results:
        """Do all that is left; ``progress`` is called between steps and may raise to stop."""
        try:
            while not self.advance():
                progress(self.phase, round(1000 * self.fraction), 1000)
        except BaseException:
            self.cancel()
            raise
        return self.result

    def cancel(self) -> None:
        """Stop; what was computed is dropped, the scene stays as it is."""
        if self._job is not None and not self._job.finished:
            self._job.cancel()

    def _prepare(self) -> None:
        self._bundle = Bundle.open(self.request.model or DEFAULT_MODEL)
        self.request.options.resolved(self._bundle.manifest)  # a wrong option is known before any work
        ct = ct_of(self.request.ct_node)
        check_head_ct(ct)
        self._key = key_of(self.request.ct_node)
        self._job = self._work.session.analyse(self._key, ct, self._bundle, self.request.options)
