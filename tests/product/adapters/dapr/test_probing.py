"""Whether the broker takes events: what a sidecar's answers to a probe mean."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.product.adapters.dapr.double import Reply, SidecarDouble
from tests.product.contracts.samples import CODEC, noted

from cludale.adapters.dapr.probing import BrokerProbe, BrokerTakesNothing, SidecarProbe
from cludale.adapters.dapr.publisher import Publisher
from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.ports.outbox import Outgoing

DONE: Reply = (204, b"")
PROBE, BULK = "/v1.0/publish/events/probes", "/v1.0/publish/bulk/events/"


def problem(why: str) -> Reply:
    said = f"error when publish to topic probes in pubsub events: {why}"
    return 500, json.dumps({"errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE", "message": said}).encode()


class Broker:
    """A sidecar whose broker does as the test says."""

    def __init__(self, component: str) -> None:
        self.probe: Reply = DONE
        self.refused = ""
        """Events with this in them are not taken."""
        self.why = "maximum bytes exceeded"
        self.double = SidecarDouble(self._answer)
        self._component = component

    def _answer(self, path: str, body: bytes) -> Reply:
        if path == "metadata":
            return 200, json.dumps({"components": [{"name": "events", "type": self._component}]}).encode()
        if path.startswith(PROBE):
            return self.probe
        if path.startswith(BULK) and self.refused:
            failed = [
                {"entryId": each["entryId"], "error": self.why}
                for each in json.loads(body)
                if self.refused in each["event"]
            ]
            return (500, json.dumps({"failedEntries": failed}).encode()) if failed else DONE
        return DONE


@asynccontextmanager
async def probing(component: str = "pubsub.rabbitmq") -> AsyncIterator[tuple[Broker, Publisher, BrokerProbe]]:
    broker = Broker(component)
    async with broker.double.listening():
        sidecar = Sidecar(broker.double.port, "the-token")
        publisher = Publisher(sidecar, "events")
        yield broker, publisher, BrokerProbe(sidecar, publisher, "events")
        await sidecar.close()


def events(count: int) -> list[Outgoing]:
    return [Outgoing(i, "order-events", CODEC.encode(noted(f"event-{i}", ""))) for i in range(count)]


async def reason(probe: BrokerProbe) -> str:
    with pytest.raises(BrokerTakesNothing) as raised:
        await probe.probe()
    return str(raised.value)


async def test_the_reason_is_the_brokers_own_without_the_sidecars_words_around_it() -> None:
    async with probing() as (broker, _, probe):
        await probe.probe()
        broker.probe = problem("RabbitMQ takes no messages: low on memory")
        assert await reason(probe) == "RabbitMQ takes no messages: low on memory"
        broker.probe = DONE
        await probe.probe()


async def test_a_breaker_that_has_opened_does_not_hide_the_reason() -> None:
    async with probing() as (broker, _, probe):
        broker.probe = problem("RabbitMQ takes no messages: low on disk")
        await reason(probe)
        broker.probe = problem("circuit breaker is open")
        assert await reason(probe) == "RabbitMQ takes no messages: low on disk"


@pytest.mark.parametrize("why", ["no queue for messages of probes: NO_ROUTE", "nats: no response from stream"])
async def test_a_broker_without_the_topic_of_the_probes_is_not_asked_again(why: str) -> None:
    async with probing() as (broker, _, probe):
        broker.probe = problem(why)
        for _ in range(3):
            await probe.probe()
        assert broker.double.count(PROBE) == 1


async def test_a_broker_that_has_lost_the_topic_takes_nothing() -> None:
    async with probing("pubsub.jetstream") as (broker, _, probe):
        await probe.probe()
        broker.probe = problem("nats: no response from stream")
        assert await reason(probe) == "nats: no response from stream"


async def test_where_a_send_costs_money_only_events_that_wait_are_tried() -> None:
    async with probing("pubsub.azure.servicebus.topics") as (broker, publisher, probe):
        await probe.probe()
        assert broker.double.count("/v1.0/publish") == 0
        broker.refused = "event-"
        await publisher.publish(events(2))
        assert await reason(probe) == "maximum bytes exceeded (topic order-events)"
        broker.refused = ""
        await probe.probe()


async def test_one_event_that_is_never_taken_is_no_trouble_of_the_brokers() -> None:
    async with probing() as (broker, publisher, probe):
        broker.refused = "event-0"
        for _ in range(3):
            assert await publisher.publish(events(1)) == [False]
            await probe.probe()
        assert await publisher.publish(events(3)) == [False, True, True]
        await probe.probe()


async def test_a_topic_of_which_nothing_is_taken_is_trouble_until_one_of_its_events_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with probing() as (broker, publisher, probe):
        broker.refused = "event-"
        for _ in range(3):
            await publisher.publish(events(5))
            await reason(probe)
        assert sum("not taken" in record.message for record in caplog.records) == 1, "said once"
        assert await reason(probe) == "maximum bytes exceeded (topic order-events)"
        broker.refused = "event-0"  # the others are taken now
        await probe.probe()
        assert publisher.stuck() == {}


async def test_a_sidecar_that_is_away_is_said() -> None:
    double = SidecarDouble(lambda path, _: (204 if path.endswith("outbound") else 500, b""))
    async with double.listening():
        sidecar = Sidecar(double.port, None)
        await SidecarProbe(sidecar).probe()
        double.answer = lambda *_: (500, b"")
        with pytest.raises(SidecarAway):
            await SidecarProbe(sidecar).probe()
        await sidecar.close()
