"""`PostgresStore`: Records and Outbox in a schema, shared with other replicas. The order of things, and no SQL.

One connection writes, a batch at a time; two read by id; two more run queries and read the outbox, for these may
take longer. All of them come back by themselves when the server does.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, Self

from cludale.adapters.postgres import outbox, queries
from cludale.adapters.postgres.connection import (
    BY_KEY,
    Connection,
    NoAddress,
    ReadingConnection,
    SessionLimits,
    connect,
    described,
    plainly,
)
from cludale.adapters.postgres.lookups import Lookups
from cludale.adapters.postgres.migrations import migrate
from cludale.adapters.postgres.replica import RENEW_SECONDS, STRUCK_OFF_SECONDS
from cludale.adapters.postgres.schema import checked_schema, tables_of
from cludale.adapters.postgres.writer import Writer
from cludale.kernel.backoff import Backoff
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import Commit, Key, Kind, Outcome, Page, Query, Stored, StoreUnavailable
from cludale.runtime.group_commit import GroupCommit
from cludale.runtime.planning import Plan

_log = logging.getLogger(__name__)

DELIVERED_LIMIT: Final = 1_000
"""Delivered rows of the outbox that wait; more are written at once."""
LOOKUP_LINES: Final = 2
QUERY_LINES: Final = 2
OPENING: Final = Backoff(0.2, 2.0)


class PostgresStore:
    """Records and Outbox in one schema of the database at `url`. Used from one event loop.

    Every commit is on the server's disk before it is answered. Events that this replica committed are its own to
    publish; those of a replica that is gone are taken over by another one. When the server goes away, commits wait
    for it for `patience_seconds` and then fail with StoreUnavailable, until it is back.
    """

    def __init__(
        self,
        url: str,
        kinds: Iterable[Kind],
        codec: Codec,
        *,
        schema: str,
        limits: SessionLimits = SessionLimits(),  # noqa: B008 - a tuple of numbers
        patience_seconds: float = 3.0,
        opening_seconds: float = 30.0,
        renew_seconds: float = RENEW_SECONDS,
        batch_limit: int = 1_000,
        queue_limit: int = 20_000,
        queries_waiting: int = 100,
    ) -> None:
        """Connects to nothing yet: `start` does. Raises ValueError for names that can't be, NoAddress."""
        described(url)
        self._url = url
        self._schema = checked_schema(schema)
        self._limits = limits
        self._tables = tables_of(kinds, schema)
        self._opening_seconds = opening_seconds
        self._renew_seconds = renew_seconds
        self._group = GroupCommit(
            self._write, batch_limit=batch_limit, waiting_limit=queue_limit, delivered_limit=DELIVERED_LIMIT
        )
        self.pulse = self._group.pulse
        self._tending: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._wrote_at = 0.0
        self._one_write = asyncio.Lock()
        self._writer = Writer(
            schema,
            self._tables,
            codec,
            connect=lambda: self._connect("writer", BY_KEY),
            prepare=self._prepare,
            patience_seconds=patience_seconds,
            settled_late=self._group.listeners.tell,
        )

        def line(settings: dict[str, str]) -> ReadingConnection:
            return ReadingConnection(lambda: self._connect("reader", settings), patience_seconds=patience_seconds)

        lookups, finds = [line(BY_KEY) for _ in range(LOOKUP_LINES)], [line({}) for _ in range(QUERY_LINES)]
        self._lines = [*lookups, *finds]
        self._lookups = Lookups(lookups, self._tables)
        self._query_lines: asyncio.Queue[ReadingConnection] = asyncio.Queue()
        for each in finds:
            self._query_lines.put_nowait(each)
        self._queries = 0
        self._queries_limit = QUERY_LINES + queries_waiting
        self._pending = outbox.pending(schema)
        self._waiting = self._writer.waiting

    @classmethod
    async def open(cls, url: str, kinds: Iterable[Kind], codec: Codec, *, schema: str) -> Self:
        """A store that is open. Raises what `start` raises."""
        store = cls(url, kinds, codec, schema=schema)
        await store.start()
        return store

    async def start(self) -> None:
        """Connect, make or check the schema, and take over what closed replicas left.

        Waits `opening_seconds` for a server that is not there yet. Raises StoreUnavailable, SchemaRefused, NoAddress.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._opening_seconds
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._writer.open()
                break
            except NoAddress:
                raise
            except StoreUnavailable as away:
                wait = OPENING.seconds(attempt, 0.5)
                if loop.time() + wait > deadline:
                    raise StoreUnavailable(f"{described(self._url)}: {away}") from away
                if attempt == 1:
                    _log.warning("waiting for %s: %s", described(self._url), away)
                await asyncio.sleep(wait)
        self._tending = loop.create_task(self._tend())

    # ---- Records

    async def get(self, kind: Kind, keys: Sequence[Key]) -> "dict[str, Stored]":
        """Those of the records that exist, by id."""
        return dict(await self._lookups.get(kind, keys))

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor; ValueError for a field that is not indexed."""
        question = queries.Question(self._tables[kind], query)
        line = await self._query_line()
        try:
            return await line.read(lambda connection: queries.find(connection, question))
        finally:
            self._give_back(line)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order; durable where it is Committed. Raises StoreUnavailable."""
        return await self._group.submit(None, commits)

    async def probe(self) -> None:
        """Write our lease, durably, and make sure that there is room for more. Raises StoreUnavailable, plainly."""
        try:
            await self._group.nothing()
            async with self._one_write:
                await self._writer.check_room()
        except StoreUnavailable as away:
            raise StoreUnavailable(plainly(away)) from away

    # ---- Outbox

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of each group of our events as soon as it is durable, in order, on the event loop.

        It is told of events that were taken over from a replica that is gone, too.
        """
        self._group.listeners.add(listener)

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """Up to `limit` entries of ours past position `after`, in order."""
        line = await self._query_line()
        try:
            with self._waiting.reading():
                return await self._read_pending(line, after, limit)
        finally:
            self._give_back(line)

    async def _read_pending(self, line: ReadingConnection, after: int, limit: int) -> Sequence[Outgoing]:
        owner = self._writer.owner
        while True:
            past = after
            rows = await line.read(lambda connection: connection.fetch(self._pending, owner, past, limit))  # noqa: B023 - awaited here
            for last, events in dict.fromkeys((row[0], row[1]) for row in rows):
                self._waiting.add(last, events)
            found = [Outgoing(*row[2:]) for row in rows if self._waiting.waits(row[2])]
            if found or len(rows) < max(limit, 1):
                return found
            after = rows[-1][2]

    def delivered(self, positions: Sequence[int]) -> None:
        """Forget these with one of the next commits; a crash before that publishes them again."""
        self._group.delivered.add(self._waiting.take(positions))

    async def close(self) -> None:
        """Write what waits, delivered positions too; others take over what is left at once."""
        self._closing.set()
        if self._tending is not None:
            await asyncio.wait([self._tending])  # not cancelled: the connection is needed for more
        await self._group.close()
        await self._lookups.close()
        await self._writer.close()
        for line in self._lines:
            await line.close()

    # ---- inside

    async def _connect(self, what: str, settings: dict[str, str]) -> Connection:
        return await connect(self._url, self._limits, name=f"cludale {self._schema} {what}", settings=settings)

    async def _prepare(self, connection: Connection) -> None:
        await migrate(connection, self._schema, self._tables, self._writer.function)

    async def _write(self, commits: Sequence[Commit], delivered: Sequence[int]) -> Plan:
        async with self._one_write:
            plan = await self._writer.write(commits, delivered)
        self._wrote_at = asyncio.get_running_loop().time()
        return plan

    async def _tend(self) -> None:
        """Keep our lease, and take over what replicas left that are gone."""
        loop = asyncio.get_running_loop()
        tidied_at = loop.time()
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._renew_seconds)
                return
            try:
                if loop.time() - self._wrote_at >= self._renew_seconds:
                    await self._group.nothing()  # the lease rides along
                while True:
                    async with self._one_write:
                        entries = await self._writer.take_over()
                        if entries:
                            self._group.listeners.tell(entries)
                    if not entries or self._closing.is_set():
                        break
                if loop.time() - tidied_at >= STRUCK_OFF_SECONDS / 10:
                    tidied_at = loop.time()
                    async with self._one_write:
                        await self._writer.tidy()
            except StoreUnavailable as away:
                _log.debug("tending the store: %s", away)
            except Exception as error:  # noqa: BLE001 - said loudly; the next round may do better
                _log.critical("tending the store failed: %s", error, exc_info=error)

    async def _query_line(self) -> ReadingConnection:
        if self._queries >= self._queries_limit:
            raise StoreUnavailable(f"{self._queries} queries are under way, {self._queries_limit} may be")
        self._queries += 1
        try:
            return await self._query_lines.get()
        except BaseException:
            self._queries -= 1
            raise

    def _give_back(self, line: ReadingConnection) -> None:
        self._queries -= 1
        self._query_lines.put_nowait(line)
