"""All or nothing: the work runs in a child process, and only a whole result gets its name.

The parent holds no data. It makes a hidden folder beside the output, starts the child, and waits. On success
it renames the folder, or what the child left in it; on failure, Ctrl-C or a crash it ends the child and removes
the folder. So a stop takes effect at once even inside a long call into a compiled library, and a child that the
system kills for lack of memory leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import Cancelled, HemoCAMError, OutputError

STAGING = "HEMOCAM_STAGING"
# All that a result may hold: --force removes nothing else.
RESULTS = {
    "scene.mrb",
    "heatmap.nrrd",
    "heatmap_raw.nrrd",
    "segmentation.seg.nrrd",
    "slices.csv",
    "comparison.csv",
    "summary.json",
    "review.png",
    "input",
}


def check_output(output: Path, force: bool | None) -> None:
    """Raise :class:`OutputError` if ``output`` may not be written; ``force`` is None where there is no option."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise OutputError(f"{output} is not a folder; choose another --output.")
    if output.exists() and any(output.iterdir()):
        if not force:
            forcing = "" if force is None else ", or replace it with --force"
            raise OutputError(f"{output} exists; choose another --output{forcing}.")
        strange = sorted(p.name for p in output.iterdir() if p.name not in RESULTS)
        if strange or not (output / "summary.json").is_file():
            what = (
                f"holds {strange[0]}, which HemoCAM did not write" if strange else "is not a HemoCAM result"
            )
            raise OutputError(f"{output} {what}, so --force will not replace it; choose another --output.")


def in_child() -> Path | None:
    """The staging folder if this process is a supervised child, else None."""
    value = os.environ.get(STAGING)
    return Path(value) if value else None


def supervise(arguments: list[str], output: Path, force: bool | None) -> int:
    """Run ``hemocam ARGUMENTS`` in a child and give its result, a folder, the name ``output``.

    Returns the child's exit code: 0 when ``output`` is there, whole. Errors as in :func:`run_staged`.
    """
    output = output.absolute()
    check_output(output, force)

    def deliver(staging: Path) -> None:
        check_output(output, force)
        staging.chmod(0o777 & ~_umask())
        give_names([(staging, output)])

    return run_staged(arguments, output, deliver)


def run_staged(arguments: list[str], output: Path, deliver: Callable[[Path], None]) -> int:
    """Run ``hemocam ARGUMENTS`` in a child that fills a hidden folder beside ``output``.

    ``deliver`` is called with that folder once the child has ended well; what it leaves there is removed.
    Returns the child's exit code.

    Raises
    ------
    OutputError
        If ``output`` may not be written, or cannot be.
    Cancelled
        On Ctrl-C or a termination signal.
    HemoCAMError
        If the system ended the child.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".hemocam-", dir=output.parent))
    except OSError as error:
        raise OutputError(
            f"Cannot write beside {output} ({error.strerror}); choose another --output."
        ) from None
    try:
        code = _wait([sys.executable, "-m", "HemoCAMLib.doors.cli", *arguments], staging)
        if code < 0 or code > 128:
            raise HemoCAMError(
                f"The system ended the work (signal {-code if code < 0 else code - 128}), "
                f"probably for lack of memory; nothing was written."
            )
        if code == 0:
            deliver(staging)
        return code
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _wait(command: list[str], staging: Path) -> int:
    """Run ``command``; end it and raise :class:`Cancelled` when this process is told to stop."""
    environment = {**os.environ, STAGING: str(staging)}
    # a group of its own: Ctrl-C in the terminal reaches the parent only, which then ends the child
    if os.name == "nt":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    else:
        group = {"start_new_session": True}
    stop = threading.Event()
    previous = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and threading.current_thread() is threading.main_thread():
            previous[number] = signal.signal(number, lambda *_: stop.set())
    # the child reads its standard input only to notice that the parent has gone
    child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, **group)
    try:
        while child.poll() is None and not stop.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.1)
        if stop.is_set():
            raise Cancelled
        return child.returncode
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        child.stdin.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


def give_names(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Rename each new file or folder to its name, all or none; what stood there is removed only afterwards.

    Raises
    ------
    OutputError
        If one cannot be renamed; then all is as it was.
    """
    done: list[tuple[Path, Path | None]] = []
    try:
        for new, name in pairs:
            old = name.with_name(f".hemocam-{os.getpid()}-{name.name}") if name.exists() else None
            if old is not None:
                name.rename(old)
            done.append((name, old))
            new.rename(name)
    except OSError as error:
        for name, old in reversed(done):
            remove(name)
            if old is not None:
                old.rename(name)
        raise OutputError(f"The result could not be moved to {name} ({error.strerror}).") from None
    for _, old in done:
        if old is not None:
            remove(old)


def bring_beside(new: Path, name: Path) -> Path:
    """Move a file or folder under a hidden name beside ``name``, from another disk, too; return where it is."""
    beside = name.with_name(f"{new.parent.name}-{name.name}")
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(new, beside)
    except OSError as error:
        remove(beside)
        raise OutputError(f"Cannot write beside {name} ({error.strerror}).") from None
    return beside


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; say nothing if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def end_with_parent(staging: Path) -> None:
    """In the child: when the parent has gone, remove the staging folder and end."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while sys.stdin.buffer.raw.read(1):
                pass
        time.sleep(0.2)  # a parent that stops in order ends this process itself
        shutil.rmtree(staging, ignore_errors=True)
        os._exit(Cancelled.exit_code)

    threading.Thread(target=watch, daemon=True).start()
