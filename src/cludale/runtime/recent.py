"""Recent: the entries added last, in bounded memory."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dict of at least the last `limit` entries, and at most twice as many and one batch. Read it as any dict.

    Two generations: when the younger one is full, the older one is forgotten. So remembering costs the same however
    many there are, and whoever is remembered again in time stays.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._young: list[K] = []
        self._old: list[K] = []

    def remember(self, items: Mapping[K, V]) -> None:
        """Add these, and remove the oldest when there are too many."""
        self.update(items)
        self._young += items
        if len(self._young) >= self._limit:
            for key in set(self._old).difference(self._young):
                self.pop(key, None)
            self._old, self._young = self._young, []
