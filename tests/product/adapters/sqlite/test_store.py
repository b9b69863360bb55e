"""What SQLite brings with it beyond the ports: locks, failing disks, other programs' files, the log's size."""

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import apsw
import pytest
from tests.product.adapters.sqlite.faulty_disk import FaultyDisk, broken, faulty_disk, full
from tests.product.contracts.samples import CODEC, KINDS, NOTE, ORDER, PARTITION, key, noted, of, order

from cludale.adapters.sqlite import FindLimits, SqliteReader, SqliteStore, StoreFailed, StoreInUse
from cludale.adapters.sqlite.checkpoints import AGAIN_SECONDS, LOG_GROWTH, READERS_SECONDS
from cludale.adapters.sqlite.connection import NoRoom, connect_writer
from cludale.adapters.sqlite.queries import Question
from cludale.adapters.sqlite.schema import Table
from cludale.adapters.sqlite.writer import Writer
from cludale.ports.records import (
    COMMITTED,
    Commit,
    Kind,
    Put,
    Query,
    SchemaRefused,
    StoreUnavailable,
    VersionConflict,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path, KINDS, CODEC, busy_seconds=0.1)
    yield opened
    await opened.close()


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


async def test_what_it_writes_is_its_owners_only(store: SqliteStore, path: Path) -> None:
    await written(store, 1)
    found = modes(path.parent)
    assert {path.name, f"{path.name}-wal", f"{path.name}-shm"} <= found.keys()
    assert set(found.values()) == {0o600}


async def test_written_anew_it_has_nothing_of_what_was_written_over(store: SqliteStore, path: Path) -> None:
    await written(store, 200, size=100)
    await store.commit([of(Put(NOTE, "n7", b"what-was-in-clear" * 200, 1))])
    await store.commit([of(Put(NOTE, "n7", b"gone", 2))])

    def is_there() -> bool:
        return any(b"what-was-in-clear" in file.read_bytes() for file in path.parent.iterdir())

    assert is_there()
    await asyncio.gather(store.rewrite(lambda _: None), store.commit([of(Put(NOTE, "n8", b"meanwhile", 1))]))
    assert not is_there()
    found = await store.get(NOTE, [key("n7"), key("n8")])
    assert {id: each.body for id, each in found.items()} == {"n7": b"gone", "n8": b"meanwhile"}


async def test_the_mode_that_a_store_was_given_stays(path: Path) -> None:
    await SqliteStore(path, KINDS, CODEC).close()
    os.chmod(path, 0o640)
    await SqliteStore(path, KINDS, CODEC).close()
    assert modes(path.parent)[path.name] == 0o640


async def written(store: SqliteStore, count: int, *, size: int = 10) -> None:
    outcomes = await store.commit([of(Put(NOTE, f"n{n}", b"x" * size, 0)) for n in range(count)])
    assert set(outcomes) == {COMMITTED}


@contextlib.contextmanager
def locked(path: Path) -> Any:
    """Another program is writing."""
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextlib.contextmanager
def always_reading(path: Path) -> Any:
    """Other programs read for 10 ms each, and one begins before the other ends, so that there is always one."""
    stop = threading.Event()

    def read() -> None:
        ending, beginning = (apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY) for _ in range(2))
        ending.execute("BEGIN; SELECT count(*) FROM orders_note")
        while not stop.wait(0.005):
            beginning.execute("BEGIN; SELECT count(*) FROM orders_note")
            stop.wait(0.005)
            ending.execute("END")
            ending, beginning = beginning, ending
        ending.close()
        beginning.close()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class TestDurability:
    async def test_every_commit_is_synced(self, store: SqliteStore, path: Path) -> None:
        await store.commit([of(order("a"))])
        connection = connect_writer(path, busy_seconds=0.0, vfs=None)
        assert connection.pragma("synchronous") == 2
        assert connection.pragma("journal_mode") == "wal"
        connection.close()

    async def test_a_commit_returns_after_a_sync_of_the_log(self, path: Path) -> None:
        with faulty_disk("counting") as disk:
            store = SqliteStore(path, KINDS, CODEC, vfs="counting")
            syncs = 0

            def counted() -> Exception:
                nonlocal syncs
                syncs += 1
                return broken()

            disk.on_sync["-wal"] = counted
            with pytest.raises(StoreFailed):
                await store.commit([of(order("a"))])
            assert syncs == 1
            await store.close()


