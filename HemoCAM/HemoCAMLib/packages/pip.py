"""Installers: what they promise, pip in a child process, and the arguments that pip gets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .child import ChildFailed, Watch


class Pip(Protocol):
    """Runs ``pip install``."""

    def install(self, arguments: Sequence[str], watch: Watch) -> None:
        """Run it with these arguments in a child process that ``watch`` follows; raise ChildFailed if it fails."""


class TorchInstaller(Protocol):
    """Installs torch and torchvision in versions that match each other and this computer."""

    def install(self, torch: str, torchvision: str, constraints: Path, watch: Watch) -> None:
        """Install both; the first two are requirements without the name, such as ``>=2.6``.

        Raises ChildFailed if pip fails, ImportError or OSError if torch is there and does not load.
        """


class ChildPip:
    """pip of one Python, in a child process.

    Parameters
    ----------
    python:
        The interpreter; by default the running one.
    environment:
        Environment of the child; by default this process's.
    """

    def __init__(
        self, python: str | Path = sys.executable, environment: Mapping[str, str] | None = None
    ) -> None:
        self.python = str(python)
        self.environment = environment

    def install(self, arguments: Sequence[str], watch: Watch) -> None:
        """Run ``python -m pip install`` with these arguments."""
        environment = {**(os.environ if self.environment is None else self.environment)}
        environment["PYTHONIOENCODING"] = "utf-8"
        process = subprocess.Popen(
            [self.python, "-m", "pip", "install", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        with process:
            code = watch.follow(process)
        if code:
            raise ChildFailed(code, watch.text)


# No question may wait for an answer that nobody can give, and no bar is drawn into a pipe.
_QUIET = ("--no-input", "--progress-bar", "off", "--disable-pip-version-check", "--no-warn-script-location")


def wheel_arguments(requirements: Sequence[str], constraints: Path) -> list[str]:
    """Arguments for packages with their dependencies, wheels only: nothing is compiled, on no computer."""
    return [*_QUIET, "--only-binary", ":all:", "-c", str(constraints), *requirements]


def source_arguments(requirements: Sequence[str], constraints: Path) -> list[str]:
    """Arguments for packages that are published as source only, each pure Python, so no compiler is needed.

    Their dependencies are left out, because they are needs of their own and there already: so pip can neither
    bring a second OpenCV over one that Slicer has, nor build anything but these.
    """
    return [*_QUIET, "--no-deps", "-c", str(constraints), *requirements]
