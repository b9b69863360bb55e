"""The stored form of aggregates: read by id, found by their indexed fields."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.product.runtime.ledgers import CODEC, LEDGERS, write_beside

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.refusals import NotFound
from cludale.ports.records import Query, Range


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "ledgers.db", [LEDGERS.kind], CODEC)
    yield opened
    await opened.close()


class TestAStore:
    async def test_one_that_is_not_there_is_named(self, store: SqliteStore) -> None:
        with pytest.raises(NotFound, match="no ledger 'a'"):
            await LEDGERS.one(store, "a")

    async def test_it_is_found_by_its_indexed_fields(self, store: SqliteStore) -> None:
        for id, count in (("a", 1), ("b", 3), ("c", 2)):
            for i in range(count):
                await write_beside(store, id, str(i))
        found, page = await LEDGERS.find(store, Query(within=[Range("size", since=2)], order_by="size"))
        assert [each.state.id for each in found] == ["c", "b"]
        assert [each.version for each in found] == [2, 3]
        assert page.next is None