class TestLocks:
    async def test_a_store_has_one_server(self, store: SqliteStore, path: Path) -> None:
        with pytest.raises(StoreInUse, match=r"store\.db is open in another server \(process \d+\); stop that one"):
            SqliteStore(path, KINDS, CODEC)
        assert list(await store.commit([of(order("a"))])) == [COMMITTED]

    def test_a_server_in_another_process_is_refused(self, store: SqliteStore, path: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from cludale.adapters.sqlite.connection import FileLock\n"
            "FileLock(Path(sys.argv[1]))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=30, check=False
        )
        assert ended.returncode == 1
        assert "StoreInUse" in ended.stderr

    async def test_a_closed_store_can_be_opened_again(self, path: Path) -> None:
        for _ in range(3):
            store = SqliteStore(path, KINDS, CODEC)
            await store.close()

    def test_a_store_that_could_not_be_opened_leaves_no_lock(self, path: Path) -> None:
        path.write_bytes(b"this is no database, " * 100)
        for _ in range(2):
            with pytest.raises(StoreFailed, match="not a database"):
                SqliteStore(path, KINDS, CODEC)

    async def test_while_another_program_writes_commits_are_refused_and_later_they_go_on(
        self, store: SqliteStore, path: Path
    ) -> None:
        await store.commit([of(order("a"), events=(noted("e1"),))])
        with locked(path):
            store.delivered([1])
            results = await asyncio.gather(
                store.commit([of(order("b"))]), store.commit([of(order("a", 1))]), return_exceptions=True
            )
            assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]
            assert list(await store.get(ORDER, [key("a"), key("b")])) == ["a"]
        assert list(await store.commit([of(order("b")), of(order("a", 1))])) == [COMMITTED, COMMITTED]
        assert list(await store.pending(0, 10)) == []  # what was delivered was not forgotten meanwhile

    async def test_a_store_that_is_locked_can_not_be_opened(self, path: Path) -> None:
        await SqliteStore(path, KINDS, CODEC).close()
        with locked(path), pytest.raises(StoreUnavailable):
            SqliteStore(path, KINDS, CODEC, busy_seconds=0.05)
        await SqliteStore(path, KINDS, CODEC).close()


class TestReadonly:
    async def test_a_tool_reads_beside_a_running_server(self, store: SqliteStore, path: Path) -> None:
        reader = SqliteReader(path, KINDS)
        assert await reader.get(ORDER, [key("a")]) == {}
        await store.commit([of(order("a", status="Paid"), events=(noted("e"),))])
        assert (await reader.get(ORDER, [key("a")]))["a"].version == 1
        assert [item.id for item in (await reader.find(ORDER, Query(equal={"status": "Paid"}))).items] == ["a"]
        assert len(await reader.pending(0, 10)) == 1
        await reader.close()

    async def test_a_tool_reads_what_a_stopped_server_left(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC)
        await store.commit([of(order("a"))])
        await store.close()
        reader = SqliteReader(path, KINDS)
        assert list(await reader.get(ORDER, [key("a")])) == ["a"]
        await reader.close()

    def test_nothing_is_made_where_there_is_no_store(self, path: Path) -> None:
        with pytest.raises(StoreFailed):
            SqliteReader(path, KINDS)
        assert not path.exists()

    async def test_a_store_without_a_kind_says_so(self, path: Path) -> None:
        await SqliteStore(path, KINDS[:1], CODEC).close()
        with pytest.raises(SchemaRefused, match="lacks payments_payment, orders_note"):
            SqliteReader(path, KINDS)


