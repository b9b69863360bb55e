"""What a row of the outbox holds, and which rows can go. No connection, no statements.

A row is what one batch published, packed: 170 rows for 170 events would be written to the log twice over, once when
they come and once when they go. A row goes when all of its events were delivered. Which of them were is known in
memory only, so after a server that ended between two events of a row both are published again.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

import msgspec

from cludale.adapters.sqlite.connection import StoreFailed
from cludale.ports.outbox import Outgoing
from cludale.runtime.outgoing import Undelivered

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


def undelivered(rows: Iterable[tuple[int, int]]) -> Undelivered:
    """What waits in these rows: the position of each one's last event, and how many it has.

    Raises StoreFailed for a row that is damaged.
    """
    found = Undelivered()
    for last, events in rows:
        if not isinstance(events, int):
            raise StoreFailed(f"the outbox is damaged at {last}: {events!r} events")
        found.add(last, events)
    return found
