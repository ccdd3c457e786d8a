"""``hemocam run``: a CT in, a folder of results out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from ..comparison.grid import on_grid_of
from ..comparison.table import Comparison, compare, write_csv
from ..models.bundle import DEFAULT_MODEL, Bundle
from ..pipeline import Analysis, Clock, Options, analyse
from ..progress import Progress, silent
from ..scene import add_results, new_scene, save_scene, write_segmentation
from ..scene.analysis import content_of
from ..volumes.files import write_image
from ..volumes.reading import read_ct, read_labels
from .review import draw_review
from .tables import summary, write_json, write_slices


@dataclass(frozen=True)
class Case:
    """One run: input, reference, model and options.

    Parameters
    ----------
    ct:
        DICOM folder or file, NIfTI, NRRD or MetaImage.
    reference:
        Labels to compare with; anything above 0 is hemorrhage.
    model:
        Name or folder of a bundle.
    series:
        SeriesInstanceUID to take from a DICOM folder.
    """

    ct: Path
    reference: Path | None = None
    model: str = DEFAULT_MODEL
    series: str | None = None
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class Result:
    """What a run found, beside the files it wrote."""

    analysis: Analysis
    comparison: Comparison | None
    summary: dict


def run_case(case: Case, folder: Path, progress: Progress = silent) -> Result:
    """Run the pipeline on one case and fill ``folder``, which exists and is empty.

    Writes ``scene.mrb``, ``heatmap.nrrd`` (shown map, 0..1, on the CT's grid), ``heatmap_raw.nrrd`` (signed raw
    map on the network's own grid), ``segmentation.seg.nrrd``, ``slices.csv``, ``summary.json``, ``review.png``
    and, with a reference, ``comparison.csv``.

    Raises
    ------
    HemoCAMError
        With one sentence, for whatever is wrong with input, model or options.
    """
    clock, started = Clock(), time.perf_counter()
    with clock.phase("check"):
        bundle = Bundle.open(case.model)
        case.options.resolved(bundle.manifest)  # a wrong option is known before the scan is read
    with clock.phase("read"):
        ct = read_ct(case.ct, case.series, progress)
        reference = None if case.reference is None else on_grid_of(read_labels(case.reference), ct)
    analysis = analyse(ct, bundle, case.options, progress)
    comparison = None
    if reference is not None:
        with clock.phase("compare"):
            progress("Comparing with the reference", 0, 1)
            comparison = compare(reference, analysis.mask, progress=progress)
    with clock.phase("picture"):
        progress("Drawing the picture", 0, 1)
        draw_review(analysis, folder / "review.png", reference)
    with clock.phase("files"):
        progress("Writing files", 0, 1)
        content = content_of(analysis, bundle, reference, comparison)
        write_slices(content.slices, folder / "slices.csv")
        write_image(analysis.heatmap, folder / "heatmap.nrrd")
        write_image(analysis.raw_volume, folder / "heatmap_raw.nrrd")
        if comparison is not None:
            write_csv(comparison, folder / "comparison.csv")
    with clock.phase("scene"):
        progress("Building the scene", 0, 1)
        scene = new_scene()
        nodes = add_results(scene, content)
        progress("Writing the scene", 0, 1)
        write_segmentation(nodes.mask, folder / "segmentation.seg.nrrd")
        save_scene(scene, folder / "scene.mrb", progress)
    timings = {**clock.seconds, **analysis.timings, "total": time.perf_counter() - started}
    described = summary(analysis, bundle, reference, comparison, timings)
    write_json(described, folder / "summary.json")
    return Result(analysis, comparison, described)
