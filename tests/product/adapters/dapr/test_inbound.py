"""Deliveries from the sidecar: an answer for each entry, soon, and none that makes a poison loop."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import CountingIds, ManualClock
from tests.letters import buried
from tests.product.contracts.samples import CODEC, NOON, PaymentNoted, noted
from tests.product.contracts.test_event_bus import Service

from cludale.adapters.dapr.consumption import Consumption
from cludale.adapters.dapr.inbound import HOLD_SECONDS, Inbound
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Cause, envelop
from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.records import StoreUnavailable
from cludale.runtime import dead_letters
from cludale.runtime.dead_letters import DeadLetters

ATTEMPTS = 4


class NoRoom(DeadLetters):
    """Dead letters whose store is away."""

    async def bury(self, consumer: str, body: bytes, **_: Any) -> None:
        raise StoreUnavailable("gone")


class Desk:
    def __init__(self, folder: Path, consumption: Consumption | None = None) -> None:
        self.consumption = consumption
        self.store = SqliteStore(folder / "letters.db", dead_letters.KINDS, CODEC)
        self.letters = DeadLetters(self.store, ManualClock())
        self.inbound = self.fresh()

    def fresh(self, letters: DeadLetters | None = None) -> Inbound:
        """As another replica, or this one started again."""
        return Inbound(
            CODEC,
            app_id="audit",
            ids=CountingIds(),
            backoff=Backoff(0.05, 0.05),
            attempts=ATTEMPTS,
            dead_letters=letters or self.letters,
            consumption=self.consumption,
        )

    async def bulk(self, *events: bytes | dict[str, Any]) -> list[str]:
        entries = [
            {"entryId": str(i), "event": base64.b64encode(each).decode() if isinstance(each, bytes) else each}
            for i, each in enumerate(events)
        ]
        answer = json.loads(await self.inbound.take(json.dumps({"entries": entries}).encode()))
        assert [each["entryId"] for each in answer["statuses"]] == [str(i) for i in range(len(events))]
        return [each["status"] for each in answer["statuses"]]

    async def dead(self, body: bytes) -> str:
        wrapped = json.dumps({"id": "x", "data_base64": base64.b64encode(body).decode()}).encode()
        status: str = json.loads(await self.inbound.take_dead(wrapped))["status"]
        return status

    async def buried(self) -> list[tuple[str, str, int]]:
        return [(each.consumer, each.reason, each.attempts) for each in await buried(self.store)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(tmp_path)
    yield opened
    await opened.store.close()


def event(note: str) -> bytes:
    return CODEC.encode(noted(f"event-{note}", note))


async def test_each_entry_has_its_own_answer(desk: Desk) -> None:
    service = Service(
        "one",
        lambda note, _: {"b": Acknowledgement.DROP, "c": Acknowledgement.RETRY}.get(note, Acknowledgement.SUCCESS),
    )
    desk.inbound.start([service.subscription])
    unheard = CODEC.encode(envelop(PaymentNoted(order_id="o"), id="e", source="payments", time=NOON, cause=Cause()))
    answers = await desk.bulk(event("a"), event("b"), event("c"), b"\xff{", unheard)
    assert answers == ["SUCCESS", "DROP", "RETRY", "DROP", "SUCCESS"]


async def test_an_event_that_the_sidecar_took_apart_is_understood_too(desk: Desk) -> None:
    service = Service("one")
    desk.inbound.start([service.subscription])
    assert await desk.bulk(json.loads(event("a"))) == ["SUCCESS"]
    assert json.loads(await desk.inbound.take(event("b"))) == {"status": "SUCCESS"}
    assert service.notes == {"a", "b"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"entries":7}', b'{"entries":[{"entryId":"1"}]}', b"\xff"])
async def test_what_is_no_delivery_at_all_is_dropped_not_refused(desk: Desk, body: bytes) -> None:
    assert json.loads(await desk.inbound.take(body)) == {"status": "DROP"}


async def test_a_moment_too_early_is_tried_again_before_the_answer(desk: Desk) -> None:
    service = Service("one", lambda _, attempt: Acknowledgement.RETRY if attempt < 2 else Acknowledgement.SUCCESS)
    desk.inbound.start([service.subscription])
    assert await desk.bulk(event("a"), event("b")) == ["SUCCESS", "SUCCESS"]
    assert service.attempts("a") == [1, 2]


async def test_what_a_slow_handler_found_too_early_is_tried_again_before_the_answer_too(desk: Desk) -> None:
    async def handle(deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        await asyncio.sleep(HOLD_SECONDS)
        return [Acknowledgement.SUCCESS if each.attempt == 2 else Acknowledgement.RETRY for each in deliveries]

    desk.inbound.start([Subscription("one", frozenset({"OrderNoted"}), handle)])
    assert await desk.bulk(event("a"), event("b")) == ["SUCCESS", "SUCCESS"]


async def test_a_store_that_is_away_costs_no_event_a_delivery_and_none_is_lost(desk: Desk) -> None:
    away = True

    async def handle(deliveries: Any) -> list[Acknowledgement]:
        if away:
            raise StoreUnavailable("gone")
        return [Acknowledgement.SUCCESS for each in deliveries if each.attempt == 1]

    desk.inbound.start([Subscription("one", frozenset({"OrderNoted"}), handle)])
    for _ in range(ATTEMPTS + 1):
        assert await desk.bulk(event("a")) == ["RETRY"]
    away = False
    assert await desk.bulk(event("a")) == ["SUCCESS"]
    assert await desk.buried() == []


async def test_from_the_dead_letter_topic_it_is_tried_up_to_the_limit_and_buried_with_the_reason(desk: Desk) -> None:
    service = Service("one", lambda *_: Acknowledgement.RETRY)
    desk.inbound.start([service.subscription])
    assert await desk.bulk(event("a")) == ["RETRY"]
    assert await desk.dead(event("a")) == "SUCCESS"
    assert service.attempts("a") == [1, 2, 3, 4]
    assert await desk.buried() == [("one", "still not handled at the delivery limit", ATTEMPTS)]


async def test_another_replica_that_gets_a_dead_letter_begins_anew(desk: Desk) -> None:
    service = Service("one", lambda *_: Acknowledgement.RETRY)
    desk.inbound.start([service.subscription])
    await desk.bulk(event("a"))
    desk.inbound = desk.fresh()
    late = Service("one")
    desk.inbound.start([late.subscription])
    assert await desk.dead(event("a")) == "SUCCESS"
    assert await desk.buried() == []
    assert late.attempts("a") == [1]


async def test_what_cant_be_buried_stays_with_the_broker(desk: Desk) -> None:
    desk.inbound = desk.fresh(NoRoom(desk.store, ManualClock()))
    assert await desk.dead(b"{") == "RETRY"


async def test_deliveries_of_many_requests_are_folded_into_few_batches(desk: Desk) -> None:
    batches: list[int] = []

    async def handle(deliveries: list[Delivery]) -> list[Acknowledgement]:
        batches.append(len(deliveries))
        await asyncio.sleep(0.01)
        return [Acknowledgement.SUCCESS] * len(deliveries)

    handler: Callable[..., Any] = handle
    desk.inbound.start([Subscription("one", frozenset({"OrderNoted"}), handler)])
    answers = await asyncio.gather(*(desk.bulk(event(f"{i}-a"), event(f"{i}-b")) for i in range(50)))
    assert all(answer == ["SUCCESS", "SUCCESS"] for answer in answers)
    assert sum(batches) == 100
    assert len(batches) <= 3
