"""Deliveries made again to a service that runs elsewhere: by a call through the sidecar, with an answer for each."""

import base64
import json
from pathlib import Path

import pytest
from tests.fakes import CountingIds, ManualClock
from tests.product.adapters.dapr.double import Reply, SidecarDouble
from tests.product.contracts.samples import CODEC, NOON, PaymentNoted, noted
from tests.product.contracts.test_event_bus import Service

from cludale.adapters.dapr.bus import DaprBus
from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.publisher import Publisher
from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Cause, envelop
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.runtime import dead_letters
from cludale.runtime.dead_letters import DeadLetters

PAID = envelop(PaymentNoted(order_id="order-1"), id="event-2", source="payments", time=NOON, cause=Cause())
EVENTS = [noted("event-1"), PAID, noted("event-3")]
DELIVERIES = [Delivery(event, CODEC.encode(event)) for event in EVENTS]


def drops_one_of_orders(path: str, body: bytes) -> Reply:
    entries = json.loads(body)["entries"]
    ids = {each["entryId"]: json.loads(base64.b64decode(each["event"]))["id"] for each in entries}
    statuses = [{"entryId": at, "status": "DROP" if id == "event-3" else "SUCCESS"} for at, id in ids.items()]
    return 200, json.dumps({"statuses": statuses}).encode()


async def test_each_delivery_is_answered_in_its_place(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "letters.db", dead_letters.KINDS, CODEC)
    async with SidecarDouble(drops_one_of_orders).listening() as double:
        sidecar = Sidecar(double.port, "the-token")
        inbound = Inbound(
            CODEC,
            app_id="audit",
            ids=CountingIds(),
            backoff=Backoff(0.01, 0.01),
            attempts=4,
            dead_letters=DeadLetters(store, ManualClock()),
        )
        bus = DaprBus(sidecar, Publisher(sidecar, "events"), inbound, CODEC.catalogue)
        here = Service("here")
        bus.start([here.subscription])
        answers = await bus.deliver("payments", DELIVERIES)
        assert answers == [Acknowledgement.SUCCESS, Acknowledgement.SUCCESS, Acknowledgement.DROP]
        assert sorted(path for path, _ in double.requests) == [
            "/dapr/events/order-events",
            "/dapr/events/payment-events",
        ]
        assert all(b"dapr-app-id: payments" in head for head in double.heads)
        asked = len(double.requests)
        assert await bus.deliver("here", DELIVERIES[:1]) == [Acknowledgement.SUCCESS]
        assert len(double.requests) == asked
        double.answer = lambda *_: (500, b"")
        with pytest.raises(SidecarAway, match="payments answered 500"):
            await bus.deliver("payments", DELIVERIES)
        await sidecar.close()
    await store.close()
