"""The parts of an analysis, taken from what is kept where it is there, and kept where it is new.

Nothing is changed in the session before :meth:`Recall.commit`: a job that fails or is cancelled leaves no trace but
an opened model.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from ..analysis import Options
from ..cams.engine import CamEngine, Engine
from ..cams.kept import Kept, Piece, by_use
from ..explained import RawMaps, Sampled, map_steps
from ..models.bundle import Bundle
from ..opened import LOADING, Opened, pick_device
from ..pipeline import Parts
from ..steps import Step, Steps
from ..volumes.axial import to_axial
from ..volumes.volume import Volume
from .models import Models, Network, digest_of
from .store import Store

_KINDS = ("captures", "maps", "sampled")


class Entry(NamedTuple):
    """The name of what is kept: of which volume (its key and its place), of which kind, and what exactly."""

    key: Hashable
    place: bytes
    kind: str
    what: tuple


class Recall(Parts):
    """The parts of one analysis of one volume.

    Parameters
    ----------
    store, models:
        The session's.
    key:
        The volume's.
    ct:
        The volume.
    bundle, options:
        As for :class:`~..pipeline.Parts`.
    """

    def __init__(
        self, store: Store[Entry], models: Models, key: Hashable, ct: Volume, bundle: Bundle, options: Options
    ) -> None:
        super().__init__(bundle, options)
        self.key = key
        self.void = False  # the volume was forgotten meanwhile
        self._store, self._models = store, models
        self._place = place_of(ct)
        self._digest = digest_of(bundle)
        self._network = Network(self._digest, "")
        self._found: RawMaps | None = None
        self._used: list[Entry] = []
        self._new: dict[Entry, tuple[object, int]] = {}

    def model(self) -> Steps[tuple[CamEngine, str] | None]:
        """Return the engine and its device, or None where the maps are kept."""
        yield Step(LOADING, 0, 1)  # the first time torch is imported here
        self._network = Network(self._digest, pick_device(self.options.device))
        self._found = self._recall(self._maps_entry(self._network))
        if self._found is not None:
            return None
        return (yield from super().model())

    def opened(self) -> Steps[Opened]:
        """Return the model made ready, once a bundle and device."""
        found = self._models.get(self._network)
        if found is None:
            found = yield from super().opened()
            self._models.put(self._network, found)
        return found

    def sampled(self, ct: Volume) -> Steps[Sampled]:
        """Return the CT as the network takes it; its voxels themselves are not kept."""
        entry = self._sampled_entry()
        kept = self._recall(entry)
        if kept is not None:
            return Sampled(ct, self.bundle.manifest, *to_axial(ct), *kept)
        found = yield from super().sampled(ct)
        own = (found.slabs, found.grid, found.hu, found.inside)
        size = found.hu.nbytes + (0 if found.inside is None else found.inside.nbytes)
        self._new[entry] = own, size
        return found

    def maps(self, model: tuple[CamEngine, str] | None, sampled: Sampled) -> Steps[RawMaps]:
        """Return what the network gives, from kept captures as far as they reach."""
        found, o = self._found, self.options
        if found is None:
            engine, device = model
            kept = self._kept(engine, sampled) if isinstance(engine, Engine) else None
            sign = -1 if o.against else 1
            found = yield from map_steps(
                sampled, engine, (o.method,), (o.stage,), o.target, device, kept, sign
            )
            if kept is not None:
                self._take(engine, kept, len(sampled.slabs))
            size = sum(a.nbytes for a in (found.logits, *found.raw.values()))
            self._new[self._maps_entry(self._network)] = _copied(found), size
        return _copied(found)

    def commit(self) -> None:
        """Keep what is new, and count what was used; nothing if the volume was forgotten meanwhile."""
        if self.void:
            return
        mine = [entry for entry in self._store if entry.key == self.key]
        for entry in (*mine, *self._used):  # volumes go one after the other, their pieces by their own use
            self._store.touch(entry)
        # what is lost last comes last: without its slabs nothing is kept of a volume
        for entry in sorted(self._new, key=lambda e: _KINDS.index(e.kind)):
            self._store.put(entry, *self._new[entry])
        self._store.touch(self._maps_entry(self._network))
        self._store.touch(self._sampled_entry())

    def known(self) -> tuple[bool, bool, bool]:
        """Tell what is there already, for an estimate of the time: the opened model, the sampled CT, the maps."""
        device = self._models.device_of(self._digest)
        maps = self._maps_entry(Network(self._digest, device))
        return bool(device), self._sampled_entry() in self._store, maps in self._store

    def _kept(self, engine: Engine, sampled: Sampled) -> Kept:
        manifest, o = self.bundle.manifest, self.options
        shape = (len(manifest.windows), manifest.size, manifest.size)
        limit = self._store.memory - sampled.hu.nbytes
        kept = Kept(engine.stages_to_keep(shape, o.method, o.stage, len(sampled.slabs), limit))
        blank = self._piece_entry(engine, None)
        for entry in self._store:
            if entry[:3] == blank[:3] and entry.what[:2] == blank.what[:2]:
                kept.pieces[entry.what[2]] = dict(self._store.peek(entry))
        return kept

    def _take(self, engine: Engine, kept: Kept, count: int) -> None:
        """Note the pieces that were used and, what matters most last, those that are new and whole."""
        self._used += [self._piece_entry(engine, piece) for piece in kept.used]
        for piece in sorted(kept.pieces, key=lambda p: by_use(self.options.stage)(p.stage), reverse=True):
            entry, tensors = self._piece_entry(engine, piece), kept.pieces[piece]
            if entry not in self._store and sum(len(t) for t in tensors.values()) == count:
                size = sum(t.numel() * t.element_size() for t in tensors.values())
                self._new[entry] = tensors, size

    def _recall(self, entry: Entry) -> object | None:
        found = self._store.peek(entry)
        if found is not None:
            self._used.append(entry)
        return found

    def _entry(self, kind: str, *what: object) -> Entry:
        return Entry(self.key, self._place, kind, what)

    def _sampled_entry(self) -> Entry:
        return self._entry("sampled", self._digest)

    def _maps_entry(self, network: Network) -> Entry:
        o = self.options
        return self._entry("maps", network, o.engine, o.method, o.stage, o.target, o.against)

    def _piece_entry(self, engine: Engine, piece: Piece | None) -> Entry:
        return self._entry("captures", self._network, engine.formulas, piece)


def place_of(ct: Volume) -> bytes:
    """Return what decides, besides its voxels, how a CT is sampled: shape, affine, which slices were acquired."""
    acquired = b"" if ct.acquired is None else ct.acquired.tobytes()
    return repr(ct.shape).encode() + ct.ijk_to_ras.tobytes() + acquired


def _copied(maps: RawMaps) -> RawMaps:
    """Maps of its own for each analysis: whoever changes one changes no other."""
    return RawMaps(maps.logits.copy(), {key: raw.copy() for key, raw in maps.raw.items()}, dict(maps.cells))
