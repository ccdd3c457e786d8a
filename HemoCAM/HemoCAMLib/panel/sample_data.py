"""Sample data for Slicer's Sample Data module: virtual patients, made on this machine, with their labels.

Nothing is downloaded and nobody's data is in them. Slicer imports this file when it starts, so the scene floor is
imported when first needed. :func:`make_sample` works in Slicer and on slicer-core;
:func:`register_samples` is for the application.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import slicer

from ..errors import HemoCAMError
from ..phantoms.patient import KINDS, Patient, PatientSpec, demo_spec, make_patient
from ..progress import Progress, silent

CATEGORY = "HemoCAM"
ICONS = Path(__file__).resolve().parents[2] / "Resources" / "Icons"
# Hues apart from the mask's red and from the heat map's colours, and told apart by the colour blind.
COLORS = {
    "epidural": (0.34, 0.71, 0.91),
    "intraparenchymal": (0.00, 0.80, 0.55),
    "intraventricular": (0.80, 0.47, 0.95),
    "subarachnoid": (0.95, 0.90, 0.25),
    "subdural": (0.90, 0.62, 0.00),
}


@dataclass(frozen=True)
class Sample:
    """A virtual patient of the Sample Data module.

    Parameters
    ----------
    name:
        What the module shows, and what scripts ask for.
    title:
        Name of the CT in the scene.
    thumbnail:
        File in ``Resources/Icons``.
    spec:
        Gives who is drawn.
    """

    name: str
    title: str
    thumbnail: str
    spec: Callable[[], PatientSpec]


def five_kinds_spec() -> PatientSpec:
    """Return a fixed patient with all five kinds of hemorrhage."""
    return PatientSpec(seed=13, kinds=KINDS, lesion_ml=(90.0, 120.0))


SAMPLES = (
    Sample("HemoCAM virtual patient", "Virtual patient", "HemoCAM-sample.png", demo_spec),
    Sample("HemoCAM five kinds", "Virtual patient, five kinds", "HemoCAM-sample-kinds.png", five_kinds_spec),
)


class SampleNodes(NamedTuple):
    """The nodes of a sample: the CT, and its labels with a segment a kind of hemorrhage."""

    ct: slicer.vtkMRMLScalarVolumeNode
    labels: slicer.vtkMRMLSegmentationNode


def can_make_samples() -> bool:
    """Tell whether virtual patients can be drawn here, without importing what draws them."""
    return importlib.util.find_spec("torch") is not None


def make_sample(
    scene: slicer.vtkMRMLScene, sample: Sample = SAMPLES[0], progress: Progress = silent
) -> SampleNodes:
    """Draw a virtual patient and add it to a scene; about a second.

    Parameters
    ----------
    scene:
        Slicer's scene, or one of ``HemoCAMLib.scene.new_scene``.
    sample:
        One of :data:`SAMPLES`.
    progress:
        Called before and after the drawing.

    Returns
    -------
    The CT in a brain window and the segmentation of its hemorrhages, one segment a kind that is there, with the
    kind as its ID. The slice views of the scene show the CT through the middle of the bleeding.

    Raises
    ------
    HemoCAMError
        If PyTorch, which draws the patient, is not installed.
    """
    from ..scene.nodes import (
        set_attributes,
        volume_to_node,
    )
    from ..scene.results import CT_LEVEL, CT_WINDOW, set_window

    if not can_make_samples():
        raise HemoCAMError(
            "Virtual patients are drawn with PyTorch, which is not installed here; install it with the module "
            "PyTorch, or load a CT and press Apply in HemoCAM, which offers to, and try again."
        )
    progress("Drawing the virtual patient", 0, 1)
    patient = make_patient(sample.spec())
    progress("Drawing the virtual patient", 1, 1)
    ct_node = volume_to_node(scene, patient.ct, sample.title)
    set_window(ct_node, CT_WINDOW, CT_LEVEL)
    ct_node.SetDescription("A drawing by HemoCAM; no patient stands behind it.")
    set_attributes(ct_node, {"sample": sample.name, "seed": patient.spec.seed})
    labels_node = _add_labels(scene, patient, f"{ct_node.GetName()} labels", ct_node)
    _show(scene, ct_node, patient)
    return SampleNodes(ct_node, labels_node)


def _add_labels(
    scene: slicer.vtkMRMLScene, patient: Patient, name: str, ct_node: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLSegmentationNode:
    """Add the label map as a segmentation, a segment a kind, in one labelmap that all of them share."""
    from ..scene.nodes import add_node, to_image_data, to_vtk_matrix
    from ..scene.segmentations import TERMINOLOGY, binary_labelmap_name

    node = add_node(scene, "vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName(binary_labelmap_name())
    labelmap = slicer.vtkOrientedImageData()
    labelmap.ShallowCopy(to_image_data(patient.labels.array))
    labelmap.SetGeometryFromImageToWorldMatrix(to_vtk_matrix(patient.labels.ijk_to_ras))
    present = set(np.unique(patient.labels.array).tolist())
    for label, kind in enumerate(KINDS, start=1):
        if label not in present:
            continue
        segment = slicer.vtkSegment()
        segment.SetName(f"{kind.capitalize()} hemorrhage")
        segment.SetNameAutoGenerated(False)
        segment.SetColor(*COLORS[kind])
        segment.SetColorAutoGenerated(False)
        segment.SetTag(segment.GetTerminologyEntryTagName(), TERMINOLOGY)
        segment.SetLabelValue(label)
        segment.AddRepresentation(binary_labelmap_name(), labelmap)
        segmentation.AddSegment(segment, kind)
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)
    display.SetAllSegmentsVisibility(True)
    node.AddDefaultStorageNode()
    return node


def _show(scene: slicer.vtkMRMLScene, ct_node: slicer.vtkMRMLScalarVolumeNode, patient: Patient) -> None:
    """Show the CT in the slice views that there are, through the middle of the bleeding."""
    from ..scene.views import SLICE_VIEWS, aim_slice_views
    from ..volumes.axial import slice_normal, to_axial

    for name in SLICE_VIEWS:
        composite = scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
        if composite is not None:
            composite.SetBackgroundVolumeID(ct_node.GetID())
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(None)
    selection = scene.GetSingletonNode("Singleton", "vtkMRMLSelectionNode")
    if selection is not None:
        selection.SetActiveVolumeID(ct_node.GetID())
    middle = np.argwhere(patient.labels.array > 0).mean(axis=0)[::-1].round()
    aim_slice_views(scene, ct_node, patient.ct.ras(middle), slice_normal(to_axial(patient.ct)[0]))


class _Maker:
    """What a button of the Sample Data module does."""

    def __init__(self, sample: Sample, prepare: Callable[[], bool] | None) -> None:
        self.sample, self.prepare = sample, prepare

    def __str__(self) -> str:
        # Sample Data knows by this text that a source is registered already, as after a reload of the module.
        return f"HemoCAM draws {self.sample.name}"

    def __call__(self, source: object) -> list[slicer.vtkMRMLNode]:
        if not can_make_samples() and self.prepare is not None and not self.prepare():
            return []
        try:
            return list(make_sample(slicer.mrmlScene, self.sample))
        except HemoCAMError as error:
            slicer.util.errorDisplay(str(error), windowTitle=CATEGORY)
            return []


def register_samples(icons: Path = ICONS, prepare: Callable[[], bool] | None = None) -> None:
    """Register the samples with Slicer's Sample Data module; for the module's ``startupCompleted``.

    Parameters
    ----------
    icons:
        Folder of the thumbnails.
    prepare:
        Called where PyTorch is missing when a sample is asked for; it may offer to install it, and tells whether
        it is there now. Without it, a sentence says what to do.
    """
    import SampleData

    for sample in SAMPLES:
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.name,
            uris="",  # nothing is downloaded
            fileNames=f"{sample.title}.nrrd",
            nodeNames=sample.title,
            thumbnailFileName=str(Path(icons) / sample.thumbnail),
            customDownloader=_Maker(sample, prepare),
        )
