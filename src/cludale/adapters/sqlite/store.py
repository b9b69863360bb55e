"""`SqliteStore`: Records and Outbox over one file, and `SqliteReader`, the part of it that only reads.

Here are the threads, the order of things and what an error leads to; statements are in `schema` and `queries`,
decisions in `planning`. One thread writes. `get` reads on the event loop's thread, because a few rows by id cost
less than a change of threads; a server reads what is asked for in one turn of the loop together, for each statement
has to win the GIL back from the thread that writes. `find` may scan, so it has threads of its own.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import apsw

from cludale.adapters.sqlite import schema
from cludale.adapters.sqlite.connection import FileLock, StoreFailed, check_room, connect_reader, understood
from cludale.adapters.sqlite.queries import Reader
from cludale.adapters.sqlite.recent import Recent
from cludale.adapters.sqlite.thread import JobThread
from cludale.adapters.sqlite.writer import Writer
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import (
    Commit,
    Key,
    Kind,
    Outcome,
    Page,
    Query,
    Stored,
    StoreUnavailable,
    VersionConflict,
)
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.group_commit import GroupCommit
from cludale.runtime.planning import Plan, Planner

SWITCH_SECONDS = 5e-5
"""How long a thread may keep the GIL from another. With Python's 5 ms the writer waits most of its time."""
BATCH_LIMIT = 1_000
"""The most commits that one transaction makes."""
DELIVERED_LIMIT = 1_000
"""Delivered rows that wait; more are written at once."""
RECENT_BYTES = 16 << 20
"""Bodies of records, written last, that are kept in memory."""
LOOK_UPS_WAITING = 100_000
"""Ids that may wait to be looked up, for one turn of the loop."""
TELL_SECONDS = 5.0
"""How often it is told how far a file that is written anew has come."""
GET_BUSY_SECONDS = 0.1
"""How long a read on the event loop's thread may be held up by another process."""


class FindLimits(NamedTuple):
    """How many queries run and wait, and for how long one may run."""

    threads: int = 2
    waiting: int = 100
    seconds: float = 10.0


FIND_LIMITS = FindLimits()


class _Finder:
    """Threads that run queries, each with a connection."""

    def __init__(self, readers: Sequence[Reader], limits: FindLimits) -> None:
        self._readers = readers
        self._idle: SimpleQueue[Reader] = SimpleQueue()
        for reader in readers:
            self._idle.put(reader)
        self._pool = ThreadPoolExecutor(len(readers), thread_name_prefix="sqlite-find")
        self._limit = len(readers) + limits.waiting
        self._running = 0
        self._seconds = limits.seconds

    async def run(self, job: Callable[[Reader, float], Page]) -> Page:
        """Run a query. Raises StoreUnavailable when too many wait, or when it takes too long."""
        if self._running >= self._limit:
            raise StoreUnavailable(f"{self._running} queries are under way, {self._limit} may be")
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, job)
        except apsw.InterruptError as error:
            raise StoreUnavailable(f"a query took longer than {self._seconds} s") from error
        except apsw.Error as error:
            raise understood(error) from error
        finally:
            self._running -= 1

    def _run(self, job: Callable[[Reader, float], Page]) -> Page:
        reader = self._idle.get_nowait()  # there are as many as threads
        try:
            return job(reader, self._seconds)
        finally:
            self._idle.put(reader)

    def close(self) -> None:
        """Wait for what runs, then close the connections."""
        self._pool.shutdown()
        for reader in self._readers:
            reader.close()


