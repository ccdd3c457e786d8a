"""How large the packages are, as data, so that the dialog can say it before anything is downloaded.

How they were found, in November 2026, rounded up:

- download: the size that pip prints for the wheel that it picks for Python 3.11 or 3.12 on 64 bit (grad-cam: its
  source archive);
- disk: the sum of the files in the RECORD of the installed distribution, byte code included, Linux, Python 3.11;
- torch without CUDA: the wheels for Windows and for macOS on Apple silicon (127 and 139 MB, 484 and 565 MB
  unpacked); with CUDA: the wheel for Linux with the 15 packages of NVIDIA and triton that it requires.

Other versions and systems differ by some tens of percent: the texts say "about".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Size(NamedTuple):
    """Size of one distribution in MB (10^6 bytes) and the distributions that it brings along."""

    download: float
    disk: float
    needs: tuple[str, ...] = ()


class Total(NamedTuple):
    """What several distributions add up to, MB, and how many they are."""

    download: float
    disk: float
    count: int


TORCH_NEEDS = ("filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions")

SIZES: dict[str, Size] = {
    "torch": Size(140, 570, TORCH_NEEDS),
    "torchvision": Size(8, 23, ("numpy", "pillow", "torch")),
    "timm": Size(2.8, 17, ("huggingface-hub", "pyyaml", "safetensors", "torch", "torchvision")),
    "safetensors": Size(0.6, 1.4),
    "jsonschema": Size(0.1, 1, ("attrs", "jsonschema-specifications", "referencing", "rpds-py")),
    "grad-cam": Size(0.1, 0.3),  # installed without its dependencies, which are needs of their own
    "ttach": Size(0.1, 0.1),
    "tqdm": Size(0.1, 0.5),
    "opencv-python-headless": Size(62, 160, ("numpy",)),
    "scikit-learn": Size(10, 49, ("joblib", "narwhals", "numpy", "scipy", "threadpoolctl")),
    "matplotlib": Size(
        10,
        37,
        ("contourpy", "cycler", "fonttools", "kiwisolver", "numpy", "packaging", "pillow", "pyparsing",
         "python-dateutil"),
    ),
    "numpy": Size(17, 72),
    "scipy": Size(36, 143, ("numpy",)),
    "pillow": Size(7.2, 22),
    "simpleitk": Size(53, 277),
    # what those bring along
    "anyio": Size(0.2, 1.4, ("idna", "typing-extensions")),
    "attrs": Size(0.1, 0.5),
    "click": Size(0.2, 1),
    "cloudpickle": Size(0.1, 0.1),
    "contourpy": Size(0.4, 1.2, ("numpy",)),
    "cycler": Size(0.1, 0.1),
    "filelock": Size(0.3, 1.8),
    "fonttools": Size(5.5, 30),
    "fsspec": Size(0.3, 2),
    "h11": Size(0.1, 0.2),
    "hf-xet": Size(4.3, 12),
    "httpcore2": Size(0.1, 0.7, ("h11", "truststore")),
    "httpx2": Size(0.1, 0.9, ("anyio", "httpcore2", "idna", "truststore", "typing-extensions")),
    "huggingface-hub": Size(
        0.9,
        7.2,
        ("click", "filelock", "fsspec", "hf-xet", "httpx2", "packaging", "pyyaml", "tqdm", "typing-extensions"),
    ),
    "idna": Size(0.1, 0.5),
    "jinja2": Size(0.2, 1.2, ("markupsafe",)),
    "joblib": Size(0.4, 2.1, ("cloudpickle",)),
    "jsonschema-specifications": Size(0.1, 0.1, ("referencing",)),
    "kiwisolver": Size(1.5, 5.6),
    "markupsafe": Size(0.1, 0.1),
    "mpmath": Size(0.6, 4.9),
    "narwhals": Size(0.6, 5.1),
    "networkx": Size(2.1, 17),
    "packaging": Size(0.2, 1),
    "pyparsing": Size(0.2, 1.1),
    "python-dateutil": Size(0.1, 0.7, ("tzdata",)),
    "pyyaml": Size(0.9, 3.2),
    "referencing": Size(0.1, 0.3, ("attrs", "rpds-py", "typing-extensions")),
    "rpds-py": Size(0.4, 1.1),
    "setuptools": Size(0.9, 6.2),
    "sympy": Size(6.3, 76, ("mpmath",)),
    "threadpoolctl": Size(0.1, 0.2),
    "truststore": Size(0.1, 0.1),
    "typing-extensions": Size(0.1, 0.4),
    "tzdata": Size(0.4, 0.6),
}  # fmt: skip

# What CUDA adds to torch: a larger wheel, NVIDIA's packages, triton.
CUDA = Size(3200, 5000)


def total(names: Iterable[str], there: Collection[str]) -> Total:
    """Add up distributions and what they bring along.

    Parameters
    ----------
    names:
        Canonical names of what is asked for.
    there:
        Canonical names of what is installed already, which does not count; unknown ones count as 0 MB.
    """
    wanted, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted and name not in there:
            wanted.add(name)
            waiting += SIZES.get(name, Size(0, 0)).needs
    known = [SIZES.get(name, Size(0, 0)) for name in wanted]
    return Total(sum(s.download for s in known), sum(s.disk for s in known), len(wanted))
