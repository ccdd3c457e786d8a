"""One installer's run: its lines as progress, its failure as one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..progress import Progress
from .child import WRITING, ChildFailed, Watch
from .plan import Plan
from .troubles import PackageError, Trouble, explain
from .versions import canonical


def guarded(run: Callable[[Watch], None], report: Report) -> None:
    """Run one installer; its failure becomes one sentence."""
    watch = Watch(report)
    try:
        run(watch)
    except ChildFailed as failure:
        watch.check()  # a failure because it was stopped
        raise explain(failure.output, failure.code) from failure
    except (ImportError, OSError) as failure:
        watch.check()
        raise import_failure(failure) from failure
    watch.check()


def import_failure(failure: BaseException) -> PackageError:
    """Say in one sentence why an installed package does not load; for errors of ``import torch`` and the like."""
    reason = str(failure).splitlines()[0] if str(failure) else type(failure).__name__
    if "torchvision::" in reason:
        return PackageError(
            Trouble.MISMATCH,
            "torch and torchvision do not belong together; open the module PyTorch Utils, press Uninstall PyTorch, "
            "restart Slicer, and press Apply again.",
            str(failure),
        )
    return PackageError(
        Trouble.BROKEN,
        f"A package is installed and does not load ({reason}); restart Slicer, and if that does not help, press "
        f"Uninstall PyTorch in the module PyTorch Utils, restart, and press Apply again.",
        str(failure),
    )


class Report:
    """Turn pip's lines into progress: one step a package collected, never backwards."""

    _LINE = re.compile(r"\s*(Collecting|Downloading|Using cached|Processing|Building wheel for) (\S+)")

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._progress = progress
        self._total = plan.size.count + 1
        self._seen: set[str] = set()
        self._phase = "Starting the installation"

    def __call__(self, line: str | None) -> None:
        """Take a line, or None in between."""
        found = self._LINE.match(line or "")
        if found:
            word, what = found.groups()
            if word == "Collecting":
                self._seen.add(canonical(re.split(r"[\[<>=!~;@]", what)[0]))
                self._phase = f"Looking for {what}"
            elif word == "Building wheel for":
                self._phase = f"Packing {what}"
            else:
                name, version = _file_name(what)
                self._seen.add(canonical(name))
                self._phase = (
                    f"{'Downloading' if word == 'Downloading' else 'Taking'} {name} {version}".rstrip()
                )
        elif line and line.startswith(WRITING):
            self._phase = "Writing the packages to disk"
        self._progress(self._phase, min(len(self._seen), self._total - 1), self._total)

    def finish(self) -> None:
        """Tell that it is done."""
        self._progress("Checking the packages", self._total, self._total)


def _file_name(address: str) -> tuple[str, str]:
    """Name and version in a distribution's address or path: ``torch`` and ``2.6.0`` of .../torch-2.6.0-py3...whl."""
    name, _, rest = re.split(r"[/\\]", address)[-1].partition("-")
    return name, re.sub(r"\.tar\.gz$|\.zip$|\.metadata$", "", rest.split("-")[0])
