"""The Slicer extension: its metadata as the Extensions Index checks them, its package, and its ctests."""

import json
import re
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from conftest import ROOT
from PIL import Image

CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
MODULE_CMAKE = (ROOT / "HemoCAM" / "CMakeLists.txt").read_text(encoding="utf-8")
ENTRY = json.loads((ROOT / "HemoCAM.json").read_text(encoding="utf-8"))
# What the schema of a catalog entry, version 1.0.1, knows; nothing else is allowed, the first three are required.
ENTRY_FIELDS = {
    "$schema": str, "category": str, "scm_url": str, "scm_revision": str, "scm_type": str,
    "build_dependencies": list, "build_subdirectory": str, "enabled": bool, "tier": int,
}  # fmt: skip


def metadata() -> dict[str, str]:
    """The variables EXTENSION_*: each one set, on one line, in quotes, as the index's checker reads them."""
    found = re.findall(r'^set\(EXTENSION_(\w+) "([^"\n]+)"\)$', CMAKE, re.MULTILINE)
    assert len(found) == len(re.findall(r"EXTENSION_\w+ ", CMAKE))
    return dict(found)


def listed(variable: str) -> list[str]:
    return re.search(rf"set\({variable}\s(.*?)\)", MODULE_CMAKE, re.DOTALL).group(1).split()


def file_of(url: str):
    """The file of this repository behind an address of its branch main."""
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query) == ("https", "raw.githubusercontent.com", "")
    owner, repository, branch, path = parts.path[1:].split("/", 3)
    assert (f"https://github.com/{owner}/{repository}", branch) == (ENTRY["scm_url"], ENTRY["scm_revision"])
    return ROOT / path


def test_the_metadata_are_complete():
    found = metadata()
    assert set(found) == {
        "HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS",
    }  # fmt: skip
    assert re.search(r"^project\(HemoCAM\)$", CMAKE, re.MULTILINE)
    assert found["HOMEPAGE"] == ENTRY["scm_url"]
    assert found["DESCRIPTION"].endswith("Research software, not for clinical use.")
    assert "{" not in "".join(found.values())


def test_the_icon_is_a_small_square_with_a_clear_ground():
    with Image.open(file_of(metadata()["ICONURL"])) as icon:
        assert (icon.format, icon.size, icon.mode) == ("PNG", (128, 128), "RGBA")
        alpha = icon.getchannel("A")
        assert alpha.getpixel((0, 0)) == 0 and alpha.getpixel((64, 64)) == 255
        assert len(icon.convert("RGB").getcolors(1 << 15)) > 500  # something is drawn


def test_the_screenshots_are_pictures_of_a_fitting_size():
    urls = metadata()["SCREENSHOTURLS"].split(" ")
    assert len(urls) == len(set(urls)) >= 3
    for path in map(file_of, urls):
        with Image.open(path) as picture:
            assert picture.format == "PNG" and min(picture.size) >= 400
        assert path.stat().st_size < 300_000


def test_all_pictures_in_the_docs_are_small():
    large = {p.name: p.stat().st_size for p in (ROOT / "Docs" / "pictures").glob("*.png")}
    assert large and max(large.values()) < 300_000, large


def test_the_entry_for_the_index_fits_its_schema_and_the_cmake_file():
    assert set(ENTRY) <= set(ENTRY_FIELDS) and {"$schema", "category", "scm_url"} <= set(ENTRY)
    for field, value in ENTRY.items():
        assert type(value) is ENTRY_FIELDS[field], field
    assert re.fullmatch(
        r"https://\S+/slicer-extension-catalog-entry-schema-v1\.0\.1\.json#", ENTRY["$schema"]
    )
    assert 1 <= ENTRY["tier"] <= 5
    found = metadata()
    assert ENTRY["build_dependencies"] == found["DEPENDS"].split(" ") == ["PyTorch"]
    assert ENTRY["category"] == found["CATEGORY"]
    # the index asks for the repository to be called Slicer + the extension's name
    assert urlsplit(ENTRY["scm_url"]).path.split("/")[-1] == "SlicerHemoCAM"


