"""The packages' side that knows Slicer's application: its pip, its PyTorch extension, its settings."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .child import ChildFailed, Watch
from .install import Packages
from .pending import MemorySettings, Settings
from .pip import ChildPip, Pip
from .troubles import PackageError, Trouble


def slicer_packages(requirements: Path | None = None) -> Packages:
    """Make the packages' step for the running Slicer.

    Parameters
    ----------
    requirements:
        The requirements file: the module's ``resourcePath("requirements.txt")``; by default found beside the library.
    """
    return Packages(find_pip(), SlicerTorch.find(), find_settings(), requirements=requirements)


def find_pip() -> Pip:
    """Slicer's own pip function, or pip in a child process where there is none."""
    import slicer

    install = _slicer_pip(slicer)
    return SlicerPip(install) if install else ChildPip(shutil.which("PythonSlicer") or sys.executable)


def _slicer_pip(slicer: Any) -> Callable[..., object] | None:
    """``slicer.packaging.pip_install`` of Slicer 5.12, else ``slicer.util.pip_install``, else None."""
    try:
        from slicer.packaging import pip_install
    except ImportError:
        if not hasattr(slicer, "app"):
            return None  # Slicer's libraries without the application: no PythonSlicer to run
        return getattr(slicer.util, "pip_install", None)
    return lambda arguments: pip_install(arguments, blocking=True, show_progress=False)


class SlicerPip:
    """pip through Slicer's own function, followed line by line.

    Parameters
    ----------
    install:
        Takes a list of arguments, raises CalledProcessError.
    """

    def __init__(self, install: Callable[..., object]) -> None:
        self._install = install

    def install(self, arguments: Sequence[str], watch: Watch) -> None:
        """Run Slicer's ``pip_install`` with these arguments."""
        _check_free()
        with followed(watch):
            try:
                self._install(list(arguments))
            except subprocess.CalledProcessError as failure:
                raise ChildFailed(failure.returncode, watch.text) from failure


def _check_free() -> None:
    """Raise where another installation runs in the background: two at once can spoil a Python."""
    running = getattr(sys.modules.get("slicer.packaging"), "isPipInstallInProgress", None)
    if running and running():
        raise PackageError(
            Trouble.BUSY,
            "Another extension is installing packages just now; wait until it is done, and press Apply again.",
        )


class SlicerTorch:
    """torch and torchvision through the PyTorch extension, whose module is PyTorchUtils."""

    @classmethod
    def find(cls) -> SlicerTorch | None:
        """Return the installer where the extension is installed, else None; imports nothing."""
        loaded = "PyTorchUtils" in sys.modules
        return cls() if loaded or importlib.util.find_spec("PyTorchUtils") else None

    def install(self, torch: str, torchvision: str, constraints: Path, watch: Watch) -> None:
        """Have the extension install both, with the constraints in force in its child processes, too."""
        import PyTorchUtils

        _check_free()
        logic = PyTorchUtils.PyTorchUtilsLogic()
        wishes = {
            "askConfirmation": False,  # the one dialog has asked
            "torchVersionRequirement": torch,
            "torchvisionVersionRequirement": torchvision,
        }
        known = inspect.signature(logic.installTorch).parameters  # early releases lack the last
        with constrained(constraints), followed(watch):
            try:
                logic.installTorch(**{name: wish for name, wish in wishes.items() if name in known})
            except subprocess.CalledProcessError as failure:
                raise ChildFailed(failure.returncode, watch.text) from failure


@contextlib.contextmanager
def constrained(constraints: Path) -> Iterator[None]:
    """Have every pip that is started meanwhile keep to a constraints file.

    As a file URL, because pip splits the variable at blanks, and user names have them.
    """
    before = os.environ.get("PIP_CONSTRAINT")
    os.environ["PIP_CONSTRAINT"] = " ".join(filter(None, (before, constraints.resolve().as_uri())))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PIP_CONSTRAINT", None)
        else:
            os.environ["PIP_CONSTRAINT"] = before


@contextlib.contextmanager
def followed(watch: Watch) -> Iterator[None]:
    """Follow the child processes that ``slicer.util`` runs meanwhile.

    Slicer waits for each line of a child and is deaf until it comes, which for a download is minutes; and it keeps
    no hold of the child. So its function that reads a child's output stands aside for one that does the same and
    listens to ``watch`` in between. Where Slicer has no such function, its own way is kept.
    """
    import slicer

    util = slicer.util
    own = getattr(util, "logProcessOutput", None)

    def follow(process: subprocess.Popen[str], logCallback: Callable[[str], None] | None = None) -> None:
        told = len(watch.lines)
        code = watch.follow(process)
        for line in watch.lines[told:]:
            if logCallback:
                logCallback(line)
        if code:
            raise subprocess.CalledProcessError(code, process.args, output="\n".join(watch.lines[told:]))

    with contextlib.redirect_stdout(_Tee(sys.stdout, watch)):
        if own is not None:
            util.logProcessOutput = follow
        try:
            yield
        finally:
            if own is not None:
                util.logProcessOutput = own


class _Tee:
    """A stream that also notes its lines: what a child of Slicer's that is followed by no one prints."""

    def __init__(self, stream: Any, watch: Watch) -> None:
        self._stream = stream
        self._watch = watch
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        self._watch.lines += lines
        if self._stream is not None:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if hasattr(self._stream, "flush"):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def find_settings() -> Settings:
    """Slicer's settings of this installation; without the application, settings that end with the process."""
    import slicer

    application = getattr(slicer, "app", None)
    for name in (
        "revisionUserSettings",
        "userSettings",
    ):  # packages belong to an installation, so do the notes
        if hasattr(application, name):
            return SlicerSettings(getattr(application, name)())
    return MemorySettings()


class SlicerSettings:
    """Texts in a QSettings of the application.

    Parameters
    ----------
    settings:
        The QSettings.
    """

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def get(self, key: str) -> str | None:
        """Return the text, or None."""
        value = self._settings.value(key)
        return str(value) if value else None

    def set(self, key: str, value: str) -> None:
        """Keep a text, on disk when this returns."""
        self._settings.setValue(key, value)
        self._settings.sync()

    def remove(self, key: str) -> None:
        """Forget a text."""
        self._settings.remove(key)
        self._settings.sync()


def restart() -> None:
    """Restart Slicer. It does not ask about unsaved data: ask first."""
    import slicer

    slicer.util.restart()
