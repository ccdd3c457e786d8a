"""Translations: complete, with the placeholders of their sources, in the contexts where Slicer looks them up."""

import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import translation_strings as strings
from conftest import ROOT

FILES = sorted(strings.TRANSLATIONS.glob("*.ts"))
LISTED = (ROOT / "HemoCAM" / "CMakeLists.txt").read_text(encoding="utf-8").split()


def test_there_is_a_translation():
    assert [path.name for path in FILES] == ["HemoCAM_de-DE.ts"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_text_of_the_code_is_translated_and_no_other(path):
    wanted = {(context, text) for context, texts in strings.sources().items() for text in texts}
    known = strings.read(path)
    hint = "run translation_strings.py, then translate what is unfinished"
    assert not wanted - set(known), hint
    assert not set(known) - wanted, hint
    assert not [key for key, translation in known.items() if not translation.strip()], hint


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_translations_keep_placeholders_and_ends(path):
    for (context, source), translation in strings.read(path).items():
        where = f"{context}: {source!r} -> {translation!r}"
        assert strings.placeholders(translation) == strings.placeholders(source), where
        assert translation.count("\n") == source.count("\n"), where
        for end in (":", "...", "…", "?", " "):
            assert translation.endswith(end) == source.endswith(end), where
        assert translation[:1].isspace() == source[:1].isspace(), where
    same = [source for (_, source), translation in strings.read(path).items() if source == translation]
    assert len(same) < 0.15 * len(strings.read(path)), same


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_file_is_named_and_marked_as_slicer_expects(path):
    root = ET.parse(path).getroot()
    module, language = path.stem.split("_", 1)
    assert (root.tag, module) == ("TS", "HemoCAM")
    assert root.get("language") == language and "_" not in language
    assert f"Resources/Translations/{path.name}" in LISTED


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_updating_again_changes_nothing(path, tmp_path):
    copy = tmp_path / path.name
    strings.write(copy, strings.read(path), strings.sources())
    assert copy.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def lrelease() -> str:
    """Qt's compiler of translations, from the system or from PySide6."""
    names = ["lrelease", "lrelease.exe"]
    try:
        import PySide6

        places = [Path(PySide6.__file__).parent / name for name in names]
        found = next((str(place) for place in places if place.is_file()), None)
    except ImportError:
        found = None
    return found or shutil.which("lrelease") or pytest.skip("Qt's lrelease is not here")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_qt_finds_every_translation(path, tmp_path):
    QtCore = pytest.importorskip("PySide6.QtCore")
    compiled = tmp_path / f"{path.stem}.qm"
    subprocess.run([lrelease(), str(path), "-qm", str(compiled)], check=True, capture_output=True)
    translator = QtCore.QTranslator()
    assert translator.load(str(compiled))
    for (context, source), translation in strings.read(path).items():
        assert translator.translate(context, source) == translation


# the tool


def module_of(folder: Path, code: str, panel: str = "") -> Path:
    (folder / "HemoCAMLib" / "panel").mkdir(parents=True)
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "HemoCAMLib" / "__init__.py").touch()
    (folder / "HemoCAMLib" / "panel" / "__init__.py").touch()
    (folder / "HemoCAM.py").write_text(code, encoding="utf-8")
    (folder / "HemoCAMLib" / "panel" / "part.py").write_text(code, encoding="utf-8")
    ui = f'<ui version="4.0"><class>Panel</class><widget>{panel}</widget></ui>'
    (folder / "Resources" / "UI" / "HemoCAM.ui").write_text(ui, encoding="utf-8")
    return folder


def test_texts_are_found_in_their_contexts(tmp_path):
    code = 'a = _("One" " text") + x._("no") + translate("Other", "no")\nb = tr("Two").format(_("Three"))\n'
    panel = """<property name="text"><string>Four &amp;five</string></property>
        <property name="n"><string notr="true">no</string><string/></property>
        <property name="t"><stringlist notr="true"><string>no</string></stringlist></property>"""
    found = strings.sources(module_of(tmp_path, code, panel))
    texts = ["One text", "Three", "Two"]
    assert {context: sorted(texts) for context, texts in found.items()} == {
        "HemoCAM": texts,
        "panel.part": texts,
        "Panel": ["Four &five"],
    }


@pytest.mark.parametrize("code", ['_(f"{n} slices")', "_(text)", '_("a" + b)', '_("a", "b")'])
def test_what_qt_cannot_find_is_refused(code, tmp_path):
    with pytest.raises(ValueError, match=r"HemoCAM.py, line 2: only a plain text"):
        strings.sources(module_of(tmp_path, f"\n{code}\n"))


def test_an_update_keeps_adds_and_drops(tmp_path):
    path = tmp_path / "HemoCAM_de-DE.ts"
    strings.write(path, {("a", "x < y & z"): "Ä < {q}"}, {"a": ["x < y & z"], "b": ["gone"]})
    missing = strings.write(path, strings.read(path), {"a": ["new", "x < y & z"]})
    assert missing == [("a", "new")]
    assert strings.read(path) == {("a", "new"): "", ("a", "x < y & z"): "Ä < {q}"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{count} of {{x}} {p:.2f}", ["{count}", "{p:.2f}"]),
        ("%p% of &Apply", ["%p", "&"]),
        ("<b>no</b> &amp; x & y", ["</b>", "<b>"]),
    ],
)
def test_what_a_translation_must_keep(text, kept):
    assert strings.placeholders(text) == kept
