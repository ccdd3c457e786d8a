"""Measure a bundle on heads, one after the other: virtual patients, each kept so that a run resumes, or exams."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import InputError, OptionError
from ..models.bundle import Bundle
from ..phantoms.patient import PatientSpec
from ..pipeline import Options, analyse
from ..progress import Progress, silent
from .claims import claim, digest, generator_digest
from .exams import Exam
from .heads import HeadResult, head_result
from .patients import FAILURES, PatientResult, examine

if TYPE_CHECKING:
    import torch

WORK = ".work"
_FORM = 2  # of a kept result: what an older version kept lacks the level of the head
SHOWN = 6  # failures of a sort, the worst ones, one a patient


@dataclass(frozen=True)
class KeptBundle(Bundle):
    """A bundle that builds its network once: for many volumes, one after the other."""

    @cached_property
    def _kept(self) -> torch.nn.Module:
        return super().network()

    def network(self) -> torch.nn.Module:
        """Return the network, the same object every time."""
        return self._kept


def measure(
    specs: list[PatientSpec],
    bundle: Bundle,
    folder: Path,
    options: Options | None = None,
    progress: Progress = silent,
) -> list[PatientResult]:
    """Examine every patient; what ``folder/.work`` holds of an earlier, stopped run is not done again.

    Parameters
    ----------
    specs:
        The patients. One at a time is in memory.
    bundle:
        The model.
    folder:
        Where the results go; made if it is not there. Each patient is a file of its own in ``.work``.
    options:
        As for :func:`~..pipeline.analyse`.
    progress:
        Called a patient.

    Returns
    -------
    list[PatientResult]
        In the order of ``specs``; pictures are left in the worst :data:`SHOWN` failures of each sort only.

    Raises
    ------
    OptionError
        If a patient took part in the bundle's training, or there is none.
    OutputError
        If ``folder`` holds the measurement of something else, or cannot be written.
    """
    if not specs:
        raise OptionError("There is no patient to measure on; ask for at least one.")
    options = (options or Options()).resolved(bundle.manifest)
    check_unseen(specs, bundle)
    work = folder / WORK
    claim(work, "measurement.txt", fingerprint(bundle, options), "measurement of another model or generator")
    bundle = KeptBundle(bundle.folder, bundle.manifest, bundle.sha256)
    results = []
    for done, spec in enumerate(specs):
        progress("Examining virtual patients", done, len(specs))
        path = work / f"patient-{digest(asdict(spec))[:16]}.npz"
        if not path.exists():
            examine(spec, bundle, options).save(path)
        results.append(PatientResult.load(path))
        _keep_worst(results)
    progress("Examining virtual patients", len(specs), len(specs))
    return results


@dataclass(frozen=True)
class Refused:
    """An exam that could not be measured, and why, in a sentence; ``number`` and ``name`` as of a HeadResult."""

    number: int
    name: str
    reason: str


def measure_exams(
    exams: list[Exam], bundle: Bundle, options: Options | None = None, progress: Progress = silent
) -> tuple[list[HeadResult], list[Refused]]:
    """Analyse every exam and put it beside its labels; an exam that cannot be read or does not fit is refused.

    Parameters
    ----------
    exams:
        Numbered from 1 in this order. One at a time is in memory.
    bundle, options:
        As for :func:`~..pipeline.analyse`.
    progress:
        Called per exam.

    Returns
    -------
    tuple
        Results, with pictures in the worst :data:`SHOWN` failures of each sort only, and what was refused.
    """
    options = (options or Options()).resolved(bundle.manifest)
    bundle = KeptBundle(bundle.folder, bundle.manifest, bundle.sha256)
    results: list[HeadResult] = []
    refused: list[Refused] = []
    for number, exam in enumerate(exams, 1):
        progress("Examining heads", number - 1, len(exams))
        try:
            ct = exam.read()
            labels, aside = exam.slice_labels(ct, options.target)
            results.append(
                head_result(number, exam.name, analyse(ct, bundle, options), labels, left_aside=aside)
            )
        except InputError as error:
            refused.append(Refused(number, exam.name, str(error)))
        _keep_worst(results)
    progress("Examining heads", len(exams), len(exams))
    return results, refused


def _keep_worst(results: list[PatientResult] | list[HeadResult]) -> None:
    """Let go of the pictures of all but the worst failures: memory stays bounded however many the patients."""
    for name in FAILURES:
        failed = [r for r in results if name in r.failures]
        for result in sorted(failed, key=lambda r: -r.failures[name].weight)[SHOWN:]:
            del result.failures[name]


def check_unseen(specs: list[PatientSpec], bundle: Bundle, refinements: bool = True) -> None:
    """Raise :class:`OptionError` if a patient took part in the training that the manifest tells of.

    Or, with ``refinements``, in the fit of a mask refinement that it holds.
    """
    seeds = {spec.seed // 1_000_000 for spec in specs}  # of cohorts
    first = bundle.manifest.raw["training"].get("recipe", {}).get("seed")
    parts = [] if first is None else [("training", (first, first + 1000, first + 2000))]
    if refinements:
        found = (refiner.about.get("seeds", ()) for refiner in bundle.manifest.refinements.values())
        parts += [("mask refinement", used) for used in found if isinstance(used, list | tuple)]
    for part, used in parts:
        shared = sorted(seed for seed in seeds if seed in used)
        if shared:
            raise OptionError(
                f"The patients of seed {shared[0]} took part in the {part} of {bundle.manifest.name}; "
                "choose another --seed to measure on new ones."
            )


def fingerprint(bundle: Bundle, options: Options) -> list:
    """What the results of a patient depend on, beside its specification, as JSON values.

    Weights, calibration and input of the model, options, mask refinement, version, and the generator's source.
    """
    manifest = bundle.manifest.raw
    asked = {k: v for k, v in asdict(options).items() if k != "device"}
    parts = [bundle.sha256, manifest["calibration"], manifest["input"], asked, __version__]
    if options.refine:
        refiner = bundle.manifest.refiner(options.method, options.stage, options.target, options.scale)
        parts.append(refiner.to_dict())
    return [*parts, _FORM, generator_digest()]
