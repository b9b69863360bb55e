"""Who gets the next request: a revision by weight or label, then its least busy backend. No I/O."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar


class Choosable(Protocol):
    """A backend, as far as choosing needs to know it."""

    @property
    def ready(self) -> bool:
        """Does it take requests?"""

    @property
    def troubles(self) -> str:
        """What it says that does not work, so that it is not ready."""

    @property
    def in_flight(self) -> int:
        """How many requests it has."""


B = TypeVar("B", bound=Choosable)


class Revision(Generic[B]):
    """One version of a service."""

    def __init__(self, name: str, weight: int, label: str | None, backends: Sequence[B]) -> None:
        self.name = name
        self.weight = weight
        self.label = label
        self.backends = backends
        self.credit = 0
        self._turn = 0

    def choose_in_trouble(self, tried: Collection[B]) -> B | None:
        """The backend that lives and is not ready for what it has said, with the fewest requests."""
        found = [each for each in self.backends if each.troubles and each not in tried]
        return min(found, key=lambda each: each.in_flight, default=None)

    def choose(self, tried: Collection[B]) -> B | None:
        """The ready backend that has the fewest requests, of those that have as few another each time."""
        backends = self.backends
        count = len(backends)
        if count == 1:
            only = backends[0]
            return only if only.ready and only not in tried else None
        best: B | None = None
        self._turn += 1
        for step in range(count):
            each = backends[(self._turn + step) % count]
            if each.ready and each not in tried and (best is None or each.in_flight < best.in_flight):
                best = each
        return best


class Balance(Generic[B]):
    """A service's revisions."""

    def __init__(self, revisions: Sequence[Revision[B]]) -> None:
        self.revisions: Mapping[str, Revision[B]] = {each.name: each for each in revisions}
        self._labels = {each.label: each for each in revisions if each.label is not None}
        self._weighted = [each for each in revisions if each.weight]

    def labelled(self, label: str) -> Revision[B] | None:
        """The revision that has the label."""
        return self._labels.get(label)

    def by_weight(self) -> Revision[B] | None:
        """The revision whose turn it is. Of any 100 in a row each gets its weight."""
        weighted = self._weighted
        if len(weighted) < 2:
            return weighted[0] if weighted else None
        best = weighted[0]
        for each in weighted:
            each.credit += each.weight
            if each.credit > best.credit:
                best = each
        best.credit -= 100
        return best

    def others(self, revision: Revision[B]) -> Iterator[Revision[B]]:
        """The other revisions that have weight."""
        return (each for each in self._weighted if each is not revision)

    @property
    def is_ready(self) -> bool:
        """Would a request find a backend?"""
        return any(backend.ready for revision in self._weighted for backend in revision.backends)

    @property
    def troubles(self) -> str:
        """Why none is ready, in the words of one that lives; empty where none does, or one is ready."""
        if self.is_ready:
            return ""
        said = (backend.troubles for revision in self._weighted for backend in revision.backends)
        return next(filter(None, said), "")
