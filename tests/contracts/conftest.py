"""The stores that the suites run over. A new adapter adds its place here: a fixture, and its name in STORES."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from azure.cosmos.aio import CosmosClient
from tests.adapters.cosmos.double import KEY, running_double
from tests.contracts.samples import CODEC, KINDS, Place, Store

from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import CosmosStore
from cludale.adapters.postgres import PostgresStore
from cludale.adapters.sqlite import SqliteStore
from cludale.local.postgres import Postgres
from cludale.simulator.memory import Disk, MemoryStore

STORES = ["sqlite_place", "memory_place", "apart_place", "postgres_place", "cosmos_place"]
if os.environ.get("CLUDALE_TEST_COSMOS_ENDPOINT"):
    STORES.append("cosmos_account_place")


class SqlitePlace:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"

    async def open(self) -> Store:
        return SqliteStore(self._path, KINDS, CODEC)


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Place:
    return SqlitePlace(tmp_path)


class MemoryPlace:
    def __init__(self, *, apart: bool = False) -> None:
        self._disk = Disk(KINDS, CODEC, apart=apart)

    async def open(self) -> Store:
        return MemoryStore(self._disk)


@pytest.fixture
def memory_place() -> Place:
    return MemoryPlace()


@pytest.fixture
def apart_place() -> Place:
    return MemoryPlace(apart=True)


class PostgresPlace:
    def __init__(self, url: str) -> None:
        self._url = url
        self._schema = f"test_{os.urandom(6).hex()}"

    async def open(self) -> Store:
        return await PostgresStore.open(self._url, KINDS, CODEC, schema=self._schema)


@pytest.fixture
def postgres_place(postgres_server: Postgres) -> Place:
    return PostgresPlace(postgres_server.url)


class CosmosPlace:
    """A container of a database of its own, in an account that may be the double or a real one."""

    def __init__(self, endpoint: str, key: str, database: str) -> None:
        self._endpoint = endpoint
        self._key = key
        self._database = database

    async def open(self) -> Store:
        container = Container("contracts", [field for kind in KINDS for field in kind.indexed])
        store = CosmosStore(self._endpoint, self._key, CODEC, container, database=self._database)
        await store.start()
        return store


@pytest.fixture
async def cosmos_place() -> AsyncIterator[Place]:
    async with running_double() as double:
        yield CosmosPlace(double.endpoint, KEY, "contracts")


@pytest.fixture
async def cosmos_account_place() -> AsyncIterator[Place]:
    """A container in a real account, emptied by being new: its database goes when the test has ended."""
    endpoint, key = os.environ["CLUDALE_TEST_COSMOS_ENDPOINT"], os.environ["CLUDALE_TEST_COSMOS_KEY"]
    database = f"{os.environ.get('CLUDALE_TEST_COSMOS_DATABASE', 'cludale-test')}-{uuid4().hex[:8]}"
    yield CosmosPlace(endpoint, key, database)
    async with CosmosClient(endpoint, key) as client:
        await client.delete_database(database)


@pytest.fixture
def is_limited(request: pytest.FixtureRequest) -> bool:
    """May the store refuse a commit for its size? One of a few records it takes from anyone."""
    return str(request.node.callspec.params["place"]).startswith("cosmos")


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    opened = await place.open()
    yield opened
    await opened.close()
