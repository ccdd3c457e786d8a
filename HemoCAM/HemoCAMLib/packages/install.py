"""The packages' way from missing to installed: the one class that the panel talks to."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..progress import Progress, silent
from . import checks, pending
from .constraints import write_constraints
from .pip import Pip, TorchInstaller, arguments
from .plan import Plan, is_there, make_plan
from .report import Report, guarded
from .requirements import ANALYSIS, SLICER, Need, read_needs
from .site import Site, changes
from .sizes import Total
from .troubles import PackageError, Trouble
from .versions import requirement


@dataclass(frozen=True)
class Outcome:
    """What an installation did.

    Parameters
    ----------
    installed:
        Name: version of what is new, dependencies included.
    changed:
        Name: (version before, version after or None) of what was there before and is not the same now; empty
        unless something went around the constraints.
    restart:
        Whether the application has to be restarted before the packages can be used.
    text:
        One sentence for the user.
    """

    installed: dict[str, str]
    changed: dict[str, tuple[str, str | None]]
    restart: bool
    text: str


class Packages:
    """What HemoCAM needs from Slicer's Python: looked at, planned, installed.

    Parameters
    ----------
    pip:
        Installs all but torch and torchvision.
    torch:
        Installs those two; None where the PyTorch extension is not installed.
    settings:
        Keeps the step that waits for a restart.
    requirements:
        The requirements file; the module's own by default.
    site:
        What is installed; this Python by default.
    modules:
        The loaded modules; ``sys.modules`` by default.
    """

    def __init__(
        self,
        pip: Pip,
        torch: TorchInstaller | None,
        settings: pending.Settings,
        *,
        requirements: Path | None = None,
        site: Site | None = None,
        modules: Mapping[str, object] | None = None,
    ) -> None:
        self._pip = pip
        self._torch = torch
        self._settings = settings
        self._needs = read_needs(requirements)
        self._site = site or Site()
        self._modules = sys.modules if modules is None else modules

    def needs(self, features: Sequence[str] = (ANALYSIS,)) -> list[Need]:
        """All that these features need; what Slicer brings is always among it."""
        return [need for need in self._needs if need.feature in (SLICER, *features)]

    def missing(self, features: Sequence[str] = (ANALYSIS,)) -> list[Need]:
        """Which of it is not installed; takes a tenth of a second and imports nothing."""
        return [need for need in self.needs(features) if not is_there(need, self._site)]

    def plan(self, features: Sequence[str] = (ANALYSIS,)) -> Plan:
        """Decide what to install; empty where nothing is missing.

        Raises
        ------
        PackageError
            Where no installation would help: something is there in a version that does not fit, torch and
            torchvision do not match, this session must be restarted first, or the PyTorch extension is missing
            (the last two are remembered).
        """
        for error in checks.conflicts(self.needs(features), self._site):
            raise error
        error = checks.stale(self._site, self._modules)
        if error:
            pending.remember(self._settings, features, error.trouble)
            raise error
        missing = self.missing(features)
        if not missing:
            return Plan(tuple(features), (), Total(0, 0, 0), {})
        plan = make_plan(features, missing, self._site)
        if plan.torch and self._torch is None:
            pending.remember(self._settings, features, Trouble.EXTENSION)
            raise PackageError(
                Trouble.EXTENSION,
                "HemoCAM needs Slicer's PyTorch extension; install PyTorch from the Extensions Manager, restart "
                "Slicer, and open HemoCAM: the installation goes on there.",
            )
        return plan

    def ensure(
        self, ask: Callable[[Plan], bool], features: Sequence[str] = (ANALYSIS,), progress: Progress = silent
    ) -> Outcome:
        """Do the whole step: check, plan, ask once, install.

        For every Apply: where nothing is missing it only checks that what is there goes together, in a tenth of a
        second, and asks nothing.

        Parameters
        ----------
        ask:
            Shows ``plan.text`` and returns whether the user agrees.

        Raises
        ------
        PackageError, Cancelled
            As :meth:`plan` and :meth:`install`; with ``Trouble.DECLINED`` if the user does not agree.
        """
        plan = self.plan(features)
        if not plan.empty and not ask(plan):
            self._settings.remove(pending.KEY)
            raise PackageError(
                Trouble.DECLINED,
                f"HemoCAM cannot analyse without {', '.join(plan.names)}; press Apply again when you want to install "
                f"them.",
            )
        return self.install(plan, progress)

    def install(self, plan: Plan, progress: Progress = silent) -> Outcome:
        """Install what the user agreed to.

        Parameters
        ----------
        plan:
            From :meth:`plan`.
        progress:
            Called with each line that pip prints and about 20 times a second in between. When it raises
            :class:`~..errors.Cancelled`, pip is stopped at once while it downloads, and when it writes, as soon as
            what it writes is whole.

        Raises
        ------
        PackageError
            With the reason in one sentence; what was there before is unchanged, and what is new and whole stays.
        """
        if plan.empty:
            self._settings.remove(pending.KEY)
            return Outcome({}, {}, False, "All packages are there.")
        error = checks.room(plan, self._site)
        if error:
            raise error
        loaded = set(self._modules)
        before = self._site.snapshot()
        pending.remember(self._settings, plan.features, Trouble.UNKNOWN)  # the application may end amid it
        try:
            self._run(plan, progress)
            outcome = self._verify(plan, before, loaded)
        except PackageError as failure:
            self._settings.remove(pending.KEY)
            if failure.trouble is Trouble.RESTART:
                pending.remember(self._settings, plan.features, Trouble.RESTART)
            changed = changes(before, self._site.snapshot())
            if changed:
                sentence = f"{str(failure).rstrip('.')}; besides, an installer changed {_told(changed)}."
                raise PackageError(failure.trouble, sentence, failure.log) from failure
            raise
        except BaseException:
            self._settings.remove(pending.KEY)
            raise
        self._settings.remove(pending.KEY)
        if outcome.restart:
            pending.remember(self._settings, plan.features, Trouble.RESTART)
        return outcome

    def pending(self) -> pending.Pending | None:
        """Return the step that waits for a restart, or None."""
        return pending.recall(self._settings)

    def resume(self) -> Plan | None:
        """Go on after a restart: the plan to ask for, or None where nothing waits or nothing is left to do.

        Raises
        ------
        PackageError
            As :meth:`plan`: the extension is still missing, say.
        """
        waiting = self.pending()
        if waiting is None:
            return None
        plan = self.plan(waiting.features)
        if plan.empty:
            self._settings.remove(pending.KEY)
            return None
        return plan

    def forget(self) -> None:
        """Let the step that waits go: the user does not want it any more."""
        self._settings.remove(pending.KEY)

    def _run(self, plan: Plan, progress: Progress) -> None:
        """Run the installers one after the other, each with constraints that hold all that is there by then."""
        report = Report(plan, progress)
        with tempfile.TemporaryDirectory(prefix="hemocam-") as folder:
            if plan.torch and self._torch is not None:
                versions = [str(requirement(text).specifier) for text in plan.torch]
                pins = write_constraints(self._site, Path(folder))
                installer = self._torch
                guarded(lambda watch: installer.install(*versions, pins, watch), report)
            alone = tuple(need.text for need in plan.needs if need.name in plan.alone)
            for texts in filter(None, (plan.pip, alone)):
                pins = write_constraints(self._site, Path(folder))
                given = arguments(texts, pins, alone=texts is alone)
                guarded(lambda watch, given=given: self._pip.install(given, watch), report)
        report.finish()

    def _verify(self, plan: Plan, before: dict[str, str], loaded: set[str]) -> Outcome:
        """Look again: is all there, does it match, and is what was there the same?"""
        after = self._site.snapshot()
        changed = changes(before, after)
        installed = {name: version for name, version in after.items() if name not in before}
        missing = self.missing(plan.features)
        if missing:
            names = ", ".join(need.name for need in missing)
            raise PackageError(
                Trouble.UNKNOWN,
                f"The installers ended without an error, and {names} is still not there; restart Slicer and press "
                f"Apply again.",
            )
        for error in checks.conflicts(self.needs(plan.features), self._site):
            raise error
        tops = self._site.modules_of([*changed, *installed])
        in_use = sorted(name for name, modules in tops.items() if modules & loaded)
        text = f"Installed {', '.join(plan.names)}; what Slicer had is unchanged."
        if changed:
            text = (
                f"Installed {', '.join(plan.names)}; against HemoCAM's constraints, an installer changed "
                f"{_told(changed)}: reinstall Slicer if something else stops working."
            )
        restart = bool(changed) or bool(in_use)
        if restart:
            text += " Restart Slicer to use them, and open HemoCAM again."
        return Outcome(installed, changed, restart, text)


def _told(changed: Mapping[str, tuple[str, str | None]]) -> str:
    """``numpy from 1.26.4 to 2.0``, for each."""
    return ", ".join(f"{name} from {was} to {now or 'nothing'}" for name, (was, now) in changed.items())
