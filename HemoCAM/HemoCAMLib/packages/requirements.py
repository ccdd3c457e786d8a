"""What HemoCAM needs in Slicer, by what it is for: read from ``Resources/requirements.txt``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .versions import canonical, requirement

# The features that packages are needed for.
SLICER = "slicer"
ANALYSIS = "analysis"
LIBRARY = "library"

# torch and torchvision come through the PyTorch extension, so they do not stand in requirements.txt.
TORCH = ("torch>=2.6,!=2.13.0", "torchvision>=0.21")

# Published as source only; each is pure Python, so that no compiler is needed.
SOURCE_ONLY = ("grad-cam",)

# Distributions that bring the same module as one that is needed: with one of them there, the needed one would
# write its files over theirs.
INSTEAD = {
    "opencv-python-headless": (
        "cv2",
        ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    )
}

_REQUIREMENTS = Path(__file__).parents[2] / "Resources" / "requirements.txt"
_HEADING = re.compile(r"#\s*\[(\w+)\]")


@dataclass(frozen=True)
class Need:
    """One package that is needed.

    Parameters
    ----------
    text:
        The requirement as pip reads it.
    feature:
        What it is for: ``slicer`` (Slicer brings it), ``analysis`` or ``library``.
    """

    text: str
    feature: str

    def __str__(self) -> str:
        """Return the distribution's name, for messages."""
        return self.name

    @property
    def wanted(self) -> Any:
        """The parsed requirement."""
        return requirement(self.text)

    @property
    def name(self) -> str:
        """The distribution's canonical name."""
        return canonical(self.wanted.name)

    @property
    def is_torch(self) -> bool:
        """Whether the PyTorch extension installs it."""
        return self.text in TORCH


def read_needs(path: Path | None = None) -> tuple[Need, ...]:
    """All needs, torch and torchvision first, then in the order of the file.

    Parameters
    ----------
    path:
        A requirements file whose comments ``# [feature] ...`` head its parts; the module's own by default.

    Raises
    ------
    ValueError
        If a requirement stands before the first heading.
    """
    path = path or _REQUIREMENTS
    needs = [Need(text, ANALYSIS) for text in TORCH]
    feature = None
    for line in path.read_text(encoding="utf-8").splitlines():
        heading = _HEADING.match(line)
        if heading:
            feature = heading.group(1)
        elif line.strip() and not line.startswith("#"):
            if feature is None:
                raise ValueError(f"{path}: {line.strip()} stands before the first heading in brackets.")
            needs.append(Need(line.split(" #")[0].strip(), feature))
    return tuple(needs)


def features_of(engine: str = "hemocam") -> tuple[str, ...]:
    """The features that an analysis with this engine needs (one of ``cams.backends.BACKENDS``)."""
    return (ANALYSIS, LIBRARY) if engine == "library" else (ANALYSIS,)
