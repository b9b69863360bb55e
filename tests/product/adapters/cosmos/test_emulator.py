"""The store over an emulator that others wrote, for what that emulator gets right: single documents, ETags, queries.

Not batches, misses, queries by physical partition, TTL or keys: there it differs from the service.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.product.adapters.cosmos.emulator import EMULATOR_KEY, running_emulator
from tests.product.contracts.samples import CODEC, KINDS, ORDER, key, of, order

from cludale.adapters.cosmos.account import AccountLimits
from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import CosmosStore
from cludale.ports.records import COMMITTED, Query, Range, Stored, VersionConflict

CONTRACTS = Path(__file__).parents[2] / "contracts"
CONTAINER = Container("contracts", [field for kind in KINDS for field in kind.indexed])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with running_emulator() as address:
        yield address


@pytest.fixture
async def stores(endpoint: str) -> AsyncIterator[tuple[CosmosStore, CosmosStore]]:
    """Two replicas over one container."""
    database = f"d{uuid4().hex[:8]}"
    opened = []
    for _ in range(2):
        store = CosmosStore(
            endpoint, EMULATOR_KEY, CODEC, CONTAINER, database=database, limits=AccountLimits(request_seconds=20)
        )
        await store.start()
        opened.append(store)
    yield opened[0], opened[1]
    for store in opened:
        await store.close()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
async def test_records_are_made_changed_and_found_and_one_of_two_replicas_meets_the_conflict(
    stores: tuple[CosmosStore, CosmosStore],
) -> None:
    store, other = stores
    for number, status in enumerate(("Paid", "Reserved", "Paid")):
        assert list(await store.commit([of(order(f"o{number}", status=status, dueAt=f"{9 - number}"))])) == [COMMITTED]
    assert list(await store.commit([of(order("o0", 1, b'"changed"', status="Paid", dueAt="9"))])) == [COMMITTED]
    assert await other.get(ORDER, [key("o0")]) == {"o0": Stored("o0", 2, b'"changed"')}

    assert list(await other.commit([of(order("o0", 2, status="Paid", dueAt="9"))])) == [COMMITTED]
    assert list(await store.commit([of(order("o0", 2))])) == [VersionConflict(frozenset({"o0"}))]
    assert list(await other.commit([of(order("o1"))])) == [VersionConflict(frozenset({"o1"}))]

    assert [item.id for item in (await store.find(ORDER, Query(partition="concert-1"))).items] == ["o0", "o1", "o2"]
    paid = Query(equal={"status": "Paid"}, order_by="dueAt", limit=1, partition="concert-1")
    first = await store.find(ORDER, paid)
    second = await store.find(ORDER, paid._replace(after=first.next))
    assert [item.id for item in (*first.items, *second.items)] == ["o2", "o0"]
    assert second.next is None
    due = Query(within=[Range("dueAt", "8", "9")], partition="concert-1", order_by="dueAt")
    assert [item.id for item in (await store.find(ORDER, due)).items] == ["o1"]


def test_what_of_the_contract_runs_over_the_emulator_is_in_the_contract() -> None:
    from tests.product.contracts.conftest import IN_THE_EMULATOR  # noqa: PLC0415 - it makes clients

    contract = "".join(file.read_text() for file in CONTRACTS.glob("test_*.py"))
    assert {name for name in IN_THE_EMULATOR if f"def {name}(" not in contract} == set()