class TestSchema:
    async def test_a_new_kind_is_added_to_a_store_that_exists(self, path: Path) -> None:
        first = SqliteStore(path, KINDS[:1], CODEC)
        await first.commit([of(order("a"))])
        await first.close()
        second = SqliteStore(path, KINDS, CODEC)
        assert list(await second.get(ORDER, [key("a")])) == ["a"]
        await written(second, 1)
        await second.close()

    async def test_a_store_of_a_newer_version_is_refused(self, path: Path) -> None:
        await SqliteStore(path, KINDS, CODEC).close()
        connection = apsw.Connection(str(path))
        connection.pragma("user_version", 99)
        connection.close()
        with pytest.raises(SchemaRefused, match="schema version 99, this program knows version 4"):
            SqliteStore(path, KINDS, CODEC)
        with pytest.raises(SchemaRefused, match="schema version 99"):
            SqliteReader(path, KINDS)

    def test_another_programs_database_is_refused_and_left_alone(self, path: Path) -> None:
        connection = apsw.Connection(str(path))
        connection.execute("CREATE TABLE theirs(x)")
        with pytest.raises(SchemaRefused, match="not a store of Cludale's"):
            SqliteStore(path, KINDS, CODEC)
        assert list(connection.execute("SELECT name FROM sqlite_schema")) == [("theirs",)]
        connection.close()

    async def test_a_kind_with_other_fields_than_it_is_stored_with_is_refused(self, path: Path) -> None:
        await SqliteStore(path, KINDS, CODEC).close()
        changed = Kind("orders", "order", ("concertId", "userId"))
        with pytest.raises(SchemaRefused, match=r"stored with the indexed fields \(concertId, status, dueAt\)"):
            SqliteStore(path, [changed], CODEC)

    @pytest.mark.parametrize(
        "kinds",
        [
            [Kind("or ders", "order")],
            [Kind("orders", "order", ('x"; DROP TABLE outbox',))],
            [Kind("orders", "order", ("status", "Status"))],
            [Kind("orders", "order", ("Body",))],
            [Kind("a_b", "c"), Kind("a", "b_c")],
        ],
    )
    def test_names_that_can_not_be_are_refused(self, path: Path, kinds: list[Kind]) -> None:
        with pytest.raises(ValueError, match=r"can't name|twice|share"):
            SqliteStore(path, kinds, CODEC)

    async def test_a_kind_that_was_not_declared_is_a_mistake(self, store: SqliteStore) -> None:
        unknown = Kind("orders", "unknown")
        with pytest.raises(KeyError):
            await store.commit([Commit(PARTITION, [Put(unknown, "a", b"", 0)])])
        with pytest.raises(KeyError):
            await store.get(unknown, [key("a")])


