"""Records in a Dapr state store. Events it can't keep: there is no outbox, so a commit with events is refused.

A batch of commits is one transaction: read what it touches, decide, write with the ETags that were read. Whoever came
in between makes it a conflict, and the batch is decided anew on what is there then.
"""

import asyncio
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.dapr.state import documents
from cludale.adapters.dapr.state.api import Conflict, Held, StateApi, TooLarge, Unanswered, Write
from cludale.adapters.dapr.state.dialects import DIALECTS, Dialect, StateType
from cludale.adapters.dapr.state.documents import End, Mark, Node, Record, node_key, record_key, tree_key
from cludale.adapters.dapr.state.index import FANOUT, Entry, Question, Walk, zone_of_entries, zone_of_zones
from cludale.kernel.backoff import Backoff
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import (
    Commit,
    CommitTooLarge,
    IndexValue,
    Key,
    Kind,
    Outcome,
    Page,
    Query,
    Stored,
    StoreUnavailable,
)
from cludale.runtime.batching import BatchingQueue, a_round
from cludale.runtime.planning import Planner, Row
from cludale.runtime.readiness import Pulse

OPERATION_BYTES = 256
"""What a record takes besides its body, about."""
TRIES = 12
"""How often a batch is decided anew, or asked about where an answer was lost."""
BACKOFF = Backoff(0.01, 0.5)
FIND_SECONDS = 30.0
READ_AHEAD = 8
"""Nodes that are read at once."""
RECORDS_AT_ONCE = 100
MAX_INTEGER = 2**63
PROBE_KEY = "readiness"
"""What the probe writes; no record's key looks like it."""


class NoOutbox(ValueError):
    """A commit has events, and a state store is no place for an outbox: nobody could ask it for what waits."""


class _Decided(NamedTuple):
    """What a transaction is to write, and what it makes of each commit."""

    by: str
    outcomes: Sequence[Outcome]
    writes: list[Write]


