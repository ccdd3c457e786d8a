"""The step that waits for a restart, remembered in the application's settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .troubles import Trouble

KEY = "HemoCAM/PendingPackages"


class Settings(Protocol):
    """What is kept between two starts of the application; texts only."""

    def get(self, key: str) -> str | None:
        """Return the text, or None where there is none."""

    def set(self, key: str, value: str) -> None:
        """Keep a text; it must be on disk when this returns."""

    def remove(self, key: str) -> None:
        """Forget a text; nothing happens where there is none."""


class MemorySettings:
    """Settings that end with the process."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """Return the text, or None."""
        return self.texts.get(key)

    def set(self, key: str, value: str) -> None:
        """Keep a text."""
        self.texts[key] = value

    def remove(self, key: str) -> None:
        """Forget a text."""
        self.texts.pop(key, None)


@dataclass(frozen=True)
class Pending:
    """A step that could not be finished.

    Parameters
    ----------
    features:
        What the packages are for.
    waits_for:
        ``extension`` (the PyTorch extension), ``restart``, or ``unknown``: the application ended amid it.
    """

    features: tuple[str, ...]
    waits_for: Trouble


def remember(settings: Settings, features: Sequence[str], waits_for: Trouble) -> None:
    """Note a step that waits."""
    settings.set(KEY, json.dumps({"features": list(features), "waits_for": waits_for.value}))


def recall(settings: Settings) -> Pending | None:
    """Return the step that waits, or None; a note that cannot be read is forgotten."""
    text = settings.get(KEY)
    if not text:
        return None
    try:
        note = json.loads(text)
        return Pending(tuple(map(str, note["features"])), Trouble(note["waits_for"]))
    except (ValueError, KeyError, TypeError):
        settings.remove(KEY)
        return None