class TestFailingDisk:
    @pytest.fixture
    def disk(self) -> Any:
        with faulty_disk("faulty") as disk:
            yield disk

    async def test_a_full_disk_refuses_commits_until_there_is_room(self, path: Path, disk: FaultyDisk) -> None:
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty")
        await store.commit([of(order("a"))])
        disk.on_write["-wal"] = full
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="full") as refused:
                await store.commit([of(order("b"), order("a", 1), events=(noted("e"),))])
            assert type(refused.value) is NoRoom
        assert {id: stored.version for id, stored in (await store.get(ORDER, [key("a"), key("b")])).items()} == {"a": 1}
        disk.on_write.clear()
        assert list(await store.commit([of(order("b"), order("a", 1), events=(noted("e"),))])) == [COMMITTED]
        assert len(await store.pending(0, 10)) == 1
        await store.close()

    async def test_a_probe_finds_what_a_commit_would_find_and_changes_nothing(
        self, path: Path, disk: FaultyDisk
    ) -> None:
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty")
        await store.commit([of(order("a"))])
        await store.probe()
        disk.on_write["-wal"] = full
        with pytest.raises(StoreUnavailable, match="full") as refused:
            await store.probe()
        assert type(refused.value) is NoRoom
        disk.on_write.clear()
        await store.probe()
        await store.close()
        again = SqliteStore(path, KINDS, CODEC)
        assert list(await again.get(ORDER, [key("a")])) == ["a"]
        await again.close()

    async def test_a_probe_that_a_broken_disk_fails_is_the_end_as_a_commit_would_be(
        self, path: Path, disk: FaultyDisk
    ) -> None:
        ends: list[StoreFailed] = []
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty", on_fatal=ends.append)
        disk.on_sync["-wal"] = broken
        with pytest.raises(StoreFailed):
            await store.probe()
        assert len(ends) == 1
        with pytest.raises(StoreFailed):
            await store.probe()
        disk.on_sync.clear()
        with contextlib.suppress(StoreFailed):
            await store.close()

    async def test_only_what_was_written_is_a_sign_of_life(self, path: Path, disk: FaultyDisk) -> None:
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty")
        began = store.pulse.worked_at
        await store.commit([Commit(PARTITION)])
        assert store.pulse.worked_at == began
        await store.commit([of(order("a"))])
        assert store.pulse.worked_at > began
        disk.on_write["-wal"] = full
        with pytest.raises(StoreUnavailable):
            await store.commit([of(order("b"))])
        assert store.pulse.failures == 1
        disk.on_write.clear()
        with pytest.raises(ValueError, match="index values"):
            await store.commit([of(Put(ORDER, "c", b"{}", 0))])
        assert store.pulse.failures == 1, "what can't be stored is no trouble of the store's"
        await store.close()

    async def test_a_checkpoint_that_finds_no_room_is_made_later(self, path: Path, disk: FaultyDisk) -> None:
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty", checkpoint_pages=10)
        disk.on_write[".db"] = full
        for n in range(20):
            await store.commit([of(Put(NOTE, f"x{n}", b"y" * 30_000, 0))])
        assert disk.failed > 0
        disk.on_write.clear()
        await store.commit([of(order("a"))])
        await store.close()
        again = SqliteStore(path, KINDS, CODEC)
        assert len(await again.get(NOTE, [key(f"x{n}") for n in range(20)])) == 20
        await again.close()

    async def test_after_a_full_disk_the_log_is_worked_in_before_anything_is_written(
        self, path: Path, disk: FaultyDisk
    ) -> None:
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty", checkpoint_pages=10_000)
        for n in range(10):
            await store.commit([of(Put(NOTE, f"x{n}", b"y" * 30_000, 0))])
        log = path.with_name("store.db-wal")
        before = log.stat().st_size
        disk.on_write[""] = full
        for _ in range(3):  # the first finds the log full, the second the file; then it is not tried for a while
            with pytest.raises(NoRoom):
                await store.commit([of(order("a"))])
        disk.on_write.clear()
        with pytest.raises(NoRoom):
            await store.commit([of(order("a"))])
        await asyncio.sleep(AGAIN_SECONDS)
        for n in range(5):
            await store.commit([of(Put(NOTE, f"z{n}", b"y" * 30_000, 0))])
        assert log.stat().st_size == before, "what came after went into the room that the log had"
        assert store.size > 300_000
        await store.close()

    @pytest.mark.parametrize("operation", ["write", "sync"])
    async def test_a_broken_disk_is_the_end(self, path: Path, disk: FaultyDisk, operation: str) -> None:
        ends: list[StoreFailed] = []
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty", on_fatal=ends.append)
        told: list[object] = []
        store.listen(told.extend)
        await store.commit([of(order("a"))])
        (disk.on_write if operation == "write" else disk.on_sync)["-wal"] = broken
        results = await asyncio.gather(
            store.commit([of(order("b"), events=(noted("e"),))]), store.commit([of(order("c"))]), return_exceptions=True
        )
        assert [type(result) for result in results] == [StoreFailed, StoreFailed]
        assert len(ends) == 1
        assert told == []
        disk.on_write.clear()
        disk.on_sync.clear()
        for _ in range(2):
            with pytest.raises(StoreFailed):
                await store.commit([of(order("d"))])
        with pytest.raises(StoreFailed):
            await store.get(ORDER, [key("a")])
        with pytest.raises(StoreFailed):
            await store.find(ORDER, Query())
        store.delivered([1])
        assert len(ends) == 1
        await store.close()
        again = SqliteStore(path, KINDS, CODEC)
        assert "a" in await again.get(ORDER, [key("a")])
        assert "d" not in await again.get(ORDER, [key("d")])
        assert list(await again.commit([of(order("e"))])) == [COMMITTED]
        await again.close()

    async def test_a_checkpoint_that_can_not_be_synced_is_the_end(self, path: Path, disk: FaultyDisk) -> None:
        ends: list[StoreFailed] = []
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty", checkpoint_pages=10, on_fatal=ends.append)
        disk.on_sync[".db"] = broken
        assert list(await store.commit([of(Put(NOTE, "a", b"y" * 200_000, 0))])) == [COMMITTED]
        for _ in range(100):
            if ends:
                break
            await asyncio.sleep(0.01)
        assert len(ends) == 1
        with pytest.raises(StoreFailed):
            await store.commit([of(order("b"))])
        disk.on_sync.clear()
        await store.close()
        again = SqliteStore(path, KINDS, CODEC)
        assert (await again.get(NOTE, [key("a")]))["a"].body == b"y" * 200_000
        await again.close()

    async def test_commits_go_on_while_the_log_is_worked_in(self, path: Path, disk: FaultyDisk) -> None:
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty", checkpoint_pages=25)
        working, go_on = threading.Event(), threading.Event()

        def take_long() -> None:
            working.set()
            go_on.wait(10)

        disk.on_write[".db"] = take_long
        try:
            await store.commit([of(Put(NOTE, "first", b"y" * 200_000, 0))])
            assert await asyncio.to_thread(working.wait, 5)
            for n in range(15):
                await asyncio.wait_for(store.commit([of(Put(NOTE, f"x{n}", b"y" * 1_000, 0))]), 5)
        finally:
            disk.on_write.clear()
            go_on.set()
        await store.close()
        again = SqliteStore(path, KINDS, CODEC)
        assert len(await again.get(NOTE, [key("first"), *(key(f"x{n}") for n in range(15))])) == 16
        await again.close()

    async def test_a_checkpoint_that_fails_as_the_store_is_closed_leaves_the_log_to_the_next_start(
        self, path: Path, disk: FaultyDisk
    ) -> None:
        store = SqliteStore(path, KINDS, CODEC, vfs="faulty", checkpoint_pages=10)
        working, go_on = threading.Event(), threading.Event()

        def fail_when_told() -> Exception:
            working.set()
            go_on.wait(10)
            return broken()

        disk.on_sync[".db"] = fail_when_told
        await store.commit([of(Put(NOTE, "a", b"y" * 200_000, 0))])
        assert await asyncio.to_thread(working.wait, 5)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0.05)
        go_on.set()
        with pytest.raises(StoreFailed):
            await closing
        assert path.with_name("store.db-wal").stat().st_size > 200_000
        disk.on_sync.clear()
        again = SqliteStore(path, KINDS, CODEC)
        assert (await again.get(NOTE, [key("a")]))["a"].body == b"y" * 200_000
        await again.close()


