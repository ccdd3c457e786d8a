"""A CT of the scene to results in the scene, in short steps: what Apply and scripts share. No qt here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from ..models.bundle import Bundle
from ..pipeline import Analysis
from ..scene import SceneNodes, content_of
from ..scene.live import update_maps
from ..scene.runs import put_results, results_of
from .ct_node import key_of, why_not
from .run import Request, Results, Run
from .shown import finding_of

if TYPE_CHECKING:
    from ..session.session import Session


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
