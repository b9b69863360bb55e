"""Publishing: by the way that the sidecar knows, in bulks within bounds, with an answer for each entry."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

from tests.product.adapters.dapr.double import Reply, SidecarDouble
from tests.product.contracts.samples import CODEC, noted

from cludale.adapters.dapr.publisher import (
    APART_SECONDS,
    BULK_BYTES,
    BULK_EVENTS,
    BULKS_AT_ONCE,
    MANY,
    SERVICE_BUS_BYTES,
    Publisher,
)
from cludale.adapters.dapr.sidecar import Sidecar
from cludale.ports.outbox import Outgoing

V1, ALPHA, SINGLE = "/v1.0/publish/bulk/", "/v1.0-alpha1/publish/bulk/", "/v1.0/publish/events/"
NOT_FOUND: Reply = (404, b'{"errorCode":"ERR_PUBSUB_NOT_FOUND"}')
DONE: Reply = (204, b"")


def entries(count: int, note: str = "", topic: str = "order-events") -> list[Outgoing]:
    return [Outgoing(i, topic, CODEC.encode(noted(f"event-{i}", note))) for i in range(count)]


def sizes(double: SidecarDouble) -> list[int]:
    return [len(json.loads(body)) for path, body in double.requests if path.startswith(V1)]


@asynccontextmanager
async def publishing(
    answer: Callable[[str, bytes], Reply], *, apart_seconds: float = APART_SECONDS
) -> AsyncIterator[tuple[Publisher, SidecarDouble]]:
    async with SidecarDouble(answer).listening() as double:
        sidecar = Sidecar(double.port, "the-token")
        yield Publisher(sidecar, "events", apart_seconds=apart_seconds), double
        await sidecar.close()


async def test_an_older_sidecar_is_asked_in_its_own_way_from_the_second_time_on() -> None:
    async with publishing(lambda path, _: DONE if path.startswith(ALPHA) else NOT_FOUND) as (publisher, double):
        assert await publisher.publish(entries(2)) == [True, True]
        assert await publisher.publish(entries(2)) == [True, True]
        assert (double.count(V1), double.count(ALPHA)) == (1, 2)


async def test_without_any_bulk_they_go_one_by_one() -> None:
    async with publishing(lambda path, _: DONE if path.startswith(SINGLE) else NOT_FOUND) as (publisher, double):
        assert await publisher.publish(entries(3)) == [True] * 3
        assert double.count(SINGLE) == 3
        assert {body for path, body in double.requests if path.startswith(SINGLE)} == {e.body for e in entries(3)}


async def test_a_component_that_is_missing_is_no_reason_to_give_up_bulks() -> None:
    there = False
    async with publishing(lambda path, _: DONE if there and path.startswith(V1) else NOT_FOUND) as (publisher, double):
        assert await publisher.publish(entries(2)) == [False, False]
        there = True
        assert await publisher.publish(entries(2)) == [True, True]
        assert double.count(V1) == 2


async def test_each_entry_has_its_own_answer() -> None:
    def answer(path: str, body: bytes) -> Reply:
        failed = [
            {"entryId": each["entryId"], "error": "no"} for each in json.loads(body) if "event-1" in each["event"]
        ]
        return (500, json.dumps({"failedEntries": failed}).encode())

    async with publishing(lambda path, body: answer(path, body) if path.startswith(V1) else NOT_FOUND) as (
        publisher,
        _,
    ):
        assert await publisher.publish(entries(3)) == [True, False, True]


async def test_events_go_as_they_were_committed_and_with_the_token() -> None:
    async with publishing(lambda path, _: DONE if path.startswith(V1) else NOT_FOUND) as (publisher, double):
        sent = entries(2, 'ü " \\ \n')
        await publisher.publish(sent)
        ((_, body),) = [each for each in double.requests if each[0].startswith(V1)]
        assert [each["event"].encode() for each in json.loads(body)] == [each.body for each in sent]
        assert all("metadata" not in each for each in json.loads(body))
        assert all(b"dapr-api-token: the-token" in head for head in double.heads)


async def test_service_bus_is_told_the_events_id_order_and_type() -> None:
    def answer(path: str, _: bytes) -> Reply:
        if path == "metadata":
            return 200, b'{"components":[{"name":"events","type":"pubsub.azure.servicebus.topics"}]}'
        return DONE if path.startswith(V1) else NOT_FOUND

    async with publishing(answer) as (publisher, double):
        await publisher.publish(entries(1))
        ((_, body),) = [each for each in double.requests if each[0].startswith(V1)]
        metadata = json.loads(body)[0]["metadata"]
        assert (metadata["MessageId"], metadata["SessionId"]) == ("event-0", "order-1")
        assert metadata["eventtype"] == "OrderNoted"
        assert publisher.bulk_bytes == SERVICE_BUS_BYTES


async def test_bulks_are_bounded_and_grow_with_what_waits() -> None:
    async with publishing(lambda path, _: DONE if path.startswith(V1) else NOT_FOUND) as (publisher, double):
        batches = [entries(30) for _ in range(20)]
        answers = await asyncio.gather(*(publisher.publish(batch) for batch in batches))
        assert all(all(answer) for answer in answers)
        assert sum(sizes(double)) == 600
        assert max(sizes(double)) == BULK_EVENTS // 30 * 30  # what was published together goes together
        assert len(sizes(double)) <= BULKS_AT_ONCE + 7
        large = entries(5, "x" * (BULK_BYTES // 2))
        assert all(await publisher.publish(large))
        assert {len(json.loads(body)) for path, body in double.requests[-5:]} <= {1, 2}


async def test_while_many_come_what_comes_within_a_moment_goes_together() -> None:
    async with publishing(lambda *_: DONE, apart_seconds=0.3) as (publisher, double):
        began = perf_counter()
        await publisher.publish(entries(MANY))
        await asyncio.gather(*(publisher.publish(entries(count)) for count in (3, 2)), publisher.publish(entries(1)))
        assert sizes(double) == [MANY, 6]
        assert perf_counter() - began > 0.3


async def test_few_events_another_topics_and_a_whole_bulk_wait_for_nobody() -> None:
    async with publishing(lambda *_: DONE, apart_seconds=3600) as (publisher, double), asyncio.timeout(60):
        for _ in range(3):
            await publisher.publish(entries(MANY - 1))
        await publisher.publish(entries(MANY))
        await publisher.publish(entries(1, topic="payment-events"))
        await publisher.publish(entries(BULK_EVENTS))
        assert sizes(double) == [MANY - 1] * 3 + [MANY, 1, BULK_EVENTS]


async def test_what_no_sidecar_takes_stays_in_the_outbox(tmp_path: Path) -> None:
    sidecar = Sidecar(9, None)
    assert await Publisher(sidecar, "events").publish(entries(2)) == [False, False]
    assert await Publisher(sidecar, "events").publish([]) == []
    await sidecar.close()
