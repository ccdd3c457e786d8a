"""A store with a bound in bytes: what was not used for the longest time goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Store(Generic[K]):
    """Values by name, at most ``memory`` bytes of them at any moment.

    Parameters
    ----------
    memory:
        In bytes.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self._kept: OrderedDict[K, tuple[object, int]] = OrderedDict()  # the latest used last
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Taken now."""
        return self._bytes

    def __contains__(self, name: K) -> bool:
        return name in self._kept

    def __iter__(self) -> Iterator[K]:
        """Names, that which was not used for the longest time first."""
        return iter(tuple(self._kept))

    def peek(self, name: K) -> object | None:
        """Return a value without counting it as used; None if it is not there."""
        found = self._kept.get(name)
        return None if found is None else found[0]

    def touch(self, name: K) -> None:
        """Count a value as used now, if it is there."""
        if name in self._kept:
            self._kept.move_to_end(name)

    def put(self, name: K, value: object, size: int) -> None:
        """Keep a value of ``size`` bytes as the latest used, in place of one of the same name.

        Others give way, the longest unused first; a value larger than the bound is not kept.
        """
        self._remove(name)
        if size > self.memory:
            return
        while self._bytes + size > self.memory:
            self._remove(next(iter(self._kept)))
        self._kept[name] = value, size
        self._bytes += size

    def drop(self, which: Callable[[K], bool]) -> None:
        """Remove the values whose names ``which`` is true of."""
        for name in self:
            if which(name):
                self._remove(name)

    def _remove(self, name: K) -> None:
        if name in self._kept:
            self._bytes -= self._kept.pop(name)[1]
