"""Constraints that make pip refuse rather than replace: every installed distribution at its exact version."""

from __future__ import annotations

from pathlib import Path

from .site import Site
from .versions import usable

# Modules that Slicer builds itself, and the distribution that pip would install over them: where one is there
# without metadata, pip does not see it, so it is told that no version will do.
GUARDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "SimpleITK": "simpleitk",
    "vtk": "vtk",
    "requests": "requests",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
}


def pins(site: Site) -> list[str]:
    """Lines of a constraints file: ``name==version`` each, sorted.

    A distribution without a version that ``==`` takes is left out, because pip would reject the whole file.
    One that was installed from a folder or a URL is pinned as well: pip keeps what is there and fits.
    """
    there = site.snapshot()
    lines = [f"{name}=={version}" for name, version in there.items() if usable(version)]
    lines += [
        f"{name}<0"
        for module, name in GUARDED.items()
        if name not in there and not _brought(module, there) and site.has_module(module)
    ]
    return sorted(lines)


def _brought(module: str, there: dict[str, str]) -> bool:
    """Whether a distribution that is pinned brings the module under another name."""
    return module == "cv2" and any(name.startswith("opencv-") for name in there)


def write_constraints(site: Site, folder: Path) -> Path:
    """Write the constraints file into an existing folder and return its path."""
    path = folder / "constraints.txt"
    path.write_text("".join(f"{line}\n" for line in pins(site)), encoding="utf-8")
    return path
