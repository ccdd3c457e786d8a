"""A CT of the scene to results in the scene, in short steps: what Apply and scripts share. No qt here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from ..models.bundle import DEFAULT_MODEL, Bundle
from ..pipeline import Analysis, Options
from ..progress import Progress, silent
from ..scene import SceneNodes, SliceRow, content_of, node_to_volume
from ..scene.live import mask_volume_ml, slice_rows, update_maps
from ..scene.runs import put_results, results_of
from ..volumes.headct import check_head_ct
from ..volumes.padding import PADDING_HU, padding_to_air
from ..volumes.volume import Volume

if TYPE_CHECKING:
    from ..session.job import Job
    from ..session.session import Session

NOT_A_CT = "HemoCAM.target"  # an attribute of every map that HemoCAM made


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


@dataclass
class _Shown:
    """The analysis that a CT's results in the scene show."""

    key: Hashable
    bundle: Bundle
    analysis: Analysis
    recommended: Analysis | None = None  # with the gate and the mask that the model's card recommends


class Work:
    """Analyses CTs of a scene, and keeps what another look at the same CT can use.

    Parameters
    ----------
    session:
        Keeps captures; a new one by default.
    """

    def __init__(self, session: Session | None = None) -> None:
        if session is None:
            from ..session.session import Session

            session = Session()
        self.session = session
        self._shown: dict[str, _Shown] = {}

    def start(self, request: Request) -> Run:
        """Return the run that answers ``request``; nothing happens before its first step.

        Raises
        ------
        InputError
            If there is no CT, or it is a map that HemoCAM made.
        """
        reason = why_not(request.ct_node)
        if reason:
            raise InputError(reason)
        return Run(self, request)

    def finish(self, request: Request, key: Hashable, bundle: Bundle, analysis: Analysis) -> Results:
        """Put an analysis into the scene, compare it, and remember it."""
        node = request.ct_node
        if node.GetScene() is None or key_of(node) != key:
            raise InputError(_("The volume was changed or removed while it was analysed; press Apply again."))
        scene = node.GetScene()
        nodes = put_results(scene, content_of(analysis, bundle), node)
        asked = request.options
        own = asked.gate is not None or asked.threshold is not None or asked.refine is not None
        self._shown[node.GetID()] = _Shown(key, bundle, analysis, None if own else analysis)
        if request.reference is not None:
            self.compare(nodes, request.reference, request.segment)
            nodes = results_of(scene, node) or nodes
        return Results(nodes, finding_of(nodes), analysis, bundle)

    def shown(self, ct_node: slicer.vtkMRMLScalarVolumeNode) -> tuple[Analysis, Bundle] | None:
        """Return the analysis that is shown of a CT, if it is known here and the CT is still the same."""
        found = self._shown.get(ct_node.GetID())
        if found is None or found.key != key_of(ct_node):
            return None
        return found.analysis, found.bundle

    def can_regate(self, ct_node: slicer.vtkMRMLScalarVolumeNode) -> bool:
        """Tell whether another gate needs no network: what was captured of this CT is kept."""
        return self.shown(ct_node) is not None and self.session.keeps(self._shown[ct_node.GetID()].key)

    def regate(
        self, ct_node: slicer.vtkMRMLScalarVolumeNode, nodes: SceneNodes, gate: float, threshold: float
    ) -> bool:
        """Show another gate (0..1) and threshold in the same nodes, at once; return False where that needs a run."""
        if not self.can_regate(ct_node):
            return False
        shown = self._shown[ct_node.GetID()]
        analysis = self.session.rescaled(shown.key, shown.analysis, gate=gate, threshold=threshold)
        if analysis is None:
            return False
        update_maps(nodes, content_of(analysis, shown.bundle))
        shown.analysis = analysis
        return True

    def can_recommend(self, ct_node: slicer.vtkMRMLScalarVolumeNode) -> bool:
        """Tell whether the recommended gate and mask are known, so that they need no run."""
        return self.shown(ct_node) is not None and self._shown[ct_node.GetID()].recommended is not None

    def recommend(self, ct_node: slicer.vtkMRMLScalarVolumeNode, nodes: SceneNodes) -> bool:
        """Show the recommended gate and mask in the same nodes, at once; return False where that needs a run."""
        if not self.can_recommend(ct_node):
            return False
        shown = self._shown[ct_node.GetID()]
        shown.analysis = shown.recommended
        update_maps(nodes, content_of(shown.analysis, shown.bundle))
        return True

    def compare(
        self, nodes: SceneNodes, reference: slicer.vtkMRMLSegmentationNode, segment: str = ""
    ) -> slicer.vtkMRMLTableNode:
        """Compare the mask with a segment ("" is the first) of a reference; return the table, which is in the scene.

        Raises
        ------
        InputError
            If the reference has no segment, or none of that ID, or lies elsewhere.
        """
        from ..scene.comparing import compare

        segmentation = reference.GetSegmentation()
        if segmentation.GetNumberOfSegments() == 0:
            raise InputError(
                _("The reference '{name}' has no segment; draw one, or choose another reference.").format(
                    name=reference.GetName()
                )
            )
        if segment and segmentation.GetSegment(segment) is None:
            raise InputError(
                _("The reference '{name}' has no segment '{segment}'; choose one of its segments.").format(
                    name=reference.GetName(), segment=segment
                )
            )
        return compare(nodes.ct.GetScene(), nodes, reference, segment or segmentation.GetNthSegmentID(0))

    def forget(self, ct_id: str | None = None) -> None:
        """Drop what is kept of a CT, or of all."""
        for known in [ct_id] if ct_id else list(self._shown):
            shown = self._shown.pop(known, None)
            if shown is not None:
                self.session.forget(shown.key)
        if ct_id is None:
            self.session.clear()

    def forget_removed(self, scene: slicer.vtkMRMLScene) -> None:
        """Drop what is kept of CTs that are no longer in the scene."""
        for known in list(self._shown):
            if scene.GetNodeByID(known) is None:
                self.forget(known)


