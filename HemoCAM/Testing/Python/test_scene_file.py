"""A scene's file: nothing of this machine in it, the same when saved again, and what is no such file."""

import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from HemoCAMLib import scene as scenes
from HemoCAMLib.errors import Cancelled, InputError, OutputError
from scene_cases import named


def test_nothing_in_the_bundle_names_a_place_outside(saved):
    path, *_ = saved
    with zipfile.ZipFile(path) as bundle:
        assert bundle.testzip() is None
        for info in bundle.infolist():
            data = bundle.read(info)
            for place in (str(path.parent), str(path.parent.parent), "hemocam-"):
                assert place.encode() not in data, info.filename
            if info.filename.endswith(".nrrd"):
                assert info.compress_type == zipfile.ZIP_STORED
        (mrml,) = [name for name in bundle.namelist() if name.endswith(".mrml")]
        text = bundle.read(mrml).decode()
    names = re.findall(r'file(?:Name|ListMember\d+)="([^"]*)"', text)
    assert len(names) >= 8 and not [n for n in names if n.startswith(("/", "..")) or ":" in n]
    assert re.search(r'<MRML version="Slicer 5\.10', text)  # else Slicer warns of a foreign application


def test_a_fresh_process_loads_the_scene_without_torch_or_qt(saved):
    code = (
        "import sys; from HemoCAMLib.scene import load_scene;"
        f"scene = load_scene({str(saved[0])!r});"
        "print(scene.GetFirstNodeByName('CT heat map').GetImageData().GetScalarRange()[1]);"
        "print(sorted({'torch', 'qt', 'PySide6', 'PyQt5', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1.0", "[]"]


def test_saving_twice_gives_the_same(saved, loaded, tmp_path, content):
    again = tmp_path / "again.mrb"
    scenes.save_scene(loaded, again)
    third = scenes.load_scene(again)
    back = scenes.node_to_volume(named(third, "CT heat map"))
    np.testing.assert_array_equal(back.array, content.heatmap.array)
    assert third.GetNumberOfNodes() == loaded.GetNumberOfNodes()


def test_cancelling_leaves_the_old_file_and_nothing_else(saved, tmp_path):
    path = tmp_path / "scene.mrb"
    path.write_text("old")

    def cancel(phase, done, total):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        scenes.save_scene(saved[2], path, cancel)
    assert [file.name for file in tmp_path.iterdir()] == ["scene.mrb"] and path.read_text() == "old"


def test_bad_files_get_a_sentence(saved, tmp_path):
    _, nodes, scene = saved
    mask = nodes.mask
    with pytest.raises(OutputError, match=r"written as \.mrb"):
        scenes.save_scene(scene, tmp_path / "scene.zip")
    with pytest.raises(OutputError, match="could not be written"):
        scenes.save_scene(scene, tmp_path / "missing" / "scene.mrb")
    with pytest.raises(OutputError, match=r"written as \.seg\.nrrd"):
        scenes.write_segmentation(mask, tmp_path / "mask.nrrd")
    with pytest.raises(OutputError, match="could not be written"):
        scenes.write_segmentation(mask, tmp_path / "missing" / "mask.seg.nrrd")
    with pytest.raises(InputError, match="There is no scene"):
        scenes.load_scene(tmp_path / "none.mrb")
    (tmp_path / "text.mrb").write_text("no zip")
    with pytest.raises(InputError, match="no scene bundle or is damaged"):
        scenes.load_scene(tmp_path / "text.mrb")
    with zipfile.ZipFile(tmp_path / "other.mrb", "w") as bundle:
        bundle.writestr("a.txt", "a")
    with pytest.raises(InputError, match="holds no scene"):
        scenes.load_scene(tmp_path / "other.mrb")
    with zipfile.ZipFile(saved[0]) as whole, zipfile.ZipFile(tmp_path / "part.mrb", "w") as part:
        for info in whole.infolist():
            if not info.filename.endswith("CT.nrrd"):
                part.writestr(info.filename, whole.read(info))
    with pytest.raises(InputError, match="could not be read"):
        scenes.load_scene(tmp_path / "part.mrb")
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]
