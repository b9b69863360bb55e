"""The provider's ledger in a container of Cosmos DB, over the tests' double: money moves once for each key."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.fakes import NOON, ManualClock
from tests.product.adapters.cosmos.double import KEY, CosmosDouble, running_double
from tests.product.contracts.samples import CODEC

from cludale.adapters.cosmos.account import AccountLimits
from cludale.adapters.cosmos.layout import PROVIDER_CONTAINER
from cludale.adapters.cosmos.store import CosmosStore
from cludale.adapters.simulated_payments import LedgerRow, SimulatedProvider
from cludale.adapters.simulated_payments.records_ledger import RecordsLedger
from cludale.kernel.money import Money
from cludale.ports.payment_gateway import Charge, Declined, GatewayTrouble

AT = int(NOON.timestamp() * 1000)
PRICE = Money(9000, "EUR")


@pytest.fixture
async def account() -> AsyncIterator[CosmosDouble]:
    async with running_double() as double:
        yield double


@pytest.fixture
async def providers(account: CosmosDouble) -> AsyncIterator[list[SimulatedProvider]]:
    """Three processes' providers over one container."""
    opened = []
    for _ in range(3):
        store = CosmosStore(
            account.endpoint,
            KEY,
            CODEC,
            PROVIDER_CONTAINER,
            database="d",
            has_outbox=False,
            limits=AccountLimits(throttled_seconds=0.5),
        )
        opened.append(SimulatedProvider(RecordsLedger(store), clock=ManualClock()))
    yield opened
    for provider in opened:
        await provider.close()


def rows(account: CosmosDouble) -> dict[str, LedgerRow]:
    bodies = [document["body"] for document in account.collection("simulated-provider").documents]
    found = [msgspec.json.decode(body, type=LedgerRow) for body in bodies]
    return {row.key: row for row in found}


async def test_a_charge_stands_in_the_ledger_when_it_is_answered(
    providers: list[SimulatedProvider], account: CosmosDouble
) -> None:
    await providers[0].charge(Charge("key-1", PRICE), "card-ok")
    expected = LedgerRow("key-1", 9000, "EUR", "card-ok", captured=9000, charges=1, asked=1, at=AT)
    assert rows(account) == {"key-1": expected}


async def test_what_one_process_took_another_gives_back_once(
    providers: list[SimulatedProvider], account: CosmosDouble
) -> None:
    one, other, third = providers
    await one.charge(Charge("key-1", PRICE), "card-ok")
    assert await other.void(Charge("key-1", PRICE)) is True
    assert await third.void(Charge("key-1", PRICE)) is True
    with pytest.raises(Declined, match="voided"):
        await one.charge(Charge("key-1", PRICE), "card-ok")
    row = rows(account)["key-1"]
    assert (row.captured, row.refunded, row.charges) == (9000, 9000, 1)


async def test_a_charge_whose_answer_was_lost_is_not_taken_twice(
    providers: list[SimulatedProvider], account: CosmosDouble
) -> None:
    await providers[0].charge(Charge("key-0", PRICE), "card-ok")
    account.lose_answer(kind="create")
    await providers[0].charge(Charge("key-1", PRICE), "card-ok")
    assert account.faults["lost answer"] == 1
    row = rows(account)["key-1"]
    assert (row.captured, row.charges) == (9000, 1)


async def test_a_ledger_that_is_throttled_for_long_is_trouble_and_asked_again_it_charges(
    providers: list[SimulatedProvider], account: CosmosDouble
) -> None:
    await providers[0].charge(Charge("key-0", PRICE), "card-ok")
    account.throttle(1, kind="create", retry_ms=5_000)
    with pytest.raises(GatewayTrouble):
        await providers[0].charge(Charge("key-1", PRICE), "card-ok")
    await providers[0].charge(Charge("key-1", PRICE), "card-ok")
    assert rows(account)["key-1"].charges == 1
