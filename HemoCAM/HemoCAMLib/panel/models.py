"""Which model bundles there are, and what the panel says of them; read without any package that Slicer lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..models.bundle import DEFAULT_MODEL, find_bundle, model_folders
from ..models.files import read_file, read_json

_LARGEST_CARD = 1_000_000  # bytes; the shipped one has 6,000


@dataclass(frozen=True)
class ModelInfo:
    """What stands in a bundle's ``model.json``; it is checked in full when the model is used.

    Parameters
    ----------
    folder:
        The bundle's folder.
    name, title:
        The model's name, and one line on it.
    classes, target:
        The classes, and the one that is explained by default.
    method, stage:
        The default explanation.
    """

    folder: Path
    name: str
    title: str
    classes: tuple[str, ...]
    target: str
    method: str
    stage: int

    @classmethod
    def read(cls, name_or_folder: str) -> ModelInfo:
        """Read a bundle given its name or folder, "" for the shipped one.

        Raises
        ------
        ModelError
            With one sentence, if there is none or its ``model.json`` cannot be understood.
        """
        folder = find_bundle(name_or_folder or DEFAULT_MODEL)
        path = folder / "model.json"
        data = read_json(path)
        try:
            shown = data["explanation"]
            return cls(
                folder,
                str(data["name"]),
                str(data["title"]),
                tuple(map(str, data["classes"])),
                str(shown["target"]),
                str(shown["method"]),
                int(shown["stage"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path} does not describe a model ({error!r}); choose another folder."
            ) from None

    def card(self) -> str:
        """Return the card in Markdown: the file README.md beside the weights, or a word that there is none."""
        try:
            return read_file(self.folder / "README.md", _LARGEST_CARD, self.folder).decode("utf-8")
        except (ModelError, UnicodeDecodeError):
            return (
                f"# {self.name}\n\n{self.title}\n\nThis model comes without a card (README.md): nothing is known of "
                "what it was trained on or how well it does. Not for clinical use.\n"
            )


def bundled_models() -> list[str]:
    """Return the names of the bundles that can be chosen by name, the shipped one first."""
    names = {path.parent.name for place in model_folders() for path in place.glob("*/model.json")}
    return sorted(names, key=lambda name: (name != DEFAULT_MODEL, name))
