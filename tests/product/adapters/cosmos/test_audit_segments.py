"""The audit log over Cosmos DB's double: its segments are partitions, and a full one is told apart from a wrong key."""

from collections.abc import AsyncIterator

import pytest
from tests.fakes import ManualClock
from tests.product.adapters.cosmos.double import KEY, CosmosDouble, running_double
from tests.product.services.audit.samples import CODEC, delivered, placed

from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import CosmosStore
from cludale.ports.bus import Acknowledgement
from cludale.ports.records import StoreUnavailable
from cludale.services.audit.service import Audit
from cludale.services.audit.store import Filter


@pytest.fixture
async def double() -> AsyncIterator[CosmosDouble]:
    async with running_double() as account:
        yield account


@pytest.fixture
async def audit(double: CosmosDouble) -> AsyncIterator[Audit]:
    store = CosmosStore(double.endpoint, KEY, CODEC, Container("audit", ("time",)), database="d", has_outbox=False)
    await store.start()
    yield Audit(store, ManualClock(), segment_entries=4)
    await store.close()


async def test_each_segment_is_a_partition_and_questions_go_over_all(audit: Audit, double: CosmosDouble) -> None:
    double.is_recording = True
    for number in range(1, 11):
        assert await audit.handle(delivered(placed(f"e{number:02}"))) == [Acknowledgement.SUCCESS]
    written = {each.partition for each in double.requests if each.kind == "batch"}
    assert written == {"log", "log-1", "log-2"}
    shown, _ = await audit.events(Filter(), limit=20)
    assert [each.sequence for each in shown] == list(range(1, 11))
    verdict = await audit.verify()
    assert (verdict.ok, verdict.events) == (True, 10)


async def test_a_full_partition_is_said_to_be_full(audit: Audit, double: CosmosDouble) -> None:
    double.refuse(1, kind="batch", status=403, substatus=1014)
    with pytest.raises(StoreUnavailable, match="partition of Cosmos DB is full"):
        await audit.handle(delivered(placed("e01")))
