"""What a row of the outbox holds, and which rows can go. No connection, no statements.

A row is what one batch published, packed: 170 rows for 170 events would be written to the log twice over, once when
they come and once when they go. A row goes when all of its events were delivered. Which of them were is known in
memory only, so after a server that ended between two events of a row both are published again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

import msgspec

from cludale.adapters.sqlite.connection import StoreFailed
from cludale.ports.outbox import Outgoing

_KEPT = attrgetter("topic", "body")
_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


def packed(entries: Sequence[Outgoing]) -> tuple[int, int, bytes]:
    """A row: position of the last entry, how many there are, and their topics and bodies. Positions have no gaps."""
    body = msgspec.msgpack.encode(list(map(_KEPT, entries)))
    return entries[-1].position, len(entries), body


def unpacked(last: int, body: bytes) -> Iterator[Outgoing]:
    """The entries of a row, in order. Raises StoreFailed for a row that is damaged."""
    try:
        entries = _decode(body)
    except msgspec.MsgspecError as error:
        raise StoreFailed(f"the outbox is damaged at {last}: {error}") from error
    for position, (topic, event) in enumerate(entries, last - len(entries) + 1):
        yield Outgoing(position, topic, event)


class Undelivered:
    """The positions in the outbox that nobody has taken, by row. Used from one thread."""

    def __init__(self, rows: Iterable[tuple[int, int]]) -> None:
        """`rows` of the store: the position of each one's last event, and how many it has, in order.

        Raises StoreFailed for a row that is damaged.
        """
        self._lasts: list[int] = []
        self._left: dict[int, set[int]] = {}
        for last, events in rows:
            if not isinstance(events, int):
                raise StoreFailed(f"the outbox is damaged at {last}: {events!r} events")
            self.add(last, events)

    def add(self, last: int, events: int) -> None:
        """A row was written, after all others."""
        self._lasts.append(last)
        self._left[last] = set(range(last - events + 1, last + 1))

    def take(self, positions: Sequence[int]) -> Sequence[int]:
        """These were delivered; the rows of which nothing is left now, by their last positions."""
        done = []
        ordered = sorted(positions)
        at = 0
        while at < len(ordered):
            row = bisect_left(self._lasts, ordered[at])
            if row == len(self._lasts):
                break
            last = self._lasts[row]
            end = bisect_right(ordered, last, at)
            left = self._left[last]
            left.difference_update(ordered[at:end])
            at = end
            if not left:
                done.append(last)
                del self._lasts[row], self._left[last]
        return done

    def waits(self, position: int) -> bool:
        """Has nobody taken it?"""
        row = bisect_left(self._lasts, position)
        return row < len(self._lasts) and position in self._left[self._lasts[row]]
