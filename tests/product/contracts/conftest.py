"""The stores that the suites run over. A new adapter adds its place here: a fixture, and its name in STORES."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from tests.product.adapters.cosmos.double import KEY, running_double
from tests.product.adapters.cosmos.emulator import EMULATOR_KEY, running_emulator
from tests.product.adapters.dapr.state.parts import (
    StateSidecar,
    in_cosmos,
    in_postgres,
    running_state_sidecar,
    state_sidecar,
)
from tests.product.adapters.postgres.members import member
from tests.product.contracts.samples import CODEC, KINDS, Place, Store

from cludale.adapters.cosmos.account import AccountLimits
from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import CosmosStore
from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.dapr.state import StateStore
from cludale.adapters.dapr.state.dialects import cosmos_container
from cludale.adapters.postgres import PostgresStore
from cludale.adapters.sqlite import SqliteStore
from cludale_operations.local.logins import Login
from cludale_operations.local.postgres import Postgres
from cludale_proof.simulator.memory import Disk, MemoryStore

STORES = ["sqlite_place", "memory_place", "apart_place", "postgres_place", "cosmos_place"]
WITHOUT_OUTBOX = ["state_in_postgres_place", "state_in_cosmos_place"]
"""Stores that keep records and no outbox: they refuse events, which tests/product/adapters/dapr/state shows. Left out
are the tests marked `events`, and those marked `many_records`, for each record is a statement of its own there."""
QUICK_PLACES = {"sqlite_place", "memory_place"}
"""Where many records are written within seconds."""
SLOW_PLACES = {"cosmos_place", *WITHOUT_OUTBOX}
"""Whose tests are left to `make test-all`."""
if os.environ.get("CLUDALE_TEST_COSMOS_ENDPOINT"):
    STORES.append("cosmos_account_place")
    WITHOUT_OUTBOX.append("state_in_cosmos_account_place")

IN_THE_EMULATOR = {
    "test_committed_events_are_pending_in_the_order_of_commits",
    "test_an_entry_is_the_event_on_the_wire_and_its_topic",
    "test_events_of_a_failed_commit_are_not_pending_and_leave_no_trace",
    "test_pending_comes_in_pages",
    "test_what_was_delivered_goes_with_the_next_commit",
    "test_what_was_not_delivered_is_pending_after_reopening",
    "test_a_position_is_never_used_again",
    "test_a_committed_record_is_read_back_with_version_1",
    "test_each_commit_raises_the_version_by_one",
    "test_creating_what_exists_is_a_conflict_that_writes_nothing",
    "test_a_change_from_another_version_is_a_conflict",
    "test_kinds_with_the_same_id_do_not_meet",
    "test_later_commits_of_a_call_build_on_earlier_ones",
    "test_a_commit_that_fails_fails_alone",
    "test_the_first_of_two_that_want_the_same_record_has_it",
    "test_partitions_commit_in_one_call",
    "test_text_within_a_field",
    "test_a_range_has_its_start_and_not_its_end",
    "test_a_range_of_numbers",
    "test_a_range_leaves_out_what_has_no_value",
    "test_a_field_set_to_none_leaves_its_index",
    "test_sorting_by_a_field_that_is_fixed",
    "test_sorting_with_conditions_on_other_fields",
    "test_closing_writes_what_waits",
}
"""What runs over the emulator of Cosmos DB too: what it gets right. What it does not: docs/evidence/cosmos-db.md."""


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
    """A schema that its owner made, used by a service that may do nothing else."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._schema = f"test_{os.urandom(6).hex()}"
        self._login: Login | None = None

    async def open(self) -> Store:
        if self._login is None:
            self._login = await member(self._server.url, self._schema, KINDS)
        return await PostgresStore.open(self._server.url_as(self._login), KINDS, CODEC, schema=self._schema)


@pytest.fixture
def postgres_place(postgres_server: Postgres) -> Place:
    return PostgresPlace(postgres_server)


class CosmosPlace:
    """A container of a database of its own, in an account that may be the double or a real one."""

    def __init__(self, endpoint: str, key: str, database: str, limits: AccountLimits | None = None) -> None:
        self._endpoint = endpoint
        self._key = key
        self._database = database
        self._limits = limits or AccountLimits()

    async def open(self) -> Store:
        container = Container("contracts", [field for kind in KINDS for field in kind.indexed])
        store = CosmosStore(self._endpoint, self._key, CODEC, container, database=self._database, limits=self._limits)
        await store.start()
        return store


