"""Child processes whose output is followed line by line, and which can be stopped while that is harmless."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import IO

# pip says this when it begins to write into site-packages; all before went to temporary folders.
WRITING = "Installing collected packages"
WRITTEN = ("Successfully installed", "ERROR:")

Heard = Callable[[str | None], None]


class ChildFailed(Exception):  # noqa: N818  (no end user sees it)
    """A child process ended with another code than 0."""

    def __init__(self, code: int, output: str) -> None:
        super().__init__(f"exit code {code}")
        self.code = code
        self.output = output


class Watch:
    """Follow the child processes of one installation.

    Parameters
    ----------
    heard:
        Called with each line, and with None about 20 times a second in between, in the thread that follows, so
        that it may keep a window alive. What it raises stops the child: at once while nothing is written, else
        when what is being written is whole.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._stop: BaseException | None = None
        self.writing = False
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        """All lines so far."""
        return "\n".join(self.lines)

    def follow(self, process: subprocess.Popen[str]) -> int:
        """Read a child's output to its end and return its exit code; raise what ``heard`` raised."""
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        going = True
        while going:
            try:
                line = lines.get(timeout=0.05)  # waits without the interpreter lock, so that the reader runs
                going = line is not None
            except queue.Empty:
                line = None
            self.hear(line)
            if self._stop is not None and not self.writing:
                _end(process)
                break
        code = process.wait()
        self.writing = False
        if self._stop is not None:
            raise self._stop
        return code

    def hear(self, line: str | None) -> None:
        """Take one line, or None where there was none; what ``heard`` raises is kept for ``follow``."""
        if line is not None:
            self.lines.append(line)
            if WRITING in line:
                self.writing = True
            elif line.lstrip().startswith(WRITTEN):
                self.writing = False
        try:
            self._heard(line)
        except BaseException as stop:  # KeyboardInterrupt too: the child must not be left alone
            self._stop = self._stop or stop

    def check(self) -> None:
        """Raise what stopped the work, if it was stopped while nobody followed a child."""
        if self._stop is not None:
            raise self._stop


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    while True:
        try:
            line = stream.readline()
        except UnicodeDecodeError:  # a child that prints in another code page
            continue
        except ValueError:  # closed
            break
        if not line:
            break
        lines.put(line.rstrip())
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """End a child: as Ctrl-C does, so that pip removes its temporary files, then by force."""
    ways = [process.terminate, process.kill]
    if os.name != "nt":
        ways.insert(0, lambda: process.send_signal(signal.SIGINT))
    for way in ways:
        with contextlib.suppress(OSError):
            way()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
