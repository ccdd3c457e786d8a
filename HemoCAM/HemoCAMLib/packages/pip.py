"""Installers: what they promise, pip in a child process, and the arguments that pip gets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .child import ChildFailed, Watch
from .requirements import SOURCE_ONLY


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


def arguments(requirements: Sequence[str], constraints: Path, *, alone: bool = False) -> list[str]:
    """Arguments of ``pip install``.

    All in one call, so that pip either finds versions for all before it writes anything, or refuses. Only wheels
    are taken, so nothing is compiled on any computer; the exceptions are packages that are published as source
    only and are pure Python, for which pip fetches setuptools into a temporary folder.

    Parameters
    ----------
    requirements:
        What to install.
    constraints:
        The file of :func:`~.constraints.write_constraints`.
    alone:
        Leave out dependencies, which are there then.
    """
    wheels = ["--only-binary", ":all:", "--no-binary", ",".join(SOURCE_ONLY)]
    return [*_QUIET, *wheels, *(["--no-deps"] if alone else []), "-c", str(constraints), *requirements]