@pytest.fixture
async def cosmos_place() -> AsyncIterator[Place]:
    async with running_double() as double:
        yield CosmosPlace(double.endpoint, KEY, "contracts")


@pytest.fixture(scope="session")
def cosmos_emulator() -> Iterator[str]:
    with running_emulator() as endpoint:
        yield endpoint


@pytest.fixture
def cosmos_emulator_place(cosmos_emulator: str) -> Place:
    return CosmosPlace(cosmos_emulator, EMULATOR_KEY, f"d{uuid4().hex[:8]}", AccountLimits(request_seconds=20))


@pytest.fixture
async def cosmos_account_place() -> AsyncIterator[Place]:
    """A container in a real account, emptied by being new: its database goes when the test has ended."""
    endpoint, key = os.environ["CLUDALE_TEST_COSMOS_ENDPOINT"], os.environ["CLUDALE_TEST_COSMOS_KEY"]
    database = f"{os.environ.get('CLUDALE_TEST_COSMOS_DATABASE', 'cludale-test')}-{uuid4().hex[:8]}"
    yield CosmosPlace(endpoint, key, database)
    async with CosmosClient(endpoint, key) as client:
        await client.delete_database(database)


@pytest.fixture
async def state_in_cosmos_account_place(tmp_path: Path) -> AsyncIterator[Place]:
    """Dapr's own component over a container in that account, laid out as the template does."""
    endpoint, key = os.environ["CLUDALE_TEST_COSMOS_ENDPOINT"], os.environ["CLUDALE_TEST_COSMOS_KEY"]
    name = f"{os.environ.get('CLUDALE_TEST_COSMOS_DATABASE', 'cludale-test')}-{uuid4().hex[:8]}"
    layout = cosmos_container("contracts-state")
    async with CosmosClient(endpoint, key) as client:
        database = await client.create_database(name)
        await database.create_container(
            layout["id"], PartitionKey("/partitionKey", version=2), indexing_policy=dict(layout["indexingPolicy"])
        )
        async with state_sidecar(tmp_path, in_cosmos(endpoint, key, layout["id"], name)).running() as daprd:
            yield StatePlace(daprd)
        await client.delete_database(name)


@pytest.fixture
def is_limited(request: pytest.FixtureRequest) -> bool:
    """May the store refuse a commit for its size? One of a few records it takes from anyone."""
    return str(request.node.callspec.params["place"]).startswith(("cosmos", "state"))


class StatePlace:
    """The state store of a sidecar."""

    def __init__(self, daprd: StateSidecar) -> None:
        self._daprd = daprd

    async def open(self) -> Store:
        sidecar = Sidecar(self._daprd.http_port, None)
        return StateStore(sidecar, "state", KINDS, CODEC, ranged={"dueAt"}, type=self._daprd.type)


@pytest.fixture
async def state_in_postgres_place(tmp_path: Path, database_url: str) -> AsyncIterator[Place]:
    async with state_sidecar(tmp_path, in_postgres(database_url)).running() as daprd:
        yield StatePlace(daprd)


@pytest.fixture
async def state_in_cosmos_place(tmp_path: Path) -> AsyncIterator[Place]:
    """Dapr's own component for Cosmos DB, over the double."""
    async with running_state_sidecar(tmp_path, None) as daprd:
        yield StatePlace(daprd)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test over every store, but what is about events over those that keep events."""
    if "place" in metafunc.fixturenames:
        marked = {mark.name for mark in metafunc.definition.iter_markers()}
        needs_outbox = metafunc.module.__name__.endswith("test_outbox") or "events" in marked
        places: list[Any] = STORES if needs_outbox or "many_records" in marked else STORES + WITHOUT_OUTBOX
        slow = set(places) - QUICK_PLACES if "many_records" in marked else SLOW_PLACES
        marks = [pytest.mark.slow, *([pytest.mark.alone] if "many_records" in marked else [])]
        places = [pytest.param(each, marks=marks) if each in slow else each for each in places]
        if metafunc.definition.originalname in IN_THE_EMULATOR:
            insecure = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
            places = [*places, pytest.param("cosmos_emulator_place", marks=insecure)]
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
