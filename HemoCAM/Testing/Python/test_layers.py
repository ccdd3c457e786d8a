"""The floors: imports go downward only, and nothing heavy loads before it is needed."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

LIBRARY = ROOT / "HemoCAM" / "HemoCAMLib"
NUMBERS = (
    "volumes", "models", "cams", "comparison", "metrics", "refinement", "faithfulness", "phantoms", "training",
    "datasets", "evaluation", "sweep", "benchmark", "report", "session", "analysis.py", "explained.py", "opened.py",
    "pipeline.py", "slices.py",
)  # fmt: skip
FLOOR = {
    **dict.fromkeys(NUMBERS, 1),
    "scene": 2,
    "doors": 3,
    "packages": 3,
    "panel": 4,
    "clock.py": 0,
    "errors.py": 0,
    "progress.py": 0,
    "steps.py": 0,
    "workers.py": 0,
    "__init__.py": 0,
}
# what a floor may not touch, whatever the place of the import
FORBIDDEN = {
    0: {"vtk", "slicer", "qt", "torch"},
    1: {"vtk", "slicer", "qt"},
    2: {"qt", "torch"},
    3: {"qt", "vtk"},
    4: {"torch"},
}


def modules():
    return sorted(LIBRARY.rglob("*.py"))


def imports(path):
    """(absolute dotted name) of every import in a file, relative ones resolved."""
    package = ["HemoCAMLib", *path.relative_to(LIBRARY).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            head = [*base, *(node.module or "").split(".")]
            yield ".".join(p for p in head if p)
            if node.level and not node.module:  # from . import name
                yield from (".".join([*base, alias.name]) for alias in node.names)


def test_every_part_of_the_library_has_a_floor():
    parts = {p.relative_to(LIBRARY).parts[0] for p in modules()}
    assert parts == set(FLOOR)


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_imports_go_downward_only(path):
    own = FLOOR[path.relative_to(LIBRARY).parts[0]]
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] not in FORBIDDEN[own], name
        if parts[0] == "HemoCAMLib" and len(parts) > 1:
            part = parts[1] if parts[1] in FLOOR else f"{parts[1]}.py"
            part = part if (LIBRARY / part).exists() else "__init__.py"  # a name that the package defines
            assert FLOOR[part] <= own, f"{name} lies above"


def test_the_command_starts_without_anything_heavy():
    code = (
        "import sys; from HemoCAMLib.doors.cli import parser; parser();"
        "heavy = {'torch', 'timm', 'pytorch_grad_cam', 'slicer', 'vtkmodules', 'matplotlib', 'scipy', 'SimpleITK'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_extension_packages_every_file():
    """CMake packages what its list names; a file that is not in the list is missing from the extension."""
    text = (ROOT / "HemoCAM" / "CMakeLists.txt").read_text(encoding="utf-8")
    listed = {word for word in text.split() if word.startswith(("HemoCAMLib/", "Resources/", "HemoCAM.py"))}
    files = {
        p.relative_to(ROOT / "HemoCAM").as_posix()
        for folder in ("HemoCAMLib", "Resources")
        for p in (ROOT / "HemoCAM" / folder).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert listed == files | {"HemoCAM.py"}


def test_no_file_of_the_library_is_a_monster():
    long = {p.name: n for p in modules() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 420}
    assert not long
