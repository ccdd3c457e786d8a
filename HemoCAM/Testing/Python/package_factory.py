"""Tiny distributions, an index of them in a folder, and a virtual environment that has some: no network needed."""

import base64
import hashlib
import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

# A build backend inside the source archive: it needs nothing but Python, as a pure-Python build should.
BACKEND = """
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from parts import write_wheel

def build_wheel(directory, config_settings=None, metadata_directory=None):
    return write_wheel(pathlib.Path(directory)).name
"""


def metadata(name, version, requires=()):
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires)]) + "\n"


def files_of(name, version, requires=(), module=None):
    """Path: text of an installed distribution with one module."""
    module = module or name.replace("-", "_")
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}.py": f"__version__ = {version!r}\nmade_by = {name!r}\n",
        f"{info}/METADATA": metadata(name, version, requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: hashlib.sha256(text.encode()).digest() for path, text in files.items()}
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},{len(files[path].encode())}"
        for path, digest in digests.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    return files


def put_wheel(folder, name, version, requires=(), module=None):
    """Write a wheel into an index folder."""
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files_of(name, version, requires, module).items():
            archive.writestr(file, text)
    return path


def put_source(folder, name, version, requires=(), module=None):
    """Write a source archive whose own backend makes the wheel."""
    top = f"{name.replace('-', '_')}-{version}"
    files = files_of(name, version, requires, module)
    parts = (
        f"import zipfile\nFILES = {files!r}\n\n"
        f"def write_wheel(folder):\n"
        f"    path = folder / {f'{top}-py3-none-any.whl'!r}\n"
        f"    with zipfile.ZipFile(path, 'w') as archive:\n"
        f"        for name, text in FILES.items():\n"
        f"            archive.writestr(name, text)\n"
        f"    return path\n"
    )
    contents = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND,
        "parts.py": parts,
        "PKG-INFO": metadata(name, version, requires),
    }
    with tarfile.open(folder / f"{top}.tar.gz", "w:gz") as archive:
        for file, text in contents.items():
            entry = tarfile.TarInfo(f"{top}/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def put_installed(folder, name, version, requires=(), module=None):
    """Put a distribution into a site-packages folder, as an installer does."""
    for file, text in files_of(name, version, requires, module).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def contents(folder):
    """Path: bytes of all in a folder that is not byte code."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


class Environment:
    """A virtual environment with pip, and an index in a folder beside it."""

    def __init__(self, folder: Path, pip_home: Path):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "python")], check=True)
        base = {"base": str(folder / "python"), "platbase": str(folder / "python")}
        self.site = Path(sysconfig.get_path("purelib", "venv", vars=base))
        self.scripts = Path(sysconfig.get_path("scripts", "venv", vars=base))
        self.python = self.scripts / ("python.exe" if os.name == "nt" else "python")
        (self.site / "pip_home.pth").write_text(f"{pip_home}\n", encoding="utf-8")
        self.index = folder / "index"
        self.index.mkdir()
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        self.variables |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": self.index.as_uri(),
            "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "1",  # pip tells of what failed only where it tries again
            "PIP_NO_COMPILE": "1",
        }

    def have(self, name, version, requires=(), module=None):
        put_installed(self.site, name, version, requires, module)


def make_pip_home(folder: Path) -> Path:
    """Copy this Python's pip, and nothing else, into a folder for a .pth file to name."""
    for file in importlib.metadata.distribution("pip").files:
        source = Path(file.locate())
        if file.parts[0] != ".." and source.suffix != ".pyc" and source.is_file():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder
