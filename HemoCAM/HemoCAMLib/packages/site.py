"""What a Python has installed, read from metadata: nothing is imported, torch would take seconds."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .versions import canonical, requirement


class Site:
    """The distributions on a search path.

    Parameters
    ----------
    path:
        Folders to look in; by default this process's ``sys.path``, looked at anew at each question.
    folder:
        Where pip installs; by default this Python's ``site-packages``.
    """

    def __init__(self, path: Sequence[str] | None = None, folder: Path | None = None) -> None:
        self.path = None if path is None else list(path)
        self.folder = Path(folder or (path[0] if path else sysconfig.get_paths()["purelib"]))

    def snapshot(self) -> dict[str, str]:
        """Canonical name: version of every distribution; empty where its metadata states no version.

        Where a name is there twice, the first on the path counts, which is the one that an import finds.
        """
        found: dict[str, str] = {}
        for distribution in self._distributions():
            found.setdefault(canonical(distribution.metadata["Name"]), distribution.version or "")
        return found

    def version(self, name: str) -> str | None:
        """Installed version of a distribution, or None where it is absent."""
        distribution = self._find(name)
        return None if distribution is None else distribution.version or ""

    def requires(self, name: str) -> dict[str, Any]:
        """Canonical name: requirement, of all that an installed distribution needs here, extras left out."""
        distribution = self._find(name)
        needed = [requirement(text) for text in (distribution.requires or [] if distribution else [])]
        return {canonical(r.name): r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})}

    def has_module(self, name: str) -> bool:
        """Whether a top-level module can be imported, whatever brought it; it is not imported."""
        importlib.invalidate_caches()
        try:
            spec = importlib.machinery.PathFinder.find_spec(name, self.path)
        except (ImportError, ValueError):
            return False
        return spec is not None and spec.origin is not None  # a folder without code has no origin

    def modules_of(self, names: Sequence[str]) -> dict[str, set[str]]:
        """Top-level modules of each of these distributions, as far as their file lists tell."""
        wanted = {canonical(name) for name in names}
        found: dict[str, set[str]] = {name: set() for name in wanted}
        for distribution in self._distributions():
            name = canonical(distribution.metadata["Name"])
            for file in distribution.files or () if name in wanted else ():
                top = file.parts[0]
                if not top.endswith((".dist-info", ".egg-info", ".data")) and top not in (
                    "..",
                    "__pycache__",
                ):
                    found[name].add(top.split(".")[0])
        return found

    def _find(self, name: str) -> importlib.metadata.Distribution | None:
        wanted = canonical(name)
        found = self._distributions(name=name)  # by name, only that one's metadata is read
        return next((d for d in found if canonical(d.metadata["Name"]) == wanted), None)

    def _distributions(self, **where: Any) -> Iterator[importlib.metadata.Distribution]:
        importlib.invalidate_caches()
        if self.path is not None:
            where["path"] = self.path
        for distribution in importlib.metadata.distributions(**where):
            folder = getattr(distribution, "_path", None)
            if folder is not None and folder.name.startswith("~"):
                continue  # what an interrupted removal by pip left behind
            if distribution.metadata is not None and distribution.metadata["Name"]:
                yield distribution


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
    """Name: (version before, version after or None) of what was there before and is not the same now."""
    return {name: (was, after.get(name)) for name, was in before.items() if after.get(name) != was}
