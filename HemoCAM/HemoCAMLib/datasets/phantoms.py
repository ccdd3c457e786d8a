"""Data sets of virtual patients: made case by case, whole or absent each, resumed where a run was stopped."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import multiprocessing
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .. import __version__
from ..errors import HemoCAMError, OptionError, OutputError
from ..phantoms.cohort import cohort
from ..phantoms.patient import KINDS, PatientSpec, make_patient
from ..phantoms.population import HEALTHY
from ..progress import Progress, silent
from ..workers import end_with_parent
from .layouts import LABELS, Layout, SliceLabels, write_table, write_text
from .overview import PICTURED, draw_overview, keep_tile

DESCRIPTION = "dataset.json"
_WORK = ".work"


def specify(
    count: int,
    seed: int,
    *,
    slice_mm: Sequence[float] | None = None,
    size: int = 256,
    healthy: float = HEALTHY,
    kinds: Sequence[str] | None = None,
    tilted: bool = True,
) -> list[PatientSpec]:
    """Specify the patients of a data set: a :func:`~..phantoms.cohort.cohort`, perhaps with some kinds only.

    Parameters
    ----------
    count, seed, slice_mm, size, healthy:
        As :func:`~..phantoms.cohort.cohort` takes them; ``count`` from 1.
    kinds:
        Hemorrhages that may occur; a patient who would have only others gets one of these. None: all.
    tilted:
        Whether gantries may be tilted, which shears volumes; see :attr:`~.layouts.Layout.holds_shear`.

    Raises
    ------
    OptionError
        If a number is out of range or a kind unknown.
    """
    if count < 1:
        raise OptionError(f"A data set of {count} patients cannot be made; give --count 1 or more.")
    specs = cohort(count, seed, slice_mm=slice_mm, size=size, healthy=healthy)
    if not tilted:
        specs = [replace(spec, without=("tilt",)) for spec in specs]
    if kinds is None:
        return specs
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        named = f"no hemorrhage kind {unknown[0]!r}" if unknown else "no patient without a kind here"
        raise OptionError(f"There is {named}; choose from {', '.join(KINDS)}.")
    chosen = []
    for number, spec in enumerate(specs):
        own = tuple(kind for kind in spec.kinds if kind in kinds)
        if spec.kinds and not own:
            own = (str(np.random.default_rng([seed, number, 1]).choice(sorted(set(kinds)))),)
        chosen.append(replace(spec, kinds=own))
    return chosen


@dataclass(frozen=True)
class PhantomSet:
    """A data set of virtual patients to be made.

    Parameters
    ----------
    specs:
        Its patients, in order.
    layout:
        How they are stored.
    command:
        The command that makes the same set again, for its description.
    """

    specs: Sequence[PatientSpec]
    layout: Layout
    command: str

    def write(self, folder: Path, workers: int = 1, progress: Progress = silent) -> bool:
        """Write the data set to ``folder``, or what a stopped run has left to do; the bits are always the same.

        Beside the layout's files: ``patients.csv`` (a row a patient), ``overview.png`` (a slice of each of the
        first patients) and ``dataset.json`` (command, versions, requests of all patients; ``complete`` is true
        once everything is there).

        Returns
        -------
        bool
            False if the data set was complete already, and nothing was done.

        Raises
        ------
        OutputError
            If ``folder`` holds anything else, or cannot be written.
        HemoCAMError
            If the system ended a worker.
        """
        if workers < 1:
            raise OptionError(f"{workers} workers cannot work; give --workers 1 or more.")
        try:
            if self._is_complete(folder):
                shutil.rmtree(folder / _WORK, ignore_errors=True)
                return False
            work = folder / _WORK
            work.mkdir(parents=True, exist_ok=True)
            self._describe(folder, complete=False)
            names = [self.layout.patient(number) for number in range(1, len(self.specs) + 1)]
            todo = [
                (spec, name, number < PICTURED)
                for number, (spec, name) in enumerate(zip(self.specs, names, strict=True))
                if not (work / f"{name}.json").exists()
            ]
            # closing: a progress that cancels ends the workers at once
            with contextlib.closing(self._make(todo, folder, workers)) as making:
                for made, _ in enumerate(making, start=len(names) - len(todo) + 1):
                    progress("Making virtual patients", made, len(names))
            records = [json.loads((work / f"{name}.json").read_text(encoding="utf-8")) for name in names]
            write_table(_patient_rows(records), folder / "patients.csv")
            slices = (
                SliceLabels(name, number, frozenset(kinds))
                for name, record in zip(names, records, strict=True)
                for number, kinds in enumerate(record["slices"], start=1)
            )
            self.layout.write_tables(slices, folder)
            draw_overview([work / f"{name}.npz" for name in names[:PICTURED]], folder / "overview.png")
            self._describe(folder, complete=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written ({error.strerror}); is the disk full?") from None
        shutil.rmtree(work, ignore_errors=True)
        return True

    def description(self, complete: bool) -> dict:
        """Return the content of ``dataset.json`` (JSON values): nothing in it depends on when or where it is made."""
        names = (self.layout.patient(number) for number in range(1, len(self.specs) + 1))
        content = {
            "title": "Virtual patients of HemoCAM: no patient stands behind any of it",
            "command": self.command,
            "complete": complete,
            "layout": self.layout.name,
            "format": self.layout.suffix,
            "labels": LABELS,
            "versions": {"hemocam": __version__, **{p: version(p) for p in ("numpy", "scipy", "SimpleITK")}},
            "patients": [
                {"patient": name, **asdict(spec)} for name, spec in zip(names, self.specs, strict=True)
            ],
        }
        return json.loads(json.dumps(content))

    def _describe(self, folder: Path, complete: bool) -> None:
        text = json.dumps(self.description(complete), indent=1, ensure_ascii=False)
        write_text(text + "\n", folder / DESCRIPTION)

    def _is_complete(self, folder: Path) -> bool:
        """Tell whether ``folder`` holds all of this data set; raise if it holds something else."""
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is not a folder; choose another --output.")
        path = folder / DESCRIPTION
        if not path.is_file():
            # a run that was stopped before it could describe its data set leaves nothing else behind
            strange = [p.name for p in folder.iterdir() if p.name != _WORK] if folder.exists() else []
            if [name for name in strange if name != f".{DESCRIPTION}.part"]:
                raise OutputError(
                    f"{folder} holds {sorted(strange)[0]} and no data set of this command; choose another --output."
                )
            return False
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            complete = found.pop("complete")
        except (ValueError, AttributeError, KeyError, TypeError):
            raise OutputError(f"{path} was not written by this command; choose another --output.") from None
        wanted = self.description(complete=False)
        del wanted["complete"]
        if found != wanted:
            other = found.get("command")
            how = "with other versions of its software" if other == self.command else f"by `{other}`"
            raise OutputError(f"{folder} holds another data set, made {how}; choose another --output.")
        return bool(complete)

    def _make(
        self, todo: Sequence[tuple[PatientSpec, str, bool]], folder: Path, workers: int
    ) -> Iterator[None]:
        if workers == 1 or len(todo) < 2:
            for case in todo:
                _make_case(*case, self.layout, folder)
                yield
            return
        # spawn, not fork: threads may run already, and Windows and macOS know nothing else
        context = multiprocessing.get_context("spawn")
        workers = min(workers, len(todo))
        with concurrent.futures.ProcessPoolExecutor(workers, context, _prepare_worker) as pool:
            jobs = [pool.submit(_make_case, *case, self.layout, folder) for case in todo]
            try:
                for job in concurrent.futures.as_completed(jobs):
                    job.result()
                    yield
            except BrokenProcessPool:
                raise HemoCAMError(
                    "The system ended a worker, probably for lack of memory; the same command with fewer "
                    "--workers goes on where it was."
                ) from None
            finally:
                pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _make_case(spec: PatientSpec, name: str, pictured: bool, layout: Layout, folder: Path) -> None:
    """Make a patient and move its files into place; its record comes last and says that they are there."""
    part = folder / _WORK / f"{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    patient = make_patient(spec)
    slices = layout.write_case(patient.ct, patient.labels, name, part)
    for place in (layout.images, layout.masks):
        (folder / place).mkdir(exist_ok=True)
        for file in (part / place).iterdir():
            file.replace(folder / place / file.name)
    counts = np.bincount(patient.labels.array.ravel(), minlength=len(KINDS) + 1)
    record = {
        "patient": name,
        "seed": spec.seed,
        "ml": {kind: round(int(counts[LABELS[kind]]) * patient.ct.voxel_ml, 3) for kind in KINDS},
        "slice_mm": spec.slice_mm,
        "pixel_mm": round(float(patient.ct.spacing[0]), 6),
        "slices": [sorted(s.kinds) for s in slices],
    }
    if pictured:
        keep_tile(patient, name, folder / _WORK / f"{name}.npz")
    write_text(json.dumps(record), folder / _WORK / f"{name}.json")
    shutil.rmtree(part, ignore_errors=True)


def _patient_rows(records: Sequence[dict]) -> Iterator[list]:
    yield [
        "patient", "seed", "kinds", "ml", *(f"{kind}_ml" for kind in KINDS), "slice_mm", "pixel_mm", "slices",
        "positive_slices",
    ]  # fmt: skip
    for record in records:
        ml, slices = record["ml"], record["slices"]
        kinds = [kind for kind in KINDS if ml[kind] > 0]
        yield [
            record["patient"], record["seed"], ";".join(kinds), round(sum(ml.values()), 3),
            *(ml[kind] for kind in KINDS), record["slice_mm"], record["pixel_mm"], len(slices),
            sum(bool(s) for s in slices),
        ]  # fmt: skip