class TestOutbox:
    async def test_what_was_taken_of_a_batch_is_pending_no_more_but_for_the_next_start(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC)
        await store.commit([of(events=(noted("e1"), noted("e2"), noted("e3")))])
        first, second, third = await store.pending(0, 10)
        store.delivered([second.position])
        assert list(await store.pending(0, 10)) == [first, third]
        assert list(await store.pending(0, 1)) == [first]
        await store.close()
        again = SqliteStore(path, KINDS, CODEC)
        assert list(await again.pending(0, 10)) == [first, second, third]
        again.delivered([first.position, second.position, third.position])
        await again.close()
        assert list(await SqliteReader(path, KINDS).pending(0, 10)) == []

    async def test_a_store_of_version_1_is_brought_up_to_date(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC)
        await store.commit([of(order("a"), events=(noted("e1"), noted("e2"), noted("e3")))])
        waiting = await store.pending(0, 10)
        await store.close()
        old = apsw.Connection(str(path))
        old.execute("DELETE FROM outbox")
        old.execute("ALTER TABLE outbox DROP COLUMN events")
        old.execute("ALTER TABLE outbox ADD COLUMN topic TEXT NOT NULL DEFAULT ''")
        for entry in waiting[1:]:
            old.execute(
                "INSERT INTO outbox(position, topic, body) VALUES (?, ?, ?)", (entry.position, entry.topic, entry.body)
            )
        old.execute("CREATE TABLE inbox(consumer TEXT, event_id TEXT, PRIMARY KEY(consumer, event_id)) WITHOUT ROWID")
        old.execute("INSERT INTO inbox VALUES ('orders', 'e0')")
        old.pragma("user_version", 1)
        old.close()
        with pytest.raises(SchemaRefused, match="a server of this version brings it up to date"):
            SqliteReader(path, KINDS)
        store = SqliteStore(path, KINDS, CODEC)
        assert list(await store.pending(0, 10)) == list(waiting[1:])
        with apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY) as now:
            assert now.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'inbox'").get == 0
        now.close()
        store.delivered([waiting[1].position])
        assert list(await store.commit([of(order("a", 1), events=(noted("e4"),))])) == [COMMITTED]
        await store.close()
        store = SqliteStore(path, KINDS, CODEC)
        left = await store.pending(0, 10)
        assert [CODEC.decode(entry.body).id for entry in left] == ["e3", "e4"]
        assert [entry.position for entry in left] == [waiting[2].position, waiting[2].position + 1]
        await store.close()


