"""Stamps: numbers that rise within a replica, follow what it has seen of others, and are made twice by nobody. No I/O.

A stamp is the microseconds since 1970 and, below them, 16 bits that tell replicas apart. One that follows a stamp
which it was told of is greater, whatever the clocks say (a hybrid logical clock): so what was committed on top of
something else also comes after it.
"""

from collections.abc import Callable

_NODE_BITS = 16
_DIGITS = 18
"""Hexadecimal digits of a stamp as text; as many for each, so that text sorts as the numbers do."""


def as_text(stamp: int) -> str:
    """The stamp as it is stored."""
    return f"{stamp:0{_DIGITS}x}"


def from_text(text: str) -> int:
    """The stamp that was stored."""
    return int(text, 16)


class Stamps:
    """Makes stamps for one replica."""

    def __init__(self, node: int, microseconds: Callable[[], int]) -> None:
        self._node = node % (1 << _NODE_BITS)
        self._microseconds = microseconds
        self._last = 0

    def take(self, count: int) -> list[int]:
        """As many stamps as asked for, rising, greater than all that were taken or seen."""
        first = max(self._last + 1, self._microseconds())
        self._last = first + count - 1
        return [at << _NODE_BITS | self._node for at in range(first, first + count)]

    def seen(self, stamp: int) -> None:
        """Another replica has come as far as this."""
        self._last = max(self._last, stamp >> _NODE_BITS)
