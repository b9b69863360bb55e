"""The connection that writes: a batch a call, and what became of a batch whose answer was lost. No queueing here.

A batch is one call of the `write` function, so one round trip and one sync. When the connection breaks under it,
the next connection takes the replica's place anew: what the old one still had to write is written by then, or never
will be, and the number of the last batch tells which.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from asyncpg import exceptions

from cludale.adapters.postgres import replica, schema
from cludale.adapters.postgres.connection import (
    RECONNECT,
    Connection,
    NoAddress,
    closed,
    is_gone,
    understanding,
    understood,
)
from cludale.adapters.postgres.migrations import BLOCK
from cludale.adapters.postgres.outbox import ROW_LIMIT, Waiting, rows_of
from cludale.adapters.postgres.replica import Register, ReplicaPlace
from cludale.adapters.postgres.schema import Function, Table
from cludale.adapters.postgres.values import decoded_text, encoded_text
from cludale.kernel.backoff import Backoff
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outgoing
from cludale.ports.records import Commit, Kind, SchemaRefused, StoreUnavailable
from cludale.runtime.planning import Plan, Planner

_log = logging.getLogger(__name__)

CONFLICT_LIMIT = 30
"""How often a batch is decided anew because other replicas got in between."""
DEADLOCK_LIMIT = 5
DEADLOCKED = Backoff(0.005, 0.025)
TAKE_MOST = replica.TAKE_LIMIT + ROW_LIMIT
"""How many events may come of one step of taking over."""
_PASSING = (exceptions.DeadlockDetectedError, exceptions.SerializationError)

ROOM = "cludale_room"
ROOM_TABLE = f"CREATE TEMPORARY TABLE IF NOT EXISTS {ROOM} (filler text) ON COMMIT DELETE ROWS"
TAKE_ROOM = f"INSERT INTO pg_temp.{ROOM} SELECT repeat('x', 1900) FROM generate_series(1, 128)"  # noqa: S608 - our own name
"""A quarter of a MiB that is given back with the commit: a table's file has to grow for it, as it has to for orders.
One row that is changed in its place, in a log that was made room for earlier, can be written to a disk that is full."""

Prepare = Callable[[Connection], Awaitable[None]]


class _Batch(NamedTuple):
    """What was sent and may have been written."""

    number: int
    plan: Plan


class Writer:
    """Writes batches for one replica, one at a time. Every await of it may meet a server that is away."""

    def __init__(
        self,
        name: str,
        tables: Mapping[Kind, Table],
        codec: Codec,
        *,
        connect: Callable[[], Awaitable[Connection]],
        prepare: Prepare,
        patience_seconds: float,
        settled_late: Callable[[Sequence[Outgoing]], None],
    ) -> None:
        """`prepare` makes the schema, once. `settled_late` is told of events whose commit was answered with trouble.

        For `patience_seconds` a batch waits for a server that has gone.
        """
        self._tables = tables
        self._function = Function(name, tables.values())
        self._register = Register(name)
        self._planner = Planner(tables.keys(), codec)
        self._connect = connect
        self._prepare = prepare
        self._prepared = False
        self._patience = patience_seconds
        self._settled_late = settled_late
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._trouble: Exception | None = None
        self._place: ReplicaPlace | None = None
        self._batch = 0
        self._position = 0
        self._block_end = 0
        self._may_take_room = True
        self.waiting = Waiting()
        self._unsettled: _Batch | None = None
        """Sent, and not answered yet."""
        self._is_awaited = False
        self._suspects: set[int] = set()

    @property
    def owner(self) -> int:
        """Our number in the store. Raises StoreUnavailable before there is one."""
        if self._place is None:
            raise StoreUnavailable("PostgreSQL: not connected yet")
        return self._place.owner

    @property
    def function(self) -> Function:
        """What writes a batch."""
        return self._function

    async def open(self) -> None:
        """Connect, make the schema, take a place, and take over what others left. Raises what these raise."""
        await self._enter()

    async def write(self, commits: Sequence[Commit], delivered: Sequence[int]) -> Plan:
        """Write what can be written of `commits`, and take the rows `delivered` from the outbox, in one transaction.

        Raises StoreUnavailable: then nothing was written, or it is not known yet.
        """
        await self._connected()
        needed = sum(len(commit.events) for commit in commits)
        if self._position + needed > self._block_end:
            await self._new_block(needed)
        plan = self._planner.hopeful(commits, self._position)
        for _ in range(CONFLICT_LIMIT):
            if plan is not None and await self._written(plan, delivered):
                return plan
            plan = self._planner.exact(commits, self._position, versions=await self._versions(commits))
        raise StoreUnavailable(f"PostgreSQL: other replicas got in between {CONFLICT_LIMIT} times")

    async def take_over(self) -> list[Outgoing]:
        """Make ours what replicas left that are gone, a step of it; the events, as our own by now.

        One whose lease has run out has until the next look to come back: the server may have been away for everyone.
        """
        connection, place = await self._connected()
        with understanding(self._known):
            found = await self._register.gone(connection)
            gone = [id for id, left in found.items() if left or id in self._suspects]
            self._suspects = set(found)
            if not gone:
                return []
            if self._position + TAKE_MOST > self._block_end:
                await self._new_block(TAKE_MOST)
            entries = await self._register.take_over(connection, place, gone, self._position)
        if entries:
            _log.warning("took over %d events from replicas that are gone", len(entries))
            self._position = max(self._position, entries[-1].position)
            for entry in entries:
                self.waiting.add(entry.position, 1)
        return entries

    async def tidy(self) -> None:
        """Strike off replicas that are gone for long. Raises StoreUnavailable."""
        connection, _ = await self._connected()
        with understanding(self._known):
            await self._register.strike_off(connection)

    async def check_room(self) -> None:
        """Is there room for more than what is written in place? Raises StoreUnavailable."""
        connection, _ = await self._connected()
        if not self._may_take_room:
            return
        with understanding(self._known):
            try:
                await connection.execute(ROOM_TABLE)
                await connection.execute(TAKE_ROOM)
            except exceptions.InsufficientPrivilegeError as error:
                self._may_take_room = False
                _log.info("whether PostgreSQL has room for more is not looked at: %s", error)

    async def close(self) -> None:
        """Leave the rest to others at once, and close the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if self._place is not None:
                await self._register.leave(connection, self._place)
        except Exception as error:  # noqa: BLE001 - the lease runs out by itself
            _log.warning("could not say good-bye to PostgreSQL: %s", error)
        await closed(connection)

    # ---- writing

    async def _written(self, plan: Plan, delivered: Sequence[int]) -> bool:
        """Write it; False if what is stored differs. Raises StoreUnavailable, ValueError for what can't be stored."""
        self._batch += 1
        batch = _Batch(self._batch, plan)
        if plan.entries:  # whatever becomes of it, these positions are used
            self._position = max(self._position, plan.entries[-1].position)
        self._is_awaited = True
        try:
            is_written = await self._sent(batch, self._function.arguments(plan, delivered))
        finally:
            self._is_awaited = False
        if is_written:
            self._keep(plan.entries)
            self.waiting.gone(delivered)
        return is_written

    async def _sent(self, batch: _Batch, arguments: Sequence[Any]) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        deadlocks = 0
        while True:
            connection, place = await self._connected()
            if place.batch == batch.number:  # found out when connecting: written, though nobody could say so
                self._unsettled = None
                return True
            self._unsettled = batch
            try:
                verdict = await connection.fetchval(
                    self._function.call, place.owner, place.epoch, batch.number, replica.LEASE_SECONDS, *arguments
                )
            except _PASSING as error:
                self._unsettled = None
                deadlocks += 1
                if deadlocks > DEADLOCK_LIMIT:
                    raise understood(error) from error
                await asyncio.sleep(DEADLOCKED.seconds(deadlocks, random.random()))  # noqa: S311 - jitter
                continue
            except Exception as error:
                known = self._known(error)
                if not is_gone(error):
                    self._unsettled = None
                if not is_gone(error) or loop.time() >= deadline:
                    if known is error:
                        raise
                    raise known from error
                _log.warning("no answer to a batch of %d commits: %s", len(batch.plan.outcomes), known)
                continue
            except BaseException:
                self._drop()  # cancelled: the next connection finds out what became of it
                raise
            self._unsettled = None
            if verdict == schema.FENCED:
                _log.warning("our place in the store was taken over; taking it again")
                self._drop()
                continue
            return bool(verdict == schema.COMMITTED)

    async def _versions(self, commits: Iterable[Commit]) -> dict[tuple[Kind, str], int]:
        """The versions of the records that exist. Raises StoreUnavailable."""
        wanted: dict[Kind, dict[str, None]] = {}
        for commit in commits:
            for put in commit.puts:
                wanted.setdefault(put.kind, {})[encoded_text(put.id)] = None
        versions: dict[tuple[Kind, str], int] = {}

        async def ask(connection: Connection) -> None:
            for kind, ids in wanted.items():
                for id, version in await connection.fetch(self._tables[kind].versions, list(ids)):
                    versions[kind, decoded_text(id)] = version

        await self._asked(ask)
        return versions

    async def _asked(self, ask: Callable[[Connection], Awaitable[None]]) -> None:
        """`ask` over the connection; over the next one, too, if it breaks: there is no batch yet that may be written
        twice. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            connection, _ = await self._connected()
            try:
                with understanding(self._known):
                    return await ask(connection)
            except StoreUnavailable:
                if self._connection is connection or loop.time() >= deadline:
                    raise

    async def _new_block(self, needed: int) -> None:
        if needed > BLOCK:
            raise ValueError(f"{needed} events in one batch, {BLOCK} are the most")
        await self._asked(self._take_block)

    async def _take_block(self, connection: Connection) -> None:
        first = await self._register.block(connection)
        self._position, self._block_end = first - 1, first - 1 + BLOCK

    def _keep(self, entries: Sequence[Outgoing]) -> None:
        for row in rows_of(entries):
            self.waiting.add(row.last, row.until - row.since + 1)

    # ---- being connected

    async def _connected(self) -> tuple[Connection, ReplicaPlace]:
        """The connection and our place. Waits a while for a server that has gone. Raises StoreUnavailable."""
        connection, place = self._connection, self._place
        if connection is not None and place is not None:
            if not connection.is_closed():
                return connection, place
            self._drop()
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._reconnect())
        if self._trouble is None:
            await asyncio.wait([self._connecting], timeout=self._patience)
        # Who comes later, while it is known that the server is away or read-only, does not wait again.
        connection, place = self._connection, self._place
        if connection is None or place is None:
            raise StoreUnavailable(f"PostgreSQL: {self._trouble or 'no connection in time'}") from self._trouble
        return connection, place

    async def _reconnect(self) -> None:
        """Try until there is a connection and our place is ours again."""
        failed = 0
        try:
            while self._connection is None:
                try:
                    await self._enter()
                except (NoAddress, SchemaRefused) as error:
                    self._trouble = error
                    _log.critical("the store can't be used any more: %s", error)
                    await asyncio.sleep(RECONNECT.max_seconds)
                except Exception as error:  # noqa: BLE001 - the server may be in any state; who waits is told
                    failed += 1
                    self._trouble = error
                    await asyncio.sleep(RECONNECT.seconds(failed, 0.5))
        finally:
            self._connecting = None
        self._trouble = None
        if failed:
            _log.warning("PostgreSQL is there again, after %d tries", failed)

    async def _enter(self) -> None:
        connection = await self._connect()
        try:
            with understanding():
                if not self._prepared:
                    await self._prepare(connection)
                    self._prepared = True
                place = await self._entered(connection)
                self._settle(place)
        except BaseException:
            connection.terminate()
            raise
        self._place = place
        self._connection = connection

    async def _entered(self, connection: Connection) -> ReplicaPlace:
        if self._place is not None:
            again = await self._register.enter_again(connection, self._place)
            if again is not None:
                return again
            _log.warning("our place in the store was given up; taking a new one")
        place = await self._register.enter(connection)
        await self._take_block(connection)
        while await self._register.take_over(
            connection, place, [id for id, left in (await self._register.gone(connection)).items() if left], None
        ):
            pass
        return place

    def _settle(self, place: ReplicaPlace) -> None:
        """What became of the batch that the connection before this one did not answer."""
        batch = self._unsettled
        if batch is None or self._is_awaited:  # who awaits it looks for itself
            return
        self._unsettled = None
        if place.batch == batch.number and batch.plan.entries:
            _log.warning("%d events were committed, though the answer was lost", len(batch.plan.entries))
            self._keep(batch.plan.entries)
            self._settled_late(batch.plan.entries)

    def _known(self, error: Exception) -> Exception:
        """`error` in the words of the port; lets go of a connection that is no good any more."""
        if is_gone(error):
            self._drop()
        elif isinstance(error, exceptions.ReadOnlySQLTransactionError):
            # It may be a standby by now, or its session is read-only: the next connection finds whoever writes.
            self._drop()
            self._trouble = error
        return understood(error)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()
