"""The strings of the Slicer module that users read, and their translation files.

Slicer translates with Qt: ``slicer.i18n.tr`` looks a text up in the context of its file, a panel in the context of
its class; translations stand in ``Resources/Translations/HemoCAM_<language>.ts``. Run

    python HemoCAM/Testing/Python/translation_strings.py

after texts have changed: new ones enter every .ts file as unfinished, those that are gone leave it, and the rest
stays. A test holds the files to the code.
"""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape

MODULE = Path(__file__).resolve().parents[2]
TRANSLATIONS = MODULE / "Resources" / "Translations"

Strings = dict[tuple[str, str], str]
"""Translation by (context, source); "" where there is none yet."""


def context_of(path: Path) -> str:
    """Return the context that ``slicer.i18n`` gives the texts of a file."""
    package = path.parent.name + "." if (path.parent / "__init__.py").is_file() else ""
    return package + path.stem


def texts_of_code(path: Path) -> list[str]:
    """Return the texts that a Python file hands to ``_`` or ``tr``, in order, once each.

    Raises
    ------
    ValueError
        If one of them is no plain text: Qt's tools find only plain texts.
    """
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in ("_", "tr"):
            continue
        argument = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            raise ValueError(f"{path.name}, line {node.lineno}: only a plain text can be translated")
        found.append((node.lineno, node.col_offset, argument.value))
    return list(dict.fromkeys(text for *_, text in sorted(found)))


def texts_of_panel(path: Path) -> tuple[str, list[str]]:
    """Return the context of a .ui file and its texts, in order, once each."""
    root = ET.parse(path).getroot()
    found = []

    def walk(element: ET.Element) -> None:
        if element.get("notr") == "true":
            return
        if element.tag == "string" and element.text:
            found.append(element.text)
        for child in element:
            walk(child)

    walk(root)
    return root.findtext("class"), list(dict.fromkeys(found))


@lru_cache(maxsize=1)
def sources(module: Path = MODULE) -> dict[str, list[str]]:
    """Return the texts of the whole module by context."""
    found: dict[str, list[str]] = {}
    for path in [*sorted(module.glob("*.py")), *sorted((module / "HemoCAMLib").rglob("*.py"))]:
        if texts := texts_of_code(path):
            found.setdefault(context_of(path), []).extend(texts)
    for path in sorted((module / "Resources" / "UI").glob("*.ui")):
        context, texts = texts_of_panel(path)
        found.setdefault(context, []).extend(texts)
    return {context: list(dict.fromkeys(texts)) for context, texts in found.items()}


def read(path: Path) -> Strings:
    """Return what a .ts file holds; "" for what is marked as unfinished."""
    found = {}
    for context in ET.parse(path).getroot().iter("context"):
        for message in context.iter("message"):
            translation = message.find("translation")
            done = translation is not None and translation.get("type") is None
            found[context.findtext("name"), message.findtext("source")] = (
                translation.text or "" if done else ""
            )
    return found


def write(path: Path, known: Strings, wanted: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Write a .ts file that holds exactly the wanted texts; return those without a translation."""
    language = path.stem.split("_", 1)[1]
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<!DOCTYPE TS>"]
    lines.append(f'<TS version="2.1" language="{language}" sourcelanguage="en">')
    missing = []
    for context, texts in wanted.items():
        lines += ["<context>", f"    <name>{escape(context)}</name>"]
        for text in texts:
            translation = known.get((context, text), "")
            kind = "" if translation else ' type="unfinished"'
            if not translation:
                missing.append((context, text))
            lines += [
                "    <message>",
                f"        <source>{escape(text)}</source>",
                f"        <translation{kind}>{escape(translation)}</translation>",
                "    </message>",
            ]
        lines.append("</context>")
    path.write_text("\n".join([*lines, "</TS>", ""]), encoding="utf-8", newline="\n")
    return missing


def placeholders(text: str) -> list[str]:
    """Return what a translation must keep: {fields}, Qt's %p, HTML tags and keyboard accelerators, sorted."""
    fields = re.findall(r"(?<!\{)\{[^{}]*\}(?!\})|%[0-9a-zA-Z]|</?\w+[^>]*>", text)
    return sorted([*fields, *["&"] * len(re.findall(r"&(?=\w)(?!\w+;)", text))])


def main() -> int:
    """Bring every .ts file up to date; say what waits for a translation."""
    wanted, waiting = sources(), 0
    for path in sorted(TRANSLATIONS.glob("HemoCAM_*.ts")):
        missing = write(path, read(path), wanted)
        waiting += len(missing)
        print(f"{path.name}: {sum(map(len, wanted.values()))} texts, {len(missing)} without translation")
        for context, text in missing:
            print(f"  {context}: {text!r}")
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main())