class SqliteReader:
    """What a store holds, for reading only: `get`, `find` and `pending`, as their ports say.

    Tools read so, beside a running server or without one.
    """

    def __init__(
        self,
        path: Path,
        kinds: Iterable[Kind],
        *,
        find: FindLimits = FIND_LIMITS,
        busy_seconds: float = 5.0,
        vfs: str | None = None,
    ) -> None:
        """The file must be a store of these kinds. Raises SchemaRefused, StoreUnavailable."""
        tables = schema.tables_of(kinds)
        try:
            near = connect_reader(path, busy_seconds=GET_BUSY_SECONDS, vfs=vfs)
            self._lacked = schema.check_tables(near, path, tables)
            far = [connect_reader(path, busy_seconds=busy_seconds, vfs=vfs) for _ in range(find.threads)]
        except apsw.Error as error:
            raise understood(error) from error
        self._near = Reader(near, tables)
        self._finder = _Finder([Reader(connection, tables) for connection in far], find)

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        if self._lacked and kind in self._lacked:
            return {}
        try:
            return self._near.get(kind, [key.id for key in keys])
        except apsw.Error as error:
            raise understood(error) from error

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor; ValueError for a field that is not indexed."""
        if self._lacked and kind in self._lacked:
            return Page((), None)
        return await self._finder.run(lambda reader, seconds: reader.find(kind, query, seconds=seconds))

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """Up to `limit` entries of the outbox past position `after`, in order."""
        try:
            return self._near.pending(after, limit)
        except apsw.Error as error:
            raise understood(error) from error

    async def close(self) -> None:
        """Close the connections."""
        self._finder.close()
        self._near.close()


class SqliteStore(SqliteReader):
    """Records and Outbox in the SQLite file `path`, which it creates if need be and holds alone.

    Every commit is on the disk (`synchronous=FULL`) before it is answered. When an I/O error has made it unknown
    what the disk holds, every later call raises StoreFailed, and `on_fatal` is called once, on the event loop:
    the process should end, and recover by opening the store anew.
    """

    def __init__(
        self,
        path: Path,
        kinds: Iterable[Kind],
        codec: Codec,
        *,
        on_fatal: Callable[[StoreFailed], None] | None = None,
        busy_seconds: float = 5.0,
        queue_limit: int = 20_000,
        find: FindLimits = FIND_LIMITS,
        checkpoint_pages: int = 2_000,
        vfs: str | None = None,
    ) -> None:
        """Open the store. Raises StoreInUse, SchemaRefused, StoreUnavailable.

        `busy_seconds` is how long another process's lock is waited for, `queue_limit` how many commits may wait.
        Shortens the interpreter's switch interval, for the whole process (see SWITCH_SECONDS).
        """
        kinds = tuple(kinds)
        self._path = path
        self._folder = path.parent
        self._lock = FileLock(path)
        try:
            tables = schema.tables_of(kinds)
            self._planner = Planner(tables.keys(), codec)
            self._writer = Writer(
                path,
                tables,
                self._planner,
                busy_seconds=busy_seconds,
                checkpoint_pages=checkpoint_pages,
                vfs=vfs,
                on_passed=self._passed,
            )
            super().__init__(path, kinds, find=find, busy_seconds=busy_seconds, vfs=vfs)
        except apsw.Error as error:
            self._lock.release()
            raise understood(error) from error
        except BaseException:
            self._lock.release()
            raise
        self._position = self._writer.position
        self._undelivered = self._writer.undelivered
        sys.setswitchinterval(min(SWITCH_SECONDS, sys.getswitchinterval()))
        self._group = GroupCommit(
            self._write, batch_limit=BATCH_LIMIT, waiting_limit=queue_limit, delivered_limit=DELIVERED_LIMIT
        )
        self.pulse = self._group.pulse
        self._thread = JobThread("sqlite-writer", after_each=self._writer.tidy, on_error=self._tidying_failed)
        self._recent = Recent(RECENT_BYTES)
        self._reads: BatchingQueue[Kind, str, Stored | None] = BatchingQueue(
            self._read, of="look-ups", waiting_limit=LOOK_UPS_WAITING
        )
        self._writing: asyncio.Future[Plan] | None = None
        self._on_fatal = on_fatal
        self._failed: StoreFailed | None = None

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order; durable where it is Committed.

        Raises StoreUnavailable (nothing of this call was written), StoreFailed, and ValueError or TypeError for
        what can't be stored at all. Later commits of one call see earlier ones.
        """
        return await self._group.submit(None, commits)

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        self._check()
        found, missing = self._recent.get(kind, keys)
        if missing:
            for stored in await self._reads.submit(kind, missing):
                if stored is not None:
                    found[stored.id] = stored
        return found

    async def _read(self, kind: Kind, ids: Sequence[str]) -> Sequence[Stored | None]:
        """What the file has of these, all that were asked for in one turn of the loop."""
        try:
            found = self._near.get(kind, ids)
        except apsw.Error as error:
            raise understood(error) from error
        return list(map(found.get, ids))

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor; ValueError for a field that is not indexed."""
        self._check()
        page = await super().find(kind, query)
        if self._writing is not None:
            # The query may have seen this batch on the disk. What it has shown, `get` must show from then on, too.
            await asyncio.wait([self._writing])
        return page

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """Up to `limit` entries of the outbox past position `after`, in order."""
        try:
            return self._near.pending(after, limit, self._undelivered.waits)
        except apsw.Error as error:
            raise understood(error) from error

    async def start(self) -> None:
        """Nothing: the file is open."""

    async def probe(self) -> None:
        """Make sure that there is room, and write a page, durably. Raises StoreUnavailable."""
        self._check()
        await asyncio.to_thread(check_room, self._folder)
        try:
            await self._thread.run(self._writer.probe)
        except StoreFailed as failed:
            self._fail(failed)
            raise

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self._path.stat().st_size

    async def rewrite(self, tell: Callable[[int], None]) -> None:
        """Write the file anew, so that nothing of what was written over is in it. Commits wait meanwhile.

        Takes as much room on the disk again, twice. Raises StoreUnavailable.
        """
        self._check()
        rewriting = self._thread.run(self._writer.rewrite, self._folder)
        log = self._path.with_name(f"{self._path.name}-wal")
        try:
            while not (await asyncio.wait([rewriting], timeout=TELL_SECONDS))[0]:
                tell(log.stat().st_size)
            await rewriting
        except StoreFailed as failed:
            self._fail(failed)
            raise

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of each group of events as soon as it is durable, in order, on the event loop."""
        self._group.listeners.add(listener)

    def delivered(self, positions: Sequence[int]) -> None:
        """Forget these with one of the next commits; a crash before that publishes them again."""
        self._group.delivered.add(self._undelivered.take(positions))

    async def close(self) -> None:
        """Write what waits, delivered positions too, then close the file and let the next server in.

        Raises StoreFailed when the disk fails meanwhile; nothing that was answered is lost by that.
        """
        await self._group.close()
        await self._reads.close()
        await asyncio.to_thread(self._thread.stop)
        await super().close()
        try:
            await asyncio.to_thread(self._writer.close)
        except apsw.Error as error:
            raise understood(error) from error
        finally:
            self._lock.release()

    async def _write(self, commits: Sequence[Commit], delivered: Sequence[int]) -> Plan:
        self._check()
        # Planned here and not in the writer's thread: two threads that both run Python take the GIL from each other.
        plan = self._planner.hopeful(commits, self._position)
        try:
            self._writing = self._thread.run(self._writer.write, plan, commits, self._position, delivered)
            plan = await self._writing
        except StoreFailed as failed:
            self._fail(failed)
            raise
        finally:
            self._writing = None
        if plan.entries:
            self._position = plan.entries[-1].position
            self._undelivered.add(self._position, len(plan.entries))
        self._recent.add(plan.rows)
        if plan.failed:
            for outcome in plan.outcomes:
                if isinstance(outcome, VersionConflict):
                    self._recent.forget(outcome)
        return plan

    def _passed(self) -> None:
        self._thread.tidy()

    def _tidying_failed(self, error: Exception) -> None:
        self._fail(error if isinstance(error, StoreFailed) else StoreFailed(f"a checkpoint failed: {error!r}"))

    def _fail(self, failed: StoreFailed) -> None:
        if self._failed is not None:
            return
        self._failed = failed
        self._group.delivered.end()
        if self._on_fatal is not None:
            self._on_fatal(failed)

    def _check(self) -> None:
        if self._failed is not None:
            raise StoreFailed(*self._failed.args) from self._failed
