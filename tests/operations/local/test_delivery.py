"""What the sidecar does with an app's answers, over the component files, on JetStream and on RabbitMQ.

The app is a stand-in that answers what a test tells it to; sidecar, broker and files are the real ones.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.listening import listening
from tests.parts import need
from tests.patience import until

from cludale_operations.local.daprd import Broker, Daprd, resources_for
from cludale_operations.local.free_ports import free_port
from cludale_operations.local.nats import Nats
from cludale_operations.local.rabbitmq import RabbitMq

CLOUD_EVENT = "application/cloudevents+json"


class App:
    """Hears one topic and its own dead letters, as the services do, and keeps what it is given."""

    def __init__(self, component: str, dead_component: str, *, in_bulk: bool) -> None:
        self.port = free_port()
        self.given: list[str] = []
        self.buried: list[str] = []
        self.dead_status = 200
        """What it answers to a dead letter."""
        self.answer: Callable[[str], str] = lambda _: "SUCCESS"
        self.holds = asyncio.Event()
        self.holds.set()
        self._subscriptions = [
            {
                "pubsubname": component,
                "topic": "payment-events",
                "routes": {"default": "/events"},
                "deadLetterTopic": "orders-dead-letters",
                "metadata": {"rawPayload": "true", "unheardTypes": "PaymentFailed,PartRefunded"},
                "bulkSubscribe": {"enabled": in_bulk, "maxMessagesCount": 10, "maxAwaitDurationMs": 20},
            },
            {
                "pubsubname": dead_component,
                "topic": "orders-dead-letters",
                "routes": {"default": "/dead"},
                "metadata": {"rawPayload": "true"},
            },
        ]

    async def answered(self, path: str, body: bytes) -> Any:
        if path == "/dapr/subscribe":
            return self._subscriptions
        if path == "/dead" and self.dead_status == 200:
            self.buried.append(json.loads(base64.b64decode(json.loads(body)["data_base64"]))["id"])
        if path == "/events":
            await self.holds.wait()
            envelope = json.loads(body)
            if "entries" not in envelope:
                return {"status": self._taken(envelope["data_base64"])}
            return {
                "statuses": [
                    {"entryId": entry["entryId"], "status": self._taken(entry["event"])}
                    for entry in envelope["entries"]
                ]
            }
        return {}

    def _taken(self, encoded: str) -> str:
        id = json.loads(base64.b64decode(encoded))["id"]
        self.given.append(id)
        return self.answer(id)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async with listening(self._serve, self.port):
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            path = line.split()[1].decode().partition("?")[0]
            length = 0
            while (header := await reader.readline()) not in {b"\r\n", b""}:
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            body = json.dumps(await self.answered(path, await reader.readexactly(length))).encode()
            status = self.dead_status if path == "/dead" else 200
            writer.write(
                b"HTTP/1.1 %d -\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
                + body
            )


class Bed:
    """An app and its sidecar."""

    def __init__(self, app: App, sidecar: Daprd) -> None:
        self.app = app
        self.sidecar = sidecar

    async def publish(self, *ids: str) -> None:
        async with httpx.AsyncClient(base_url=self.sidecar.url, timeout=10) as http:
            for id in ids:
                answer = await http.post(
                    "/v1.0/publish/events/payment-events?metadata.rawPayload=true",
                    json=_event(id, "PaymentCompleted"),
                    headers={"content-type": CLOUD_EVENT},
                )
                assert answer.status_code == 204, answer.text

    async def publish_in_bulk(self, *events: dict[str, Any]) -> None:
        entries = [
            {"entryId": str(at), "event": json.dumps(event), "contentType": "text/plain"}
            for at, event in enumerate(events)
        ]
        async with httpx.AsyncClient(base_url=self.sidecar.url, timeout=10) as http:
            answer = await http.post(
                "/v1.0-alpha1/publish/bulk/events/payment-events?metadata.rawPayload=true", json=entries
            )
            assert answer.status_code == 204, answer.text


def _event(id: str, type_: str) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id, "type": type_, "source": "payments", "data": {}}


@pytest.fixture(params=list(Broker))
def broker(request: pytest.FixtureRequest) -> Nats | RabbitMq:
    """The real one, with streams or queues as new."""
    fixture: Nats | RabbitMq = request.getfixturevalue("nats" if request.param is Broker.NATS else "rabbitmq_server")
    return fixture


@pytest.fixture
async def bed(broker: Nats | RabbitMq, tmp_path: Path) -> AsyncIterator[Bed]:
    need("daprd")
    on_nats = isinstance(broker, Nats)
    app = App("payment-events", "dead-letters", in_bulk=True) if on_nats else App("events", "events", in_bulk=True)
    sidecar = Daprd(
        "orders",
        tmp_path,
        app_port=app.port,
        resources=resources_for(Broker.NATS if on_nats else Broker.RABBITMQ),
        secrets={"broker-url": broker.url, "state-url": ""},
    )
    async with app.listening(), sidecar.running():
        yield Bed(app, sidecar)


async def test_what_the_app_takes_comes_once(bed: Bed) -> None:
    await bed.publish(*(f"taken-{number}" for number in range(30)))
    await until(lambda: len(bed.app.given) >= 30)
    await asyncio.sleep(0.5)
    assert sorted(bed.app.given) == sorted(f"taken-{number}" for number in range(30))
    assert not bed.app.buried


async def test_events_of_types_that_the_app_does_not_hear_are_left_out(bed: Bed) -> None:
    types = ["PaymentFailed", "PaymentCompleted", "PartRefunded", "of a later version"]
    await bed.publish_in_bulk(*(_event(f"{number}-{type_}", type_) for number in range(5) for type_ in types))
    await bed.publish_in_bulk(*(_event(f"unheard-{number}", "PaymentFailed") for number in range(3)))
    await bed.publish("the last one")
    await until(lambda: "the last one" in bed.app.given)
    expected = [f"{number}-{type_}" for number in range(5) for type_ in (types[1], types[3])]
    assert sorted(bed.app.given) == sorted([*expected, "the last one"])
    assert not bed.app.buried


async def test_what_the_app_wants_again_comes_again_and_its_neighbours_go_on(bed: Bed) -> None:
    tries = iter(range(1_000))
    bed.app.answer = lambda id: "RETRY" if id == "early" and next(tries) < 2 else "SUCCESS"
    await bed.publish("early", "neighbour-1", "neighbour-2")
    await until(lambda: bed.app.given.count("early") == 3)
    assert {"neighbour-1", "neighbour-2"} <= set(bed.app.given)
    assert not bed.app.buried


async def test_what_the_app_drops_is_a_dead_letter_at_once(bed: Bed) -> None:
    bed.app.answer = lambda id: "DROP" if id == "poison" else "SUCCESS"
    await bed.publish("poison", "wholesome")
    await until(lambda: bed.app.buried == ["poison"])
    await until(lambda: "wholesome" in bed.app.given)
    assert bed.app.given.count("poison") == 1


async def test_what_a_killed_sidecar_had_in_hand_is_delivered_again(bed: Bed) -> None:
    bed.app.holds.clear()
    await bed.publish("in-hand")
    await asyncio.sleep(1)  # it has reached the app, which does not answer
    await bed.sidecar.kill()
    bed.app.holds.set()
    bed.app.given.clear()
    await bed.sidecar.start()
    await until(lambda: "in-hand" in bed.app.given)
