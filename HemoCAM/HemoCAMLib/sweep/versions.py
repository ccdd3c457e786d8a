"""Whether two processes run the same software: only then do they give the same digits."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from .. import __version__

_PACKAGES = ("numpy", "pyarrow", "scipy", "SimpleITK", "timm", "torch")


def versions() -> dict[str, str]:
    """Versions of HemoCAM, Python and the libraries that compute; an empty one for what is not installed."""
    found = {"HemoCAM": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """What a worker has that this process has not: ``numpy 2.1 and not 2.4``, or an empty string."""
    parts = [
        f"{name} {theirs.get(name) or 'missing'} and not {own or 'missing'}"
        for name, own in ours.items()
        if theirs.get(name) != own
    ]
    return ", ".join(parts)
