"""Limits of buyers over Cosmos DB's double: claims are records, so two replicas count together, whatever the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.fakes import CountingIds, ManualClock
from tests.product.adapters.cosmos.double import KEY, running_double
from tests.product.services.concerts.buyers.test_buyers import ANNE, CONCERT, HASH, Service

from cludale.adapters.cosmos.store import CosmosStore
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy
from cludale.kernel.wire import Codec
from cludale.ports.seats import BuyerLimitReached, TooManyHolds
from cludale.services.catalogue import CATALOGUE
from cludale.services.concerts.buyers.service import Quotas
from cludale.wiring.stores import CONTAINERS

QUOTAS = Quotas(holds_per_buyer=3, holds_per_address=4)


@pytest.fixture
async def replicas() -> AsyncIterator[list[Service]]:
    (container,) = (each for each in CONTAINERS if each.name == "concerts")
    async with AsyncExitStack() as stack:
        account = await stack.enter_async_context(running_double())
        made = []
        for _ in range(2):
            store = CosmosStore(account.endpoint, KEY, Codec(CATALOGUE), container, database="d")
            await store.start()
            stack.push_async_callback(store.close)
            made.append(Service(store, ManualClock(), CountingIds(), QUOTAS))
        await made[0].directory.schedule(CONCERT, Cause())
        yield made


async def test_of_many_orders_at_once_through_two_replicas_a_buyer_holds_what_is_allowed_and_no_more(
    replicas: list[Service],
) -> None:
    async def took(number: int) -> bool:
        for _ in range(20):
            try:
                await replicas[number % 2].take(f"o{number}")
            except (BuyerLimitReached, TooManyHolds):
                return False
            except Busy:
                continue  # as a client does
            return True
        raise AssertionError("it is busy for good")

    assert sum(await asyncio.gather(*map(took, range(8)))) == 3
    for replica in replicas:
        with pytest.raises((BuyerLimitReached, TooManyHolds)):
            await replica.take("more", buyers=ANNE)


async def test_an_address_holds_what_is_allowed_in_all_replicas_together(replicas: list[Service]) -> None:
    (address,) = HASH.address("203.0.113.9")
    for number in range(4):
        await replicas[number % 2].take(f"o{number}", buyers=(*HASH.keys(f"user-{number}", None, None), address))
    with pytest.raises(TooManyHolds):
        await replicas[0].take("o9", buyers=(*HASH.keys("user-9", None, None), address))
