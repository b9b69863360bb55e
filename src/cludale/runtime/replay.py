"""Replay: state from the log. Folds the public events into an empty store and compares that with the live one.

Each service's `replay.py` makes a `Replay`: which events it folds, which records each of them touches, and what
becomes of those. The driver here does the rest: pages, a bounded cache, commits and the comparison. It reads and
writes records and does nothing else: no event is published, no money moves, nobody is told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from cludale.kernel.events import Envelope
from cludale.ports.records import Commit, Committed, Key, Kind, Put, Query, Records, Stored
from cludale.runtime.recent import Recent

S = TypeVar("S")

PAGE = 500
"""Records in one page of the comparison."""
SHOWN = 1_000
"""The most records, or differences, that are named."""


class Table(NamedTuple, Generic[S]):
    """One kind of record that a service's replay rebuilds. `kind`, `decode` and `put` are what its store.py has."""

    kind: Kind
    decode: Callable[[bytes], S]
    put: Callable[[S, int], Put]
    """Write the state over this version (0: none yet)."""
    partition: Callable[[S], str]
    comparable: Callable[[S], Mapping[str, object] | None]
    """The fields that events tell of, by name: no personal data, no bookkeeping. None: no event tells of this one.

    A field that one side leaves out is not compared: a record may be older than it.
    """


class Ref(NamedTuple):
    """A record, by the name of its kind, its partition and its id."""

    kind: str
    partition: str
    id: str


class States:
    """The states that the event in hand may look at and change: those that `touches` named."""

    def __init__(self, entries: "Mapping[Ref, _Entry]") -> None:
        self._entries = entries

    def get(self, ref: Ref) -> Any:
        """The state as folded so far, or None. KeyError if `touches` didn't name it."""
        return self._entries[ref].state

    def put(self, ref: Ref, state: object) -> None:
        """The state after this event. KeyError if `touches` didn't name it."""
        entry = self._entries[ref]
        entry.state = state
        entry.dirty = True


class Replay(Protocol):
    """How one service's state follows from events. Pure: what it does depends on the events alone."""

    @property
    def service(self) -> str:
        """The service's name."""
        ...

    @property
    def event_types(self) -> frozenset[str]:
        """The events that it folds; the others are not shown to it."""
        ...

    @property
    def tables(self) -> Sequence[Table[Any]]:
        """The kinds of record that it rebuilds."""
        ...

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """Every record that folding `event` may look at or change."""
        ...

    def fold(self, event: Envelope, states: States) -> None:
        """Apply one event. Raises NotYet, having changed nothing.

        Events come as the audit has them: every cause before its effects, and nothing else is certain. Two facts
        about one thing may come in either order, and the state must be the same.
        """
        ...


class Log(Protocol):
    """The audit log, read from its beginning."""

    def read(self) -> AsyncIterator[Sequence[Envelope]]:
        """The events past those read before, in pages, every cause before its effects; ends at the end of the log."""
        ...


class Difference(NamedTuple):
    """Live and rebuilt disagree. `field` None: one of the two has no such record at all."""

    service: str
    kind: str
    id: str
    field: str | None
    live: object
    rebuilt: object


class Rebuilt(NamedTuple):
    """A record as the log gives it: what events tell of it, by name."""

    service: str
    kind: str
    id: str
    fields: Mapping[str, object]


class NotYet(Exception):
    """What this event is about comes later in the log: fold it then."""


class PerhapsNever(NotYet):
    """What this event is about comes later in the log, or is in no event at all: then it changes nothing."""


class NotEmpty(Exception):
    """The store to rebuild into has records already."""


class CannotFold(Exception):
    """An event does not follow from those before it: the log is not whole, or its order is broken."""


class _Entry:
    __slots__ = ("dirty", "state", "version")

    def __init__(self, state: Any, version: int) -> None:
        self.state = state
        self.version = version
        self.dirty = False


