"""Names, versions and requirements as pip reads them, by PyPA's own code: ``packaging``, or the copy in pip."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def _part(name: str) -> Any:
    try:
        return import_module(f"packaging.{name}")
    except ImportError:
        return import_module(f"pip._vendor.packaging.{name}")


def canonical(name: str) -> str:
    """The one spelling of a distribution's name: lower case, a hyphen for each run of ``-``, ``_`` and ``.``."""
    return _part("utils").canonicalize_name(name)


def requirement(text: str) -> Any:
    """Parse a requirement such as ``torch>=2.6,!=2.13.0``; raise ValueError if it is none."""
    return _part("requirements").Requirement(text)


def usable(version: str | None) -> bool:
    """Whether a version can stand behind ``==`` (PEP 440)."""
    try:
        _part("version").Version(version or "")
    except ValueError:
        return False
    return True


def satisfies(version: str, wanted: Any, *, by_release: bool = False) -> bool:
    """Whether an installed version fulfils a requirement's version part; pre-releases count.

    Parameters
    ----------
    version:
        Of the installed distribution; one that is not PEP 440 fulfils everything, because nothing can be said.
    wanted:
        What :func:`requirement` returned.
    by_release:
        Compare the release number only, so that 2.4.0rc2 passes for 2.4: builds of Slicer's own are named so.
    """
    if not usable(version):
        return True
    parsed = _part("version").Version(version)
    if by_release:
        parsed = _part("version").Version(parsed.base_version)
    return wanted.specifier.contains(parsed, prereleases=True)


def public(version: str) -> str:
    """A version without its local label: 2.6.0 of 2.6.0+cu124."""
    return version.split("+", 1)[0]


def local(version: str) -> str:
    """The local label of a version: cu124 of 2.6.0+cu124, or nothing."""
    return version.partition("+")[2]
