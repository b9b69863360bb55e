"""Records and Outbox in memory. `Disk` is what lasts; a `MemoryStore` is one process's connection to it.

With `apart`, partitions are as in the strictest of stores: what was committed in one is not seen from another, not even
by its id. No faults and no delays here: the faults are in `storage.py`, over this. It passes the contract suite of the
ports.
"""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from cludale.kernel.wire import Codec
from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import (
    COMMITTED,
    Commit,
    IndexValue,
    Key,
    Kind,
    Outcome,
    Page,
    Query,
    Stored,
    VersionConflict,
)
from cludale.runtime.cursors import Cursors, Place, Value, question_of
from cludale.runtime.outgoing import Listeners

DELIVERED_SECONDS = 0.05
"""How long delivered positions wait for a commit to ride along with."""
NOBODY = 0
"""Owner of what everyone sees: where only one process at a time has the store open."""


class Row(NamedTuple):
    """A record and its place in the order of coming."""

    n: int
    partition: str
    stored: Stored
    values: tuple[IndexValue, ...]
    """The values of the kind's indexed fields."""


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    question: str
    n: Place
    value: Value = None


_cursors = Cursors(_Cursor)

Observer = Callable[[Commit, Sequence[Outgoing]], None]


class Disk:
    """Everything that was committed. Whoever holds a connection may die; this stays."""

    def __init__(self, kinds: Iterable[Kind], codec: Codec, *, name: str = "store", apart: bool = False) -> None:
        self.name = name
        self.apart = apart
        self.codec = codec
        self.tables: dict[Kind, dict[Key, Row]] = {kind: {} for kind in kinds}
        self.outbox: dict[int, Outgoing] = {}
        self.observer: Observer | None = None
        """Told of every commit at the moment in which it becomes true."""
        self._owners: dict[int, int] = {}
        """Who is to publish what lies at a position of the outbox."""
        self._leases: dict[int, float] = {}
        """Until when nobody else takes what a replica owns; in virtual seconds, by the database's own clock."""
        self._last_owner = NOBODY
        self._position = 0
        self._n = 0

    def get(self, kind: Kind, keys: Sequence[Key]) -> dict[str, Stored]:
        """Those of the records that exist."""
        table = self.tables[kind]
        wanted = sorted({self._place(*key) for key in keys})
        return {key.id: table[key].stored for key in wanted if key in table}

    def _place(self, partition: str, id: str) -> Key:
        return Key(partition if self.apart else "", id)

    def apply(self, commits: Sequence[Commit], owner: int = NOBODY) -> tuple[list[Outcome], list[Outgoing]]:
        """Make true what can be; the outcomes, and what joined the outbox. ValueError, OverflowError: nothing did."""
        encoded = [self._encoded(commit) for commit in commits]
        outcomes: list[Outcome] = []
        fresh: list[Outgoing] = []
        for commit, events in zip(commits, encoded, strict=True):
            outcome = self._judged(commit)
            outcomes.append(outcome)
            if outcome is COMMITTED:
                entries = self._written(commit, events)
                self._owners.update((entry.position, owner) for entry in entries)
                fresh += entries
                if self.observer is not None:
                    self.observer(commit, entries)
        return outcomes, fresh

    def _encoded(self, commit: Commit) -> list[tuple[str, bytes]]:
        for put in commit.puts:
            if len(put.index) != len(put.kind.indexed):
                raise ValueError(f"{put.id!r}: {len(put.index)} index values for {put.kind}")
            if put.kind.is_append_only and put.expected:
                raise ValueError(f"{put.id!r} can't be changed: records of {put.kind} are written once")
            if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in put.index):
                raise OverflowError(f"{put.id!r}: an index value beyond 64 bits")
        topic_of, encode = self.codec.catalogue.topic_of, self.codec.encode
        return [(topic_of(event.type).name, encode(event)) for event in commit.events]

    def _judged(self, commit: Commit) -> Outcome:
        within: dict[tuple[Kind, str], int] = {}
        conflicts = set()
        for put in commit.puts:
            key = (put.kind, put.id)
            held = within.get(key)
            if held is None:
                row = self.tables[put.kind].get(self._place(commit.partition, put.id))
                held = row.stored.version if row else 0
            if held != put.expected:
                conflicts.add(put.id)
            within[key] = put.expected + 1
        return VersionConflict(frozenset(conflicts)) if conflicts else COMMITTED

    def _written(self, commit: Commit, events: Sequence[tuple[str, bytes]]) -> list[Outgoing]:
        for put in commit.puts:
            table = self.tables[put.kind]
            at = self._place(commit.partition, put.id)
            before = table.get(at)
            if before is None:
                self._n += 1
            n = before.n if before else self._n
            table[at] = Row(n, commit.partition, Stored(put.id, put.expected + 1, bytes(put.body)), put.index)
        entries = []
        for topic, body in events:
            self._position += 1
            entries.append(Outgoing(self._position, topic, body))
        self.outbox.update((entry.position, entry) for entry in entries)
        return entries

    def spoil(self, topic: str, body: bytes) -> None:
        """Put into the outbox what no service would."""
        self._position += 1
        self.outbox[self._position] = Outgoing(self._position, topic, body)
        self._owners[self._position] = NOBODY

    def find(self, kind: Kind, query: Query) -> Page:
        """A page. Raises UnusableCursor; ValueError for a field that is not indexed."""
        if query.limit < 1:
            raise ValueError(f"a page of {query.limit}")
        matches = _matcher(kind, query)
        rows = [row for row in self.tables[kind].values() if matches(row)]
        if self.apart and query.partition is not None:
            rows = [row for row in rows if row.partition == query.partition]
        question = question_of(kind, query)
        past = _cursors.read(query.after, question)
        by = None if query.order_by is None else _column(kind, query.order_by)
        ranked = sorted(((_rank(row, by), row) for row in rows), key=lambda each: each[0], reverse=query.descending)
        if by is not None:  # without a value: last, either way
            ranked = [e for e in ranked if e[1].values[by] is not None] + [e for e in ranked if e[1].values[by] is None]
        if past is not None:
            ranked = [each for each in ranked if _follows(each[1], past, by, descending=query.descending)]
        page = [row for _, row in ranked[: query.limit]]
        if len(ranked) <= query.limit:
            return Page([row.stored for row in page], None)
        last = page[-1]
        cursor = _Cursor(question, last.n, None if by is None else last.values[by])
        return Page([row.stored for row in page], _cursors.write(cursor))

    def pending(self, after: int, limit: int, owner: int = NOBODY) -> list[Outgoing]:
        """Up to `limit` of the owner's entries of the outbox past `after`."""
        found: list[Outgoing] = []
        for position, entry in self.outbox.items():
            if position > after and self._owners[position] == owner:
                found.append(entry)
                if len(found) == limit:
                    break
        return found

    def forget(self, positions: Sequence[int]) -> None:
        """Take these from the outbox."""
        for position in positions:
            self.outbox.pop(position, None)
            self._owners.pop(position, None)

    # What several replicas agree on where they share a store: who publishes what.

    def enter(self, until: float) -> int:
        """A new replica's number; what it commits is its own until then, and longer if it says so."""
        self._last_owner += 1
        self._leases[self._last_owner] = until
        return self._last_owner

    def renew(self, owner: int, until: float) -> None:
        """This replica lives."""
        self._leases[owner] = until

    def leave(self, owner: int) -> None:
        """It is gone, and says so: others may have what it leaves at once."""
        self._leases[owner] = float("-inf")

    def gone(self, now: float) -> dict[int, bool]:
        """Replicas that are gone and left events, and whether they said good-bye."""
        left = dict.fromkeys(self._owners.values())
        return {owner: self._leases[owner] == float("-inf") for owner in left if self._leases[owner] < now}

    def take_over(self, owner: int, gone: Container[int]) -> list[Outgoing]:
        """Make the events of these replicas the owner's, under new positions; the events."""
        taken = [entry for entry in self.outbox.values() if self._owners[entry.position] in gone]
        entries = []
        for entry in taken:
            self.forget((entry.position,))
            self._position += 1
            entries.append(msgspec.structs.replace(entry, position=self._position))
        self.outbox.update((entry.position, entry) for entry in entries)
        self._owners.update((entry.position, owner) for entry in entries)
        return entries