class Rebuild:
    """Folds the log into `into`, an empty store, for some services.

    Memory is bounded: `cache_limit` states of each service, and those that one page of events touches.
    """

    def __init__(self, log: Log, replays: Sequence[Replay], into: Records, *, cache_limit: int = 50_000) -> None:
        self._log = log
        self._into = into
        self._folders = [_Folder(replay, into, cache_limit) for replay in replays]
        self.events = 0
        """How many were folded."""
        self._is_begun = False

    async def run(self, progress: Callable[[int], None] | None = None) -> None:
        """Fold what the log has by now; tells `progress` after each page how many events were folded in all.

        Raises NotEmpty, CannotFold, and what reading the log raises.
        """
        if not self._is_begun:
            await self._check_empty()
            self._is_begun = True
        async for events in self._log.read():
            for folder in self._folders:
                await folder.fold(events)
            self.events += len(events)
            if progress is not None:
                progress(self.events)

    async def _check_empty(self) -> None:
        for folder in self._folders:
            for table in folder.replay.tables:
                if (await self._into.find(table.kind, Query(limit=1))).items:
                    raise NotEmpty(f"there are records of {folder.replay.service}/{table.kind.name}")

    async def compare(
        self, live: Records, *, limit: int = SHOWN, settle_rounds: int = 3, settle_seconds: float = 1.0
    ) -> list[Difference]:
        """Where `live` differs from what was rebuilt, at most `limit` differences. Raises CannotFold.

        A running service is ahead of its audit by what is on its way: while there are differences, the log's
        new entries are folded and everything is compared again, up to `settle_rounds` times.
        """
        for _ in range(settle_rounds):
            found = await self._differences(live, limit)
            if not found and not self._early():
                return []
            await asyncio.sleep(settle_seconds)
            await self.run()
        for service, event in self._early():
            raise CannotFold(f"{service}: {event.type} {event.id} is about something that the log doesn't have")
        return await self._differences(live, limit)

    def _early(self) -> list[tuple[str, Envelope]]:
        return [(folder.replay.service, event) for folder in self._folders for event in folder.awaited]

    async def _differences(self, live: Records, limit: int) -> list[Difference]:
        found: list[Difference] = []
        for folder in self._folders:
            for table in folder.replay.tables:
                async for difference in _compare_table(folder.replay.service, table, live, self._into):
                    found.append(difference)
                    if len(found) >= limit:
                        return found
        return found

    async def about(self, id: str) -> list[Rebuilt]:
        """What was rebuilt with this id, as a part of it (`id/…`), or for the order with it; at most SHOWN."""
        found: list[Rebuilt] = []
        for folder in self._folders:
            for table in folder.replay.tables:
                async for page in _stored(self._into, table.kind):
                    for stored in page:
                        state = table.decode(stored.body)
                        is_its = stored.id == id or stored.id.startswith(f"{id}/")
                        if is_its or getattr(state, "order_id", None) == id:
                            fields = table.comparable(state) or {}
                            found.append(Rebuilt(folder.replay.service, table.kind.name, stored.id, fields))
                            if len(found) >= SHOWN:
                                return found
        return found

    async def counts(self) -> dict[str, int]:
        """How many records of each kind were rebuilt, by `service/kind`."""
        return {
            f"{folder.replay.service}/{table.kind.name}": await _count(self._into, table.kind)
            for folder in self._folders
            for table in folder.replay.tables
        }