def why_not(ct_node: slicer.vtkMRMLScalarVolumeNode | None) -> str:
    """Say in one sentence why a volume cannot be analysed, as far as a glance tells; "" if it may."""
    if ct_node is None:
        return _("Choose a head CT first.")
    if ct_node.GetAttribute(NOT_A_CT):
        return _("This volume is a map that HemoCAM made; choose the CT itself.")
    if ct_node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("This is a label map; choose the CT itself.")
    if ct_node.GetImageData() is None:
        return _("This volume is empty; choose one with voxels.")
    return ""


def ct_of(ct_node: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """Return a CT node as a volume with its padding made air; the node's own voxels stay as they are."""
    ct = node_to_volume(ct_node)
    if float(ct.array.min()) <= PADDING_HU:
        array = ct.array.copy()
        padding_to_air(array)
        ct = ct.like(array, ct.name)
    return ct


def key_of(ct_node: slicer.vtkMRMLScalarVolumeNode) -> Hashable:
    """Return what identifies a CT's voxels and place: other voxels or another place give another key."""
    ct = node_to_volume(ct_node)
    image = ct_node.GetImageData()
    scalars = image.GetPointData().GetScalars()
    place = np.round(ct.ijk_to_ras, 9).tobytes()
    return ct_node.GetID(), image.GetMTime(), scalars.GetMTime(), ct.shape, place


def finding_of(nodes: SceneNodes) -> str:
    """Say in one sentence what was found, from the table in the scene; raises nothing."""
    rows, target = rows_of(nodes), target_of(nodes)
    if not rows:
        return _("The table of slices was deleted or lost columns; press Apply to make it again.")
    count = sum(row.gated for row in rows)
    return _(
        "{target}: highest probability {p:.2f}, at slice {slice}; {count} of {total} slices pass the gate."
    ).format(
        target=target, p=rows[0].probabilities[target], slice=rows[0].index, count=count, total=len(rows)
    )


def target_of(nodes: SceneNodes) -> str:
    """Return the class that the results explain; "" where the table of slices is gone."""
    return "" if nodes.slice_table is None else nodes.slice_table.GetAttribute("HemoCAM.target") or ""


def rows_of(nodes: SceneNodes) -> list[SliceRow]:
    """Return one row a slice, the highest probability first; none where the table is gone or damaged."""
    if nodes.slice_table is None:
        return []
    try:
        return slice_rows(nodes)
    except InputError:
        return []


def comparison_rows(nodes: SceneNodes) -> list[tuple[str, str]]:
    """Return the comparison table as (metric name, value), as text; empty where there is none."""
    node = nodes.comparison_table
    if node is None or node.GetNumberOfColumns() < 2:
        return []
    return [(node.GetCellText(row, 0), node.GetCellText(row, 1)) for row in range(node.GetNumberOfRows())]


def compared_by(nodes: SceneNodes) -> str:
    """Return who measured: "SlicerRT", "HemoCAM", or "" without a comparison."""
    return (
        ""
        if nodes.comparison_table is None
        else nodes.comparison_table.GetAttribute("HemoCAM.compared_by") or ""
    )