class TestLog:
    async def test_the_log_stays_bounded_under_load(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC, checkpoint_pages=50)
        log = path.with_name("store.db-wal")
        largest = 0
        for n in range(400):
            await store.commit([of(Put(NOTE, f"x{n}", b"y" * 20_000, 0))])
            largest = max(largest, log.stat().st_size)
        # How far it grows beside the thread that works it in, the machine decides, up to LOG_GROWTH.
        assert largest < (LOG_GROWTH + 1) * 50 * 8192 < 400 * 20_000
        await store.close()
        assert not log.exists()

    async def test_the_log_stays_bounded_while_there_is_always_someone_reading(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC, checkpoint_pages=20)
        log = path.with_name("store.db-wal")
        largest = 0
        with always_reading(path):
            for n in range(500):
                await store.commit([of(Put(NOTE, f"x{n}", b"y" * 20_000, 0))])
                largest = max(largest, log.stat().st_size)
        assert 3 * 20 * 8192 < largest < 12 * 20 * 8192
        await store.close()

    async def test_a_backup_that_reads_for_long_is_waited_for_once_then_the_log_starts_anew(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC, checkpoint_pages=20)
        await store.commit([of(order("a"))])
        log = path.with_name("store.db-wal")
        reading = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        reading.execute("BEGIN; SELECT count(*) FROM orders_note")
        waits = 0
        for n in range(400):
            began = monotonic()
            await store.commit([of(Put(NOTE, f"x{n}", b"y" * 20_000, 0))])
            waits += monotonic() - began > 0.9 * READERS_SECONDS
        assert waits <= 3, "it is waited for once, or twice where it began to read in between"
        reading.execute("END")
        reading.close()
        grown = log.stat().st_size
        for n in range(400):
            await store.commit([of(Put(NOTE, f"z{n}", b"y" * 20_000, 0))])
        assert grown > 2 * LOG_GROWTH * 20 * 8192, "it was not read for long enough"
        assert log.stat().st_size < 1.5 * grown
        await store.close()


