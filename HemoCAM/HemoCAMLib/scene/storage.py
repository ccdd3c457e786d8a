"""Scenes to ``.mrb`` files, which Slicer opens as they are, and back."""

from __future__ import annotations

import re
import tempfile
import zipfile
from pathlib import Path

import slicer

from ..errors import InputError, OutputError
from ..progress import Progress, silent
from .views import create_views

# Written into scenes that no Slicer made: the oldest version that has every node as we use it. Slicer warns of
# scenes from other applications ("slicer-core"), though the nodes are its own.
SLICER_VERSION = "Slicer 5.10.0 0"
_COMPRESSED = (".nrrd", ".gz", ".png", ".jpg")
_CHUNK = 4 << 20


def new_scene() -> slicer.vtkMRMLScene:
    """Return an empty scene with Slicer's view nodes, for use without Slicer; in Slicer there is one already."""
    scene = slicer.vtkMRMLScene()
    scene.SetVersion(SLICER_VERSION)
    create_views(scene)
    return scene


def save_scene(scene: slicer.vtkMRMLScene, path: Path, progress: Progress = silent) -> None:
    """Write a scene and all its data into one ``.mrb`` file.

    The file appears complete or not at all, and refers to nothing outside itself. The scene's own file names
    stay as they are.

    Raises
    ------
    OutputError
        If the name does not end in ``.mrb`` or the file cannot be written.
    """
    path = Path(path).absolute()  # Slicer refuses relative folders
    if path.suffix.lower() != ".mrb":
        raise OutputError(f"A scene is written as .mrb, not as '{path.name}'; change the name.")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".hemocam-") as folder:
            # Slicer names the scene inside after this folder.
            bundle = Path(folder) / (path.stem if path.stem.isascii() else "scene")
            bundle.mkdir()
            progress("Writing the scene", 0, 1)
            messages = slicer.vtkMRMLMessageCollection()
            if not scene.SaveSceneToSlicerDataBundleDirectory(str(bundle), None, messages):
                reason = " ".join(messages.GetAllMessagesAsString().split()) or "is the disk full?"
                raise OutputError(f"The scene could not be written to '{path}': {reason}")
            _escape_ampersands(bundle)
            archive = Path(folder) / "scene.zip"
            _zip(bundle, archive, progress)
            archive.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"The scene could not be written to '{path}': {reason}.") from error


def _escape_ampersands(bundle: Path) -> None:
    """Make the scene's XML whole again: Slicer writes the ``&`` of a node's name as it is into file names."""
    for file in bundle.glob("*.mrml"):
        text = file.read_bytes()
        file.write_bytes(re.sub(rb"&(?!(?:amp|lt|gt|quot|apos|#\w+);)", b"&amp;", text))


def _zip(folder: Path, archive: Path, progress: Progress) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    total = sum(file.stat().st_size for file in files)
    done = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        for file in files:
            info = zipfile.ZipInfo.from_file(file, file.relative_to(folder.parent).as_posix())
            # Deflating the voxels twice costs seconds and wins nothing.
            stored = file.name.endswith(_COMPRESSED)
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            with file.open("rb") as source, bundle.open(info, "w") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
                    done += len(chunk)
                    progress("Packing the scene", done, total)


def load_scene(path: Path) -> slicer.vtkMRMLScene:
    """Read a ``.mrb`` file into a scene of its own, without Slicer.

    Raises
    ------
    InputError
        If the file is no scene bundle, or parts of it cannot be read.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="hemocam-") as folder:
        try:
            with zipfile.ZipFile(path) as bundle:
                bundle.extractall(folder)
        except FileNotFoundError as error:
            raise InputError(f"There is no scene '{path}'; check the name.") from error
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"'{path}' is no scene bundle or is damaged; give an .mrb file.") from error
        files = sorted(Path(folder).rglob("*.mrml"))
        if not files:
            raise InputError(f"'{path}' holds no scene; give an .mrb file that Slicer or HemoCAM wrote.")
        scene = slicer.vtkMRMLScene()
        scene.SetVersion(SLICER_VERSION)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        scene.SetURL(str(files[0]))
        if not scene.Connect():
            raise InputError(
                f"The scene in '{path}' could not be read; it is damaged or from a later Slicer."
            )
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        scene.SetURL("")
        scene.SetRootDirectory("")
    return scene
