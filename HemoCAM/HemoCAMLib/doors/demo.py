"""``hemocam demo``: a virtual patient with a known hemorrhage through the same path as any scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..phantoms.patient import demo_spec, make_patient
from ..progress import Progress, silent
from ..volumes.files import write_image
from .run import Case, Result, run_case


def run_demo(case: Case, folder: Path, progress: Progress = silent) -> Result:
    """Make the patient, write it to ``folder/input``, run it from there, and compare with its own labels."""
    progress("Making a virtual patient", 0, 1)
    patient = make_patient(demo_spec())
    source = folder / "input"
    source.mkdir()
    write_image(patient.ct, source / "ct.nrrd")
    write_image(patient.labels, source / "labels.nrrd")
    return run_case(replace(case, ct=source / "ct.nrrd", reference=source / "labels.nrrd"), folder, progress)


def report(result: Result, output: Path) -> str:
    """A few lines for the terminal: what was found, how it compares, which files to open."""
    analysis = result.analysis
    options, found = analysis.options, result.summary["result"]
    first, last = found["at_slices"]
    where = f"slice {first}" if first == last else f"slices {first} to {last}"
    lines = [
        f"{options.target}: highest probability {found['highest_probability']:.2f} at {where}; "
        f"{found['slices_gated_in']} of {len(analysis.slabs.of_slice)} slices pass the gate "
        f"({options.gate:.2f}); {'refined mask' if analysis.refined else 'mask'} {found['mask_ml']:.1f} ml.",
    ]
    lines += [f"Note: {finding}" for finding in result.summary["findings"]]
    compared = result.comparison
    if compared is not None:
        line = f"Against the reference ({compared.reference_ml:.1f} ml): Dice {compared.dice:.2f}"
        line += f", IoU {compared.iou:.2f}"
        if np.isfinite(compared.boundary.percentile_95):
            line += f", 95% Hausdorff {compared.boundary.percentile_95:.1f} mm"
        lines.append(line + ".")
    lines += [
        f"Look at   {output / 'review.png'}",
        f"Open in 3D Slicer   {output / 'scene.mrb'}",
        "Research software, not for clinical use.",
    ]
    return "\n".join(lines)
