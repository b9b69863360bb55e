"""Rows of the outbox: what one holds, which can go, and that the release before this one can live with them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import asyncpg
import pytest
from tests.patience import until
from tests.product.contracts.samples import CODEC, KINDS, noted, of, order

from cludale.adapters.postgres import PostgresStore
from cludale.adapters.postgres.outbox import ROW_LIMIT, Waiting, rows_of
from cludale.ports.outbox import Outgoing

BEFORE = """
    ALTER TABLE orders.outbox DROP COLUMN earlier;
    INSERT INTO orders.replica (id, epoch, events, expires) VALUES (77, 1, 2, '-infinity');
    INSERT INTO orders.outbox (owner, position, topic, body) VALUES (77, 3, 'order-events', $${"id":"e1"}$$),
      (77, 4, 'order-events', $${"id":"e2"}$$);
"""
"""Makes a store the one of a release before, in which a replica that left has two events."""


def entries(topics: Sequence[str]) -> list[Outgoing]:
    return [Outgoing(100 + n, topic, b"{}") for n, topic in enumerate(topics)]


def event_ids(found: Sequence[Outgoing]) -> list[str]:
    return [CODEC.decode(entry.body).id for entry in found]


def test_a_row_has_the_events_of_one_topic_that_follow_one_another() -> None:
    assert [tuple(row) for row in rows_of(entries("aabaaa"))] == [(101, "a", 1, 2), (102, "b", 3, 3), (105, "a", 4, 6)]
    assert list(rows_of([])) == []


def test_a_row_has_no_more_events_than_its_limit() -> None:
    rows = list(rows_of(entries(["a"] * (2 * ROW_LIMIT + 1))))
    assert [(row.since, row.until) for row in rows] == [
        (1, ROW_LIMIT),
        (ROW_LIMIT + 1, 2 * ROW_LIMIT),
        (2 * ROW_LIMIT + 1, 2 * ROW_LIMIT + 1),
    ]


def test_a_row_that_can_go_waits_no_more_though_the_store_shows_it_still() -> None:
    waiting = Waiting()
    waiting.add(3, 2)
    assert waiting.take([2]) == []
    waiting.add(3, 2)  # the store shows it
    assert [position for position in range(5) if waiting.waits(position)] == [3]
    assert waiting.take([3]) == [3]
    waiting.add(3, 2)
    assert not waiting.waits(2)
    waiting.gone([3])
    assert waiting.take([2, 3]) == []


def test_a_row_that_went_while_somebody_read_waits_no_more_though_they_have_seen_it_yet() -> None:
    waiting = Waiting()
    waiting.add(3, 2)
    with waiting.reading():
        assert waiting.take([2, 3]) == [3]
        waiting.gone([3])
        waiting.add(3, 2)  # what was read before it went
        assert not waiting.waits(2)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Closes what a test opened."""
    async with AsyncExitStack() as opened:
        yield opened


async def opened(url: str, stack: AsyncExitStack) -> PostgresStore:
    store = PostgresStore(url, KINDS, CODEC, schema="orders", renew_seconds=0.05)
    await store.start()
    stack.push_async_callback(store.close)
    return store


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(database_url, timeout=10)
    yield made
    await made.close()


async def test_what_a_batch_published_is_one_row_until_all_of_it_was_delivered(
    database_url: str, stack: AsyncExitStack, connection: asyncpg.Connection
) -> None:
    store = await opened(database_url, stack)
    rows = "SELECT count(*) FROM orders.outbox"
    await store.commit([of(order(f"o{n}"), events=(noted(f"e{n}"),)) for n in range(5)])
    assert await connection.fetchval(rows) == 1
    found = await store.pending(0, 10)
    assert event_ids(found) == ["e0", "e1", "e2", "e3", "e4"]
    store.delivered([entry.position for entry in found[1:]])
    await store.commit([of(order("another"))])
    assert await connection.fetchval(rows) == 1
    assert await store.pending(0, 10) == found[:1]
    assert await store.pending(found[0].position, 10) == []
    store.delivered([found[0].position])
    await store.commit([of(order("a third"))])
    assert await connection.fetchval(rows) == 0


