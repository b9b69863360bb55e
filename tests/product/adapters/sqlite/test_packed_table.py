"""Records that are written once share rows. Whoever asks does not notice, and older stores are brought to that form."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.product.contracts.samples import CODEC, KINDS, LINE, ORDER, key, line, of, order

from cludale.adapters.sqlite import FindLimits, SqliteReader, SqliteStore, StoreFailed, migrations, packs
from cludale.ports.records import COMMITTED, Kind, Put, Query, Range, SchemaRefused, StoreUnavailable
from cludale.runtime.planning import Row

ROWS = "SELECT entries, is_packed FROM audit_line ORDER BY n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as store:
        return store.execute(sql).fetchall()


async def written(store: SqliteStore, numbers: Sequence[int]) -> None:
    assert set(await store.commit([of(line(f"{n:05}", f"body {n}".encode(), status="s")) for n in numbers])) == {
        COMMITTED
    }


async def test_few_lie_as_they_came_until_there_are_enough_for_a_pack(path: Path) -> None:
    store = SqliteStore(path, KINDS, CODEC)
    await written(store, range(2))
    await written(store, range(2, packs.LEAST - 1))
    assert rows(path, ROWS) == [(2, 0), (packs.LEAST - 3, 0)]
    await written(store, [packs.LEAST - 1])
    assert rows(path, ROWS) == [(packs.LEAST, 1)]
    await written(store, [packs.LEAST])
    await written(store, range(1_000, 1_000 + 3 * packs.MOST))
    found = rows(path, ROWS)
    assert [is_packed for _, is_packed in found] == [1, 1, 1, 1]
    assert sum(entries for entries, _ in found) == packs.LEAST + 1 + 3 * packs.MOST
    await store.close()


def kept_twice(seed: int) -> Iterator[tuple[Put, Put]]:
    """The same records of a kind that is packed and of one that is not."""
    chance = random.Random(seed)
    for n in range(chance.randrange(50, 700)):
        index = {"concertId": chance.choice(["a", "b", "c", None]), "status": chance.choice(["x", "y", None])}
        due_at = f"{n // 3 + chance.randrange(-40, 40) if chance.random() < 0.1 else n // 3:05}"
        body = str(n).encode()
        yield line(f"{n:05}", body, due_at=due_at, **index), order(f"{n:05}", 0, body, dueAt=due_at, **index)


def questions(seed: int) -> Iterator[Query]:
    chance = random.Random(seed)
    for _ in range(30):
        equal = {
            field: value
            for field, value in (
                ("concertId", chance.choice(["a", "b", "nobody", None])),
                ("status", chance.choice(["x", None])),
            )
            if chance.random() < 0.5
        }
        since, until = sorted((f"{chance.randrange(250):05}", f"{chance.randrange(250):05}"))
        timed = chance.random() < 0.5
        yield Query(
            equal=equal,
            contains={"concertId": "a"} if chance.random() < 0.1 else {},
            within=[Range("dueAt", since, until if chance.random() < 0.7 else None)] if timed else (),
            order_by="dueAt" if chance.random() < 0.5 else None,
            descending=chance.random() < 0.5,
            limit=chance.choice([1, 3, 50, 1_000]),
        )


async def ids(store: SqliteStore, kind: Kind, query: Query, *, pages: int = 30) -> list[str]:
    found: list[str] = []
    for _ in range(pages):
        page = await store.find(kind, query)
        found += [each.id for each in page.items]
        if page.next is None:
            break
        query = query._replace(after=page.next)
    return found


@pytest.mark.parametrize("seed", range(10))
async def test_a_question_has_one_answer_however_its_records_are_kept(path: Path, seed: int) -> None:
    store = SqliteStore(path, KINDS, CODEC)
    both, chance = list(kept_twice(seed)), random.Random(seed)
    while both:
        size = chance.choice([1, 5, 30, 200])
        await store.commit([of(*pair) for pair in both[:size]])
        del both[:size]
    for query in questions(seed):
        assert await ids(store, LINE, query) == await ids(store, ORDER, query), query
    await store.close()


async def test_pages_go_on_while_rows_are_packed(path: Path) -> None:
    store = SqliteStore(path, KINDS, CODEC)
    await written(store, range(packs.LEAST - 1))
    page = await store.find(LINE, Query(equal={"status": "s"}, limit=10))
    await written(store, range(packs.LEAST - 1, packs.LEAST + 5))
    rest = await ids(store, LINE, Query(equal={"status": "s"}, limit=10, after=page.next))
    assert [*(each.id for each in page.items), *rest] == [f"{n:05}" for n in range(packs.LEAST + 5)]
    await store.close()


async def test_to_sort_by_what_does_not_sort_is_a_mistake(path: Path) -> None:
    store = SqliteStore(path, KINDS, CODEC)
    await written(store, range(3))
    with pytest.raises(ValueError, match="sorted"):
        await store.find(LINE, Query(order_by="status"))
    await store.close()


async def test_a_query_past_its_time_ends(path: Path) -> None:
    store = SqliteStore(path, KINDS, CODEC, find=FindLimits(seconds=0.0))
    await written(store, range(200))
    with pytest.raises(StoreUnavailable, match="took longer than"):
        await store.find(LINE, Query(contains={"status": "nothing"}))
    await store.close()


async def test_a_damaged_row_is_said_to_be_one(path: Path) -> None:
    store = SqliteStore(path, KINDS, CODEC)
    await written(store, range(packs.LEAST))
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE audit_line SET body = substr(body, 1, 100)")
    store = SqliteStore(path, KINDS, CODEC)
    with pytest.raises(StoreFailed, match=f"the records up to {packs.LEAST} are damaged"):
        await store.find(LINE, Query())
    await store.close()


@pytest.mark.parametrize(
    ("id", "size"),
    [
        ("event-01a22da8bd7571b9965321c0ac1c555c", 17),
        ("order-01a22da8bd7571b9965321c0ac1c555c", 17),
        ("order-01a22da8bd02871b921a6f2b34453046.d071dde00171", 23),
        ("order-01a22da8bd02871b921a6f2b34453046-d071dde00171", 51),
        ("order-01a22da8bd02871b921a6f2b34453046.D071DDE00171", 51),
        ("event-01A22DA8BD7571B9965321C0AC1C555C", 38),
        ("event-01a22da8bd7571b9965321c0ac1c555", 37),
        ("event-01a22da8bd7571b9965321c0ac1c55 5c", 39),
        ("other-01a22da8bd7571b9965321c0ac1c555c", 38),
        ("event-", 6),
        ("", 0),
    ],
)
def test_only_what_is_spelt_as_ours_is_kept_short(id: str, size: int) -> None:
    assert len(packs.short(id)) == size


def made_old(path: Path, count: int) -> None:
    """Put so many records into the store as version 2 kept them."""
    with closing(sqlite3.connect(path)) as old, old:
        for table in ("audit_line", "audit_line_id", "audit_line_value"):
            old.execute(f"DROP TABLE {table}")
        old.execute(
            "CREATE TABLE audit_line(n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, version INTEGER NOT NULL, "
            'body BLOB NOT NULL, "concertId", "status", "dueAt")'
        )
        for field in LINE.indexed:
            old.execute(f'CREATE INDEX "audit_line_{field}" ON audit_line("{field}") WHERE "{field}" IS NOT NULL')
        old.executemany(
            'INSERT INTO audit_line(id, version, body, "status", "dueAt") VALUES (?, 1, ?, ?, ?)',
            [(f"{n:05}", f"body {n}".encode(), "s", "2026") for n in range(count)],
        )
        old.execute("CREATE TABLE inbox(consumer TEXT, event_id TEXT, PRIMARY KEY(consumer, event_id)) WITHOUT ROWID")
        old.execute("PRAGMA user_version = 2")


class Killed(BaseException):
    """The process ends."""


async def test_a_store_of_version_2_is_packed_and_a_start_that_was_killed_is_gone_on_with(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqliteStore(path, KINDS, CODEC).close()
    made_old(path, 1_000)
    with pytest.raises(SchemaRefused, match="schema version 2; a server of this version brings it up to date"):
        SqliteReader(path, KINDS)
    monkeypatch.setattr(migrations, "STRETCH", 150)
    pack, left = packs.packed, iter([True, True, True])

    def until_killed(some: Sequence[Row]) -> bytes:
        if next(left, False):
            return pack(some)
        raise Killed

    monkeypatch.setattr(packs, "packed", until_killed)
    with pytest.raises(Killed):
        SqliteStore(path, KINDS, CODEC)
    assert rows(path, "SELECT sum(entries) FROM audit_line") == [(450,)]
    assert rows(path, "SELECT count(*) FROM audit_line_before") == [(550,)]
    with pytest.raises(SchemaRefused, match="is being brought up to date"):
        SqliteReader(path, KINDS)
    monkeypatch.setattr(packs, "packed", pack)

    store = SqliteStore(path, KINDS, CODEC)
    await store.commit([of(line("new", status="s"))])
    everything = [*(f"{n:05}" for n in range(1_000)), "new"]
    assert await ids(store, LINE, Query(limit=100)) == everything
    assert await ids(store, LINE, Query(equal={"status": "s"}, limit=100)) == everything
    assert (await store.get(LINE, [key("00777")]))["00777"].body == b"body 777"
    await store.close()
    reader = SqliteReader(path, KINDS)
    assert (await reader.find(LINE, Query(limit=1))).items[0].id == "00000"
    await reader.close()
    assert [each for each in rows(path, "SELECT name FROM sqlite_schema") if "before" in str(each)] == []
