"""The stores that the suites run over. A new adapter adds its place here: a fixture, and its name in STORES."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from azure.cosmos.aio import CosmosClient
from tests.adapters.cosmos.double import KEY, running_double
from tests.adapters.dapr.state.parts import IN_MEMORY, in_postgres, state_sidecar
from tests.contracts.samples import CODEC, KINDS, Place, Store

from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import CosmosStore
from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.dapr.state import StateStore
from cludale.adapters.postgres import PostgresStore
from cludale.adapters.sqlite import SqliteStore
from cludale.local.daprd import Daprd
from cludale.local.postgres import Postgres
from cludale.simulator.memory import Disk, MemoryStore

STORES = ["sqlite_place", "memory_place", "apart_place", "postgres_place", "cosmos_place"]
WITHOUT_OUTBOX = ["state_in_memory_place"]
"""Stores that keep records and no outbox: they refuse events, which tests/adapters/dapr/state shows. Left out are the
tests marked `events`, and those marked `many_records`, for each record is a statement of its own there."""
if os.environ.get("CLUDALE_TEST_STATE_IN_POSTGRES"):  # minutes: a database and a sidecar for each test
    WITHOUT_OUTBOX.append("state_in_postgres_place")
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
    return str(request.node.callspec.params["place"]).startswith(("cosmos", "state"))


class StatePlace:
    """The state store of a sidecar."""

    def __init__(self, daprd: Daprd) -> None:
        self._daprd = daprd

    async def open(self) -> Store:
        return StateStore(Sidecar(self._daprd.http_port, None), "state", KINDS, CODEC, ranged={"dueAt"})


@pytest.fixture
async def state_in_memory_place(tmp_path: Path) -> AsyncIterator[Place]:
    async with state_sidecar(tmp_path, IN_MEMORY).running() as daprd:
        yield StatePlace(daprd)


@pytest.fixture
async def state_in_postgres_place(tmp_path: Path, database_url: str) -> AsyncIterator[Place]:
    async with state_sidecar(tmp_path, in_postgres(database_url)).running() as daprd:
        yield StatePlace(daprd)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test over every store, but what is about events over those that keep events."""
    if "place" in metafunc.fixturenames:
        marked = {mark.name for mark in metafunc.definition.iter_markers()}
        needs_outbox = metafunc.module.__name__.endswith("test_outbox") or "events" in marked
        places = STORES if needs_outbox or "many_records" in marked else STORES + WITHOUT_OUTBOX
        metafunc.parametrize("place", places, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    opened = await place.open()
    yield opened
    await opened.close()
