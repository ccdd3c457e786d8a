"""A Slicer's packages in a folder, and installers that only pretend."""

import re
import shutil

import pytest
from HemoCAMLib.errors import HemoCAMError
from HemoCAMLib.packages import ANALYSIS, PackageError, Packages
from HemoCAMLib.packages.child import ChildFailed
from HemoCAMLib.packages.pending import MemorySettings
from HemoCAMLib.packages.site import Site
from HemoCAMLib.packages.versions import requirement
from package_factory import put_installed

SLICERS = {"numpy": "1.26.4", "pillow": "11.0", "scipy": "1.12", "simpleitk": "2.4.0rc2.dev5+gabc"}


class FakePip:
    """Prints what pip printed, and installs or fails."""

    def __init__(self, folder, says="", code=0, installs=True, also=()):
        self.folder, self.says, self.code, self.installs, self.also = folder, says, code, installs, also
        self.calls = []

    def install(self, arguments, watch):
        self.calls.append([str(a) for a in arguments])
        at = list(arguments).index("-c") + 1
        shutil.copyfile(arguments[at], self.folder.parent / "held.txt")
        for line in self.says.splitlines():
            watch.hear(line)
        watch.check()
        if self.code:
            raise ChildFailed(self.code, watch.text)
        for text in arguments[at + 1 :] if self.installs else ():
            put_installed(self.folder, requirement(text).name, "99.0")
        for name, version in self.also:
            shutil.rmtree(next(iter(self.folder.glob(f"{name}-*.dist-info"))))
            put_installed(self.folder, name, version)


class FakeTorch:
    def __init__(self, folder, torchvision="0.21.0", error=None):
        self.folder, self.torchvision, self.error = folder, torchvision, error

    def install(self, torch, torchvision, constraints, watch):
        assert (torch, torchvision) == (
            "!=2.13.0,>=2.6",
            ">=0.21",
        ) and "numpy==1.26.4" in constraints.read_text()
        if self.error:
            raise self.error
        put_installed(self.folder, "torch", "2.6.0")
        put_installed(self.folder, "torchvision", self.torchvision, requires=["torch (==2.6.0)"])


def packages(folder, pip=None, torch="here", modules=None, settings=None):
    torch = FakeTorch(folder) if torch == "here" else torch
    return Packages(
        pip or FakePip(folder),
        torch,
        settings or MemorySettings(),
        site=Site([str(folder)]),
        modules=modules or {},
    )


def one_sentence(error):
    text = str(error)
    assert isinstance(error, HemoCAMError) and text.endswith(".") and text[0].isalpha()
    return not re.search(r"[.!?] [A-Z]", text) and ";" in text  # what is wrong; the way out


def slicers_folder(path):
    """A site-packages folder that has what Slicer has."""
    path.mkdir()
    for name, version in SLICERS.items():
        put_installed(path, name, version)
    return path


def failure(step, features=(ANALYSIS,), ask=lambda plan: True):
    with pytest.raises(PackageError) as caught:
        step.ensure(ask, features)
    assert one_sentence(caught.value), caught.value
    return caught.value
