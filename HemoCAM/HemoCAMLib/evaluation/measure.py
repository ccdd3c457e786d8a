"""Measure a bundle on a cohort of virtual patients: one after the other, each kept, so that a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__, phantoms
from ..errors import OptionError, OutputError
from ..models.bundle import Bundle
from ..phantoms.patient import PatientSpec
from ..pipeline import Options
from ..progress import Progress, silent
from .patients import FAILURES, PatientResult, examine

if TYPE_CHECKING:
    import torch

WORK = ".work"
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
    _claim(work, fingerprint(bundle, options))
    bundle = KeptBundle(bundle.folder, bundle.manifest, bundle.sha256)
    results = []
    for done, spec in enumerate(specs):
        progress("Examining virtual patients", done, len(specs))
        path = work / f"patient-{_digest(asdict(spec))[:16]}.npz"
        if not path.exists():
            examine(spec, bundle, options).save(path)
        results.append(PatientResult.load(path))
        _keep_worst(results)
    progress("Examining virtual patients", len(specs), len(specs))
    return results


def _keep_worst(results: list[PatientResult]) -> None:
    """Let go of the pictures of all but the worst failures: memory stays bounded however many the patients."""
    for name in FAILURES:
        failed = [r for r in results if name in r.failures]
        for result in sorted(failed, key=lambda r: -r.failures[name].weight)[SHOWN:]:
            del result.failures[name]


def check_unseen(specs: list[PatientSpec], bundle: Bundle) -> None:
    """Raise :class:`OptionError` if a patient took part in the training that the manifest tells of."""
    recipe = bundle.manifest.raw["training"].get("recipe", {})
    first = recipe.get("seed")
    if first is None:
        return
    used = {first, first + 1000, first + 2000}  # seeds of cohorts: training, validation, test
    shared = sorted({spec.seed // 1_000_000 for spec in specs} & used)
    if shared:
        raise OptionError(
            f"The patients of seed {shared[0]} took part in the training of {bundle.manifest.name}; "
            "choose another --seed to measure on new ones."
        )


def fingerprint(bundle: Bundle, options: Options) -> str:
    """What the results of a patient depend on, beside its specification: hex digits.

    Weights, calibration and input of the model, options, version, and the generator's source (so that nobody
    mixes patients of two generators).
    """
    manifest = bundle.manifest.raw
    generator = hashlib.sha256()
    for path in sorted(Path(phantoms.__file__).parent.rglob("*.py")):
        generator.update(path.read_bytes())
    asked = {k: v for k, v in asdict(options).items() if k != "device"}
    parts = [bundle.sha256, manifest["calibration"], manifest["input"], asked, __version__]
    return _digest([*parts, generator.hexdigest()])


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _claim(work: Path, mark: str) -> None:
    """Make ``work`` this measurement's own, or find that it is."""
    note = work / "measurement.txt"
    try:
        work.mkdir(parents=True, exist_ok=True)
        if not note.exists():
            if any(work.glob("patient-*.npz")):
                raise OutputError(
                    f"{work} holds results without their {note.name}; remove it and start again."
                )
            note.write_text(mark + "\n", encoding="utf-8")
        elif note.read_text(encoding="utf-8").strip() != mark:
            raise OutputError(
                f"{work.parent} holds the measurement of another model, generator or version; choose another "
                "--output, or remove it."
            )
    except OSError as error:
        raise OutputError(
            f"Cannot write to {work.parent} ({error.strerror}); choose another --output."
        ) from None