class StateStore:
    """Records, and an outbox that is always empty."""

    def __init__(
        self,
        sidecar: Sidecar,
        store: str,
        kinds: Collection[Kind],
        codec: Codec,
        *,
        ranged: Collection[str] = (),
        by_id: Collection[Kind] = (),
        type: StateType = StateType.ANY,
    ) -> None:
        """Over the state store component of this name, of this type; `sidecar` is closed with it.

        `ranged` are indexed fields with another value in nearly every record: they get no trees of their own. Asked
        for by value all records are gone through, as they are for a range. `by_id` are kinds that are never searched:
        they get no index, so that two commits meet only in the same record.
        """
        self.pulse = Pulse()
        self._sidecar = sidecar
        self._dialect = DIALECTS[type]
        self._api = StateApi(sidecar, store, self._dialect)
        self._planner = Planner(kinds, codec)
        self._ranged = frozenset(ranged)
        self._by_id = frozenset(by_id)
        self._commits: BatchingQueue[None, Commit, Outcome] = BatchingQueue(
            self._write, of="commits", batch_limit=self._dialect.commit_operations, gather=a_round
        )

    async def start(self) -> None:
        """Nothing: the sidecar waits for this process to listen, so it can't be waited for."""

    async def close(self) -> None:
        """Write what waits, and let go."""
        await self._commits.close()
        await self._sidecar.close()

    async def probe(self) -> None:
        """Write one key of no meaning. Raises StoreUnavailable."""
        held = (await self._api.read([PROBE_KEY])).get(PROBE_KEY)
        value = documents.encode(Mark(uuid4().hex))
        try:
            await self._api.write([Write(PROBE_KEY, value, None if held is None else held.etag)])
        except Unanswered as error:
            raise StoreUnavailable(str(error)) from error
        except Conflict:
            pass  # another replica wrote it just now

    def listen(self, listener: Listener) -> None:
        """There is never anything to tell."""

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:  # noqa: ARG002 - Outbox
        """Nothing."""
        return []

    def delivered(self, positions: Sequence[int]) -> None:
        """Nothing."""

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        ids = list(dict.fromkeys(key.id for key in keys))
        records = await self._records(kind, ids)
        return {id: Stored(id, records[id].version, records[id].body) for id in ids if id in records}

    async def _records(self, kind: Kind, ids: Sequence[str]) -> dict[str, Record]:
        by_key = {record_key(kind, id): id for id in ids}
        held = await self._api.read(list(by_key))
        return {by_key[key]: documents.read_record(each.value) for key, each in held.items()}

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor, ValueError, StoreUnavailable."""
        if kind in self._by_id:
            raise ValueError(f"{kind.service} {kind.name} is found by id alone")
        question = Question(kind, query)
        try:
            async with asyncio.timeout(FIND_SECONDS):
                return await self._find(kind, query, question)
        except TimeoutError as late:
            raise StoreUnavailable(f"no page of {kind.service} {kind.name} within {FIND_SECONDS:g} s") from late

    async def _find(self, kind: Kind, query: Query, question: Question) -> Page:
        trees = [
            tree_key(kind, field, value)
            for field, value in query.equal.items()
            if value is not None and field not in self._ranged
        ] or [tree_key(kind)]
        held = await self._api.read(trees)
        if len(held) < len(trees):
            return Page([], None)  # no record has ever had one of the values
        ends = {tree: documents.read_end(held[tree].value) for tree in trees}
        tree = min(trees, key=lambda each: ends[each].count)
        walk = Walk(question)
        walk.add(ends[tree].entries)
        for zones in ends[tree].zones:
            walk.add(zones)
        found: dict[int, tuple[str, Record]] = {}
        while len(found) <= query.limit:
            if zones := walk.zones(READ_AHEAD):
                for node in await self._nodes([node_key(tree, zone) for zone in zones]):
                    walk.add(node.entries or node.zones)
                continue
            entries = walk.entries(min(RECORDS_AT_ONCE, query.limit + 1 - len(found)))
            if not entries:
                break
            records = await self._records(kind, list(dict.fromkeys(entry.id for entry in entries)))
            for entry in entries:
                record = records.get(entry.id)
                if (
                    record is not None
                    and question.holds(record.values)
                    and question.position(entry.came, record.values) == question.position(entry.came, entry.values)
                ):
                    found.setdefault(entry.came, (entry.id, record))
        items = list(found.values())[: query.limit]
        page = [Stored(id, record.version, record.body) for id, record in items]
        return Page(page, question.cursor(items[-1][1].came, items[-1][1].values) if len(found) > len(items) else None)

    async def _nodes(self, keys: Sequence[str]) -> list[Node]:
        held = await self._api.read(keys)
        missing = [key for key in keys if key not in held]
        if missing:
            raise StoreUnavailable(f"the index is damaged: {missing[0]!r} is not there")
        return [documents.read_node(held[key].value) for key in keys]

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order. Raises NoOutbox, CommitTooLarge, ValueError, StoreUnavailable.

        StoreUnavailable with a lost answer: what was asked may become true yet, whole or not at all; its versions tell
        whoever asks again.
        """
        if not commits:
            return []
        for commit in commits:
            _check(commit, self._dialect)
        return await self._commits.submit(None, commits)

    async def _write(self, _: None, commits: Sequence[Commit]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        try:
            for chunk in _chunks(commits, self._dialect):
                outcomes += await self._write_chunk(chunk)
        except StoreUnavailable:
            self.pulse.failed()
            raise
        self.pulse.worked()
        return outcomes

    async def _write_chunk(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        try:
            return await self._transaction(commits)
        except TooLarge as error:
            if len(commits) == 1:
                raise CommitTooLarge(str(error)) from error
        half = len(commits) // 2
        return [*await self._write_chunk(commits[:half]), *await self._write_chunk(commits[half:])]

    async def _transaction(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        unanswered: list[_Decided] = []
        why = "others are always faster"
        for attempt in range(1, TRIES + 1):
            try:
                held = await self._read(commits)
                for each in unanswered:
                    if _is_written(each, held):
                        return each.outcomes
                decided = self._decide(commits, held)
                if decided.writes:
                    await self._api.write(decided.writes)
            except Conflict:
                pass
            except Unanswered as error:
                unanswered.append(decided)
                why = str(error)
            except StoreUnavailable as error:
                why = str(error)
            else:
                return decided.outcomes
            await asyncio.sleep(BACKOFF.seconds(attempt, random.random()))  # noqa: S311 - jitter
        raise StoreUnavailable(f"a transaction was tried {TRIES} times: {why}")

    async def _read(self, commits: Sequence[Commit]) -> Mapping[str, Held]:
        """All that the commits touch."""
        keys: dict[str, None] = {}
        for commit in commits:
            for put in commit.puts:
                keys[record_key(put.kind, put.id)] = None
                keys.update(dict.fromkeys(self._trees(put.kind, put.index)))
        return await self._api.read(list(keys))

    def _trees(self, kind: Kind, values: Sequence[IndexValue]) -> Iterator[str]:
        """Where records with these values are found. Not all `values` may be there: that is for the planner to say."""
        if kind in self._by_id:
            return
        yield tree_key(kind)
        for field, value in zip(kind.indexed, values, strict=False):
            if value is not None and field not in self._ranged:
                yield tree_key(kind, field, value)

    def _decide(self, commits: Sequence[Commit], held: Mapping[str, Held]) -> _Decided:
        records: dict[tuple[Kind, str], Record] = {}
        for commit in commits:
            for put in commit.puts:
                if (found := held.get(record_key(put.kind, put.id))) is not None:
                    records[put.kind, put.id] = documents.read_record(found.value)
        plan = self._planner.exact(commits, 0, versions={key: record.version for key, record in records.items()})
        written = _Written(uuid4().hex, held)
        for kind, rows in plan.rows.items():
            for row in (*rows.fresh.values(), *rows.changed.values()):
                id, version, body, values = _read_row(row)
                before = records.get((kind, id))
                came = self._place(kind, written) if before is None else before.came
                written.put(record_key(kind, id), Record(written.by, version, came, body, values))
                if before is None or tuple(before.values) != values:
                    for tree in self._trees(kind, values):
                        written.grow(tree, Entry(came, id, values))
        return _Decided(written.by, plan.outcomes, written.writes())

    def _place(self, kind: Kind, written: "_Written") -> int:
        """The place of a new record in the order of coming; 0 for all where nobody asks for it."""
        return 0 if kind in self._by_id else written.end(tree_key(kind)).count


class _Written:
    """The documents that one transaction writes."""

    def __init__(self, by: str, held: Mapping[str, Held]) -> None:
        self.by = by
        self._held = held
        self._documents: dict[str, Record | Mark | Node] = {}
        self._ends: dict[str, End] = {}

    def put(self, key: str, document: Record | Mark | Node) -> None:
        self._documents[key] = document

    def end(self, tree: str) -> End:
        end = self._ends.get(tree)
        if end is None:
            held = self._held.get(tree)
            end = self._ends[tree] = End() if held is None else documents.read_end(held.value)
            end.by = self.by
        return end

    def grow(self, tree: str, entry: Entry) -> None:
        """Put the entry at the end of the tree; what is full becomes a node."""
        end = self.end(tree)
        end.entries.append(entry)
        end.count += 1
        if len(end.entries) < FANOUT:
            return
        zone = zone_of_entries(end.entries, end.count)
        self.put(node_key(tree, zone), Node(self.by, entries=end.entries))
        end.entries = []
        for level in end.zones:
            level.append(zone)
            if len(level) < FANOUT:
                return
            zone = zone_of_zones(level, end.count)
            self.put(node_key(tree, zone), Node(self.by, zones=level[:]))
            level.clear()
        end.zones.append([zone])

    def writes(self) -> list[Write]:
        ends = {tree: end for tree, end in self._ends.items() if end.count}
        return [
            Write(key, documents.encode(document), held.etag if (held := self._held.get(key)) is not None else None)
            for key, document in (self._documents | ends).items()
        ]


def _is_written(decided: _Decided, held: Mapping[str, Held]) -> bool:
    """Is anything there that this transaction wrote? Then all of it was written."""
    return any(
        documents.read_mark(found.value).by == decided.by
        for write in decided.writes
        if (found := held.get(write.key)) is not None
    )


def _read_row(row: Row) -> tuple[str, int, bytes, tuple[IndexValue, ...]]:
    id, version, body, *values = row
    if not isinstance(id, str) or not isinstance(version, int) or not isinstance(body, bytes):
        raise TypeError(f"{id!r} is no record")
    for value in values:
        if isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
            raise ValueError(f"{id!r}: {value} is more than 64 bits")
    return id, version, body, tuple(values)


def _check(commit: Commit, dialect: Dialect) -> None:
    if commit.events:
        raise NoOutbox(
            f"a state store keeps no outbox, and this commit has events: {', '.join(e.type for e in commit.events)}"
        )
    operations, size = len(commit.puts), _size(commit)
    if operations > dialect.commit_operations:
        raise CommitTooLarge(f"{operations} records in one commit, {dialect.commit_operations} are the most")
    if size > dialect.commit_bytes:
        raise CommitTooLarge(f"a commit of {size} bytes, {dialect.commit_bytes} are the most")


def _size(commit: Commit) -> int:
    return sum(len(put.body) * 4 // 3 + OPERATION_BYTES for put in commit.puts)


def _chunks(commits: Sequence[Commit], dialect: Dialect) -> Iterator[Sequence[Commit]]:
    """What goes in one transaction each: all at once, if it isn't too much."""
    chunk: list[Commit] = []
    operations = size = 0
    for commit in commits:
        more, larger = len(commit.puts), _size(commit)
        if chunk and (operations + more > dialect.commit_operations or size + larger > dialect.commit_bytes):
            yield chunk
            chunk, operations, size = [], 0, 0
        chunk.append(commit)
        operations += more
        size += larger
    if chunk:
        yield chunk
