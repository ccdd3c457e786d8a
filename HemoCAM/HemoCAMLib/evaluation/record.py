"""Enter a measurement into a bundle: its manifest, its card, the pictures of what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import OutputError
from ..models.card import card
from ..models.manifest import Manifest
from .tables import write_bytes, write_text


def record(
    folder: Path,
    entry: dict,
    pictures: dict[str, Path] | None = None,
    refinement: dict | None = None,
) -> Manifest:
    """Write ``entry`` to the bundle's ``model.json`` and the card anew.

    An entry on the same cases (``on``), or with a picture of the same name, gives way to the new one, so a
    measurement can be repeated. The weights
    stay as they are.

    Parameters
    ----------
    folder:
        Of the bundle.
    entry:
        ``on``, ``command``, ``values``; ``tables`` and ``pictures`` if wanted (see :func:`~..models.card.card`).
    pictures:
        File name in the bundle: the file to copy there.
    refinement:
        A fitted mask refinement, as the manifest's ``explanation.refinements`` lists them; one for the same maps
        gives way to it.

    Raises
    ------
    ModelError
        If the bundle's manifest, or the entry, is not valid.
    OutputError
        If the bundle cannot be written.
    """
    content = json.loads(json.dumps(Manifest.read(folder / "model.json").raw))
    others = [
        old for old in content["measured"] if old["on"] != entry["on"] and not _files(old) & _files(entry)
    ]
    content["measured"] = [*others, entry]
    if refinement is not None:
        kept = content["explanation"].get("refinements", [])
        kept = [old for old in kept if _maps(old) != _maps(refinement)]
        content["explanation"]["refinements"] = [*kept, refinement]
    manifest = Manifest.of(content)
    try:
        for name, source in (pictures or {}).items():
            write_bytes(source.read_bytes(), folder / name)
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_text(text, folder / "model.json")
        write_text(card(manifest), folder / "README.md")
    except OSError as error:
        raise OutputError(
            f"The model in {folder} cannot be written ({error.strerror}); copy the folder and give that one."
        ) from None
    return manifest


def _maps(refinement: dict) -> list:
    return [refinement[key] for key in ("method", "stage", "target", "scale")]


def _files(entry: dict) -> set[str]:
    return {picture["file"] for picture in entry.get("pictures", ())}