class TestReading:
    async def test_a_query_that_takes_too_long_is_given_up(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC, find=FindLimits(seconds=0.0))
        await store.commit([of(*(order(f"o{n}", concertId="c" * 50) for n in range(30_000)))])
        with pytest.raises(StoreUnavailable, match="longer than"):
            await store.find(ORDER, Query(contains={"concertId": "x"}))
        assert len((await store.find(ORDER, Query(limit=5))).items) == 5
        await store.close()

    async def test_queries_beyond_the_limit_are_refused(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC, find=FindLimits(threads=1, waiting=2))
        await store.commit([of(order("a"))])
        results = await asyncio.gather(*(store.find(ORDER, Query()) for _ in range(10)), return_exceptions=True)
        assert [type(result) for result in results].count(StoreUnavailable) == 7
        assert len((await store.find(ORDER, Query())).items) == 1
        await store.close()

    async def test_a_page_is_found_by_an_index_and_not_sorted(self, store: SqliteStore, path: Path) -> None:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        plans: list[str] = []
        table = Table(ORDER)
        for query in (
            Query(equal={"concertId": "c"}),
            Query(order_by="dueAt"),
            Query(order_by="dueAt", descending=True),
        ):
            sql, bindings = Question(table, query).valued_part(None, 10)
            plans.append(" ".join(str(row[3]) for row in connection.execute("EXPLAIN QUERY PLAN " + sql, bindings)))
        connection.close()
        assert all("USING INDEX" in plan for plan in plans), plans
        assert not any("TEMP B-TREE" in plan for plan in plans), plans

    async def test_a_record_that_another_hand_changed_is_read_anew_after_a_conflict(
        self, store: SqliteStore, path: Path
    ) -> None:
        await store.commit([of(order("a"))])
        connection = apsw.Connection(str(path))
        connection.execute("UPDATE orders_order SET version = 7")
        connection.close()
        assert list(await store.commit([of(order("a", 1))])) == [VersionConflict(frozenset({"a"}))]
        assert (await store.get(ORDER, [key("a")]))["a"].version == 7

    async def test_what_a_query_has_shown_is_shown_by_id_from_then_on(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.get(NOTE, [key("n1")])  # what was asked for is kept in memory from then on
        await store.commit([of(Put(NOTE, "n1", b"first", 0))])
        on_the_disk, write = threading.Event(), Writer.write

        def write_and_take_long_to_say_so(*arguments: Any) -> Any:
            plan = write(*arguments)
            on_the_disk.set()
            threading.Event().wait(1.5)
            return plan

        monkeypatch.setattr(Writer, "write", write_and_take_long_to_say_so)
        changing = asyncio.create_task(store.commit([of(Put(NOTE, "n1", b"second", 1))]))
        await asyncio.to_thread(on_the_disk.wait)
        (shown,) = (await store.find(NOTE, Query())).items
        assert shown.body == b"second"
        assert (await store.get(NOTE, [key("n1")]))["n1"] == shown
        await changing

    async def test_more_records_than_memory_keeps_are_read_from_the_file(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC)
        for start in range(48):
            await store.get(NOTE, [])  # what is asked for is kept in memory
            await store.commit([of(Put(NOTE, f"big{start}", bytes([start]) * 1_000_000, 0))])
        connection = apsw.Connection(str(path))
        connection.execute("UPDATE orders_note SET version = 7")  # which only a look into the file shows
        connection.close()
        found = await store.get(NOTE, [key(f"big{n}") for n in range(48)])
        assert {id: stored.body[0] for id, stored in found.items()} == {f"big{n}": n for n in range(48)}
        assert 0 < sum(stored.version == 1 for stored in found.values()) < 20
        await store.close()


class TestCallers:
    async def test_look_ups_of_one_turn_of_the_loop_each_get_their_own(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC)
        await written(store, 50)
        await store.close()
        store = SqliteStore(path, KINDS, CODEC)  # remembers none of them
        wanted = [(f"n{n}", f"n{n + 1}", "none") for n in range(0, 48, 2)]
        found = await asyncio.gather(*(store.get(NOTE, [key(each) for each in ids]) for ids in wanted))
        assert [sorted(each) for each in found] == [sorted(ids[:2]) for ids in wanted]
        waiting = asyncio.ensure_future(store.get(NOTE, [key("n1")]))
        await asyncio.sleep(0)
        await store.close()
        assert list(await waiting) == ["n1"]

    async def test_a_caller_that_gives_up_may_still_be_written_and_harms_no_other(self, store: SqliteStore) -> None:
        leaving = asyncio.create_task(store.commit([of(order("a"))]))
        staying = asyncio.create_task(store.commit([of(order("b"))]))
        await asyncio.sleep(0)
        leaving.cancel()
        assert list(await staying) == [COMMITTED]
        assert list(await store.commit([of(order("a"))])) == [VersionConflict(frozenset({"a"}))]

    async def test_more_than_may_wait_is_refused(self, path: Path) -> None:
        store = SqliteStore(path, KINDS, CODEC, queue_limit=50)
        results = await asyncio.gather(*(store.commit([of(order(f"{n}"))]) for n in range(80)), return_exceptions=True)
        assert [type(result) for result in results].count(StoreUnavailable) == 30
        await store.close()
