"""The Python packages that Slicer lacks: what is missing, one plan to agree to, and its safe installation.

Nothing that Slicer has is replaced: pip gets a constraints file with the version of every installed
distribution, so that it refuses where it would otherwise replace. torch and torchvision come through Slicer's
PyTorch extension, the others through pip. :mod:`.slicer_app` alone knows the application.
"""

from .install import Outcome, Packages
from .plan import Plan
from .report import import_failure
from .requirements import ANALYSIS, LIBRARY, Need, features_of
from .troubles import PackageError, Trouble

__all__ = [
    "ANALYSIS", "LIBRARY", "Need", "Outcome", "PackageError", "Packages", "Plan", "Trouble", "features_of",
    "import_failure",
]  # fmt: skip
