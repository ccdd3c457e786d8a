"""The ``hemocam`` command. Every subcommand parses, calls one function, and prints what it returns."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import __version__
from ..cams.backends import BACKENDS
from ..cams.methods import METHODS
from ..errors import Cancelled, HemoCAMError, OptionError
from . import (
    ablate,
    bench_cam,
    benchmark,
    check,
    classify,
    measure,
    phantom,
    refine,
    report,
    score,
    supervise,
    train,
)

_DESCRIPTION = (
    "Where did a hemorrhage classifier look in a head CT, and was it right? "
    "Research software, not for clinical use."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code (0 done, 2 bad input or option, 3 no output, 130 stopped)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    try:
        return options.run(options, arguments)
    except KeyboardInterrupt:
        _complain(Cancelled())
        return Cancelled.exit_code
    except HemoCAMError as error:
        if options.debug:
            raise
        _complain(error)
        return error.exit_code
    except Exception as error:
        if options.debug:
            raise
        _complain(
            f"Unexpected {type(error).__name__}: {error}. Run again with --debug and report what it prints."
        )
        return 1


def parser() -> argparse.ArgumentParser:
    """Build the command's parser."""
    root = argparse.ArgumentParser(prog="hemocam", description=_DESCRIPTION)
    root.add_argument("--version", action="version", version=f"hemocam {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="analyse one head CT", description="Analyse one head CT.")
    run.add_argument("input", type=Path, metavar="INPUT", help="DICOM folder or file, NIfTI, NRRD, MetaImage")
    run.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    run.add_argument(
        "--reference", type=Path, metavar="FILE", help="labels to compare with (above 0: bleeding)"
    )
    run.add_argument("--series", metavar="UID", help="SeriesInstanceUID, or its end, to take from a folder")
    _analysis_options(run)
    run.set_defaults(run=_run)

    demo = commands.add_parser(
        "demo",
        help="analyse a virtual patient",
        description="Analyse a virtual patient with a known hemorrhage.",
    )
    demo.add_argument("--output", type=Path, default=Path("hemocam-demo"), metavar="DIR")
    _analysis_options(demo)
    demo.set_defaults(run=_run)

    _common(classify.add_to(commands))
    _common(phantom.add_to(commands))
    _common(measure.add_to(commands))
    _common(refine.add_to(commands))
    _common(score.add_to(commands))
    _common(ablate.add_to(commands))
    _common(bench_cam.add_to(commands))
    _common(check.add_to(commands))
    _common(benchmark.add_to(commands))
    _common(report.add_to(commands))

    _common(train.add_to(commands))
    return root


def _analysis_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", metavar="NAME_OR_FOLDER", help="model bundle (default: the one shipped)")
    command.add_argument("--method", choices=list(METHODS), help="CAM method (default: the bundle's)")
    command.add_argument("--stage", type=int, help="network stage, counted from 1 (default: the bundle's)")
    command.add_argument("--target", metavar="CLASS", help="class to explain (default: the bundle's)")
    command.add_argument(
        "--against",
        action="store_true",
        help="show what speaks against the class, not for it (never refined)",
    )
    command.add_argument(
        "--threshold", type=float, help="mask threshold on the shown map, above 0, at most 1"
    )
    command.add_argument(
        "--refine", action=argparse.BooleanOptionalAction,
        help="join the map with the HU under it to the mask, or do not (default: where the model holds a fitted "
        "refinement of its maps, and no --threshold is given)",
    )  # fmt: skip
    command.add_argument("--gate", type=float, help="probability from which a slice is shown")
    command.add_argument(
        "--scale", choices=["gated", "volume", "library"], default="gated",
        help="how raw maps are scaled: one scale for the slices that pass the gate (default), one for the "
        "volume, or each slice stretched to 0..1 as pytorch-grad-cam does",
    )  # fmt: skip
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument(
        "--engine", choices=list(BACKENDS), default=BACKENDS[0],
        help="what computes the maps: HemoCAM's engine (default), the same with ScoreCAM in bfloat16, or "
        "pytorch-grad-cam itself, many times slower",
    )  # fmt: skip
    command.add_argument("--force", action="store_true", help="replace an existing result")
    _common(command)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="no progress")
    command.add_argument("--debug", action="store_true", help="show where an error came from")


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    """``run`` and ``demo``: the parent supervises, the child works."""
    staging = supervise.in_child()
    if staging is None:
        if options.refine and options.threshold is not None:
            raise OptionError(
                "A refined mask is not made by a threshold of the map; leave out --threshold, or --refine."
            )
        if options.command == "run":
            _must_exist(options.input)
            _must_exist(options.reference)
        return supervise.supervise(arguments, options.output, options.force)
    supervise.end_with_parent(staging)
    from ..models.bundle import DEFAULT_MODEL
    from ..pipeline import Options
    from .demo import report as told
    from .demo import run_demo
    from .run import Case, run_case
    from .terminal import TerminalProgress

    wanted = Options(
        options.method,
        options.stage,
        options.target,
        options.threshold,
        options.gate,
        options.scale,
        options.device,
        options.engine,
        options.refine,
        options.against,
    )
    model = options.model or DEFAULT_MODEL
    with TerminalProgress(options.quiet) as progress:
        if options.command == "demo":
            result = run_demo(Case(Path(), model=model, options=wanted), staging, progress)
        else:
            case = Case(options.input, options.reference, model, options.series, wanted)
            result = run_case(case, staging, progress)
    print(told(result, options.output))
    return 0


def _must_exist(path: Path | None) -> None:
    from ..errors import InputError

    if path is not None and not path.exists():
        raise InputError(f"There is no file or folder {path}; check the path.")


def _complain(error: object) -> None:
    print(f"hemocam: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
