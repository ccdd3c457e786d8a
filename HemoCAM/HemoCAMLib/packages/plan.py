"""What is to be installed: decided before anything is downloaded, and told in the text of one dialog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .requirements import ANALYSIS, INSTEAD, LIBRARY, SLICER, SOURCE_ONLY, TORCH, Need
from .site import Site
from .sizes import CUDA, Total, total

# Why each is needed, for the dialog; then why the others of a feature are.
_WHY = {
    "torch": "runs the network",
    "torchvision": "the part of PyTorch for images",
    "timm": "the network's architecture",
    "safetensors": "reads the weights, without pickle",
    "jsonschema": "checks a model's description",
    "grad-cam": "pytorch-grad-cam, the reference library of class activation maps",
}
_WHY_OTHERS = {SLICER: "arrays and images", ANALYSIS: "the analysis", LIBRARY: "imported by pytorch-grad-cam"}

_SHOWN = ("numpy", "scipy", "simpleitk", "vtk", "requests")


@dataclass(frozen=True)
class Plan:
    """What will be installed, how large it is, and what stays.

    Parameters
    ----------
    features:
        What the packages are for (:mod:`.requirements`).
    needs:
        What is missing.
    size:
        Download, disk (MB) and number of distributions, with what they bring along; torch without CUDA.
    kept:
        Name: version of all that is installed; none of it is changed.
    hidden:
        Whether a module that is needed is there without metadata, so that pip would write over it.
    """

    features: tuple[str, ...]
    needs: tuple[Need, ...]
    size: Total
    kept: dict[str, str]
    hidden: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to install."""
        return not self.needs

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the packages asked for, without those that they bring along."""
        return tuple(need.name for need in self.needs)

    @property
    def torch(self) -> tuple[str, ...]:
        """Requirements for the PyTorch extension: always both, so that they match, or none."""
        return TORCH if any(need.is_torch for need in self.needs) else ()

    @property
    def pip(self) -> tuple[str, ...]:
        """Requirements that pip installs: wheels, but for those that are published as source only."""
        return tuple(need.text for need in self.needs if not need.is_torch and need.name not in self.alone)

    @property
    def alone(self) -> tuple[str, ...]:
        """Names of those that pip installs by themselves, without dependencies.

        grad-cam, where a module that it imports comes from another distribution than the one that it asks for:
        with dependencies, pip would write a second OpenCV over the one that is there.
        """
        stand_ins = (
            any(other in self.kept for _, others in INSTEAD.values() for other in others) or self.hidden
        )
        return tuple(n for n in SOURCE_ONLY if n in self.names) if stand_ins else ()

    @property
    def text(self) -> str:
        """The one dialog's text: what, how large, why, and what is left alone; ends with the question."""
        size = f"About {_amount(self.size.download)} to download and {_amount(self.size.disk)} on disk."
        if "torch" in self.names:
            size += (
                f" With an NVIDIA graphics card, PyTorch comes with CUDA: up to "
                f"{_amount(self.size.download + CUDA.download)} and {_amount(self.size.disk + CUDA.disk)}."
            )
        lines = [
            "HemoCAM needs Python packages that this Slicer does not have yet.",
            "",
            "To be installed:",
            *(f"  \u2022 {line}" for line in self._lines()),
            "",
            size,
            "The packages are downloaded from their public servers; nothing about you or your images is sent.",
            "",
            f"Left as it is: everything that Slicer has ({self._kept()}). Where a new package does not go with it, "
            f"the installation stops, and nothing is replaced.",
            "",
            "Install now?",
        ]
        return "\n".join(lines)

    def _lines(self) -> list[str]:
        through = {True: " (through the PyTorch extension)", False: ""}
        lines = [f"{n}: {_WHY[n.name]}{through[n.is_torch]}" for n in self.needs if n.name in _WHY]
        for feature, why in _WHY_OTHERS.items():
            others = [str(n) for n in self.needs if n.feature == feature and n.name not in _WHY]
            if others:
                lines.append(f"{', '.join(others)}: {why}")
        brought = self.size.count - len(self.needs)
        if brought > 0:
            lines.append(f"what these bring along: {brought} smaller package{'s' * (brought > 1)}")
        return lines

    def _kept(self) -> str:
        shown = [f"{name} {self.kept[name]}" for name in _SHOWN if name in self.kept]
        count = f"{len(self.kept)} packages"
        return f"{count}, {', '.join(shown)} among them" if shown else count


def make_plan(features: Sequence[str], missing: Sequence[Need], site: Site) -> Plan:
    """Sum up what is missing."""
    kept = site.snapshot()
    hidden = any(name not in kept and site.has_module(module) for name, (module, _) in INSTEAD.items())
    return Plan(tuple(features), tuple(missing), total([need.name for need in missing], kept), kept, hidden)


def is_there(need: Need, site: Site) -> bool:
    """Whether a need is installed, in whatever version, or something stands in for it that must not be touched."""
    if site.version(need.name) is not None:
        return True
    if need.name in INSTEAD:
        module, others = INSTEAD[need.name]
        return any(site.version(other) is not None for other in others) or site.has_module(module)
    return False


def _amount(megabytes: float) -> str:
    """``12 MB`` or ``1.3 GB``, rounded up to two digits."""
    if megabytes >= 950:
        return f"{megabytes / 1000 + 0.05:.1f} GB"
    step = 10 if megabytes > 100 else 1
    return f"{-(-megabytes // step) * step:.0f} MB"