def test_the_licence_is_in_the_root_and_named_in_the_readme():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")
    assert "MIT" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_pictures_and_files_that_the_docs_name_are_there():
    for page in [ROOT / "README.md", *(ROOT / "Docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert urlsplit(link).scheme or (page.parent / link).exists(), f"{page.name}: {link}"


def test_no_file_is_listed_twice_or_out_of_order():
    for variable in ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"):
        assert listed(variable) == sorted(set(listed(variable)))


# A Slicer as far as our CMake files see it: its variables, and its macros as they copy, install and register.
SLICER_CONFIG = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/Use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/Empty.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/Empty.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
"""
USE = """
include(CTest)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "nonexistent: ${file}")
    endif()
    get_filename_component(folder ${file} DIRECTORY)
    set(there ${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/${folder})
    file(COPY ${file} DESTINATION ${CMAKE_BINARY_DIR}/${there})
    install(FILES ${file} DESTINATION ${there} COMPONENT RuntimeLibraries)
  endforeach()
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(name ${MY_SCRIPT} NAME_WE)
  add_test(NAME py_${name} COMMAND ${CMAKE_COMMAND} ${MY_SLICER_ARGS})
endmacro()
"""


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The extension configured and installed by CMake against the stand-in."""
    if not (shutil.which("cmake") and (shutil.which("c++") or shutil.which("cl"))):
        pytest.skip("CMake or a C++ compiler is not here")
    folder = tmp_path_factory.mktemp("extension")
    slicer = folder / "slicer"
    slicer.mkdir()
    for name, text in (("SlicerConfig.cmake", SLICER_CONFIG), ("Use.cmake", USE), ("Empty.cmake", "")):
        (slicer / name).write_text(text, encoding="utf-8")
    source = folder / "source"  # what git would give, without the caches of this one
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "HemoCAM", source / "HemoCAM", ignore=ignore)
    shutil.copytree(ROOT / "models", source / "models")
    for name in ("CMakeLists.txt", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run("cmake", "-S", source, "-B", folder / "build", f"-DSlicer_DIR={slicer}", "-DCMAKE_BUILD_TYPE=Release")
    run(
        "cmake",
        "--install",
        folder / "build",
        "--prefix",
        folder / "package",
        "--component",
        "RuntimeLibraries",
    )
    return folder


MODULES = "lib/Slicer-5.12/qt-scripted-modules"


@pytest.mark.parametrize("tree", ["build", "package"])
def test_the_package_holds_module_library_models_and_licence(tree, built):
    root = built / tree / MODULES
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    wanted = {*listed("MODULE_PYTHON_SCRIPTS"), *listed("MODULE_PYTHON_RESOURCES")} - {"${MODULE_NAME}.py"}
    models = {
        f"HemoCAMLib/bundles/{path.relative_to(ROOT / 'models').as_posix()}"
        for path in (ROOT / "models").rglob("*")
        if path.is_file()
    }
    assert models and files - {"HemoCAMLib/LICENSE"} == wanted | models
    assert tree == "build" or "HemoCAMLib/LICENSE" in files


def test_the_packaged_library_finds_its_model(built):
    code = (
        "from HemoCAMLib.models.bundle import Bundle; import HemoCAMLib;"
        "print(HemoCAMLib.__file__); print(Bundle.open().folder)"
    )
    where = built / "package" / MODULES
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(where)!r}); {code}"]
    library, bundle = run(*command).split("\n")[:2]
    assert library.startswith(str(where)) and bundle.startswith(str(where))


def test_the_self_test_is_registered_with_the_modules_of_the_build_tree(built):
    found = json.loads(run("ctest", "--test-dir", built / "build", "--show-only=json-v1"))
    (test,) = found["tests"]
    assert test["name"] == "py_HemoCAM"
    command = test["command"]
    path = command[command.index("--additional-module-path") + 1]
    assert path == (built / "build" / MODULES).as_posix()
