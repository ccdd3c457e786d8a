"""The models that a session has opened, made ready once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from ..models.bundle import Bundle
from ..opened import Opened

MOST = 2  # models at once: two can be compared without opening one again


class Network(NamedTuple):
    """What decides a network's numbers: its bundle, by :func:`digest_of`, and its device."""

    bundle: str
    device: str


def digest_of(bundle: Bundle) -> str:
    """SHA-256 over a bundle's folder, the SHA-256 of its weights and all of its manifest; hex."""
    text = repr((str(bundle.folder.resolve()), bundle.sha256, bundle.manifest))
    return hashlib.sha256(text.encode()).hexdigest()


class Models:
    """Opened models by network; those used last are kept."""

    def __init__(self) -> None:
        self._opened: OrderedDict[Network, Opened] = OrderedDict()

    def get(self, network: Network) -> Opened | None:
        """Return a model, or None if it is not open."""
        if network in self._opened:
            self._opened.move_to_end(network)
        return self._opened.get(network)

    def device_of(self, bundle: str) -> str:
        """Return the device on which a bundle, by its digest, was last opened; "" if it is not open."""
        return next((n.device for n in reversed(self._opened) if n.bundle == bundle), "")

    def put(self, network: Network, opened: Opened) -> None:
        """Keep a model; the one that was not used for the longest time goes when there are too many."""
        self._opened[network] = opened
        self._opened.move_to_end(network)
        while len(self._opened) > MOST:
            self._opened.popitem(last=False)

    def clear(self) -> None:
        """Let go of all."""
        self._opened.clear()