def _comparable(value: IndexValue) -> tuple[bool, IndexValue]:
    """Numbers come before text."""
    return (isinstance(value, str), value)


def _rank(row: Row, by: int | None) -> tuple[object, ...]:
    if by is None or row.values[by] is None:
        return ((False, 0), row.n)
    return (_comparable(row.values[by]), row.n)


def _follows(row: Row, past: _Cursor, by: int | None, *, descending: bool) -> bool:
    def beyond(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
        return one < other if descending else one > other

    if by is None:
        return beyond((row.n,), (past.n,))
    value = row.values[by]
    if past.value is None:
        return value is None and beyond((row.n,), (past.n,))
    if value is None:
        return True
    return beyond((_comparable(value), row.n), (_comparable(past.value), past.n))


def _column(kind: Kind, field: str) -> int:
    if field not in kind.indexed:
        raise ValueError(f"{field!r} is not an indexed field of {kind}")
    return kind.indexed.index(field)


def _matcher(kind: Kind, query: Query) -> Callable[[Row], bool]:
    conditions: list[Callable[[tuple[IndexValue, ...]], bool]] = []
    for field, wanted in query.equal.items():
        conditions.append(_equal(_column(kind, field), wanted))
    for field, needle in query.contains.items():
        conditions.append(_contains(_column(kind, field), needle))
    for field, since, until in query.within:
        conditions.append(_within(_column(kind, field), since, until))
    if len(conditions) == 1:
        (only,) = conditions
        return lambda row: only(row.values)
    return lambda row: all(condition(row.values) for condition in conditions)


def _equal(at: int, wanted: IndexValue) -> Callable[[tuple[IndexValue, ...]], bool]:
    return lambda index: index[at] == wanted


def _contains(at: int, needle: str) -> Callable[[tuple[IndexValue, ...]], bool]:
    return lambda index: index[at] is not None and needle in str(index[at])


def _within(at: int, since: IndexValue, until: IndexValue) -> Callable[[tuple[IndexValue, ...]], bool]:
    def within(index: tuple[IndexValue, ...]) -> bool:
        value = index[at]
        if value is None:
            return False
        if since is not None and _comparable(value) < _comparable(since):
            return False
        return until is None or _comparable(value) < _comparable(until)

    return within


class MemoryStore:
    """A connection to a disk: what it knows by itself (listeners, what was delivered) dies with its process."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.owner = NOBODY
        self._listeners = Listeners()
        self._delivered: list[int] = []
        self._flush: asyncio.TimerHandle | None = None

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        return self.disk.get(kind, keys)

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor; ValueError for a field that is not indexed."""
        return self.disk.find(kind, query)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order."""
        return self.write(commits)

    def write(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Commit now, and tell the listeners."""
        outcomes, fresh = self.disk.apply(commits, self.owner)
        self._flush_delivered()
        if fresh:
            self._listeners.tell(fresh)
        return outcomes

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of each group of events that is committed over this connection."""
        self._listeners.add(listener)

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """Up to `limit` entries past position `after`, in order."""
        return self.disk.pending(after, limit, self.owner)

    def delivered(self, positions: Sequence[int]) -> None:
        """Forget these with the next commit, or soon."""
        self._delivered += positions
        if self._delivered and self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(DELIVERED_SECONDS, self._flush_delivered)

    def _flush_delivered(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._delivered:
            self.disk.forget(self._delivered)
            self._delivered.clear()

    async def close(self) -> None:
        """Write what waits and let go."""
        self._flush_delivered()
        self._listeners = Listeners()
