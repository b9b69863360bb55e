"""The stores that the suites run over. A new adapter adds its place here: a fixture, and its name in STORES."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contracts.samples import CODEC, KINDS, Place, Store

from cludale.adapters.sqlite import SqliteStore

STORES = ["sqlite_place"]


class SqlitePlace:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"

    async def open(self) -> Store:
        return SqliteStore(self._path, KINDS, CODEC)


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Place:
    return SqlitePlace(tmp_path)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    opened = await place.open()
    yield opened
    await opened.close()
