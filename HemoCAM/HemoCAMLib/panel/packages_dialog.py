"""What has to be installed before the first run: asked in one dialog, done by :mod:`~..packages`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, HemoCAMError
from ..packages import ANALYSIS, Outcome, PackageError, Packages, Plan, Trouble
from ..packages.slicer_app import restart, slicer_packages
from ..progress import Progress


class PackagesDialog:
    """Asks once, shows how the installation goes, and says what came of it.

    Parameters
    ----------
    packages:
        What installs.
    """

    def __init__(self, packages: Packages) -> None:
        self._packages = packages
        self._resumed = False
        self.outcome = ""

    def ready(self, features: Sequence[str] = (ANALYSIS,)) -> bool:
        """Return whether all packages are there and go together; ask, and install, if not.

        ``outcome`` then says why not. Takes a tenth of a second where nothing is to be done.
        """
        self.outcome = ""
        return self._attempt(lambda progress: self._packages.ensure(self._ask, features, progress), features)

    def resume(self) -> None:
        """Go on with an installation that waited for a restart, once a session; asks again before it does."""
        self.outcome = ""
        waiting = self._packages.pending()
        if waiting is None or self._resumed:
            return
        self._resumed = True
        try:
            plan = self._packages.resume()
        except PackageError as error:
            self.outcome = str(error)
            if error.trouble is not waiting.waits_for:  # the user knows what it still waits for
                self._tell(error)
            return
        if plan is None:
            return
        if self._ask(plan):
            self._attempt(lambda progress: self._packages.install(plan, progress), plan.features)
        else:
            self._packages.forget()

    def _ask(self, plan: Plan) -> bool:
        return slicer.util.confirmOkCancelDisplay(plan.text, windowTitle="HemoCAM")

    def _attempt(self, work: Callable[[Progress], Outcome], features: Sequence[str]) -> bool:
        window = None  # only an installation shows itself

        def progress(phase: str, done: int, total: int) -> None:
            nonlocal window
            if window is None:
                window = slicer.util.createProgressDialog(labelText=phase, windowTitle="HemoCAM", maximum=0)
            window.maximum = max(total, 0)
            window.value = done
            window.labelText = phase
            slicer.app.processEvents()
            if window.wasCanceled:
                raise Cancelled(_("The installation was stopped; what Slicer had is unchanged."))

        try:
            done = work(progress)
        except Cancelled as stopped:
            self.outcome = str(stopped)
            return False
        except HemoCAMError as error:
            self._tell(error)
            return False
        except Exception as error:
            logging.exception("HemoCAM could not install its packages")
            self.outcome = _("The packages could not be installed ({error}); see the Python console.").format(
                error=error
            )
            slicer.util.errorDisplay(self.outcome, windowTitle="HemoCAM")
            return False
        finally:
            if window is not None:
                window.close()
                window.deleteLater()
        self.outcome = done.text
        if done.restart:
            self._offer_restart(done.text)
            return False
        return not self._packages.missing(features)

    def _tell(self, error: HemoCAMError) -> None:
        self.outcome = str(error)
        trouble = getattr(error, "trouble", None)
        if trouble is Trouble.DECLINED:  # the user has just said so
            return
        if trouble is Trouble.RESTART:
            self._offer_restart(self.outcome)
            return
        details = {"detailedText": error.log} if isinstance(error, PackageError) and error.log else {}
        slicer.util.errorDisplay(self.outcome, windowTitle="HemoCAM", **details)

    def _offer_restart(self, sentence: str) -> None:
        question = _("{sentence}\n\nRestart Slicer now? Save your work first.").format(sentence=sentence)
        if not slicer.app.testingEnabled() and slicer.util.confirmOkCancelDisplay(
            question, windowTitle="HemoCAM"
        ):
            restart()


def make_packages() -> Packages:
    """Return the way to packages of the application that runs."""
    return slicer_packages()
