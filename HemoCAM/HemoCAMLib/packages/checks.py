"""What stands against an installation, or against using what is installed, found without importing anything."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence

from .plan import Plan
from .requirements import SLICER, SOURCE_ONLY, Need
from .site import Site
from .troubles import PackageError, Trouble
from .versions import local, public, satisfies

# Loaded modules that show whether the session runs what is on disk.
_LOADED = ("torch", "torchvision", "timm", "numpy")


def conflicts(needs: Sequence[Need], site: Site) -> list[PackageError]:
    """What is installed and cannot be used: too old, or torch and torchvision that do not match."""
    found = []
    for need in needs:
        version = site.version(need.name)
        if version is not None and not satisfies(version, need.wanted, by_release=need.feature == SLICER):
            found.append(_unfit(need, version))
        if need.name in SOURCE_ONLY and version is not None:
            found += _unmet(need, version, site)
    if not found and any(need.is_torch for need in needs):
        mismatch = torch_mismatch(site)
        if mismatch:
            found.append(mismatch)
    return found


def _unfit(need: Need, version: str) -> PackageError:
    has = f"Slicer has {need.name} {version}, and HemoCAM needs {need.wanted.specifier}"
    if need.feature == SLICER:
        return PackageError(Trouble.CONFLICT, f"{has}; install the current Slicer, which has a newer one.")
    if need.is_torch:
        return PackageError(
            Trouble.CONFLICT,
            f"{has}; open the module PyTorch Utils, press Uninstall PyTorch, restart Slicer, and press Apply again.",
        )
    return PackageError(
        Trouble.CONFLICT,
        f"{has}, and does not replace it, because another extension may have brought it; if none needs it, enter "
        f"slicer.util.pip_uninstall('{need.name}') in the Python console, restart Slicer, and press Apply again.",
    )


def _unmet(need: Need, version: str, site: Site) -> list[PackageError]:
    """What a package that pip installed without its dependencies asks for and does not find."""
    found = []
    for name, wanted in site.requires(need.name).items():
        there = site.version(name)
        if there is not None and not satisfies(there, wanted):
            found.append(
                PackageError(
                    Trouble.CONFLICT,
                    f"{need.name} {version} needs {wanted}, but Slicer has {name} {there}, which HemoCAM does not "
                    f"replace; choose the engine hemocam, which does without {need.name}.",
                )
            )
    return found


def torch_mismatch(site: Site) -> PackageError | None:
    """Whether torch and torchvision do not match, by what torchvision's metadata requires.

    There is no table of pairs: torchvision up to 0.28 asks for one release of torch, later ones for a range. Builds
    for different devices (2.6.0+cpu and 0.21.0+cu124, say) do not match, either.
    """
    torch, torchvision = site.version("torch"), site.version("torchvision")
    if torch is None or torchvision is None:
        return None
    wanted = site.requires("torchvision").get("torch")
    fits = wanted is None or satisfies(torch, wanted)
    labels = {local(torch), local(torchvision)}
    if fits and ("" in labels or len(labels) == 1):
        return None
    return PackageError(
        Trouble.MISMATCH,
        f"torch {torch} and torchvision {torchvision} do not belong together; open the module PyTorch Utils, press "
        f"Uninstall PyTorch, restart Slicer, and press Apply again.",
    )


def stale(site: Site, modules: Mapping[str, object] | None = None) -> PackageError | None:
    """Whether this session has loaded another version of a package than the one that is on disk."""
    for name in _LOADED:
        loaded = getattr((sys.modules if modules is None else modules).get(name), "__version__", None)
        there = site.version(name)
        if loaded and there and public(str(loaded)) != public(there):
            return PackageError(
                Trouble.RESTART,
                f"This session still runs {name} {loaded}, and {there} is installed; restart Slicer, and open "
                f"HemoCAM again.",
            )
    return None


def room(plan: Plan, site: Site) -> PackageError | None:
    """Whether there is too little space, or no right to write, where pip installs."""
    if not site.folder.is_dir():
        return None  # pip makes it, or says why not
    try:
        with tempfile.TemporaryFile(dir=site.folder):
            pass
    except OSError:
        return PackageError(
            Trouble.PERMISSION,
            f"Slicer may not write into its own Python folder, {site.folder}; install Slicer where you may write, or "
            f"start it once as administrator, and press Apply again.",
        )
    free = shutil.disk_usage(site.folder).free / 1e6
    if free < plan.size.disk:
        return PackageError(
            Trouble.SPACE,
            f"The packages need about {plan.size.disk:.0f} MB of disk, and {free:.0f} MB are free where Slicer is "
            f"installed; free some space and press Apply again.",
        )
    return None
