"""What PostgreSQL adds to the contracts: replicas that share a schema, servers and connections that go away."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import pytest
from tests.parts import need
from tests.patience import until
from tests.product.adapters.postgres.wire import wire
from tests.product.contracts.samples import CODEC, KINDS, NOTE, ORDER, key, noted, of, order

from cludale.adapters.postgres import PostgresStore, replica
from cludale.adapters.postgres import store as store_module
from cludale.adapters.postgres.connection import SessionLimits, plainly, understanding
from cludale.ports.outbox import Outgoing
from cludale.ports.records import (
    COMMITTED,
    Commit,
    IndexValue,
    Kind,
    Put,
    Query,
    SchemaRefused,
    StoreUnavailable,
    VersionConflict,
)
from cludale_operations.local.postgres import Postgres

Open = Callable[..., Awaitable[PostgresStore]]


@pytest.fixture
async def open_store(database_url: str) -> AsyncIterator[Open]:
    """Opens replicas of one service, and closes those that are left."""
    stores: list[PostgresStore] = []

    async def opened(url: str = database_url, kinds: Sequence[Kind] = KINDS, **options: object) -> PostgresStore:
        store = PostgresStore(url, kinds, CODEC, schema="orders", **options)  # type: ignore[arg-type]
        stores.append(store)
        await store.start()
        return store

    yield opened
    for store in stores:
        await store.close()


async def query(url: str, sql: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return list(await connection.fetch(sql, *values))
    finally:
        await connection.close()


def event_ids(entries: Sequence[Outgoing]) -> list[str]:
    return [CODEC.decode(entry.body).id for entry in entries]


def heard_by(store: PostgresStore) -> list[str]:
    heard: list[str] = []
    store.listen(lambda entries: heard.extend(event_ids(entries)))
    return heard


class TestReplicas:
    async def test_of_two_that_change_one_record_one_wins_each_version(self, open_store: Open) -> None:
        stores = [await open_store(), await open_store()]
        await stores[0].commit([of(order("a"))])
        won: list[tuple[int, str]] = []

        async def count(store: PostgresStore, name: str) -> None:
            done = tries = 0
            while done < 100:
                tries += 1
                version = (await store.get(ORDER, [key("a")]))["a"].version
                mark = f"{name}{done}"
                beside = of(Put(NOTE, f"{name}{tries}", b"", 0))
                changes = [of(order("a", version, mark.encode()), events=(noted(mark),)), beside]
                first, second = await store.commit(changes)
                assert second == COMMITTED  # whatever becomes of the other
                if first == COMMITTED:
                    done += 1
                    won.append((version, mark))
                else:
                    assert first == VersionConflict(frozenset({"a"}))

        heard = [heard_by(store) for store in stores]
        await asyncio.gather(*(count(store, f"s{n}-") for n, store in enumerate(stores)))
        assert sorted(version for version, _ in won) == list(range(1, 201))
        assert (await stores[1].get(ORDER, [key("a")]))["a"].version == 201
        assert sorted(heard[0] + heard[1]) == sorted(mark for _, mark in won)

    async def test_crosswise_writes_of_many_records_stop_nobody(self, open_store: Open) -> None:
        stores = [await open_store(), await open_store()]
        names = [f"r{n}" for n in range(30)]
        await stores[0].commit([of(*(order(name) for name in names), *(Put(NOTE, name, b"", 0) for name in names))])

        async def change(store: PostgresStore, seed: int) -> int:
            dice, done = random.Random(seed), 0
            for _ in range(40):
                some = dice.sample(names, 6)
                held = await store.get(ORDER, [key(name) for name in some])
                notes = await store.get(NOTE, [key(name) for name in some])
                puts = [order(name, held[name].version) for name in some]
                puts += [Put(NOTE, name, b"", notes[name].version) for name in some]
                done += sum(outcome == COMMITTED for outcome in await store.commit([of(put) for put in puts]))
            return done

        done = await asyncio.gather(*(change(store, seed) for seed, store in enumerate(stores * 2)))
        everything = await stores[0].get(ORDER, [key(name) for name in names])
        notes = await stores[0].get(NOTE, [key(name) for name in names])
        versions = [held.version - 1 for found in (everything, notes) for held in found.values()]
        assert sum(versions) == sum(done) > 100

    async def test_each_has_its_own_events_only(self, open_store: Open) -> None:
        one, other = await open_store(), await open_store()
        heard = heard_by(one), heard_by(other)
        await one.commit([of(events=(noted("e1"),))])
        await other.commit([of(events=(noted("e2"),))])
        assert heard == (["e1"], ["e2"])
        assert event_ids(await one.pending(0, 10)) == ["e1"]
        assert event_ids(await other.pending(0, 10)) == ["e2"]

    async def test_what_a_closed_one_left_is_taken_over_at_once_and_in_order(self, open_store: Open) -> None:
        one, other = await open_store(), await open_store(renew_seconds=0.05)
        await one.commit([of(events=tuple(noted(f"e{n}") for n in range(5)))])
        await other.commit([of(events=(noted("own"),))])
        told: list[Outgoing] = []
        other.listen(told.extend)
        await one.close()
        await until(lambda: len(told) == 5)
        assert event_ids(told) == [f"e{n}" for n in range(5)]
        assert list(await other.pending(0, 10))[1:] == told
        other.delivered([entry.position for entry in await other.pending(0, 10)])
        await other.commit([of(order("a"))])
        assert await other.pending(0, 10) == []

    async def test_what_a_dead_one_left_is_taken_over_when_its_lease_has_run_out(
        self, open_store: Open, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replica, "LEASE_SECONDS", 0.6)
        async with wire(database_url) as through:
            one, other = await open_store(through.url, renew_seconds=0.1), await open_store(renew_seconds=0.1)
            heard = heard_by(other)
            await one.commit([of(events=(noted("e1"),))])
            await asyncio.sleep(1.5)
            assert heard == []  # it lives, and renews its lease
        await until(lambda: heard == ["e1"])
        third = await open_store(renew_seconds=0.1)
        assert await third.pending(0, 10) == []

    async def test_of_two_that_want_to_take_over_each_event_goes_to_one(
        self, open_store: Open, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replica, "LEASE_SECONDS", 0.6)
        monkeypatch.setattr(replica, "TAKE_LIMIT", 7)
        others = [await open_store(renew_seconds=0.1) for _ in range(3)]
        heard = [heard_by(store) for store in others]
        async with wire(database_url) as through:
            one = await open_store(through.url, renew_seconds=0.1)
            await one.commit([of(events=tuple(noted(f"e{n:03}") for n in range(100)))])
        await until(lambda: sum(map(len, heard)) >= 100)
        await asyncio.sleep(0.3)
        assert sorted(heard[0] + heard[1] + heard[2]) == [f"e{n:03}" for n in range(100)]
        assert all(each == sorted(each) for each in heard)

    async def test_one_that_was_taken_for_dead_goes_on_in_its_place(
        self, open_store: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replica, "LEASE_SECONDS", 0.3)
        slow = await open_store(renew_seconds=60.0)
        await slow.commit([of(events=(noted("e1"),))])
        other = await open_store(renew_seconds=0.1)
        heard = heard_by(other), heard_by(slow)
        await until(lambda: heard[0] == ["e1"])
        assert list(await slow.commit([of(order("a"), events=(noted("e2"),))])) == [COMMITTED]
        assert heard[1] == ["e2"]
        assert await slow.pending(0, 0) == []

    async def test_events_are_counted_whoever_committed_them(
        self, open_store: Open, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "STRUCK_OFF_SECONDS", 0.1)  # tidied often; what is struck off stays
        one = await open_store()
        await one.commit([of(events=(noted("e1"), noted("e2")))])
        await one.commit([of(order("a", 7), events=(noted("never"),))])
        one.delivered([entry.position for entry in await one.pending(0, 10)])
        await one.close()
        two = await open_store(renew_seconds=0.01)
        await two.commit([of(events=(noted("e3"),))])
        await asyncio.sleep(0.2)
        (row,) = await query(database_url, "SELECT sum(events) AS events, count(*) AS replicas FROM orders.replica")
        assert (row["events"], row["replicas"]) == (3, 2)


async def test_a_batch_reads_the_rows_that_it_changes_alone_though_its_table_was_small_when_it_was_planned(
    open_store: Open, database_url: str
) -> None:
    store = await open_store()
    await store.commit([of(order("first"))])
    await query(database_url, "ANALYZE orders.orders_order")  # PostgreSQL knows of one row, and plans for it
    assert list(await store.commit([of(order("first", 1))])) == [COMMITTED]
    await store.commit([of(order(f"r{n}")) for n in range(900)])
    read = "SELECT idx_tup_fetch + seq_tup_read AS rows FROM pg_stat_user_tables WHERE relname = 'orders_order'"

    async def rows_read() -> int:
        await asyncio.sleep(1.1)  # a session tells its numbers once a second, when it has done something
        await store.commit([of(Put(NOTE, "told", b"", 0))])
        return int((await query(database_url, read))[0]["rows"])

    before = await rows_read()
    assert list(await store.commit([of(order(f"r{n}", 1)) for n in range(100)])) == [COMMITTED] * 100
    assert await rows_read() - before < 300


def test_an_error_that_nobody_knows_better_is_not_its_own_cause() -> None:
    stranger = asyncpg.InsufficientPrivilegeError("not yours")
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as raised, understanding():
        raise stranger
    assert raised.value.__cause__ is None
    assert plainly(stranger) == "not yours"  # who asks for the cause of a cause comes to an end


class TestTrouble:
    async def test_connections_that_are_cut_off_lose_and_double_nothing(
        self, open_store: Open, database_url: str
    ) -> None:
        store = await open_store(patience_seconds=10.0)
        heard = heard_by(store)
        ended = asyncio.Event()

        async def cut() -> int:
            count = done = 0
            while not ended.is_set():
                await asyncio.sleep(0.02)
                if len(heard) < done + 10:  # something gets through in between
                    continue
                done = len(heard)
                rows = await query(
                    database_url,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'cludale orders%' AND datname = current_database()",
                )
                count += len(rows)
            return count

        cutting = asyncio.create_task(cut())

        async def write(worker: int) -> None:
            for n in range(40):
                name = f"{worker}-{n}"
                assert list(await store.commit([of(order(name), events=(noted(name),))])) == [COMMITTED]
                assert name in await store.get(ORDER, [key(name)])

        await asyncio.gather(*(write(worker) for worker in range(10)))
        ended.set()
        assert await cutting > 5
        expected = sorted(f"{worker}-{n}" for worker in range(10) for n in range(40))
        assert sorted(heard) == expected
        assert sorted(event_ids(await store.pending(0, 1_000))) == expected

    async def test_a_commit_whose_answer_was_lost_is_found_to_be_true(
        self, open_store: Open, database_url: str
    ) -> None:
        async with wire(database_url) as line:
            store = await open_store(line.url)
            heard = heard_by(store)
            line.loses_next_answer_to = b"the-lost-one"
            assert list(await store.commit([of(order("the-lost-one"), events=(noted("e1"),))])) == [COMMITTED]
            assert line.lost == 1
            assert heard == ["e1"]
            assert list(await store.commit([of(order("the-lost-one"))])) == [
                VersionConflict(frozenset({"the-lost-one"}))
            ]
            assert event_ids(await store.pending(0, 10)) == ["e1"]
            await store.close()

    async def test_what_a_batch_asks_before_it_writes_is_asked_again_over_the_next_connection(
        self, open_store: Open, database_url: str
    ) -> None:
        async with wire(database_url) as line:
            store = await open_store(line.url)
            line.loses_next_answer_to = b"the-lost-one"
            twice = [of(order("the-lost-one")), of(order("the-lost-one"))]  # so it asks what is stored
            assert list(await store.commit(twice)) == [COMMITTED, VersionConflict(frozenset({"the-lost-one"}))]
            assert line.lost == 1
            await store.close()

    async def test_what_was_committed_without_an_answer_is_told_when_the_server_is_back(
        self, open_store: Open, database_url: str
    ) -> None:
        async with wire(database_url) as line:
            store = await open_store(line.url, patience_seconds=0.3, renew_seconds=0.1)
            heard = heard_by(store)
            store.listen(lambda _: None)
            line.loses_next_answer_to = b"the-lost-one"
            lost = asyncio.create_task(store.commit([of(order("the-lost-one"), events=(noted("e1"),))]))
            await until(lambda: line.loses_next_answer_to is None)
            line.is_down = True
            with pytest.raises(StoreUnavailable):
                await lost
            with pytest.raises(StoreUnavailable):
                await store.commit([of(order("b"))])
            with pytest.raises(StoreUnavailable):
                await store.get(ORDER, [key("b")])
            assert heard == []
            line.is_down = False
            await until(lambda: heard == ["e1"])
            assert list(await store.commit([of(order("b"), events=(noted("e2"),))])) == [COMMITTED]
            assert heard == ["e1", "e2"]
            assert sorted(await store.get(ORDER, [key("the-lost-one"), key("b")])) == ["b", "the-lost-one"]
            await store.close()

    async def test_a_connection_that_falls_silent_is_given_up(self, open_store: Open, database_url: str) -> None:
        async with wire(database_url) as line:
            store = await open_store(line.url, limits=SessionLimits(statement=0.3, lock=0.2, grace=0.3))
            line.keeps_silent = True
            line.loses_next_answer_to = b"the-lost-one"
            assert list(await store.commit([of(order("the-lost-one"))])) == [COMMITTED]
            assert line.lost == 1
            assert (await store.get(ORDER, [key("the-lost-one")]))["the-lost-one"].version == 1
            await store.close()

    async def test_a_commit_that_never_got_there_is_sent_again(self, open_store: Open, database_url: str) -> None:
        async with wire(database_url) as line:
            store = await open_store(line.url)
            line.cut()
            line.is_down = True
            waiting = asyncio.create_task(store.commit([of(order("a"))]))
            await asyncio.sleep(0.2)
            line.is_down = False
            assert list(await waiting) == [COMMITTED]
            await store.close()

    async def test_a_record_that_somebody_keeps_locked_is_given_up(self, open_store: Open, database_url: str) -> None:
        store = await open_store(limits=SessionLimits(lock=0.2))
        await store.commit([of(order("a"))])
        connection = await asyncpg.connect(database_url)
        async with connection.transaction():
            await connection.execute("SELECT FROM orders.orders_order FOR UPDATE")
            with pytest.raises(StoreUnavailable, match="lock"):
                await store.commit([of(order("a", 1))])
        await connection.close()
        assert list(await store.commit([of(order("a", 1))])) == [COMMITTED]

    async def test_a_query_that_takes_too_long_is_given_up(self, open_store: Open, database_url: str) -> None:
        store = await open_store(limits=SessionLimits(statement=0.3))
        connection = await asyncpg.connect(database_url)
        async with connection.transaction():
            await connection.execute("LOCK orders.orders_order")
            with pytest.raises(StoreUnavailable):
                await store.find(ORDER, Query())
        await connection.close()
        assert (await store.find(ORDER, Query())).items == []

    async def test_queries_beyond_the_limit_are_refused(self, open_store: Open) -> None:
        store = await open_store(queries_waiting=2)
        results = await asyncio.gather(*(store.find(ORDER, Query()) for _ in range(10)), return_exceptions=True)
        assert [type(result) for result in results].count(StoreUnavailable) == 6
        assert (await store.find(ORDER, Query())).items == []

    async def test_a_caller_that_gives_up_harms_no_other(self, open_store: Open) -> None:
        store = await open_store()
        leaving = asyncio.create_task(store.commit([of(order("a"))]))
        staying = asyncio.create_task(store.commit([of(order("b"))]))
        await asyncio.sleep(0)
        leaving.cancel()
        assert list(await staying) == [COMMITTED]

    async def test_no_server_is_said_after_some_patience(self, open_store: Open) -> None:
        with pytest.raises(StoreUnavailable, match=r"nowhere at 127\.0\.0\.1:1"):
            await open_store("postgresql://someone:secret@127.0.0.1:1/nowhere", opening_seconds=0.3)

    async def test_a_session_is_durable_though_the_role_is_not(self, open_store: Open, database_url: str) -> None:
        database = database_url.rsplit("/", 1)[1]
        await query(database_url, f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET synchronous_commit = off")
        store = await open_store()
        await query(database_url, "CREATE TABLE orders.seen (durable text, statement text, lock text)")
        await query(
            database_url,
            "CREATE FUNCTION orders.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO orders.seen VALUES ("
            "current_setting('synchronous_commit'), current_setting('statement_timeout'), "
            "current_setting('lock_timeout')); RETURN NULL; END $$",
        )
        await query(database_url, "CREATE TRIGGER see AFTER INSERT ON orders.outbox EXECUTE FUNCTION orders.see()")
        await store.commit([of(order("a"), events=(noted("e1"),))])
        (seen,) = await query(database_url, "SELECT * FROM orders.seen")
        assert tuple(seen) == ("on", "10s", "5s")


class TestServerThatIsKilled:
    @pytest.fixture
    async def server(self, tmp_path: Path) -> AsyncIterator[Postgres]:
        need("postgres")
        async with Postgres(tmp_path / "postgres").running() as running:
            yield running

    async def test_nothing_answered_is_lost_and_every_event_is_told_or_waits(self, server: Postgres) -> None:
        store = await PostgresStore.open(server.url, KINDS, CODEC, schema="orders")
        told: list[str] = []

        def tell(entries: Sequence[Outgoing]) -> None:
            told.extend(event_ids(entries))

        store.listen(tell)
        answered: list[str] = []
        refused: list[str] = []
        ended = asyncio.Event()

        async def write(worker: int) -> None:
            n = 0
            while not ended.is_set():
                n += 1
                name = f"{worker}-{n}"
                try:
                    await store.commit([of(order(name), events=(noted(name),))])
                    answered.append(name)
                except StoreUnavailable:
                    refused.append(name)
                    await asyncio.sleep(0.02)

        writers = [asyncio.create_task(write(worker)) for worker in range(8)]
        for pause in (0.0, 4.0):  # shorter and longer than a commit waits
            before = len(answered)
            await until(lambda before=before: len(answered) > before + 50, seconds=20)  # type: ignore[misc]
            await server.kill()
            await asyncio.sleep(pause)
            await server.start()
        before = len(answered)
        await until(lambda: len(answered) > before + 50, seconds=20)
        ended.set()
        await asyncio.gather(*writers)
        found = [row["id"] for row in await query(server.url, "SELECT id FROM orders.orders_order")]
        assert set(answered) <= set(found) <= set(answered) | set(refused)
        waiting = event_ids(await store.pending(0, 100_000))
        assert sorted(waiting) == sorted(found)
        assert sorted(told) == sorted(found)
        await store.close()


class TestSchema:
    async def test_replicas_that_start_together_make_it_once(self, open_store: Open, database_url: str) -> None:
        stores = await asyncio.gather(*(open_store() for _ in range(6)))
        assert [row["number"] for row in await query(database_url, "SELECT number FROM orders.migration")] == [1]
        for n, store in enumerate(stores):
            assert list(await store.commit([of(order(f"o{n}"))])) == [COMMITTED]

    async def test_a_newer_schema_is_refused_and_left_alone(self, open_store: Open, database_url: str) -> None:
        await (await open_store()).close()
        await query(database_url, "INSERT INTO orders.migration VALUES (99, 'from the future')")
        with pytest.raises(SchemaRefused, match="version 99, this program knows version 1"):
            await open_store()

    async def test_another_programs_schema_is_refused_and_left_alone(self, open_store: Open, database_url: str) -> None:
        await query(database_url, "CREATE SCHEMA orders")
        await query(database_url, "CREATE TABLE orders.theirs (x int)")
        with pytest.raises(SchemaRefused, match="theirs"):
            await open_store()
        tables = await query(database_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'orders'")
        assert [row["tablename"] for row in tables] == ["theirs"]

    async def test_a_new_kind_is_added_and_the_version_before_goes_on(self, open_store: Open) -> None:
        before = await open_store(kinds=KINDS[:1])
        await before.commit([of(order("a"))])
        after = await open_store()
        assert list(await after.commit([of(order("a", 1), Put(NOTE, "n", b"", 0))])) == [COMMITTED]
        assert list(await before.commit([of(order("a", 2))])) == [COMMITTED]

    async def test_a_kind_with_other_fields_than_it_is_stored_with_is_refused(self, open_store: Open) -> None:
        await open_store()
        changed = Kind("orders", "order", ("concertId", "userId"))
        with pytest.raises(SchemaRefused, match=r"stored with the indexed fields \(concertId, status, dueAt\)"):
            await open_store(kinds=[changed])

    @pytest.mark.parametrize(
        "kinds",
        [
            [Kind("or ders", "order")],
            [Kind("orders", "order", ('x"; DROP TABLE outbox',))],
            [Kind("orders", "order", ("status", "Status"))],
            [Kind("orders", "order", ("Body",))],
            [Kind("orders", "o" * 60)],
            [Kind("a_b", "c"), Kind("a", "b_c")],
        ],
    )
    def test_names_that_can_not_be_are_refused(self, kinds: list[Kind]) -> None:
        with pytest.raises(ValueError, match=r"can't name|twice|share|too long"):
            PostgresStore("postgresql://db/x", kinds, CODEC, schema="orders")

    @pytest.mark.parametrize("schema", ["", "Orders", "pg_catalog", 'x"; DROP SCHEMA orders', "o" * 70])
    def test_a_schema_that_can_not_be_is_refused(self, schema: str) -> None:
        with pytest.raises(ValueError, match="can't name a schema"):
            PostgresStore("postgresql://db/x", KINDS, CODEC, schema=schema)

    async def test_a_kind_that_was_not_declared_is_a_mistake(self, open_store: Open) -> None:
        store = await open_store()
        unknown = Kind("orders", "unknown")
        with pytest.raises(KeyError):
            await store.commit([Commit("p", [Put(unknown, "a", b"", 0)])])
        with pytest.raises(KeyError):
            await store.get(unknown, [key("a")])

    async def test_any_text_and_number_is_found_again(self, open_store: Open) -> None:
        store = await open_store()
        values: list[IndexValue] = [
            -(2**63),
            -1,
            0,
            7,
            2**63 - 1,
            "",
            "\x00",
            "\x00a",
            "\x01",
            "\x02",
            "a",
            "a\x00",
            "ÿ",
            "中",
            "🎫",
        ]
        await store.commit([of(order(f"\x00{n}", concertId=value)) for n, value in enumerate(values)])
        page = await store.find(ORDER, Query(order_by="concertId", limit=100))
        assert [item.id for item in page.items] == [f"\x00{n}" for n in range(len(values))]
        for n, value in enumerate(values):
            found = await store.find(ORDER, Query(equal={"concertId": value}))
            assert [item.id for item in found.items] == [f"\x00{n}"]
        assert list(await store.get(ORDER, [key("\x003")])) == ["\x003"]

    async def test_pages_are_found_by_an_index_and_not_sorted(self, open_store: Open, database_url: str) -> None:
        store = await open_store()
        await store.commit([of(*(order(f"{n}", concertId=f"c{n % 2}", dueAt=f"{n:06}") for n in range(5_000)))])
        await query(database_url, "ANALYZE orders.orders_order")
        for where in ("\"concertId\" = 'c1' ORDER BY n", '"dueAt" IS NOT NULL ORDER BY "dueAt", n'):
            plan = await query(database_url, f"EXPLAIN SELECT id FROM orders.orders_order WHERE {where} LIMIT 51")
            text = "\n".join(row[0] for row in plan)
            assert "Index Scan" in text, text
            assert "Sort" not in text, text
