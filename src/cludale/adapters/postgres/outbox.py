"""What a row of the outbox holds, and which rows can go. No connection.

A row is what a batch published of one topic: as a row for each event it would be written to the log some ten times
over, when they come and when they go. It goes when all of its events were delivered. Which of them were is known in
memory only, so after a crash between two events of a row both are published again.
"""
# ruff: noqa: S608 - the schema's name was checked, values are always bound

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from cludale.ports.outbox import Outgoing
from cludale.runtime.outgoing import Undelivered

ROW_LIMIT: Final = 500
"""Events in a row."""


class OutboxRow(NamedTuple):
    """A row that is to be written."""

    last: int
    """The position of its last event, and so its own. Positions have no gaps."""
    topic: str
    since: int
    """Where its first event stands among those of the batch, counted from 1."""
    until: int
    """Where its last one stands."""


def rows_of(entries: Sequence[Outgoing]) -> Iterator[OutboxRow]:
    """The rows that hold these, in order."""
    since = 1
    for until, entry in enumerate(entries, 1):
        if until == len(entries) or entries[until].topic != entry.topic or until - since == ROW_LIMIT - 1:
            yield OutboxRow(entry.position, entry.topic, since, until)
            since = until + 1


def pending(schema: str) -> str:
    """The query for a replica's events ($1) past a position ($2), at most $3: each with its row's last and number.

    Rows are taken first, as each has an event that is wanted: so a page of a long outbox reads what it shows.
    """
    return (
        "SELECT o.position AS last, e.events, o.position - e.events + e.at, o.topic, e.body FROM ("
        f"SELECT position, topic, body, earlier FROM {schema}.outbox WHERE owner = $1 AND position > $2 "
        "ORDER BY position LIMIT $3) AS o, LATERAL (SELECT body, at, coalesce(cardinality(o.earlier), 0) + 1 AS events "
        "FROM unnest(array_append(o.earlier, o.body)) WITH ORDINALITY AS e(body, at)) AS e "
        "WHERE o.position - e.events + e.at > $2 ORDER BY o.position, e.at LIMIT $3"
    )


class Waiting:
    """Which events in rows of ours nobody has taken yet. Rows are told of when they are written, or found in the store.

    For a row may be there of which we were never told: the answer was lost.
    """

    def __init__(self) -> None:
        self._undelivered = Undelivered()
        self._finished: set[int] = set()
        """Rows that nothing is left of, until they are gone from the store and from what is read of it."""
        self._readers = 0
        self._gone: set[int] = set()
        """Rows that went while somebody read, who may have seen them yet."""

    def add(self, last: int, events: int) -> None:
        """There is this row; one that is known is what it was."""
        if last not in self._finished:
            self._undelivered.add(last, events)

    def take(self, positions: Sequence[int]) -> Sequence[int]:
        """These were delivered; the rows that can go now."""
        done = self._undelivered.take(positions)
        self._finished.update(done)
        return done

    def gone(self, rows: Sequence[int]) -> None:
        """These are not in the store any more."""
        if self._readers:
            self._gone.update(rows)
        else:
            self._finished.difference_update(rows)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Rows that were in the store when this began may be told of, though they are gone by now."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._finished -= self._gone
                self._gone.clear()

    def waits(self, position: int) -> bool:
        """Has nobody taken it?"""
        return self._undelivered.waits(position)
