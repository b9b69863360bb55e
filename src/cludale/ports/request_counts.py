"""What several processes count together: requests, by a policy's name, a window of time and who made them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class CountKey(NamedTuple):
    """One counter."""

    policy: str
    window: int
    """Windows of a policy have numbers that follow one another."""
    who: bytes
    """A keyed hash: neither an address nor a key is told."""


class Total(NamedTuple):
    """What all processes together have counted."""

    here: int
    before: int
    """In the window before."""


class Totals(NamedTuple):
    """What came of adding."""

    totals: dict[CountKey, Total]
    processes: int
    """How many processes count, this one among them."""


class RequestCounts(Protocol):
    """Counters of all processes. They may be forgotten: after a crash of what keeps them all begin at 0."""

    async def add(self, added: Sequence[tuple[CountKey, int]], process: CountKey) -> Totals:
        """Add to these counters, each named once, at once, and say what they are now.

        `process` says that this process counts, too. Raises StoreUnavailable.
        """
        ...

    async def forget(self, before: Collection[tuple[str, int]]) -> None:
        """Drop what policies counted in windows before these. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...
