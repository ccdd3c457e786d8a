"""``hemocam report``: the report of a finished benchmark, drawn again from its folder without computing anything."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, OutputError
from ..progress import Progress, silent
from . import supervise
from .check import add_reading_options, reading_of

if TYPE_CHECKING:
    from ..datasets.finding import DataSet
    from ..models.bundle import Bundle

NAME = "report"
# all that a report may hold: nothing else is ever replaced
_OURS = {"report.html", "report.md", "figures", "model.json", "cases.json"}
_STAGING = ".report-"


def add_to(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the subcommand; return its parser."""
    command = commands.add_parser(
        "report",
        help="draw the report of a finished benchmark again",
        description="Draw the report of a finished benchmark again, from its tables: report.html, report.md and "
        "figures/ as PDF and PNG in DIR/report. Nothing is computed. Pictures of scans are those of the report that "
        "is there, or drawn anew if --data names the data set of the benchmark.",
    )
    command.add_argument("folder", type=Path, metavar="DIR", help="the --output of `hemocam benchmark`")
    add_case_option(command)
    command.add_argument(
        "--data", type=Path, metavar="DATA", help="the benchmark's data set, to draw scans anew"
    )
    command.add_argument(
        "--model", metavar="NAME_OR_FOLDER", help="the benchmark's model (default: by its name)"
    )
    add_reading_options(command)
    command.set_defaults(run=_run)
    return command


def add_case_option(command: argparse.ArgumentParser) -> None:
    """Add the option that leaves scans out: to every command that makes a report."""
    command.add_argument(
        "--no-cases",
        action="store_true",
        help="report: neither show nor name single scans, the best and the worst",
    )


def make_report(
    output: Path,
    data: DataSet | None = None,
    bundle: Bundle | None = None,
    cases: bool = True,
    progress: Progress = silent,
) -> Path:
    """Write ``output/report``, whole or not at all: a report that is there stays until the new one is finished.

    Parameters
    ----------
    output:
        Of a finished benchmark.
    data, bundle, cases, progress:
        As for :func:`~..report.report.write_report`.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    InputError
        If ``output`` is no finished benchmark, or ``data`` are not its data.
    OutputError
        If the report cannot be written, or ``output/report`` holds what is no report.
    """
    from ..report.report import write_report
    from ..report.source import Benchmarked

    found, name = Benchmarked.read(output), output / NAME
    _check_place(name)
    try:
        for left in output.glob(f"{_STAGING}*"):  # by a run that was killed
            supervise.remove(left)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=output))
    except OSError as error:
        raise OutputError(f"Cannot write to {output} ({error.strerror}); make room, or free it.") from None
    try:
        write_report(found, staging, data, bundle, name if name.is_dir() else None, cases, progress)
        staging.chmod(0o755)
        supervise.give_names([(staging, name)])
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return name / "report.html"


def _check_place(name: Path) -> None:
    """Raise :class:`OutputError` if what bears the report's name is not a report."""
    if not name.exists() and not name.is_symlink():
        return
    if name.is_symlink() or not name.is_dir():
        raise OutputError(f"{name} is not a folder; remove it.")
    strange = sorted(path.name for path in name.iterdir() if path.name not in _OURS)
    if strange:
        raise OutputError(f"{name} holds {strange[0]}, which HemoCAM did not write; move it elsewhere.")


def _run(options: argparse.Namespace, _: list[str]) -> int:
    from .terminal import TerminalProgress

    with TerminalProgress(options.quiet) as progress:
        data, bundle = _sources(options, progress)
        page = make_report(options.folder, data, bundle, not options.no_cases, progress)
    print(f"Look at   {page}")
    return 0


def _sources(options: argparse.Namespace, progress: Progress) -> tuple[DataSet | None, Bundle | None]:
    """The data set and model that were named, checked to be those of the benchmark."""
    from ..models.bundle import Bundle

    if options.data is None:
        return None, Bundle.open(options.model) if options.model else None
    from ..datasets.digest import digest
    from ..datasets.finding import open_data_set
    from ..report.source import Benchmarked

    found = Benchmarked.read(options.folder)
    data = open_data_set(options.data, reading_of(options))
    if digest(data, progress) != found.manifest["data"].get("sha256"):
        raise InputError(
            f"{options.data} is not the data set of this benchmark; give the one it was made of, or leave --data out."
        )
    return data, Bundle.open(options.model or found.plan.model)