class _Folder:
    """One service's fold: a cache of states over the store that they are written to."""

    def __init__(self, replay: Replay, into: Records, cache_limit: int) -> None:
        self.replay = replay
        self._into = into
        self._tables = {table.kind.name: table for table in replay.tables}
        self._entries: Recent[Ref, _Entry] = Recent(cache_limit // 2)
        self._states = States(self._entries)
        self.early: Sequence[Envelope] = ()
        """Events whose turn has not come yet."""
        self.perhaps_never = set[str]()
        """The ids of those among them that may be about what no event tells of."""

    @property
    def awaited(self) -> list[Envelope]:
        """Events that are about something that the log has to have."""
        return [event for event in self.early if event.id not in self.perhaps_never]

    async def fold(self, events: Sequence[Envelope]) -> None:
        """Apply a page of events and write what it changed."""
        replay = self.replay
        mine = [*self.early, *(event for event in events if event.type in replay.event_types)]
        touched = dict.fromkeys(ref for event in mine for ref in replay.touches(event))
        await self._load(touched)
        early = self._fold(mine)
        tried = len(mine)
        while early and len(early) < tried:  # what was folded may be what they waited for
            tried = len(early)
            early = self._fold(early)
        self.early = early
        await self._write(touched)

    def _fold(self, events: Sequence[Envelope]) -> list[Envelope]:
        """Apply these events; returns those whose turn has not come yet."""
        early: list[Envelope] = []
        for event in events:
            try:
                self.replay.fold(event, self._states)
            except NotYet as why:
                early.append(event)
                if isinstance(why, PerhapsNever):
                    self.perhaps_never.add(event.id)
            except (LookupError, ValueError, AttributeError, TypeError) as error:
                raise CannotFold(f"{self.replay.service}: {event.type} {event.id}: {error!r}") from error
        return early

    async def _load(self, refs: Mapping[Ref, None]) -> None:
        entries = {ref: self._entries[ref] for ref in refs if ref in self._entries}
        missing: dict[str, list[Ref]] = {}
        for ref in refs:
            if ref not in entries:
                missing.setdefault(ref.kind, []).append(ref)
        for name, wanted in missing.items():
            table = self._tables[name]
            stored = await self._into.get(table.kind, [Key(ref.partition, ref.id) for ref in wanted])
            for ref in wanted:
                found = stored.get(ref.id)
                entries[ref] = _Entry(table.decode(found.body), found.version) if found else _Entry(None, 0)
        self._entries.remember(entries)

    async def _write(self, refs: Mapping[Ref, None]) -> None:
        puts: dict[str, list[Put]] = {}
        for ref in refs:
            entry = self._entries[ref]
            if entry.dirty:
                puts.setdefault(ref.partition, []).append(self._tables[ref.kind].put(entry.state, entry.version))
                entry.version += 1
                entry.dirty = False
        outcomes = await self._into.commit([Commit(partition, each) for partition, each in puts.items()])
        for outcome in outcomes:
            if not isinstance(outcome, Committed):
                raise NotEmpty(f"somebody else writes into the store to rebuild into: {outcome}")


async def _compare_table(service: str, table: Table[Any], live: Records, rebuilt: Records) -> AsyncIterator[Difference]:
    name = table.kind.name
    async for page in _pages(live, table):
        others = await rebuilt.get(table.kind, [key for key, _ in page])
        for key, mine in page:
            other = others.get(key.id)
            theirs = table.comparable(table.decode(other.body)) if other else None
            if theirs is None:
                yield Difference(service, name, key.id, None, mine, None)
                continue
            for field in mine.keys() & theirs.keys():
                if mine[field] != theirs[field]:
                    yield Difference(service, name, key.id, field, mine[field], theirs[field])
    async for page in _pages(rebuilt, table):
        known = await live.get(table.kind, [key for key, _ in page])
        for key, mine in page:
            if key.id not in known:
                yield Difference(service, name, key.id, None, None, mine)


async def _pages(records: Records, table: Table[Any]) -> AsyncIterator[list[tuple[Key, Mapping[str, object]]]]:
    """The comparable records of a table, a page at a time."""
    async for page in _stored(records, table.kind):
        comparables: list[tuple[Key, Mapping[str, object]]] = []
        for stored in page:
            state = table.decode(stored.body)
            fields = table.comparable(state)
            if fields is not None:
                comparables.append((Key(table.partition(state), stored.id), fields))
        yield comparables


async def _count(records: Records, kind: Kind) -> int:
    return sum([len(page) async for page in _stored(records, kind)])


async def _stored(records: Records, kind: Kind) -> AsyncIterator[Sequence[Stored]]:
    """All records of a kind, a page at a time."""
    after: str | None = None
    while True:
        page = await records.find(kind, Query(after=after, limit=PAGE))
        yield page.items
        if page.next is None:
            return
        after = page.next