async def test_pages_end_within_a_row_and_go_on_there(database_url: str, stack: AsyncExitStack) -> None:
    store = await opened(database_url, stack)
    for step in range(3):
        await store.commit([of(events=tuple(noted(f"e{4 * step + n:02}") for n in range(4)))])
    whole = await store.pending(0, 100)
    assert event_ids(whole) == [f"e{n:02}" for n in range(12)]
    store.delivered([entry.position for entry in whole[2:7]])
    found: list[Outgoing] = []
    while page := await store.pending(found[-1].position if found else 0, 3):
        found += page
    assert found == [*whole[:2], *whole[7:]]


async def test_a_row_of_which_the_store_never_told_us_is_found_and_goes(
    database_url: str, stack: AsyncExitStack, connection: asyncpg.Connection
) -> None:
    store = await opened(database_url, stack)
    await store.commit([of(events=(noted("e1"),))])
    ours = await connection.fetchrow("SELECT owner, position, body FROM orders.outbox")
    await connection.execute(
        "INSERT INTO orders.outbox (owner, position, topic, body, earlier) VALUES ($1, $2, 'order-events', $3, $4)",
        ours["owner"], ours["position"] + 2, CODEC.encode(noted("e3")), [CODEC.encode(noted("e2"))],
    )  # fmt: skip
    found = await store.pending(0, 10)
    assert event_ids(found) == ["e1", "e2", "e3"]
    store.delivered([found[2].position])
    await store.commit([of(order("a"))])
    assert event_ids(await store.pending(0, 10)) == ["e1", "e2"]
    store.delivered([entry.position for entry in found])
    await store.commit([of(order("b"))])
    assert await connection.fetchval("SELECT count(*) FROM orders.outbox") == 0


async def test_a_store_of_a_release_before_is_gone_on_with(
    database_url: str, stack: AsyncExitStack, connection: asyncpg.Connection
) -> None:
    first = await opened(database_url, stack)
    await first.close()
    await connection.execute(BEFORE)
    heard: list[str] = []
    store = await opened(database_url, stack)
    heard += [entry.body.decode() for entry in await store.pending(0, 10)]
    await until(lambda: heard == ['{"id":"e1"}', '{"id":"e2"}'])
    store.delivered([entry.position for entry in await store.pending(0, 10)])
    await store.commit([of(events=(noted("e3"), noted("e4")))])
    assert event_ids(await store.pending(0, 10)) == ["e3", "e4"]


async def test_the_release_before_takes_over_each_event_by_itself(
    database_url: str, stack: AsyncExitStack, connection: asyncpg.Connection
) -> None:
    left = PostgresStore(database_url, KINDS, CODEC, schema="orders")
    await left.start()
    await left.commit([of(events=(noted("e1"), noted("e2"), noted("e3")))])
    (gone,) = await connection.fetchrow("SELECT owner FROM orders.outbox")
    await left.close()
    # What it calls, and what it reads of its own afterwards.
    await connection.execute("INSERT INTO orders.replica (id, epoch, expires) VALUES (88, 1, 'infinity')")
    taken = await connection.fetch(
        "SELECT position, topic, body FROM orders.take_over($1, $2, $3, $4, $5)", 88, 1, [gone], 9_000, 2_000
    )
    assert event_ids([Outgoing(*row) for row in taken]) == ["e1", "e2", "e3"]
    assert [row["position"] for row in taken] == [9_001, 9_002, 9_003]
    read = await connection.fetch(
        "SELECT position, topic, body FROM orders.outbox WHERE owner = $1 AND position > $2 ORDER BY position LIMIT $3",
        88, 0, 10,
    )  # fmt: skip
    assert read == taken


async def test_so_many_rows_are_taken_over_that_there_are_enough_events(
    database_url: str, stack: AsyncExitStack, connection: asyncpg.Connection
) -> None:
    left = PostgresStore(database_url, KINDS, CODEC, schema="orders")
    await left.start()
    for step in range(4):
        await left.commit([of(events=tuple(noted(f"e{3 * step + n:02}") for n in range(3)))])
    (gone,) = await connection.fetchrow("SELECT DISTINCT owner FROM orders.outbox")
    await left.close()
    await connection.execute("INSERT INTO orders.replica (id, epoch, expires) VALUES (88, 1, 'infinity')")
    take = "SELECT position, topic, body FROM orders.take_over(88, 1, $1, NULL, 4)"
    steps = [event_ids([Outgoing(*row) for row in await connection.fetch(take, [gone])]) for _ in range(3)]
    assert steps == [[f"e{n:02}" for n in range(6)], [f"e{n:02}" for n in range(6, 12)], []]
